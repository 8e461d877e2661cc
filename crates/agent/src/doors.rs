//! The sockets of the front doors.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use crate::error::StartError;

/// Tries to find a port that is free for both UDP and TCP, when any will do.
const FREE_PORT_TRIES: usize = 16;

/// Bound, and not yet served.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) http: TcpListener,
    pub(crate) http_addr: SocketAddr,
    pub(crate) dns_udp: UdpSocket,
    pub(crate) dns_tcp: TcpListener,
    pub(crate) dns_addr: SocketAddr,
}

impl Doors {
    /// Binds all of them or none.
    ///
    /// # Errors
    /// [`StartError::AddressTaken`] or [`StartError::Bind`].
    pub(crate) async fn bind(http: SocketAddr, dns: SocketAddr) -> Result<Self, StartError> {
        let refuse_http = |error| StartError::of_bind("HTTP", http, error);
        let listener = TcpListener::bind(http).await.map_err(refuse_http)?;
        let http_addr = listener.local_addr().map_err(refuse_http)?;
        let (dns_udp, dns_tcp, dns_addr) = bind_dns(dns)
            .await
            .map_err(|error| StartError::of_bind("DNS", dns, error))?;
        Ok(Self {
            http: listener,
            http_addr,
            dns_udp,
            dns_tcp,
            dns_addr,
        })
    }
}

/// UDP and TCP on the same port; port 0 takes one that is free for both.
async fn bind_dns(addr: SocketAddr) -> io::Result<(UdpSocket, TcpListener, SocketAddr)> {
    let mut tries = if addr.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(addr).await?;
        let bound = udp.local_addr()?;
        match TcpListener::bind(bound).await {
            Ok(tcp) => return Ok((udp, tcp, bound)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = Doors::bind(any(), any()).await.unwrap();
        let http = Doors::bind(first.http_addr, any()).await.unwrap_err();
        assert!(
            matches!(http, StartError::AddressTaken { door: "HTTP", addr } if addr == first.http_addr)
        );
        let dns = Doors::bind(any(), first.dns_addr).await.unwrap_err();
        assert!(matches!(dns, StartError::AddressTaken { door: "DNS", .. }));
    }

    #[tokio::test]
    async fn dns_has_one_port_for_both_protocols() {
        let doors = Doors::bind(any(), any()).await.unwrap();
        let tcp = doors.dns_tcp.local_addr().unwrap();
        assert_eq!(tcp, doors.dns_udp.local_addr().unwrap());
        assert_eq!(tcp, doors.dns_addr);
    }
}
