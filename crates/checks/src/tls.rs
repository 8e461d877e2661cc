//! TLS of the checks that are not HTTP.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tidings_types::Endpoint;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A connection with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where to connect, and how to trust what answers.
#[derive(Clone)]
pub(crate) struct Dial {
    /// `host:port`, an IPv6 address in brackets.
    pub(crate) address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dial {
    /// Checks the definition; reads the system's certificates if it has to. An error is a reason
    /// for people.
    pub(crate) fn new(endpoint: &Endpoint, address: &str, alpn: &[&[u8]]) -> Result<Self, String> {
        let tls = if endpoint.use_tls {
            let mut config = config(endpoint.tls_skip_verify)?;
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            let name = match &*endpoint.tls_server_name {
                "" => host_of(address),
                name => name,
            };
            let name = ServerName::try_from(name.to_owned())
                .map_err(|_| format!("bad TLS server name {name:?}: it must be a host name"))?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self {
            address: address.to_owned(),
            tls,
        })
    }

    /// `http` or `https`.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Connects; each address that a host name has is tried.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let address = &self.address;
        let stream = TcpStream::connect(address.as_str())
            .await
            .map_err(|error| format!("dial tcp {address}: {error}"))?;
        let Some((connector, name)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let stream = connector.connect(name.clone(), stream).await;
        let stream = stream.map_err(|error| format!("TLS with {address}: {error}"))?;
        Ok(Box::new(stream))
    }
}

/// Chooses the provider of the TLS that HTTP clients speak, for the whole process.
pub(crate) fn choose_provider() {
    // Fails if one has been chosen already, which is as good.
    let _ = ring::default_provider().install_default();
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

fn config(skip_verify: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?;
    if skip_verify {
        let any = Arc::new(Anyone(provider));
        let builder = builder.dangerous().with_custom_certificate_verifier(any);
        return Ok(builder.with_no_client_auth());
    }
    let builder = builder.with_platform_verifier().map_err(|error| {
        format!("no certificates of authorities to verify with ({error}); install ca-certificates")
    })?;
    Ok(builder.with_no_client_auth())
}

/// Takes any certificate, as `TLSSkipVerify` asks for. Signatures are verified all the same: a
/// server has to hold the key of what it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
