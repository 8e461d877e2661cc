//! Whom the command line trusts over HTTPS, and as whom it comes.

use std::{error::Error, fs, io, path::Path};

use anyhow::Context;
use reqwest::{Certificate, Client, Identity};
use rustls::{AlertDescription, CertificateError};

use crate::options::usage;

/// What an agent over HTTPS is known by, and what it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trust<'a> {
    /// The authorities that are believed, in place of the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// The certificate to show, and its key.
    pub(crate) client: Option<(&'a Path, &'a Path)>,
}

impl Trust<'_> {
    /// A client that trusts so.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let mut builder = Client::builder().no_proxy();
        if let Some(path) = self.ca_file {
            let authorities = Certificate::from_pem_bundle(&read(path)?);
            let authorities = authorities
                .with_context(|| format!("{} holds no certificates in PEM", path.display()))
                .map_err(usage)?;
            builder = builder.tls_certs_only(authorities);
        }
        if let Some((cert, key)) = self.client {
            let mut both = read(cert)?;
            both.push(b'\n');
            both.extend(read(key)?);
            let identity = Identity::from_pem(&both)
                .with_context(|| {
                    let (cert, key) = (cert.display(), key.display());
                    format!("{cert} and {key} are no certificate and unencrypted key in PEM")
                })
                .map_err(usage)?;
            builder = builder.identity(identity);
        }
        let built = builder.build();
        built
            .context(
                "the HTTP client cannot be made; look at --ca-file, --client-cert and --client-key",
            )
            .map_err(usage)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path)
        .with_context(|| format!("{} cannot be read", path.display()))
        .map_err(usage)
}

/// Why one side did not take the other over TLS, if that was the reason.
pub(super) fn refusal(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(now) = cause {
        if let Some(tls) = now.downcast_ref() {
            return Some(format!("{tls}; {}", remedy(tls)));
        }
        // What an IO error wraps is no source of it, but the error itself.
        let wrapped = now.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => now.source(),
        };
    }
    None
}

const fn remedy(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "name the authority that signed its certificate with --ca-file"
        }
        rustls::Error::InvalidCertificate(_) => {
            "call it by a name that its certificate bears, or renew the certificate"
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate: give --client-cert and --client-key"
        }
        rustls::Error::AlertReceived(_) => {
            "it refused this client: look at --client-cert and at the agent's --https-ca-file"
        }
        _ => "look whether HTTPS is spoken at this port",
    }
}
