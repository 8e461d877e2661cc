//! One query from bytes to bytes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use hickory_proto::op::ResponseCode;
use tidings_view::View;
use tokio::net::{TcpListener, UdpSocket};

use crate::{
    DnsSettings, Figures,
    figures::Counters,
    fit::{self, Room},
    message::{Incoming, Question, failure},
    reply::Reply,
    tcp, udp,
    zone::Zone,
};

/// The way on which a query came and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the client's offer and the settings limit the answer.
    Udp,
    /// A stream: 65,535 bytes.
    Tcp,
}

/// Answers DNS queries from the view. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dns {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    view: View,
    settings: DnsSettings,
    counters: Counters,
}

impl Dns {
    /// Answers from `view` as `settings` say.
    pub fn new(view: View, settings: DnsSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                view,
                settings,
                counters: Counters::default(),
            }),
        }
    }

    /// Answers queries that arrive at both sockets until `shutdown` is ready; then no task of it is
    /// left. Errors of single packets and connections are counted and do not end it.
    pub async fn serve(
        &self,
        udp: UdpSocket,
        tcp: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) {
        tokio::select! {
            () = shutdown => {}
            () = udp::serve(self, &udp) => {}
            () = tcp::serve(self, &tcp) => {}
        }
    }

    /// The answer to the packet `query`; `None` if it must not be answered.
    ///
    /// Never panics; and an answer to what is malformed or refused is not larger than the packet
    /// that it answers, plus an OPT record if it had one.
    pub fn answer(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        // The codec is not ours and meets whatever the network holds.
        let answered = catch_unwind(AssertUnwindSafe(|| self.respond(query, transport)));
        answered.unwrap_or_else(|_panic| {
            tracing::error!(
                ?query,
                "a DNS query made the agent panic; answered SERVFAIL"
            );
            self.counters().answered(ResponseCode::ServFail);
            failure(query, ResponseCode::ServFail)
        })
    }

    /// The figures now.
    pub fn figures(&self) -> Figures {
        self.shared.counters.read()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    pub(crate) fn settings(&self) -> &DnsSettings {
        &self.shared.settings
    }

    fn respond(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let counters = self.counters();
        match Incoming::read(query) {
            Incoming::Drop => {
                Counters::add(&counters.dropped);
                None
            }
            Incoming::Fail(code) => {
                counters.answered(code);
                failure(query, code)
            }
            Incoming::Refuse(question, code) => {
                counters.answered(code);
                let room = self.room(&question, transport);
                fit::write(&question, &Reply::failed(code), room).map(|(bytes, _)| bytes)
            }
            Incoming::Ask(question) => self.look_up(query, &question, transport),
        }
    }

    fn look_up(&self, query: &[u8], question: &Question, transport: Transport) -> Option<Vec<u8>> {
        let counters = self.counters();
        let room = self.room(question, transport);
        let zone = Zone::new(&self.shared.view, &self.shared.settings, room.records());
        let reply = zone.look_up(question.name(), question.kind());
        let Some((bytes, left_out)) = fit::write(question, &reply, room) else {
            counters.answered(ResponseCode::ServFail);
            return failure(query, ResponseCode::ServFail);
        };
        counters.answered(reply.code);
        if left_out {
            Counters::add(&counters.truncated);
        }
        Some(bytes)
    }

    fn room(&self, question: &Question, transport: Transport) -> Room {
        match transport {
            Transport::Tcp => Room::tcp(),
            Transport::Udp => {
                let offered = question.udp_bytes().unwrap_or(0);
                let settings = self.settings();
                Room::udp(
                    offered.min(settings.udp_bytes_max),
                    settings.flag_truncation,
                )
            }
        }
    }
}
