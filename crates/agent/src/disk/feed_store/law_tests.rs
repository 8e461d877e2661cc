//! Whatever an owner writes over many runs, its disk holds what its registry holds.

use proptest::{collection, prelude::*};
use tidings_registry::{Registry, Writer};
use tidings_types::{Body, ClusterId, Epoch, Key, Slot, Transfer};

use super::*;
use crate::disk::testing::{data_dir, key, next, node, on_saved, put, saved};

pub(super) const ME: u8 = 1;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Register(u8),
    Deregister(u8),
    MoveWatermark,
    Restamp,
    /// The agent starts again, in a run of its own.
    Start,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..24_u8).prop_map(Step::Register),
        4 => (0..24_u8).prop_map(Step::Deregister),
        1 => Just(Step::MoveWatermark),
        2 => Just(Step::Restamp),
        4 => Just(Step::Start),
    ];
    collection::vec(step, 1..120)
}

pub(super) fn registry() -> Registry {
    Registry::new(node(ME), ClusterId::from_bytes([9; 16]))
}

/// Stages what the owner does in its run `run`; a start stages nothing.
pub(super) fn apply(step: Step, writer: &mut Writer, held: &Registry, run: Epoch) {
    let _dot = match step {
        Step::Register(id) => writer.register(held, key_of(id), body_of(run)).unwrap(),
        Step::Deregister(id) => writer.deregister(held, &key_of(id)).unwrap(),
        Step::MoveWatermark => writer.move_watermark(held),
        Step::Restamp => writer.restamp(held),
        Step::Start => None,
    };
}

fn key_of(id: u8) -> Key {
    key(node(ME), &format!("id-{id}"))
}

fn body_of(run: Epoch) -> Body {
    let Slot::Entry(entry) = put(node(ME), run, run.bits(), "any").slot else {
        unreachable!("it is an entry");
    };
    entry.body.expect("it has a body").body()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_start_finds_what_the_registry_held(steps in steps()) {
        let (_place, dir) = data_dir();
        let me = node(ME);
        let open = |dir| {
            let (on_saved, words) = on_saved();
            (FeedStore::open(dir, me, on_saved).unwrap(), words)
        };
        let (mut opened, mut words) = open(&dir);
        let mut run = 1;
        let (mut held, mut writer) = (registry(), Writer::new(me, Epoch::from_bits(run)));
        let mut batch = 0;
        for step in steps.into_iter().chain([Step::Start]) {
            if let Step::Start = step {
                drop(opened);
                (opened, words) = open(&dir);
                let found = opened.snapshot.take();
                prop_assert_eq!(&found, &held.snapshot(me));
                held = registry();
                if let Some(found) = found {
                    held.restore(found, false).unwrap();
                    prop_assert!(!held.is_damaged(me));
                }
                run += 1;
                writer = Writer::new(me, Epoch::from_bits(run));
            }
            apply(step, &mut writer, &held, Epoch::from_bits(run));
            if let Some(delta) = writer.take_batch(&held) {
                batch += 1;
                let transfer = Transfer::Delta(delta.clone());
                opened.store.persist(batch, Epoch::from_bits(run), transfer).unwrap();
                prop_assert_eq!(next(&words), saved(batch));
                writer.commit(&mut held, delta);
            }
        }
    }
}
