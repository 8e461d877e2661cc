//! The concurrent read view and the command handle to the node
