//! What a front door made of an instance and of its node, kept with them.
//!
//! Answers show an instance together with its node and its node's checks, which are the same for all
//! instances on it. So what is made of the node is kept once, and an instance keeps only what is its own.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;

use crate::{CheckView, InstanceView};

/// Bytes that follow from a record and some checks alone. They are made when somebody asks first, and go
/// with what they were made of: whatever is written makes another one. So there is one for each instance
/// and each node at most, and it is not much larger than the records that it shows.
#[derive(Default)]
pub(crate) struct Memo(ArcSwapOption<Made>);

/// What was made: two pieces, between which the answer has something else.
#[derive(Debug)]
pub struct Made {
    /// How often the checks had said something when this was made.
    said: u64,
    pieces: [Box<[u8]>; 2],
}

impl Made {
    /// The first piece.
    pub fn first(&self) -> &[u8] {
        &self.pieces[0]
    }

    /// The second piece.
    pub fn second(&self) -> &[u8] {
        &self.pieces[1]
    }
}

impl Memo {
    /// What `make` makes of something with these checks.
    fn made(&self, checks: &[Arc<CheckView>], make: impl FnOnce() -> [Vec<u8>; 2]) -> Arc<Made> {
        // Before the outputs are read: what is said in between is met again.
        let said = checks.iter().map(|check| check.times_said()).sum();
        if let Some(made) = &*self.0.load()
            && made.said == said
        {
            return Arc::clone(made);
        }
        let pieces = make().map(Vec::into_boxed_slice);
        let made = Arc::new(Made { said, pieces });
        self.0.store(Some(Arc::clone(&made)));
        made
    }
}

/// A copy may be made to be changed: it has nothing made of it yet.
impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.0.load();
        let bytes = made
            .as_ref()
            .map(|made| made.first().len() + made.second().len());
        f.debug_tuple("Memo").field(&bytes).finish()
    }
}

impl InstanceView {
    /// What `make` makes of this instance, which must follow from its record, its node's name and its own
    /// checks alone, and be the same for all callers. It is made once, and again after a check has said
    /// something else.
    pub fn memo(&self, make: impl FnOnce() -> [Vec<u8>; 2]) -> Arc<Made> {
        self.memo.made(self.checks(), make)
    }

    /// The same of its node: what must follow from the node's record and the checks of the whole node
    /// alone.
    pub fn node_memo(&self, make: impl FnOnce() -> [Vec<u8>; 2]) -> Arc<Made> {
        self.on_node.memo.made(self.node_checks(), make)
    }
}
