//! The way from a front door to the node: a bounded queue of commands, each answered once.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tidings_types::{Command, Outcome, Refusal};
use tokio::sync::{mpsc, oneshot};

/// A queue of at most `capacity` commands that the driver has not taken yet.
pub fn commands(capacity: usize) -> (Commands, CommandReceiver) {
    let (sender, receiver) = mpsc::channel(capacity);
    let commands = Commands {
        sender,
        refused: Arc::default(),
    };
    (commands, CommandReceiver { receiver })
}

/// The front doors' end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Commands {
    sender: mpsc::Sender<Request>,
    refused: Arc<AtomicU64>,
}

impl Commands {
    /// Hands `command` to the node and waits for its answer.
    ///
    /// # Errors
    /// [`Refusal::Busy`] at once if the queue is full and [`Refusal::ShuttingDown`] if the driver
    /// is gone; nothing was changed then. Otherwise what the node says.
    pub async fn send(&self, command: Command) -> Result<Outcome, Refusal> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            command,
            reply: Reply(reply),
        };
        self.sender.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.refused.fetch_add(1, Relaxed);
                Refusal::Busy
            }
            mpsc::error::TrySendError::Closed(_) => Refusal::ShuttingDown,
        })?;
        answer.await.unwrap_or(Err(Refusal::ShuttingDown))
    }

    /// How many commands the queue can still take.
    pub fn room(&self) -> usize {
        self.sender.capacity()
    }

    /// How many commands wait for the driver.
    pub fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// How many commands found the queue full, since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// The driver's end.
#[derive(Debug)]
pub struct CommandReceiver {
    receiver: mpsc::Receiver<Request>,
}

impl CommandReceiver {
    /// The next command; `None` when every [`Commands`] is gone. Safe to drop while it waits.
    pub async fn recv(&mut self) -> Option<Request> {
        self.receiver.recv().await
    }

    /// The next command if one waits already.
    pub fn try_recv(&mut self) -> Option<Request> {
        self.receiver.try_recv().ok()
    }

    /// Refuses further commands; those that wait can still be received.
    pub fn close(&mut self) {
        self.receiver.close();
    }
}

/// One command and where its answer goes.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Where the answer goes.
    pub reply: Reply,
}

/// Answers one command. Dropped without an answer it says [`Refusal::ShuttingDown`].
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Result<Outcome, Refusal>>);

impl Reply {
    /// Answers. A client that has gone meanwhile is no error: its command was carried out.
    pub fn send(self, answer: Result<Outcome, Refusal>) {
        let _ = self.0.send(answer);
    }
}
