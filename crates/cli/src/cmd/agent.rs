//! `tidings agent`

use std::path::PathBuf;

use clap::Args;
use tidings_agent::Settings;

use crate::{
    logging,
    options::{AgentOptions, usage},
    run,
};

/// Runs an agent that keeps its registrations on disk.
#[derive(Debug, Args)]
#[command(after_help = run::SIGNALS)]
pub(super) struct Agent {
    /// A TOML file of these options, named with underscores (data_dir = "/var/lib/tidings").
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: AgentOptions,
}

impl Agent {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let file = self.config.as_deref().map(AgentOptions::read).transpose()?;
        let options = self.options.or(file.unwrap_or_default());
        if options.data_dir().is_none() {
            return Err(usage(anyhow::anyhow!(
                "an agent needs a place for what it acknowledges: give --data-dir DIR, or try \
                 things out in memory with `tidings dev`"
            )));
        }
        let log = logging::start(options.log_format(), options.log_level())?;
        let settings = Settings::check(options.into()).map_err(usage)?;
        let settings = settings.with_log(log);
        run::until_stopped(async || {
            let started = tidings_agent::Agent::start(settings.clone()).await;
            started.map_err(|error| match error.is_of_settings() {
                true => usage(error),
                false => error.into(),
            })
        })
    }
}
