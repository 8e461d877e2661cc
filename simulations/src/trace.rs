//! The proof of determinism: a rolling hash over everything that went into and came out of the
//! nodes, and its value at the end of each second.

use std::{
    fmt::{self, Debug, Write},
    hash::{Hash, Hasher},
};

use tidings_node::{Input, Output};
use tidings_types::{FeedState, Roster, RosterEntry, Status, Timestamp, Transfer, Update};

/// A 64-bit hash that is the same in every process and build.
#[derive(Clone, Copy, Debug)]
pub struct Fold(u64);

impl Default for Fold {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Fold {
    const fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ mixed.rotate_right(29);
    }

    /// Two words in one multiplication: packets are long, and each is hashed where it leaves and where
    /// it arrives.
    const fn pair(&mut self, pair: u128) {
        let [low, high] = halves(pair);
        let wide = (self.0 ^ low) as u128 * (high ^ 0xa076_1d64_78bd_642f) as u128;
        let [below, above] = halves(wide);
        self.0 = below ^ above ^ low.rotate_left(32);
    }
}

const fn halves(wide: u128) -> [u64; 2] {
    [(wide & 0xffff_ffff_ffff_ffff) as u64, (wide >> 64) as u64]
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for &pair in pairs {
            self.pair(u128::from_le_bytes(pair));
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        self.pair(u128::from_le_bytes(last));
        // The length tells "a" from "a\0".
        self.word(bytes.len() as u64);
    }

    // Numbers are words already; the standard way would take each for a text of its own length.
    fn write_u8(&mut self, number: u8) {
        self.word(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.word(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Write for Fold {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Hasher::write(self, text.as_bytes());
        Ok(())
    }
}

/// Where the lines of a run's log go.
pub type Sink = Box<dyn FnMut(&str)>;

/// One event of a second that is watched closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it happened.
    pub at: Timestamp,
    /// Its number in the order of scheduling.
    pub seq: u64,
    /// The host that it concerns, if it is one.
    pub host: Option<usize>,
    /// What happened.
    pub kind: String,
    /// The hash of everything up to its end.
    pub digest: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}, number {}, ", self.at, self.seq)?;
        match self.host {
            Some(host) => write!(f, "n{host}, ")?,
            None => write!(f, "no node, ")?,
        }
        write!(f, "{}, digest {:016x}", self.kind, self.digest)
    }
}

/// The rolling hash of one run, and its log if somebody wants one.
#[derive(Default)]
pub struct Trace {
    fold: Fold,
    steps: u64,
    digests: Vec<u64>,
    /// The second of which every event is kept.
    watched: Option<usize>,
    kept: Vec<Step>,
    sink: Option<Sink>,
}

impl Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Trace({:016x} after {} steps)",
            self.fold.finish(),
            self.steps
        )
    }
}

impl Trace {
    /// A trace whose log lines go to `sink`.
    pub fn new(sink: Option<Sink>) -> Self {
        Self {
            sink,
            ..Self::default()
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.fold.finish()
    }

    /// The hash at the end of each second so far.
    pub fn digests(&self) -> &[u64] {
        &self.digests
    }

    /// Keeps every event of a second, counted from 0; what comes after the last full one counts as one
    /// more.
    pub const fn watch(&mut self, second: usize) {
        self.watched = Some(second);
    }

    /// Whether this second is watched.
    pub fn is_watched(&self) -> bool {
        self.watched == Some(self.digests.len())
    }

    /// Takes an event into the hash, before what it leads to.
    pub const fn event(&mut self, at: Timestamp, seq: u64) {
        self.fold.word(at.as_micros());
        self.fold.word(seq);
    }

    /// Keeps an event that is over.
    pub fn keep(&mut self, step: Step) {
        let digest = self.fold.finish();
        self.kept.push(Step { digest, ..step });
    }

    /// The events that were kept.
    pub fn kept(&self) -> &[Step] {
        &self.kept
    }

    /// Inputs and outputs so far.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Notes the end of a second.
    pub fn second(&mut self) {
        self.digests.push(self.fold.finish());
    }

    /// Writes a line to the log, if there is one.
    pub fn log(&mut self, now: Timestamp, host: Option<usize>, line: impl FnOnce() -> String) {
        if let Some(sink) = &mut self.sink {
            let line = line();
            match host {
                Some(host) => sink(&format!("{now:>14} n{host:<2} {line}")),
                None => sink(&format!("{now:>14} --  {line}")),
            }
        }
    }

    /// Writes to the log how a membership view changed, if there is a log.
    pub fn log_roster(&mut self, now: Timestamp, host: usize, before: &Roster, after: &Roster) {
        if self.sink.is_none() {
            return;
        }
        for (node, member) in &after.members {
            let was = before.members.get(node).map(|m| (m.status, m.liveness));
            if was != Some((member.status, member.liveness)) {
                let (status, liveness) = (member.status, member.liveness);
                self.log(now, Some(host), || {
                    format!("sees {node:?} {status:?}, {liveness:?}")
                });
            }
        }
        for node in before
            .members
            .keys()
            .filter(|node| !after.members.contains_key(node))
        {
            self.log(now, Some(host), || format!("forgets {node:?}"));
        }
    }

    /// Takes an input into the hash.
    pub fn input(&mut self, host: usize, input: &Input) {
        self.begin(host);
        match input {
            Input::Datagram {
                from,
                sender,
                payload,
            } => {
                self.bytes(1, &(from, sender), payload);
            }
            Input::Request {
                exchange,
                from,
                frame,
            } => self.bytes(2, &(exchange, from), frame),
            Input::Response { exchange, frame } => self.bytes(3, exchange, frame),
            Input::WallClock(ms) => self.bytes(4, ms, &[]),
            Input::Timeout => self.fold.word(5),
            other => self.debug(other),
        }
    }

    /// Takes an output into the hash.
    pub fn output(&mut self, host: usize, output: &Output) {
        self.begin(host);
        match output {
            Output::Datagram {
                to,
                receiver,
                payload,
            } => self.bytes(6, &(to, receiver), payload),
            Output::Request {
                exchange,
                to,
                addr,
                frame,
            } => {
                self.bytes(7, &(exchange, to, addr), frame);
            }
            Output::Respond { exchange, frame } => self.bytes(8, exchange, frame),
            Output::Publish(Update::Record {
                key,
                body,
                dot,
                conflict,
            }) => {
                let count = conflict.as_ref().map_or(0, |conflict| conflict.count);
                self.bytes(9, &(key, body, dot, count), &[]);
            }
            Output::Publish(Update::Roster(roster)) => self.roster(roster),
            Output::Publish(Update::Status(status)) => self.status(status),
            Output::Persist { batch, transfer } => {
                self.bytes(11, batch, &[]);
                self.transfer(transfer);
            }
            Output::Save {
                save,
                transfers,
                members,
            } => {
                self.bytes(12, &(save, members), &[]);
                transfers
                    .iter()
                    .for_each(|transfer| self.transfer(transfer));
            }
            other => self.debug(other),
        }
    }

    // The time is its event's.
    const fn begin(&mut self, host: usize) {
        self.steps += 1;
        self.fold.word(host as u64);
    }

    fn bytes(&mut self, kind: u64, head: &impl Hash, bytes: &[u8]) {
        self.fold.word(kind);
        head.hash(&mut self.fold);
        Hasher::write(&mut self.fold, bytes);
    }

    /// Position and content sum, which covers every slot: the debug form takes longer than all else.
    fn transfer(&mut self, transfer: &Transfer) {
        let (from, changes) = match transfer {
            Transfer::Delta(delta) => (Some(&delta.from), &delta.changes),
            Transfer::Snapshot(snapshot) => (None, &snapshot.changes),
        };
        let FeedState {
            owner,
            lineage,
            watermark,
            needs,
            sum,
        } = transfer.state();
        (owner, sum, needs.len(), changes.len()).hash(&mut self.fold);
        for position in [Some(lineage), Some(watermark), from].into_iter().flatten() {
            position.heads().for_each(|head| head.hash(&mut self.fold));
        }
        for change in changes {
            (change.place.epoch, change.place.seq, &change.key).hash(&mut self.fold);
        }
    }

    fn status(&mut self, status: &Status) {
        let Status {
            epoch,
            fingerprint,
            feeds,
            entries,
            conflicts,
            pending,
            synced,
            differs_since,
            refused,
        } = status;
        let counts = (feeds, entries, conflicts, pending, refused);
        self.bytes(13, &(epoch, fingerprint, counts, differs_since), &[]);
        synced.heads().for_each(|head| head.hash(&mut self.fold));
    }

    /// Field by field, for the same reason.
    fn roster(&mut self, roster: &Roster) {
        let Roster {
            members,
            unknown,
            former,
            reachable,
            expected,
            island,
        } = roster;
        let head = (*unknown as u8, reachable, expected, island);
        self.bytes(10, &head, &[]);
        former.iter().for_each(|node| node.hash(&mut self.fold));
        for (node, entry) in members {
            let RosterEntry {
                addr,
                status,
                liveness,
                since,
                heard,
                ahead_ms: _,
            } = entry;
            let states = (*status as u8, *liveness as u8);
            (node, addr, states, since, heard).hash(&mut self.fold);
        }
    }

    fn debug(&mut self, value: &impl Debug) {
        write!(self.fold, "{value:?}").expect("a hash takes every text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        let mut fold = Fold::default();
        Hasher::write(&mut fold, bytes);
        fold.finish()
    }

    #[test]
    fn lengths_and_contents_tell_hashes_apart() {
        assert_eq!(hash(b"abc"), hash(b"abc"));
        assert_ne!(hash(b"a"), hash(b"a\0"));
        assert_ne!(hash(b"12345678a"), hash(b"12345678b"));
        assert_ne!(hash(b""), Fold::default().finish());
    }

    #[test]
    fn the_log_names_time_and_host() {
        let (lines, sink) = std::sync::mpsc::channel();
        let mut trace = Trace::new(Some(Box::new(move |line: &str| {
            lines.send(line.to_owned()).unwrap();
        })));
        trace.log(Timestamp::from_micros(1_500_000), Some(3), || {
            "crash".to_owned()
        });
        assert_eq!(sink.recv().unwrap().trim(), "1.500000s n3  crash");
    }
}
