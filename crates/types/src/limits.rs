//! Limits that more than one crate must agree on. Crate-local ones stand beside their queue.

/// Bytes of a datagram on the wire, envelope included: fits every path that carries QUIC.
pub const DATAGRAM_BYTES: usize = 1_200;
/// Bytes that the sealed envelope adds to a datagram's payload (header, counter, tag).
pub const ENVELOPE_BYTES: usize = 96;
/// Bytes of a datagram's payload, before sealing.
pub const PAYLOAD_BYTES: usize = DATAGRAM_BYTES - ENVELOPE_BYTES;
/// Bytes of one session frame.
pub const FRAME_BYTES: usize = 1 << 20;
/// Bytes of one encoded record.
pub const RECORD_BYTES: usize = 64 << 10;
/// Records in one node's feed, by default.
pub const FEED_RECORDS: usize = 10_000;
/// Bytes that one feed may be charged, so what one owner can make every agent hold. Its slots are
/// charged what they take in memory and in transfer together, which is more than their encoding.
pub const FEED_BYTES: usize = 12 << 20;
/// Bytes of one feed on its way. A feed is charged its encoding twice, so the half holds any; the rest
/// is for positions and dots, which are not charged.
pub const TRANSFER_BYTES: usize = FEED_BYTES / 2 + (1 << 20);
/// Feeds that one registry holds: one per node that was ever met and not yet retired.
pub const FEEDS: usize = 20_000;

/// Epochs in a lineage above which the owner restamps its oldest entries and raises the floor.
pub const LINEAGE_EPOCHS_WANTED: usize = 8;
/// Epochs in a lineage, at most; a longer one is malformed.
pub const LINEAGE_EPOCHS: usize = 256;
/// Entries in a shared key's vector clock; a longer one is cut and flagged.
pub const CLOCK_ENTRIES: usize = 32;
/// Conflicts shown per key, the greatest ones.
pub const CONFLICTS_SHOWN: usize = 4;

/// Bytes of a node name, service name, instance id or check id.
pub const NAME_BYTES: usize = 255;
/// Bytes of an address in a record: an IP address or a host name.
pub const ADDRESS_BYTES: usize = 255;
/// Events of one node that stand; firing one more takes the oldest away.
pub const EVENTS: usize = 256;
/// Bytes of an event's payload (Consul's limit).
pub const EVENT_PAYLOAD_BYTES: usize = 512;
/// How long an event stands, unless more than [`EVENTS`] come after it.
pub const EVENT_MS: u64 = 10 * 60 * 1_000;
/// Tags of one instance: load balancers keep a rule in each.
pub const TAGS: usize = 512;
/// Bytes of one tag; all of a record have room in [`RECORD_BYTES`].
pub const TAG_BYTES: usize = 4_096;
/// Pairs of an instance's or node's metadata (Consul's limit).
pub const META_PAIRS: usize = 64;
/// Bytes of a metadata key (Consul's limit).
pub const META_KEY_BYTES: usize = 128;
/// Bytes of a metadata value (Consul's limit).
pub const META_VALUE_BYTES: usize = 512;
/// Checks of one instance.
pub const CHECKS_PER_INSTANCE: usize = 64;
/// Bytes of a check's output (Consul's default and ceiling).
pub const CHECK_OUTPUT_BYTES: usize = 4_096;
