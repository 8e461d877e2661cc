//! E2: nothing acknowledged is lost, and nothing that was ended has come back.
//!
//! What each key must hold in the end is computed from the calls alone for an owner's keys, and from
//! the writes for shared keys. A call whose owner lost its disk before any peer had it may be gone.

use tidings_types::{Body, CheckStatus, Content, Key, Timestamp, Version, version::Rank};

use super::Checks;
use crate::{
    history::{Asked, same},
    host::Host,
    scenario::Cluster,
    workload::{self, Call},
};

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted<'a> {
    Instance(&'a tidings_types::Instance),
    Status(CheckStatus),
    Body(&'a Content),
    Nothing,
}

impl Checks {
    /// E2 at each of these hosts.
    pub(crate) fn nothing_is_lost(
        &self,
        core: &[usize],
        hosts: &[Host],
    ) -> Result<(), (usize, String)> {
        let Some(&first) = core.first() else {
            return Ok(());
        };
        let cluster = hosts[first].cluster;
        for key in self.history.called_keys() {
            let wanted = match key.owner() {
                None => self.shared(key, core, cluster),
                Some(owner) if self.cluster_of(owner) == cluster => self.owned(key, core),
                Some(_) => vec![Wanted::Nothing],
            };
            for &host in core {
                let shown = hosts[host].reads.record(key);
                let body = shown.and_then(|shown| shown.body.as_ref());
                if !wanted.iter().any(|wanted| fits(wanted, body)) {
                    let story = self.history.story(key);
                    let text = format!("{key:?} should be {wanted:?} and is {body:?}; {story}");
                    return Err((host, text));
                }
            }
        }
        Ok(())
    }

    /// What an owner's key may hold: the calls are played in order, and one that may be gone or
    /// was never answered leaves both possibilities.
    fn owned(&self, key: &Key, core: &[usize]) -> Vec<Wanted<'_>> {
        let overridden = self.overridden(key, core);
        if overridden == Some(true) {
            return vec![Wanted::Nothing];
        }
        let was_overridden = self
            .history
            .writes_on(key)
            .any(|(_, write)| matches!(write.version(), Some(Version::Override(_))));
        let mut possible = vec![Wanted::Nothing];
        let mut played = vec![(Timestamp::ZERO, possible.clone())];
        for (number, asked) in self.history.calls_on(key) {
            if asked.refused || !writes(asked, key) {
                continue;
            }
            // After a setback the owner goes on from what it was before, until peers tell it.
            let before = played.last().map_or(Timestamp::ZERO, |(at, _)| *at);
            for setback in self.history.setbacks(asked.host, before, asked.at) {
                let then = played.iter().rfind(|(at, _)| *at <= setback.image);
                possible.extend(then.into_iter().flat_map(|(_, then)| then.iter().copied()));
            }
            // The owner may have obeyed an override before this call.
            if was_overridden {
                possible.push(Wanted::Nothing);
            }
            let next: Vec<_> = possible
                .iter()
                .filter_map(|&before| made(key, asked, before))
                .collect();
            if self.history.is_certain(number, key, core) {
                possible = next;
            } else {
                possible.extend(next);
            }
            possible = distinct(possible);
            played.push((asked.at, possible.clone()));
        }
        // A check goes with the instance that it speaks for, and with a registration without it that
        // the owner had forgotten when the check was reported.
        let forgot = |key: &Key| {
            let mut writes = self.history.writes_on(key).map(|(_, write)| write);
            writes.any(|write| write.lost || write.relearned)
        };
        let goes = |key| forgot(&key) || self.owned(&key, core).contains(&Wanted::Nothing);
        if overridden.is_some() || instance_of(key).is_some_and(goes) {
            possible.push(Wanted::Nothing);
        }
        distinct(possible)
    }

    /// Whether an override holds the owner's last registration down: `true` for certain, `false`
    /// if the override itself may be gone.
    fn overridden(&self, key: &Key, core: &[usize]) -> Option<bool> {
        let durable = || {
            self.history
                .writes_on(key)
                .filter(|(_, write)| write.durable)
        };
        let last = durable()
            .filter_map(|(_, write)| match write.version()? {
                Version::Owner(place) => Some(*place),
                _ => None,
            })
            .max()?;
        let overrides = durable().filter(
            |(_, write)| matches!(write.version(), Some(Version::Override(seen)) if *seen >= last),
        );
        overrides
            .map(|(_, write)| !write.may_be_gone(core))
            .reduce(|a, b| a || b)
    }

    /// What a shared key may hold: its greatest write, or the next one as long as the greater ones
    /// may be gone.
    fn shared(&self, key: &Key, core: &[usize], cluster: Cluster) -> Vec<Wanted<'_>> {
        let mut writes: Vec<_> = self
            .history
            .writes_on(key)
            .map(|(_, write)| write)
            .filter(|write| write.cluster == cluster)
            .collect();
        writes.sort_by_key(|write| std::cmp::Reverse(write.rank().map(|rank: Rank| rank)));
        let mut wanted = Vec::new();
        for write in writes {
            wanted.push(write.body().map_or(Wanted::Nothing, Wanted::Body));
            if !write.may_be_gone(core) {
                return wanted;
            }
        }
        wanted.push(Wanted::Nothing);
        wanted
    }
}

fn distinct(all: Vec<Wanted<'_>>) -> Vec<Wanted<'_>> {
    let mut distinct = Vec::new();
    for wanted in all {
        if !distinct.contains(&wanted) {
            distinct.push(wanted);
        }
    }
    distinct
}

/// The instance that a check speaks for.
fn instance_of(check: &Key) -> Option<Key> {
    let Key::Check(owner, id) = check else {
        return None;
    };
    let service = workload::service_of(id)?;
    Some(Key::Instance(*owner, service))
}

/// Whether a call changes an owner's key: an operator's does not, it is judged by its override.
const fn writes(asked: &Asked, key: &Key) -> bool {
    match asked.call {
        Call::Register(..) | Call::Deregister(_) => true,
        Call::Check(..) => matches!(key, Key::Check(..)),
        _ => false,
    }
}

/// What a call made of an owner's key that held `before`; `None` if it would have been refused.
fn made<'a>(key: &Key, asked: &'a Asked, before: Wanted<'a>) -> Option<Wanted<'a>> {
    Some(match (&asked.call, key, before) {
        (Call::Register(_, instance, _), Key::Instance(..), _) => Wanted::Instance(instance),
        // A check that is known keeps its status when its instance is registered again.
        (Call::Register(_, _, Some(_)), _, Wanted::Status(status)) => Wanted::Status(status),
        (Call::Register(_, _, Some(first)), ..) => Wanted::Status(*first),
        (Call::Check(..), _, Wanted::Nothing) => return None,
        (Call::Check(_, status), ..) => Wanted::Status(*status),
        _ => Wanted::Nothing,
    })
}

fn fits(wanted: &Wanted<'_>, found: Option<&Content>) -> bool {
    let alike = |asked: &Content, found: &Content| match (asked.body(), found.body()) {
        (Body::Instance(asked), Body::Instance(found)) => same(&asked, &found),
        _ => false,
    };
    match (wanted, found) {
        (Wanted::Nothing, None) => true,
        (Wanted::Instance(asked), Some(found)) => {
            found.instance().is_some_and(|found| same(asked, &found))
        }
        (Wanted::Status(status), Some(found)) => {
            found.check().is_some_and(|check| check.status == *status)
        }
        (Wanted::Body(asked), Some(found)) => *asked == found || alike(asked, found),
        _ => false,
    }
}
