//! A checksum behind every value: redb does not notice a flipped byte on a read.

use super::rows::RowError;

/// The value followed by its checksum, which covers the row's key too: a value that turns up under
/// another key does not check out.
pub(super) fn seal(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &value);
    value.extend_from_slice(&checksum.to_le_bytes());
    value
}

/// The value without its checksum, if it is the one that was sealed under this key.
pub(super) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], RowError> {
    let (value, stored) = sealed.split_last_chunk().ok_or(RowError::Short)?;
    if checksum(key, value) == u32::from_le_bytes(*stored) {
        Ok(value)
    } else {
        Err(RowError::Checksum)
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_under_its_own_key_and_unaltered_only() {
        let sealed = seal(b"key", b"value".to_vec());
        assert_eq!(open(b"key", &sealed), Ok(&b"value"[..]));
        assert_eq!(open(b"kex", &sealed), Err(RowError::Checksum));
        assert_eq!(open(b"key", b"abc"), Err(RowError::Short));
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 0x10;
            assert_eq!(open(b"key", &flipped), Err(RowError::Checksum));
        }
    }
}
