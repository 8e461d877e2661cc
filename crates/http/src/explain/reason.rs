//! Why an instance is handed out, or is not.

use serde::Serialize;
use tidings_types::{Address, CheckKind, CheckStatus, Departure, MemberStatus};
use tidings_view::{CheckView, InstanceView, Listed, NodeKey, Overlay, Standing, View};

use super::Question;
use crate::aggregate::{NODE_MAINTENANCE, is_maintenance};

/// One reason, in words and for programs.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    /// One word that stays the same: what programs branch on.
    code: &'static str,
    text: String,
    /// The front doors from which the instance is hidden for this reason; none if it is a remark.
    hidden_from: &'static [&'static str],
    /// The check that speaks, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    /// What that check said last, as far as this agent knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

const NOWHERE: &[&str] = &[];
const PASSING: &[&str] = &["passing"];
const DNS: &[&str] = &["dns"];
const PASSING_AND_DNS: &[&str] = &["passing", "dns"];
const HTTP: &[&str] = &["health", "passing"];
const EVERYWHERE: &[&str] = &["health", "passing", "dns"];

/// The reasons that were found so far.
#[derive(Debug, Default)]
pub(super) struct Reasons(Vec<Reason>);

impl Reasons {
    /// The reasons, those that hide the instance from most first.
    pub(super) fn done(mut self) -> Vec<Reason> {
        self.0
            .sort_by_key(|reason| std::cmp::Reverse(reason.hidden_from.len()));
        self.0
    }

    fn add(&mut self, code: &'static str, hidden_from: &'static [&'static str], text: String) {
        self.0.push(Reason {
            code,
            text,
            hidden_from,
            check: None,
            output: None,
        });
    }

    /// What the liveness of the instance's owner means. `listed`: whether the overlay lets it through.
    pub(super) fn of_node(
        &mut self,
        view: &View,
        overlay: &Overlay,
        instance: &InstanceView,
        listed: bool,
    ) {
        let node = instance.node();
        let NodeKey::Agent(id) = node.key else {
            return self.of_address(instance, listed);
        };
        let (roster, now) = (overlay.roster(), view.now());
        let member = roster.members.get(&id);
        let silent_s = overlay.silent_for(&node.key, now).as_secs();
        let name = &node.name;
        match overlay.standing(&node.key) {
            Standing::Live => {
                if let Some(member) = member.filter(|m| m.status == MemberStatus::Suspect) {
                    let since_s = now.since(member.since).as_secs();
                    let text = format!(
                        "its node {name} is suspected for {since_s} s; it is served until the node \
                         is taken to be down"
                    );
                    self.add("node-suspect", NOWHERE, text);
                }
                self.of_address(instance, listed);
            }
            Standing::Stale => {
                let why = why_stale(roster.island, member.map(|member| member.status));
                let text = format!(
                    "its node {name} was last heard {silent_s} s ago; it is served after the live \
                     ones, marked stale, since {why}"
                );
                self.add("node-stale", NOWHERE, text);
                self.of_address(instance, listed);
            }
            Standing::LastResort if listed => {
                let text = format!(
                    "its node {name} was last heard {silent_s} s ago, while this agent was cut off; \
                     it is served since the service would be empty without it"
                );
                self.add("node-stale", NOWHERE, text);
            }
            Standing::LastResort | Standing::Down => {
                let text = match member {
                    Some(member) => format!(
                        "its node {name} is {} for {} s and was last heard {silent_s} s ago",
                        member.status.as_str(),
                        now.since(member.since).as_secs()
                    ),
                    None => format!("its node {name} was not met in this run of the agent"),
                };
                self.add("node-down", EVERYWHERE, text);
            }
            Standing::Gone => {
                let has_left = node.departure == Some(Departure::Left)
                    || member.is_some_and(|member| member.status == MemberStatus::Left)
                    || roster.former.contains(&id) && !node.known;
                let (code, text) = if has_left {
                    let text = format!("its node {name} has left the cluster, or was forced out");
                    ("node-left", text)
                } else if roster.former.contains(&id) {
                    let text = format!(
                        "its node {name} was not met in this run of the agent, and its host is \
                         another node since"
                    );
                    ("node-replaced", text)
                } else {
                    let text = format!(
                        "its node is not live, and a live node bears its name {name}: that one took \
                         its place"
                    );
                    ("node-replaced", text)
                };
                self.add(code, EVERYWHERE, text);
            }
        }
    }

    fn of_address(&mut self, instance: &InstanceView, listed: bool) {
        if !listed {
            let text = format!(
                "it has no address of its own, and the record of its node {} is not here",
                instance.node().name
            );
            self.add("no-address", EVERYWHERE, text);
        }
    }

    /// What its checks and its weight say.
    pub(super) fn of_checks(&mut self, instance: &InstanceView) {
        for check in instance.checks().iter().chain(instance.node_checks()) {
            self.of_check(check);
        }
        for check in instance.missing_checks() {
            let text = format!(
                "the record of its check {:?} is not here yet",
                check.id.as_str()
            );
            self.of_one(&check, "check-awaited", PASSING_AND_DNS, text);
        }
        let weights = instance.record().weights;
        let weight = match instance.status() {
            CheckStatus::Passing => weights.passing,
            CheckStatus::Warning => weights.warning,
            CheckStatus::Critical => return,
        };
        if weight == 0 {
            let text = "its weight is 0: clients that heed weights go there only if they must";
            self.add("weight-zero", NOWHERE, text.to_owned());
        }
    }

    fn of_check(&mut self, check: &CheckView) {
        let record = check.record();
        let name = if record.name.is_empty() {
            check.id.as_str()
        } else {
            &record.name
        };
        let whose = match record.service {
            Some(_) => "its",
            None => "its node's",
        };
        let output = check.output();
        let (code, text) = match (record.status, &record.kind) {
            (CheckStatus::Passing, _) => return,
            (CheckStatus::Warning, _) => {
                let text = format!("{whose} check {name:?} warns");
                return self.of_one(check, "check-warning", PASSING, text);
            }
            _ if is_maintenance(&check.id) => {
                let what = match check.id.as_str() {
                    NODE_MAINTENANCE => "its node",
                    _ => "it",
                };
                let text = format!("{what} is in maintenance: {}", record.notes);
                ("maintenance", text)
            }
            // An agent writes so of a client that did not report in time.
            (_, CheckKind::Ttl { ttl_ms }) if output.starts_with("TTL expired") => {
                let text = format!(
                    "{whose} check {name:?} was not renewed within its time to live of {} ms",
                    ttl_ms
                );
                ("ttl-expired", text)
            }
            (_, CheckKind::Alias(alias)) => {
                let what = match (&*alias.node, &*alias.service) {
                    (node, "") => format!("node {node:?}"),
                    ("", service) => format!("service {service:?} of the same node"),
                    (node, service) => format!("service {service:?} of node {node:?}"),
                };
                let text = format!("{whose} check {name:?} looks at {what}, which is not well");
                ("alias-critical", text)
            }
            _ => {
                let text = format!("{whose} check {name:?} is critical");
                ("check-critical", text)
            }
        };
        self.of_one(check, code, PASSING_AND_DNS, text);
    }

    fn of_one(
        &mut self,
        check: &CheckView,
        code: &'static str,
        hidden_from: &'static [&'static str],
        text: String,
    ) {
        let output = check.output().to_string();
        self.0.push(Reason {
            code,
            text,
            hidden_from,
            check: Some(check.id.to_string()),
            output: Some(output).filter(|output| !output.is_empty()),
        });
    }

    /// Whether DNS can say where it is.
    pub(super) fn of_place(&mut self, listed: &Listed) {
        let record = listed.instance.record();
        let address = listed.address(&record);
        if Address::of(address).is_none() {
            let text = format!(
                "its address {address:?} is neither an IP address nor a host name: DNS cannot say \
                 it; register it with one that is",
            );
            self.add("address-not-in-dns", DNS, text);
        }
    }

    /// Whether what was asked leaves it out.
    pub(super) fn of_question(&mut self, question: &Question, listed: &Listed, in_health: bool) {
        let selection = &question.selection;
        if !selection.takes_tags(&listed.instance.tags()) {
            let text = "it lacks a tag that was asked for".to_owned();
            self.add("tag", EVERYWHERE, text);
        }
        if !selection.takes_node(listed.instance.node()) {
            let text = "its node lacks metadata that was asked for".to_owned();
            self.add("node-meta", HTTP, text);
        }
        if selection.takes(listed) && !in_health {
            let text = "the filter that was given leaves it out".to_owned();
            self.add("filter", HTTP, text);
        }
    }
}

const fn why_stale(island: bool, status: Option<MemberStatus>) -> &'static str {
    match status {
        Some(MemberStatus::Restarting) => "the node said that it restarts",
        _ if island => "this agent is cut off and cannot know better",
        _ => "this agent has just started and has not met its cluster yet",
    }
}
