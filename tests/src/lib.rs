//! The ground on which the end-to-end stories in `tests/` stand: the real binary, real sockets,
//! real network namespaces.
//!
//! | Module | Holds |
//! |---|---|
//! | [`stage`] | where a story runs: namespaces of its own, a directory, and how it is skipped |
//! | [`binary`] | which `tidings` is tested |
//! | [`agent`] | one agent's process: started, killed, restarted, its log |
//! | [`cluster`] | several agents on loopback |
//! | [`lab`] | several agents in network namespaces, and the cuts between them |
//! | [`http`], [`dns`], [`status`] | how agents are asked |
//! | [`figures`] | what an agent counts, and what it costs |
//! | [`keys`] | cluster keys and their files |
//! | [`authority`] | certificates of HTTPS, and clients that trust them |
//! | [`relay`], [`hostile`] | what agents send each other, counted; packets that they must refuse |
//! | [`member`] | members that are alive and give one feed, hundreds in a process |
//! | [`rogue`], [`cost`] | a member that says what it likes, and what that costs an agent |
//! | [`answers`] | all that an agent answers, in a form that can be compared |
//! | [`image`] | a data directory's files, put back with one change |
//! | [`faults`] | a disk under one agent that fails as it is told |
//! | [`calls`], [`reads`] | registrations that may be refused, and reads that must not be |
//! | [`ledger`] | what clients were told, and what must be served because of it |
//! | [`random`] | chance that can be repeated |
//! | [`contract`] | what clients that cannot be run here ask, and read from the answers |
//! | [`programs`] | programs that are not ours |
//! | [`checked`] | a service whose health can be turned |
//! | [`drill`] | chaos by a plan, and the judgement of it |
//! | [`wait`] | states are waited for, never slept for |
//! | [`stats`] | figures and how they are printed |
//!
//! | Variable | Effect |
//! |---|---|
//! | `TIDINGS_BIN` | the binary to test, in place of the newer of those in the target directory |
//! | `TIDINGS_CLIENTS` | where clients that are not ours were fetched to, if not to `check/clients` in the target directory |
//! | `TIDINGS_LONG=1` | the numbers of repetitions that figures need: 20 heals, 20 kills, a split of 120 s |
//! | `TIDINGS_SEED` | the chance of the stories that can be repeated; else the commit tells it |
//! | `TIDINGS_STRICT=1` | a story whose slowest figure misses its target fails; for quiet machines |
//! | `TIDINGS_FAKETIME` | libfaketime, by which a drill shifts clocks, if it is not where Debian has it |
//! | `TIDINGS_DRILL_LOGS` | where a drill that fails leaves the agents' logs |
//! | `CI=true` | what is missing (namespaces, curl, clients) fails instead of being skipped |
//!
//! Each story runs in network, mount and process namespaces of its own. So stories can run side by
//! side with the same ports and addresses, and whatever becomes of a story, no process, interface
//! or mount outlives it.

pub mod agent;
pub mod answers;
pub mod authority;
pub mod binary;
pub mod calls;
pub mod checked;
pub mod cluster;
pub mod contract;
pub mod cost;
pub mod dns;
pub mod drill;
pub mod faults;
pub mod figures;
pub mod hostile;
pub mod http;
pub mod image;
pub mod keys;
pub mod lab;
pub mod ledger;
pub mod member;
pub mod programs;
pub mod random;
pub mod reads;
pub mod relay;
pub mod rogue;
pub mod stage;
pub mod stats;
pub mod status;
pub mod wait;
