//! The files of a data directory, put back with one change.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use crate::random::Random;

/// What stood in a data directory of an agent that does not run, its lock left out.
#[derive(Clone, Debug, Default)]
pub struct Image(BTreeMap<String, Vec<u8>>);

/// One change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file's name.
    pub file: String,
    /// What is done to it.
    pub damage: Damage,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit becomes the other.
    Flip {
        /// The byte.
        at: usize,
        /// The bit, 0 to 7.
        bit: u8,
    },
    /// The file ends early.
    Cut {
        /// Bytes that are left.
        to: usize,
    },
}

impl Image {
    /// Takes the files that stand in `dir`.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn of(dir: &Path) -> Self {
        let entries = fs::read_dir(dir).expect("a data directory can be listed");
        let files = entries.map(|entry| {
            let entry = entry.expect("it can be listed");
            let name = entry.file_name().into_string().expect("a name of ours");
            let bytes = fs::read(entry.path()).expect("a file of ours can be read");
            (name, bytes)
        });
        Self(files.filter(|(name, _)| name != LOCK).collect())
    }

    /// The names of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Makes `dir` what it was, except for `changes`.
    ///
    /// # Panics
    /// If it cannot be written, or a change is of no file of it.
    pub fn put_back(&self, dir: &Path, changes: &[Change]) {
        fs::remove_dir_all(dir).expect("the agent's directory can be removed");
        fs::create_dir(dir).expect("it can be made again");
        for (name, bytes) in &self.0 {
            let mut bytes = bytes.clone();
            for change in changes.iter().filter(|change| change.file == *name) {
                match change.damage {
                    Damage::Flip { at, bit } => bytes[at] ^= 1 << bit,
                    Damage::Cut { to } => bytes.truncate(to),
                }
            }
            fs::write(dir.join(name), bytes).expect("it takes a file");
        }
    }

    /// `count` flips, spread evenly over the files and over each file; every other one lands where
    /// something is written.
    ///
    /// # Panics
    /// If there is nothing to change.
    pub fn flips(&self, count: usize, random: &mut Random) -> Vec<Change> {
        self.spread(count, |nth, of, bytes| {
            let written = written_pages(bytes);
            let (place, within) = if nth.is_multiple_of(2) {
                (stratum(nth, of, bytes.len(), random), 0)
            } else {
                let page = written[stratum(nth, of, written.len(), random)];
                let end = (page + PAGE).min(bytes.len());
                (page, random.below(end - page))
            };
            Damage::Flip {
                at: place + within,
                bit: u8::try_from(random.below(8)).expect("it is below 8"),
            }
        })
    }

    /// `count` truncations, spread likewise.
    ///
    /// # Panics
    /// If there is nothing to change.
    pub fn cuts(&self, count: usize, random: &mut Random) -> Vec<Change> {
        self.spread(count, |nth, of, bytes| Damage::Cut {
            to: stratum(nth, of, bytes.len(), random),
        })
    }

    /// `change` as it can be made here: the files of another image may be longer.
    pub fn fitted(&self, change: &Change) -> Change {
        let len = self.0.get(&change.file).map_or(0, Vec::len);
        let damage = match change.damage {
            Damage::Flip { at, bit } => Damage::Flip {
                at: at.min(len.saturating_sub(1)),
                bit,
            },
            cut @ Damage::Cut { .. } => cut,
        };
        Change {
            file: change.file.clone(),
            damage,
        }
    }

    /// One change after another, each of the next file, and of a large one more often: `damage` is
    /// told which of how many of its file it is.
    fn spread(
        &self,
        count: usize,
        mut damage: impl FnMut(usize, usize, &[u8]) -> Damage,
    ) -> Vec<Change> {
        let files = self.0.iter().filter(|(_, bytes)| !bytes.is_empty());
        let weight = |bytes: &[u8]| if bytes.len() > PAGE { 3 } else { 1 };
        let turns: Vec<_> = files
            .flat_map(|(name, bytes)| (0..weight(bytes)).map(move |turn| (name, bytes, turn)))
            .collect();
        let rounds = count.div_ceil(turns.len());
        let change = |number: usize| {
            let (name, bytes, turn) = turns[number % turns.len()];
            let weight = weight(bytes);
            let nth = number / turns.len() * weight + turn;
            Change {
                file: name.clone(),
                damage: damage(nth, rounds * weight, bytes),
            }
        };
        (0..count).map(change).collect()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.damage {
            Damage::Flip { at, bit } => write!(f, "bit {bit} of byte {at} of {}", self.file),
            Damage::Cut { to } => write!(f, "{} cut to {to} bytes", self.file),
        }
    }
}

/// A place in the `nth` of `of` equal parts of what is `len` long.
fn stratum(nth: usize, of: usize, len: usize, random: &mut Random) -> usize {
    let begin = nth * len / of;
    let end = ((nth + 1) * len / of).max(begin + 1);
    (begin + random.below(end - begin)).min(len - 1)
}

/// Where pages begin that hold anything.
fn written_pages(bytes: &[u8]) -> Vec<usize> {
    let pages = bytes.chunks(PAGE).enumerate();
    let written = pages.filter(|(_, page)| page.iter().any(|&byte| byte != 0));
    written.map(|(number, _)| number * PAGE).collect()
}

const LOCK: &str = "lock";
const PAGE: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_spread_over_all_files_and_over_each() {
        let mut large = vec![0; 10 * PAGE];
        large[5 * PAGE + 3] = 1;
        let image = Image(BTreeMap::from([
            ("large".to_owned(), large),
            ("small".to_owned(), vec![7; 100]),
        ]));
        let flips = image.flips(40, &mut Random::of(3));
        let places = |file: &str| -> Vec<usize> {
            let of_file = flips.iter().filter(|change| change.file == file);
            of_file
                .map(|change| match change.damage {
                    Damage::Flip { at, .. } => at,
                    Damage::Cut { .. } => unreachable!("these are flips"),
                })
                .collect()
        };
        assert_eq!(places("small").len(), 10);
        assert!(places("small").iter().all(|at| *at < 100));
        let large = places("large");
        assert!(large.iter().any(|at| *at < PAGE) && large.iter().any(|at| *at >= 9 * PAGE));
        let written = large.iter().filter(|at| **at / PAGE == 5).count();
        assert!(written >= 10, "{large:?}");
        assert_eq!(
            flips,
            image.flips(40, &mut Random::of(3)),
            "told by the seed"
        );
        let cuts = image.cuts(10, &mut Random::of(3));
        assert!(
            cuts.iter()
                .all(|cut| matches!(cut.damage, Damage::Cut { to } if to < 10 * PAGE))
        );
    }
}
