//! A member with a valid cluster key and a key of its own that takes what it can get. Each attempt
//! ends at its limit, and an honest member is served meanwhile.

use quinn::{Connection, RecvStream, SendStream};

use super::{
    super::{
        handshake::{Credentials, Reason},
        quic::Quic,
        shares::{CONNECTIONS_PER_PEER, SERVED_PER_PEER},
    },
    *,
};

/// An honest member is answered in this time whatever a rogue does; the deadlines are longer, since
/// a test's machine may be busy.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

struct Rogue {
    port: Agent,
    key: NodeKey,
}

impl Rogue {
    fn new() -> Self {
        Self {
            port: Agent::new(),
            key: NodeKey::generate().unwrap(),
        }
    }

    /// A connection on which it says that it is `node`.
    async fn connect_as(&self, node: NodeId, victim: (NodeId, SocketAddr)) -> Connection {
        let quic = Quic::new(&self.key, 1 << 20).unwrap();
        let config = quic.client(Some(victim.0)).unwrap();
        let endpoint = self.port.port.endpoint();
        let dialing = endpoint.connect_with(config, victim.1, "x.invalid");
        let connection = dialing.unwrap().await.unwrap();
        let keys = KeyRing::new(&[[7; 32]]).unwrap();
        let credentials = Credentials::new(CLUSTER, node, keys, EPOCH);
        // What becomes of it shows on the connection.
        let _ = credentials.introduce(&connection, victim.0).await;
        connection
    }

    async fn connect(&self, victim: (NodeId, SocketAddr)) -> Connection {
        self.connect_as(self.key.node_id(), victim).await
    }
}

/// A request of the node's topic that stays open.
async fn begin_request(connection: &Connection) -> (SendStream, RecvStream) {
    let (mut send, receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0, 0, 0, 0, 1, b'x']).await.unwrap();
    (send, receive)
}

fn closed_for(connection: &Connection) -> Option<Reason> {
    match connection.close_reason()? {
        quinn::ConnectionError::ApplicationClosed(close) => Reason::of(close.error_code),
        _ => None,
    }
}

async fn assert_served(member: &Transport, node: NodeId, addr: SocketAddr) {
    let begin = Instant::now();
    assert_eq!(ask(member, node, addr, b"x").await.unwrap(), [b"x"]);
    let span = begin.elapsed();
    assert!(span < SERVED_WITHIN, "an honest member waited {span:?}");
}

#[tokio::test]
async fn it_gets_its_share_of_connections_and_the_honest_get_theirs() {
    let (rogue, member, victim) = (Rogue::new(), Agent::new(), Agent::new());
    let at = (victim.node, victim.addr());
    let victim = victim.echo();
    let mut open = Vec::new();
    for _ in 0..3 * CONNECTIONS_PER_PEER {
        open.push(rogue.connect(at).await);
    }
    let deadline = Instant::now() + DEADLINE;
    let refused = |open: &[Connection]| {
        let refused = open.iter().map(closed_for);
        refused.filter(|r| *r == Some(Reason::Busy)).count()
    };
    while refused(&open) < 2 * CONNECTIONS_PER_PEER {
        assert!(Instant::now() < deadline, "{}", refused(&open));
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(refused(&open), 2 * CONNECTIONS_PER_PEER);
    let counted = victim.counters().of(Counter::SessionsOverShare);
    assert_eq!(counted, 2 * CONNECTIONS_PER_PEER as u64);
    assert_served(&member.port, at.0, at.1).await;
    // What it gives back it may have again.
    open.clear();
    let again = rogue.connect(at).await;
    assert_eq!(closed_for(&again), None);
}

#[tokio::test]
async fn requests_that_it_never_ends_leave_places_for_the_honest() {
    let (rogue, member, victim) = (Rogue::new(), Agent::new(), Agent::new());
    let at = (victim.node, victim.addr());
    let victim = victim.echo();
    let connections = [rogue.connect(at).await, rogue.connect(at).await];
    let mut begun = Vec::new();
    for connection in connections.iter().cycle().take(12) {
        // A frame that never comes whole.
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 0, 0, 0, 9]).await.unwrap();
        begun.push((send, receive));
    }
    for _ in 0..3 {
        assert_served(&member.port, at.0, at.1).await;
    }
    // Those that found no place are refused in the end, and the peer is named.
    let over = 12 - SERVED_PER_PEER as u64;
    let deadline = Instant::now() + 2 * DEADLINE;
    while victim.counters().of(Counter::RequestsOverShare) < over {
        assert!(Instant::now() < deadline, "not refused");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_loop_of_requests_is_slowed_down_and_costs_the_honest_nothing() {
    let (rogue, member, victim) = (Rogue::new(), Agent::new(), Agent::new());
    let at = (victim.node, victim.addr());
    let victim = victim.echo();
    let connection = rogue.connect(at).await;
    let begin = Instant::now();
    let mut asked = 0;
    while begin.elapsed() < Duration::from_secs(4) {
        let (mut send, mut receive) = begin_request(&connection).await;
        send.finish().unwrap();
        receive.read_to_end(1 << 10).await.unwrap();
        asked += 1;
        if asked % 50 == 0 {
            assert_served(&member.port, at.0, at.1).await;
        }
    }
    let served = victim.counters().of(Counter::RequestsReceived);
    assert!(served >= asked, "{served} of {asked}");
    // 50 at once and 25 a second; a little more for the clock's grain.
    assert!(asked <= 50 + 4 * 25 + 10, "{asked} requests in 4 s");
}

#[tokio::test]
async fn it_cannot_act_as_another_node() {
    let (rogue, honest, mut victim) = (Rogue::new(), Agent::new(), Agent::new());
    let at = (victim.node, victim.addr());
    // Dialing: the MAC covers the node that TLS has proved, whatever node it is made for.
    let connection = rogue.connect_as(honest.node, at).await;
    timeout(DEADLINE, connection.closed()).await.unwrap();
    assert_eq!(closed_for(&connection), Some(Reason::WrongKey));
    victim.counted(Counter::SessionsUnverified, 1).await;
    assert!(victim.events.try_recv().is_err());
    // Its own requests bear its own id.
    let connection = rogue.connect(at).await;
    let (mut send, _receive) = begin_request(&connection).await;
    send.finish().unwrap();
    assert_eq!(victim.request().await.0, rogue.key.node_id());
    // Accepting: whoever dials another node at its address finds out by the key.
    let asked = ask(&victim.port, honest.node, rogue.port.addr(), b"x").await;
    assert!(
        matches!(asked, Err(SessionError::Refused { .. })),
        "{asked:?}"
    );
}

#[tokio::test]
async fn one_that_answers_slowly_leaves_places_for_requests_to_others() {
    let (asking, mut slow, honest) = (Agent::new(), Agent::new(), Agent::new());
    let slow_at = (slow.node, slow.addr());
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let port = asking.port.clone();
        waiting.push(tokio::spawn(async move {
            port.request(slow_at.0, slow_at.1, b"x".to_vec()).await
        }));
    }
    // It takes two requests and says nothing.
    let _held = [slow.request().await, slow.request().await];
    let (node, addr) = (honest.node, honest.addr());
    let _honest = honest.echo();
    for _ in 0..3 {
        assert_served(&asking.port, node, addr).await;
    }
    assert!(
        slow.events.try_recv().is_err(),
        "the others wait their turn"
    );
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
