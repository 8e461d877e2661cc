//! What a front door made of an instance, kept with the instance.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use arc_swap::ArcSwapOption;

use crate::InstanceView;

/// Bytes that follow from an instance and its checks alone. They are made when somebody asks first, and go
/// with the instance: whatever is written makes another one. So there is one for each instance at most,
/// and it is not much larger than the records that it shows.
#[derive(Default)]
pub struct Memo(ArcSwapOption<Made>);

struct Made {
    /// How often the checks had said something when this was made.
    said: u64,
    bytes: Arc<[u8]>,
}

/// A copy may be made to be changed: it has nothing made of it yet.
impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.load().as_ref().map(|made| made.bytes.len());
        f.debug_tuple("Memo").field(&bytes).finish()
    }
}

impl InstanceView {
    /// What `make` makes of this instance, which must follow from it and its checks alone, and be the same
    /// for all callers. It is made once, and again after a check has said something else.
    pub fn memo(&self, make: impl FnOnce() -> Vec<u8>) -> Arc<[u8]> {
        // Before the outputs are read: what is said in between is met again.
        let said = self.times_said();
        if let Some(made) = &*self.memo.0.load()
            && made.said == said
        {
            return Arc::clone(&made.bytes);
        }
        let bytes: Arc<[u8]> = make().into();
        let made = Made {
            said,
            bytes: Arc::clone(&bytes),
        };
        self.memo.0.store(Some(Arc::new(made)));
        bytes
    }

    fn times_said(&self) -> u64 {
        let checks = self.checks().iter().chain(self.node_checks());
        checks
            .map(|check| check.times_said.load(Ordering::Acquire))
            .sum()
    }
}
