//! `tidings keygen`

use clap::Args;
use tidings_agent::Keys;

use crate::output;

/// Prints the content of a new key file: `tidings keygen > cluster.key`.
#[derive(Debug, Args)]
pub(super) struct Keygen {}

impl Keygen {
    pub(super) fn run(self) -> anyhow::Result<()> {
        output::print(&Keys::generate()?);
        Ok(())
    }
}
