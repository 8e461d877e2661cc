//! Where scenarios are: files, or every file of a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{Mutant, Plan, Recording, Report, Scenario, World, trace::Sink};

/// The scenarios that ship with the simulator.
pub const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
/// Scenarios that once failed.
pub const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");

/// The scenario files that `paths` name; a folder names each of its own, in order.
///
/// # Errors
/// A path cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in
            fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?
        {
            let file = entry?.path();
            if file.extension().is_some_and(|ending| ending == "toml") {
                found.push(file);
            }
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Loads a scenario's file and makes it concrete, with another seed if one is given.
///
/// # Errors
/// Says what in the file is wrong.
pub fn load(file: &Path, seed: Option<u64>, settings: &[String]) -> Result<Plan> {
    let mut scenario = Scenario::load(file, settings)?;
    let stem = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    ensure!(
        scenario.name == stem,
        "{} calls itself {:?}: the name must be the file's",
        file.display(),
        scenario.name
    );
    scenario.seed = seed.unwrap_or(scenario.seed);
    Plan::new(&scenario).with_context(|| format!("in {}", file.display()))
}

/// Runs a scenario's file.
///
/// # Errors
/// Says what in the file is wrong.
pub fn run(
    file: &Path,
    seed: Option<u64>,
    settings: &[String],
    mutant: Mutant,
    sink: Option<Sink>,
) -> Result<Report> {
    Ok(World::new(load(file, seed, settings)?, mutant, sink).run())
}

/// Runs a scenario's file and takes down what happens.
///
/// # Errors
/// Says what in the file is wrong.
pub fn record(
    file: &Path,
    seed: Option<u64>,
    settings: &[String],
    mutant: Mutant,
) -> Result<(Report, Recording)> {
    Ok(World::new(load(file, seed, settings)?, mutant, None).record())
}
