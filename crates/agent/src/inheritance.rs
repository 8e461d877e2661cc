//! What a node registers that took a new identity: the registrations that moved along.

use std::time::Duration;

use tidings_node::registrations;
use tidings_types::{Body, Command, Key};
use tidings_view::Commands;
use tokio::time::sleep;

use crate::disk::{DataDir, Successor};

/// The pause before a registration is tried again that was refused.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Registrations that are on disk under the former identity's successor and nowhere else.
#[derive(Debug)]
pub(crate) struct Inheritance {
    records: Vec<(Key, Body)>,
    dir: DataDir,
    commands: Commands,
}

impl Inheritance {
    /// What is to be taken over; `None` if this start is like any other.
    pub(crate) fn new(
        inherited: Option<Vec<(Key, Body)>>,
        dir: Option<DataDir>,
        commands: Commands,
    ) -> Option<Self> {
        Some(Self {
            records: inherited?,
            dir: dir?,
            commands,
        })
    }

    /// Registers everything, and lets the disk forget where it came from once all of it stands.
    pub(crate) async fn take(self) {
        let Self {
            records,
            dir,
            commands,
        } = self;
        for call in registrations(records) {
            register(&commands, call).await;
        }
        let removed = tokio::task::spawn_blocking(move || Successor::remove(&dir)).await;
        match removed {
            Ok(Ok(())) => tracing::info!("everything stands under the new identity"),
            Ok(Err(error)) => tracing::warn!(%error, "the next start registers all of it again"),
            Err(error) => tracing::warn!(%error, "the next start registers all of it again"),
        }
    }
}

/// Registers until it is acknowledged: only then may the disk forget it.
async fn register(commands: &Commands, call: Command) {
    while let Err(refusal) = commands.send(call.clone()).await {
        tracing::warn!(%refusal, "a registration could not move to the new identity yet");
        sleep(AGAIN_AFTER).await;
    }
}
