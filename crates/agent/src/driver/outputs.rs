//! How each output of the node is carried out.

use std::{
    mem,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tidings_node::{Event, Input, Output};
use tidings_types::{Body, Content, Epoch, Key, NodeId, Transfer, Update};

use super::{Driver, End};
use crate::{
    clock::wall_ms,
    disk::{Save, Successor},
    transport::NodeKey,
};

impl Driver {
    /// Carries out everything that the node wants done, in order.
    ///
    /// Updates of the view are collected and applied together before the first output that
    /// somebody else can see: one number and one wake-up for what one input changed. Events are
    /// logged last, when the view knows the names of those they speak of.
    pub(super) fn carry_out(&mut self) {
        let (mut updates, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.parts.node.poll_output() {
            match output {
                Output::Publish(update) => updates.push(update),
                Output::Event(event) => events.push(event),
                output => {
                    self.show(mem::take(&mut updates));
                    self.carry_out_one(output);
                }
            }
        }
        self.show(updates);
        self.log(&events);
    }

    fn carry_out_one(&mut self, output: Output) {
        match output {
            Output::Publish(update) => self.show(vec![update]),
            Output::Datagram {
                to,
                receiver,
                payload,
            } => {
                let sent = self.parts.transport.send_datagram(to, receiver, &payload);
                if sent.is_err() {
                    self.later(Input::SendFailed { to });
                }
            }
            Output::Request {
                exchange,
                to,
                addr,
                frame,
            } => {
                let transport = self.parts.transport.clone();
                let refused = self.sessions.ask(transport, exchange, to, addr, frame);
                self.later.extend(refused);
            }
            Output::Abandon { exchange } => self.sessions.abandon(exchange),
            Output::Respond { exchange, frame } => self.sessions.respond(exchange, frame),
            Output::Finish { exchange, complete } => {
                self.sessions.finish(exchange, complete);
            }
            Output::Persist { batch, transfer } => {
                let refused = self.parts.feed.persist(batch, *transfer);
                self.later.extend(refused);
            }
            Output::Save {
                save,
                transfers,
                members,
            } => self.save(save, transfers, members),
            Output::TakeEpoch { above } => self.take_epoch_after(above, Duration::ZERO),
            Output::Reply { id, result } => {
                if let Some(reply) = self.replies.remove(&id) {
                    reply.send(result);
                }
            }
            Output::KeepIdentity { records } => self.keep_identity(records),
            Output::Departed => self.end = Some(End::Departed),
            Output::Yielded => self.end = Some(End::Yielded),
            Output::Event(event) => self.log(&[event]),
        }
    }

    /// Shows `updates` to readers, and the own checks among them to their runners.
    fn show(&mut self, updates: Vec<Update>) {
        if updates.is_empty() {
            return;
        }
        for update in &updates {
            self.run_check(update);
        }
        let now = self.parts.clock.now();
        self.parts.writer.apply_all(now, updates);
    }

    fn log(&mut self, events: &[Event]) {
        let now = self.parts.clock.now();
        for event in events {
            self.event_log.write(now, event, &self.parts.view);
        }
    }

    /// Starts, changes or stops the runner of an own check.
    fn run_check(&self, update: &Update) {
        let Update::Record {
            key: Key::Check(owner, id),
            body,
            ..
        } = update
        else {
            return;
        };
        if *owner != self.parts.me {
            return;
        }
        match body.as_ref().and_then(Content::check) {
            Some(check) => self.parts.checks.set(id.clone(), check),
            None => self.parts.checks.remove(id),
        }
    }

    fn save(
        &mut self,
        number: u64,
        transfers: Vec<Transfer>,
        members: Vec<(NodeId, std::net::SocketAddr)>,
    ) {
        let save = Save {
            batch: number,
            transfers,
            members: Some(members),
        };
        if let Err(error) = self.parts.registry.save(save) {
            tracing::debug!(%error, "replicas are saved later");
            self.later.push_back(Input::Saved {
                save: number,
                kept: false,
            });
        }
    }

    /// Puts a new identity with what moves to it on disk.
    fn keep_identity(&self, records: Vec<(Key, Body)>) {
        let (dir, identities) = (self.parts.dir.clone(), self.identities.clone());
        tokio::spawn(async move {
            let keeping = tokio::task::spawn_blocking(move || {
                let dir = dir.ok_or("this agent keeps nothing on disk")?;
                let key = NodeKey::generate().map_err(|error| error.to_string())?;
                let successor = Successor::new(key.pkcs8().to_vec(), records);
                successor.keep(&dir).map_err(|error| error.to_string())
            });
            let kept = keeping.await.unwrap_or_else(|error| Err(error.to_string()));
            // An error means that the driver has stopped meanwhile.
            let _ = identities.send(kept).await;
        });
    }

    /// Takes an epoch above `above`, after `pause`. The identity is small but synced to disk, so
    /// a thread of its own waits for it.
    pub(super) fn take_epoch_after(&self, above: Epoch, pause: Duration) {
        let identity = Arc::clone(&self.parts.identity);
        let epochs = self.epochs.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let taking = tokio::task::spawn_blocking(move || {
                let random = random_bits().map_err(|error| error.to_string())?;
                let mut identity = identity.lock().unwrap_or_else(PoisonError::into_inner);
                identity
                    .take_epoch(wall_ms(), random, Some(above))
                    .map_err(|error| error.to_string())
            });
            let taken = taking.await.unwrap_or_else(|error| Err(error.to_string()));
            // An error means that the driver has stopped meanwhile.
            let _ = epochs.send(taken).await;
        });
    }
}

/// 64 random bits of the system.
///
/// # Errors
/// If the system has none to give.
pub(crate) fn random_bits() -> Result<u64, ring::error::Unspecified> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
