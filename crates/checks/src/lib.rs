//! Runs the health checks that this node owns and reports what they find.
//!
//! [`Checks`] is told which checks are in force and keeps one supervised task per check (two if the
//! check may deregister its instance). What a task finds goes to a [`Sink`], which turns it into
//! commands to the node. Nothing here decides what is registered, and nothing here replicates: a
//! result that changes neither status nor output is not even passed on.
//!
//! All waiting is done on a clock of its own (`RunClock`), which stands still while the process
//! itself was stopped, so that a paused agent neither expires TTL checks nor deregisters services
//! whose clients had no chance to report.
//!
//! | Module | Holds |
//! |---|---|
//! | `checks` | [`Checks`]: the set of running checks |
//! | `sink` | [`Sink`]: where results go |
//! | `interval` | the loop of a check that is run every so often |
//! | `ttl` | the loop of a check that its client keeps alive |
//! | `reaper` | deregistration of an instance whose check stays critical |
//! | `places` | how many runs may be under way |
//! | `thresholds` | how many results in a row make a status |
//! | `observation` | how long a check that was critical has to succeed |
//! | `alias` | the loop of a check that repeats what is known of another service or node |
//! | `probe`, `http`, `tcp`, `udp`, `grpc`, `http2`, `program`, `docker` | one run of a check |
//! | `tls` | TLS of the checks that are not HTTP |
//! | `clock` | time without the stalls of this process |
//! | `supervisor` | restart of a task that panicked |
//! | `output` | output texts of bounded length |

mod alias;
mod checks;
mod clock;
mod docker;
#[cfg(test)]
mod fixture;
mod grpc;
mod http;
mod http2;
mod interval;
mod observation;
mod output;
mod places;
mod probe;
mod program;
mod reaper;
mod sink;
mod supervisor;
mod tcp;
mod thresholds;
mod tls;
mod ttl;
mod udp;

pub use checks::{Checks, Figures, PROGRAMS_MAX, Setup};
pub use places::{RUNS_AT_ONCE, SLOW_RUNS_AT_ONCE};
pub use sink::Sink;

#[cfg(test)]
mod tests;
