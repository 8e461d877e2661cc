//! Cluster keys: what proves that a packet comes from a member.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use tidings_types::ClusterKey;

use crate::cluster;

mod change;

pub(crate) use change::KeyChangeError;

/// Keys in one file: the one in use, its successor, and some to spare.
pub const KEYS_MAX: usize = 4;
/// Bytes of a key file that are read.
const FILE_BYTES: u64 = 64 << 10;
const KEY_BYTES: usize = ClusterKey::BYTES;

/// The keys that an agent accepts; it sends under the first. Not printed by `Debug`.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<[u8; KEY_BYTES]>,
    origin: Origin,
    warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    File(PathBuf),
    ClusterName,
}

/// The key file cannot be used; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("the key file {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no key. The line itself is not shown: it may be a key with a slip in it.
    #[error(
        "line {line} of the key file {path} is no key: 32 bytes as 64 hexadecimal digits or as \
         base64, as `tidings keygen` prints them"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
    /// The file has no key.
    #[error("the key file {path} holds no key; `tidings keygen` prints one")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file has too many keys.
    #[error("the key file {path} holds more than {KEYS_MAX} keys; drop those no longer in use")]
    TooMany {
        /// The file.
        path: PathBuf,
    },
}

impl Keys {
    /// Reads a file of keys: one per line, 64 hexadecimal digits or base64; empty lines and those
    /// that begin with `#` are skipped. The first is sent under, all are accepted, so that a key
    /// is replaced by adding the new one everywhere, then putting it first, then dropping the old.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read or a line is no key.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let unreadable = |source| KeyFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut warnings = Vec::new();
        if open_to_others(&file) {
            warnings.push(format!(
                "the key file {} can be read by other users; run `chmod 600` on it",
                path.display()
            ));
        }
        let mut text = String::new();
        file.take(FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Ok(Self {
            keys: parse(&text, path)?,
            origin: Origin::File(path.to_owned()),
            warnings,
        })
    }

    pub(crate) fn of_cluster_name(name: &str) -> Self {
        Self {
            keys: vec![cluster::key_of(name)],
            origin: Origin::ClusterName,
            warnings: Vec::new(),
        }
    }

    /// The content of a key file with one new random key.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn generate() -> io::Result<String> {
        let mut key = [0; KEY_BYTES];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| io::Error::other("the system gave no randomness"))?;
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!(
            "# A tidings cluster key. Keep it secret; give the same file to each agent with --key-file.\n\
             {digits}\n"
        ))
    }

    /// The one key in a text that is written as a key file is. `None` if there is none, several, or
    /// a line that is no key.
    pub(crate) fn only(text: &str) -> Option<ClusterKey> {
        match parse(text, Path::new("")).ok()?.as_slice() {
            [key] => Some(ClusterKey::from_bytes(*key)),
            _ => None,
        }
    }

    /// The keys, the one to send under first.
    pub(crate) fn as_slice(&self) -> &[[u8; KEY_BYTES]] {
        &self.keys
    }

    /// Whether anybody who knows the cluster's name has the key.
    pub(crate) fn are_public(&self) -> bool {
        self.origin == Origin::ClusterName
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("origin", &self.origin)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

fn parse(text: &str, path: &Path) -> Result<Vec<[u8; KEY_BYTES]>, KeyFileError> {
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = key_of(line).ok_or_else(|| KeyFileError::Malformed {
            path: path.to_owned(),
            line: at + 1,
        })?;
        keys.push(key);
    }
    match keys.len() {
        0 => Err(KeyFileError::Empty {
            path: path.to_owned(),
        }),
        1..=KEYS_MAX => Ok(keys),
        _ => Err(KeyFileError::TooMany {
            path: path.to_owned(),
        }),
    }
}

/// The key in a line, if it is one.
fn key_of(line: &str) -> Option<[u8; KEY_BYTES]> {
    from_hex(line).or_else(|| from_base64(line))
}

fn from_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    (digits.len() == 2 * KEY_BYTES)
        .then_some(bytes)?
        .try_into()
        .ok()
}

/// Standard base64, with or without padding. 32 bytes are 43 digits, of which the last one's two
/// lowest bits are unused and must be zero.
fn from_base64(text: &str) -> Option<[u8; KEY_BYTES]> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = text.strip_suffix('=').unwrap_or(text);
    if text.len() != 43 {
        return None;
    }
    let mut bytes = Vec::with_capacity(KEY_BYTES);
    let (mut bits, mut held) = (0u32, 0);
    for digit in text.bytes() {
        let value = DIGITS.iter().position(|&d| d == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    if bits == 0 {
        bytes.try_into().ok()
    } else {
        None
    }
}

#[cfg(unix)]
fn open_to_others(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<[u8; KEY_BYTES]>, KeyFileError> {
        parse(text, Path::new("test.key"))
    }

    #[test]
    fn a_generated_key_is_read_back() {
        let first = read(&Keys::generate().unwrap()).unwrap();
        let second = read(&Keys::generate().unwrap()).unwrap();
        assert_eq!(first.len(), 1);
        assert_ne!(first, second);
    }

    #[test]
    fn hexadecimal_and_base64_name_the_same_key() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let text = format!("# two spellings\n\n{hex}\n {base64} \n");
        let keys = read(&text).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0], keys[1]);
        assert_eq!(keys[0][31], 31);
        assert_eq!(read(base64.trim_end_matches('=')).unwrap()[0], keys[0]);
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let cut = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e";
        let error = read(&format!("# key\n{cut}\n")).unwrap_err();
        assert!(matches!(error, KeyFileError::Malformed { line: 2, .. }));
        assert!(!error.to_string().contains(cut));
        let dirty = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=";
        assert!(read(dirty).is_err(), "unused bits must be zero");
        assert!(read("é").is_err());
    }

    #[test]
    fn none_and_too_many_keys_are_refused() {
        let line = format!("{}\n", "ab".repeat(KEY_BYTES));
        assert!(matches!(read("# none\n"), Err(KeyFileError::Empty { .. })));
        assert!(read(&line.repeat(KEYS_MAX)).is_ok());
        assert!(matches!(
            read(&line.repeat(KEYS_MAX + 1)),
            Err(KeyFileError::TooMany { .. })
        ));
    }
}
