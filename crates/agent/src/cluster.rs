//! What a cluster's name decides: who belongs together.

use ring::digest::{SHA256, digest};
use tidings_types::ClusterId;

/// Bytes of a cluster's name.
const NAME_BYTES: usize = 255;

/// The text cannot be a cluster's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster's name has 1 to {NAME_BYTES} bytes without control characters")]
pub struct ClusterNameError;

/// The id of the cluster `name`: packets of another id are refused.
///
/// # Errors
/// [`ClusterNameError`] if it cannot be a name.
pub fn id_of(name: &str) -> Result<ClusterId, ClusterNameError> {
    let sound = (1..=NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if !sound {
        return Err(ClusterNameError);
    }
    let hash = hash("tidings cluster id", name);
    let (id, _) = hash.split_first_chunk().expect("32 bytes have a first 16");
    Ok(ClusterId::from_bytes(*id))
}

/// The key of a cluster that was given none. Whoever knows the name has it: it keeps clusters on
/// one machine apart and nobody out.
pub(crate) fn key_of(name: &str) -> [u8; 32] {
    hash("tidings cluster key of a name", name)
}

/// A hash of `name` that no other `purpose` shares.
fn hash(purpose: &str, name: &str) -> [u8; 32] {
    let text = format!("{purpose}\0{name}");
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_different_ids_and_keys() {
        assert_ne!(id_of("a"), id_of("b"));
        assert_eq!(id_of("a"), id_of("a"));
        assert_ne!(key_of("a"), key_of("b"));
        assert_ne!(&key_of("a")[..16], id_of("a").unwrap().as_bytes());
        assert_eq!(id_of(""), Err(ClusterNameError));
        assert_eq!(id_of("a\n"), Err(ClusterNameError));
    }
}
