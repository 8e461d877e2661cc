//! `tidings drain`

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use clap::Args;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use super::Asking;
use crate::{
    api::{Api, Status},
    exit::{Code, Failure},
    output, span,
};

/// Takes this host's instances out of all answers, waits, and has the agent leave.
///
/// The agent's node is put into maintenance, as `PUT /v1/agent/maintenance` does: no instance of it is
/// handed out any more, while the agent still answers and what is connected goes on. After the time
/// the agent leaves its cluster and stops. Interrupted before that (SIGINT, SIGTERM), the maintenance
/// is taken back and the agent stays; with code 1.
///
/// Maintenance outlives the agent: when it runs again, its instances stay out until `tidings drain
/// --undo`.
#[derive(Debug, Args)]
pub(super) struct Drain {
    /// How long clients have to go elsewhere, such as 20s or 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = span::parse, default_value = "20s")]
    wait: Duration,
    /// Why: shown by `tidings explain` and in the check `_node_maintenance`.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "draining: this host is about to leave"
    )]
    reason: String,
    /// Only put the instances back that an earlier drain took out.
    #[arg(long, conflicts_with_all = ["wait", "reason"])]
    undo: bool,
    #[command(flatten)]
    asking: Asking,
}

/// The agent's checks, as far as it matters which there are.
#[derive(Debug, Deserialize)]
struct Checks {
    #[serde(rename = "_node_maintenance")]
    maintenance: Option<serde_json::Value>,
}

impl Drain {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.asking.api()?;
        if self.undo {
            maintain(&api, false, "").await?;
            return self.tell(
                json!({ "undone": true }),
                "the instances are back in the answers",
            );
        }
        // Whoever stops it while it begins is heard as well.
        let mut interrupts = Interrupts::new()?;
        let checks: Checks = api.get(&["v1", "agent", "checks"]).await?;
        let was_on = checks.maintenance.is_some();
        maintain(&api, true, &self.reason).await?;
        let status: Status = api.get(&Api::STATUS).await?;
        if status.island {
            output::note(&format!(
                "this agent is cut off ({} of {} agents in reach): the others go on handing out its \
                 instances until they take it to be down",
                status.reachable, status.expected
            ));
        }
        tokio::select! {
            () = wait(self.wait) => {}
            () = interrupts.next() => return Err(take_back(&api, was_on).await),
        }
        api.put(&["v1", "agent", "leave"], None).await?;
        self.tell(
            json!({ "drained": true, "left": true }),
            "the agent has left the cluster and stops; once it runs again, `tidings drain --undo` puts \
             its instances back",
        )
    }

    fn tell(&self, json: serde_json::Value, text: &str) -> anyhow::Result<()> {
        if self.asking.json {
            return output::print_json(&json);
        }
        output::print(&format!("{text}\n"));
        Ok(())
    }
}

async fn maintain(api: &Api, enable: bool, reason: &str) -> anyhow::Result<()> {
    let query = maintenance_query(enable, reason);
    api.put(&["v1", "agent", "maintenance"], Some(&query)).await
}

fn maintenance_query(enable: bool, reason: &str) -> String {
    let mut url = Url::parse("http://agent").expect("a URL that is written here");
    let enable = if enable { "true" } else { "false" };
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("enable", enable);
    if !reason.is_empty() {
        pairs.append_pair("reason", reason);
    }
    drop(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// Ends the maintenance, unless it was there before: then it is somebody else's.
async fn take_back(api: &Api, was_on: bool) -> anyhow::Error {
    let text = if was_on {
        "interrupted: the agent stays, and so does the maintenance, which was on before".to_owned()
    } else {
        match maintain(api, false, "").await {
            Ok(()) => {
                "interrupted: the instances are back in the answers, and the agent stays".into()
            }
            Err(error) => format!(
                "interrupted, but the maintenance could not be taken back: {error}; `tidings drain \
                 --undo` tries again"
            ),
        }
    };
    Failure::new(Code::Failed, text).into()
}

/// Waits, and tells a terminal for how long.
async fn wait(span: Duration) {
    let end = Instant::now() + span;
    let is_watched = std::io::stderr().is_terminal();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        // Rounded up, so that it never says 0 while it waits.
        let seconds = left.as_millis().div_ceil(1_000);
        if is_watched {
            eprint(&format!(
                "\rout of the answers; leaving in {seconds}s, Ctrl-C takes it back \x1b[K"
            ));
        }
        sleep_until(end.min(Instant::now() + BEAT)).await;
    }
    if is_watched {
        eprint("\r\x1b[K");
    }
}

/// Writes to standard error; that nobody reads it is no reason to stop half-way.
fn eprint(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

struct Interrupts {
    terminate: Signal,
    interrupt: Signal,
}

impl Interrupts {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How often a terminal is told how much time is left.
const BEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_escaped() {
        assert_eq!(maintenance_query(false, ""), "enable=false");
        let query = maintenance_query(true, "new kernel & reboot");
        assert_eq!(query, "enable=true&reason=new+kernel+%26+reboot");
    }

    #[test]
    fn maintenance_is_found_among_the_checks() {
        let checks = |text| serde_json::from_str::<Checks>(text).unwrap();
        assert!(checks("{}").maintenance.is_none());
        let on = checks(r#"{"c":{},"_node_maintenance":{"Notes":"x"}}"#);
        assert!(on.maintenance.is_some());
    }
}
