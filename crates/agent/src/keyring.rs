//! The cluster keys of a running agent: changed here or on all members, and kept.
//!
//! A change is in the key file before it is in force, and in force on this agent before any other
//! is asked. Keys travel in sessions only, which have proved the node and a cluster key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_types::NodeId;
use tidings_view::View;
use tidings_wire::{KeyChange, KeyringAnswer, KeyringOutcome, KeyringRequest};

use crate::{
    keys::{KeyChangeError, Keys},
    transport::{KeyRing, Responder, Transport},
};

mod everywhere;

/// Characters of a reason that are told to the asking agent.
const REASON_CHARS: usize = 400;

/// The keys that this agent accepts, and those of others as far as they tell. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keyring(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Mutex<Keys>,
    transport: Transport,
    view: View,
}

impl Keyring {
    /// The ring that `transport` uses, which holds `keys`.
    pub(crate) fn new(keys: Keys, transport: Transport, view: View) -> Self {
        Self(Arc::new(Inner {
            keys: Mutex::new(keys),
            transport,
            view,
        }))
    }

    /// Answers a peer's request in a task of its own: the disk may be slow.
    pub(crate) fn answer(&self, from: NodeId, frame: Vec<u8>, mut responder: Responder) {
        let keyring = self.clone();
        tokio::spawn(async move {
            let Ok(request) = KeyringRequest::decode(&frame) else {
                tracing::debug!(?from, "a request about keys could not be read");
                return;
            };
            let (outcome, padding) = match request {
                KeyringRequest::List { padding } => (KeyringOutcome::AsBefore, padding),
                KeyringRequest::Change(change) => {
                    (keyring.obey(change, Some(from)).await, Vec::new())
                }
            };
            let answer = KeyringAnswer {
                accepts: keyring.0.transport.keys(),
                outcome,
                padding,
            };
            // The limits of reasons and keys keep an answer far below that of its frame.
            if let Ok(frame) = answer.encode()
                && responder.send(&frame).await.is_ok()
            {
                responder.finish();
            }
        });
    }

    /// Makes `change` on this agent, for a peer or for its own API.
    async fn obey(&self, change: KeyChange, by: Option<NodeId>) -> KeyringOutcome {
        let keyring = self.clone();
        let done = tokio::task::spawn_blocking(move || keyring.change(&change, by)).await;
        match done {
            Ok(Ok(true)) => KeyringOutcome::Done,
            Ok(Ok(false)) => KeyringOutcome::AsBefore,
            Ok(Err(error)) => {
                KeyringOutcome::Refused(error.to_string().chars().take(REASON_CHARS).collect())
            }
            Err(error) => KeyringOutcome::Refused(error.to_string()),
        }
    }

    /// Whether anything had to be changed.
    fn change(&self, change: &KeyChange, by: Option<NodeId>) -> Result<bool, KeyChangeError> {
        let mut keys = self.lock();
        let Some(changed) = keys.change(change)? else {
            return Ok(false);
        };
        // Within the limit that the keys themselves were checked against.
        let taken = self.0.transport.set_keys(changed.as_slice());
        debug_assert!(taken.is_ok(), "a ring takes as many keys as a file");
        *keys = changed;
        drop(keys);
        self.tell(change, by);
        Ok(true)
    }

    fn tell(&self, change: &KeyChange, by: Option<NodeId>) {
        let by = by.map_or_else(|| "this agent's API".to_owned(), |node| self.name(node));
        let accepted = self.0.transport.keys();
        match change {
            KeyChange::Add(key) => {
                let key = KeyRing::id_of(key);
                tracing::info!(%key, by, ?accepted, "a cluster key was added");
            }
            KeyChange::Use(key) => {
                tracing::info!(%key, by, ?accepted, "sending under another cluster key");
            }
            KeyChange::Remove(key) => tracing::info!(
                %key,
                by,
                ?accepted,
                "a cluster key was removed: what comes under it is refused"
            ),
        }
    }

    /// What people call `node`; its id until its record is here.
    fn name(&self, node: NodeId) -> String {
        self.0.view.name_of_agent(node).to_string()
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
