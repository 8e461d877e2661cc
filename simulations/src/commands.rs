//! The verbs of the command line, each in a file of its own.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod explore;
#[cfg(feature = "mutants")]
pub(crate) mod mutants;
pub(crate) mod new;
pub(crate) mod replay;
pub(crate) mod shrink;
pub(crate) mod trace;
