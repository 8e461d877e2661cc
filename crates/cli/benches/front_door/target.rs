//! What health checks ask: a service that is always well, and notes when it was asked.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// Bytes of a check's request that are read; its path stands in the first line.
const REQUEST_BYTES: usize = 1_024;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// When a connection came, and which check made it: that its request's path names, or none if it sent
/// no request.
pub(crate) type Asked = (Instant, Option<usize>);

/// Listeners on loopback, one for each service, as services have ports of their own.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) ports: Vec<u16>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Ends the listeners with this value.
    _runtime: Runtime,
}

impl Target {
    pub(crate) fn listening(ports: usize) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ports = (0..ports).map(|_| {
            let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)));
            let listener = listener.expect("loopback has a free port");
            let at = listener.local_addr().expect("a listener has a port");
            runtime.spawn(accept(listener, Arc::clone(&asked)));
            at.port()
        });
        Self {
            ports: ports.collect(),
            asked,
            _runtime: runtime,
        }
    }

    /// What came since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Asked> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut *asked);
        taken.sort_unstable();
        taken
    }
}

async fn accept(listener: TcpListener, asked: Arc<Mutex<Vec<Asked>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (now, asked) = (Instant::now(), Arc::clone(&asked));
        tokio::spawn(async move {
            let check = answer(stream).await;
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push((now, check));
        });
    }
}

/// The number in the path of the request, if there is one.
async fn answer(mut stream: TcpStream) -> Option<usize> {
    let mut request = [0; REQUEST_BYTES];
    let read = stream.read(&mut request).await.ok()?;
    let text = std::str::from_utf8(&request[..read]).ok()?;
    let path = text.split_ascii_whitespace().nth(1)?;
    // Who asked may have gone.
    let _ = stream.write_all(ANSWER).await;
    path.strip_prefix('/')?.parse().ok()
}
