//! Reads that go on whatever happens to the agent's disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{agent::Agent, dns::Dns, http::Http};

/// One client that asks an agent over HTTP and DNS in turn, until it is told to end.
#[derive(Debug)]
pub struct Reads {
    over: Arc<AtomicBool>,
    client: JoinHandle<Result<Read, String>>,
}

/// What a client saw.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// How many answers it had.
    pub answers: usize,
    /// How long the slowest of them took.
    pub slowest: Duration,
}

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

impl Reads {
    /// Begins to ask `agent` for `service`, which has at least one instance all the while, and returns
    /// when it has been answered.
    pub fn of(agent: &Agent, service: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (begun, has_begun) = mpsc::sync_channel(1);
        let asker = Asker {
            http: Http::new(agent.spec().http),
            dns: *agent.dns(),
            service: service.to_owned(),
            over: Arc::clone(&over),
        };
        let client = thread::spawn(move || asker.ask(&begun));
        // An error ends the client, and its channel with it: the end tells what it was.
        let _ = has_begun.recv();
        Self { over, client }
    }

    /// Ends and says what was seen.
    ///
    /// # Panics
    /// If one question was not answered, or not by an instance.
    pub fn end(self) -> Read {
        self.over.store(true, Ordering::SeqCst);
        let seen = self.client.join().expect("a client does not panic");
        seen.unwrap_or_else(|reason| panic!("reads do not go on: {reason}"))
    }
}

struct Asker {
    http: Http,
    dns: Dns,
    service: String,
    over: Arc<AtomicBool>,
}

impl Asker {
    fn ask(&self, begun: &SyncSender<()>) -> Result<Read, String> {
        let mut read = Read {
            answers: 0,
            slowest: Duration::ZERO,
        };
        while !self.over.load(Ordering::SeqCst) {
            for ask in [Self::over_http, Self::over_dns] {
                let begin = Instant::now();
                let found = ask(self)?;
                read.slowest = read.slowest.max(begin.elapsed());
                read.answers += 1;
                if found == 0 {
                    return Err(format!("{} has no instances", self.service));
                }
            }
            let _ = begun.try_send(()); // Only the first is waited for.
            thread::sleep(PAUSE);
        }
        Ok(read)
    }

    fn over_http(&self) -> Result<usize, String> {
        let path = format!("/v1/health/service/{}?passing", self.service);
        Ok(self.http.json(&path)?.as_array().map_or(0, Vec::len))
    }

    fn over_dns(&self) -> Result<usize, String> {
        Ok(self.dns.targets(&self.service)?.len())
    }
}
