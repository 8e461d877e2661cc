//! How fast an agent's HTTP door is, beside what the machine or a plain server does in the same run.
//!
//! `cargo bench -p tidings --bench front_door [-- --rounds 5 NAME...]` runs whole agents as they are
//! shipped, over loopback, and prints for each figure the number of rounds, the median and the slowest
//! next to what is asked for. Cost is the server's time on a core, which other programs disturb little;
//! rates and times want a quiet machine, so the load is printed too.
//!
//! | Module | Measures |
//! |---|---|
//! | [`reading`] | what an answer of `health/service` costs, beside the same bytes as a constant |
//! | [`writing`] | registrations that are on disk when they are acknowledged |
//! | [`waiting`] | ten thousand blocking queries, and one change |
//! | [`many`] | ten thousand services of one agent: its start, lists, answers |
//! | [`checking`] | thousands of health checks: cost, evenness, lateness |
//! | `agent`, `constant` | the two servers |
//! | `target` | what the health checks ask |
//! | `client`, `cost`, `table` | who asks them, what they cost, and what comes of it |

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark speaks to whoever runs it"
)]

mod agent;
mod checking;
mod client;
mod constant;
mod cost;
mod many;
mod reading;
mod table;
mod target;
mod waiting;
mod writing;

use table::Table;

/// What is measured, by the name under which it can be asked for.
type Measured = (&'static str, fn(rounds: usize, table: &mut Table));

const MEASURED: [Measured; 5] = [
    ("reading", reading::measure),
    ("writing", writing::measure),
    ("waiting", waiting::measure),
    ("many", many::measure),
    ("checking", checking::measure),
];

/// Rounds of each figure.
const ROUNDS: usize = 5;

fn main() {
    if constant::is_wanted() {
        return constant::serve();
    }
    let mut rounds = ROUNDS;
    let mut names = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => {
                let number = words.next().and_then(|number| number.parse().ok());
                rounds = number.filter(|&number| number > 0).expect("--rounds N");
            }
            // Cargo says so to every benchmark.
            "--bench" => {}
            _ => names.push(word),
        }
    }
    for name in &names {
        let is_known = MEASURED.iter().any(|(known, _)| known == name);
        assert!(
            is_known,
            "{name} is not measured here; reading, writing, waiting, many and checking are"
        );
    }
    let mut table = Table::default();
    for (name, measure) in MEASURED {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            measure(rounds, &mut table);
        }
    }
    table.print();
}
