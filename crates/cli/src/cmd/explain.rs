//! `tidings explain`

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{
    Asking,
    conflicts::{self, Conflict},
};
use crate::{
    exit::{Code, Failure},
    output::{self, age},
    table::{Table, Tone, at},
};

/// Tells why each instance of a service is in the answers, or is not.
///
/// Of every instance that the agent knows: whether /v1/health/service/, ?passing and DNS hand it out,
/// each reason for or against that, and what was taken away lately. Ends with code 4 if no instance
/// is healthy.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The service's name.
    service: String,
    /// Only the instance with this id.
    #[arg(long)]
    id: Option<String>,
    /// Say of whom a client that asks for this tag does not hear; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What the agent tells.
#[derive(Debug, Serialize, Deserialize)]
struct Explanation {
    service: String,
    agent: Agent,
    instances: Vec<Instance>,
    removed: Vec<Removed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meant: Option<Meant>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Agent {
    name: String,
    island: bool,
    starting: bool,
    reachable: usize,
    expected: usize,
    differs_for_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Instance {
    id: String,
    node: String,
    node_id: String,
    address: String,
    port: u16,
    tags: Vec<String>,
    health: String,
    in_health: bool,
    in_passing: bool,
    in_dns: bool,
    reasons: Vec<Reason>,
    owner: Option<Owner>,
    copies: String,
    conflicts: Vec<Conflict>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Reason {
    code: String,
    text: String,
    hidden_from: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    status: Option<String>,
    since_ms: Option<u64>,
    heard_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Removed {
    id: String,
    node: String,
    ago_ms: u64,
    code: String,
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Meant {
    services: Vec<String>,
    ids: Vec<Named>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    service: String,
    node: String,
}

impl Explain {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = ["v1", "tidings", "explain", &self.service];
        let query = self.query();
        let told: Explanation = self.asking.api()?.get_with(&path, query.as_deref()).await?;
        if self.asking.json {
            output::print_json(&told)?;
        } else {
            output::print(&text(&told, output::coloured()));
        }
        if told.instances.iter().any(|instance| instance.in_dns) {
            return Ok(());
        }
        let text = match told.instances.len() {
            0 => nothing(&told),
            _ => format!("no known instance of {:?} can be used", told.service),
        };
        Err(Failure::new(Code::NotFound, text).into())
    }

    fn query(&self) -> Option<String> {
        let mut url = Url::parse("http://agent").ok()?;
        let id = self.id.iter().map(|id| ("id", id));
        let tags = self.tags.iter().map(|tag| ("tag", tag));
        url.query_pairs_mut().extend_pairs(id.chain(tags));
        url.query()
            .filter(|query| !query.is_empty())
            .map(str::to_owned)
    }
}

fn text(told: &Explanation, coloured: bool) -> String {
    let mut text = String::new();
    if !told.instances.is_empty() {
        text.push_str(&instances(&told.instances).render(coloured));
    }
    if !told.removed.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&removed(&told.removed).render(coloured));
    }
    let conflicts = told.instances.iter().flat_map(|told| &told.conflicts);
    let conflicts = conflicts::among(conflicts, coloured);
    if !conflicts.is_empty() {
        text.push_str(&format!("\n{conflicts}"));
    }
    if let Some(doubt) = doubt(&told.agent) {
        text.push_str(&format!("\n{doubt}\n"));
    }
    text
}

fn instances(instances: &[Instance]) -> Table {
    let header = [
        "instance", "node", "address", "health", "passing", "dns", "heard", "held by", "why",
    ];
    let mut table = Table::new(header);
    let word = |is: bool| if is { "yes" } else { "no" }.to_owned();
    for instance in instances {
        let tone = match (instance.in_passing, instance.in_dns) {
            (true, true) if instance.reasons.is_empty() => Tone::Good,
            (false, false) => Tone::Bad,
            _ => Tone::Doubtful,
        };
        let heard = instance.owner.as_ref().map_or_else(
            || "no agent".to_owned(),
            |owner| format!("{} ago", age(owner.heard_ms)),
        );
        let why: Vec<_> = instance.reasons.iter().map(reason).collect();
        let cells = [
            instance.id.clone(),
            instance.node.clone(),
            at(&instance.address, instance.port),
            instance.health.clone(),
            word(instance.in_passing),
            word(instance.in_dns),
            heard,
            holders(&instance.copies).to_owned(),
            why.join("; "),
        ];
        table.row(tone, cells);
    }
    table
}

fn reason(reason: &Reason) -> String {
    match &reason.output {
        Some(output) => {
            let said: String = output.trim().chars().take(OUTPUT_CHARS).collect();
            format!("{}: {said}", reason.text)
        }
        None => reason.text.clone(),
    }
}

fn holders(copies: &str) -> &str {
    match copies {
        "this-agent-only" => "this agent only",
        "some-peer" => "some peer",
        "all-reachable" => "all reachable",
        other => other,
    }
}

fn removed(removed: &[Removed]) -> Table {
    let mut table = Table::new(["gone", "node", "ago", "why"]);
    for removed in removed {
        let cells = [
            removed.id.clone(),
            removed.node.clone(),
            age(removed.ago_ms),
            removed.text.clone(),
        ];
        table.row(Tone::Plain, cells);
    }
    table
}

/// Why this agent may not know everything, if it may not.
fn doubt(agent: &Agent) -> Option<String> {
    let Agent {
        name,
        reachable,
        expected,
        ..
    } = agent;
    if agent.island {
        Some(format!(
            "the agent {name} is cut off ({reachable} of {expected} agents in reach): this is what it \
             last knew"
        ))
    } else if agent.starting {
        Some(format!(
            "the agent {name} has just started and has not met its cluster yet: it may not know \
             everything"
        ))
    } else {
        agent.differs_for_ms.map(|ms| {
            format!(
                "some reachable agent has known something else than {name} for {}",
                age(ms)
            )
        })
    }
}

/// That nothing is known, and what to try.
fn nothing(told: &Explanation) -> String {
    let mut text = format!("no instance of {:?} is known", told.service);
    if let Some(meant) = &told.meant {
        for id in &meant.ids {
            text.push_str(&format!(
                "; it is the id of an instance of {:?} on {}",
                id.service, id.node
            ));
        }
        if !meant.services.is_empty() {
            text.push_str(&format!("; did you mean {}?", meant.services.join(", ")));
        }
    }
    match doubt(&told.agent) {
        Some(doubt) => format!("{text}; {doubt}"),
        None => format!("{text}; `tidings services` lists what is"),
    }
}

/// Characters of a check's output that are shown.
const OUTPUT_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"service":"web",
        "agent":{"name":"a","island":false,"starting":false,"reachable":2,"expected":2,
                 "differs_for_ms":null},
        "instances":[{"id":"w1","node":"a","node_id":"01","address":"10.0.0.1","port":80,"tags":[],
            "health":"critical","in_health":true,"in_passing":false,"in_dns":false,
            "reasons":[{"code":"check-critical","text":"its check \"disk\" is critical",
                        "hidden_from":["passing","dns"],"check":"c","output":"full\n"}],
            "owner":{"status":"alive","since_ms":1,"heard_ms":65000},"copies":"all-reachable","conflicts":[]}],
        "removed":[{"id":"w0","node":"b","ago_ms":5000,"code":"deregistered","text":"deregistered at its own agent"}]}"#;

    fn told() -> Explanation {
        serde_json::from_str(TOLD).unwrap()
    }

    #[test]
    fn each_instance_is_a_line_with_its_reasons() {
        let shown = text(&told(), false);
        let line = shown.lines().find(|line| line.starts_with("w1")).unwrap();
        for part in [
            "10.0.0.1:80",
            "critical",
            "1m05s ago",
            "all reachable",
            "its check \"disk\" is critical: full",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        let gone = shown.lines().last().unwrap();
        assert!(gone.starts_with("w0"), "{shown}");
        assert!(gone.contains("5s"), "{shown}");
    }

    #[test]
    fn for_an_unknown_name_there_is_something_to_try() {
        let mut told = told();
        told.instances.clear();
        told.meant = Some(Meant {
            services: vec!["webs".to_owned()],
            ids: Vec::new(),
        });
        assert_eq!(
            nothing(&told),
            "no instance of \"web\" is known; did you mean webs?; `tidings services` lists what is"
        );
        told.agent.island = true;
        assert!(
            nothing(&told).contains("cut off (2 of 2 agents"),
            "{}",
            nothing(&told)
        );
    }

    #[test]
    fn a_query_is_escaped() {
        let explain = Explain {
            service: "web".to_owned(),
            id: Some("a&b".to_owned()),
            tags: vec!["x y".to_owned()],
            asking: Asking::default(),
        };
        assert_eq!(explain.query().as_deref(), Some("id=a%26b&tag=x+y"));
    }
}
