//! `tidings conflicts`

use std::collections::BTreeSet;

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Asking;
use crate::{
    output,
    table::{Table, Tone},
};

/// Shows shared records that were written on both sides of a split, with both values.
///
/// The write with the greater stamp is in force on every agent; what it beat is shown below it, until
/// somebody writes the record again.
#[derive(Debug, Args)]
pub(super) struct Conflicts {
    /// Only records of this service.
    #[arg(long)]
    service: Option<String>,
    /// Only records on this node.
    #[arg(long)]
    node: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What the agent tells.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    total: usize,
    conflicts: Vec<Conflict>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Conflict {
    kind: String,
    node: String,
    id: Option<String>,
    service: Option<String>,
    in_force: Write,
    beaten: Vec<Write>,
    beaten_total: usize,
    differ: Vec<String>,
    remedy: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Write {
    by: String,
    by_id: String,
    at_ms: u64,
    value: Value,
}

impl Conflicts {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let path = ["v1", "tidings", "conflicts"];
        let query = self.query();
        let told: Told = self.asking.api()?.get_with(&path, query.as_deref()).await?;
        if self.asking.json {
            return output::print_json(&told);
        }
        output::print(&text(&told, output::coloured()));
        Ok(())
    }

    fn query(&self) -> Option<String> {
        let mut url: Url = "http://agent/".parse().ok()?;
        let asked = [("service", &self.service), ("node", &self.node)];
        for (name, value) in asked {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        url.query().map(str::to_owned)
    }
}

fn text(told: &Told, coloured: bool) -> String {
    let Some(first) = told.conflicts.first() else {
        return "no record is in conflict\n".to_owned();
    };
    let more = match told.total - told.conflicts.len().min(told.total) {
        0 => String::new(),
        more => format!("{more} more are in conflict; ask with --service or --node\n"),
    };
    let table = table(&told.conflicts).render(coloured);
    format!("{table}{more}{}\n", first.remedy)
}

/// Those that touch what is answered about a service, each once, and what to do; nothing if there are none.
pub(super) fn among<'a>(found: impl Iterator<Item = &'a Conflict>, coloured: bool) -> String {
    // Instances on one node share what is told of the node.
    let mut seen = BTreeSet::new();
    let conflicts: Vec<_> = found
        .filter(|conflict| seen.insert(record(conflict)))
        .collect();
    match conflicts.first() {
        None => String::new(),
        Some(first) => {
            let remedy = &first.remedy;
            let table = table(conflicts.iter().copied()).render(coloured);
            format!("{table}{remedy}\n")
        }
    }
}

fn table<'a>(conflicts: impl IntoIterator<Item = &'a Conflict>) -> Table {
    let mut table = Table::new(["record", "", "written at", "what differs"]);
    for conflict in conflicts {
        let differs = |write: &Write| differs(&conflict.differ, &write.value);
        let record = record(conflict);
        let cells = |record, word: &str, write: &Write| {
            [record, word.to_owned(), write.by.clone(), differs(write)]
        };
        table.row(Tone::Good, cells(record, "in force", &conflict.in_force));
        for write in &conflict.beaten {
            table.row(Tone::Bad, cells(String::new(), "beaten", write));
        }
        let hidden = conflict.beaten_total - conflict.beaten.len().min(conflict.beaten_total);
        if hidden > 0 {
            let more = format!("{hidden} more beaten");
            table.row(Tone::Plain, ["".into(), more, "".into(), "".into()]);
        }
    }
    table
}

fn record(conflict: &Conflict) -> String {
    match (&conflict.id, &conflict.service) {
        (None, _) => format!("{} {}", conflict.kind, conflict.node),
        (Some(id), Some(service)) if service != id => {
            format!("{} {id} ({service}) on {}", conflict.kind, conflict.node)
        }
        (Some(id), _) => format!("{} {id} on {}", conflict.kind, conflict.node),
    }
}

/// The fields that differ, as this write has them.
fn differs(fields: &[String], value: &Value) -> String {
    let Value::Object(said) = value else {
        return "removed".to_owned();
    };
    let shown = fields.iter().map(|field| {
        let value = said.get(field).unwrap_or(&Value::Null);
        match value.as_str() {
            Some(text) => format!("{field}={text}"),
            None => format!("{field}={value}"),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_values_are_shown_with_what_differs() {
        let told = r#"{"total": 1, "conflicts": [{
            "kind": "service", "node": "mainframe", "id": "db", "service": "db",
            "in_force": {"by": "one", "by_id": "01", "at_ms": 5, "value": {"port": 1, "address": "a"}},
            "beaten": [
                {"by": "two", "by_id": "02", "at_ms": 4, "value": {"port": 2, "address": "a"}},
                {"by": "three", "by_id": "03", "at_ms": 3, "value": null}],
            "beaten_total": 3, "differ": ["port"], "remedy": "write it again"}]}"#;
        let told: Told = serde_json::from_str(told).unwrap();
        let shown = text(&told, false);
        for part in [
            "service db on mainframe",
            "port=1",
            "port=2",
            "removed",
            "1 more beaten",
            "write it again",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert!(!shown.contains("address="), "{shown}");
    }
}
