//! A service whose health endpoint answers what it is told to.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
};

/// A service whose health endpoint answers what it is told to.
#[derive(Debug)]
pub struct Checked {
    addr: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Checked {
    /// Begins to answer with `status`.
    ///
    /// # Panics
    /// If there is no port.
    pub fn serve(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let status = Arc::new(AtomicU16::new(status));
        let told = Arc::clone(&status);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1_024]);
                let status = told.load(Ordering::Relaxed);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { addr, status }
    }

    /// Where it is asked.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers with `status` from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}
