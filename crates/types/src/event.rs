//! Events: short messages that a client fires and that every agent shows for a while.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Text;

/// Which event. Ids sort by when their events were fired, as far as clocks agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id of an event that is fired at `unix_ms`, told from others by `random`: a UUID of
    /// version 7.
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// When its event was fired, by the clock of the agent that took it.
    pub fn unix_ms(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0[..6]);
        u64::from_be_bytes(bytes)
    }
}

/// As a UUID.
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An event. It belongs to the node that took it, and says whom it concerns: an agent shows it if its
/// node and one of its services fit, each by a regular expression that may match anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// What kind of event it is, to its clients.
    pub name: Text,
    /// What it says, to its clients.
    pub payload: Box<[u8]>,
    /// Nodes by name; empty means all.
    pub node_filter: Text,
    /// Services of the node by name; empty means that none is needed.
    pub service_filter: Text,
    /// Tags of such a service; empty means that none is needed.
    pub tag_filter: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_that_sort_by_time() {
        let id = EventId::new(1_763_669_045_007, [0xff; 10]);
        assert_eq!(id.to_string(), "019aa2dd-ef0f-7fff-bfff-ffffffffffff");
        assert_eq!(id.unix_ms(), 1_763_669_045_007);
        assert!(id < EventId::new(1_763_669_045_008, [0; 10]));
    }
}
