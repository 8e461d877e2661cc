//! Where scenarios are: files, or every file of a folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{Mutant, Plan, Recording, Report, Scenario, World, scenario::Place, trace::Sink};

/// The scenarios that ship with the simulator.
pub const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
/// Scenarios that once failed.
pub const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
/// Scenarios that fail: bugs that are known and not mended yet. Each name begins with the invariant.
pub const OPEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/open");

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
    Plan::new(&scenario).map_err(|error| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = error
            .downcast_ref::<Place>()
            .and_then(|place| place.line(&text));
        let line = line.map_or_else(String::new, |line| format!(", line {line}"));
        error.context(format!("in {}{line}", file.display()))
    })
}

/// The text of a scenario of that name to start from. It passes.
pub fn starter(name: &str) -> String {
    include_str!("starter.toml").replace("NAME", name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_passes() {
        let scenario = Scenario::parse(&starter("first"), &[]).unwrap();
        assert_eq!(scenario.name, "first");
        let report = World::new(Plan::new(&scenario).unwrap(), Mutant::None, None).run();
        assert_eq!(report.verdict, crate::Verdict::Pass, "{:?}", report.verdict);
    }

    #[test]
    fn a_contradiction_is_told_with_its_line() {
        let folder = std::env::temp_dir().join(format!("tidings-mistake-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("wrong.toml");
        let text = starter("wrong").replace("between = [\"left\", \"right\"]", "between = [0, 9]");
        fs::write(&file, text).unwrap();
        let error = format!("{:#}", load(&file, None, &[]).unwrap_err());
        fs::remove_dir_all(folder).unwrap();
        assert!(
            error.contains("wrong.toml, line 31: in [[fault]] number 1"),
            "{error}"
        );
        assert!(
            error.contains("there is no host 9; hosts are 0 to 4"),
            "{error}"
        );
    }
}
