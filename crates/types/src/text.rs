//! Text that records are made of.

/// Text that is not changed any more. Up to 15 bytes stand in the value itself; what is longer is shared
/// by its clones. Most ids, names and addresses are so short, and an agent holds those of everybody: each
/// in a piece of memory of its own would take twice what it says.
pub type Text = ecow::EcoString;
