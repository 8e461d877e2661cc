//! `tidings status`

use clap::Args;

use super::Asking;
use crate::{
    api::{Api, Status},
    output::{self, age},
    table::{Table, Tone},
};

/// Shows how an agent stands: reachable members, fingerprint, pending records, conflicts.
#[derive(Debug, Args)]
pub(super) struct ShowStatus {
    #[command(flatten)]
    asking: Asking,
}

impl ShowStatus {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        if self.asking.json {
            let status: serde_json::Value = api.get(&Api::STATUS).await?;
            return output::print_json(&status);
        }
        let status: Status = api.get(&Api::STATUS).await?;
        output::print(&table(&status).render(output::coloured()));
        Ok(())
    }
}

fn table(status: &Status) -> Table {
    let mut table = Table::new(["agent", status.name.as_str()]);
    let mut row = |tone, label: &str, value: String| {
        table.row(tone, [label.to_owned(), value]);
    };
    let plain = Tone::Plain;
    row(plain, "node id", status.node_id.clone());
    row(plain, "version", status.version.clone());
    let place = format!("{}, datacenter {}", status.cluster, status.datacenter);
    row(plain, "cluster", place);
    row(plain, "up for", age(status.uptime_ms));
    let (tone, note) = match (status.island, status.reachable < status.expected) {
        (true, _) => (
            Tone::Bad,
            ": cut off; what was last known is served, marked stale",
        ),
        (false, true) => (Tone::Doubtful, ""),
        (false, false) => (Tone::Good, ""),
    };
    let reachable = format!("{} of {}{note}", status.reachable, status.expected);
    row(tone, "reachable", reachable);
    row(plain, "fingerprint", status.fingerprint.clone());
    let (tone, differs) = match status.differs_for_ms {
        None => (Tone::Good, "no".to_owned()),
        Some(ms) => (Tone::Doubtful, format!("for {}", age(ms))),
    };
    row(tone, "differs", differs);
    let alone = status.reachable <= 1;
    let note = match (status.pending, alone) {
        (0, _) => "",
        (_, true) => " not yet at a peer: none is reachable",
        (_, false) => " not yet at a peer",
    };
    row(plain, "pending", format!("{}{note}", status.pending));
    let tone = if status.conflicts == 0 {
        plain
    } else {
        Tone::Doubtful
    };
    row(tone, "conflicts", status.conflicts.to_string());
    let entries = format!("{} in {} feeds", status.entries, status.feeds);
    row(plain, "records", entries);
    row(plain, "refused", status.refused.to_string());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(island: bool, reachable: usize) -> Status {
        Status {
            name: "a".to_owned(),
            node_id: "00".to_owned(),
            cluster: "tidings".to_owned(),
            datacenter: "dc1".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_ms: 61_000,
            fingerprint: "ff".to_owned(),
            reachable,
            expected: 3,
            island,
            pending: 2,
            conflicts: 0,
            feeds: 3,
            entries: 9,
            differs_for_ms: None,
            refused: 0,
            members: Vec::new(),
        }
    }

    #[test]
    fn an_island_is_told_in_words() {
        let text = table(&status(true, 1)).render(false);
        assert!(text.contains("1 of 3: cut off"), "{text}");
        assert!(
            text.contains("2 not yet at a peer: none is reachable"),
            "{text}"
        );
        let text = table(&status(false, 3)).render(false);
        assert!(text.contains("3 of 3\n"), "{text}");
        assert!(text.contains("1m01s"), "{text}");
    }
}
