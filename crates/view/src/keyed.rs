//! Views by their ids.

use std::{borrow::Borrow, cmp::Ordering, collections::BTreeSet, sync::Arc};

use tidings_types::{CheckId, ServiceId};

use crate::{CheckView, InstanceView};

/// A map of views by their ids, where the id is in the view and nowhere else: an agent holds the
/// instances of everybody.
#[derive(Clone, Debug)]
pub(crate) struct Keyed<V: HasId>(BTreeSet<ById<V>>);

/// A view that is found by its id.
pub(crate) trait HasId {
    type Id: Ord;

    fn id(&self) -> &Self::Id;
}

impl HasId for InstanceView {
    type Id = ServiceId;

    fn id(&self) -> &ServiceId {
        &self.id
    }
}

impl HasId for CheckView {
    type Id = CheckId;

    fn id(&self) -> &CheckId {
        &self.id
    }
}

impl<V: HasId> Keyed<V> {
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, id: &V::Id) -> Option<&Arc<V>>
    where
        ById<V>: Borrow<V::Id>,
    {
        self.0.get(id).map(|ById(view)| view)
    }

    pub(crate) fn contains_key(&self, id: &V::Id) -> bool
    where
        ById<V>: Borrow<V::Id>,
    {
        self.0.contains(id)
    }

    /// Adds a view, in place of the one with its id.
    pub(crate) fn put(&mut self, view: Arc<V>) {
        self.0.replace(ById(view));
    }

    pub(crate) fn remove(&mut self, id: &V::Id) -> Option<Arc<V>>
    where
        ById<V>: Borrow<V::Id>,
    {
        self.0.take(id).map(|ById(view)| view)
    }

    /// In the order of the ids.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<V>> {
        self.0.iter().map(|ById(view)| view)
    }
}

#[derive(Debug)]
pub(crate) struct ById<V>(Arc<V>);

impl<V> Clone for ById<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Borrow<ServiceId> for ById<InstanceView> {
    fn borrow(&self) -> &ServiceId {
        self.0.id()
    }
}

impl Borrow<CheckId> for ById<CheckView> {
    fn borrow(&self) -> &CheckId {
        self.0.id()
    }
}

impl<V: HasId> PartialEq for ById<V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl<V: HasId> Eq for ById<V> {}

impl<V: HasId> PartialOrd for ById<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: HasId> Ord for ById<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id().cmp(other.0.id())
    }
}
