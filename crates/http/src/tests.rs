//! The API as a client meets it: requests in, bytes out, with a small stand-in for the node.

mod ack;
mod agent;
mod bad_definitions;
mod blocking;
mod catalog;
mod conflicts;
mod consul;
mod coverage;
mod event;
mod explain;
mod fake_node;
mod filtering;
mod front;
mod ground;
mod health;
mod http_sd;
mod keyring;
mod metrics;
mod monitor;
mod rules;
mod server;
mod split;
mod stream;
mod tls;
mod watch;
mod whole;
