//! The agents, and how the faults of a plan are done to them.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    AGENTS, answer,
    clients::Shared,
    clock::Clock,
    history::{Moment, Span, who},
    links::Links,
    lives::{Life, Lives},
    plan::{Disk, Fault, Plan},
    sabotage::Sabotage,
};
use crate::{agent::Agent, lab::Lab, stage::Stage};

/// The agents of a drill and what was done to them.
#[derive(Debug)]
pub struct World {
    /// The agents.
    pub agents: Vec<Agent>,
    /// When they ran.
    pub lives: Lives,
    /// What was done, and when.
    pub timeline: Vec<(Moment, String)>,
    /// Agents that ended by themselves.
    pub crashes: Vec<(usize, Moment, String)>,
    /// What is wrong that nobody is told of.
    pub(super) sabotage: Option<Sabotage>,
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) links: Links,
    clocks: Vec<Clock>,
}

/// A started agent is waited for so long before the drill goes on without it.
const READY_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What an emptied disk still has.
const IDENTITY: [&str; 2] = ["identity", "identity.bak"];

/// The begin or the end of a planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    // What ends at the moment at which something else begins, ends first.
    End,
    Begin,
}

impl World {
    /// Starts the agents, each in a namespace of its own, and waits until they are one cluster.
    ///
    /// # Panics
    /// If they do not come to that.
    pub fn start(stage: &Stage, faketime: Option<PathBuf>) -> Self {
        let count = u8::try_from(AGENTS).expect("a lab has few agents");
        let mut clocks = Vec::new();
        let lab = Lab::start_with(stage, count, |spec| {
            let clock = faketime
                .as_deref()
                .map(|library| Clock::under(spec, library));
            clocks.extend(clock);
        });
        let links = Links::default();
        links.lay();
        Self {
            agents: lab.agents,
            lives: Lives::default(),
            timeline: Vec::new(),
            crashes: Vec::new(),
            sabotage: None,
            shared: None,
            links,
            clocks,
        }
    }

    /// Notes that the agents run and that clients have begun.
    ///
    /// # Panics
    /// If an agent does not answer.
    pub fn begin(&mut self, shared: Arc<Shared>, sabotage: Option<Sabotage>) {
        let first = |agent: &Agent| Life {
            started: Moment::ZERO,
            ready: Some(Moment::ZERO),
            killed: None,
            disk: Disk::Kept,
            node: node(agent).expect("it has just answered"),
            generation: 0,
        };
        self.lives.lives = self.agents.iter().map(|agent| vec![first(agent)]).collect();
        self.shared = Some(shared);
        self.sabotage = sabotage;
    }

    /// The present moment.
    ///
    /// # Panics
    /// Before [`World::begin`].
    pub fn now(&self) -> Moment {
        self.shared().now()
    }

    pub(super) fn shared(&self) -> &Shared {
        self.shared.as_deref().expect("the drill has begun")
    }

    /// Does what the plan says, when it says so.
    pub fn carry_out(&mut self, plan: &Plan) {
        let mut edges = Vec::new();
        for (number, planned) in plan.faults.iter().enumerate() {
            edges.push((planned.at, Edge::Begin, number));
            edges.push((planned.until, Edge::End, number));
        }
        edges.sort_unstable();
        let mut sabotage = self.sabotage.filter(|sabotage| sabotage.is_in_chaos());
        for (at, edge, number) in edges {
            if sabotage.is_some() && at >= plan.chaos / 2 {
                self.sabotage(sabotage.take().expect("there is one"));
            }
            self.wait_until(at);
            let fault = &plan.faults[number].fault;
            match edge {
                Edge::Begin => self.break_with(fault),
                Edge::End => self.mend(fault),
            }
        }
        self.wait_until(plan.chaos);
    }

    fn wait_until(&self, at: Moment) {
        thread::sleep(at.saturating_sub(self.now()));
    }

    pub(super) fn note(&mut self, what: String) {
        self.timeline.push((self.now(), what));
    }

    fn break_with(&mut self, fault: &Fault) {
        self.note(fault.to_string());
        match fault {
            Fault::Split(side) => self.cut(side, true, true),
            Fault::Deaf(side) => self.cut(side, true, false),
            Fault::Mute(side) => {
                for (from, to) in across(side) {
                    self.links.refuse(from, to);
                }
                self.links.lay();
            }
            Fault::Blackout => {
                for host in 0..AGENTS {
                    self.cut(&[host], true, true);
                }
            }
            Fault::Link(a, b) => {
                self.links.cut(*a, *b);
                self.links.cut(*b, *a);
                self.links.lay();
            }
            Fault::Loss(hosts, percent) => {
                self.links.lose(hosts, *percent);
                self.links.lay();
            }
            Fault::Kill(hosts, disk) => {
                for &host in hosts {
                    self.kill(host);
                }
                for &host in hosts {
                    self.set_disk(host, *disk);
                }
            }
            Fault::Pause(host) => self.pause(*host),
            Fault::Shift(host, by) => self.shift(*host, *by),
        }
    }

    fn mend(&mut self, fault: &Fault) {
        match fault {
            Fault::Split(_)
            | Fault::Deaf(_)
            | Fault::Mute(_)
            | Fault::Blackout
            | Fault::Link(..) => {
                self.links.mend();
                self.links.lay();
            }
            Fault::Loss(hosts, _) => {
                self.links.lose(hosts, 0);
                self.links.lay();
            }
            Fault::Kill(hosts, disk) => self.start_again(hosts, *disk),
            Fault::Pause(host) => self.go_on(*host),
            Fault::Shift(host, _) => self.shift(*host, 0),
        }
        self.note(format!("    over: {fault}"));
    }

    /// Takes what comes to `side` from the others, and the other way round.
    fn cut(&mut self, side: &[usize], comes: bool, goes: bool) {
        for (inside, outside) in across(side) {
            if comes {
                self.links.cut(outside, inside);
            }
            if goes {
                self.links.cut(inside, outside);
            }
        }
        self.links.lay();
    }

    /// SIGKILL, whatever the agent is doing.
    pub fn kill(&mut self, host: usize) {
        let begin = self.now();
        let agent = &mut self.agents[host];
        if let Err(reason) = agent.ensure_running() {
            self.crashes.push((host, begin, reason));
            agent.wait_until_it_ends();
        } else {
            agent.kill();
        }
        let end = self.now();
        let life = self.lives.lives[host].last_mut();
        life.expect("it ran").killed = Some(Span { begin, end });
    }

    /// What the next process of a killed agent finds.
    pub(super) fn set_disk(&self, host: usize, disk: Disk) {
        let dir = self.agents[host].spec().data_dir();
        match disk {
            Disk::Kept => {}
            Disk::Emptied => {
                for entry in fs::read_dir(&dir)
                    .expect("a data directory can be listed")
                    .flatten()
                {
                    if !IDENTITY.iter().any(|kept| entry.file_name() == *kept) {
                        fs::remove_file(entry.path()).expect("an agent's file can be removed");
                    }
                }
            }
            Disk::Lost => fs::remove_dir_all(&dir).expect("an agent's folder can be removed"),
        }
    }

    /// Starts killed agents and waits until they answer.
    pub(super) fn start_again(&mut self, hosts: &[usize], disk: Disk) {
        for &host in hosts {
            let before = self.lives.last(host).expect("it ran");
            let mut generation = before.generation;
            if disk != Disk::Kept {
                generation = self.shared().next_generation(host);
            }
            let life = Life {
                started: self.now(),
                ready: None,
                killed: None,
                disk,
                node: 0,
                generation,
            };
            self.lives.lives[host].push(life);
            self.agents[host].spawn_again();
        }
        let deadline = Instant::now() + READY_WITHIN;
        let mut waiting = hosts.to_vec();
        while !waiting.is_empty() && Instant::now() < deadline {
            waiting.retain(|&host| {
                let Some(node) = node(&self.agents[host]) else {
                    return true;
                };
                let ready = self.now();
                let life = self.lives.lives[host].last_mut().expect("it was started");
                (life.ready, life.node) = (Some(ready), node);
                false
            });
            thread::sleep(LOOK_EVERY);
        }
    }

    fn pause(&mut self, host: usize) {
        let begin = self.now();
        self.agents[host].signal("STOP");
        let end = Moment::MAX;
        self.lives.pauses.push((host, Span { begin, end }));
    }

    fn go_on(&mut self, host: usize) {
        self.agents[host].signal("CONT");
        let now = self.now();
        let mut pauses = self.lives.pauses.iter_mut();
        let pause = pauses.rfind(|(of, _)| *of == host);
        pause.expect("it stood still").1.end = now;
    }

    fn shift(&self, host: usize, by: i64) {
        self.clocks[host].set(by);
    }

    /// Writes down who has ended by itself, and what all agents' logs call an error.
    pub fn look_for_crashes(&mut self) {
        let now = self.now();
        for host in 0..AGENTS {
            let should_run = self
                .lives
                .last(host)
                .is_some_and(|life| life.killed.is_none());
            if let Err(reason) = self.agents[host].ensure_running()
                && should_run
            {
                self.crashes.push((host, now, reason));
            }
            for line in self.agents[host].errors() {
                self.crashes
                    .push((host, now, format!("{} logs: {line}", who(host))));
            }
        }
    }
}

/// Who an agent is, if it answers.
fn node(agent: &Agent) -> Option<u128> {
    let status = agent.status().ok()?;
    answer::node_id(&status.node_id)
}

/// Each host of `side` with each that is not.
fn across(side: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let others = (0..AGENTS).filter(|host| !side.contains(host));
    others.flat_map(|other| side.iter().map(move |&inside| (inside, other)))
}
