//! Chance that can be repeated: told by its seed.

use std::{
    env,
    process::{Command, Stdio},
    time::SystemTime,
};

/// xorshift64.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

/// Names the seed of stories that shall be repeated.
pub const VARIABLE: &str = "TIDINGS_SEED";

impl Random {
    /// Another chance each time.
    ///
    /// # Panics
    /// Before 1970.
    pub fn of_the_moment() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is past 1970");
        Self::of(u64::from(now.subsec_nanos()))
    }

    /// The same chance for the same commit; another one if [`VARIABLE`] says so. Outside of a
    /// repository always the same.
    pub fn of_the_commit() -> Self {
        let named = env::var(VARIABLE).ok().and_then(|seed| seed.parse().ok());
        Self::of(named.or_else(commit).unwrap_or(1))
    }

    /// The chance that `seed` tells.
    pub const fn of(seed: u64) -> Self {
        Self {
            seed,
            state: seed | 1,
        }
    }

    /// What tells this chance.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// A number that is `least` or more and less than `end`.
    ///
    /// # Panics
    /// If there is none.
    pub fn between(&mut self, (least, end): (u64, u64)) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        least + self.state % (end - least)
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// If there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits hold every length");
        usize::try_from(self.between((0, end))).expect("it is below a length")
    }
}

/// The first digits of the commit's name.
fn commit() -> Option<u64> {
    let told = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let name = String::from_utf8(told.stdout).ok()?;
    u64::from_str_radix(name.get(..12)?, 16).ok()
}
