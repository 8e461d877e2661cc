//! The binary `tidings`: runs an agent, and asks one.
//!
//! | Module | Holds |
//! |---|---|
//! | `cmd` | the commands, one file each |
//! | `run` | an agent's life under signals, for `dev` and `agent` |
//! | `options` | the agent's flags, which may also stand in a file |
//! | `api`, `events` | the HTTP client of the commands that ask an agent, and whom it trusts; events that it sends |
//! | `table`, `output`, `span` | what people and programs read, and spans of time that they write |
//! | `wanted` | metadata that is asked for |
//! | `logging` | the log |
//! | `exit` | exit codes |

mod api;
mod cmd;
mod events;
mod exit;
mod logging;
mod open_files;
mod options;
mod output;
mod run;
mod span;
mod table;
mod wanted;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Every TLS configuration of the process takes its algorithms from here; there is one provider.
    // An error would only say that it was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    exit::code_of(cmd::Cli::parse().run())
}
