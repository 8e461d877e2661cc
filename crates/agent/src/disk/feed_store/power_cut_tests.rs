//! Whenever the power fails, the next start finds the feed as it was after some batch, and no batch
//! that was acknowledged is missing.

use std::{fs, sync::mpsc::Receiver};

use proptest::{collection, prelude::*};
use tidings_registry::Writer;
use tidings_types::{Epoch, Snapshot, Transfer};

use super::{
    law_tests::{ME, Step, apply, registry},
    *,
};
use crate::disk::{
    commits::CommitCount,
    power_cut::{Chance, Disk, Unsynced},
    testing::{data_dir, node},
};

/// What an agent does between two power failures.
#[derive(Clone, Debug)]
struct Life {
    /// Changes, and whether the answer to one is waited for before the next.
    steps: Vec<(Step, bool)>,
    /// At which part in 1,000 of what it does to the disk the power fails.
    cut: usize,
    unsynced: Unsynced,
    seed: u64,
}

fn life() -> impl Strategy<Value = Life> {
    let step = prop_oneof![
        6 => (0..24_u8).prop_map(Step::Register),
        4 => (0..24_u8).prop_map(Step::Deregister),
        1 => Just(Step::MoveWatermark),
        1 => Just(Step::Restamp),
    ];
    let steps = collection::vec((step, any::<bool>()), 1..40);
    let unsynced = prop_oneof![
        1 => Just(Unsynced::Lost),
        1 => Just(Unsynced::Kept),
        2 => Just(Unsynced::Any),
        4 => Just(Unsynced::Torn),
    ];
    let parts = (steps, 0..=1_000_usize, unsynced, any::<u64>());
    parts.prop_map(|(steps, cut, unsynced, seed)| Life {
        steps,
        cut,
        unsynced,
        seed,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_start_after_a_power_cut_finds_all_that_was_acknowledged(
        lives in collection::vec(life(), 1..4)
    ) {
        let (_place, dir) = data_dir();
        let mut held = None;
        for (life, run) in lives.iter().zip(1..) {
            let lived = live(&dir, life, run, held);
            held = lived.power_fails_and_returns(&dir, life)?;
        }
    }
}

/// What was done to the disk in one life, and what had to be there when.
struct Lived {
    disk: Disk,
    /// The feed after each batch, and before the first.
    states: Vec<Option<Snapshot>>,
    /// When which batch was acknowledged, and what the count of commits was then.
    acknowledged: Vec<Acknowledged>,
}

struct Acknowledged {
    moment: usize,
    batch: u64,
    commits: Vec<u8>,
}

/// Opens the feed, which holds what `held` says, changes it and closes it.
fn live(dir: &DataDir, life: &Life, run: u64, held: Option<Snapshot>) -> Lived {
    let file = dir.file(FILE);
    let disk = Disk::new(fs::read(&file).unwrap_or_default());
    let (on_saved, words) = on_saved(dir, &disk);
    let opened = FeedStore::open_with(dir, node(ME), on_saved, disk.opener()).unwrap();
    let mut known = registry();
    if let Some(held) = held.clone() {
        known.restore(held, false).unwrap();
    }
    let mut lived = Lived {
        disk,
        states: vec![held],
        acknowledged: Vec::new(),
    };
    let run = Epoch::from_bits(run);
    let mut writer = Writer::new(node(ME), run);
    let mut batch = 0;
    for (step, waits) in &life.steps {
        apply(*step, &mut writer, &known, run);
        let Some(delta) = writer.take_batch(&known) else {
            continue;
        };
        batch += 1;
        let transfer = Transfer::Delta(delta.clone());
        opened.store.persist(batch, run, transfer).unwrap();
        writer.commit(&mut known, delta);
        lived.states.push(known.snapshot(node(ME)));
        if *waits {
            lived.hear(&words, batch);
        }
    }
    drop(opened);
    lived.hear(&words, batch);
    lived
}

/// Takes down, in the writer's own thread, when each batch was acknowledged.
fn on_saved(dir: &DataDir, disk: &Disk) -> (OnSaved, Receiver<Acknowledged>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (disk, commits) = (disk.clone(), dir.file("feed.commits"));
    let report = move |saved: Saved| {
        saved.result.unwrap();
        let _ = sender.send(Acknowledged {
            moment: disk.moment(),
            batch: saved.batch,
            commits: fs::read(&commits).unwrap(),
        });
    };
    (Box::new(report), receiver)
}

impl Lived {
    /// Waits for the words up to that on `batch`.
    fn hear(&mut self, words: &Receiver<Acknowledged>, batch: u64) {
        while self.acknowledged.last().map_or(0, |word| word.batch) < batch {
            let word = words.recv_timeout(std::time::Duration::from_secs(30));
            self.acknowledged.push(word.expect("a word on each batch"));
        }
    }

    /// Cuts the power in this life, and says what the next start finds.
    fn power_fails_and_returns(
        self,
        dir: &DataDir,
        life: &Life,
    ) -> Result<Option<Snapshot>, TestCaseError> {
        let mut chance = Chance(life.seed);
        let (file, begin) = (dir.file(FILE), self.states[0].clone());
        let moment = self.disk.moment() * life.cut / 1_000;
        self.disk.cut(&file, moment, life.unsynced, &mut chance);
        let heard: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|w| w.moment <= moment)
            .collect();
        let last = heard.last().map_or(0, |word| word.batch);
        // Of the count that is not synced, any value that it ever had may be left, or none.
        CommitCount::forget(&file).unwrap();
        if let Some(left) = (!heard.is_empty()).then(|| &heard[chance.below(heard.len())])
            && chance.toss()
        {
            fs::write(dir.file("feed.commits"), &left.commits).unwrap();
        }
        let (on_saved, _words) = crate::disk::testing::on_saved();
        let opened = FeedStore::open_with(dir, node(ME), on_saved, database::careful_opener());
        let opened = opened.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let found = opened.snapshot;
        // Before anything is acknowledged the file may be no database yet.
        if begin.is_some() || last > 0 {
            prop_assert!(!opened.damaged, "{:?}", opened.findings);
            prop_assert!(opened.findings.is_empty(), "{:?}", opened.findings);
        }
        let possible = &self.states[usize::try_from(last).unwrap()..];
        prop_assert!(
            possible.contains(&found),
            "batch {last} was acknowledged at {moment}; found {found:?}"
        );
        Ok(found)
    }
}
