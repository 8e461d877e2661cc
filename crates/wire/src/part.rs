//! A transfer of one feed, cut into frames and put together again.
//!
//! The receiver applies the whole in one step: a position in the middle of a transfer is one that
//! no replica may stand at, because what stood there may have been overwritten since.

use std::{iter::Peekable, vec};

use serde::{Deserialize, Serialize};
use tidings_types::{
    Change, Delta, FeedState, Lineage, Snapshot, Transfer,
    limits::{FRAME_BYTES, TRANSFER_BYTES},
};

use crate::{
    Response,
    codec::{EncodeError, encoded_len},
};

/// Bytes of changes in one part: far below the frame's limit, so that parts of several feeds share
/// a session fairly.
const PART_BYTES: usize = FRAME_BYTES / 4;

/// One frame of a feed's transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPart {
    /// The position that the transfer leads to; the same in every part of it.
    pub state: FeedState,
    /// Where a delta begins; `None` for a snapshot.
    pub from: Option<Lineage>,
    /// The next changes, in dot order.
    pub changes: Vec<Change>,
    /// Whether this is the transfer's last part.
    pub last: bool,
}

impl FeedPart {
    /// Cuts `transfer` into parts that each fit a frame, one after the other: a whole feed in pieces
    /// beside itself would take twice its memory.
    pub fn split(transfer: Transfer) -> Parts {
        let (state, from, changes) = match transfer {
            Transfer::Delta(delta) => (delta.state, Some(delta.from), delta.changes),
            Transfer::Snapshot(snapshot) => (snapshot.state, None, snapshot.changes),
        };
        Parts {
            state,
            from,
            changes: changes.into_iter().peekable(),
            is_over: false,
        }
    }
}

/// The parts of a transfer. There is at least one; an error ends them.
#[derive(Debug)]
pub struct Parts {
    state: FeedState,
    from: Option<Lineage>,
    changes: Peekable<vec::IntoIter<Change>>,
    is_over: bool,
}

impl Iterator for Parts {
    /// [`EncodeError::Unencodable`] if a change has no encoding.
    type Item = Result<FeedPart, EncodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let part = self.part();
        self.is_over = part.as_ref().map_or(true, |part| part.last);
        Some(part)
    }
}

impl Parts {
    fn part(&mut self) -> Result<FeedPart, EncodeError> {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.changes.peek() {
            bytes += encoded_len(next)?;
            if bytes > PART_BYTES && !changes.is_empty() {
                break;
            }
            changes.extend(self.changes.next());
        }
        Ok(FeedPart {
            state: self.state.clone(),
            from: self.from.clone(),
            changes,
            last: self.changes.peek().is_none(),
        })
    }
}

/// The giver's parts do not make a transfer; what came so far is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// A part began another transfer before the last one was whole.
    #[error("a feed's transfer was broken off by another")]
    Interleaved,
    /// The transfer exceeds [`TRANSFER_BYTES`].
    #[error("a feed's transfer exceeds {TRANSFER_BYTES} bytes")]
    TooLarge,
}

/// Puts the parts of one transfer after another together.
///
/// What is not whole is kept as it came: decoded, small records take several times their bytes, and a
/// transfer without an end would cost that.
#[derive(Debug, Default)]
pub struct Assembly {
    open: Option<Open>,
    bytes: usize,
}

/// A transfer that is begun and not whole.
#[derive(Debug)]
struct Open {
    state: FeedState,
    from: Option<Lineage>,
    frames: Vec<Vec<u8>>,
}

impl Assembly {
    /// Takes the next part, which was decoded from `frame`; returns the transfer when whole.
    ///
    /// # Errors
    /// [`AssemblyError`] if the giver broke the order or the limit.
    pub fn push(
        &mut self,
        part: FeedPart,
        frame: &[u8],
    ) -> Result<Option<Transfer>, AssemblyError> {
        self.bytes += frame.len();
        if self.bytes > TRANSFER_BYTES {
            return Err(AssemblyError::TooLarge);
        }
        let mut open = match self.open.take() {
            None => Open {
                state: part.state,
                from: part.from,
                frames: Vec::new(),
            },
            Some(open) if open.state == part.state && open.from == part.from => open,
            Some(_) => return Err(AssemblyError::Interleaved),
        };
        if !part.last {
            open.frames.push(frame.to_vec());
            self.open = Some(open);
            return Ok(None);
        }
        self.bytes = 0;
        let Open {
            state,
            from,
            frames,
        } = open;
        // Each frame goes as soon as its changes are out of it, and no room is made for more.
        let mut changes: Vec<Change> = Vec::new();
        for frame in frames {
            let mut decoded = changes_in(&frame);
            changes.reserve_exact(decoded.len());
            changes.append(&mut decoded);
        }
        changes.reserve_exact(part.changes.len());
        changes.extend(part.changes);
        Ok(Some(match from {
            Some(from) => Transfer::Delta(Delta {
                from,
                state,
                changes,
            }),
            None => Transfer::Snapshot(Snapshot { state, changes }),
        }))
    }

    /// Bytes of the transfer that is begun and not whole.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a transfer is begun and not whole.
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// The changes in the frame of a part, which was decoded once.
fn changes_in(frame: &[u8]) -> Vec<Change> {
    match Response::decode(frame) {
        Ok(Response::Feed(part)) => part.changes,
        _ => Vec::new(),
    }
}
