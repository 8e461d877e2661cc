//! What a record is filed under, and who may write it.

use serde::{Deserialize, Serialize};

use crate::{CheckId, EventId, NodeId, NodeName, ServiceId};

/// The key of a record.
///
/// *Owner keys* are written by the node that they name; others may only override them. *Shared
/// keys* (the `External` ones, and `Tags`) are written by any node, each write in the writer's own feed.
/// The variants' order is part of the wire format: new ones come last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// A node's own record.
    Node(NodeId),
    /// A service instance on a node.
    Instance(NodeId, ServiceId),
    /// A check on a node.
    Check(NodeId, CheckId),
    /// A node that runs no agent, registered through the catalog.
    ExternalNode(NodeName),
    /// A service instance on such a node.
    ExternalInstance(NodeName, ServiceId),
    /// A check on such a node.
    ExternalCheck(NodeName, CheckId),
    /// An event that a node took.
    Event(NodeId, EventId),
    /// The tags of an instance with an agent whose owner lets anybody set them.
    Tags(NodeId, ServiceId),
}

impl Key {
    /// The node that alone may register under this key; `None` for a shared key.
    pub const fn owner(&self) -> Option<NodeId> {
        match self {
            Self::Node(node)
            | Self::Instance(node, _)
            | Self::Check(node, _)
            | Self::Event(node, _) => Some(*node),
            Self::ExternalNode(_)
            | Self::ExternalInstance(..)
            | Self::ExternalCheck(..)
            | Self::Tags(..) => None,
        }
    }

    /// Whether any node may write under this key.
    pub const fn is_shared(&self) -> bool {
        self.owner().is_none()
    }
}
