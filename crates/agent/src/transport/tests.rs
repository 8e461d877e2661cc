//! The transport over loopback.
