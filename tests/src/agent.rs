//! One agent's process.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    binary,
    dns::Dns,
    http::Http,
    stats::say,
    status::Status,
    wait::{self, ensure},
};

/// An agent answers this soon after its start.
pub const STARTED_WITHIN: Duration = Duration::from_secs(1);
/// An agent that is told to end does so in this time.
pub const ENDED_WITHIN: Duration = Duration::from_secs(2);
/// Lines of an agent's log that are shown if its story fails.
const TAIL: usize = 60;

/// How an agent is started, each time.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The node's name, which also names its files.
    pub name: String,
    /// The network namespace that it lives in, if not the story's.
    pub namespace: Option<String>,
    /// Where it takes gossip.
    pub gossip: SocketAddr,
    /// Where it answers HTTP.
    pub http: SocketAddr,
    /// Where it answers DNS.
    pub dns: SocketAddr,
    /// Its seeds.
    pub join: Vec<String>,
    /// The folder in which its data directory and its logs stand.
    pub dir: PathBuf,
    /// The file of the cluster's keys.
    pub key_file: Option<PathBuf>,
    /// `--log-level`.
    pub log_level: String,
    /// Whatever else stands on the command line.
    pub more: Vec<String>,
    /// Started as `tidings dev`: the agent finds its ports by itself, and nothing is on disk.
    pub is_dev: bool,
    /// The whole command line, in place of what follows from the rest.
    pub words: Option<Vec<String>>,
    /// Variables that it finds in its environment beside the story's own.
    pub env: Vec<(&'static str, PathBuf)>,
}

impl Spec {
    /// The agent's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// What follows `tidings` on the command line.
    pub fn arguments(&self) -> Vec<String> {
        if let Some(words) = &self.words {
            return words.clone();
        }
        let command = if self.is_dev { "dev" } else { "agent" };
        let mut words = vec![command.to_owned()];
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        flag("name", self.name.clone());
        flag("log-level", self.log_level.clone());
        if !self.is_dev {
            flag("data-dir", self.data_dir().display().to_string());
            flag("bind", self.gossip.ip().to_string());
            flag("gossip-port", self.gossip.port().to_string());
            flag("client", self.http.ip().to_string());
            flag("http-port", self.http.port().to_string());
            flag("dns-port", self.dns.port().to_string());
        }
        for seed in &self.join {
            flag("join", seed.clone());
        }
        if let Some(file) = &self.key_file {
            flag("key-file", file.display().to_string());
        }
        words.extend(self.more.iter().cloned());
        words
    }
}

/// An agent, running or not.
#[derive(Debug)]
pub struct Agent {
    spec: Spec,
    child: Option<Child>,
    runs: usize,
    /// Parts of error lines that the story is about.
    expected_errors: Vec<&'static str>,
    are_errors_told: bool,
    http: Http,
    dns: Dns,
}

impl Agent {
    /// Starts an agent and does not wait for it.
    ///
    /// # Panics
    /// If there is no binary, or it cannot be run.
    pub fn spawn(spec: Spec) -> Self {
        let mut agent = Self {
            http: Http::new(spec.http),
            dns: Dns::new(spec.dns),
            spec,
            child: None,
            runs: 0,
            expected_errors: Vec::new(),
            are_errors_told: false,
        };
        agent.spawn_again();
        agent
    }

    /// Starts an agent and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(spec: Spec) -> Self {
        let mut agent = Self::spawn(spec);
        agent.wait_until_it_answers();
        agent
    }

    /// Starts the agent once more, with all that it was started with before.
    ///
    /// # Panics
    /// If it runs.
    pub fn spawn_again(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.spec.name);
        self.runs += 1;
        let log = File::create(self.log_path()).expect("the story's directory takes a log");
        let other = log.try_clone().expect("a file can be written twice");
        let mut command = match &self.spec.namespace {
            None => Command::new(binary::path()),
            Some(namespace) => {
                // nsenter becomes the agent, so that signals reach the agent itself.
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{namespace}"));
                command.arg(binary::path());
                command
            }
        };
        let child = command
            .args(self.spec.arguments())
            .env_remove("TIDINGS_HTTP_ADDR")
            .envs(self.spec.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(other)
            .spawn()
            .expect("the agent can be run");
        self.child = Some(child);
    }

    /// As [`Agent::spawn_again`], and waits until it answers; returns how long that took.
    ///
    /// # Panics
    /// If it does not.
    pub fn restart(&mut self) -> Duration {
        let begin = Instant::now();
        self.spawn_again();
        self.wait_until_it_answers();
        begin.elapsed()
    }

    /// Waits until the agent answers HTTP.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_until_it_answers(&mut self) {
        let what = format!("{} answers", self.spec.name);
        wait::until(&what, STARTED_WITHIN, || {
            if let Some(status) = self.ended() {
                panic!("{} ended: {status}\n{}", self.spec.name, self.log());
            }
            if self.spec.is_dev {
                self.read_banner()?;
            }
            self.http.get("/v1/tidings/status")?.success()
        });
    }

    /// Takes the addresses from what `tidings dev` tells people.
    fn read_banner(&mut self) -> Result<(), String> {
        let told = self.log();
        let after = |label: &str| {
            let mut lines = told.lines().map(str::trim_start);
            let line = lines.find_map(|line| line.strip_prefix(label));
            let word = line.and_then(|line| line.split_whitespace().next());
            let addr = word.and_then(|word| word.trim_start_matches("http://").parse().ok());
            addr.ok_or_else(|| format!("no address after {label:?} in {told:?}"))
        };
        self.spec.gossip = after("gossip ")?;
        self.spec.http = after("HTTP ")?;
        self.spec.dns = after("DNS ")?;
        self.http = Http::new(self.spec.http);
        self.dns = Dns::new(self.spec.dns);
        Ok(())
    }

    /// `kill -9`; returns when.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) -> Instant {
        self.kill_and(|| {})
    }

    /// `kill -9`, then `struck` before it is known to be dead; returns when.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill_and(&mut self, struck: impl FnOnce()) -> Instant {
        let mut child = self.child.take().expect("the agent runs");
        let at = Instant::now();
        child.kill().expect("a child can be killed");
        struck();
        child.wait().expect("a child can be waited for");
        at
    }

    /// SIGTERM; returns when, and does not wait.
    ///
    /// # Panics
    /// If it does not run.
    pub fn terminate(&mut self) -> Instant {
        self.signal("TERM")
    }

    /// Sends the signal `name`; returns when.
    ///
    /// # Panics
    /// If the agent does not run.
    pub fn signal(&self, name: &str) -> Instant {
        let child = self.child.as_ref().expect("the agent runs");
        let at = Instant::now();
        // The number under which `sh` knows the child is the one that this process knows.
        let script = format!("kill -{name} {}", child.id());
        let sent = Command::new("sh").args(["-c", &script]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{script}");
        at
    }

    /// Waits until the agent has ended.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait_until_it_ends(&mut self) -> (ExitStatus, Duration) {
        let what = format!("{} ends", self.spec.name);
        let ended = wait::until(&what, ENDED_WITHIN, || {
            self.ended().ok_or_else(|| "it still runs".to_owned())
        });
        self.child = None;
        ended
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        child.try_wait().expect("a child can be looked at")
    }

    /// Expects the agent to be running.
    ///
    /// # Errors
    /// How it ended.
    pub fn ensure_running(&mut self) -> Result<(), String> {
        let ended = self.ended();
        ensure(self.child.is_some() && ended.is_none(), || {
            format!("{} ended: {ended:?}", self.spec.name)
        })
    }

    /// Lets the agent meet errors whose lines contain `text`: any other fails the story.
    pub fn expect_error(&mut self, text: &'static str) {
        self.expected_errors.push(text);
    }

    /// The lines of all its logs that no agent may write, whatever a story is about: each is told
    /// once, and does not fail the story any more.
    pub fn errors(&mut self) -> Vec<String> {
        let told = self.wrong_lines();
        self.are_errors_told = true;
        told
    }

    fn wrong_lines(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for run in 1..=self.runs {
            let log = fs::read(log_path(&self.spec.dir, &self.spec.name, run)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let expected = |line: &str| self.expected_errors.iter().any(|part| line.contains(part));
            let lines = log.lines().filter(|line| {
                line.contains("panicked at") || line.contains(" ERROR ") && !expected(line)
            });
            wrong.extend(lines.map(|line| format!("in run {run}: {line}")));
        }
        wrong
    }

    /// How it is started.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How it is started from now on.
    pub const fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// How it stands.
    ///
    /// # Errors
    /// If it does not say so, in words.
    pub fn status(&self) -> Result<Status, String> {
        let told = self.http.json("/v1/tidings/status")?;
        serde_json::from_value(told).map_err(|error| error.to_string())
    }

    /// Where it is asked over HTTP.
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Where it is asked over DNS.
    pub const fn dns(&self) -> &Dns {
        &self.dns
    }

    /// What the present run, or the last, has logged.
    pub fn log(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The file of [`Agent::log`].
    pub fn log_path(&self) -> PathBuf {
        log_path(&self.spec.dir, &self.spec.name, self.runs)
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log
            .lines()
            .filter(|line| !line.contains(" TRACE "))
            .collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

fn log_path(dir: &Path, name: &str, run: usize) -> PathBuf {
    dir.join(format!("{name}.{run}.log"))
}

impl Drop for Agent {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&format!(
                "--- the last of {} (run {}):\n{}",
                self.spec.name,
                self.runs,
                self.tail()
            ));
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.are_errors_told || thread::panicking() {
            return;
        }
        // Whatever a story is about, no agent may have met what it calls an error unawares.
        if let Some(line) = self.wrong_lines().first() {
            panic!("{} met an error {line}", self.spec.name);
        }
    }
}
