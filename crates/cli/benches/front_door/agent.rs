//! An agent as it is shipped, in a process of its own.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long an agent may take until it answers.
const STARTS: Duration = Duration::from_secs(20);

/// A server in a process of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    child: Child,
    /// Where an agent keeps its records; goes with it.
    dir: Option<TempDir>,
    /// Where an agent listens: HTTP, DNS, gossip.
    ports: [SocketAddr; 3],
}

impl Server {
    /// Starts an agent that is alone, with an empty disk.
    pub(crate) fn agent() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        Self::agent_of(dir, [free(), free(), free()])
    }

    /// Kills the agent and starts it with what is on its disk.
    pub(crate) fn again(mut self) -> Self {
        let dir = self.dir.take().expect("an agent has a directory");
        let ports = self.ports;
        drop(self);
        Self::agent_of(dir, ports)
    }

    fn agent_of(dir: TempDir, ports: [SocketAddr; 3]) -> Self {
        let [http, dns, gossip] = ports;
        let port = |at: SocketAddr| at.port().to_string();
        // Another build can be measured as well.
        let binary = std::env::var_os("TIDINGS_BIN");
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_tidings").into());
        let mut command = Command::new(binary);
        command
            .args(["agent", "--log-level", "error", "--name", "bench"])
            .args(["--http-port", &port(http), "--dns-port", &port(dns)])
            .args(["--gossip-port", &port(gossip), "--data-dir"])
            .arg(dir.path());
        let mut server = Self::start(command, http);
        (server.dir, server.ports) = (Some(dir), ports);
        server
    }

    /// Runs `command`, which answers HTTP at `http`, and waits until it does.
    pub(crate) fn start(mut command: Command, http: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.expect("the server is built, so it can be run");
        let server = Self {
            http,
            child,
            dir: None,
            ports: [http; 3],
        };
        let begun = Instant::now();
        while TcpStream::connect(http).is_err() {
            assert!(begun.elapsed() < STARTS, "nothing answers at {http}");
            sleep(Duration::from_millis(10));
        }
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens at for the moment.
pub(crate) fn free() -> SocketAddr {
    let taken = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    taken.expect("loopback has a free port")
}
