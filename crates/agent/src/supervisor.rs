//! The agent's tasks: set going, watched, and ended in order.
//!
//! A part that the agent cannot go on without stops it, so that whoever runs it starts it afresh;
//! half an agent that still answers probes would be worse. A background task that panicked is
//! begun again.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidings_checks::Checks;
use tidings_dns::Dns;
use tidings_http::HttpState;
use tidings_view::{NodeKey, View, Watch};
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time::{Instant, sleep, timeout},
};

use crate::{
    agent::Stop,
    certificates::Certificates,
    check_results::CheckResults,
    definitions::{Follower, Loaded},
    disk::Identity,
    doors::Doors,
    driver::{Driver, End},
    index,
    inheritance::Inheritance,
    seeds::{Seed, watch_seeds},
    transport::Transport,
    watchdog::Watchdog,
};

/// How long open requests may take once the agent ends.
const DOORS_WITHIN: Duration = Duration::from_secs(2);
/// How long health checks may take to end.
const CHECKS_WITHIN: Duration = Duration::from_secs(2);
/// How long the first question waits for this agent's own record, which is shown once it is on disk. A
/// disk that takes no writes must not keep the doors shut.
const INTRODUCED_WITHIN: Duration = Duration::from_millis(500);
/// The pause before a background task that panicked is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// Everything that runs.
pub(crate) struct Crew {
    pub(crate) driver: Driver,
    pub(crate) http: HttpState,
    pub(crate) dns: Dns,
    pub(crate) doors: Doors,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) definitions: (Follower, Loaded),
    pub(crate) checks: Arc<Checks<CheckResults>>,
    pub(crate) seeds: Vec<Seed>,
    pub(crate) seeds_found: watch::Sender<Vec<SocketAddr>>,
    pub(crate) view: View,
    pub(crate) identity: Arc<Mutex<Identity>>,
    pub(crate) transport: Transport,
    pub(crate) watchdog: Watchdog,
    pub(crate) inheritance: Option<Inheritance>,
}

/// Sets `crew` going. What comes back tells how the agent ended, once all of it is closed.
pub(crate) fn set_going(crew: Crew) -> watch::Receiver<Option<Stop>> {
    let (tell, stopped) = watch::channel(None);
    let running = Running::new(crew);
    tokio::spawn(async move {
        let stop = running.watch().await;
        tell.send_replace(Some(stop));
    });
    stopped
}

struct Running {
    driver: JoinHandle<End>,
    http: JoinHandle<()>,
    https: Option<JoinHandle<()>>,
    dns: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    checks: Arc<Checks<CheckResults>>,
    closing: watch::Sender<bool>,
    transport: Transport,
    watchdog: Watchdog,
}

impl Running {
    fn new(mut crew: Crew) -> Self {
        // The doors are open by now: the first question must not find an empty registry, nor a node
        // without an address.
        crew.driver.begin();
        let closing = watch::Sender::new(false);
        let Doors {
            http: listener,
            https,
            dns_udp,
            dns_tcp,
            ..
        } = crew.doors;
        let (http_end, https_end, dns_end) = (ended(&closing), ended(&closing), ended(&closing));
        let (state, dns) = (crew.http, crew.dns);
        let (http_view, dns_view) = (crew.view.clone(), crew.view.clone());
        let (identity, view) = (crew.identity, crew.view.clone());
        let mut background = vec![tokio::spawn(again("index", move || {
            index::keep_reserved(Arc::clone(&identity), view.clone())
        }))];
        let https = https
            .zip(crew.certificates)
            .map(|(listener, certificates)| {
                let (tls, view, state) = (certificates.tls(), crew.view.clone(), state.clone());
                background.push(tokio::spawn(again("certificates", move || {
                    certificates.clone().follow()
                })));
                tokio::spawn(async move {
                    introduced(&view).await;
                    tidings_http::serve_tls(listener, tls, state, https_end).await;
                })
            });
        let (follower, loaded) = crew.definitions;
        background.push(tokio::spawn(follower.run(loaded)));
        if let Some(inheritance) = crew.inheritance {
            background.push(tokio::spawn(inheritance.take()));
        }
        if !crew.seeds.is_empty() {
            let (seeds, view, found) = (crew.seeds, crew.view, crew.seeds_found);
            let transport = crew.transport.clone();
            background.push(tokio::spawn(again("seeds", move || {
                watch_seeds(
                    seeds.clone(),
                    view.clone(),
                    transport.clone(),
                    found.clone(),
                )
            })));
        }
        Self {
            driver: tokio::spawn(crew.driver.run()),
            http: tokio::spawn(async move {
                introduced(&http_view).await;
                tidings_http::serve(listener, state, http_end).await;
            }),
            https,
            dns: tokio::spawn(async move {
                introduced(&dns_view).await;
                dns.serve(dns_udp, dns_tcp, dns_end).await;
            }),
            background,
            checks: crew.checks,
            closing,
            transport: crew.transport,
            watchdog: crew.watchdog,
        }
    }

    /// Waits for the first part to end, and ends the others.
    async fn watch(mut self) -> Stop {
        let stop = tokio::select! {
            end = &mut self.driver => match end {
                Ok(End::Departed) => Stop::Departed,
                Ok(End::Yielded) => Stop::Yielded,
                Err(error) => failed("driver", &error),
            },
            end = &mut self.http => unasked("HTTP server", end),
            end = task_of(&mut self.https) => unasked("HTTPS server", end),
            end = &mut self.dns => unasked("DNS server", end),
        };
        if let Stop::Failed { part, reason } = &stop {
            tracing::error!(part, %reason, "a part of the agent ended; the agent stops");
        }
        self.close().await;
        stop
    }

    async fn close(mut self) {
        self.background.iter().for_each(JoinHandle::abort);
        self.closing.send_replace(true);
        let https = self.https.as_mut().map(|task| ("HTTPS", task));
        let doors = [("HTTP", &mut self.http), ("DNS", &mut self.dns)];
        for (part, task) in doors.into_iter().chain(https) {
            if !task.is_finished() && timeout(DOORS_WITHIN, &mut *task).await.is_err() {
                tracing::debug!(part, "requests were cut off");
                task.abort();
            }
        }
        if !self.driver.is_finished() {
            // Another part ended first. The stores are closed as the driver is dropped.
            self.driver.abort();
            let _ = (&mut self.driver).await;
        }
        // The programs that they run would go on without the agent.
        if timeout(CHECKS_WITHIN, self.checks.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some health checks did not end in time");
        }
        self.transport.close().await;
        drop(self.watchdog);
        tracing::info!("stopped");
    }
}

/// The end of a task that may not be there, and then never ends.
async fn task_of(task: &mut Option<JoinHandle<()>>) -> Result<(), JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// Returns once this agent's own record is shown, or has taken too long.
async fn introduced(view: &View) {
    let deadline = Instant::now() + INTRODUCED_WITHIN;
    let own = Watch::Node(NodeKey::Agent(view.me()));
    while Instant::now() < deadline {
        // Read first: a record that comes right after the look below is not waited for.
        let seen = view.index_high_water();
        if view.own().facts.known {
            return;
        }
        view.changed(&own, seen, deadline).await;
    }
}

/// Returns once the agent ends.
fn ended(closing: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut closing = closing.subscribe();
    async move {
        // Without a sender nobody is left to serve for.
        let _ = closing.wait_for(|&closing| closing).await;
    }
}

/// Runs what `make` makes, and again whenever it panics.
async fn again<F>(part: &'static str, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // Dropping the set with this future ends the task with it.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(make());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(part, %error, "a background task panicked and is begun again");
                sleep(PAUSE).await;
            }
            _ => return,
        }
    }
}

fn failed(part: &'static str, error: &JoinError) -> Stop {
    Stop::Failed {
        part,
        reason: error.to_string(),
    }
}

/// How a server that nobody had asked to end came to its end.
fn unasked(part: &'static str, end: Result<(), JoinError>) -> Stop {
    match end {
        Ok(()) => Stop::Failed {
            part,
            reason: "its socket failed".to_owned(),
        },
        Err(error) => failed(part, &error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_background_task_that_panics_is_begun_again() {
        let begun = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&begun);
        again("test", move || {
            let nth = count.fetch_add(1, Relaxed);
            async move { assert!(nth >= 2, "a planned panic") }
        })
        .await;
        assert_eq!(begun.load(Relaxed), 3);
    }
}
