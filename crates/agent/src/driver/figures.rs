//! The driver's and the node's figures, laid out for whoever asks.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;

use super::Driver;

/// What only the driver can count or read, as it was within the last second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) node: tidings_node::Counters,
    pub(crate) membership: tidings_membership::Counters,
    /// Deltas in the registry's ahead buffer.
    pub(crate) ahead_deltas: usize,
    pub(crate) ahead_bytes: usize,
    /// Batches of the own feed that the disk has not answered.
    pub(crate) feed_batches: usize,
    /// How long the oldest of them has waited.
    pub(crate) feed_oldest_secs: u64,
    /// Saves of replicas that the disk refused or failed.
    pub(crate) saves_refused: u64,
    pub(crate) saves_failed: u64,
    /// Commands that wait for the node's answer.
    pub(crate) commands: usize,
    /// Requests to peers, and answers to theirs, under way.
    pub(crate) requests: usize,
    pub(crate) answers: usize,
    /// Answers broken off because their peer did not read them.
    pub(crate) answers_cut: u64,
    /// Failed sends of which the node was not told.
    pub(crate) sends_untold: u64,
    /// Turns of the loop that took longer than 50 ms, and the longest.
    pub(crate) slow_turns: u64,
    pub(crate) longest_turn_ms: u64,
    /// Events left out of the log.
    pub(crate) events_unlogged: u64,
}

/// Where the driver lays its figures out. Cheap to clone; reading takes no lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct FigureBoard(Arc<ArcSwap<Figures>>);

impl FigureBoard {
    /// The figures laid out last.
    pub(crate) fn read(&self) -> Figures {
        **self.0.load()
    }
}

impl Driver {
    /// Lays the figures out anew.
    pub(super) fn show_figures(&mut self) {
        let requests = self.sessions.requests();
        let node = &self.parts.node;
        let (ahead_deltas, ahead_bytes) = node.registry().ahead();
        let figures = Figures {
            node: node.counters(),
            membership: node.membership_counters(),
            ahead_deltas,
            ahead_bytes,
            feed_batches: self.parts.feed.in_flight(),
            feed_oldest_secs: self.parts.feed.oldest(Instant::now()).as_secs(),
            saves_refused: self.parts.registry.refused(),
            saves_failed: self.saves_failed,
            commands: self.replies.len(),
            requests,
            answers: self.sessions.answers(),
            answers_cut: self.sessions.answers_cut(),
            sends_untold: self.sends_untold,
            slow_turns: self.turns.slow(),
            longest_turn_ms: self.turns.longest_ms(),
            events_unlogged: self.event_log.left_out(),
        };
        self.parts.figures.0.store(Arc::new(figures));
    }
}
