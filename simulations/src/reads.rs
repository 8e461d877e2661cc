//! What readers of one agent see: a model of the read view, made from what the node publishes.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use tidings_types::{Content, Dot, Key, Liveness, NodeId, Roster, Status, Update};

use crate::trace::Fold;

/// One agent's read view.
#[derive(Clone, Debug)]
pub struct Reads {
    records: BTreeMap<Key, Shown>,
    roster: Arc<Roster>,
    status: Option<Status>,
    content: u64,
}

/// What is shown for one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    /// The write in force.
    pub dot: Dot,
    /// The record; `None` for a tombstone.
    pub body: Option<Content>,
    /// How many writes are in conflict with it.
    pub conflicts: usize,
}

/// One instance in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its key.
    pub key: Key,
    /// Its port.
    pub port: u16,
    /// Whether it is marked stale.
    pub stale: bool,
    /// Whether another write is in conflict with it.
    pub conflicts: bool,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            roster: Roster::empty(),
            status: None,
            content: 0,
        }
    }
}

impl Reads {
    /// Shows what the node published.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Record {
                key,
                body,
                dot,
                conflict,
            } => {
                let shown = dot.map(|dot| Shown {
                    dot,
                    body,
                    conflicts: conflict.map_or(0, |conflict| conflict.count),
                });
                self.put(key, shown);
            }
            Update::Roster(roster) => self.roster = roster,
            Update::Status(status) => self.status = Some(*status),
            Update::CheckOutput { .. } => {}
        }
    }

    /// What is shown for `key`.
    pub fn record(&self, key: &Key) -> Option<&Shown> {
        self.records.get(key)
    }

    /// Everything shown.
    pub const fn records(&self) -> &BTreeMap<Key, Shown> {
        &self.records
    }

    /// The membership view.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The membership view, to keep.
    pub const fn shared_roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The node's figures.
    pub const fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    /// A number that is equal for equal content.
    pub const fn content(&self) -> u64 {
        self.content
    }

    /// What a lookup of `service` at the agent of `me` is answered, liveness laid over it.
    pub fn serve(&self, me: NodeId, service: &str) -> Vec<Served> {
        let (mut served, mut last_resort) = (Vec::new(), Vec::new());
        for (key, shown) in &self.records {
            let body = shown.body.as_ref();
            let Some(body) = body.filter(|body| body.service() == Some(service)) else {
                continue;
            };
            let liveness = match key.owner() {
                Some(owner) if owner != me => self.roster.liveness(owner),
                _ => Liveness::Live,
            };
            let group = match liveness {
                Liveness::Hidden => continue,
                Liveness::LastResort => &mut last_resort,
                Liveness::Live | Liveness::Stale => &mut served,
            };
            group.push(Served {
                key: key.clone(),
                port: body.instance().map_or(0, |instance| instance.port),
                stale: liveness != Liveness::Live,
                conflicts: shown.conflicts > 0,
            });
        }
        if served.is_empty() {
            last_resort
        } else {
            served
        }
    }

    fn put(&mut self, key: Key, shown: Option<Shown>) {
        if let Some(shown) = &shown {
            self.content = self.content.wrapping_add(digest(&key, shown));
        }
        let before = match shown {
            Some(shown) => self.records.insert(key.clone(), shown),
            None => self.records.remove(&key),
        };
        if let Some(before) = before {
            self.content = self.content.wrapping_sub(digest(&key, &before));
        }
    }
}

fn digest(key: &Key, shown: &Shown) -> u64 {
    let mut fold = Fold::default();
    key.hash(&mut fold);
    shown.hash(&mut fold);
    fold.finish()
}

#[cfg(test)]
mod tests {
    use tidings_types::{Body, Epoch, ServiceId, ServiceName, Timestamp};

    use super::*;
    use crate::workload::Call;

    const ME: NodeId = NodeId::from_bytes([1; 16]);
    const OTHER: NodeId = NodeId::from_bytes([2; 16]);

    fn record(owner: NodeId, port: u16) -> Update {
        let text = format!(
            "name = \"r\"\nabout = \"r\"\nnodes = 1\nphases = {{ chaos = \"1s\", quiet = \"1s\" }}\n\
             [[workload]]\nkind = \"register\"\nat = \"0s\"\nvia = 0\nid = \"a\"\nservice = \"web\"\n\
             port = {port}\n[expect]\n"
        );
        let scenario = crate::scenario::Scenario::parse(&text, &[]).unwrap();
        let mut op = crate::workload::expand(&scenario).unwrap().remove(0);
        let Call::Register(id, instance, _) = op.calls.remove(0) else {
            panic!("one registration was asked for");
        };
        assert_eq!(instance.service, ServiceName::new("web").unwrap());
        Update::Record {
            key: Key::Instance(owner, id),
            body: Some(Body::Instance(*instance).into()),
            dot: Some(Dot {
                epoch: Epoch::from_bits(1),
                seq: 1,
                node: owner,
            }),
            conflict: None,
        }
    }

    fn roster(liveness: Liveness) -> Update {
        let mut roster = Roster::clone(&Roster::empty());
        roster.unknown = liveness;
        Update::Roster(Arc::new(roster))
    }

    fn ports(reads: &Reads) -> Vec<(u16, bool)> {
        reads
            .serve(ME, "web")
            .iter()
            .map(|s| (s.port, s.stale))
            .collect()
    }

    #[test]
    fn liveness_is_laid_over_the_records_of_others() {
        let mut reads = Reads::default();
        reads.apply(record(ME, 80));
        reads.apply(record(OTHER, 81));
        assert_eq!(ports(&reads), [(80, false), (81, true)]);
        reads.apply(roster(Liveness::Hidden));
        assert_eq!(ports(&reads), [(80, false)]);
        reads.apply(roster(Liveness::LastResort));
        assert_eq!(ports(&reads), [(80, false)]);
        let key = Key::Instance(ME, ServiceId::new("a").unwrap());
        reads.apply(Update::Record {
            key,
            body: None,
            dot: None,
            conflict: None,
        });
        assert_eq!(ports(&reads), [(81, true)]);
        assert_eq!(reads.roster().members.len(), 0);
        assert_eq!(Timestamp::ZERO.as_micros(), 0);
    }

    #[test]
    fn equal_content_has_equal_numbers_whatever_the_order() {
        let (mut a, mut b) = (Reads::default(), Reads::default());
        a.apply(record(ME, 80));
        a.apply(record(OTHER, 81));
        b.apply(record(OTHER, 99));
        b.apply(record(OTHER, 81));
        assert_ne!(a.content(), b.content());
        b.apply(record(ME, 80));
        assert_eq!(a.content(), b.content());
    }
}
