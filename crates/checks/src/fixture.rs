//! Servers for checks to look at.

use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tidings_types::Endpoint;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::tls::Dial;

/// A server with a certificate that nobody signed.
pub(crate) struct TlsServer {
    pub(crate) address: String,
    asked_for: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl TlsServer {
    /// Hands each connection to `serve`.
    pub(crate) async fn start<F>(
        alpn: &[u8],
        serve: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = acceptor(alpn);
        let asked_for = Arc::new(Mutex::new(String::new()));
        let asked = Arc::clone(&asked_for);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust the certificate hangs up.
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let name = stream.get_ref().1.server_name().unwrap_or_default();
                name.clone_into(&mut asked.lock().unwrap());
                tokio::spawn(serve(stream));
            }
        });
        Self {
            address,
            asked_for,
            task,
        }
    }

    pub(crate) fn endpoint(&self, tls_skip_verify: bool) -> Endpoint {
        Endpoint {
            address: self.address.clone().into(),
            use_tls: true,
            tls_skip_verify,
            tls_server_name: "service.test".into(),
        }
    }

    pub(crate) fn dial(&self, tls_skip_verify: bool) -> Dial {
        Dial::new(&self.endpoint(tls_skip_verify), &self.address, &[b"h2"]).unwrap()
    }

    /// The name that the last client asked for.
    pub(crate) fn asked_for(&self) -> String {
        self.asked_for.lock().unwrap().clone()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(alpn: &[u8]) -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["service.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
