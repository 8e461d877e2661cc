//! Waiting until enough agents hold what was written.

use std::time::Duration;

use tidings_node::{CommandId, HOLDER_WAITS};
use tidings_types::{Command, Departure, Outcome};

use crate::world::{World, register};

const SECOND: Duration = Duration::from_secs(1);

fn wait(world: &mut World, n: u8, holders: usize, within: Duration) -> CommandId {
    world.call(n, Command::AwaitHolders { holders, within })
}

/// How many agents were told to hold it; `None` if nothing was told yet.
fn told(world: &World, n: u8, id: CommandId) -> Option<usize> {
    let answer = world.peers[&n].replies.get(&id)?;
    let Ok(Outcome {
        changed: false,
        holders: Some(holders),
    }) = answer
    else {
        panic!("a wait is never refused, nor does it change anything: {answer:?}");
    };
    Some(*holders)
}

#[test]
fn whoever_waits_is_told_when_enough_agents_hold_it() {
    let mut world = World::cluster(3);
    world.command(1, register(80));
    let all = wait(&mut world, 1, 3, 10 * SECOND);
    let took = world.until("all three hold it", |w| told(w, 1, all).is_some());
    assert_eq!(told(&world, 1, all), Some(3));
    assert!(took < SECOND, "it took {took:?}");
    // What is held already needs no wait, and this node counts.
    let again = wait(&mut world, 1, 3, 10 * SECOND);
    assert_eq!(told(&world, 1, again), Some(3));
    let alone = wait(&mut world, 1, 1, 10 * SECOND);
    assert_eq!(told(&world, 1, alone), Some(3));
}

#[test]
fn who_cannot_have_enough_is_told_in_time_how_many_there_are() {
    let mut world = World::cluster(3);
    world.cut.extend([(1, 2), (1, 3)]);
    world.command(1, register(80));
    let short = wait(&mut world, 1, 2, SECOND);
    let long = wait(&mut world, 1, 2, 50 * SECOND);
    let more = wait(&mut world, 1, 9, 20 * SECOND);
    let now = wait(&mut world, 1, 2, Duration::ZERO);
    assert_eq!(told(&world, 1, now), Some(1));
    world.run(SECOND / 2);
    assert_eq!(told(&world, 1, short), None);
    world.run(SECOND);
    assert_eq!(told(&world, 1, short), Some(1));

    // The others come back before the time of the second is up.
    world.cut.clear();
    world.until("the second is told", |w| told(w, 1, long).is_some());
    assert!(told(&world, 1, long) >= Some(2));
    assert_eq!(told(&world, 1, more), None);
    world.until("the third is told", |w| told(w, 1, more).is_some());
    assert_eq!(told(&world, 1, more), Some(3));
}

#[test]
fn what_is_written_later_is_not_waited_for() {
    let mut world = World::cluster(2);
    world.command(1, register(80));
    world.until("the peer has it", |w| w.agree());
    world.cut.insert((1, 2));
    let before = wait(&mut world, 1, 2, 10 * SECOND);
    world.command(1, register(81));
    let after = wait(&mut world, 1, 2, 10 * SECOND);
    assert_eq!(told(&world, 1, before), Some(2));
    assert_eq!(told(&world, 1, after), None);
}

#[test]
fn no_more_may_wait_than_there_is_room_for_and_a_goodbye_ends_all_waits() {
    let mut world = World::cluster(2);
    world.cut.insert((1, 2));
    world.command(1, register(80));
    let waits: Vec<_> = (0..HOLDER_WAITS)
        .map(|_| wait(&mut world, 1, 2, 50 * SECOND))
        .collect();
    assert!(waits.iter().all(|&id| told(&world, 1, id).is_none()));
    let refused = |world: &World| world.peers[&1].node.counters().holder_waits_refused;
    assert_eq!(refused(&world), 0);
    let beyond = wait(&mut world, 1, 2, 50 * SECOND);
    assert_eq!(told(&world, 1, beyond), Some(1));
    assert_eq!(refused(&world), 1);

    world.command(1, Command::Depart(Departure::Left));
    assert!(waits.iter().all(|&id| told(&world, 1, id) == Some(1)));
    let late = wait(&mut world, 1, 2, 50 * SECOND);
    assert_eq!(told(&world, 1, late), Some(1));
}
