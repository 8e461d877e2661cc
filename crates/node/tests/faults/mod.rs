//! What must hold while a disk, a session or a peer misbehaves, one story per test.

mod calls;
mod checks;
mod clone;
mod full_feed;
mod own_feed;
mod peers;
