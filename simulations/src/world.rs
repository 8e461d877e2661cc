//! The world: hosts, links, disks and clocks, driven by one event heap.
//!
//! It obeys the law of the node's loop: one input, then every output, then the timer. Nothing
//! happens between events, so an idle hour costs nothing.
//!
//! | Module | Does |
//! |---|---|
//! | `boot` | starts, stops and rolls back processes |
//! | `clone` | gives a key up that another host holds, and goes on under a new one |
//! | `outputs` | carries out what a node wants done |
//! | `transit` | carries datagrams over links, through jams and into inboxes |
//! | `arrivals` | hands a node what reaches its host |
//! | `trouble` | begins and ends faults |
//! | `liar` | lets a dishonest driver alter what its node sends, and make things up |
//! | `tear` | leaves of a disk what a crash in the middle of a save leaves |
//! | `seconds` | judges what is looked at once a second, and adds up what a run has cost |
//! | `step` | names an event, for a proof of determinism |
//! | `quiet` | judges what must come eventually |

mod arrivals;
mod boot;
mod clone;
mod liar;
mod outputs;
mod quiet;
mod seconds;
mod step;
mod tear;
mod transit;
mod trouble;

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tidings_node::Input;
use tidings_types::Timestamp;

pub(crate) use self::quiet::SPREADS;
use crate::{
    check::{Checks, OUTPUTS, Violation, has_no_end, panicked},
    figures::Figures,
    heap::EventHeap,
    host::{Arrival, Host, Packet},
    link::Network,
    mutant::Mutant,
    plan::{Comeback, Plan},
    recording::{Recorder, Recording},
    report::{Report, Verdict},
    session::{Sessions, Towards},
    trace::{Sink, Trace},
};

/// Events in one run, at most, unless told otherwise; a run that needs more cannot be judged.
const EVENTS: u64 = 400_000_000;
/// How often convergence is looked at in the quiet phase.
const LOOK: Duration = Duration::from_millis(10);

/// One run of one plan.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    mutant: Mutant,
    now: Timestamp,
    heap: EventHeap<Event>,
    hosts: Vec<Host>,
    network: Network,
    /// What jammed links hold.
    held: BTreeMap<(usize, usize), Vec<Packet>>,
    /// Datagrams and frames that nodes were handed.
    messages: u64,
    /// Rounds that floods have sent.
    floods_sent: u64,
    /// The hosts that lie now.
    lying: BTreeMap<usize, liar::Lying>,
    sessions: Sessions,
    checks: Checks,
    trace: Trace,
    recorder: Recorder,
    quiet: quiet::Quiet,
    /// Events, at most.
    events_max: u64,
    /// From when on a run is made to differ from every other, to see whether that is found.
    #[cfg(feature = "mutants")]
    drift: Option<Timestamp>,
}

/// Something that happens.
#[derive(Debug)]
enum Event {
    /// A host's process starts, if that stop was the last one.
    Boot { host: usize, after_run: u64 },
    /// Something reaches a host, or only one run of its process.
    Arrive {
        host: usize,
        run: Option<u64>,
        arrival: Arrival,
    },
    /// A driver gets to something that has waited for it.
    Turn {
        host: usize,
        run: u64,
        arrival: Arrival,
    },
    /// A frame of a session comes to its end of the link.
    Frame { session: u64, towards: Towards },
    /// A session may have been silent for too long.
    Silence { session: u64 },
    /// A process stops of its own accord.
    Stop {
        host: usize,
        run: u64,
        comeback: Option<Comeback>,
    },
    /// A fault begins.
    Begin(usize),
    /// A fault ends.
    End(usize),
    /// A flood goes on.
    Flood(usize),
    /// A liar makes something up.
    Lie(usize),
    /// A host's disk is copied.
    Image(usize),
    /// A query is asked whose answer is known.
    Query(usize),
    /// A second has passed.
    Second,
    /// The quiet phase begins.
    Heal,
    /// Convergence is looked at.
    Look,
}

type Step = Result<(), Violation>;

impl World {
    /// A world in which nothing has happened yet. Log lines go to `sink`.
    pub fn new(plan: Plan, mutant: Mutant, sink: Option<Sink>) -> Self {
        let mut network = Network::new(plan.seed, plan.hosts, plan.link);
        for &(from, to, link) in &plan.paths {
            network.lay(from, to, link);
        }
        let mut world = Self {
            now: Timestamp::ZERO,
            heap: EventHeap::default(),
            hosts: (0..plan.hosts)
                .map(|host| Host::new(plan.seed, host, plan.clusters[host]))
                .collect(),
            network,
            held: BTreeMap::new(),
            messages: 0,
            floods_sent: 0,
            lying: BTreeMap::new(),
            sessions: Sessions::default(),
            checks: Checks::new(&plan),
            trace: Trace::new(sink),
            recorder: Recorder::default(),
            quiet: quiet::Quiet::default(),
            events_max: EVENTS,
            #[cfg(feature = "mutants")]
            drift: drift(),
            mutant,
            plan,
        };
        world.schedule_plan();
        world
    }

    /// The same world, which is undecided after so many events.
    #[must_use]
    pub const fn limited(mut self, events: u64) -> Self {
        self.events_max = events;
        self
    }

    /// The same world, which keeps every event of a second: see [`Trace::watch`].
    #[must_use]
    pub const fn watching(mut self, second: usize) -> Self {
        self.trace.watch(second);
        self
    }

    /// Runs to the end, or to the first broken invariant.
    ///
    /// What waits for a mechanism is not run.
    pub fn run(mut self) -> Report {
        let (events, figures, verdict) = self.run_to_end();
        self.report(events, figures, verdict)
    }

    /// Runs as [`World::run`] does, and takes down what happens.
    pub fn record(mut self) -> (Report, Recording) {
        self.recorder = Recorder::new(&self.plan, &self.hosts);
        let (events, figures, verdict) = self.run_to_end();
        let recording = std::mem::take(&mut self.recorder).finish(self.now);
        let recording = recording.expect("it was recording from the first event on");
        (self.report(events, figures, verdict), recording)
    }

    fn run_to_end(&mut self) -> (u64, Figures, Verdict) {
        if let Some(mechanism) = self.plan.waits_for {
            return (0, Figures::default(), Verdict::Waiting(mechanism));
        }
        let mut events = 0;
        let mut result = Ok(());
        while let Some((at, seq, event)) = self.heap.pop() {
            if at > self.plan.end || events == self.events_max {
                break;
            }
            self.now = at;
            events += 1;
            let step = self.watch(seq, &event);
            self.trace.event(at, seq);
            result = self.happen(event);
            if let Some(step) = step {
                self.trace.keep(step);
            }
            self.recorder.look(at, &self.hosts);
            if result.is_err() {
                break;
            }
        }
        let figures = self.figures(events);
        let result = result.and_then(|()| self.judge_end(&figures));
        let verdict = match result {
            Err(violation) => Verdict::Broken(violation),
            Ok(()) if events == self.events_max => {
                Verdict::Undecided("it took too many events".to_owned())
            }
            Ok(()) => self.quiet.verdict(),
        };
        (events, figures, verdict)
    }

    fn report(self, events: u64, figures: Figures, verdict: Verdict) -> Report {
        let rejoins = self.rejoins();
        let pending = self.pending();
        Report {
            rejoins,
            figures,
            pending,
            name: self.plan.name,
            seed: self.plan.seed,
            mutant: self.mutant,
            hosts: self.plan.hosts,
            virtual_time: self.now.since(Timestamp::ZERO),
            events,
            messages: self.messages,
            converged: self.quiet.converged(self.plan.heal),
            false_downs: self.checks.false_downs(),
            probes: self.checks.all_seen(),
            verdict,
            hash: self.trace.hash(),
            digests: self.trace.digests().to_vec(),
            steps: self.trace.kept().to_vec(),
        }
    }

    fn schedule_plan(&mut self) {
        let plan = &self.plan;
        for (nth, trouble) in plan.trouble.iter().enumerate() {
            self.heap.push(trouble.at, Event::Begin(nth));
            self.heap.push(trouble.until, Event::End(nth));
        }
        for &(at, host) in &plan.images {
            self.heap.push(at, Event::Image(host));
        }
        for (host, &at) in plan.boots.iter().enumerate() {
            self.heap.push(at, Event::Boot { host, after_run: 0 });
        }
        for (nth, op) in plan.ops.iter().enumerate() {
            let arrival = Arrival::Op(nth);
            self.heap.push(
                op.at,
                Event::Arrive {
                    host: op.via,
                    run: None,
                    arrival,
                },
            );
        }
        for (nth, query) in plan.reads.iter().enumerate() {
            self.heap.push(query.at, Event::Query(nth));
        }
        self.heap.push(plan.heal, Event::Heal);
        self.heap
            .push(Timestamp::ZERO + Duration::from_secs(1), Event::Second);
    }

    fn happen(&mut self, event: Event) -> Step {
        match event {
            Event::Boot { host, after_run } => self.boot(host, after_run),
            Event::Arrive { host, run, arrival } => self.arrive(host, run, arrival),
            Event::Turn { host, run, arrival } => self.turn(host, run, arrival),
            Event::Frame { session, towards } => {
                self.frame(session, towards);
                Ok(())
            }
            Event::Silence { session } => {
                self.silence(session);
                Ok(())
            }
            Event::Stop {
                host,
                run,
                comeback,
            } => {
                if self.hosts[host].run == run {
                    self.leave(host, comeback);
                }
                Ok(())
            }
            Event::Begin(nth) => self.begin(nth),
            Event::End(nth) => {
                self.end(nth);
                Ok(())
            }
            Event::Flood(nth) => self.flood(nth),
            Event::Lie(nth) => self.lie(nth),
            Event::Image(host) => {
                let image = (
                    self.hosts[host].disk.clone(),
                    self.hosts[host].floors.saved(),
                );
                self.hosts[host].images.insert(self.now, image);
                Ok(())
            }
            Event::Query(nth) => self.query(nth),
            Event::Second => self.second(),
            Event::Heal => self.heal(),
            Event::Look => self.look(),
        }
    }

    /// Hands `input` to a host's node and carries out everything that follows.
    fn feed(&mut self, host: usize, input: Input) -> Step {
        let local = self.hosts[host].local(self.now);
        self.trace.input(host, &input);
        let Some(node) = &mut self.hosts[host].node else {
            return Ok(());
        };
        let handled = catch_unwind(AssertUnwindSafe(|| node.handle(local, input)));
        self.survived(host, handled)?;
        self.drain(host)
    }

    /// Carries out what the node wants, then asks when it wants to be woken.
    fn drain(&mut self, host: usize) -> Step {
        for _ in 0..OUTPUTS {
            let Some(node) = &mut self.hosts[host].node else {
                return Ok(());
            };
            let polled = catch_unwind(AssertUnwindSafe(|| node.poll_output()));
            let Some(output) = self.survived(host, polled)? else {
                self.take_probes(host);
                self.set_timer(host);
                return Ok(());
            };
            self.trace.output(host, &output);
            self.carry_out(host, output)?;
        }
        Err(has_no_end(self.now, host))
    }

    /// Takes note of the rare states that the node has met.
    fn take_probes(&mut self, host: usize) {
        let node = self.hosts[host].node.as_mut();
        let met = node
            .map(tidings_node::Node::take_probes)
            .unwrap_or_default();
        self.checks.met(self.now, host, met, &self.hosts);
    }

    fn set_timer(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        let due = state
            .node
            .as_ref()
            .and_then(tidings_node::Node::poll_timeout);
        let due = due.map(|due| state.monotonic.shows(due).max(self.now));
        if let Some(at) = due
            && state.timer != due
        {
            let run = Some(state.run);
            self.heap.push(
                at,
                Event::Arrive {
                    host,
                    run,
                    arrival: Arrival::Timer,
                },
            );
        }
        state.timer = due;
    }

    /// What a call of a node gave back, if it came back.
    fn survived<T>(
        &self,
        host: usize,
        result: Result<T, Box<dyn Any + Send>>,
    ) -> Result<T, Violation> {
        result.map_err(|panic| panicked(self.now, host, &*panic))
    }

    fn violation(&self, invariant: &'static str, host: usize, text: String) -> Violation {
        Violation {
            invariant,
            at: self.now,
            host: Some(host),
            text,
        }
    }
}

/// The second that is asked for in the environment, where tests alone set it.
#[cfg(feature = "mutants")]
fn drift() -> Option<Timestamp> {
    let second = std::env::var("TIDINGS_SIM_DRIFT").ok()?.parse().ok()?;
    Some(Timestamp::ZERO + Duration::from_secs(second))
}
