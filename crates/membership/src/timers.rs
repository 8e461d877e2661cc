//! foca's timers and ours, ordered by due time and then by when they were set.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use foca::{Incarnation, Timer};
use tidings_types::{NodeId, Timestamp};

use crate::MemberId;

/// What a timer is for. Each slot holds one timer, so their number is bounded by the members'.
///
/// foca marks its timers with an 8-bit token to recognise old ones; with one timer per slot, a token
/// that comes round again finds no old timer to revive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Probe,
    IndirectProbe,
    Suspicion(NodeId),
    Announce,
    AnnounceDown,
    Gossip,
    RemoveDown(NodeId),
    Hearsay(NodeId),
    Doubt(NodeId),
    Watchdog,
    Reannounce,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Foca(Timer<MemberId>),
    /// Somebody's member list said that this member is down.
    Hearsay(MemberId, Incarnation),
    /// The time of this suspicion is over, whoever began it.
    Doubt(MemberId, Incarnation),
    Watchdog,
    Reannounce,
}

/// The slots that are there once, whoever the members are.
const SINGLE: [Slot; 7] = [
    Slot::Probe,
    Slot::IndirectProbe,
    Slot::Announce,
    Slot::AnnounceDown,
    Slot::Gossip,
    Slot::Watchdog,
    Slot::Reannounce,
];

/// In a healthy cluster no other timers are set than the single ones, which are looked through faster
/// than any order of them is kept.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    single: [Option<Entry>; SINGLE.len()],
    /// Those of one member each.
    slots: BTreeMap<Slot, Entry>,
    /// `slots` by time.
    queue: BTreeSet<Turn>,
    set: u64,
    /// The timer that is due first: asked for several times between two changes.
    first: Option<Turn>,
}

/// When a timer is due, and which it is among those of the same instant.
type Turn = (Timestamp, u64, Slot);

#[derive(Debug)]
struct Entry {
    due: Timestamp,
    seq: u64,
    event: Event,
    postponed: bool,
}

impl Timers {
    /// Sets the slot's timer, in place of an earlier one.
    pub(crate) fn set(&mut self, slot: Slot, due: Timestamp, event: Event) {
        self.put(slot, due, event, false);
    }

    /// Sets foca's timer. Each failed probe of a suspect asks for the same suspicion again; the
    /// first one stands, or a suspect that is probed often would never go down.
    pub(crate) fn set_foca(&mut self, due: Timestamp, timer: Timer<MemberId>) {
        let slot = Slot::of(&timer);
        let repeats = matches!(slot, Slot::Suspicion(_))
            && matches!(self.slots.get(&slot), Some(Entry { event: Event::Foca(known), .. }) if *known == timer);
        if !repeats {
            self.set(slot, due, Event::Foca(timer));
        }
    }

    pub(crate) fn cancel(&mut self, slot: Slot) {
        self.take(slot);
    }

    pub(crate) fn clear(&mut self) {
        self.single = Default::default();
        self.slots.clear();
        self.queue.clear();
        self.first = None;
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.first.map(|(due, _, _)| due)
    }

    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Event> {
        let (_, _, slot) = self.first.filter(|&(due, _, _)| due <= now)?;
        self.take(slot).map(|entry| entry.event)
    }

    fn take(&mut self, slot: Slot) -> Option<Entry> {
        let entry = if let Some(place) = slot.place() {
            self.single[place].take()?
        } else {
            let entry = self.slots.remove(&slot)?;
            self.queue.remove(&(entry.due, entry.seq, slot));
            entry
        };
        if self.first.is_some_and(|(_, seq, _)| seq == entry.seq) {
            self.first = self.find_first();
        }
        Some(entry)
    }

    fn find_first(&self) -> Option<Turn> {
        let mut first = self.queue.first().copied();
        for (entry, slot) in self.single.iter().zip(SINGLE) {
            let Some(entry) = entry else { continue };
            let is_earlier = first.is_none_or(|(due, seq, _)| (entry.due, entry.seq) < (due, seq));
            if is_earlier {
                first = Some((entry.due, entry.seq, slot));
            }
        }
        first
    }

    /// Moves the timers of probes and suspicions by `late`, each at most once: a driver that is
    /// always late must still reach a verdict.
    pub(crate) fn postpone_verdicts(&mut self, late: Duration) {
        let single = SINGLE.into_iter().zip(&self.single);
        let single = single.filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)));
        let of_members = self.slots.iter().map(|(&slot, entry)| (slot, entry));
        let verdicts: Vec<Slot> = single
            .chain(of_members)
            .filter(|(slot, entry)| slot.is_verdict() && !entry.postponed)
            .map(|(slot, _)| slot)
            .collect();
        for slot in verdicts {
            if let Some(entry) = self.take(slot) {
                self.put(slot, entry.due + late, entry.event, true);
            }
        }
    }

    fn put(&mut self, slot: Slot, due: Timestamp, event: Event, postponed: bool) {
        self.cancel(slot);
        self.set += 1;
        let seq = self.set;
        // What was set before goes first at the same time.
        if self.first.is_none_or(|(first, _, _)| due < first) {
            self.first = Some((due, seq, slot));
        }
        let entry = Entry {
            due,
            seq,
            event,
            postponed,
        };
        if let Some(place) = slot.place() {
            self.single[place] = Some(entry);
        } else {
            self.queue.insert((due, seq, slot));
            self.slots.insert(slot, entry);
        }
    }
}

impl Slot {
    const fn of(timer: &Timer<MemberId>) -> Self {
        match timer {
            Timer::ProbeRandomMember(_) => Self::Probe,
            Timer::SendIndirectProbe { .. } => Self::IndirectProbe,
            Timer::ChangeSuspectToDown { member_id, .. } => Self::Suspicion(member_id.node),
            Timer::PeriodicAnnounce(_) => Self::Announce,
            Timer::PeriodicAnnounceDown(_) => Self::AnnounceDown,
            Timer::PeriodicGossip(_) => Self::Gossip,
            Timer::RemoveDown(id) => Self::RemoveDown(id.node),
        }
    }

    /// Where it is among the single ones, if it is one.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Probe => Some(0),
            Self::IndirectProbe => Some(1),
            Self::Announce => Some(2),
            Self::AnnounceDown => Some(3),
            Self::Gossip => Some(4),
            Self::Watchdog => Some(5),
            Self::Reannounce => Some(6),
            Self::Suspicion(_) | Self::RemoveDown(_) | Self::Hearsay(_) | Self::Doubt(_) => None,
        }
    }

    const fn is_verdict(self) -> bool {
        matches!(
            self,
            Self::Probe
                | Self::IndirectProbe
                | Self::Suspicion(_)
                | Self::Hearsay(_)
                | Self::Doubt(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn suspicion(token: u8) -> Timer<MemberId> {
        Timer::ChangeSuspectToDown {
            member_id: MemberId::anyone_at("10.0.0.1:1".parse().unwrap()),
            incarnation: 0,
            token,
        }
    }

    #[test]
    fn timers_come_by_due_time_and_then_in_the_order_they_were_set() {
        let mut timers = Timers::default();
        timers.set(Slot::Watchdog, at(2), Event::Watchdog);
        timers.set(Slot::Reannounce, at(2), Event::Reannounce);
        timers.set_foca(at(1), Timer::PeriodicGossip(0));
        assert_eq!(timers.next_due(), Some(at(1)));
        assert!(matches!(timers.pop_due(at(5)), Some(Event::Foca(_))));
        assert!(matches!(timers.pop_due(at(5)), Some(Event::Watchdog)));
        assert!(matches!(timers.pop_due(at(5)), Some(Event::Reannounce)));
        assert!(timers.pop_due(at(5)).is_none());
    }

    #[test]
    fn each_single_slot_has_a_place_of_its_own() {
        let places = SINGLE.map(Slot::place);
        assert!((0..).map(Some).zip(places).all(|(at, place)| at == place));
    }

    #[test]
    fn the_first_is_found_again_after_it_was_moved_or_cancelled() {
        let mut timers = Timers::default();
        timers.set(Slot::Watchdog, at(1), Event::Watchdog);
        timers.set_foca(at(2), suspicion(0));
        timers.set(Slot::Reannounce, at(3), Event::Reannounce);
        timers.set(Slot::Watchdog, at(4), Event::Watchdog);
        assert_eq!(timers.next_due(), Some(at(2)));
        timers.cancel(Slot::of(&suspicion(0)));
        assert_eq!(timers.next_due(), Some(at(3)));
        timers.clear();
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_repeated_suspicion_does_not_move_the_first() {
        let mut timers = Timers::default();
        timers.set_foca(at(2), suspicion(0));
        timers.set_foca(at(3), suspicion(0));
        assert_eq!(timers.next_due(), Some(at(2)));
        timers.set_foca(at(4), suspicion(1));
        assert_eq!(timers.next_due(), Some(at(4)));
    }

    #[test]
    fn a_verdict_is_postponed_once() {
        let mut timers = Timers::default();
        timers.set_foca(at(2), suspicion(0));
        timers.set(Slot::Watchdog, at(9), Event::Watchdog);
        timers.postpone_verdicts(Duration::from_secs(3));
        assert_eq!(timers.next_due(), Some(at(5)));
        timers.postpone_verdicts(Duration::from_secs(3));
        assert_eq!(timers.next_due(), Some(at(5)));
    }
}
