//! `tidings doctor`

mod dns;
mod facts;
mod judge;

use clap::Args;
use serde::Serialize;

use self::facts::Facts;
use super::Asking;
use crate::{
    exit::{Code, Failure},
    output,
    table::{Table, Tone},
};

/// Looks for what is wrong with an agent, its host and its way to the others.
///
/// Seeds, ports, the size of packets that pass, keys, clocks, disk and limits: each finding comes with
/// what to do about it. Ends with code 1 if something is wrong, and with 3 if no agent answers.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Show what is in order, too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    asking: Asking,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What it is about, in a word.
    about: &'static str,
    level: Level,
    /// What was found.
    found: String,
    /// What to do about it; nothing if it is in order.
    remedy: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Ok,
    /// It could not be looked at; the finding says why.
    Unknown,
    Warning,
    Problem,
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        output::progress("asking the agent, its seeds and the members that it reaches...");
        let facts = Facts::gather(api).await;
        output::progress_ends();
        let facts = facts?;
        let findings = judge::findings(&facts);
        if self.asking.json {
            output::print_json(&findings)?;
        } else {
            let shown = shown(&findings, self.all, output::coloured());
            output::print(&shown);
        }
        let problems = count(&findings, Level::Problem);
        if problems == 0 {
            return Ok(());
        }
        let text = format!("{problems} of {} things are wrong", findings.len());
        Err(Failure::new(Code::Failed, text).into())
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    let of_level = findings.iter().filter(|finding| finding.level == level);
    of_level.count()
}

fn shown(findings: &[Finding], all: bool, coloured: bool) -> String {
    let mut text = String::new();
    let mut rows = Table::new(["about", "", "found", "what to do"]);
    let mut worst_first: Vec<&Finding> = findings.iter().collect();
    worst_first.retain(|finding| all || finding.level != Level::Ok);
    worst_first.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    for finding in &worst_first {
        rows.row(
            finding.level.tone(),
            [
                finding.about.to_owned(),
                finding.level.word().to_owned(),
                finding.found.clone(),
                finding.remedy.clone(),
            ],
        );
    }
    if !worst_first.is_empty() {
        text.push_str(&rows.render(coloured));
    }
    let in_order = count(findings, Level::Ok);
    let note = match (all, in_order == findings.len()) {
        (true, _) => return text,
        (false, true) => "",
        (false, false) => " (--all shows them)",
    };
    text.push_str(&format!(
        "{in_order} of {} things are in order{note}\n",
        findings.len()
    ));
    text
}

impl Level {
    const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Unknown => Tone::Plain,
            Self::Warning => Tone::Doubtful,
            Self::Problem => Tone::Bad,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "not checked",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}
