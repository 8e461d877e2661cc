//! An agent's life: started, told to stop by a signal, and waited for.

use anyhow::Context;
use tidings_agent::{Agent, Stop};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the agent that `start` starts until it stops by itself or a signal ends it. An agent that
/// gave its identity up to another one is started again, under its new one.
///
/// The first SIGTERM or SIGINT says goodbye to the cluster; a second one ends the process at once.
///
/// # Errors
/// If the agent cannot be started, or stopped because a part of it failed. A clean goodbye is none.
pub(crate) fn until_stopped<F>(start: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Agent>>,
{
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
    tokio::select! {
        stop = agent.stopped() => stop,
        name = signals.next() => {
            tracing::info!(signal = name, "saying goodbye; a second signal ends the process at once");
            agent.request_stop();
            tokio::select! {
                stop = agent.stopped() => stop,
                name = signals.next() => {
                    tracing::warn!(signal = name, "ending at once");
                    std::process::exit(i32::from(ENDED_BY_SECOND_SIGNAL));
                }
            }
        }
    }
}

/// As a shell reports a process that SIGINT ended.
const ENDED_BY_SECOND_SIGNAL: u8 = 130;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
