//! Behaviour of whole clusters, and of one node against crafted peers.

mod detection;
mod guards;
mod healing;
mod local_health;
mod packets;
mod world;
