//! What becomes of calls that the own feed shows no dot of, and of records that others took away.
//!
//! An *override* beats a record of this node. The node obeys: it takes the beaten record out of its
//! own feed, durably, so that the record stays away even if the override is forgotten here.
//!
//! A *call that changed nothing* took no dot, since what it asked for was in force. If peers then
//! give back a removal or another value from a run that the disk has forgotten, the call is the later
//! one all the same: it is made again.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use tidings_types::{Content, Key, Place, Slot};

use crate::{Event, Node, Output};

/// Calls and overrides to come back to. Both are about own records, so the own feed's limits are
/// theirs.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Own records that were overridden and still stand in the own feed.
    overridden: BTreeSet<Key>,
    /// What calls of this run asked for that was in force already.
    equal: BTreeMap<Key, Content>,
    /// What the command under way has to say about that: `None` if it changed the record.
    noted: Vec<(Key, Option<Content>)>,
}

impl Calls {
    /// The command under way found `body` in force.
    pub(crate) fn changed_nothing(&mut self, key: Key, body: Content) {
        self.noted.push((key, Some(body)));
    }

    /// The command under way writes or removes the record.
    pub(crate) fn changed(&mut self, key: &Key) {
        self.noted.push((key.clone(), None));
    }

    /// The command under way was refused.
    pub(crate) fn discard_noted(&mut self) {
        self.noted.clear();
    }

    /// The command under way was carried out.
    pub(crate) fn keep_noted(&mut self) {
        for (key, body) in mem::take(&mut self.noted) {
            match body {
                Some(body) => self.equal.insert(key, body),
                None => self.equal.remove(&key),
            };
        }
    }
}

impl Node {
    /// An override of the own record is in force; it names `seen`.
    pub(crate) fn on_overridden(&mut self, key: &Key, seen: Place) {
        // One that names a forgotten run had not seen the calls of this one, which are made again.
        if seen.epoch <= self.writer.epoch() {
            self.calls.equal.remove(key);
        }
        if self.has_entry(key) {
            self.out
                .push_back(Output::Event(Event::Overridden { key: key.clone() }));
            self.calls.overridden.insert(key.clone());
        }
        self.save_now();
    }

    /// Takes what was overridden out of the own feed, as soon as that can be written.
    ///
    /// What an earlier run registered has to wait: this one may have forgotten that it was registered
    /// again since, which peers still know, and a removal in the present run would beat that.
    pub(crate) fn obey(&mut self) {
        if self.calls.overridden.is_empty() || !self.may_write_unasked() {
            return;
        }
        let (later, now) = mem::take(&mut self.calls.overridden)
            .into_iter()
            .partition(|key| self.writer.inherited(&self.registry, key).is_some());
        self.calls.overridden = later;
        self.obey_for(now);
    }

    /// The same for what earlier runs registered, once all that peers know of it is known here.
    pub(crate) fn obey_for_earlier_runs(&mut self) {
        if self.may_write_unasked() {
            let all = mem::take(&mut self.calls.overridden);
            self.obey_for(all);
        }
    }

    /// Whether own records stand in the own feed that were overridden.
    pub(crate) fn has_overridden(&self) -> bool {
        !self.calls.overridden.is_empty()
    }

    fn obey_for(&mut self, keys: BTreeSet<Key>) {
        if keys.is_empty() {
            return;
        }
        for key in keys {
            // The node's own record is its word that it is there, and is written anew instead.
            if key == Key::Node(self.me) {
                continue;
            }
            let checks = match &key {
                Key::Instance(_, service) => self.checks_of(service),
                _ => Vec::new(),
            };
            // An error means that no epoch is left to write in: the next resuming finds it again.
            if let Ok(Some(_)) = self.writer.obey(&self.registry, &key) {
                // What these reported since the override was written makes them outlive it.
                for check in checks {
                    let _ = self.take_away(&Key::Check(self.me, check));
                }
            }
        }
        self.persist(None);
    }

    /// After the own feed could not be written for a while, or turned out to hold something else:
    /// what is overridden goes, and what calls found in force is written if it is not so any more.
    pub(crate) fn look_through_calls(&mut self) {
        let own: Vec<Key> = self.registry.owned_by(self.me).cloned().collect();
        let overridden = own
            .into_iter()
            .filter(|key| self.live(key).is_none() && self.has_entry(key));
        let overridden: Vec<Key> = overridden.collect();
        self.calls.overridden.extend(overridden);
        for (key, body) in mem::take(&mut self.calls.equal) {
            let again = self
                .writer
                .register(&self.registry, key.clone(), body.clone());
            if matches!(again, Ok(None)) {
                self.calls.equal.insert(key, body);
            }
        }
        self.persist(None);
    }

    /// Whether the own feed has a record for the key, whatever others say of it.
    fn has_entry(&self, key: &Key) -> bool {
        let slot = self.registry.slot(self.me, key).map(|change| &change.slot);
        matches!(slot, Some(Slot::Entry(_)))
    }
}
