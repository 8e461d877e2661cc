//! What came from files, across restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Write as _},
    fs, io,
    path::Path,
};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::disk::data_dir::replace_file;

/// What came from files: the hash of each definition that was acknowledged, or an empty one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    pub(super) services: BTreeMap<String, KnownService>,
    pub(super) checks: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KnownService {
    pub(super) hash: String,
    pub(super) checks: BTreeSet<String>,
}

impl Known {
    /// What came from files before, as far as it can be read.
    pub(super) fn read(file: &Path) -> Self {
        let known = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => Err(error),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        };
        known.unwrap_or_else(|error| {
            let file = file.display();
            tracing::warn!(%file, %error, "what came from definition files is not known: all of them are registered again, and what none of them defines any more stays until it is deregistered");
            Self::default()
        })
    }

    /// Keeps it in `file`. An error is a reason for people.
    pub(super) fn save(&self, file: &Path) -> Result<(), String> {
        let told = |error: &dyn Display| format!("{}: {error}", file.display());
        // Where nothing came from files there is nothing that a disk could damage.
        if self.services.is_empty() && self.checks.is_empty() {
            return match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(&error)),
                _ => Ok(()),
            };
        }
        let content = serde_json::to_vec_pretty(self).map_err(|error| told(&error))?;
        let dir = file.parent().unwrap_or(file);
        replace_file(dir, file, &content).map_err(|error| told(&error))
    }
}

/// A hash that is equal for equal definitions, across restarts.
pub(super) fn hash_of(definition: &impl Serialize) -> Result<String, String> {
    let bytes = bincode::serde::encode_to_vec(definition, bincode::config::standard())
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    for byte in digest(&SHA256, &bytes).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
