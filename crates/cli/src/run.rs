//! An agent's life: started, told to stop by a signal, and waited for.
//!
//! | Signal | What it does | What the others do |
//! |---|---|---|
//! | SIGTERM, SIGINT | leaves at once and for good, and stops | its instances go at once |
//! | the same, with `--leave-on-terminate false` | says that it restarts, and stops | its instances are served as stale for 30 s |
//! | one of them again | ends at once | as far as the goodbye was said |
//! | SIGHUP | reads the definition files and the certificate of HTTPS at once | |
//! | SIGKILL | ends without a word | its instances go once it is taken to be down, in seconds |
//!
//! None of them waits for clients to go elsewhere: `tidings drain` does, before.

use anyhow::Context;
use tidings_agent::{Agent, Stop};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::open_files;

/// The part of `--help` that documents the signals.
pub(crate) const SIGNALS: &str = "\
Signals:
  SIGTERM, SIGINT  leave at once and for good (see --leave-on-terminate), and stop; a second one ends
                   the process at once; `tidings drain` first lets clients go elsewhere
  SIGHUP           read the definition files and the certificate of HTTPS at once
  SIGKILL          end without a word: the others take the agent to be down after some seconds";

/// Runs the agent that `start` starts until it stops by itself or a signal ends it. An agent that
/// gave its identity up to another one is started again, under its new one.
///
/// SIGHUP reads files anew. The first SIGTERM or SIGINT says goodbye to the cluster; a second one ends
/// the process at once.
///
/// # Errors
/// If the agent cannot be started, or stopped because a part of it failed. A clean goodbye is none.
pub(crate) fn until_stopped<F>(start: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Agent>>,
{
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tidings")
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new().context("signals cannot be taken")?;
        loop {
            let agent = start().await?;
            match live(agent, &mut signals).await {
                Stop::Departed => return Ok(()),
                Stop::Yielded => {}
                failed => return Err(anyhow::anyhow!("{failed}")),
            }
        }
    });
    // What still blocks (a name being resolved, a sync of a slow disk) has nobody to answer to.
    runtime.shutdown_background();
    result
}

async fn live(agent: Agent, signals: &mut Signals) -> Stop {
    let name = loop {
        tokio::select! {
            stop = agent.stopped() => return stop,
            name = signals.next() => match name {
                Some(name) => break name,
                // Beside this loop: what a reading waits for must not hold up an end.
                None => drop(tokio::spawn(reload(agent.reload()))),
            }
        }
    };
    tracing::info!(
        signal = name,
        "saying goodbye; a second signal ends the process at once"
    );
    agent.request_stop();
    loop {
        tokio::select! {
            stop = agent.stopped() => return stop,
            name = signals.next() => if let Some(name) = name {
                tracing::warn!(signal = name, "ending at once");
                std::process::exit(i32::from(ENDED_BY_SECOND_SIGNAL));
            }
        }
    }
}

async fn reload(reading: impl Future<Output = Result<(), String>>) {
    match reading.await {
        Ok(()) => tracing::info!("definition files and certificates have been read anew"),
        Err(reason) => tracing::error!("not all files were taken: {reason}"),
    }
}

/// As a shell reports a process that SIGINT ended.
const ENDED_BY_SECOND_SIGNAL: u8 = 130;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal that ends the agent; `None` for one that asks it to read its files anew.
    async fn next(&mut self) -> Option<&'static str> {
        tokio::select! {
            _ = self.terminate.recv() => Some("SIGTERM"),
            _ = self.interrupt.recv() => Some("SIGINT"),
            _ = self.hangup.recv() => None,
        }
    }
}
