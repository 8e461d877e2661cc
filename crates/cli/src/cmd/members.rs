//! `tidings members`

use clap::Args;

use super::Asking;
use crate::{
    api::{Api, Member, Status},
    output::{self, age},
    table::{Table, Tone},
};

/// Lists the members of the cluster as an agent sees them.
///
/// Another agent may see others: each trusts its own probes.
#[derive(Debug, Args)]
pub(super) struct Members {
    #[command(flatten)]
    asking: Asking,
}

impl Members {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let status: Status = self.asking.api()?.get(&Api::STATUS).await?;
        if self.asking.json {
            return output::print_json(&status.members);
        }
        output::print(&table(&status).render(output::coloured()));
        Ok(())
    }
}

fn table(status: &Status) -> Table {
    let header = [
        "node",
        "address",
        "status",
        "for",
        "heard",
        "clock",
        "its instances",
        "id",
    ];
    let mut table = Table::new(header);
    let mut members: Vec<&Member> = status.members.iter().collect();
    members.sort_by(|a, b| (&a.name, &a.node_id).cmp(&(&b.name, &b.node_id)));
    for member in members {
        let heard = if member.node_id == status.node_id {
            "this agent".to_owned()
        } else {
            format!("{} ago", age(member.heard_ms))
        };
        let cells = [
            member.name.clone(),
            member.address.clone(),
            member.status.clone(),
            age(member.since_ms),
            heard,
            clock(member.clock_ahead_ms),
            served(&member.liveness).to_owned(),
            member.node_id.chars().take(ID_CHARS).collect(),
        ];
        table.row(tone(&member.status), cells);
    }
    table
}

fn tone(status: &str) -> Tone {
    match status {
        "alive" => Tone::Good,
        "suspect" | "restarting" => Tone::Doubtful,
        "down" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// How far a member's clock is off, for people: what the network may explain counts for nothing.
fn clock(ahead_ms: Option<i64>) -> String {
    let sign = |ahead: i64| if ahead < 0 { "-" } else { "+" };
    match ahead_ms {
        None => "unknown".to_owned(),
        Some(ahead) if ahead.unsigned_abs() < NOTICED_MS => "right".to_owned(),
        Some(ahead) => format!("{}{}", sign(ahead), age(ahead.unsigned_abs())),
    }
}

/// What a member's liveness means for its instances.
fn served(liveness: &str) -> &str {
    match liveness {
        "live" => "served",
        "stale" => "served as stale",
        "last resort" => "served if no other is left",
        "hidden" => "not served",
        other => other,
    }
}

/// Clocks that differ by less are called right.
const NOTICED_MS: u64 = 100;
/// Digits of an id that tell nodes apart at a glance.
const ID_CHARS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_down_is_shown_with_what_it_means() {
        let text = r#"{"name":"b","node_id":"0123456789abcdef","address":"127.0.0.1:8311",
            "status":"down","liveness":"hidden","since_ms":7000,"heard_ms":12000,
            "clock_ahead_ms":-61000}"#;
        let member: Member = serde_json::from_str(text).unwrap();
        let text = format!(
            r#"{{"name":"a","node_id":"00","cluster":"c","datacenter":"dc1","version":"0",
            "uptime_ms":1,"fingerprint":"0","reachable":1,"expected":2,"island":false,"pending":0,
            "conflicts":0,"feeds":1,"entries":1,"differs_for_ms":null,"refused":0,"index":7,
            "members":[{}]}}"#,
            serde_json::to_string(&member).unwrap()
        );
        let status: Status = serde_json::from_str(&text).unwrap();
        let shown = table(&status).render(false);
        for part in ["down", "7s", "12s ago", "-1m", "not served", "01234567"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
    }
}
