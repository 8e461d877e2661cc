//! Requests to peers, and answers to theirs, each in a task of its own.
//!
//! A slow peer slows its own task and nothing else: what comes from it waits in a bounded queue,
//! and what goes to it does too.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tidings_node::{Exchange, Input};
use tidings_types::NodeId;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinSet},
};

use crate::{
    log_limit::LogLimit,
    transport::{Responder, Transport},
};

/// Requests under way at once; the node asks for fewer.
const REQUESTS: usize = 64;
/// Answers' frames that wait for the driver, over all requests; each may be a MiB.
pub(super) const RESPONSES: usize = 8;
/// Frames of one answer that wait for its peer.
const ANSWER_FRAMES: usize = 128;
/// Bytes of answers that wait for one peer, over all its requests. The node makes an answer at once,
/// so this is what a peer that asks and does not read can make us hold.
const ANSWER_BYTES_PER_PEER: usize = 16 << 20;

/// The sessions under way.
#[derive(Debug)]
pub(super) struct Sessions {
    responses: mpsc::Sender<Input>,
    requests: JoinSet<()>,
    /// Which request a task is: to end the request if the task panics, and the task if the request is
    /// abandoned.
    asked: HashMap<Id, (Exchange, AbortHandle)>,
    answers: BTreeMap<Exchange, Answering>,
    /// What waits for each peer that still reads an answer.
    waiting: BTreeMap<NodeId, Weak<AtomicUsize>>,
    answers_cut: u64,
    cut_lines: LogLimit,
}

/// A peer that awaits an answer.
#[derive(Debug)]
struct Answering {
    peer: NodeId,
    frames: mpsc::Sender<Answer>,
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Answer {
    Frame(Vec<u8>, Waiting),
    End,
}

/// Bytes that wait for a peer until this is dropped.
#[derive(Debug)]
struct Waiting {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Waiting {
    /// `None` if more would wait for the peer than may.
    fn add(bytes: usize, of: &Arc<AtomicUsize>) -> Option<Self> {
        // The driver alone adds, so nobody adds in between.
        (of.load(Relaxed) + bytes <= ANSWER_BYTES_PER_PEER).then(|| {
            of.fetch_add(bytes, Relaxed);
            Self {
                bytes,
                of: Arc::clone(of),
            }
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Relaxed);
    }
}

impl Sessions {
    /// No session yet; what peers answer goes to `responses`.
    pub(super) fn new(responses: mpsc::Sender<Input>) -> Self {
        Self {
            responses,
            requests: JoinSet::new(),
            asked: HashMap::new(),
            answers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answers_cut: 0,
            cut_lines: LogLimit::new(),
        }
    }

    /// Asks `node` in a task that hands in each response and the end. What comes back is the end
    /// at once, if too many requests are under way.
    pub(super) fn ask(
        &mut self,
        transport: Transport,
        exchange: Exchange,
        node: NodeId,
        addr: SocketAddr,
        frame: Vec<u8>,
    ) -> Option<Input> {
        self.reap();
        if self.requests.len() >= REQUESTS {
            return Some(ended(exchange, false));
        }
        let responses = self.responses.clone();
        let task = self.requests.spawn(async move {
            let complete = ask(&transport, exchange, node, addr, frame, &responses).await;
            // An error means that the driver has stopped meanwhile.
            let _ = responses.send(ended(exchange, complete)).await;
        });
        self.asked.insert(task.id(), (exchange, task));
        None
    }

    /// Breaks a request off. What its peer sends from now on is not even read.
    pub(super) fn abandon(&self, exchange: Exchange) {
        let mut asked = self.asked.values();
        if let Some((_, task)) = asked.find(|(of, _)| *of == exchange) {
            task.abort();
        }
    }

    /// Requests under way.
    pub(super) fn requests(&mut self) -> usize {
        self.reap();
        self.requests.len()
    }

    /// Answers that are not ended.
    pub(super) fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Answers broken off because their peer did not read them.
    pub(super) const fn answers_cut(&self) -> u64 {
        self.answers_cut
    }

    /// Takes note of the request of `peer`; its answer goes to `responder`.
    pub(super) fn answer(&mut self, exchange: Exchange, peer: NodeId, responder: Responder) {
        self.waiting.retain(|_, waiting| waiting.strong_count() > 0);
        let known = self.waiting.get(&peer).and_then(Weak::upgrade);
        let waiting = known.unwrap_or_default();
        self.waiting.insert(peer, Arc::downgrade(&waiting));
        let (frames, receiver) = mpsc::channel(ANSWER_FRAMES);
        let answering = Answering {
            peer,
            frames,
            waiting,
        };
        self.answers.insert(exchange, answering);
        tokio::spawn(answer(responder, receiver));
    }

    /// Queues a frame of an answer. A peer that does not read loses its answer.
    pub(super) fn respond(&mut self, exchange: Exchange, frame: Vec<u8>) {
        let Some(answering) = self.answers.get(&exchange) else {
            return;
        };
        let queued = Waiting::add(frame.len(), &answering.waiting).is_some_and(|waiting| {
            let frame = Answer::Frame(frame, waiting);
            answering.frames.try_send(frame).is_ok()
        });
        if queued {
            return;
        }
        self.answers_cut += 1;
        if let Some(held_back) = self.cut_lines.admit() {
            tracing::warn!(
                peer = %answering.peer,
                total = self.answers_cut,
                held_back,
                "a member asks for more than it reads; its answer is broken off"
            );
        }
        self.answers.remove(&exchange);
    }

    /// Ends an answer: properly, or by breaking it off.
    pub(super) fn finish(&mut self, exchange: Exchange, complete: bool) {
        if let Some(answer) = self.answers.remove(&exchange).filter(|_| complete) {
            // A queue without room breaks the answer off, as it must.
            let _ = answer.frames.try_send(Answer::End);
        }
    }

    /// Forgets the tasks that ended, and ends the requests of those that panicked.
    fn reap(&mut self) {
        while let Some(done) = self.requests.try_join_next_with_id() {
            let id = match &done {
                Ok((id, ())) => *id,
                Err(error) => error.id(),
            };
            let asked = self.asked.remove(&id);
            let panicked = done.err().filter(|error| !error.is_cancelled());
            if let (Some(error), Some((exchange, _))) = (panicked, asked) {
                tracing::error!(%error, "a request's task panicked");
                // The node waits for this word, and the driver, which empties the queue, must not.
                let responses = self.responses.clone();
                tokio::spawn(async move { responses.send(ended(exchange, false)).await });
            }
        }
    }
}

const fn ended(exchange: Exchange, complete: bool) -> Input {
    Input::Finished { exchange, complete }
}

/// Whether the peer ended its answer properly.
async fn ask(
    transport: &Transport,
    exchange: Exchange,
    node: NodeId,
    addr: SocketAddr,
    frame: Vec<u8>,
    responses: &mpsc::Sender<Input>,
) -> bool {
    let mut stream = match transport.request(node, addr, frame).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(peer = ?node, %addr, %error, "a request got no answer");
            return false;
        }
    };
    loop {
        match stream.next().await {
            Ok(Some(frame)) => {
                let response = Input::Response { exchange, frame };
                if responses.send(response).await.is_err() {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(error) => {
                tracing::debug!(peer = ?node, %addr, %error, "an answer broke off");
                return false;
            }
        }
    }
}

/// Writes an answer as the peer takes it. Without an end the responder is dropped, which tells the
/// peer that the answer was given up.
async fn answer(mut responder: Responder, mut frames: mpsc::Receiver<Answer>) {
    while let Some(next) = frames.recv().await {
        match next {
            Answer::Frame(frame, _waiting) => {
                if let Err(error) = responder.send(&frame).await {
                    tracing::debug!(%error, "an answer could not be sent");
                    return;
                }
            }
            Answer::End => return responder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_peer_is_bounded_and_given_back() {
        let waiting = Arc::new(AtomicUsize::new(0));
        let half = ANSWER_BYTES_PER_PEER / 2;
        let first = Waiting::add(half, &waiting).expect("there is room");
        let second = Waiting::add(half, &waiting).expect("there is room");
        assert!(Waiting::add(1, &waiting).is_none());
        drop(first);
        assert!(Waiting::add(half + 1, &waiting).is_none());
        drop(second);
        assert_eq!(waiting.load(Relaxed), 0);
    }
}
