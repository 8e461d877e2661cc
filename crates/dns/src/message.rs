//! Packets: what is refused, and how an answer begins.

use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RecordType,
        rdata::opt::{ClientSubnet, EdnsCode, EdnsOption},
    },
};

/// Bytes of a packet's header, below which nobody can be answered.
const HEADER_BYTES: usize = 12;
/// The bit in the header's third byte that says "answer".
const QR: u8 = 0x80;

/// What to do with a packet.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Nothing: answering it could start a loop, or there is nobody to answer.
    Drop,
    /// It cannot be read; its header is answered with this code.
    Fail(ResponseCode),
    /// Its question is not answered, for this reason.
    Refuse(Question, ResponseCode),
    /// Look it up.
    Ask(Question),
}

/// The one question of a packet, and what its answer must repeat.
#[derive(Debug)]
pub(crate) struct Question {
    /// The answer's header, but for the code and the flags of the content.
    pub(crate) metadata: Metadata,
    pub(crate) query: Query,
    pub(crate) edns: Option<Edns>,
}

impl Incoming {
    /// Reads a packet.
    pub(crate) fn read(packet: &[u8]) -> Self {
        let Some(&[_, _, flags, ..]) = packet.get(..HEADER_BYTES) else {
            return Self::Drop;
        };
        if flags & QR != 0 {
            return Self::Drop;
        }
        if OpCode::from_u8((flags >> 3) & 0xf) != OpCode::Query {
            return Self::Fail(ResponseCode::NotImp);
        }
        match Message::from_vec(packet) {
            Ok(message) => Self::judge(message),
            Err(_) => Self::Fail(ResponseCode::FormErr),
        }
    }

    fn judge(mut message: Message) -> Self {
        // Several questions would need one code for several answers (RFC 9619).
        let (Some(query), true) = (message.queries.pop(), message.queries.is_empty()) else {
            return Self::Fail(ResponseCode::FormErr);
        };
        let strange_version = message
            .edns
            .as_ref()
            .is_some_and(|edns| edns.version() != 0);
        let question = Question {
            metadata: answering(&message.metadata),
            edns: message.edns.as_ref().map(answering_edns),
            query,
        };
        let class = question.query.query_class();
        let code = if strange_version {
            ResponseCode::BADVERS
        } else if matches!(question.kind(), RecordType::AXFR | RecordType::IXFR) {
            ResponseCode::NotImp
        } else if !matches!(class, DNSClass::IN | DNSClass::ANY) {
            ResponseCode::Refused
        } else {
            return Self::Ask(question);
        };
        Self::Refuse(question, code)
    }
}

impl Question {
    pub(crate) fn name(&self) -> &Name {
        self.query.name()
    }

    pub(crate) fn kind(&self) -> RecordType {
        self.query.query_type()
    }

    /// The size of UDP answers that the client can take, if it says one.
    pub(crate) fn udp_bytes(&self) -> Option<u16> {
        self.edns.as_ref().map(Edns::max_payload)
    }
}

/// `edns` with the remark that the answer is stale (RFC 8914), which `dig` shows and resolvers pass over.
pub(crate) fn stale(edns: &Edns, text: &str) -> Edns {
    let mut option = STALE_ANSWER.to_be_bytes().to_vec();
    option.extend_from_slice(text.as_bytes());
    let mut edns = edns.clone();
    edns.options_mut()
        .insert(EdnsOption::Unknown(EXTENDED_ERROR, option));
    edns
}

/// The option of an extended DNS error, which the codec does not know by name.
pub(crate) const EXTENDED_ERROR: u16 = 15;
/// The code of its "Stale Answer".
pub(crate) const STALE_ANSWER: u16 = 3;

/// The answer to a packet that cannot be read: its header, with `code` and no content.
pub(crate) fn failure(packet: &[u8], code: ResponseCode) -> Option<Vec<u8>> {
    let header = packet.get(..HEADER_BYTES)?;
    let mut answer = vec![0; HEADER_BYTES];
    answer[..2].copy_from_slice(&header[..2]);
    // The operation and "recursion desired" are repeated.
    answer[2] = QR | (header[2] & 0x79);
    answer[3] = code.low();
    Some(answer)
}

fn answering(query: &Metadata) -> Metadata {
    let mut metadata = Metadata::new(query.id, MessageType::Response, query.op_code);
    metadata.recursion_desired = query.recursion_desired;
    metadata.checking_disabled = query.checking_disabled;
    metadata
}

/// The OPT record of the answer: the size offered, and the client's subnet as of no influence.
fn answering_edns(asked: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload());
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if let Some(EdnsOption::Subnet(subnet)) = asked.option(EdnsCode::Subnet) {
        let echo = ClientSubnet::new(subnet.addr(), subnet.source_prefix(), 0);
        edns.options_mut().insert(EdnsOption::Subnet(echo));
    }
    edns
}
