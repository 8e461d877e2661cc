//! Failures that a search has met, those alike together.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{Scenario, check::Violation, swarm::Profile};

/// How much of a failure's text tells it apart from others, in characters.
const TELLING: usize = 60;

/// A failure with all those that look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The profile of the first.
    pub profile: Profile,
    /// The seed of the first.
    pub seed: u64,
    /// The first.
    pub violation: Violation,
    /// What they have in common.
    pub signature: String,
    /// How many there are.
    pub count: usize,
}

impl Finding {
    pub(super) fn add(findings: &mut Vec<Self>, profile: Profile, seed: u64, violation: Violation) {
        let signature = signature(&violation);
        match findings.iter_mut().find(|f| f.signature == signature) {
            Some(known) => known.count += 1,
            None => findings.push(Self {
                profile,
                seed,
                violation,
                signature,
                count: 1,
            }),
        }
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        let (invariant, profile) = (self.violation.invariant, self.profile.name());
        format!("{}-{profile}-{}", invariant.to_lowercase(), self.seed)
    }

    /// Writes the scenario of the first into `folder`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn keep(&self, folder: &Path) -> Result<PathBuf> {
        let mut scenario = self.profile.scenario(self.seed);
        scenario.name = self.name();
        scenario.about = format!("{} Found: {}", scenario.about, self.signature);
        keep(&scenario, folder)
    }
}

/// Writes a scenario into `folder`.
///
/// # Errors
/// The folder cannot be written to.
pub fn keep(scenario: &Scenario, folder: &Path) -> Result<PathBuf> {
    let file = folder.join(format!("{}.toml", scenario.name));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, scenario.text()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// What a failure has in common with those like it: the invariant and the words that are about no
/// host, number or key.
pub fn signature(violation: &Violation) -> String {
    let is_word =
        |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '\'');
    let text = violation.text.lines().next().unwrap_or_default();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '\''));
    let words: Vec<&str> = words.filter(is_word).collect();
    let mut signature = format!("{}: {}", violation.invariant, words.join(" "));
    signature.truncate(TELLING);
    signature
}

#[cfg(test)]
mod tests {
    use tidings_types::Timestamp;

    use super::*;

    fn violation(invariant: &'static str, text: &str) -> Violation {
        Violation {
            invariant,
            at: Timestamp::ZERO,
            host: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn failures_that_differ_in_hosts_and_times_are_alike() {
        let mut findings = Vec::new();
        for (seed, text) in [
            (3, "12.5s after the heal the agents still differ; n1 and n3"),
            (4, "60s after the heal the agents still differ; n0 and n17"),
            (5, "of the running nodes it misses [n3], and it sees [] too"),
        ] {
            Finding::add(&mut findings, Profile::Swarm, seed, violation("E1", text));
        }
        let counts: Vec<_> = findings.iter().map(|f| (f.seed, f.count)).collect();
        assert_eq!(counts, [(3, 2), (5, 1)]);
        assert_eq!(findings[0].name(), "e1-swarm-3");
    }

    #[test]
    fn a_failure_is_kept_as_a_file_that_runs() {
        let folder = std::env::temp_dir().join(format!("tidings-finding-{}", std::process::id()));
        let mut findings = Vec::new();
        Finding::add(
            &mut findings,
            Profile::Smoke,
            7,
            violation("A5", "it is back"),
        );
        let file = findings[0].keep(&folder).unwrap();
        let plan = crate::catalogue::load(&file, None, &[]).unwrap();
        assert_eq!((plan.name.as_str(), plan.seed), ("a5-smoke-7", 7));
        fs::remove_dir_all(folder).unwrap();
    }
}
