//! How agents are asked over DNS: hickory-proto writes and reads the messages, plain sockets carry
//! them.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

/// An agent answers from memory; a datagram that is lost on the way is asked for again by callers.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// What a UDP answer may hold.
const PAYLOAD_MAX: u16 = 4_096;

/// One agent's DNS address.
#[derive(Clone, Copy, Debug)]
pub struct Dns {
    addr: SocketAddr,
    answer_within: Duration,
}

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One datagram each way.
    Udp,
    /// One connection.
    Tcp,
}

impl Dns {
    /// The server at `addr`.
    pub const fn new(addr: SocketAddr) -> Self {
        Self::waiting(addr, ANSWER_WITHIN)
    }

    /// As [`Dns::new`], for questions whose answers may take longer.
    pub const fn waiting(addr: SocketAddr, answer_within: Duration) -> Self {
        Self {
            addr,
            answer_within,
        }
    }

    /// The answer to `name kind`.
    ///
    /// # Errors
    /// If none came that fits, in words.
    pub fn ask(&self, name: &str, kind: RecordType, way: Way) -> Result<Message, String> {
        let query = query(name, kind)?;
        let bytes = query.to_vec().map_err(|error| error.to_string())?;
        let answer = match way {
            Way::Udp => self.over_udp(&bytes),
            Way::Tcp => self.over_tcp(&bytes),
        };
        let answer = answer.map_err(|error| format!("DNS at {}: {error}", self.addr))?;
        let answer = Message::from_vec(&answer).map_err(|error| error.to_string())?;
        if answer.metadata.id != query.metadata.id {
            return Err("the answer is to another question".to_owned());
        }
        Ok(answer)
    }

    /// The addresses of `service`, empty if there is no such name.
    ///
    /// # Errors
    /// If no answer came, or an error did, in words.
    pub fn addresses(&self, service: &str) -> Result<BTreeSet<Ipv4Addr>, String> {
        let answer = self.service(service, RecordType::A)?;
        let address = |record: &Record| match &record.data {
            RData::A(a) => Some(a.0),
            _ => None,
        };
        Ok(answer.answers.iter().filter_map(address).collect())
    }

    /// The targets and ports of `service`, empty if there is no such name.
    ///
    /// # Errors
    /// If no answer came, or an error did, in words.
    pub fn targets(&self, service: &str) -> Result<BTreeSet<(String, u16)>, String> {
        let answer = self.service(service, RecordType::SRV)?;
        let target = |record: &Record| match &record.data {
            RData::SRV(srv) => Some((srv.target.to_string(), srv.port)),
            _ => None,
        };
        Ok(answer.answers.iter().filter_map(target).collect())
    }

    /// The ports of `service`.
    ///
    /// # Errors
    /// As [`Dns::targets`].
    pub fn ports(&self, service: &str) -> Result<BTreeSet<u16>, String> {
        let targets = self.targets(service)?;
        Ok(targets.into_iter().map(|(_, port)| port).collect())
    }

    fn service(&self, service: &str, kind: RecordType) -> Result<Message, String> {
        let name = format!("{service}.service.consul.");
        let answer = self.ask(&name, kind, Way::Udp)?;
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
            other => Err(format!("{name}: {other}")),
        }
    }

    fn over_udp(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(self.answer_within))?;
        socket.connect(self.addr)?;
        socket.send(query)?;
        let mut answer = vec![0; usize::from(PAYLOAD_MAX)];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }

    fn over_tcp(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.addr, self.answer_within)?;
        stream.set_read_timeout(Some(self.answer_within))?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

fn query(name: &str, kind: RecordType) -> Result<Message, String> {
    let name = Name::from_ascii(name).map_err(|error| format!("{name}: {error}"))?;
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD_MAX);
    message.set_edns(edns);
    Ok(message)
}
