//! `new`: a scenario to start from.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tidings_sim::catalogue;

use crate::output;

#[derive(Args)]
pub(crate) struct New {
    /// What to call it: small letters, digits and hyphens.
    name: String,
    /// The folder to put it into.
    #[arg(long, default_value = catalogue::SCENARIOS)]
    out: PathBuf,
}

/// Writes the starter under that name; never over a file that is there.
pub(crate) fn run(args: &New) -> Result<u8> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !args.name.is_empty() && args.name.chars().all(is_name),
        "{:?} is no name for a scenario: use small letters, digits and hyphens",
        args.name
    );
    let file = args.out.join(format!("{}.toml", args.name));
    write(&file, &catalogue::starter(&args.name))
        .with_context(|| format!("cannot write {}", file.display()))?;
    output::line(&format!(
        "{} is there and passes; change it",
        file.display()
    ));
    Ok(0)
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(file)?;
    file.write_all(text.as_bytes())
}
