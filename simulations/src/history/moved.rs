//! What a client asked for at a host that gave its key up since.

use tidings_types::{Key, NodeId, ServiceId, Timestamp};

use super::{Asked, History};
use crate::workload::Call;

impl History {
    /// `host` gave its key up for another one, and what stood under these keys of its old node moves:
    /// all that was asked for is to stand under the new node. Under the old one the host removed it;
    /// where the other holder was asked for the same, that alone counts.
    pub fn moved(
        &mut self,
        now: Timestamp,
        host: usize,
        (old, new): (NodeId, NodeId),
        keys: &[Key],
    ) {
        for key in keys {
            let all = self.calls_by_key.remove(key).unwrap_or_default();
            let (here, elsewhere): (Vec<_>, Vec<_>) = all
                .iter()
                .partition(|&&number| self.calls[number].host == host);
            let removed = here.last().and_then(|&number| self.removal(number));
            for number in here {
                let asked = Asked {
                    keys: vec![under(key, old, new)],
                    ..self.calls[number].clone()
                };
                self.asked(asked);
            }
            let stays = if elsewhere.is_empty() { all } else { elsewhere };
            let is_removed = stays.iter().all(|&number| self.calls[number].host == host);
            self.calls_by_key.insert(key.clone(), stays);
            if let Some(call) = removed.filter(|_| is_removed) {
                self.asked(Asked {
                    call,
                    host,
                    at: now,
                    acked: Some(now),
                    refused: false,
                    doubtful: false,
                    keys: vec![key.clone()],
                    before: vec![None],
                });
            }
        }
    }

    /// The call that takes away what this one was about.
    fn removal(&self, number: usize) -> Option<Call> {
        let id: &ServiceId = match &self.calls[number].call {
            Call::Register(id, ..) | Call::Deregister(id) | Call::Check(id, _) => id,
            _ => return None,
        };
        Some(Call::Deregister(id.clone()))
    }
}

/// The key of the same thing of the node `new`, if it is one of `old`.
fn under(key: &Key, old: NodeId, new: NodeId) -> Key {
    match key {
        Key::Instance(owner, id) if *owner == old => Key::Instance(new, id.clone()),
        Key::Check(owner, id) if *owner == old => Key::Check(new, id.clone()),
        other => other.clone(),
    }
}
