//! The invariants, each judged by what clients asked for and were told.
//!
//! An oracle that cries wolf is worth as little as one that sleeps: whatever clients cannot know
//! counts for the agents. A call that was not answered may have been done or not; between a question
//! and its answer any moment may be the one that the answer shows; peers save what they hold within
//! a second, so only what was shown [`SAVED`] before a kill must be there after it.

pub mod availability;
pub mod ending;
#[cfg(test)]
mod made_up;
pub mod order;
pub mod origin;
pub mod own;
pub mod shared;
pub mod survival;

use std::{collections::BTreeMap, fmt, time::Duration};

use self::ending::Ending;
use super::history::{History, Moment, seconds, who};

/// What an agent has shown for so long of its running, a kill does not take from it.
pub const SAVED: Duration = Duration::from_secs(5);

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its id.
    pub id: &'static str,
    /// When it was seen.
    pub at: Moment,
    /// At which host, if at one.
    pub host: Option<usize>,
    /// What is wrong.
    pub text: String,
}

/// Everything that does not hold, oldest first within each invariant; of one kind and host, only the
/// first, with the number of the others.
pub fn judge(history: &History, ending: &Ending) -> Vec<Violation> {
    let mut found = Vec::new();
    origin::judge(history, &mut found);
    order::judge(history, &mut found);
    own::judge(history, &mut found);
    shared::judge(history, &mut found);
    availability::judge(history, &mut found);
    ending.judge(&mut found);
    survival::judge(history, &ending.last, &mut found);
    first_of_each(found)
}

fn first_of_each(mut found: Vec<Violation>) -> Vec<Violation> {
    found.sort_by_key(|violation| violation.at);
    let mut kinds: BTreeMap<(&str, Option<usize>), (Violation, usize)> = BTreeMap::new();
    for violation in found {
        let kind = kinds.entry((violation.id, violation.host));
        kind.and_modify(|(_, more)| *more += 1)
            .or_insert((violation, 0));
    }
    let told = kinds.into_values().map(|(mut violation, more)| {
        if more > 0 {
            violation.text = format!("{}\n    and {more} times more there", violation.text);
        }
        violation
    });
    told.collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken at {}", self.id, seconds(self.at))?;
        if let Some(host) = self.host {
            write!(f, " on {}", who(host))?;
        }
        write!(f, ": {}", self.text)
    }
}
