//! `compare`: the numbers of two builds, or of two sets of results, side by side.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use tidings_sim::catalogue;

use crate::output;

/// Fields of a report that say which run it is, and no number that could get better or worse.
const NO_NUMBERS: [&str; 3] = ["seed", "nodes", "virtual_seconds"];

#[derive(Args)]
pub(crate) struct Compare {
    /// A build of this program, or a file or folder of what its `run --json` printed.
    base: PathBuf,
    /// What to compare with it.
    head: PathBuf,
    /// What builds run: scenario files, or folders of them.
    #[arg(default_value = catalogue::SCENARIOS)]
    files: Vec<PathBuf>,
    /// Prints one JSON object per difference.
    #[arg(long)]
    json: bool,
}

/// The numbers of each scenario, by name.
type Results = BTreeMap<String, BTreeMap<String, f64>>;

/// One number that is not the same.
struct Difference {
    scenario: String,
    number: String,
    base: Option<f64>,
    head: Option<f64>,
}

/// Prints what differs. Differences are no failure.
pub(crate) fn run(args: &Compare) -> Result<u8> {
    let base = results(&args.base, &args.files)?;
    let head = results(&args.head, &args.files)?;
    let differences = differences(&base, &head);
    for difference in &differences {
        output::line(&if args.json {
            difference.json().to_string()
        } else {
            difference.line()
        });
    }
    if !args.json {
        let scenarios = base.keys().filter(|name| head.contains_key(*name)).count();
        output::line(&format!(
            "{} differences in {scenarios} scenarios that both have",
            differences.len()
        ));
    }
    Ok(0)
}

impl Difference {
    fn line(&self) -> String {
        let show = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
        let change = match (self.base, self.head) {
            (Some(base), Some(head)) if base != 0.0 => {
                format!("{:+.1} %", 100.0 * (head - base) / base)
            }
            _ => String::new(),
        };
        format!(
            "{:<32} {:<28} {:>14} {:>14} {change:>10}",
            self.scenario,
            self.number,
            show(self.base),
            show(self.head),
        )
    }

    fn json(&self) -> Value {
        serde_json::json!({
            "scenario": self.scenario,
            "number": self.number,
            "base": self.base,
            "head": self.head,
        })
    }
}

fn differences(base: &Results, head: &Results) -> Vec<Difference> {
    let mut found = Vec::new();
    for (scenario, numbers) in base {
        let Some(others) = head.get(scenario) else {
            continue;
        };
        let mut names: Vec<&String> = numbers.keys().chain(others.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for number in names {
            let (base, head) = (numbers.get(number).copied(), others.get(number).copied());
            if base != head {
                found.push(Difference {
                    scenario: scenario.clone(),
                    number: number.clone(),
                    base,
                    head,
                });
            }
        }
    }
    found
}

fn results(source: &Path, files: &[PathBuf]) -> Result<Results> {
    let text = if source.is_dir() {
        let mut text = String::new();
        for entry in fs::read_dir(source)? {
            text.push_str(&fs::read_to_string(entry?.path())?);
            text.push('\n');
        }
        text
    } else {
        let content =
            fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        if content.first() == Some(&b'{') {
            String::from_utf8(content)?
        } else {
            run_build(source, files)?
        }
    };
    let results = read(&text);
    ensure!(
        !results.is_empty(),
        "{} has no results: it is neither a build nor what `run --json` printed",
        source.display()
    );
    Ok(results)
}

fn run_build(build: &Path, files: &[PathBuf]) -> Result<String> {
    let mut command = Command::new(build);
    command.args(["run", "--json"]).args(files);
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", build.display()))?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The numbers of each report, those of its tables included.
fn read(text: &str) -> Results {
    let reports = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let named = reports.filter_map(|report| {
        let name = report.get("name")?.as_str()?.to_owned();
        let mut numbers = BTreeMap::new();
        collect(&report, "", &mut numbers);
        Some((name, numbers))
    });
    named.collect()
}

fn collect(value: &Value, path: &str, numbers: &mut BTreeMap<String, f64>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let name = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        if let Some(number) = value
            .as_f64()
            .filter(|_| !NO_NUMBERS.contains(&key.as_str()))
        {
            numbers.insert(name, number);
        } else {
            collect(value, &name, numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_differ_are_told() {
        let base = read(
            "{\"name\":\"a\",\"seed\":1,\"events\":100,\"probes\":{\"shed\":2}}\nnoise\n{\"name\":\"b\",\"events\":5}",
        );
        let head = read("{\"name\":\"a\",\"seed\":2,\"events\":150,\"probes\":{\"shed\":2}}");
        let found = differences(&base, &head);
        assert_eq!(found.len(), 1);
        assert!(found[0].line().contains("+50.0 %"), "{}", found[0].line());
        assert_eq!(found[0].json()["head"], 150.0);
    }
}
