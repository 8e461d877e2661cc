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
    pub(crate) https: Option<TcpListener>,
    pub(crate) https_addr: Option<SocketAddr>,
    pub(crate) dns_udp: UdpSocket,
    pub(crate) dns_tcp: TcpListener,
    pub(crate) dns_addr: SocketAddr,
}

impl Doors {
    /// Binds all of them or none.
    ///
    /// # Errors
    /// [`StartError::AddressTaken`] or [`StartError::Bind`].
    pub(crate) async fn bind(
        http: SocketAddr,
        https: Option<SocketAddr>,
        dns: SocketAddr,
    ) -> Result<Self, StartError> {
        let (listener, http_addr) = bind_tcp("HTTP", http).await?;
        let https = match https {
            Some(addr) => Some(bind_tcp("HTTPS", addr).await?),
            None => None,
        };
        let (https, https_addr) = https.unzip();
        let (dns_udp, dns_tcp, dns_addr) = bind_dns(dns)
            .await
            .map_err(|error| StartError::of_bind("DNS", dns, error))?;
        Ok(Self {
            http: listener,
            http_addr,
            https,
            https_addr,
            dns_udp,
            dns_tcp,
            dns_addr,
        })
    }
}

async fn bind_tcp(
    door: &'static str,
    addr: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let refuse = |error| StartError::of_bind(door, addr, error);
    let listener = TcpListener::bind(addr).await.map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    Ok((listener, bound))
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
        let first = Doors::bind(any(), Some(any()), any()).await.unwrap();
        let http = Doors::bind(first.http_addr, None, any()).await.unwrap_err();
        assert!(
            matches!(http, StartError::AddressTaken { door: "HTTP", addr } if addr == first.http_addr)
        );
        let https = Doors::bind(any(), first.https_addr, any()).await;
        let https = https.unwrap_err();
        assert!(matches!(
            https,
            StartError::AddressTaken { door: "HTTPS", .. }
        ));
        let dns = Doors::bind(any(), None, first.dns_addr).await.unwrap_err();
        assert!(matches!(dns, StartError::AddressTaken { door: "DNS", .. }));
    }

    #[tokio::test]
    async fn dns_has_one_port_for_both_protocols() {
        let doors = Doors::bind(any(), None, any()).await.unwrap();
        let tcp = doors.dns_tcp.local_addr().unwrap();
        assert_eq!(tcp, doors.dns_udp.local_addr().unwrap());
        assert_eq!(tcp, doors.dns_addr);
    }
}
