//! The clients: on each host one that writes and one that asks, in the host's own namespace.

use std::{
    collections::BTreeMap,
    fs::File,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Runtime};

use super::{
    AGENTS, answer,
    book::{CALLS_END, CallId, Health, Key, SHARED, Service},
    history::{Act, Call, Look, Moment, Outcome, Span, Way},
};
use crate::{agent::Spec, dns::Dns, http::Http, random::Random};

/// What clients share with each other and with the one who makes the faults.
#[derive(Debug)]
pub struct Shared {
    begin: Instant,
    writing: AtomicBool,
    asking: AtomicBool,
    generations: [AtomicU32; AGENTS],
    calls: Mutex<Vec<Call>>,
    looks: Mutex<Vec<Look>>,
}

/// All clients.
#[derive(Debug)]
pub struct Clients {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
    askers: Vec<JoinHandle<()>>,
}

/// A writer rests for so many milliseconds after an answer.
const WRITER_RESTS_MS: (u64, u64) = (20, 120);
/// And longer if there is nobody to write to.
const NOBODY_RESTS: Duration = Duration::from_millis(100);
/// What the system says then.
const NOBODY_THERE: &str = "Connection refused";
/// One who asks rests for so long.
const ASKER_RESTS: Duration = Duration::from_millis(30);
/// Longer than any agent stands still: who waits for an answer over TCP gets it.
const HTTP_WAITS: Duration = Duration::from_secs(60);
/// A datagram that comes too late is not waited for.
const DNS_WAITS: Duration = Duration::from_secs(6);

impl Shared {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            writing: AtomicBool::new(true),
            asking: AtomicBool::new(true),
            generations: std::array::from_fn(|_| AtomicU32::new(0)),
            calls: Mutex::default(),
            looks: Mutex::default(),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.begin.elapsed()
    }

    /// The disk of `host` is empty: what was registered there is not touched again.
    pub fn next_generation(&self, host: usize) -> u32 {
        self.generations[host].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Looks for something among the calls so far.
    pub fn find_call<T>(&self, find: impl FnOnce(&[Call]) -> Option<T>) -> Option<T> {
        find(&self.calls())
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("no client panics with it")
    }

    fn looks(&self) -> MutexGuard<'_, Vec<Look>> {
        self.looks.lock().expect("no client panics with it")
    }
}

impl Clients {
    /// Begins to write and to ask at each of these agents.
    pub fn begin(specs: &[Spec], seed: u64) -> Self {
        let shared = Arc::new(Shared::new());
        let (mut writers, mut askers) = (Vec::new(), Vec::new());
        for (host, spec) in specs.iter().enumerate() {
            let desk = || Desk::new(host, spec, &shared);
            let salt = u64::try_from(host).expect("there are few") + 1;
            let random = Random::of(seed.wrapping_mul(31).wrapping_add(salt));
            writers.push(in_namespace(spec, desk(), |desk| {
                Writer::new(desk, random).work();
            }));
            askers.push(in_namespace(spec, desk(), |desk| desk.ask_on()));
        }
        Self {
            shared,
            writers,
            askers,
        }
    }

    /// What they share.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Lets them write no more, and waits for the last answers.
    ///
    /// # Panics
    /// If a client has panicked.
    pub fn stop_writing(&mut self) {
        self.shared.writing.store(false, Ordering::SeqCst);
        for writer in self.writers.drain(..) {
            writer.join().expect("a client does not panic");
        }
    }

    /// Ends them; returns what they wrote down.
    ///
    /// # Panics
    /// If a client has panicked.
    pub fn end(mut self) -> (Vec<Call>, Vec<Look>) {
        self.stop_writing();
        self.shared.asking.store(false, Ordering::SeqCst);
        for asker in self.askers {
            asker.join().expect("a client does not panic");
        }
        let calls = std::mem::take(&mut *self.shared.calls());
        let looks = std::mem::take(&mut *self.shared.looks());
        (calls, looks)
    }
}

/// Runs a client in the namespace of an agent.
fn in_namespace(
    spec: &Spec,
    desk: Desk,
    work: impl FnOnce(Desk) + Send + 'static,
) -> JoinHandle<()> {
    let namespace = spec
        .namespace
        .clone()
        .expect("a lab's agents have namespaces");
    thread::spawn(move || {
        let namespace = File::open(format!("/run/netns/{namespace}")).expect("it was made before");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("who made a namespace may enter it");
        work(desk);
    })
}

/// A client's way to one agent.
#[derive(Debug)]
pub struct Desk {
    host: usize,
    http: Http,
    dns: Dns,
    shared: Arc<Shared>,
}

impl Desk {
    fn new(host: usize, spec: &Spec, shared: &Arc<Shared>) -> Self {
        Self {
            host,
            // A connection that outlives its agent would make it look as if the next did not answer.
            http: Http::unpooled(spec.http, HTTP_WAITS),
            dns: Dns::waiting(spec.dns, DNS_WAITS),
            shared: Arc::clone(shared),
        }
    }

    fn ask_on(self) {
        let runtime = runtime();
        let ways = [Way::Http, Way::Dns];
        let questions = Service::ALL.map(|service| ways.map(|way| (way, service)));
        for (way, service) in questions.into_iter().flatten().cycle() {
            if !self.shared.asking.load(Ordering::SeqCst) {
                return;
            }
            self.look(&runtime, way, service);
            thread::sleep(ASKER_RESTS);
        }
    }

    fn look(&self, runtime: &Runtime, way: Way, service: Service) {
        let begin = self.shared.now();
        let answer = match way {
            Way::Http => runtime
                .block_on(self.http.get_async(&answer::path(service)))
                .and_then(|answer| answer.json())
                .and_then(|found| answer::over_http(service, &found)),
            Way::Dns => answer::over_dns(&self.dns, service),
        };
        let end = self.shared.now();
        self.shared.looks().push(Look {
            at: self.host,
            way,
            service,
            span: Span { begin, end },
            answer,
        });
    }
}

/// Of a client, so that its sockets are made in its namespace.
fn runtime() -> Runtime {
    let built = Builder::new_current_thread().enable_all().build();
    built.expect("a runtime can be started")
}

/// Registers, deregisters and reports at one agent, one call after the other.
#[derive(Debug)]
struct Writer {
    desk: Desk,
    random: Random,
    number: u32,
    generation: u32,
    believed: BTreeMap<Key, Believed>,
}

/// What the writer takes to be so.
#[derive(Clone, Debug)]
struct Believed {
    /// Whether the instance is registered; `None` in doubt.
    registered: Option<bool>,
    /// What its check may say.
    health: Vec<Health>,
}

impl Default for Believed {
    fn default() -> Self {
        Self {
            registered: Some(false),
            health: vec![Health::Passing],
        }
    }
}

impl Writer {
    const fn new(desk: Desk, random: Random) -> Self {
        Self {
            desk,
            random,
            number: 0,
            generation: 0,
            believed: BTreeMap::new(),
        }
    }

    fn work(mut self) {
        let runtime = runtime();
        while self.goes_on() {
            let generation = self.desk.shared.generations[self.desk.host].load(Ordering::SeqCst);
            if generation != self.generation {
                self.generation = generation;
                self.believed.clear();
            }
            let key = self.pick();
            if let Some(act) = self.choose(key) {
                match self.call(&runtime, key, act) {
                    // Every third time the client looks at once whether it is so.
                    Outcome::Done if self.random.below(3) == 0 => {
                        self.desk.look(&runtime, Way::Http, key.service());
                    }
                    Outcome::Unsent(_) => thread::sleep(NOBODY_RESTS),
                    _ => {}
                }
            }
            thread::sleep(Duration::from_millis(self.random.between(WRITER_RESTS_MS)));
        }
    }

    fn goes_on(&self) -> bool {
        self.desk.shared.writing.load(Ordering::SeqCst) && self.number + 1 < CALLS_END
    }

    fn pick(&mut self) -> Key {
        if self.random.below(10) == 0 {
            let slot = self.random.below(SHARED as usize);
            return Key::Shared(u32::try_from(slot).expect("there are few"));
        }
        let own: Vec<_> = Key::own(self.desk.host, self.generation).collect();
        own[self.random.below(own.len())]
    }

    /// What is to be done about `key`, if anything can be that everybody would see.
    fn choose(&mut self, key: Key) -> Option<Act> {
        let chance = self.random.below(3);
        let believed = self.believed.entry(key).or_default();
        match (key.service(), believed.registered) {
            (Service::Db, Some(true)) => {
                let now = &believed.health;
                let mut others = Health::ALL
                    .into_iter()
                    .filter(|health| !now.contains(health));
                others.next().map(Act::Report)
            }
            (Service::Web, Some(true)) if chance == 0 => Some(Act::Deregister),
            (Service::Ext, _) if chance == 0 => Some(Act::Deregister),
            _ => Some(Act::Register),
        }
    }

    /// Makes a call and writes it down.
    fn call(&mut self, runtime: &Runtime, key: Key, act: Act) -> Outcome {
        self.number += 1;
        let id = CallId {
            host: self.desk.host,
            number: self.number,
        };
        let (path, body) = match act {
            Act::Register => key.registration(id),
            Act::Deregister => key.deregistration(),
            Act::Report(health) => key.report(id, health),
        };
        let begin = self.desk.shared.now();
        let answer = runtime.block_on(self.desk.http.put_async(&path, &body));
        let end = self.desk.shared.now();
        let outcome = match answer {
            Err(reason) if reason.contains(NOBODY_THERE) => Outcome::Unsent(reason),
            Err(reason) => Outcome::Silent(reason),
            Ok(answer) => match answer.success() {
                Ok(_) => Outcome::Done,
                Err(reason) => Outcome::Refused(reason),
            },
        };
        let believed = self.believed.entry(key).or_default();
        believed.take(act, &outcome);
        self.desk.shared.calls().push(Call {
            id,
            key,
            act,
            span: Span { begin, end },
            outcome: outcome.clone(),
        });
        outcome
    }
}

impl Believed {
    fn take(&mut self, act: Act, outcome: &Outcome) {
        let is_sure = match outcome {
            Outcome::Done => true,
            Outcome::Silent(_) => false,
            Outcome::Refused(_) | Outcome::Unsent(_) => return,
        };
        match act {
            Act::Register => self.registered = is_sure.then_some(true),
            Act::Deregister => self.registered = is_sure.then_some(false),
            Act::Report(health) => {
                if is_sure {
                    self.health.clear();
                }
                self.health.push(health);
            }
        }
    }
}
