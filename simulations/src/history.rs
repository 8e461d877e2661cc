//! The truth that the invariants are judged against: every call of a client and every write of a
//! node, whatever became of them.

mod moved;

use std::collections::BTreeMap;

use tidings_types::{
    Body, CheckStatus, Content, Dot, Instance, Key, NodeId, Slot, Timestamp, Version, version::Rank,
};

use crate::{
    scenario::Cluster,
    workload::{self, Call},
};

/// Everything that was asked for and written in one run.
#[derive(Debug, Default)]
pub struct History {
    calls: Vec<Asked>,
    calls_by_key: BTreeMap<Key, Vec<usize>>,
    writes: BTreeMap<Dot, Write>,
    writes_by_key: BTreeMap<Key, Vec<Dot>>,
    setbacks: Vec<Setback>,
}

/// A disk that does not hold what it held: from `image` on, everything was lost at `at`.
#[derive(Clone, Copy, Debug)]
pub struct Setback {
    /// Whose disk.
    pub host: usize,
    /// When it was lost.
    pub at: Timestamp,
    /// The moment whose content is there instead; zero if there is nothing.
    pub image: Timestamp,
}

/// One call of a client.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked for.
    pub call: Call,
    /// At which host.
    pub host: usize,
    /// When.
    pub at: Timestamp,
    /// When it was answered with success.
    pub acked: Option<Timestamp>,
    /// Whether the answer was a refusal: then nothing may have changed.
    pub refused: bool,
    /// Whether the disk refused it, though it may have taken some of it.
    pub doubtful: bool,
    /// The keys that it speaks of.
    pub keys: Vec<Key>,
    /// Of each key, what was in force at the host when it was asked.
    pub before: Vec<Option<Rank>>,
}

/// One write of a node.
#[derive(Clone, Debug)]
pub struct Write {
    /// What it is about.
    pub key: Key,
    /// The slot that it put.
    pub slot: Slot,
    /// The host that wrote it.
    pub host: usize,
    /// Whose member that host was.
    pub cluster: Cluster,
    /// When.
    pub at: Timestamp,
    /// Whether it was on disk at its writer at some time.
    pub durable: bool,
    /// Other hosts that have shown it, and not forgotten it since, with the moment.
    pub held: BTreeMap<usize, Timestamp>,
    /// When it was last put on its writer's disk.
    pub stored: Timestamp,
    /// Whether its writer's disk has lost it.
    pub lost: bool,
    /// Whether peers gave it back after that.
    pub relearned: bool,
}

impl Write {
    /// Its place among the writes to its key; `None` for a removal.
    pub fn rank(&self) -> Option<Rank> {
        self.version().map(Version::rank)
    }

    /// Its version; `None` for a removal.
    pub const fn version(&self) -> Option<&Version> {
        match &self.slot {
            Slot::Entry(entry) => Some(&entry.version),
            Slot::RemovalMark => None,
        }
    }

    /// Whether the write of that dot only repeats an older one, so that the floor can be raised.
    pub fn is_restamp(&self, dot: Dot) -> bool {
        match self.version() {
            Some(version @ (Version::Owner(_) | Version::Shared(_))) => {
                version.place() != dot.into()
            }
            Some(Version::Override(_)) | None => false,
        }
    }

    /// The record that it put; `None` for a removal or a tombstone.
    pub const fn body(&self) -> Option<&Content> {
        match &self.slot {
            Slot::Entry(entry) => entry.body.as_ref(),
            Slot::RemovalMark => None,
        }
    }

    /// A host has shown it.
    pub fn show(&mut self, now: Timestamp, host: usize) {
        if host != self.host {
            self.held.entry(host).or_insert(now);
        }
    }

    /// Whether it can be gone for good, as far as the hosts in `core` are concerned: never durable,
    /// or lost by its writer, or with a writer that is not there, and held by none of them.
    pub fn may_be_gone(&self, core: &[usize]) -> bool {
        let has_writer = !self.lost && core.contains(&self.host);
        let has_reader = || core.iter().any(|host| self.held.contains_key(host));
        !self.durable || !(has_writer || has_reader())
    }
}

/// The keys that a call at a host with that node speaks of.
pub fn keys_of(call: &Call, via: usize, member: impl Fn(usize) -> NodeId) -> Vec<Key> {
    let me = member(via);
    match call {
        // A registration without a check drops the one that was there.
        Call::Register(id, ..) | Call::Deregister(id) => vec![
            Key::Instance(me, id.clone()),
            Key::Check(me, workload::check_id(id)),
        ],
        Call::Check(id, _) => vec![Key::Check(me, workload::check_id(id))],
        Call::RegisterExternal(node, id, _) => vec![
            Key::ExternalNode(node.clone()),
            Key::ExternalInstance(node.clone(), id.clone()),
        ],
        Call::DeregisterExternal(node, Some(id)) => {
            vec![Key::ExternalInstance(node.clone(), id.clone())]
        }
        // The two hosts have one key since a disk was copied: that name is nobody's here.
        Call::Override(of, Some(_)) if *of != via && member(*of) == me => Vec::new(),
        Call::Override(of, Some(id)) => {
            let owner = member(*of);
            vec![
                Key::Instance(owner, id.clone()),
                Key::Check(owner, workload::check_id(id)),
            ]
        }
        // What a whole node has is known to its agent alone: the effect is judged by the writes.
        Call::DeregisterExternal(_, None) | Call::Override(_, None) | Call::ForceLeave(_) => {
            Vec::new()
        }
    }
}

impl History {
    /// Notes a call and returns its number.
    pub fn asked(&mut self, asked: Asked) -> usize {
        let number = self.calls.len();
        for key in &asked.keys {
            self.calls_by_key
                .entry(key.clone())
                .or_default()
                .push(number);
        }
        self.calls.push(asked);
        number
    }

    /// The call of that number.
    pub fn call(&self, number: usize) -> &Asked {
        &self.calls[number]
    }

    /// The call of that number, to be answered.
    pub fn call_mut(&mut self, number: usize) -> &mut Asked {
        &mut self.calls[number]
    }

    /// The calls that speak of `key`, in the order in which they were made.
    pub fn calls_on(&self, key: &Key) -> impl DoubleEndedIterator<Item = (usize, &Asked)> {
        self.calls_by_key
            .get(key)
            .into_iter()
            .flatten()
            .map(|&number| (number, &self.calls[number]))
    }

    /// Every key that a call spoke of.
    pub fn called_keys(&self) -> impl Iterator<Item = &Key> {
        self.calls_by_key.keys()
    }

    /// Notes a write; returns the slot that was written under the same dot before, if any.
    pub fn wrote(&mut self, dot: Dot, write: Write) -> Option<&Slot> {
        if self.writes.contains_key(&dot) {
            return self.writes.get(&dot).map(|write| &write.slot);
        }
        self.writes_by_key
            .entry(write.key.clone())
            .or_default()
            .push(dot);
        self.writes.insert(dot, write);
        None
    }

    /// Every write, by dot.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.writes.values()
    }

    /// The write of that dot.
    pub fn write(&self, dot: Dot) -> Option<&Write> {
        self.writes.get(&dot)
    }

    /// The write of that dot, to note what became of it.
    pub fn write_mut(&mut self, dot: Dot) -> Option<&mut Write> {
        self.writes.get_mut(&dot)
    }

    /// The writes about `key`, oldest first.
    pub fn writes_on(&self, key: &Key) -> impl DoubleEndedIterator<Item = (Dot, &Write)> {
        self.writes_by_key
            .get(key)
            .into_iter()
            .flatten()
            .map(|dot| (*dot, &self.writes[dot]))
    }

    /// The newest write of `host` about `key` since `since` that has been on its disk.
    pub fn last_durable(&self, host: usize, key: &Key, since: Timestamp) -> Option<&Write> {
        let mut newest_first = self.writes_on(key).rev().map(|(_, write)| write);
        newest_first.find(|write| write.host == host && write.at >= since && write.durable)
    }

    /// `host` shows nothing for a key any more: it holds its removal.
    pub fn removal_seen(&mut self, now: Timestamp, host: usize, key: &Key) {
        let last = self.writes_by_key.get(key).and_then(|dots| {
            dots.iter()
                .rev()
                .find(|dot| matches!(self.writes[dot].slot, Slot::RemovalMark))
        });
        if let Some(write) = last.copied().and_then(|dot| self.writes.get_mut(&dot)) {
            write.show(now, host);
        }
    }

    /// A disk has lost what was put there after an image of it was made.
    pub fn set_back(&mut self, setback: Setback) {
        for write in self.writes.values_mut() {
            write.lost |= write.host == setback.host && write.stored >= setback.image;
        }
        self.setbacks.push(setback);
    }

    /// The setbacks of `host` after `from` and up to `until`.
    pub fn setbacks(
        &self,
        host: usize,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &Setback> {
        self.setbacks
            .iter()
            .filter(move |s| s.host == host && s.at > from && s.at <= until)
    }

    /// Whether a disk of `host` has lost something at any time.
    pub fn has_setback(&self, host: usize) -> bool {
        self.setbacks.iter().any(|setback| setback.host == host)
    }

    /// `host` has forgotten what it has shown of others since `kept`.
    pub fn forgot(&mut self, host: usize, kept: Timestamp) {
        for write in self.writes.values_mut() {
            if write.held.get(&host).is_some_and(|&shown| shown >= kept) {
                write.held.remove(&host);
            }
        }
    }

    /// Whether it is sure that a call made of `key` what it was asked for.
    pub fn is_certain(&self, number: usize, key: &Key, core: &[usize]) -> bool {
        let asked = &self.calls[number];
        let is_last = !self.calls_on(key).any(|(later, _)| later > number);
        // Calls of one moment, as after a pause, share what they wrote.
        let next = self.calls_on(key).find(|(_, later)| later.at > asked.at);
        let until = next.map_or(Timestamp::from_micros(u64::MAX), |(_, later)| later.at);
        // A host with a new key may have overridden what it wrote under the old one.
        let own = || {
            self.writes_on(key)
                .filter(|(dot, write)| write.host == asked.host && key.owner() == Some(dot.node))
        };
        let result = own().rfind(|(dot, write)| {
            (asked.at..until).contains(&write.at)
                && !write.is_restamp(*dot)
                && asked.call.leaves(key) == write.body().is_some()
        });
        // A host that had lost what it wrote before could not take it away; peers may give it back.
        let relearns = || own().any(|(_, w)| w.at < asked.at && (w.lost || w.relearned));
        let stands = match result {
            Some((_, write)) if is_last => !write.may_be_gone(core),
            // A host whose disk is rolled back goes on from before this call, until peers tell it.
            Some((_, write)) => !write.may_be_gone(core) && !write.lost && !write.relearned,
            // It asked for nothing new, and what was there may be gone with its host.
            None => !relearns() && core.contains(&asked.host),
        };
        asked.acked.is_some() && !asked.doubtful && stands
    }

    /// What happened to a key, in words: the calls and the writes, in order.
    pub fn story(&self, key: &Key) -> String {
        let calls = self.calls_on(key).map(|(_, asked)| {
            let acked = match (asked.acked, asked.refused) {
                (Some(at), _) => format!("acknowledged at {at}"),
                (None, true) => "refused".to_owned(),
                (None, false) => "not answered".to_owned(),
            };
            let gone = if asked.doubtful { ", in doubt" } else { "" };
            (
                asked.at,
                format!("n{} {:?}, {acked}{gone}", asked.host, asked.call),
            )
        });
        let writes = self.writes_on(key).map(|(dot, write)| {
            let state = [
                (write.durable, "durable"),
                (write.lost, "lost"),
                (write.relearned, "relearned"),
            ];
            let state: Vec<_> = state
                .iter()
                .filter(|(is, _)| *is)
                .map(|(_, word)| *word)
                .collect();
            let what = write
                .version()
                .map_or_else(|| "removal".to_owned(), |v| format!("{v:?}"));
            (
                write.at,
                format!(
                    "n{} writes {dot:?} {what} ({})",
                    write.host,
                    state.join(", ")
                ),
            )
        });
        let mut story: Vec<(Timestamp, String)> = calls.chain(writes).collect();
        story.sort_by_key(|(at, _)| *at);
        let lines = story
            .into_iter()
            .map(|(at, line)| format!("\n    {at} {line}"));
        lines.collect()
    }

    /// Whether some client asked for this record, its list of checks aside.
    pub fn was_asked(&self, key: &Key, body: &Body) -> bool {
        let name_of = |external: &_| workload::external_node(external);
        match (key, body) {
            (Key::Instance(..) | Key::ExternalInstance(..), Body::Instance(instance)) => self
                .calls_on(key)
                .any(|(_, asked)| asked.call.instance().is_some_and(|i| same(i, instance))),
            (Key::ExternalNode(name), Body::ExternalNode(node)) => {
                *node == name_of(name) && self.calls_on(key).next().is_some()
            }
            (Key::Check(..), Body::Check(check)) => {
                let Some(service) = &check.service else {
                    return false;
                };
                *check == workload::check(service, check.status)
                    && self
                        .calls_on(key)
                        .any(|(_, a)| a.call.status() == Some(check.status))
            }
            _ => false,
        }
    }
}

impl Call {
    /// Whether the call leaves a record under an owner's key: what else its host writes there obeys
    /// somebody's override.
    const fn leaves(&self, key: &Key) -> bool {
        match self {
            Self::Register(_, _, status) => status.is_some() || !matches!(key, Key::Check(..)),
            Self::RegisterExternal(..) | Self::Check(..) => true,
            _ => false,
        }
    }

    /// The instance that is registered.
    pub const fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Register(_, instance, _) | Self::RegisterExternal(_, _, instance) => {
                Some(instance)
            }
            _ => None,
        }
    }

    /// The status that is reported.
    pub const fn status(&self) -> Option<CheckStatus> {
        match self {
            Self::Register(_, _, status) => *status,
            Self::Check(_, status) => Some(*status),
            _ => None,
        }
    }
}

/// Whether two instances say the same, their lists of checks aside: the node names those.
pub fn same(asked: &Instance, found: &Instance) -> bool {
    let found = Instance {
        checks: asked.checks.clone(),
        ..found.clone()
    };
    *asked == found
}
