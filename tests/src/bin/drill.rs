//! Chaos on real processes; `scripts/drill.sh` runs it, and says how.

use std::{
    env, fs,
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use tidings_tests::{
    drill::{
        clients::Clients, clock, history::History, links::Links, oracle, plan::Plan,
        report::Report, sabotage::Sabotage, world::World,
    },
    stage::{self, Stage},
};

const USAGE: &str = "drill SECONDS SEED [SABOTAGE]";
/// Calls are numbered with four digits, and come at most so often.
const SECONDS_MAX: u64 = 600;
const UNDECIDED: u8 = 2;

/// What is asked for.
struct Options {
    chaos: Duration,
    seed: u64,
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let result = Options::parse(&words).and_then(|options| {
        // Chaos, the end, and what a busy machine adds.
        let limit = options.chaos + Duration::from_secs(180);
        stage::program(limit, |stage| decide(stage, &options))
    });
    ExitCode::from(result.unwrap_or_else(|reason| {
        say(&format!("UNDECIDED: {reason}"));
        UNDECIDED
    }))
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
        let (Some(seconds), Some(seed)) = (number(0), number(1)) else {
            return Err(USAGE.to_owned());
        };
        if !(10..=SECONDS_MAX).contains(&seconds) {
            return Err(format!("a drill lasts 10 to {SECONDS_MAX} seconds"));
        }
        let named = words.get(2).map(|word| {
            let mut all = Sabotage::ALL.into_iter();
            let found = all.find(|sabotage| sabotage.name() == word);
            found.ok_or_else(|| {
                let names = Sabotage::ALL.map(Sabotage::name);
                format!(
                    "there is no sabotage {word}; there are {}",
                    names.join(", ")
                )
            })
        });
        Ok(Self {
            chaos: Duration::from_secs(seconds),
            seed,
            sabotage: named.transpose()?,
        })
    }
}

/// What the drill cannot say because it could not be held is undecided, not broken.
fn decide(stage: &Stage, options: &Options) -> u8 {
    let held = panic::catch_unwind(AssertUnwindSafe(|| hold(stage, options)));
    let code = held.unwrap_or_else(|_| {
        say("UNDECIDED: the drill could not be held; the reason stands above");
        UNDECIDED
    });
    if code != 0 {
        keep_logs(stage.dir(), options.seed);
    }
    code
}

fn hold(stage: &Stage, options: &Options) -> u8 {
    let faketime = clock::library();
    let plan = Plan::new(options.seed, options.chaos, faketime.is_some());
    if faketime.is_none() {
        say("SKIPPED: shifted clocks need libfaketime; apt-get install faketime brings it");
    }
    say(&format!("== The plan of seed {}\n{plan}\n", plan.seed));
    let mut world = World::start(stage, faketime);
    let specs: Vec<_> = world
        .agents
        .iter()
        .map(|agent| agent.spec().clone())
        .collect();
    let mut clients = Clients::begin(&specs, plan.seed);
    world.begin(clients.shared(), options.sabotage);
    world.carry_out(&plan);
    let ending = world.quieten(&plan, &mut clients);
    let taken = Links::taken();
    let (calls, looks) = clients.end();
    let history = History::new(world.lives.clone(), calls, looks);
    let violations = oracle::judge(&history, &ending);
    let report = Report::new(&history, world.timeline.clone(), &ending, taken, violations);
    say(&report.to_string());
    let Some(sabotage) = options.sabotage else {
        say(report.verdict());
        return report.exit_code();
    };
    let (name, breaks) = (sabotage.name(), sabotage.breaks());
    let is_noticed = report.breaks(breaks);
    let noticed = if is_noticed {
        "was noticed"
    } else {
        "was NOT noticed"
    };
    say(&format!("{name} {noticed} by {breaks}"));
    u8::from(!is_noticed)
}

/// The agents' logs outlive the drill if somebody has to read them.
fn keep_logs(dir: &Path, seed: u64) {
    let Some(keep) = env::var_os("TIDINGS_DRILL_LOGS").map(PathBuf::from) else {
        return;
    };
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |now| now.as_secs());
    let place = keep.join(format!("{seed}-{now}"));
    let copied = fs::create_dir_all(&place).and_then(|()| {
        for entry in fs::read_dir(dir)?.flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "log")
            {
                fs::copy(entry.path(), place.join(entry.file_name()))?;
            }
        }
        Ok(())
    });
    say(&match copied {
        Ok(()) => format!("The agents' logs lie in {}", place.display()),
        Err(error) => format!("The agents' logs are lost: {}: {error}", place.display()),
    });
}

fn say(text: &str) {
    // A terminal that has gone is no reason to end: the namespaces do not go by themselves then.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
