//! The commands, one file each.

mod agent;
mod conflicts;
mod dev;
mod doctor;
mod drain;
mod explain;
mod force_leave;
mod join;
mod keygen;
mod keyring;
mod leave;
mod lookup;
mod members;
mod services;
mod status;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    api::{Api, Trust},
    exit,
};

/// tidings: a service registry without a leader.
///
/// Every host runs one agent; every agent holds the whole registry and answers HTTP and DNS from
/// its own memory, also while the network is split.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, after_help = exit::HELP, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an agent to try things out: no configuration, no root, everything in memory.
    Dev(dev::Dev),
    /// Run an agent that keeps its registrations on disk.
    Agent(Box<agent::Agent>),
    /// List the members of the cluster as an agent sees them.
    Members(members::Members),
    /// List the services.
    Services(services::Services),
    /// Show where a service is served.
    Lookup(lookup::Lookup),
    /// Follow services: one line per change.
    Watch(watch::Watch),
    /// Tell why each instance of a service is in the answers, or is not.
    Explain(explain::Explain),
    /// Look for what is wrong with an agent, its host and its way to the others.
    Doctor(doctor::Doctor),
    /// Show records that were written on both sides of a split, with both values.
    Conflicts(conflicts::Conflicts),
    /// Show how an agent stands: reachable members, fingerprint, pending records, conflicts.
    Status(status::ShowStatus),
    /// Have a running agent join the cluster of another.
    Join(join::Join),
    /// Take a host's instances out of all answers, wait, and have its agent leave.
    Drain(drain::Drain),
    /// Have a running agent leave its cluster for good and stop.
    Leave(leave::Leave),
    /// Take a member off that is down and will not come back.
    ForceLeave(force_leave::ForceLeave),
    /// Print the content of a new key file.
    Keygen(keygen::Keygen),
    /// Show the cluster keys, and replace one while the agents run.
    Keyring(keyring::Keyring),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Dev(dev) => dev.run(),
            Command::Agent(agent) => agent.run(),
            Command::Members(members) => ask(members.run()),
            Command::Services(services) => ask(services.run()),
            Command::Lookup(lookup) => ask(lookup.run()),
            Command::Watch(watch) => ask(watch.run()),
            Command::Explain(explain) => ask(explain.run()),
            Command::Doctor(doctor) => ask(doctor.run()),
            Command::Conflicts(conflicts) => ask(conflicts.run()),
            Command::Status(status) => ask(status.run()),
            Command::Join(join) => ask(join.run()),
            Command::Drain(drain) => ask(drain.run()),
            Command::Leave(leave) => ask(leave.run()),
            Command::ForceLeave(force_leave) => ask(force_leave.run()),
            Command::Keygen(keygen) => keygen.run(),
            Command::Keyring(keyring) => ask(keyring.run()),
        }
    }
}

/// Where the agent is that is asked, and how its answer is shown.
#[derive(Debug, Default, Args)]
struct Asking {
    /// The agent's HTTP address, or https://HOST:PORT.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "TIDINGS_HTTP_ADDR",
        default_value = "127.0.0.1:8500"
    )]
    http: String,
    /// With https:// in --http: the authorities to trust, PEM [default: the system's].
    #[arg(long, value_name = "FILE", env = "TIDINGS_CACERT")]
    ca_file: Option<PathBuf>,
    /// With https://: the certificate to show to an agent that wants one, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDINGS_CLIENT_CERT",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,
    /// The private key of that certificate, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDINGS_CLIENT_KEY",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Asking {
    fn api(&self) -> anyhow::Result<Api> {
        let trust = Trust {
            ca_file: self.ca_file.as_deref(),
            client: self.client_cert.as_deref().zip(self.client_key.as_deref()),
        };
        Api::new(&self.http, &trust)
    }
}

/// Runs a command that asks an agent: one thread is enough.
fn ask(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_and_flags_fit_together() {
        Cli::command().debug_assert();
    }
}
