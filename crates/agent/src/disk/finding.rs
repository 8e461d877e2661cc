//! What was wrong on disk, in words for people.

use std::{fmt, path::PathBuf};

use tidings_types::{Key, NodeId};

/// Something on disk was not as it was left. The agent goes on; each text says what was found, what
/// was done about it and what may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// One copy of the identity was damaged or missing and was written again from the other.
    IdentityCopyRestored {
        /// The copy that was written again.
        copy: PathBuf,
        /// The copy that was sound.
        intact: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A database was damaged and set aside; an empty one took its place.
    SetAside {
        /// The database.
        file: PathBuf,
        /// Where the damaged file is now.
        kept_as: PathBuf,
        /// What was wrong.
        reason: String,
        /// Older damaged files that were deleted to make room.
        deleted: Vec<PathBuf>,
    },
    /// A database did not check out and was brought to its last sound state.
    Repaired {
        /// The database.
        file: PathBuf,
    },
    /// The last commits of a database are gone: they were damaged, or an older copy was put back.
    WentBack {
        /// The database.
        file: PathBuf,
        /// How many commits.
        commits: u64,
    },
    /// One row of a feed was damaged and dropped.
    RecordDropped {
        /// The database.
        file: PathBuf,
        /// Whose feed, if the row's key was readable.
        owner: Option<NodeId>,
        /// What the record was about, if readable.
        key: Option<Key>,
        /// What was wrong.
        reason: String,
    },
    /// The row that says how far a feed goes was damaged; the position was taken from its records.
    PositionRebuilt {
        /// The database.
        file: PathBuf,
        /// Whose feed, if readable.
        owner: Option<NodeId>,
        /// What was wrong.
        reason: String,
    },
    /// The row of a known member was damaged and dropped.
    MemberDropped {
        /// The database.
        file: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// More was found in a database than is listed.
    More {
        /// The database.
        file: PathBuf,
        /// How many findings are not listed.
        count: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdentityCopyRestored {
                copy,
                intact,
                reason,
            } => {
                let (copy, intact) = (copy.display(), intact.display());
                write!(
                    f,
                    "{copy} was unusable ({reason}) and was written again from {intact}; nothing is lost"
                )
            }
            Self::SetAside {
                file,
                kept_as,
                reason,
                deleted,
            } => {
                let (file, kept_as) = (file.display(), kept_as.display());
                write!(f, "{file} is damaged ({reason}) and is kept as {kept_as}; ")?;
                write!(f, "an empty one was begun, {ASKED}")?;
                deleted
                    .iter()
                    .try_for_each(|old| write!(f, "; deleted the older {}", old.display()))
            }
            Self::Repaired { file } => {
                let file = file.display();
                write!(f, "{file} did not check out and was brought to its last ")?;
                write!(f, "sound state; {ASKED}")
            }
            Self::WentBack { file, commits } => {
                let file = file.display();
                write!(
                    f,
                    "{file}: the last {commits} commits are gone, damaged or rolled "
                )?;
                write!(f, "back to an older copy; {ASKED}")
            }
            Self::RecordDropped {
                file,
                owner,
                key,
                reason,
            } => {
                let (file, of) = (file.display(), Of(*owner));
                write!(f, "{file}: a record{of}")?;
                if let Some(key) = key {
                    write!(f, ", {key:?},")?;
                }
                write!(f, " is damaged ({reason}) and was dropped; {ASKED}")
            }
            Self::PositionRebuilt {
                file,
                owner,
                reason,
            } => {
                let (file, of) = (file.display(), Of(*owner));
                write!(f, "{file}: the position{of} is damaged ({reason}) and was ")?;
                write!(f, "taken from the records that are left; {ASKED}")
            }
            Self::MemberDropped { file, reason } => {
                let file = file.display();
                write!(f, "{file}: a known member is damaged ({reason}) and was ")?;
                write!(f, "dropped; seeds and the other agents name it again")
            }
            Self::More { file, count } => {
                let file = file.display();
                write!(f, "{file}: {count} more findings are not listed")
            }
        }
    }
}

/// " of node ..", if it is known which.
struct Of(Option<NodeId>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |owner| write!(f, " of node {owner}"))
    }
}

/// Collects findings, the first [`FINDINGS`] of a database in full.
#[derive(Debug, Default)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    more: u64,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        tracing::warn!(target: "tidings::disk", "{finding}");
        if self.listed.len() < FINDINGS {
            self.listed.push(finding);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn finish(mut self, file: PathBuf) -> Vec<Finding> {
        if self.more > 0 {
            self.listed.push(Finding::More {
                file,
                count: self.more,
            });
        }
        self.listed
    }
}

/// Findings of one database that are listed in full; the others are counted.
pub(super) const FINDINGS: usize = 100;

const ASKED: &str = "what is missing is asked of the other agents";
