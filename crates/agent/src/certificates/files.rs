//! What the files of a certificate hold, checked before anything of it is used.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::looks::Mark;

/// Bytes that each of the files may have.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the certificate of the HTTPS port stands. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The agent's certificate, then those that lead to one that clients trust.
    pub cert: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
    /// The authorities of clients' certificates. With it a client that shows none is refused.
    pub ca: Option<PathBuf>,
}

/// Why files of certificates cannot be used. Nothing of them is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{}: {source}; name a file that this agent may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is larger than any of them has to be.
    #[error("{} has more than {CERTIFICATE_FILE_BYTES_MAX} bytes; name a file that holds only certificates or a key", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} that can be used: {reason}; write it as PEM", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key are not of one pair.
    #[error(
        "the key in {} is not that of the first certificate in {}; put both of one pair there, and the agent's own certificate before those of authorities",
        key.display(), cert.display()
    )]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate in {} has expired {days} days ago; renew it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Whole days since.
        days: i64,
    },
    /// The certificate's time has not begun, by this host's clock.
    #[error("the certificate in {} is valid only in {seconds} s; wait, or look at this host's clock", path.display())]
    Early {
        /// The file.
        path: PathBuf,
        /// Seconds until then.
        seconds: i64,
    },
}

/// What stands in the files.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
    pub(super) mark: Mark,
}

/// What connections can be secured with.
pub(super) struct Secured {
    pub(super) config: Arc<ServerConfig>,
    /// Unix seconds of the agent's own certificate.
    pub(super) not_after: i64,
    not_before: i64,
}

impl Contents {
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let (cert, key) = (read(&files.cert)?, read(&files.key)?);
        let ca = files.ca.as_deref().map(read).transpose()?;
        let parts = [Some(&cert), Some(&key), ca.as_ref()];
        let mark = Mark::of(parts.into_iter().flatten().map(Vec::as_slice));
        Ok(Self {
            cert,
            key,
            ca,
            mark,
        })
    }

    /// Checks all of it, but not whether its time is now.
    pub(super) fn check(&self, files: &CertificateFiles) -> Result<Secured, CertificateError> {
        let wrong = |path: &Path, what| {
            let path = path.to_owned();
            move |reason: &dyn Display| CertificateError::Wrong {
                path,
                what,
                reason: reason.to_string(),
            }
        };
        let chain = certificates(&files.cert, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| wrong(&files.key, "unencrypted private key")(&error))?;
        let own = chain.first().map_or(&[][..], |own| own);
        let (_, own) = X509Certificate::from_der(own)
            .map_err(|error| wrong(&files.cert, "certificate")(&error))?;
        let validity = own.validity();
        let (not_before, not_after) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&files.cert, "certificate")(&error))?;
        let builder = match (&files.ca, &self.ca) {
            (Some(path), Some(bytes)) => builder.with_client_cert_verifier(verifier(path, bytes)?),
            _ => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, key);
        let mut config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
                cert: files.cert.clone(),
                key: files.key.clone(),
            },
            rustls::Error::InvalidCertificate(_) => wrong(&files.cert, "certificate")(&error),
            other => wrong(&files.key, "private key")(&other),
        })?;
        config.alpn_protocols = vec![tidings_http::tls::ALPN.to_vec()];
        Ok(Secured {
            config: Arc::new(config),
            not_after,
            not_before,
        })
    }
}

impl Secured {
    /// Whether the agent's own certificate is valid at `now`, in Unix seconds.
    pub(super) fn is_current(
        &self,
        files: &CertificateFiles,
        now: i64,
    ) -> Result<(), CertificateError> {
        let path = files.cert.clone();
        if now > self.not_after {
            let days = now.saturating_sub(self.not_after) / super::DAY_SECS;
            return Err(CertificateError::Expired { path, days });
        }
        if now < self.not_before {
            let seconds = self.not_before.saturating_sub(now);
            return Err(CertificateError::Early { path, seconds });
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Looked at first: opening a pipe waits for somebody who writes to it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is no file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(CERTIFICATE_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > CERTIFICATE_FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(CertificateError::TooLarge { path });
    }
    Ok(bytes)
}

/// The certificates of a file, at least one.
fn certificates(
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let wrong = |reason: String| CertificateError::Wrong {
        path: path.to_owned(),
        what: "certificate",
        reason,
    };
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(found)
}

/// Who may connect: whoever shows a certificate that an authority in the file signed.
fn verifier(path: &Path, bytes: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let wrong = |error: &dyn Display| CertificateError::Wrong {
        path: path.to_owned(),
        what: "authority's certificate",
        reason: error.to_string(),
    };
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(path, bytes)? {
        let added = authorities.add(certificate);
        added.map_err(|error| wrong(&error))?;
    }
    let provider = Arc::new(default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .map_err(|error| wrong(&error))
}
