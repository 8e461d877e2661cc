//! A6 and A7: every record comes from a client, by way of its owner, under a dot of its own.

use std::collections::BTreeMap;

use tidings_types::{
    Body, Change, Epoch, Key, Lineage, NodeId, Slot, Timestamp, Transfer, Update, Version,
};

use super::{Checks, Floors, Violation};
use crate::{
    history::Write,
    workload::{gossip_addr, node_name},
};

impl Checks {
    /// A host's process has taken an epoch.
    pub(crate) fn booted(&mut self, host: usize, epoch: Epoch) {
        self.epochs.insert(host, epoch);
    }

    /// A node wants something of its own feed on disk: in a delta its dots are born, a snapshot
    /// holds what peers gave back.
    pub(crate) fn persist(
        &mut self,
        now: Timestamp,
        host: usize,
        me: NodeId,
        transfer: &Transfer,
    ) -> Result<(), Violation> {
        let broken = |invariant, text| Violation {
            invariant,
            at: now,
            host: Some(host),
            text,
        };
        if transfer.state().owner != me {
            return Err(broken(
                "A7",
                "it writes in the name of another node".to_owned(),
            ));
        }
        for change in changes_of(transfer) {
            let dot = change.dot(me);
            if let Some(known) = self.history.write(dot) {
                if known.slot != change.slot || known.key != change.key {
                    let (was, is) = ((&known.key, &known.slot), (&change.key, &change.slot));
                    return Err(broken(
                        "A7",
                        format!("dot {dot:?} is used twice: for {was:?} and for {is:?}"),
                    ));
                }
                continue;
            }
            let Transfer::Delta(delta) = transfer else {
                return Err(broken(
                    "A7",
                    format!("it takes back {dot:?}, which it never wrote"),
                ));
            };
            self.check_birth(host, &delta.from, change)
                .map_err(|text| broken("A7", text))?;
            self.check_asked(host, me, change)
                .map_err(|text| broken("A6", text))?;
            let write = Write {
                key: change.key.clone(),
                slot: change.slot.clone(),
                host,
                cluster: self.cluster_of(me),
                at: now,
                durable: false,
                held: BTreeMap::new(),
                stored: now,
                lost: false,
                relearned: false,
            };
            self.history.wrote(dot, write);
        }
        Ok(())
    }

    /// A batch is on disk.
    pub(crate) fn durable(&mut self, now: Timestamp, me: NodeId, transfer: &Transfer) {
        for change in changes_of(transfer) {
            if let Some(write) = self.history.write_mut(change.dot(me)) {
                write.durable = true;
                write.stored = now;
                write.relearned |= write.lost;
                write.lost = false;
            }
        }
    }

    /// A node shows something to its readers.
    pub(crate) fn publish(
        &mut self,
        now: Timestamp,
        (host, me): (usize, NodeId),
        floors: &mut Floors,
        update: &Update,
    ) -> Result<(), Violation> {
        let Update::Record { key, body, dot, .. } = update else {
            return Ok(());
        };
        let broken = |invariant, text| Violation {
            invariant,
            at: now,
            host: Some(host),
            text,
        };
        let Some(dot) = *dot else {
            if body.is_some() {
                return Err(broken(
                    "A6",
                    format!("it serves {key:?}, and no feed holds it"),
                ));
            }
            self.truth_shown(host, key);
            self.history.removal_seen(now, host, key);
            floors.removed(now, key);
            return Ok(());
        };
        let own_cluster = self.cluster_of(me);
        let made_up = self
            .history
            .write(dot)
            .is_none_or(|write| write.key != *key || write.body() != body.as_ref());
        if made_up && !self.liars.is_empty() {
            self.lie_shown(now, host, key);
            return Ok(());
        }
        self.truth_shown(host, key);
        let Some(write) = self.history.write_mut(dot) else {
            return Err(broken(
                "A6",
                format!("it shows {key:?} with {dot:?}, which nobody wrote"),
            ));
        };
        if write.key != *key || write.body() != body.as_ref() {
            let text = format!(
                "it shows {body:?} for {key:?} with {dot:?}, which says {:?} for {:?}",
                write.body(),
                write.key
            );
            return Err(broken("A6", text));
        }
        if !write.durable {
            let text = format!(
                "it shows {dot:?} for {key:?} before that is on disk at n{}",
                write.host
            );
            return Err(broken("A7", text));
        }
        if write.cluster != own_cluster {
            let text = format!("it shows {key:?}, which was written in another cluster");
            return Err(broken("E7", text));
        }
        write.show(now, host);
        let rank = write.rank();
        floors.shown(now, host, key, rank, body.is_some())
    }

    /// A new dot belongs to the present run, and is greater than all before.
    fn check_birth(&self, host: usize, from: &Lineage, change: &Change) -> Result<(), String> {
        let epoch = self.epochs.get(&host).copied().unwrap_or_default();
        if change.place.epoch != epoch {
            return Err(format!(
                "it writes {:?} under epoch {:?}, and its last one is {epoch:?}",
                change.key, change.place.epoch
            ));
        }
        let last = from.head(epoch);
        if change.place.seq <= last {
            return Err(format!(
                "seq {} follows {last} in epoch {epoch:?}",
                change.place.seq
            ));
        }
        Ok(())
    }

    /// What is written was asked for, or is the node's word about itself.
    fn check_asked(&self, host: usize, me: NodeId, change: &Change) -> Result<(), String> {
        let Slot::Entry(entry) = &change.slot else {
            return Ok(());
        };
        // Whoever was shown what a liar made up may override that.
        if let Version::Override(_) = entry.version
            && let Some(dot) = entry.version.dot(&change.key)
            && self.history.write(dot).is_none()
            && self.liars.is_empty()
        {
            return Err(format!(
                "an override of {:?} names {dot:?}, which nobody wrote",
                change.key
            ));
        }
        let Some(body) = &entry.body else {
            return Ok(());
        };
        let known = match (&change.key, body.body()) {
            (Key::Node(node), Body::Node(record)) => {
                *node == me && record.name == node_name(host) && record.gossip == gossip_addr(host)
            }
            (key, body) => {
                key.owner().is_none_or(|owner| owner == me) && self.history.was_asked(key, &body)
            }
        };
        if known {
            Ok(())
        } else {
            Err(format!(
                "it writes {body:?} for {:?}, and no client asked for that",
                change.key
            ))
        }
    }
}

fn changes_of(transfer: &Transfer) -> &[Change] {
    match transfer {
        Transfer::Delta(delta) => &delta.changes,
        Transfer::Snapshot(snapshot) => &snapshot.changes,
    }
}
