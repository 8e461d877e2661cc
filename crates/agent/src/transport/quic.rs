//! QUIC's settings: what a peer may cost us.

use std::{sync::Arc, time::Duration};

use quinn::{
    ClientConfig, EndpointConfig, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use tidings_types::NodeId;

use super::{
    key::NodeKey,
    serve::SERVED,
    session::{REQUESTS, REQUESTS_PER_PEER},
    tls::Tls,
};

/// Makes the settings of the endpoint and of each connection.
#[derive(Debug)]
pub(super) struct Quic {
    tls: Tls,
    dialing: Arc<TransportConfig>,
    accepting: Arc<TransportConfig>,
}

impl Quic {
    /// Settings that fit a socket with this receive buffer.
    pub(super) fn new(key: &NodeKey, receive_buffer: usize) -> Result<Self, rustls::Error> {
        let mut dialing = limited(window(receive_buffer, REQUESTS));
        // The dialing side keeps the connection alive until it is done with it, and thereby notices
        // within a second that the peer was restarted.
        dialing
            .keep_alive_interval(Some(KEEP_ALIVE))
            .max_concurrent_bidi_streams(VarInt::from_u32(0));
        let mut accepting = limited(window(receive_buffer, SERVED));
        accepting.max_concurrent_bidi_streams(VarInt::from_u32(REQUESTS_PER_PEER));
        Ok(Self {
            tls: Tls::new(key)?,
            dialing: Arc::new(dialing),
            accepting: Arc::new(accepting),
        })
    }

    /// The accepting side of all connections.
    pub(super) fn server(&self) -> Result<ServerConfig, rustls::Error> {
        let tls = QuicServerConfig::try_from(self.tls.server()?).map_err(no_suite)?;
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config
            .transport_config(Arc::clone(&self.accepting))
            .migration(false)
            .max_incoming(INCOMING)
            .incoming_buffer_size(INCOMING_BYTES)
            .incoming_buffer_size_total(INCOMING_TOTAL_BYTES);
        Ok(config)
    }

    /// The dialing side of one connection, pinned to `wanted` if a node is.
    pub(super) fn client(&self, wanted: Option<NodeId>) -> Result<ClientConfig, rustls::Error> {
        let tls = QuicClientConfig::try_from(self.tls.client(wanted)?).map_err(no_suite)?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::clone(&self.dialing));
        Ok(config)
    }
}

/// The endpoint's settings. The reset and connection-id keys follow from the identity, so that a
/// restarted node can tell its peers at once that their connections are gone.
pub(super) fn endpoint(key: &NodeKey) -> EndpointConfig {
    let reset = hmac::Key::new(hmac::HMAC_SHA256, &key.derive(b"tidings/0 stateless reset"));
    let [a, b, c, d, e, f, g, h, ..] = key.derive(b"tidings/0 connection ids");
    let ids = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let mut config = EndpointConfig::new(Arc::new(reset));
    config
        .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)))
        // What we advertise decides whether peers may clear the bit that tells QUIC from ours.
        .grease_quic_bit(false);
    config
}

fn limited(window: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .stream_receive_window(VarInt::from_u32(window))
        .receive_window(VarInt::from_u32(window))
        .send_window(SEND_WINDOW)
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    config
}

/// What one of `sessions` may have on its way to us. All windows together, of both directions, fit
/// half of the socket's buffer, so that a bulk transfer never pushes a probe out of it.
fn window(receive_buffer: usize, sessions: usize) -> u32 {
    let share = receive_buffer / 4 / sessions.max(1);
    u32::try_from(share)
        .unwrap_or(WINDOW_MAX)
        .clamp(WINDOW_MIN, WINDOW_MAX)
}

fn no_suite(error: quinn::crypto::rustls::NoInitialCipherSuite) -> rustls::Error {
    rustls::Error::General(error.to_string())
}

/// Largest window of one session, bytes. More gains no throughput on a local network.
const WINDOW_MAX: u32 = 64 << 10;
/// Smallest window: below it a session crawls, however small the socket's buffer is.
const WINDOW_MIN: u32 = 8 << 10;
/// Bytes that a connection buffers until the peer has them.
const SEND_WINDOW: u64 = 256 << 10;
/// A connection without a word from the peer ends after this.
const IDLE_TIMEOUT_MS: u32 = 5_000;
/// Between two words of the dialing side.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Connection attempts waiting for a decision, and the bytes kept for each and for all.
const INCOMING: usize = 256;
const INCOMING_BYTES: u64 = 16 << 10;
const INCOMING_TOTAL_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_share_a_quarter_of_the_buffer_per_direction() {
        assert_eq!(window(8 << 20, 4), 64 << 10);
        assert_eq!(window(425_984, 4), 26_624);
        assert_eq!(window(0, 0), 8 << 10);
        assert_eq!(window(usize::MAX, 1), 64 << 10);
    }
}
