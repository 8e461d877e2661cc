//! The driver: the only task that owns the node.
//!
//! It hands the node one input, carries out all outputs, and waits for the next input: the law of
//! the loop, as [`tidings_node`] states it. Sources are served in turns of at most [`TURN`] inputs
//! each, so that a flood of datagrams starves no command and a flood of commands no probe.
//! Nothing here blocks: the disk, sessions and names have tasks or threads of their own, whose
//! results come back as inputs.
//!
//! | Module | Holds |
//! |---|---|
//! | `inbox` | where inputs come from, and in which order they are looked at |
//! | `outputs` | how each output is carried out |
//! | `feed_queue` | batches of the own feed on their way to the disk |
//! | `sessions` | requests to peers, and answers to theirs |
//! | `turns` | how long the loop's turns take |
//! | `figures` | what is counted, for monitoring |

mod feed_queue;
mod figures;
mod inbox;
mod outputs;
mod sessions;
mod turns;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tidings_checks::Checks;
use tidings_node::{CommandId, Exchange, Input, Node};
use tidings_types::{Command, Departure, Epoch, NodeId, Timestamp};
use tidings_view::{Reply, View, ViewWriter};
use tokio::{sync::mpsc, time::MissedTickBehavior};

pub(crate) use self::{
    feed_queue::FeedQueue,
    figures::{FigureBoard, Figures},
    inbox::Sources,
    outputs::random_bits,
};
use self::{
    feed_queue::Silence,
    inbox::{Happening, Inbox},
    sessions::{RESPONSES, Sessions},
    turns::Turns,
};
use crate::{
    check_results::CheckResults,
    clock::{Clock, wall_ms},
    disk::{DataDir, Identity, RegistryStore},
    keyring::Keyring,
    log_events::EventLog,
    transport::{Event, Transport},
    watchdog::Pulse,
};

/// Inputs that one source hands in before the others have their turn.
const TURN: usize = 64;
/// How often the node is told the wall clock.
const WALL_CLOCK: Duration = Duration::from_secs(1);
/// Inputs that carrying out outputs made, at most: failed sends beyond it are forgotten, as if the
/// packet had been lost.
const LATER: usize = 1_024;
/// New epochs on their way; the node asks for one at a time.
const EPOCHS: usize = 4;
/// How long a goodbye may take before the driver stops without it. The node's own limit is
/// shorter; this one holds when the disk or the node does not answer.
const GOODBYE: Duration = Duration::from_secs(3);

/// What the driver carries outputs out with.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) me: NodeId,
    pub(crate) clock: Clock,
    pub(crate) transport: Transport,
    pub(crate) writer: ViewWriter,
    pub(crate) view: View,
    pub(crate) checks: Arc<Checks<CheckResults>>,
    pub(crate) feed: FeedQueue,
    pub(crate) registry: RegistryStore,
    pub(crate) identity: Arc<Mutex<Identity>>,
    /// The data directory; `None` in memory.
    pub(crate) dir: Option<DataDir>,
    pub(crate) pulse: Pulse,
    pub(crate) figures: FigureBoard,
    pub(crate) keyring: Keyring,
}

/// The loop.
pub(crate) struct Driver {
    parts: Parts,
    inbox: Inbox,
    sessions: Sessions,
    /// Where a new epoch goes once it is on disk.
    epochs: mpsc::Sender<Result<Epoch, String>>,
    /// Where it is told that a new identity is on disk.
    identities: mpsc::Sender<Result<(), String>>,
    /// Inputs that outputs made; taken before anything else.
    later: VecDeque<Input>,
    replies: BTreeMap<CommandId, Reply>,
    next_command: u64,
    next_exchange: u64,
    wall_ms: u64,
    turns: Turns,
    event_log: EventLog,
    saves_failed: u64,
    sends_untold: u64,
    /// When to stop without the node's word, once a goodbye was asked for.
    stop_by: Option<Timestamp>,
    end: Option<End>,
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The goodbye is said.
    Departed,
    /// Another agent keeps this identity; the next start takes the new one.
    Yielded,
}

impl Driver {
    pub(crate) fn new(parts: Parts, sources: Sources) -> Self {
        let (epochs, epochs_taken) = mpsc::channel(EPOCHS);
        let (identities, identities_kept) = mpsc::channel(EPOCHS);
        let (responses, sessions) = mpsc::channel(RESPONSES);
        Self {
            parts,
            inbox: Inbox {
                sources,
                epochs: epochs_taken,
                identities: identities_kept,
                sessions,
            },
            sessions: Sessions::new(responses),
            epochs,
            identities,
            later: VecDeque::new(),
            replies: BTreeMap::new(),
            next_command: 0,
            next_exchange: 0,
            wall_ms: 0,
            turns: Turns::default(),
            event_log: EventLog::default(),
            saves_failed: 0,
            sends_untold: 0,
            stop_by: None,
            end: None,
        }
    }

    /// Shows what the disk held, before anybody can ask.
    pub(crate) fn begin(&mut self) {
        self.carry_out();
        self.settle();
    }

    /// Runs until the goodbye is said, and closes the stores, which save what is queued.
    pub(crate) async fn run(mut self) -> End {
        let mut ticks = tokio::time::interval(WALL_CLOCK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            if let Some(end) = self.end {
                break end;
            }
            self.parts.pulse.turn();
            let timeout = self.parts.node.poll_timeout();
            let timer = timeout.map(|at| self.parts.clock.instant(at));
            let first = self.inbox.next(timer, &mut ticks).await;
            let began = Instant::now();
            self.take(first);
            self.serve_turns();
            self.check_timers();
            self.turns.took(began);
        };
        self.inbox.close();
        // The stores wait for their threads, which wait for the disk.
        let closing = tokio::task::spawn_blocking(move || drop(self));
        if let Err(error) = closing.await {
            tracing::error!(%error, "the stores could not be closed in order");
        }
        end
    }

    /// Gives each source a bounded turn.
    fn serve_turns(&mut self) {
        for source in Inbox::SOURCES {
            for _ in 0..TURN {
                let Some(happening) = self.inbox.waiting(source) else {
                    break;
                };
                self.take(happening);
            }
        }
    }

    fn check_timers(&mut self) {
        let now = self.parts.clock.now();
        if self.parts.node.poll_timeout().is_some_and(|at| at <= now) {
            self.hand_in(Input::Timeout);
        }
        if self.stop_by.is_some_and(|at| at <= now) && self.end.is_none() {
            tracing::warn!("stopping without a goodbye: it took too long");
            self.end = Some(End::Departed);
        }
    }

    /// Turns what happened into inputs.
    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Timer => {} // Looked at after each turn, whoever woke the loop.
            Happening::Tick => {
                self.tell_wall_clock();
                let now = self.parts.clock.now();
                self.parts.writer.advance(now);
                self.tell_of_silence();
                self.show_figures();
            }
            Happening::Stop(departure) => self.depart(departure),
            Happening::FeedSaved(saved) => {
                if let Some(input) = self.parts.feed.on_saved(saved) {
                    self.hand_in(input);
                }
            }
            Happening::RegistrySaved(saved) => {
                if let Err(error) = &saved.result {
                    self.saves_failed += 1;
                    tracing::warn!(%error, "replicas could not be saved; nothing is lost, they are saved again");
                }
                self.hand_in(Input::Saved {
                    save: saved.batch,
                    kept: saved.result.is_ok(),
                });
            }
            Happening::EpochTaken(epoch) => self.on_epoch(epoch),
            Happening::IdentityKept(result) => {
                if let Err(error) = &result {
                    tracing::error!(%error, "no new identity could be taken; it is tried again");
                }
                self.hand_in(Input::IdentityKept(result));
            }
            Happening::Seeds(addrs) => self.hand_in(Input::Seeds(addrs)),
            Happening::Session(input) => self.hand_in(input),
            Happening::Transport(event) => self.on_event(event),
            Happening::Command(request) => {
                self.tell_wall_clock();
                let id = self.new_command();
                self.replies.insert(id, request.reply);
                let command = Box::new(request.command);
                self.hand_in(Input::Command { id, command });
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Datagram {
                from,
                sender,
                payload,
                ..
            } => self.hand_in(Input::Datagram {
                from,
                sender,
                payload,
            }),
            Event::OldRun {
                from,
                sender,
                newest,
            } => self.hand_in(Input::OldRun {
                from,
                sender,
                newest,
            }),
            Event::OwnId { from } => self.hand_in(Input::OwnId { from }),
            Event::Request {
                from,
                frame,
                responder,
                ..
            } => {
                let exchange = Exchange(self.next_exchange);
                self.next_exchange += 1;
                self.sessions.answer(exchange, from, responder);
                self.hand_in(Input::Request {
                    exchange,
                    from,
                    frame,
                });
            }
            Event::Keyring {
                from,
                frame,
                responder,
                ..
            } => self.parts.keyring.answer(from, frame, responder),
        }
    }

    fn on_epoch(&mut self, taken: Result<Epoch, String>) {
        let taken = taken.and_then(|epoch| {
            let told = self.parts.transport.set_epoch(epoch);
            told.map(|()| epoch).map_err(|error| error.to_string())
        });
        match taken {
            Ok(epoch) => {
                self.parts.feed.begin_run(epoch);
                self.hand_in(Input::EpochTaken(epoch));
            }
            Err(error) => {
                tracing::error!(%error, "no new epoch could be taken; it is tried again");
                let above = self.parts.feed.run();
                self.take_epoch_after(above, EPOCH_RETRY);
            }
        }
    }

    fn depart(&mut self, departure: Departure) {
        if self.stop_by.is_none() {
            tracing::info!(
                "{}",
                match departure {
                    Departure::Left => "leaving the cluster for good",
                    Departure::Restarting => "going away to come back",
                }
            );
            self.stop_by = Some(self.parts.clock.now() + GOODBYE);
            self.tell_wall_clock();
            let id = self.new_command();
            let command = Box::new(Command::Depart(departure));
            self.hand_in(Input::Command { id, command });
        }
    }

    fn tell_of_silence(&mut self) {
        match self.parts.feed.silence(Instant::now()) {
            Some(Silence::Goes(span)) => tracing::warn!(
                seconds = span.as_secs(),
                batches = self.parts.feed.in_flight(),
                "the disk does not answer: registrations wait for it, and reads go on; look what keeps it busy"
            ),
            Some(Silence::Ended(span)) => tracing::info!(
                seconds = span.as_secs(),
                "the disk answers again, after this long at least"
            ),
            None => {}
        }
    }

    fn tell_wall_clock(&mut self) {
        let now = wall_ms();
        if now != self.wall_ms {
            self.wall_ms = now;
            self.hand_in(Input::WallClock(now));
        }
    }

    fn new_command(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    /// One input, all its outputs, and then the inputs that those made.
    fn hand_in(&mut self, input: Input) {
        self.parts.node.handle(self.parts.clock.now(), input);
        self.carry_out();
        self.settle();
    }

    /// Hands in what outputs made. What that makes in turn waits for the next call, so that a
    /// network that refuses every packet cannot hold the loop.
    fn settle(&mut self) {
        for _ in 0..self.later.len() {
            let Some(input) = self.later.pop_front() else {
                return;
            };
            self.parts.node.handle(self.parts.clock.now(), input);
            self.carry_out();
        }
    }

    fn later(&mut self, input: Input) {
        if self.later.len() < LATER {
            self.later.push_back(input);
        } else {
            self.sends_untold += 1;
        }
    }
}

/// The pause before an epoch that could not be taken is tried again.
const EPOCH_RETRY: Duration = Duration::from_secs(1);
