//! `tidings keyring`

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::Asking;
use crate::{
    api::{Keyring as Report, KeyringKey},
    exit::{Code, Failure},
    output,
    table::{Table, Tone},
};

/// Shows the cluster keys, and replaces one while the agents run.
///
/// A key is replaced in three steps: `add` the new one, `use` it, `remove` the old one. Each step is
/// made on all members that are reachable and is kept in their key files; `list` shows whether it is
/// safe to go on. A member that was away meanwhile must be given the new key file before it comes
/// back.
#[derive(Debug, Args)]
pub(super) struct Keyring {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show which keys are accepted, by whom, and who sends under which.
    List(Common),
    /// Accept one more key.
    Add(Add),
    /// Send under a key that all accept.
    Use(ById),
    /// Accept a key no longer under which nobody sends.
    Remove(ById),
}

#[derive(Debug, Args)]
struct Add {
    /// The file with the new key, as `tidings keygen` prints it; - reads standard input. The key is
    /// never taken from the command line, which every user of the host can see.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct ById {
    /// The key's id, as `tidings keyring list` shows it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Ask this agent alone, in place of all members that it reaches.
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Keyring {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (common, path, body) = match self.act {
            Act::List(common) => (common, vec![], None),
            Act::Add(Add { file, common }) => {
                let body = serde_json::json!({ "Key": read(&file)? });
                (common, vec!["add".to_owned()], Some(body))
            }
            Act::Use(ById { id, common }) => (common, vec!["use".to_owned(), id], None),
            Act::Remove(ById { id, common }) => (common, vec!["remove".to_owned(), id], None),
        };
        let base = ["v1", "tidings", "keyring"];
        let path: Vec<&str> = base.into_iter().chain(path.iter().map(|s| &**s)).collect();
        let api = common.asking.api()?.patient(ANSWER_WITHIN);
        let query = common.local.then_some("local");
        let report: Report = if path.len() == base.len() {
            api.get_with(&path, query).await?
        } else {
            api.put_with(&path, query, body.as_ref()).await?
        };
        if common.asking.json {
            output::print_json(&report)?;
        } else {
            output::print(&shown(&report, output::coloured()));
        }
        report.ensure_all_did()
    }
}

impl Report {
    /// Fails if some member did not do what was asked.
    fn ensure_all_did(&self) -> anyhow::Result<()> {
        let failed = self.members.iter().filter(|member| !member.is_ok);
        let failed: Vec<&str> = failed.map(|member| member.name.as_str()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let text = format!(
            "not done on {}; the reason stands in the table, and the command can be given again",
            failed.join(", ")
        );
        Err(Failure::new(Code::Failed, text).into())
    }
}

/// A key file's text.
fn read(path: &PathBuf) -> anyhow::Result<String> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        io::stdin().take(FILE_BYTES).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text))
    }
    .with_context(|| format!("the key file {} cannot be read", path.display()))
    .map_err(crate::options::usage)?;
    Ok(text)
}

fn shown(report: &Report, coloured: bool) -> String {
    let mut keys = Table::new(["key", "this agent", "accepted by", "sent under by", "next"]);
    for key in &report.keys {
        let (tone, next) = next(key, report);
        keys.row(
            tone,
            [
                key.id.clone(),
                here(key, report).to_owned(),
                format!("{} of {}", key.accepted_by, report.members.len()),
                format!("{} of {}", key.sent_by, report.reachable),
                next.to_owned(),
            ],
        );
    }
    let mut members = Table::new(["member", "sends under", "accepts", "outcome"]);
    for member in &report.members {
        let (first, others) = match member.accepts.split_first() {
            Some((first, others)) => (first.clone(), others.join(" ")),
            None => (String::new(), String::new()),
        };
        let tone = if member.is_ok { Tone::Plain } else { Tone::Bad };
        members.row(
            tone,
            [member.name.clone(), first, others, member.outcome.clone()],
        );
    }
    format!("{}\n{}", keys.render(coloured), members.render(coloured))
}

fn here(key: &KeyringKey, report: &Report) -> &'static str {
    let own = report.members.first();
    if key.in_use {
        "sends under it"
    } else if own.is_some_and(|own| own.accepts.contains(&key.id)) {
        "accepts it"
    } else {
        "lacks it"
    }
}

/// What may be done with a key, as far as those asked tell.
fn next(key: &KeyringKey, report: &Report) -> (Tone, &'static str) {
    let asked_all = report.members.len() == report.reachable;
    let accepted = key.accepted_by == report.members.len();
    match (asked_all, accepted, key.sent_by) {
        (false, ..) => (Tone::Plain, "ask all members, without --local"),
        (_, false, 0) => (
            Tone::Doubtful,
            "add it everywhere before it is used, or remove it",
        ),
        (_, false, _) => (
            Tone::Bad,
            "add it everywhere: some send under it, some lack it",
        ),
        (_, true, 0) => (Tone::Plain, "may be used, or removed"),
        (_, true, sent_by) if sent_by == report.reachable => (Tone::Good, "in use everywhere"),
        (_, true, _) => (Tone::Doubtful, "in use by some; may be used everywhere"),
    }
}

/// A member that does not answer is given up after seconds, and there may be several.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of a key file that are read.
const FILE_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_safe_next_is_told() {
        let report = report(
            r#"{"reachable": 2, "keys": [
                {"id": "0a", "in_use": true, "accepted_by": 2, "sent_by": 2},
                {"id": "0b", "in_use": false, "accepted_by": 2, "sent_by": 0},
                {"id": "0c", "in_use": false, "accepted_by": 1, "sent_by": 0}],
              "members": [
                {"name": "n1", "node_id": "1", "accepts": ["0a", "0b"], "heard_under": null,
                 "is_ok": true, "outcome": "as before"},
                {"name": "n2", "node_id": "2", "accepts": ["0a", "0b", "0c"], "heard_under": "0a",
                 "is_ok": false, "outcome": "refused: full"}]}"#,
        );
        let text = shown(&report, false);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("0a").contains("in use everywhere"), "{text}");
        assert!(line("0b").contains("may be used, or removed"), "{text}");
        assert!(line("0c").contains("lacks it"), "{text}");
        assert!(line("0c").contains("add it everywhere"), "{text}");
        assert!(line("n2").contains("refused: full"), "{text}");
        let error = report.ensure_all_did().unwrap_err().to_string();
        assert!(error.contains("n2") && !error.contains("n1"), "{error}");
    }

    #[test]
    fn one_agent_alone_says_nothing_of_the_others() {
        let report = report(
            r#"{"reachable": 3, "keys": [{"id": "0a", "in_use": true, "accepted_by": 1,
                "sent_by": 3}], "members": [{"name": "n1", "node_id": "1", "accepts": ["0a"],
                "heard_under": null, "is_ok": true, "outcome": "as before"}]}"#,
        );
        assert!(shown(&report, false).contains("without --local"));
        assert!(report.ensure_all_did().is_ok());
    }
}
