//! An authority, certificates that it signs, and clients that trust it.

use std::{
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};

/// How long one side of a handshake waits for the other.
const SILENCE: Duration = Duration::from_secs(10);

/// Signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: String,
    /// The certificate's bytes.
    pub der: Vec<u8>,
}

impl Authority {
    /// A new one, unlike all others.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let own = params.self_signed(&key).expect("it signs itself");
        Self {
            der: own.der().clone(),
            pem: own.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A new certificate for 127.0.0.1 and localhost, or for a client.
    pub fn pair(&self) -> Pair {
        self.signed(|_| {})
    }

    /// One whose time was over long ago.
    pub fn expired(&self) -> Pair {
        self.signed(|params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    fn signed(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("they are names");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().expect("a key can be made");
        let cert = params.signed_by(&key, &self.issuer).expect("it is signed");
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
            der: cert.der().to_vec(),
        }
    }

    /// The certificate that is shown at `addr` now, if this authority signed it.
    ///
    /// # Errors
    /// Why the handshake failed, in words.
    pub fn certificate_at(&self, addr: SocketAddr) -> Result<Vec<u8>, String> {
        self.shake_hands(addr).map_err(|error| error.to_string())
    }

    fn shake_hands(&self, addr: SocketAddr) -> io::Result<Vec<u8>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::from(addr.ip());
        let mut client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(SILENCE))?;
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        stream.flush()?;
        let shown = client.peer_certificates().and_then(<[_]>::first);
        Ok(shown.expect("a server shows a certificate").to_vec())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Writes both to `agent.pem` and `agent.key` in `dir`, each at once.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn write(&self, dir: &Path) {
        write(&cert_file(dir), &self.cert);
        write(&key_file(dir), &self.key);
    }

    /// Both in one text.
    pub fn both(&self) -> String {
        format!("{}{}", self.cert, self.key)
    }
}

/// Where [`Pair::write`] puts a certificate.
pub fn cert_file(dir: &Path) -> PathBuf {
    dir.join("agent.pem")
}

/// Where [`Pair::write`] puts a key.
pub fn key_file(dir: &Path) -> PathBuf {
    dir.join("agent.key")
}

/// The flags of an agent that answers HTTPS at `addr` with the pair in `dir`.
pub fn flags(addr: SocketAddr, dir: &Path) -> Vec<String> {
    let words = [
        ("--https-address", addr.ip().to_string()),
        ("--https-port", addr.port().to_string()),
        ("--https-cert-file", cert_file(dir).display().to_string()),
        ("--https-key-file", key_file(dir).display().to_string()),
    ];
    let words = words
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value]);
    words.collect()
}

/// Replaces a file at once.
///
/// # Panics
/// If it cannot be written.
pub fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("the story's directory takes a file");
    fs::rename(&new, path).expect("it takes its place");
}
