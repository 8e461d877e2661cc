//! Each guard on its own: what it prevents, and what it leaves alone.

use std::time::Duration;

use foca::Timer;
use tidings_types::Timestamp;

use super::world::{World, addr, identity, node_id, report, seconds};
use crate::{Config, MemberState, Membership, Output, State, config::PACKET_BYTES};

/// A node that knows some members only from a list.
fn knowing(members: impl IntoIterator<Item = MemberState>) -> Membership {
    let mut node = Membership::new(Config::default(), identity(0, 1), 1, Timestamp::ZERO);
    node.apply_snapshot(Timestamp::ZERO, members.into_iter().collect());
    while node.poll_output().is_some() {}
    node
}

fn listed(node: usize, state: State) -> MemberState {
    MemberState {
        id: identity(node, 1),
        incarnation: 0,
        state,
    }
}

fn state_of(node: &Membership, other: usize) -> Option<State> {
    node.members()
        .find(|member| member.node == node_id(other))
        .map(|member| member.state)
}

fn packets(node: &mut Membership) -> Vec<Output> {
    std::iter::from_fn(|| node.poll_output())
        .filter(|output| matches!(output, Output::Packet { .. }))
        .collect()
}

fn suspicion_of(node: usize, incarnation: u16) -> Timer<crate::MemberId> {
    Timer::ChangeSuspectToDown {
        member_id: identity(node, 1),
        incarnation,
        token: 0,
    }
}

#[test]
fn the_timer_of_a_refuted_suspicion_does_nothing() {
    let mut node = knowing([listed(1, State::Alive)]);
    let now = Timestamp::from_micros(10);
    assert!(node.is_stale(&suspicion_of(1, 0)));
    node.timers.set_foca(now, suspicion_of(1, 0));
    node.handle_timeout(now);
    assert_eq!(packets(&mut node), []);
    assert_eq!(node.counters().stale_suspicions_dropped, 1);
    // The second line of defence: even if foca runs the timer, the living are not told.
    node.drive(now, true, |swim, effects| {
        swim.handle_timer(suspicion_of(1, 7), effects)
    });
    assert_eq!(packets(&mut node), []);
    assert_eq!(node.counters().turn_undead_suppressed, 1);
    assert_eq!(state_of(&node, 1), Some(State::Alive));
}

#[test]
fn the_timer_of_a_standing_suspicion_ends_in_a_verdict_and_a_notice() {
    let mut node = knowing([listed(1, State::Suspect), listed(2, State::Alive)]);
    let now = Timestamp::ZERO + seconds(3);
    let began = Timestamp::ZERO + seconds(1);
    node.members.failed(identity(1, 1), began);
    node.timers.clear(); // No probe comes between.
    assert!(!node.is_stale(&suspicion_of(1, 0)));
    node.health.answered(node_id(2), now);
    node.last_accepted = now; // Its answer.
    node.timers.set_foca(now, suspicion_of(1, 0));
    node.handle_timeout(now);
    assert_eq!(state_of(&node, 1), Some(State::Down));
    assert_eq!(node.counters().turn_undead_suppressed, 0);
    assert!(packets(&mut node).iter().any(|output| matches!(output,
        Output::Packet { to, receiver: Some(to_node), .. } if *to == addr(1) && *to_node == node_id(1))));
}

#[test]
fn the_timer_of_a_suspicion_by_a_node_that_hears_nobody_ends_in_a_view_of_its_own() {
    let mut node = knowing([listed(1, State::Suspect), listed(2, State::Alive)]);
    let now = Timestamp::ZERO + seconds(3);
    node.timers.clear();
    node.timers.set_foca(now, suspicion_of(1, 0));
    node.handle_timeout(now);
    assert_eq!(state_of(&node, 1), Some(State::Down));
    assert!(node.snapshot().contains(&listed(1, State::Suspect)));
    let told = packets(&mut node).into_iter().any(|output| {
        matches!(output,
        Output::Packet { to, .. } if to == addr(1))
    });
    assert!(!told);
}

#[test]
fn a_suspicion_of_others_that_nobody_ends_makes_a_view_of_its_own() {
    let mut node = knowing([listed(1, State::Alive), listed(2, State::Alive)]);
    node.timers.clear();
    let suspect = foca::Member::new(identity(1, 1), 0, foca::State::Suspect);
    node.drive(Timestamp::ZERO, true, |swim, effects| {
        swim.apply_many([suspect].into_iter(), true, effects)
    });
    assert_eq!(state_of(&node, 1), Some(State::Suspect));
    let due = node.poll_timeout().expect("a suspicion has an end");
    node.handle_timeout(due);
    assert_eq!(state_of(&node, 1), Some(State::Down));
    assert!(node.snapshot().contains(&listed(1, State::Suspect)));
}

#[test]
fn a_pause_makes_nobody_else_suspect() {
    for seed in 0..50 {
        let mut world = World::joined(3, seed, Config::default());
        let before = world.node(0).counters().suspicions;
        world.pause(0, seconds(4));
        world.run(seconds(4) + Duration::from_millis(1_200));
        assert_eq!(world.node(0).counters().suspicions, before, "seed {seed}");
        assert!(world.node(0).counters().stalls > 0);
        assert!(world.run_until_full(seconds(5)).is_some());
    }
}

#[test]
fn a_short_pause_costs_no_rejoin() {
    for seed in 0..50 {
        let mut world = World::joined(3, seed, Config::default());
        world.pause(0, Duration::from_millis(1_900));
        world.run(seconds(20));
        let rejoins: u64 = (0..3).map(|n| world.node(n).counters().rejoins).sum();
        assert_eq!(rejoins, 0, "seed {seed}");
    }
}

#[test]
fn a_node_that_cannot_send_survives_and_is_given_up() {
    let mut world = World::joined(3, 2, Config::default());
    world.unsendable = Some(0);
    let gone = world.run_until(seconds(20), |world| {
        let down = Some(State::Down);
        world.sees(1, 0) == down && world.sees(2, 0) == down && world.sees(0, 1) == down
    });
    assert!(gone.is_some());
    let counters = world.node(0).counters();
    assert!(counters.send_errors > 0 && counters.probes_unsent > 0 && counters.probes_failed > 0);
    world.unsendable = None;
    assert!(world.run_until_full(seconds(5)).is_some());
}

#[test]
fn a_node_whose_disk_and_clock_went_back_gets_in() {
    let mut world = World::joined(3, 8, Config::default());
    world.pulls = true;
    world.kill(0);
    world.start(0, 50);
    world.run(seconds(1));
    world.kill(0);
    world.run(seconds(20));
    world.start(0, 2);
    assert!(world.run_until_full(seconds(8)).is_some());
    world.run(seconds(30));
    assert_eq!(world.node(0).counters().outbids, 1);
    assert!(world.node(0).me().generation > identity(0, 50).generation);
}

#[test]
fn two_clones_of_one_node_do_not_flood_the_cluster() {
    let mut world = World::joined(4, 9, Config::default());
    // The fourth takes the first one's identity, at its own address.
    world.take_over(
        3,
        crate::MemberId {
            addr: addr(3),
            ..identity(0, 9)
        },
    );
    world.run(seconds(10));
    let packets = world.packets;
    world.run(seconds(60));
    let rate = (world.packets - packets) / 60;
    report(&format!(
        "two clones among 4: {rate} packets per second in all"
    ));
    assert!(rate < 400, "{rate}");
}

#[test]
fn a_list_that_calls_the_living_dead_does_not_kill_them() {
    let mut world = World::joined(3, 11, Config::default());
    let slander = [1, 2].map(|n| MemberState {
        id: world.nodes[n].as_ref().unwrap().me(),
        incarnation: 0,
        state: State::Down,
    });
    world.call(0, |node, now| node.apply_snapshot(now, slander.to_vec()));
    assert_eq!(world.sees(0, 1), Some(State::Suspect));
    assert!(world.run_until_full(seconds(2)).is_some());
    world.run(seconds(20));
    assert!((0..3).all(|n| world.node(n).counters().rejoins == 0));
}

#[test]
fn a_stranger_that_a_list_calls_dead_goes_down_unless_it_shows_itself() {
    let mut node = knowing([listed(1, State::Down), listed(2, State::Down)]);
    assert_eq!(state_of(&node, 1), Some(State::Suspect));
    let mut second = Membership::new(Config::default(), identity(2, 1), 2, Timestamp::ZERO);
    let now = Timestamp::from_micros(1_000_000);
    // The second one is suspected at incarnation 0 and comes with the next.
    second.apply_snapshot(now, vec![listed(0, State::Alive)]);
    second.drive(now, true, |swim, effects| {
        let me = foca::Member::new(*swim.identity(), 0, foca::State::Suspect);
        swim.apply_many([me].into_iter(), true, effects)
    });
    for output in packets(&mut second) {
        if let Output::Packet { to, bytes, .. } = output
            && to == addr(0)
        {
            node.handle_packet(now, addr(2), node_id(2), &bytes)
                .unwrap();
        }
    }
    let verdict = now + seconds(3);
    while node.poll_timeout().is_some_and(|due| due <= verdict) {
        let due = node.poll_timeout().unwrap();
        node.handle_timeout(due);
    }
    assert_eq!(state_of(&node, 1), Some(State::Down));
    assert_ne!(state_of(&node, 2), Some(State::Down));
}

#[test]
fn only_so_many_of_the_dead_are_remembered() {
    let config = Config {
        down_max: 10,
        ..Config::default()
    };
    let mut node = Membership::new(config, identity(0, 1), 1, Timestamp::ZERO);
    node.apply_snapshot(
        Timestamp::ZERO,
        (1..100).map(|n| listed(n, State::Alive)).collect(),
    );
    for n in 1..100 {
        node.mark_left(
            Timestamp::from_micros(u64::try_from(n).unwrap()),
            node_id(n),
        );
    }
    let left: Vec<_> = node.members().map(|member| member.node).collect();
    assert_eq!(left, (90..100).map(node_id).collect::<Vec<_>>());
    assert_eq!(node.counters().forgotten, 89);
}

#[test]
fn a_full_list_takes_no_more_but_still_listens() {
    let config = Config {
        members_max: 64,
        ..Config::default()
    };
    let mut node = Membership::new(config, identity(0, 1), 1, Timestamp::ZERO);
    let all = (1..200).map(|n| listed(n, State::Alive)).collect();
    node.apply_snapshot(Timestamp::ZERO, all);
    assert_eq!(node.members().count(), 64);
    for sender in [1, 150] {
        let peer = Membership::new(Config::default(), identity(sender, 1), 1, Timestamp::ZERO);
        let bytes = announce_of(peer, 0);
        let outcome = node.handle_packet(Timestamp::ZERO, addr(sender), node_id(sender), &bytes);
        assert_eq!(outcome.is_ok(), sender == 1);
    }
    assert_eq!(node.members().count(), 64);
}

#[test]
fn a_forgotten_member_is_gone_until_it_comes_back() {
    let mut world = World::joined(3, 12, Config::default());
    assert!(!world.call(1, |node, now| node.forget(now, node_id(0))));
    world.kill(0);
    world.run(seconds(10));
    for n in [1, 2] {
        assert!(world.call(n, |node, now| node.forget(now, node_id(0))));
        assert_eq!(world.sees(n, 0), None);
    }
    world.start(0, 2);
    assert!(world.run_until_full(seconds(2)).is_some());
}

#[test]
fn random_peers_are_alive_and_not_excluded() {
    let mut node = knowing([
        listed(1, State::Alive),
        listed(2, State::Alive),
        listed(3, State::Suspect),
    ]);
    for _ in 0..20 {
        assert_eq!(node.peers(5, &[node_id(1)])[0].0, node_id(2));
        assert_eq!(node.peers(2, &[]).len(), 2);
        assert!(node.peers(2, &[]).iter().all(|(n, _)| *n != node_id(3)));
    }
    assert_eq!(node.peers(5, &[]).len(), 3);
}

/// The announce with which `peer` would join at the address of `node`.
pub(super) fn announce_of(mut peer: Membership, node: usize) -> Vec<u8> {
    peer.announce(Timestamp::ZERO, &[addr(node)]);
    match peer.poll_output() {
        Some(Output::Packet {
            bytes, receiver, ..
        }) => {
            assert_eq!(receiver, None);
            assert!(bytes.len() <= PACKET_BYTES);
            bytes
        }
        other => panic!("no announce but {other:?}"),
    }
}

#[cfg(feature = "mutants")]
mod mutants {
    use super::*;
    use crate::Mutants;

    #[test]
    fn without_the_watchdog_nodes_that_start_in_the_dark_never_meet() {
        let config = Config {
            mutants: Mutants {
                no_watchdog: true,
                ..Mutants::default()
            },
            ..Config::default()
        };
        let mut world = World::boot(2, 1, config);
        world.split(&[]);
        world.run(seconds(30));
        world.heal();
        assert_eq!(world.run_until_full(seconds(300)), None);
    }

    #[test]
    fn without_the_gate_the_deaf_make_the_healthy_rejoin() {
        let config = Config {
            mutants: Mutants {
                no_abstaining: true,
                ..Mutants::default()
            },
            ..Config::default()
        };
        let mut world = World::joined(20, 1, config);
        world.deaf = 1;
        world.run(seconds(60));
        assert!((1..20).any(|n| world.node(n).counters().rejoins > 0));
    }

    #[test]
    fn without_the_filter_refuted_suspicions_end_in_rejoins() {
        let rejoins = |no_turn_undead_filter| {
            let mut config = Config::default();
            config.mutants.no_turn_undead_filter = no_turn_undead_filter;
            let mut world = World::joined(10, 1, config);
            world.loss = 20;
            world.run(seconds(120));
            let nodes = world.nodes.iter().flatten();
            nodes.map(|node| node.counters().rejoins).sum::<u64>()
        };
        assert_eq!(rejoins(false), 0);
        assert!(rejoins(true) > 0);
    }
}
