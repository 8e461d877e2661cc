//! What came from files, across restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Write as _},
    fs, io,
    path::{Path, PathBuf},
};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tidings_types::Refusal;

use crate::disk::data_dir::replace_file;

/// What came from files: the hash of each definition that was acknowledged. It is empty where that was
/// not known yet when this was kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    pub(super) services: BTreeMap<String, KnownService>,
    pub(super) checks: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KnownService {
    pub(super) hash: String,
    pub(super) checks: BTreeSet<String>,
}

impl Known {
    /// The node has refused this service, so that all is as it was `before`.
    pub(super) fn take_back_service(&mut self, id: &str, before: &Self, refusal: &Refusal) {
        if !may_stand(refusal) {
            take_back(&mut self.services, id, &before.services);
        }
    }

    /// The same of a check.
    pub(super) fn take_back_check(&mut self, id: &str, before: &Self, refusal: &Refusal) {
        if !may_stand(refusal) {
            take_back(&mut self.checks, id, &before.checks);
        }
    }
}

/// Whether the disk may have taken what was refused.
const fn may_stand(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotSaved { .. })
}

fn take_back<T: Clone>(now: &mut BTreeMap<String, T>, id: &str, before: &BTreeMap<String, T>) {
    match before.get(id) {
        Some(known) => now.insert(id.to_owned(), known.clone()),
        None => now.remove(id),
    };
}

/// Where it is kept.
#[derive(Debug)]
pub(super) struct KnownFile {
    path: PathBuf,
    /// What it holds, as far as that is known: it is written only if that changes.
    holds: Option<Vec<u8>>,
}

impl KnownFile {
    /// The file at `path` with what it says, as far as it can be read.
    pub(super) fn read(path: PathBuf) -> (Self, Known) {
        let known = read(&path);
        (Self { path, holds: None }, known)
    }

    /// Writes what is known. An error is a reason for people.
    pub(super) fn save(&mut self, known: &Known) -> Result<(), String> {
        let path = &self.path;
        let told = |error: &dyn Display| format!("{}: {error}", path.display());
        // Where nothing came from files there is nothing that a disk could damage.
        if known.services.is_empty() && known.checks.is_empty() {
            self.holds = None;
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(&error)),
                _ => Ok(()),
            };
        }
        let content = serde_json::to_vec_pretty(known).map_err(|error| told(&error))?;
        if self.holds.as_ref() != Some(&content) {
            let dir = path.parent().unwrap_or(path);
            replace_file(dir, path, &content).map_err(|error| told(&error))?;
            self.holds = Some(content);
        }
        Ok(())
    }
}

fn read(path: &Path) -> Known {
    let known = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Known::default(),
        Err(error) => Err(error),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
    };
    known.unwrap_or_else(|error| {
        let file = path.display();
        tracing::warn!(%file, %error, "what came from definition files is not known: all of them are registered again, and what none of them defines any more stays until it is deregistered");
        Known::default()
    })
}

/// A hash that is equal for equal definitions, across restarts.
pub(super) fn hash_of(definition: &impl Serialize) -> String {
    let bytes = bincode::serde::encode_to_vec(definition, bincode::config::standard())
        .expect("plain data encodes");
    let mut text = String::new();
    for byte in digest(&SHA256, &bytes).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
