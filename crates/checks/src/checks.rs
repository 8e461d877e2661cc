//! The set of running checks.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tidings_types::{Check, CheckId, CheckKind, CheckStatus, Text};
use tidings_view::View;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    Sink,
    alias::Alias,
    clock::{RunClock, RunTime},
    http::HttpClients,
    interval,
    observation::{Observation, held},
    places::Places,
    reaper,
    supervisor::supervise,
    ttl::{self, ttl_of},
};

/// Programs that checks may be allowed to run.
pub const PROGRAMS_MAX: usize = 10_000;
/// How many read the system's certificates at the same time, each on a thread of its own.
const READERS: usize = 4;
/// How long a refused report or request waits before it is made again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// The checks of this node, running.
///
/// Dropping it stops them; [`Checks::shutdown`] also waits until they have stopped.
pub struct Checks<S> {
    shared: Arc<Shared<S>>,
    running: Mutex<BTreeMap<CheckId, Running>>,
    /// Set under the lock of `running`.
    is_closed: AtomicBool,
    heartbeat: JoinHandle<()>,
    runtime: Handle,
}

/// What all runners use.
pub(crate) struct Shared<S> {
    pub(crate) sink: S,
    pub(crate) clock: RunClock,
    pub(crate) places: Places,
    pub(crate) clients: HttpClients,
    /// Whoever reads the system's certificates holds one of these.
    pub(crate) reading: Arc<Semaphore>,
    pub(crate) counters: Counters,
    pub(crate) setup: Setup,
    /// The programs that somebody asked this agent to run, since its start.
    programs: Mutex<BTreeMap<CheckId, CheckKind>>,
}

/// What checks find around them.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What alias checks look at; without it they are not run.
    pub view: Option<View>,
    /// The socket of the container engine, for Docker checks.
    pub container_engine: PathBuf,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            view: None,
            container_engine: PathBuf::from("/var/run/docker.sock"),
        }
    }
}

impl<S> Shared<S> {
    /// Whether somebody asked this agent to run the program of that check.
    pub(crate) fn may_run(&self, id: &CheckId, kind: &CheckKind) -> bool {
        let programs = self.programs.lock();
        let programs = programs.unwrap_or_else(PoisonError::into_inner);
        programs.get(id) == Some(kind)
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) runs: AtomicU64,
    pub(crate) expirations: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) reports_refused: AtomicU64,
    /// Whether the last report was refused: one line in the log per streak is enough.
    pub(crate) refusing: AtomicBool,
    pub(crate) deregistrations: AtomicU64,
    pub(crate) panics: AtomicU64,
}

/// The runners' figures, for metrics. All but `checks` count from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Checks that run now.
    pub checks: usize,
    /// Runs made of checks with an interval.
    pub runs: u64,
    /// TTL checks that were not renewed in time.
    pub expirations: u64,
    /// Results passed on.
    pub reports: u64,
    /// Results and deregistrations that were refused; they are tried again.
    pub reports_refused: u64,
    /// Instances deregistered because they were critical for too long.
    pub deregistrations: u64,
    /// Runners that panicked and were started again.
    pub panics: u64,
    /// Times that this process was found to have stood still.
    pub stalls: u64,
}

/// What a runner must know of its check's record while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The status in force.
    pub(crate) status: CheckStatus,
    /// The output in force: that of the last change of status.
    pub(crate) output: String,
    /// Since when the status in force is critical without a break.
    pub(crate) critical_since: Option<RunTime>,
    /// What the client of a TTL check reports.
    pub(crate) touched: Touched,
}

/// The reports of a TTL check's client.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    /// How many there were so far.
    pub(crate) times: u64,
    /// When the last one came.
    pub(crate) last: RunTime,
    /// What it said.
    pub(crate) status: CheckStatus,
    pub(crate) output: String,
    pub(crate) observation: Observation,
}

/// One check and its tasks.
struct Running {
    definition: Check,
    facts: watch::Sender<Facts>,
    tasks: Vec<JoinHandle<()>>,
}

impl<S: Sink> Checks<S> {
    /// An empty set that reports to `sink`, on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(sink: S, setup: Setup) -> Self {
        let shared = Arc::new(Shared {
            sink,
            clock: RunClock::new(),
            places: Places::default(),
            clients: HttpClients::default(),
            reading: Arc::new(Semaphore::new(READERS)),
            counters: Counters::default(),
            setup,
            programs: Mutex::default(),
        });
        let runtime = Handle::current();
        let beating = Arc::clone(&shared);
        let heartbeat = runtime.spawn(async move { beating.clock.beat().await });
        Self {
            shared,
            running: Mutex::default(),
            is_closed: AtomicBool::new(false),
            heartbeat,
            runtime,
        }
    }

    /// Takes `check` as the record in force of `id`.
    ///
    /// A new check, or one whose definition changed, is started afresh; one whose status or output
    /// alone changed goes on running.
    pub fn set(&self, id: CheckId, check: Check) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed.load(Relaxed) {
            return;
        }
        let now = self.shared.clock.now();
        let definition = definition_of(&check);
        let known = running.get(&id);
        let facts = match known {
            Some(old) => advanced(&old.facts.borrow(), &check, now),
            None => first_facts(&check, now),
        };
        match known {
            Some(old) if old.definition == definition => {
                old.facts.send_replace(facts);
            }
            _ => {
                let started = self.start(&id, definition, facts);
                if let Some(old) = running.insert(id, started) {
                    old.stop();
                }
            }
        }
    }

    /// Lets the check `id` run the program of `kind`. A check that runs a program is not run without
    /// this: its record may have come from a peer. Call it before the node hears of the check.
    ///
    /// Returns false if [`PROGRAMS_MAX`] others may run theirs already.
    pub fn allow_program(&self, id: &CheckId, kind: &CheckKind) -> bool {
        let programs = self.shared.programs.lock();
        let mut programs = programs.unwrap_or_else(PoisonError::into_inner);
        if programs.len() >= PROGRAMS_MAX && !programs.contains_key(id) {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            programs.retain(|id, _| running.contains_key(id));
            if programs.len() >= PROGRAMS_MAX {
                return false;
            }
        }
        programs.insert(id.clone(), kind.clone());
        true
    }

    /// Stops the check `id`; an unknown one is ignored.
    pub fn remove(&self, id: &CheckId) {
        let removed = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        if let Some(old) = removed {
            old.stop();
        }
    }

    /// Starts the time to live of the TTL check `id` again: its client has just reported this. Returns
    /// what the node is to be told: a check under observation stays critical, until its time is over.
    ///
    /// Call it before the client's report goes to the node, so that an expiry at the same moment
    /// cannot overtake the report. Other checks are not affected.
    pub fn ttl_touched(
        &self,
        id: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> (CheckStatus, String) {
        let now = self.shared.clock.now();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(check) = running.get(id) else {
            return (status, output);
        };
        let mut left = None;
        check.facts.send_modify(|facts| {
            left = facts.touch(&check.definition, status, &output, now);
        });
        match left {
            Some(_) => (CheckStatus::Critical, held(&check.definition, &output)),
            None => (status, output),
        }
    }

    /// The figures now.
    pub fn figures(&self) -> Figures {
        let counters = &self.shared.counters;
        Figures {
            checks: self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len(),
            runs: counters.runs.load(Relaxed),
            expirations: counters.expirations.load(Relaxed),
            reports: counters.reports.load(Relaxed),
            reports_refused: counters.reports_refused.load(Relaxed),
            deregistrations: counters.deregistrations.load(Relaxed),
            panics: counters.panics.load(Relaxed),
            stalls: self.shared.clock.stalls(),
        }
    }

    /// Stops all checks, starts no more, and waits until no task and no program of theirs is left.
    pub async fn shutdown(&self) {
        self.heartbeat.abort();
        let running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            self.is_closed.store(true, Relaxed);
            std::mem::take(&mut *running)
        };
        let tasks = running.into_values().flat_map(|check| check.tasks);
        let tasks: Vec<_> = tasks.inspect(JoinHandle::abort).collect();
        for task in tasks {
            // The only possible outcomes are that it ended or was cancelled; its supervisor has
            // already spoken of panics.
            let _ = task.await;
        }
    }

    fn start(&self, id: &CheckId, definition: Check, facts: Facts) -> Running {
        let (sender, receiver) = watch::channel(facts);
        let mut tasks = Vec::new();
        match &definition.kind {
            CheckKind::Manual { .. } => {}
            CheckKind::Ttl { .. } => {
                let task = ttl::Ttl::new(id, &definition, &self.shared, &receiver);
                tasks.push(self.spawn(id, move || task.clone().run()));
            }
            CheckKind::Alias(alias) => {
                let task = Alias::new(id, &definition, alias, &self.shared, &receiver);
                tasks.push(self.spawn(id, move || task.clone().run()));
            }
            _ => {
                let task = interval::Interval::new(id, &definition, &self.shared, &receiver);
                tasks.push(self.spawn(id, move || task.clone().run()));
            }
        }
        if let Some(task) = reaper::Reaper::new(id, &definition, &self.shared, &receiver) {
            tasks.push(self.spawn(id, move || task.clone().run()));
        }
        Running {
            definition,
            facts: sender,
            tasks,
        }
    }

    fn spawn<F>(&self, id: &CheckId, make: impl Fn() -> F + Send + 'static) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let id = id.clone();
        self.runtime.spawn(async move {
            supervise(&id, &shared.counters.panics, make).await;
        })
    }
}

impl<S> Drop for Checks<S> {
    fn drop(&mut self) {
        self.heartbeat.abort();
        let running = self
            .running
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(running)
            .into_values()
            .for_each(Running::stop);
    }
}

impl<S> fmt::Debug for Checks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl Running {
    fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Facts {
    /// Takes a report of a TTL check's client. Returns how long it is observed before it counts.
    fn touch(
        &mut self,
        definition: &Check,
        status: CheckStatus,
        output: &str,
        now: RunTime,
    ) -> Option<Duration> {
        let touched = &mut self.touched;
        let silence = now.saturating_sub(touched.last);
        if ttl_of(definition).is_some_and(|ttl| silence >= ttl) {
            touched.observation.reset();
        }
        touched.times += 1;
        touched.last = now;
        touched.status = status;
        output.clone_into(&mut touched.output);
        touched
            .observation
            .left(definition, self.status, status, now)
    }
}

/// The check without what it found, for comparing definitions.
fn definition_of(check: &Check) -> Check {
    Check {
        status: CheckStatus::Critical,
        output: Text::new(),
        ..check.clone()
    }
}

fn first_facts(check: &Check, now: RunTime) -> Facts {
    Facts {
        status: check.status,
        output: check.output.to_string(),
        critical_since: (check.status == CheckStatus::Critical).then_some(now),
        touched: Touched {
            times: 0,
            last: now,
            status: check.status,
            output: check.output.to_string(),
            observation: Observation::default(),
        },
    }
}

/// The facts after `old` once `check` is in force: the time in critical state goes on.
fn advanced(old: &Facts, check: &Check, now: RunTime) -> Facts {
    let mut touched = old.touched.clone();
    if check.status != CheckStatus::Critical {
        touched.observation.reset();
    }
    Facts {
        status: check.status,
        output: check.output.to_string(),
        critical_since: (check.status == CheckStatus::Critical)
            .then(|| old.critical_since.unwrap_or(now)),
        touched,
    }
}
