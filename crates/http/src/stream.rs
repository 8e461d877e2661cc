//! Answers that go on until their client leaves.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::{failure::Failure, state::HttpState};

/// Begins an answer whose body is what `write` sends, in the background.
///
/// It holds one of the places for waiting queries. It ends when `write` does, when the client is
/// gone, or when the server closes.
pub(crate) fn begin<F>(
    state: &HttpState,
    write: impl FnOnce(mpsc::Sender<Bytes>) -> F,
) -> Result<Body, Failure>
where
    F: Future<Output = ()> + Send + 'static,
{
    let place = state.waiter().ok_or_else(Failure::no_place_to_wait)?;
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let gone = sender.clone();
    let write = write(sender);
    let state = state.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = write => {}
            () = gone.closed() => {}
            () = state.closed() => {}
        }
        drop(place);
    });
    Ok(Body::new(Chunks(receiver)))
}

struct Chunks(mpsc::Receiver<Bytes>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.0.poll_recv(context);
        chunk.map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Chunks that a slow client has not taken yet; then its writer waits.
const CHUNKS: usize = 8;
