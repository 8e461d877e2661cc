//! A disk that alters what it was given: one bit, or a file's end.
//!
//! The agent starts all the same, says what it dropped, is the node that it was, and gets back from
//! its peers what it lacks. What its disk holds is also old each time: it has forgotten every run
//! since the image was taken.

use std::{collections::BTreeMap, time::Instant};

use tidings_tests::{
    agent::{Agent, STARTED_WITHIN},
    cluster,
    image::{Change, Damage, Image},
    ledger::{Ledger, WHOLE_WITHIN},
    random::Random,
    stage::{Needs, story},
    stats::{Spans, is_long, measured, times},
    wait::{self, ensure},
};

/// The agent whose disk it is.
const HURT: usize = 0;

#[test]
fn a_damaged_disk_costs_nothing_that_peers_hold() {
    let name = "a_damaged_disk_costs_nothing_that_peers_hold";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 3));
        let mut ledger = Ledger::fill(&agents);
        let images = images(&mut agents, &mut ledger);
        let mut random = Random::of_the_commit();
        let (flips, cuts) = (times(500, 10), times(100, 3));
        let mut changes = images[0].image.flips(flips, &mut random);
        changes.extend(images[0].image.cuts(cuts, &mut random));
        let mut tally = Tally::default();
        for (number, change) in changes.iter().enumerate() {
            // The files of the second image are as long as those of the first, or nearly.
            let from = &images[number % images.len()];
            let change = from.image.fitted(change);
            survive(&mut agents, from, &change, &mut ledger, &mut tally);
        }
        tally.report(flips, cuts, random.seed());
    });
}

#[test]
fn without_either_copy_of_its_identity_an_agent_does_not_start() {
    let name = "without_either_copy_of_its_identity_an_agent_does_not_start";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 1));
        let node = agents[0].status().unwrap().node_id;
        stop(&mut agents[0], true);
        let dir = agents[0].spec().data_dir();
        let image = Image::of(&dir);
        let both = ["identity", "identity.bak"].map(|file| Change {
            file: file.to_owned(),
            damage: Damage::Flip { at: 60, bit: 1 },
        });
        image.put_back(&dir, &both);
        agents[0].spawn_again();
        let (status, _) = agents[0].wait_until_it_ends();
        assert!(!status.success(), "{status}");
        let log = agents[0].log();
        let told = "both copies of this node's identity are damaged";
        assert!(log.contains(told) && log.contains("backup"), "{log}");
        let found = Image::of(&dir);
        assert!(
            image.names().eq(found.names()),
            "nothing was made in their place"
        );

        image.put_back(&dir, &both[..1]);
        agents[0].restart();
        assert_eq!(agents[0].status().unwrap().node_id, node);
    });
}

/// A data directory as its agent left it, and what a start makes of it if nothing is changed.
struct Left {
    image: Image,
    found: Found,
}

/// How many records a start found on its disk, as its log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    own: usize,
    others: usize,
}

/// One image after a kill and one after a clean stop. Both are started once as they are: that
/// drops nothing.
fn images(agents: &mut [Agent], ledger: &mut Ledger) -> Vec<Left> {
    let dir = agents[HURT].spec().data_dir();
    [false, true]
        .into_iter()
        .map(|kindly| {
            stop(&mut agents[HURT], kindly);
            let image = Image::of(&dir);
            agents[HURT].restart();
            let found = found(&agents[HURT]);
            let warned = warnings(&agents[HURT].log());
            assert!(warned.is_empty(), "nothing was changed: {warned:?}");
            ledger.wait_until_whole(agents, Instant::now());
            ledger.go_on(agents);
            Left { image, found }
        })
        .collect()
}

fn stop(agent: &mut Agent, kindly: bool) {
    if kindly {
        agent.terminate();
        let (status, _) = agent.wait_until_it_ends();
        assert!(status.success(), "{status}");
    } else {
        agent.kill();
    }
}

/// Stops the agent, puts the image back with one change, and starts it again.
fn survive(
    agents: &mut [Agent],
    from: &Left,
    change: &Change,
    ledger: &mut Ledger,
    tally: &mut Tally,
) {
    let before = agents[HURT].status().expect("it answers");
    stop(&mut agents[HURT], tally.cases().is_multiple_of(2));
    from.image.put_back(
        &agents[HURT].spec().data_dir(),
        std::slice::from_ref(change),
    );
    let begin = Instant::now();
    agents[HURT].spawn_again();
    wait::since(
        begin,
        &format!("it answers after {change}"),
        STARTED_WITHIN,
        || {
            agents[HURT].ensure_running()?;
            agents[HURT].status()
        },
    );
    let span = ledger.wait_until_whole(agents, begin);
    let after = agents[HURT].status().expect("it answers");
    assert_eq!(after.node_id, before.node_id, "{change}");
    assert!(after.epoch > before.epoch, "{change}");
    let log = agents[HURT].log();
    if let Err(wrong) = tally.judge(change, &log, from.found, found(&agents[HURT])) {
        panic!("{change}: {wrong}\n{log}");
    }
    tally.whole.push(span);
    // A record of this run, so that every run leaves an epoch behind.
    ledger.go_on(agents);
}

fn found(agent: &Agent) -> Found {
    let log = agent.log();
    let number = |name: &str| {
        let line = log
            .lines()
            .find(|line| line.contains("registrations are kept on disk"));
        let mut words = line.into_iter().flat_map(str::split_whitespace);
        let word = words.find_map(|word| word.strip_prefix(name));
        word.and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("it does not say what it found: {log}"))
    };
    Found {
        own: number("own="),
        others: number("others="),
    }
}

/// The texts of all warnings but those that say that peers gave something back.
fn warnings(log: &str) -> Vec<String> {
    let warned = log.lines().filter_map(|line| line.split_once(" WARN "));
    let texts = warned.map(|(_, text)| text.trim().to_owned());
    let is_known = |text: &String| EXPECTED.iter().any(|known| text.starts_with(known));
    texts.filter(|text| !is_known(text)).collect()
}

/// What says nothing about the disk: what peers hold comes back, and the system's limit may be low.
const EXPECTED: [&str; 2] = [
    "a peer gave back what this node had once written",
    "few files may be open",
];

/// What became of all cases.
#[derive(Debug, Default)]
struct Tally {
    whole: Spans,
    /// By file: how many changes were noticed, and how many made no difference.
    noticed: BTreeMap<String, (usize, usize)>,
}

impl Tally {
    fn cases(&self) -> usize {
        self.noticed.values().map(|(some, none)| some + none).sum()
    }

    /// Compares what the agent says that it dropped with what was changed, and with what it found.
    fn judge(
        &mut self,
        change: &Change,
        log: &str,
        sound: Found,
        found: Found,
    ) -> Result<(), String> {
        let warned = warnings(log);
        let of_file = self.noticed.entry(change.file.clone()).or_default();
        if warned.is_empty() {
            of_file.1 += 1;
        } else {
            of_file.0 += 1;
        }
        let dir_and_file = format!("/{}", change.file);
        let strange = warned.iter().find(|text| {
            let subject = text.split_whitespace().next().unwrap_or_default();
            !subject.trim_end_matches(':').ends_with(&dir_and_file)
        });
        if let Some(text) = strange {
            return Err(format!("that was not changed: {text}"));
        }
        let is_copy = change.file.starts_with("identity");
        ensure(!is_copy || warned.len() == 1, || {
            format!("a damaged copy of the identity is named once: {warned:?}")
        })?;
        let (own, others) = match change.file.as_str() {
            "feed.redb" => (!warned.is_empty(), false),
            "registry.redb" => (false, !warned.is_empty()),
            _ => (false, false),
        };
        ensure(own || found.own == sound.own, || {
            format!("{} of {} own records, unexplained", found.own, sound.own)
        })?;
        ensure(others || found.others == sound.others, || {
            format!(
                "{} of {} others' records, unexplained",
                found.others, sound.others
            )
        })
    }

    fn report(&self, flips: usize, cuts: usize, seed: u64) {
        self.whole.report(
            &format!("whole again after one of {flips} flips or {cuts} truncations"),
            WHOLE_WITHIN,
        );
        for (file, (noticed, unnoticed)) in &self.noticed {
            measured(&format!(
                "damage to {file}: noticed={noticed} without effect={unnoticed}"
            ));
        }
        measured(&format!("damage seed={seed}"));
        // Most of a database is unused, so that a few changes of it may all be without effect.
        let databases: &[_] = if is_long() {
            &["feed.redb", "registry.redb"]
        } else {
            &[]
        };
        for file in ["identity", "identity.bak"].iter().chain(databases) {
            let noticed = self.noticed.get(*file).map_or(0, |(noticed, _)| *noticed);
            assert!(noticed > 0, "no change of {file} was noticed");
        }
    }
}
