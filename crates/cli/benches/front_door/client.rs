//! A client that costs little: it writes requests that are ready, and reads answers by their length.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

/// One connection that is kept.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer, split where its body begins.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    fn check(self, what: &str) -> Self {
        assert!(
            self.head.starts_with("HTTP/1.1 200"),
            "{what}: {} {}",
            self.head,
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

impl Client {
    pub(crate) fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).expect("the server has a place");
        stream.set_nodelay(true).expect("the connection stands");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("the server reads");
    }

    /// The answer to the oldest request without one.
    pub(crate) fn receive(&mut self) -> Reply {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(reply) = self.take_reply() {
                return reply;
            }
            let read = self.stream.read(&mut chunk).expect("the server answers");
            assert!(read > 0, "the server has closed the connection");
            self.read.extend_from_slice(&chunk[..read]);
        }
    }

    /// Sends a request and waits for its answer, which must be a 200.
    pub(crate) fn call(&mut self, request: &[u8]) -> Reply {
        self.send(request);
        self.receive().check(&String::from_utf8_lossy(request))
    }

    /// Whether bytes of an answer have come.
    pub(crate) fn has_more(&self) -> bool {
        let asked = self.stream.set_nonblocking(true);
        asked.expect("the connection stands");
        let has = self.stream.peek(&mut [0]).is_ok();
        let back = self.stream.set_nonblocking(false);
        back.expect("the connection stands");
        has
    }

    fn take_reply(&mut self) -> Option<Reply> {
        let end = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let length = header(&head, "content-length").and_then(|text| text.parse().ok());
        let length: usize = length.expect("the server says how long its answer is");
        let body = self.read.get(end..end + length)?.to_vec();
        self.read.drain(..end + length);
        Some(Reply { head, body })
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
