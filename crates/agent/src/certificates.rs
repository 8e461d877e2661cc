//! The certificate of the HTTPS port: read from files, and followed while the agent runs.
//!
//! Files are read anew on SIGHUP, and whenever they have changed (see `looks`). What
//! cannot be used is refused as a whole, and what was in force goes on. New connections get the new
//! certificate, those that there are go on.
//!
//! | Module | Holds |
//! |---|---|
//! | `files` | what the files hold, checked |

mod files;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tidings_http::Tls;
use tokio::time::{MissedTickBehavior, interval};

use self::files::Contents;
use crate::{
    clock::wall_ms,
    looks::{Found, Look, Looks, Mark},
};

pub use files::{CERTIFICATE_FILE_BYTES_MAX, CertificateError, CertificateFiles};

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate in force. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: CertificateFiles,
    tls: Tls,
    /// Unix seconds after which the certificate in force is not valid any more.
    not_after: AtomicI64,
    replaced: AtomicU64,
    refused: AtomicU64,
    /// Held for a whole look, so that there is one at a time.
    looks: Mutex<Looks>,
}

impl Certificates {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`CertificateError`] says which file cannot be used and what to do. A certificate that has
    /// expired is none: the agent is more use than without, and the log says so.
    pub(crate) fn begin(files: CertificateFiles) -> Result<Self, CertificateError> {
        let contents = Contents::read(&files)?;
        let secured = contents.check(&files)?;
        if let Err(error) = secured.is_current(&files, wall_secs()) {
            tracing::error!("HTTPS: {error}; clients refuse it until then");
        }
        let mut looks = Looks::default();
        looks.took(contents.mark);
        Ok(Self(Arc::new(Inner {
            tls: Tls::new(secured.config),
            not_after: AtomicI64::new(secured.not_after),
            replaced: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            looks: Mutex::new(looks),
            files,
        })))
    }

    /// What the HTTPS port secures its connections with.
    pub(crate) fn tls(&self) -> Tls {
        self.0.tls.clone()
    }

    /// Looks again and again whether the files have changed.
    pub(crate) async fn follow(self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.look(Look::Settled)).await;
            if let Ok(Err(error)) = looked {
                tracing::error!("the HTTPS certificate in force goes on: {error}");
            }
        }
    }

    /// Reads the files anew. An error is a reason for people, and the certificate in force goes on.
    pub(crate) async fn reload(self) -> Result<(), String> {
        let looked = tokio::task::spawn_blocking(move || self.look(Look::AtOnce)).await;
        looked
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("the HTTPS certificate in force goes on: {error}"))
    }

    /// Takes what is new. An error is for the log, to which it was not told before.
    fn look(&self, look: Look) -> Result<(), CertificateError> {
        let inner = &*self.0;
        let mut looks = inner.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let read = Contents::read(&inner.files);
        let mark = match &read {
            Ok(contents) => contents.mark,
            Err(error) => Mark::of_error(error),
        };
        match (looks.find(mark), look) {
            (Found::InForce, _) | (Found::Fresh, Look::Settled) => return Ok(()),
            (Found::Settled, _) | (Found::Fresh, Look::AtOnce) => {}
        }
        match read.and_then(|contents| self.take(&contents)) {
            Ok(()) => {
                looks.took(mark);
                Ok(())
            }
            Err(error) => {
                inner.refused.fetch_add(1, Relaxed);
                if looks.refuse(mark) || look == Look::AtOnce {
                    Err(error)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn take(&self, contents: &Contents) -> Result<(), CertificateError> {
        let inner = &*self.0;
        let secured = contents.check(&inner.files)?;
        secured.is_current(&inner.files, wall_secs())?;
        let not_after = secured.not_after;
        inner.tls.replace(secured.config);
        inner.not_after.store(not_after, Relaxed);
        inner.replaced.fetch_add(1, Relaxed);
        tracing::info!(
            file = %inner.files.cert.display(),
            days = not_after.saturating_sub(wall_secs()) / DAY_SECS,
            "new HTTPS connections get the new certificate, which is valid for so many days"
        );
        Ok(())
    }

    /// How long the certificate in force is valid yet; nothing once it has expired.
    pub(crate) fn expires_in(&self) -> Duration {
        let left = self.0.not_after.load(Relaxed).saturating_sub(wall_secs());
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
    }

    /// Times that a new certificate was taken.
    pub(crate) fn replaced(&self) -> u64 {
        self.0.replaced.load(Relaxed)
    }

    /// Looks at which the files could not be used.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }
}

fn wall_secs() -> i64 {
    i64::try_from(wall_ms() / 1_000).unwrap_or(i64::MAX)
}

const DAY_SECS: i64 = 86_400;
