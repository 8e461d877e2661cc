use tidings_types::{Body, Delta, FeedState, Key, Place, Transfer, limits::LINEAGE_EPOCHS_WANTED};

use super::*;
use crate::{
    Applied, Giver, Rejected,
    fixture::{Agent, cluster, dot, epoch, instance, instance_key, node, shared_key},
};

#[test]
fn only_a_write_that_differs_from_the_value_in_force_takes_a_dot() {
    let Agent {
        mut registry,
        mut writer,
    } = Agent::new(1);
    let key = instance_key(node(1), "web");
    let register = |writer: &mut Writer, port| {
        writer
            .register(&registry, key.clone(), instance(port))
            .unwrap()
    };
    assert_eq!(register(&mut writer, 1), Some(dot(node(1), 1, 1)));
    assert_eq!(register(&mut writer, 1), None, "what is staged counts");
    assert_eq!(register(&mut writer, 2), Some(dot(node(1), 1, 2)));
    let batch = writer.take_batch(&registry).unwrap();
    assert_eq!(
        batch.changes.len(),
        1,
        "only the greatest change of a key stands"
    );
    assert_eq!(
        registry.in_force(&key),
        None,
        "nothing shows before it is durable"
    );
    writer.commit(&mut registry, batch);
    assert_eq!(registry.in_force(&key).unwrap().dot, dot(node(1), 1, 2));
    assert_eq!(writer.register(&registry, key, instance(2)), Ok(None));
    assert_eq!(writer.take_batch(&registry), None);
}

#[test]
fn several_batches_may_be_under_way_and_each_foretells_its_sum() {
    let Agent {
        mut registry,
        mut writer,
    } = Agent::new(1);
    let mut batches = Vec::new();
    for port in 1..4 {
        let key = instance_key(node(1), "web");
        writer.register(&registry, key, instance(port)).unwrap();
        let other = instance_key(node(1), &format!("other-{port}"));
        writer.register(&registry, other, instance(port)).unwrap();
        batches.push(writer.take_batch(&registry).unwrap());
    }
    writer
        .deregister(&registry, &instance_key(node(1), "other-1"))
        .unwrap()
        .unwrap();
    batches.push(writer.take_batch(&registry).unwrap());
    for batch in batches {
        let sum = batch.state.sum;
        let applied = writer.commit(&mut registry, batch);
        assert!(applied.advanced && applied.alarm.is_none());
        assert_eq!(registry.state(node(1)).unwrap().sum, sum);
    }
    assert!(!writer.has_pending());
}

#[test]
fn a_failed_save_drops_what_it_held_and_its_dots_are_never_used_again() {
    let Agent {
        mut registry,
        mut writer,
    } = Agent::new(1);
    let key = instance_key(node(1), "web");
    writer
        .register(&registry, key.clone(), instance(1))
        .unwrap();
    let failed = writer.take_batch(&registry).unwrap();
    writer.abandon(epoch(2));
    assert_eq!(writer.in_force(&registry, &key), None);
    let applied = writer.commit(&mut registry, failed);
    assert_eq!(
        applied,
        Applied::default(),
        "a batch of an abandoned epoch changes nothing"
    );
    let again = writer.register(&registry, key, instance(1)).unwrap();
    assert_eq!(again, Some(dot(node(1), 2, 1)));
}

#[test]
fn a_discarded_command_leaves_what_was_under_way_before_it() {
    let Agent {
        mut registry,
        mut writer,
    } = Agent::new(1);
    let (web, new) = (instance_key(node(1), "web"), instance_key(node(1), "new"));
    writer
        .register(&registry, web.clone(), instance(1))
        .unwrap();
    let batch = writer.take_batch(&registry).unwrap();
    writer
        .register(&registry, web.clone(), instance(2))
        .unwrap();
    writer
        .register(&registry, new.clone(), instance(3))
        .unwrap();
    writer.deregister(&registry, &web).unwrap();
    writer.discard_staged();
    assert!(!writer.has_staged());
    assert_eq!(
        writer.in_force(&registry, &web).unwrap().dot,
        dot(node(1), 1, 1)
    );
    assert_eq!(writer.in_force(&registry, &new), None);
    writer
        .register(&registry, web.clone(), instance(4))
        .unwrap();
    writer.commit(&mut registry, batch);
    writer.discard_staged();
    assert!(
        !writer.has_pending(),
        "what was committed meanwhile is not pending again"
    );
    assert_eq!(
        writer.in_force(&registry, &web).unwrap().dot,
        dot(node(1), 1, 1)
    );
}

#[test]
fn writes_are_refused_with_the_reason_and_leave_nothing_behind() {
    let Agent {
        registry,
        mut writer,
    } = Agent::new(1);
    let (own, foreign) = (instance_key(node(1), "web"), instance_key(node(2), "web"));
    let register = writer.register(&registry, foreign.clone(), instance(1));
    assert_eq!(
        register,
        Err(WriteError::NotOwned(Box::new(foreign.clone())))
    );
    let removal = writer.deregister(&registry, &foreign);
    assert_eq!(
        removal,
        Err(WriteError::NotOwned(Box::new(foreign.clone())))
    );
    let kind = writer.register(&registry, Key::Node(node(1)), instance(1));
    assert!(matches!(kind, Err(WriteError::Kind(_))));
    let shared = writer.write_shared(&registry, 1, own.clone(), None);
    assert!(matches!(shared, Err(WriteError::NotShared(_))));
    assert!(matches!(
        writer.overrule(&registry, &own),
        Err(WriteError::NotForeign(_))
    ));
    let shared_override = writer.overrule(&registry, &shared_key("db"));
    assert!(matches!(shared_override, Err(WriteError::NotForeign(_))));
    assert_eq!(
        writer.overrule(&registry, &foreign),
        Ok(None),
        "there is nothing to override"
    );
    assert_eq!(writer.deregister(&registry, &own), Ok(None));
    let Body::Instance(mut large) = instance(1) else {
        panic!("an instance");
    };
    large.address = "x".repeat(RECORD_BYTES).into();
    let large = writer.register(&registry, own, Body::Instance(large));
    assert!(matches!(large, Err(WriteError::TooLarge { bytes }) if bytes > RECORD_BYTES));
    assert!(!writer.has_staged() && !writer.has_pending());
}

#[test]
fn a_full_feed_takes_no_record_but_still_deletes() {
    let mut owner = Agent::new(1);
    let mut other = Agent::new(2);
    other.register("foreign", 1);
    owner.pull(&other, other.me());
    let Agent {
        mut registry,
        mut writer,
    } = owner;
    let key = |number| instance_key(node(1), &format!("web-{number}"));
    for number in 0..FEED_RECORDS {
        writer
            .register(&registry, key(number), instance(1))
            .unwrap();
    }
    let full = writer.register(&registry, key(FEED_RECORDS), instance(1));
    assert_eq!(full, Err(WriteError::FeedFull), "staged records count");
    let batch = writer.take_batch(&registry).unwrap();
    writer.commit(&mut registry, batch);
    let full = writer.register(&registry, key(FEED_RECORDS), instance(1));
    assert_eq!(full, Err(WriteError::FeedFull));
    let shared = writer.write_shared(&registry, 1, shared_key("db"), Some(instance(1).into()));
    assert_eq!(shared, Err(WriteError::FeedFull));
    assert!(
        writer
            .register(&registry, key(0), instance(2))
            .unwrap()
            .is_some(),
        "no new record"
    );
    writer
        .write_shared(&registry, 1, shared_key("db"), None)
        .unwrap();
    writer
        .overrule(&registry, &instance_key(node(2), "foreign"))
        .unwrap()
        .unwrap();
    for number in 0..3 {
        writer.deregister(&registry, &key(number)).unwrap().unwrap();
    }
    writer
        .register(&registry, key(FEED_RECORDS), instance(1))
        .unwrap()
        .unwrap();
    let full = writer.register(&registry, key(FEED_RECORDS + 1), instance(1));
    assert_eq!(full, Err(WriteError::FeedFull));
}

#[test]
fn a_shared_write_exceeds_what_is_in_force_until_no_stamp_is_left() {
    let mut agent = Agent::new(1);
    agent.write_shared("db", 5_000_000, 1);
    agent.write_shared("db", 1_000, 2);
    assert_eq!(
        agent.port(&shared_key("db")),
        Some(2),
        "whatever the clock says"
    );
    agent.write_shared("end", u64::MAX, 1);
    let Agent {
        registry,
        mut writer,
    } = agent;
    let after = writer.write_shared(&registry, 1_000, shared_key("end"), None);
    assert_eq!(after, Err(WriteError::StampsExhausted));
    assert!(!writer.has_staged());
}

#[test]
fn the_watermark_moves_when_enough_marks_stand_and_takes_a_dot() {
    let mut agent = Agent::new(1);
    for number in 0..=MARKS_KEPT {
        assert_eq!(agent.writer.move_watermark(&agent.registry), None);
        agent.register(&format!("x{number}"), 1);
        agent.deregister(&format!("x{number}"));
    }
    let covered = agent.registry.lineage(node(1));
    let moved = agent.writer.move_watermark(&agent.registry).unwrap();
    assert!(!covered.covers_its(moved));
    assert_eq!(
        agent.writer.move_watermark(&agent.registry),
        None,
        "one move at a time"
    );
    agent.commit();
    assert_eq!(agent.registry.state(node(1)).unwrap().watermark, covered);
    assert_eq!(agent.registry.changes(node(1)).count(), 0);
    assert!(agent.registry.lineage(node(1)).covers_its(moved));
}

#[test]
fn a_long_lineage_is_cut_in_steps_and_the_restamped_stay_overridden() {
    let mut agent = Agent::new(1);
    let mut other = Agent::new(2);
    for number in 0..RESTAMP_ENTRIES + 10 {
        let key = instance_key(node(1), &format!("x{number}"));
        agent
            .writer
            .register(&agent.registry, key, instance(1))
            .unwrap();
    }
    agent.commit();
    other.pull(&agent, node(1));
    other.overrule(&instance_key(node(1), "x0"));
    agent.pull(&other, node(2));
    for run in 2..=10 {
        agent.writer.abandon(epoch(run));
        agent.register("last", u16::try_from(run).unwrap());
    }
    assert_eq!(
        agent.registry.lineage(node(1)).epochs(),
        LINEAGE_EPOCHS_WANTED + 2
    );
    let mut calls = 0;
    while agent.writer.restamp(&agent.registry).is_some() {
        agent.commit();
        calls += 1;
    }
    assert_eq!(calls, 2);
    let lineage = agent.registry.lineage(node(1));
    assert_eq!(
        (lineage.epochs(), lineage.floor()),
        (LINEAGE_EPOCHS_WANTED / 2, epoch(7))
    );
    assert_eq!(
        agent.registry.owned_by(node(1)).count(),
        RESTAMP_ENTRIES + 11
    );
    let value = agent
        .registry
        .in_force(&instance_key(node(1), "x1"))
        .unwrap();
    assert_eq!(
        value.entry.version,
        Version::Owner(dot(node(1), 1, 2).into()),
        "nobody wrote it anew"
    );
    assert!(value.dot.epoch == epoch(10));
    assert_eq!(
        agent.port(&instance_key(node(1), "x0")),
        None,
        "a restart beats no override"
    );
    other.pull(&agent, node(1));
    assert_eq!(other.registry.fingerprint(), agent.registry.fingerprint());
}

#[test]
fn a_lineage_at_its_limit_takes_no_new_run_before_a_restamp() {
    let mut agent = Agent::new(1);
    for run in 2..=u64::try_from(LINEAGE_EPOCHS).unwrap() + 1 {
        agent.writer.abandon(epoch(run));
        agent.register("web", u16::try_from(run).unwrap());
    }
    agent.writer.abandon(epoch(1_000));
    let key = instance_key(node(1), "web");
    let refused = agent
        .writer
        .register(&agent.registry, key.clone(), instance(1));
    assert_eq!(refused, Err(WriteError::TooManyEpochs));
    let refused = agent.writer.deregister(&agent.registry, &key);
    assert_eq!(refused, Err(WriteError::TooManyEpochs));
    agent.writer.restamp(&agent.registry).unwrap();
    agent
        .writer
        .register(&agent.registry, key.clone(), instance(1))
        .unwrap();
    agent.commit();
    assert_eq!(agent.port(&key), Some(1));
}

#[test]
fn a_take_over_does_not_write_again_what_was_beaten_meanwhile() {
    let (mut agent, mut other) = (Agent::new(1), Agent::new(2));
    agent.register("gone", 1);
    agent.register("kept", 2);
    agent.write_shared("db", 1_000, 3);
    other.pull(&agent, node(1));
    other.overrule(&instance_key(node(1), "gone"));
    other.write_shared("db", 1_000, 4);
    agent.pull(&other, node(2));
    agent
        .writer
        .take_over(&mut agent.registry, epoch(9), 1_000)
        .unwrap();
    agent.commit();
    assert_eq!(agent.port(&instance_key(node(1), "gone")), None);
    assert_eq!(agent.port(&shared_key("db")), Some(4));
    let kept = agent
        .registry
        .in_force(&instance_key(node(1), "kept"))
        .unwrap();
    assert_eq!(
        kept.entry.version,
        Version::Owner(dot(node(1), 9, 1).into())
    );
}

#[test]
fn a_feed_never_grows_beyond_what_a_newcomer_can_be_sent() {
    let mut agent = Agent::new(1);
    let large = |port| match instance(port) {
        Body::Instance(mut instance) => {
            instance.socket_path = "x".repeat(60_000).into();
            Body::Instance(instance)
        }
        other => other,
    };
    let mut written = 0;
    let refused = loop {
        let key = instance_key(node(1), &format!("large-{written}"));
        match agent.writer.register(&agent.registry, key, large(1)) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        if written % 7 == 0 {
            agent.commit();
        }
    };
    assert_eq!(refused, WriteError::FeedTooLarge);
    assert!(
        written * 2 * 60_000 > FEED_BYTES_WRITTEN - 3 * RECORD_BYTES,
        "{written}"
    );
    let known = instance_key(node(1), "large-1");
    let again = agent
        .writer
        .register(&agent.registry, known.clone(), large(2));
    assert!(again.is_ok(), "what is replaced makes room");
    let gone = agent.writer.deregister(&agent.registry, &known);
    assert!(gone.is_ok(), "a full feed can be emptied");
    let key = instance_key(node(1), "small");
    let fits = agent.writer.register(&agent.registry, key, large(3));
    assert!(fits.is_ok());
}

#[test]
fn who_took_a_forged_change_takes_the_owners_copy_once_it_was_outbid() {
    let Agent {
        mut registry,
        mut writer,
    } = Agent::new(1);
    let mut peer = Registry::new(node(2), cluster());
    let key = instance_key(node(1), "web");
    let commit = |writer: &mut Writer, registry: &mut Registry| {
        let batch = writer.take_batch(registry).unwrap();
        writer.commit(registry, batch.clone());
        batch
    };
    writer
        .register(&registry, key.clone(), instance(1))
        .unwrap();
    let first = commit(&mut writer, &mut registry);
    peer.apply(Transfer::Delta(first.clone())).unwrap();

    let forged_key = instance_key(node(1), "forged");
    let forged = Delta {
        from: first.state.lineage.clone(),
        state: FeedState {
            lineage: Lineage::of(epoch(1), 9),
            ..first.state
        },
        changes: vec![Change {
            place: Place {
                epoch: epoch(1),
                seq: 9,
            },
            key: forged_key.clone(),
            slot: Slot::Entry(Entry {
                version: Version::Owner(dot(node(1), 1, 9).into()),
                body: Some(instance(2).into()),
            }),
        }],
    };
    peer.apply(Transfer::Delta(forged.clone())).unwrap();
    let claimed = match registry.apply(Transfer::Delta(forged)) {
        Err(Rejected::ForgedDot { seq, .. }) => seq,
        other => panic!("{other:?}"),
    };

    let sum = registry.state(node(1)).unwrap().sum;
    assert_eq!(writer.outbid(&registry, claimed), Some(dot(node(1), 1, 10)));
    assert_eq!(writer.outbid(&registry, claimed), None, "it is on its way");
    let outbid = commit(&mut writer, &mut registry);
    assert_eq!((outbid.state.sum, outbid.changes.len()), (sum, 0));
    let applied = peer.apply(Transfer::Delta(outbid)).unwrap();
    assert!(applied.alarm.is_some(), "{applied:?}");
    let copy = registry.snapshot(node(1)).unwrap();
    peer.repair(copy, Giver::Owner).unwrap();
    assert_eq!(peer.in_force(&forged_key), None);
    assert_eq!(peer.fingerprint(), registry.fingerprint());
    // What comes next finds its place.
    writer.register(&registry, key, instance(3)).unwrap();
    let next = commit(&mut writer, &mut registry);
    assert!(peer.apply(Transfer::Delta(next)).unwrap().alarm.is_none());
    assert_eq!(peer.fingerprint(), registry.fingerprint());
}

#[test]
fn a_seq_near_the_end_of_all_seqs_is_not_outbid() {
    let Agent {
        registry,
        mut writer,
    } = Agent::new(1);
    assert_eq!(writer.outbid(&registry, u64::MAX), None);
    assert!(!writer.has_staged());
}
