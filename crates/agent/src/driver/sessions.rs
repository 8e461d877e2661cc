//! Requests to peers, and answers to theirs, each in a task of its own.
//!
//! A slow peer slows its own task and nothing else: what comes from it waits in a bounded queue,
//! and what goes to it does too.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use tidings_node::{Exchange, Input};
use tidings_types::NodeId;
use tokio::{
    sync::mpsc,
    task::{Id, JoinSet},
};

use crate::transport::{Responder, Transport};

/// Requests under way at once; the node asks for fewer.
const REQUESTS: usize = 64;
/// Answers' frames that wait for the driver, over all requests.
pub(super) const RESPONSES: usize = 64;
/// Frames of one answer that wait for its peer. The node makes an answer at once, and a frame has
/// up to a mebibyte, so this bounds what a peer that does not read can hold.
const ANSWER_FRAMES: usize = 128;

/// The sessions under way.
#[derive(Debug)]
pub(super) struct Sessions {
    responses: mpsc::Sender<Input>,
    requests: JoinSet<()>,
    /// Which request a task is, to end it when the task panics.
    asked: HashMap<Id, Exchange>,
    answers: BTreeMap<Exchange, mpsc::Sender<Answer>>,
}

#[derive(Debug)]
enum Answer {
    Frame(Vec<u8>),
    End,
}

impl Sessions {
    /// No session yet; what peers answer goes to `responses`.
    pub(super) fn new(responses: mpsc::Sender<Input>) -> Self {
        Self {
            responses,
            requests: JoinSet::new(),
            asked: HashMap::new(),
            answers: BTreeMap::new(),
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
        self.asked.insert(task.id(), exchange);
        None
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

    /// Takes note of a peer's request; its answer goes to `responder`.
    pub(super) fn answer(&mut self, exchange: Exchange, responder: Responder) {
        let (sender, receiver) = mpsc::channel(ANSWER_FRAMES);
        self.answers.insert(exchange, sender);
        tokio::spawn(answer(responder, receiver));
    }

    /// Queues a frame of an answer. A peer that does not read loses its answer.
    pub(super) fn respond(&mut self, exchange: Exchange, frame: Vec<u8>) {
        let queued = self
            .answers
            .get(&exchange)
            .is_none_or(|answer| answer.try_send(Answer::Frame(frame)).is_ok());
        if !queued {
            tracing::debug!(
                ?exchange,
                "a peer does not read its answer; it is broken off"
            );
            self.answers.remove(&exchange);
        }
    }

    /// Ends an answer: properly, or by breaking it off.
    pub(super) fn finish(&mut self, exchange: Exchange, complete: bool) {
        if let Some(answer) = self.answers.remove(&exchange).filter(|_| complete) {
            // A queue without room breaks the answer off, as it must.
            let _ = answer.try_send(Answer::End);
        }
    }

    /// Forgets the tasks that ended, and ends the requests of those that panicked.
    fn reap(&mut self) {
        while let Some(done) = self.requests.try_join_next_with_id() {
            let id = match &done {
                Ok((id, ())) => *id,
                Err(error) => error.id(),
            };
            let exchange = self.asked.remove(&id);
            if let (Err(error), Some(exchange)) = (done, exchange) {
                tracing::error!(%error, "a request's task panicked");
                // A queue without room: the node gives the request up by its own deadline.
                let _ = self.responses.try_send(ended(exchange, false));
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
            Answer::Frame(frame) => {
                if let Err(error) = responder.send(&frame).await {
                    tracing::debug!(%error, "an answer could not be sent");
                    return;
                }
            }
            Answer::End => return responder.finish(),
        }
    }
}
