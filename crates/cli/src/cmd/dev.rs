//! `tidings dev`

use std::{fmt::Write, net::SocketAddr, path::PathBuf};

use clap::Args;
use tidings_agent::{
    Addresses, Agent, DNS_PORT, GOSSIP_PORT, HTTP_PORT, LogTap, Options, Settings, StartError,
    host_name,
};

use crate::{
    logging::{self, LogFormat},
    options::usage,
    output, run,
};

/// How far the ports move together when one of them is taken.
const STEP: u16 = 10;
/// How often they may move.
const MOVES: u16 = 50;

/// Runs an agent to try things out: no configuration, no root, everything in memory.
///
/// HTTP on 8500, DNS on 8600, gossip on 8301, all on loopback. If one of them is taken, all three
/// move up by 10 until they are free. A second agent on the same machine:
/// `tidings dev --join 127.0.0.1:8301`.
#[derive(Debug, Args)]
#[command(after_help = run::SIGNALS)]
pub(super) struct Dev {
    /// What people call this node [default: the host's name, numbered if the ports moved].
    #[arg(long)]
    name: Option<String>,
    /// Another agent whose cluster to join; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    join: Vec<String>,
    /// A directory of definition files (*.json, *.hcl, *.toml), followed while the agent runs.
    #[arg(long, value_name = "DIR")]
    definition_dir: Option<PathBuf>,
    /// What is logged: a level or a filter such as info,tidings_http=debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

impl Dev {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let log = logging::start(LogFormat::Text, &self.log_level)?;
        run::until_stopped(|| self.start(&log))
    }

    async fn start(&self, log: &LogTap) -> anyhow::Result<Agent> {
        let mut moves = 0;
        loop {
            let name = self.name.clone().unwrap_or_else(|| name_after(moves));
            let settings = self.settings(name.clone(), moves).map_err(usage)?;
            match Agent::start(settings.with_log(log.clone())).await {
                Ok(agent) => {
                    output::print(&self.banner(&name, moves, agent.addresses()));
                    return Ok(agent);
                }
                Err(StartError::AddressTaken { .. }) if moves < MOVES => moves += 1,
                Err(error) if error.is_of_settings() => return Err(usage(error)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn settings(&self, name: String, moves: u16) -> anyhow::Result<Settings> {
        let by = moves * STEP;
        let options = Options {
            name: Some(name),
            gossip_port: Some(GOSSIP_PORT + by),
            http_port: Some(HTTP_PORT + by),
            dns_port: Some(DNS_PORT + by),
            join: self.join.clone(),
            definition_dir: self.definition_dir.clone(),
            ..Options::default()
        };
        Ok(Settings::check(options)?)
    }

    fn banner(&self, name: &str, moves: u16, at: &Addresses) -> String {
        let bold = |text: &str| {
            if output::coloured() {
                format!("\x1b[1m{text}\x1b[0m")
            } else {
                text.to_owned()
            }
        };
        let http = asked_at(at.http, HTTP_PORT, " --http ");
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<14}{value}");
        };
        line("HTTP", format!("http://{}", at.http));
        line(
            "DNS",
            format!(
                "{}   dig @{} -p {} NAME.service.consul SRV",
                at.dns,
                at.dns.ip(),
                at.dns.port()
            ),
        );
        line("gossip", at.gossip.to_string());
        if let Some(dir) = &self.definition_dir {
            line("definitions", format!("{}, followed", dir.display()));
        }
        line("members", format!("tidings members{http}"));
        line("status", format!("tidings status{http}"));
        line("second agent", format!("tidings dev --join {}", at.gossip));
        line("stop", "Ctrl-C".to_owned());
        let title = bold(&format!(
            "tidings {}, node {name}, in memory",
            env!("CARGO_PKG_VERSION")
        ));
        let moved = match moves {
            0 => String::new(),
            _ => format!(
                "  Ports were taken; all have moved up by {}.\n",
                moves * STEP
            ),
        };
        let alone = match (moves, self.join.is_empty()) {
            (1.., true) => format!(
                "  This agent is alone: nothing was given to --join. If another one runs here, start\n  \
                 this one with --join 127.0.0.1:{GOSSIP_PORT}.\n"
            ),
            _ => String::new(),
        };
        format!("\n{title}\n{moved}{alone}\n{text}\n")
    }
}

/// Names of agents on one machine must differ; those that found their ports taken are numbered.
fn name_after(moves: u16) -> String {
    match moves {
        0 => host_name(),
        _ => format!("{}-{}", host_name(), moves + 1),
    }
}

/// The flag that a command needs to ask at `at`, if any.
fn asked_at(at: SocketAddr, usual: u16, flag: &str) -> String {
    if at.port() == usual {
        String::new()
    } else {
        format!("{flag}{at}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev(join: &[&str]) -> Dev {
        Dev {
            name: None,
            definition_dir: None,
            join: join.iter().map(ToString::to_string).collect(),
            log_level: "info".to_owned(),
        }
    }

    fn addresses(moves: u16) -> Addresses {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port + moves * STEP));
        Addresses {
            http: at(HTTP_PORT),
            https: None,
            dns: at(DNS_PORT),
            gossip: at(GOSSIP_PORT),
        }
    }

    #[test]
    fn the_first_agent_shows_how_to_add_a_second() {
        let banner = dev(&[]).banner("host", 0, &addresses(0));
        assert!(banner.contains("http://127.0.0.1:8500"), "{banner}");
        assert!(
            banner.contains("tidings dev --join 127.0.0.1:8301"),
            "{banner}"
        );
        assert!(!banner.contains("--http"), "{banner}");
    }

    #[test]
    fn moved_ports_are_told_and_commands_name_them() {
        let banner = dev(&["127.0.0.1:8301"]).banner("host-2", 1, &addresses(1));
        assert!(banner.contains("http://127.0.0.1:8510"), "{banner}");
        assert!(
            banner.contains("tidings members --http 127.0.0.1:8510"),
            "{banner}"
        );
        assert!(banner.contains("have moved up by 10"), "{banner}");
        assert!(!banner.contains("This agent is alone"), "{banner}");
        let alone = dev(&[]).banner("host-2", 1, &addresses(1));
        assert!(alone.contains("This agent is alone"), "{alone}");
    }

    #[test]
    fn agents_on_one_machine_are_called_differently() {
        assert_ne!(name_after(0), name_after(1));
        assert!(name_after(1).ends_with("-2"));
    }
}
