//! The UDP socket.

use std::time::Duration;

use tokio::{net::UdpSocket, time::sleep};

use crate::{Dns, Transport, figures::Counters};

/// Bytes of a query over UDP; what is longer is cut and hence malformed.
const QUERY_BYTES: usize = 4_096;
/// The pause after the socket failed, so that a lasting fault does not fill the log.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers one packet after another; an answer takes microseconds, so there is nothing to gain from
/// a task per packet, and the kernel's queue is the only one.
pub(crate) async fn serve(dns: &Dns, socket: &UdpSocket) {
    let mut query = vec![0; QUERY_BYTES];
    loop {
        let (length, from) = match socket.recv_from(&mut query).await {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "the DNS socket could not be read");
                sleep(PAUSE).await;
                continue;
            }
        };
        Counters::add(&dns.counters().udp);
        let Some(answer) = dns.answer(&query[..length], Transport::Udp) else {
            continue;
        };
        if let Err(error) = socket.send_to(&answer, from).await {
            Counters::add(&dns.counters().send_errors);
            tracing::debug!(%error, %from, "a DNS answer could not be sent");
        }
    }
}
