//! `tidings lookup`

use std::collections::BTreeMap;

use clap::Args;
use reqwest::Url;
use serde::Serialize;

use super::Asking;
use crate::{
    api::{Api, Health, Member, ServiceEntry, Status},
    exit::{Code, Failure},
    output::{self, age},
    table::{Table, Tone, at},
    wanted::Wanted,
};

/// Shows where a service is served.
///
/// Lists every instance that the agent would answer with, the healthy first; ends with code 4 if
/// none of them is healthy.
#[derive(Debug, Args)]
pub(super) struct Lookup {
    /// The service's name.
    name: String,
    /// Only instances with this metadata, where * stands for any characters; may be repeated.
    #[arg(long = "meta", value_name = "KEY=GLOB")]
    meta: Vec<Wanted>,
    #[command(flatten)]
    asking: Asking,
}

/// An instance as it is shown.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    address: String,
    port: u16,
    health: Health,
    node: String,
    /// Milliseconds since its owner's last word, if that is why it may be wrong.
    stale_for_ms: Option<u64>,
    tags: Vec<String>,
    /// What the checks that do not pass say.
    reasons: Vec<String>,
}

impl Lookup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        let query = query(&self.meta);
        let path = Api::health_of(&self.name);
        let entries: Vec<ServiceEntry> = api.get_with(&path, query.as_deref()).await?;
        let status: Status = api.get(&Api::STATUS).await?;
        let mut lines = lines(&entries, &status.members);
        lines.sort_by_key(|line| (line.health, line.stale_for_ms.is_some()));
        if self.asking.json {
            output::print_json(&lines)?;
        } else if !lines.is_empty() {
            output::print(&table(&lines).render(output::coloured()));
        }
        if lines.iter().any(|line| line.health != Health::Critical) {
            return Ok(());
        }
        let text = if lines.is_empty() && !self.meta.is_empty() {
            format!(
                "no instance of {:?} with this metadata is served",
                self.name
            )
        } else if lines.is_empty() {
            format!(
                "no instance of {0:?} is served; `tidings explain {0}` tells why, `tidings services` lists \
                 what is",
                self.name
            )
        } else {
            format!("no instance of {:?} is healthy", self.name)
        };
        Err(Failure::new(Code::NotFound, text).into())
    }
}

fn query(meta: &[Wanted]) -> Option<String> {
    let filter = Wanted::filter(meta)?;
    let mut url = Url::parse("http://agent").ok()?;
    url.query_pairs_mut().append_pair("filter", &filter);
    url.query().map(str::to_owned)
}

fn lines(entries: &[ServiceEntry], members: &[Member]) -> Vec<Line> {
    let owners: BTreeMap<&str, &Member> = members.iter().map(|m| (m.node_id.as_str(), m)).collect();
    entries
        .iter()
        .map(|entry| {
            // A node's id is a UUID in Consul's API and plain digits in ours.
            let owner = owners.get(entry.node.id.replace('-', "").as_str());
            let stale = owner.filter(|owner| owner.liveness != "live");
            Line {
                id: entry.service.id.clone(),
                address: entry.address().to_owned(),
                port: entry.service.port,
                health: entry.health(),
                node: entry.node.node.clone(),
                stale_for_ms: stale.map(|owner| owner.heard_ms),
                tags: entry.service.tags.clone(),
                reasons: entry.reasons(),
            }
        })
        .collect()
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new(["instance", "address", "health", "node", "tags", "why"]);
    for line in lines {
        let mut why = line.reasons.clone();
        if let Some(ms) = line.stale_for_ms {
            why.insert(0, format!("stale: its node was last heard {} ago", age(ms)));
        }
        let tone = match line.health {
            Health::Critical => Tone::Bad,
            Health::Warning => Tone::Doubtful,
            Health::Passing if line.stale_for_ms.is_some() => Tone::Doubtful,
            Health::Passing => Tone::Good,
        };
        let cells = [
            line.id.clone(),
            at(&line.address, line.port),
            line.health.as_str().to_owned(),
            line.node.clone(),
            line.tags.join(", "),
            why.join("; "),
        ];
        table.row(tone, cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: &str = r#"[
        {"Node":{"ID":"01010101-0101-0101-0101-010101010101","Node":"a","Address":"10.0.0.1"},
         "Service":{"ID":"web-1","Address":"","Port":80,"Tags":["v1"]},
         "Checks":[{"CheckID":"serfHealth","Status":"passing","Output":"ok"}]},
        {"Node":{"ID":"02020202-0202-0202-0202-020202020202","Node":"b","Address":"10.0.0.2"},
         "Service":{"ID":"web-2","Address":"2001:db8::1","Port":81,"Tags":null},
         "Checks":[{"CheckID":"c","Name":"alive","Status":"critical","Output":"refused"},
                   {"CheckID":"d","Name":"disk","Status":"warning","Output":"full"}]}]"#;

    #[test]
    fn an_instance_is_shown_with_address_health_and_reasons() {
        let entries: Vec<ServiceEntry> = serde_json::from_str(ENTRIES).unwrap();
        let stale: Member = serde_json::from_str(
            r#"{"name":"a","node_id":"01010101010101010101010101010101","address":"x",
                "status":"down","liveness":"stale","since_ms":1,"heard_ms":65000}"#,
        )
        .unwrap();
        let lines = lines(&entries, &[stale]);
        assert_eq!(lines[0].health, Health::Passing);
        assert_eq!(lines[0].stale_for_ms, Some(65_000));
        assert_eq!(lines[1].health, Health::Critical);
        let text = table(&lines).render(false);
        for part in [
            "10.0.0.1:80",
            "[2001:db8::1]:81",
            "stale: its node was last heard 1m05s ago",
            "alive: refused; disk: full",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
