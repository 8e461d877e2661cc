//! Clients that are not ours, unchanged: what worked with Consul works with tidings.
//!
//! `scripts/check.sh clients` fetches them first. A client that is not here is told of, and fails with
//! `CI=true`.
//!
//! | Module | Client |
//! |---|---|
//! | `by_hand` | curl and dig |
//! | `py_consul` | py-consul's own tests, against an agent |
//! | `followers` | programs that follow a service with py-consul, npm's consul and rs-consul |
//! | `prometheus` | Prometheus, whose targets come from DNS and from the agent |
//! | `ansible` | a playbook with community.general.consul |
//! | `patroni` | Patroni, which needs what tidings refuses |

mod ansible;
mod by_hand;
mod followers;
mod patroni;
mod prometheus;
mod py_consul;
