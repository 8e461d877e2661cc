//! What stands in a feed, in the order of the keys and in that of the dots.
//!
//! Both are sets of pointers: key and dot are in the change and nowhere else, since an agent holds every
//! feed, and a copy of each in a map would take more than the map.

use std::{borrow::Borrow, cmp::Ordering, sync::Arc};

use tidings_types::{Key, Place};

use crate::form::Standing;

/// Ordered by the key, and found by it.
#[derive(Clone, Debug)]
pub(crate) struct ByKey(pub(crate) Arc<Standing>);

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        &self.0.change.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.change.key.cmp(&other.0.change.key)
    }
}

/// Ordered by the dot, and found by it.
#[derive(Clone, Debug)]
pub(crate) struct ByDot(pub(crate) Arc<Standing>);

impl Borrow<Place> for ByDot {
    fn borrow(&self) -> &Place {
        &self.0.change.place
    }
}

impl PartialEq for ByDot {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByDot {}

impl PartialOrd for ByDot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByDot {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.change.place.cmp(&other.0.change.place)
    }
}
