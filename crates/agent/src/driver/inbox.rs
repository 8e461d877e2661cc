//! Where the driver's inputs come from.

use std::net::SocketAddr;

use tidings_node::Input;
use tidings_types::{Departure, Epoch};
use tidings_view::{CommandReceiver, Request};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Interval, sleep_until},
};

use crate::{disk::Saved, transport::Event};

/// Something that the driver has to take note of.
#[derive(Debug)]
pub(super) enum Happening {
    /// The node's timer is due.
    Timer,
    /// A second has passed.
    Tick,
    /// The agent shall stop.
    Stop(Departure),
    /// A batch of the own feed is saved, or not.
    FeedSaved(Saved),
    /// A save of replicas is done, or failed.
    RegistrySaved(Saved),
    /// A new epoch is on disk, or could not be put there.
    EpochTaken(Result<Epoch, String>),
    /// A new identity is on disk, or could not be put there.
    IdentityKept(Result<(), String>),
    /// The seeds' addresses changed.
    Seeds(Vec<SocketAddr>),
    /// A session with a peer has news.
    Session(Input),
    /// A packet or a request came.
    Transport(Event),
    /// A client wants something.
    Command(Request),
}

/// The sources outside of the driver.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) stop: watch::Receiver<Option<Departure>>,
    pub(crate) feed_saved: mpsc::Receiver<Saved>,
    pub(crate) registry_saved: mpsc::Receiver<Saved>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) seeds: watch::Receiver<Vec<SocketAddr>>,
    pub(crate) commands: CommandReceiver,
}

/// All sources: those, and the driver's own tasks.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) sources: Sources,
    pub(super) epochs: mpsc::Receiver<Result<Epoch, String>>,
    pub(super) identities: mpsc::Receiver<Result<(), String>>,
    pub(super) sessions: mpsc::Receiver<Input>,
}

/// One of the queues that can hold many happenings at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    FeedSaved,
    RegistrySaved,
    Events,
    Sessions,
    Commands,
}

impl Inbox {
    /// The disk first, since clients wait for it; then peers, whose probes have deadlines; then
    /// new commands.
    pub(super) const SOURCES: [Source; 5] = [
        Source::FeedSaved,
        Source::RegistrySaved,
        Source::Events,
        Source::Sessions,
        Source::Commands,
    ];

    /// Waits for the next happening. A source whose other end is gone is looked at no more.
    pub(super) async fn next(&mut self, timer: Option<Instant>, ticks: &mut Interval) -> Happening {
        let timer = async {
            match timer {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let from = &mut self.sources;
        tokio::select! {
            biased;
            () = timer => Happening::Timer,
            _ = ticks.tick() => Happening::Tick,
            Ok(departure) = stop_wanted(&mut from.stop) => Happening::Stop(departure),
            Some(saved) = from.feed_saved.recv() => Happening::FeedSaved(saved),
            Some(epoch) = self.epochs.recv() => Happening::EpochTaken(epoch),
            Some(kept) = self.identities.recv() => Happening::IdentityKept(kept),
            Some(saved) = from.registry_saved.recv() => Happening::RegistrySaved(saved),
            Some(event) = from.events.recv() => Happening::Transport(event),
            Some(input) = self.sessions.recv() => Happening::Session(input),
            Ok(()) = from.seeds.changed() => Happening::Seeds(from.seeds.borrow_and_update().clone()),
            Some(request) = from.commands.recv() => Happening::Command(request),
        }
    }

    /// What waits at `source` already.
    pub(super) fn waiting(&mut self, source: Source) -> Option<Happening> {
        let from = &mut self.sources;
        match source {
            Source::FeedSaved => from.feed_saved.try_recv().ok().map(Happening::FeedSaved),
            Source::RegistrySaved => {
                let saved = from.registry_saved.try_recv().ok();
                saved.map(Happening::RegistrySaved)
            }
            Source::Events => from.events.try_recv().ok().map(Happening::Transport),
            Source::Sessions => self.sessions.try_recv().ok().map(Happening::Session),
            Source::Commands => from.commands.try_recv().map(Happening::Command),
        }
    }

    /// Refuses further commands.
    pub(super) fn close(&mut self) {
        self.sources.commands.close();
    }
}

/// Waits until the agent shall stop. An error if nobody can ask for it any more.
async fn stop_wanted(
    stop: &mut watch::Receiver<Option<Departure>>,
) -> Result<Departure, watch::error::RecvError> {
    stop.changed().await?;
    let asked = *stop.borrow_and_update();
    match asked {
        Some(departure) => Ok(departure),
        None => std::future::pending().await,
    }
}
