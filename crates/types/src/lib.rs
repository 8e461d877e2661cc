//! Ids, names, records, versions and limits of the tidings registry.
//!
//! This crate holds the nouns of the project and nothing that acts: every type is plain data that
//! cannot hold a bad value. What they mean together is written in `crates/README.md`; the logic is
//! in `tidings-registry` (merging) and `tidings-node` (deciding).
//!
//! | Module | Holds |
//! |---|---|
//! | [`time`] | [`Timestamp`], the core's only clock reading, and [`Hlc`], the causal stamp |
//! | [`id`] | [`NodeId`], [`ClusterId`], [`Epoch`], [`Dot`] |
//! | [`cluster_key`] | [`ClusterKey`], the shared secret, and [`ClusterKeyId`], its public name |
//! | [`name`] | bounded, printable names: nodes, services, instances, checks |
//! | [`lineage`] | [`Lineage`]: how much of one feed somebody holds |
//! | [`version`] | [`Version`] and [`VectorClock`]: which of two writes wins, and whether they conflict |
//! | [`text`] | [`Text`]: what all of them are made of, short ones without memory of their own |
//! | [`key`] | [`Key`]: what a record is filed under, and who owns it |
//! | [`record`] | [`Body`]: node, instance and check records |
//! | [`content`] | [`Content`]: a body as an agent keeps it, in the bytes of its encoding |
//! | [`event`] | [`Event`] and [`EventId`]: short messages that are shown for a while |
//! | [`packed`] | [`Texts`], [`TextMap`]: a record's lists and maps, each in one piece of memory |
//! | [`feed`] | [`Slot`], [`Change`], [`Delta`], [`Snapshot`]: a feed's content on its way |
//! | [`liveness`] | [`Liveness`] and [`Roster`]: what this agent knows of its members |
//! | [`command`] | [`Command`], [`Registration`] and [`Outcome`]: what a client asks of the node |
//! | [`update`] | [`Update`]: what the node tells the read view |
//! | [`address`] | [`Address`]: what an address in a record is |
//! | [`probe`] | [`Probe`]: rare states that a simulation wants to know it has met |
//! | [`limits`] | every named limit that more than one crate needs |

pub mod address;
pub mod cluster_key;
pub mod command;
pub mod content;
pub mod event;
pub mod feed;
pub mod id;
pub mod key;
pub mod limits;
pub mod lineage;
pub mod liveness;
pub mod name;
pub mod packed;
pub mod probe;
pub mod record;
pub mod text;
pub mod time;
pub mod update;
pub mod version;

pub use address::Address;
pub use cluster_key::{ClusterKey, ClusterKeyId, ParseClusterKeyIdError};
pub use command::{Command, Outcome, Refusal, Registration};
pub use content::Content;
pub use event::{Event, EventId};
pub use feed::{Change, Delta, Entry, FeedState, Needs, Slot, Snapshot, Transfer};
pub use id::{ClusterId, Dot, Epoch, NodeId};
pub use key::Key;
pub use lineage::Lineage;
pub use liveness::{Liveness, MemberStatus, Roster, RosterEntry};
pub use name::{CheckId, NameError, NodeName, ServiceId, ServiceName};
pub use packed::{Headers, TaggedAddresses, TextMap, Texts};
pub use probe::{Probe, Probes};
pub use record::{
    AliasCheck, Body, BodyKind, Check, CheckKind, CheckStatus, Departure, DockerCheck, Endpoint,
    ExternalNode, HttpCheck, Instance, Node, TaggedAddress, Weights,
};
pub use text::Text;
pub use time::{Hlc, Timestamp};
pub use update::{Conflict, Status, Sync, Update, Written};
pub use version::{Place, SharedWrite, VectorClock, Version};
