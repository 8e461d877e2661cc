//! One change on all reachable members, and what each of them said.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tidings_http::{KeyringCall, KeyringKey, KeyringMember, KeyringRefusal, KeyringReport};
use tidings_types::{ClusterKeyId, NodeId};
use tidings_wire::{KeyChange, KeyringAnswer, KeyringOutcome, KeyringRequest};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::Keyring;
use crate::keys::{KEYS_MAX, Keys};

/// How long one member may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Members asked at once: as many as there are places for requests.
const ASKED_AT_ONCE: usize = 4;

/// One member with its answer, or why there is none.
struct Told {
    node: NodeId,
    answer: Result<KeyringAnswer, String>,
}

impl Keyring {
    /// Does what a client asks, on this agent or on all reachable members.
    pub(crate) async fn call(
        &self,
        call: KeyringCall,
        everywhere: bool,
    ) -> Result<KeyringReport, KeyringRefusal> {
        let others = if everywhere {
            self.reachable_others()
        } else {
            Vec::new()
        };
        let change = match parse(call)? {
            KeyringRequest::List { .. } => {
                let mut told = vec![self.own(KeyringOutcome::AsBefore)];
                told.extend(self.ask_all(others, &KeyringRequest::list()).await);
                return Ok(self.report(told));
            }
            KeyringRequest::Change(change) => change,
        };
        if !matches!(change, KeyChange::Add(_)) {
            let rings = self.ask_all(others.clone(), &KeyringRequest::list()).await;
            self.guard(&change, &rings)?;
        }
        let outcome = self.obey(change.clone(), None).await;
        if let KeyringOutcome::Refused(reason) = outcome {
            return Err(KeyringRefusal::Conflict(format!(
                "this agent refused, and nothing was changed anywhere: {reason}"
            )));
        }
        let mut told = vec![self.own(outcome)];
        let request = KeyringRequest::Change(change);
        told.extend(self.ask_all(others, &request).await);
        Ok(self.report(told))
    }

    /// Refuses a change that would cut members off.
    fn guard(&self, change: &KeyChange, rings: &[Told]) -> Result<(), KeyringRefusal> {
        let names = |which: &dyn Fn(&Told) -> bool| {
            let named = rings.iter().filter(|told| which(told));
            let names: Vec<_> = named.map(|told| self.name(told.node)).collect();
            names.join(", ")
        };
        let silent = names(&|told| told.answer.is_err());
        let (id, hindered, what) = match change {
            KeyChange::Add(_) => return Ok(()),
            KeyChange::Use(id) => {
                let lacks = |told: &Told| !told.accepts().is_none_or(|held| held.contains(id));
                let what = "lack it; add it there first with `tidings keyring add`";
                (id, names(&lacks), what)
            }
            KeyChange::Remove(id) => {
                let sends = |told: &Told| told.accepts().is_some_and(|held| held[..1] == [*id]);
                let what = "send under it; have them use another first with `tidings keyring use`";
                (id, names(&sends), what)
            }
        };
        let refuse = |reason: String| {
            Err(KeyringRefusal::Conflict(format!(
                "nothing was changed for the key {id}: {reason}"
            )))
        };
        if !hindered.is_empty() {
            return refuse(format!("{hindered} {what}"));
        }
        if !silent.is_empty() {
            return refuse(format!(
                "{silent} did not say which keys they accept; try again, or change agent by agent \
                 with --local"
            ));
        }
        Ok(())
    }

    fn reachable_others(&self) -> Vec<(NodeId, SocketAddr)> {
        let (me, roster) = (self.0.view.me(), self.0.view.roster());
        let others = roster
            .members
            .iter()
            .filter(|&(&node, member)| node != me && member.status.is_reachable());
        others.map(|(&node, member)| (node, member.addr)).collect()
    }

    /// What all of them say, sorted by their names.
    async fn ask_all(
        &self,
        others: Vec<(NodeId, SocketAddr)>,
        request: &KeyringRequest,
    ) -> Vec<Told> {
        let places = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        let mut asking = JoinSet::new();
        for (node, addr) in others {
            let (keyring, request) = (self.clone(), request.clone());
            let places = Arc::clone(&places);
            asking.spawn(async move {
                // The semaphore is never closed; without a place the member is asked all the same.
                let _place = places.acquire().await;
                let asked = timeout(ANSWER_WITHIN, keyring.ask(node, addr, &request)).await;
                let silent = || Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
                Told {
                    node,
                    answer: asked.unwrap_or_else(|_| silent()),
                }
            });
        }
        let mut told = Vec::new();
        while let Some(done) = asking.join_next().await {
            told.extend(done.ok());
        }
        told.sort_by_cached_key(|told| (self.name(told.node), told.node));
        told
    }

    async fn ask(
        &self,
        node: NodeId,
        addr: SocketAddr,
        request: &KeyringRequest,
    ) -> Result<KeyringAnswer, String> {
        let frame = request.encode().map_err(|error| error.to_string())?;
        let asked = self.0.transport.request_keyring(node, addr, frame).await;
        let mut answer = asked.map_err(|error| error.to_string())?;
        let frame = answer.next().await.map_err(|error| error.to_string())?;
        let frame = frame.ok_or("it answered nothing")?;
        let answer = KeyringAnswer::decode(&frame).map_err(|error| error.to_string())?;
        if answer.accepts.len() > KEYS_MAX {
            return Err("it names more keys than any agent holds".to_owned());
        }
        Ok(answer)
    }

    fn own(&self, outcome: KeyringOutcome) -> Told {
        let accepts = self.0.transport.keys();
        Told {
            node: self.0.view.me(),
            answer: Ok(KeyringAnswer {
                accepts,
                outcome,
                padding: Vec::new(),
            }),
        }
    }

    fn report(&self, told: Vec<Told>) -> KeyringReport {
        let own = self.0.transport.keys();
        let (me, mut heard) = (self.0.view.me(), self.0.transport.keys_heard());
        // Who was heard under a key that it does not accept any more sends under another by now.
        let accepts = told
            .iter()
            .filter_map(|told| Some((told.node, told.accepts()?)));
        let accepts: BTreeMap<NodeId, &[ClusterKeyId]> = accepts.collect();
        heard.retain(|node, key| accepts.get(node).is_none_or(|keys| keys.contains(key)));
        let roster = self.0.view.roster();
        let reaches = |node: &NodeId| {
            let member = roster.members.get(node);
            *node != me && member.is_some_and(|member| member.status.is_reachable())
        };
        let mut sent_under: Vec<ClusterKeyId> = heard
            .iter()
            .filter(|(node, _)| reaches(node))
            .map(|(_, &key)| key)
            .collect();
        sent_under.extend(own.first());
        let accepted = told.iter().filter_map(Told::accepts).flatten();
        let accepted: Vec<ClusterKeyId> = accepted.copied().collect();
        let mut known = own.clone();
        known.extend(accepted.iter().chain(&sent_under));
        let mut ids: Vec<ClusterKeyId> = Vec::new();
        for id in known {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let count = |ids: &[ClusterKeyId], id| ids.iter().filter(|&&held| held == id).count();
        let keys = ids.into_iter().map(|id| KeyringKey {
            id: id.to_string(),
            in_use: own.first() == Some(&id),
            accepted_by: count(&accepted, id),
            sent_by: count(&sent_under, id),
        });
        let members = told.iter().map(|told| {
            let heard = heard.get(&told.node).map(ToString::to_string);
            self.member(told, heard)
        });
        KeyringReport {
            reachable: roster.reachable,
            keys: keys.collect(),
            members: members.collect(),
        }
    }

    fn member(&self, told: &Told, heard_under: Option<String>) -> KeyringMember {
        let (is_ok, outcome) = match &told.answer {
            Ok(answer) => match &answer.outcome {
                KeyringOutcome::Done => (true, "done".to_owned()),
                KeyringOutcome::AsBefore => (true, "as before".to_owned()),
                KeyringOutcome::Refused(reason) => (false, format!("refused: {reason}")),
            },
            Err(reason) => (false, reason.clone()),
        };
        let accepts = told.accepts().unwrap_or_default();
        KeyringMember {
            name: self.name(told.node),
            node_id: told.node.to_string(),
            accepts: accepts.iter().map(ToString::to_string).collect(),
            heard_under,
            is_ok,
            outcome,
        }
    }
}

impl Told {
    /// The keys that it accepts, if it said so; a peer that names none said nothing.
    fn accepts(&self) -> Option<&[ClusterKeyId]> {
        let answer = self.answer.as_ref().ok()?;
        (!answer.accepts.is_empty()).then_some(&answer.accepts)
    }
}

fn parse(call: KeyringCall) -> Result<KeyringRequest, KeyringRefusal> {
    let id = |text: String| {
        text.parse()
            .map_err(|error| KeyringRefusal::Misuse(format!("{text:?} is no key's id: {error}")))
    };
    Ok(KeyringRequest::Change(match call {
        KeyringCall::List => return Ok(KeyringRequest::list()),
        KeyringCall::Add { text } => {
            let key = Keys::only(&text).ok_or_else(|| {
                KeyringRefusal::Misuse(
                    "the text holds no key, or more than one: 32 bytes as 64 hexadecimal digits or \
                     as base64, as `tidings keygen` prints them"
                        .to_owned(),
                )
            })?;
            KeyChange::Add(key)
        }
        KeyringCall::Use { id: text } => KeyChange::Use(id(text)?),
        KeyringCall::Remove { id: text } => KeyChange::Remove(id(text)?),
    }))
}
