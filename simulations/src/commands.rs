//! The verbs of the command line, each in a file of its own.

pub(crate) mod explore;
pub(crate) mod shrink;
