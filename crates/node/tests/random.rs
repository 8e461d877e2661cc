//! Random schedules of calls, splits, losses, crashes, lost disks and refused saves, from fixed
//! seeds. Whatever happened, once all is well again the nodes agree, on what was acknowledged.
//!
//! `TIDINGS_SEEDS=1000` tries more of them than a build has time for.

#[expect(dead_code, reason = "the dialogues use the rest")]
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use tidings_node::{CommandId, Input};
use tidings_registry::Registry;
use tidings_types::{
    Body, Change, ClusterId, Command, Content, Departure, Key, NodeName, Registration, ServiceId,
    Snapshot, Transfer,
};
use world::{World, external_node, id, instance, service};

const NODES: u8 = 4;
const STEPS: usize = 60;
const SEEDS: u64 = 24;

/// What a key may hold in the end: each value that some call left there after the last one that
/// was acknowledged.
type Possible = BTreeMap<Key, BTreeSet<Option<u16>>>;

/// What becomes of a disk while its node is down.
#[derive(Clone, Copy)]
enum Fate {
    Intact,
    Lost,
    RolledBack,
    Damaged,
}

struct Run {
    rng: ChaCha8Rng,
    world: World,
    possible: Possible,
    /// Calls that were not answered yet.
    open: Vec<(u8, CommandId, Key, Option<u16>)>,
    /// Per node, what its disk holds, and how many of its batches went into that.
    disks: BTreeMap<u8, (Option<Snapshot>, usize)>,
    /// Every change that was ever handed out, by its dot.
    written: BTreeMap<(u8, u64, u64), Change>,
    /// What each disk held at some time.
    backups: BTreeMap<u8, Vec<Snapshot>>,
    /// What other nodes removed at some time.
    overruled: BTreeSet<Key>,
    port: u16,
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "a failure's output has to name the seed"
)]
fn whatever_happened_the_nodes_agree_on_what_was_acknowledged() {
    for seed in 0..seeds() {
        println!("seed {seed}");
        Run::new(seed).play();
    }
}

fn seeds() -> u64 {
    let stated = std::env::var("TIDINGS_SEEDS").ok();
    stated.and_then(|n| n.parse().ok()).unwrap_or(SEEDS)
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            world: World::cluster(NODES),
            possible: Possible::new(),
            open: Vec::new(),
            disks: (1..=NODES).map(|n| (n, (None, 0))).collect(),
            written: BTreeMap::new(),
            backups: BTreeMap::new(),
            overruled: BTreeSet::new(),
            port: 0,
        }
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            self.step();
            let pause = self.below(1_500);
            self.world.run(Duration::from_millis(pause));
            self.look();
        }
        self.heal();
        self.world.until("all agree", |w| {
            w.agree()
                && w.peers
                    .values()
                    .all(|p| p.roster.reachable == usize::from(NODES))
        });
        self.judge();
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end
    }

    fn node(&mut self) -> u8 {
        u8::try_from(self.below(u64::from(NODES))).expect("a few nodes") + 1
    }

    fn step(&mut self) {
        let n = self.node();
        match self.below(22) {
            0..=6 => self.call(n),
            7 => {
                let other = self.node();
                self.world.cut.insert((n, other));
            }
            8 => self.world.cut.clear(),
            9 => self.world.loss = self.below(60),
            10 => self.set_disk(n, true, false),
            11 => self.set_disk(n, false, true),
            12 => {
                self.release(n);
                self.set_disk(n, false, false);
            }
            13 => self.crash(n, Fate::Intact),
            14 => self.crash(n, Fate::Lost),
            15 => self.crash(n, Fate::RolledBack),
            16 => self.crash(n, Fate::Damaged),
            17 => self.overrule(n),
            18 => self.external(n),
            19 => self.leave_marks(n),
            20 => self.depart(n),
            _ => self.world.run(Duration::from_secs(15)),
        }
    }

    /// Registers or deregisters something, somewhere.
    fn call(&mut self, n: u8) {
        if !self.world.peers.contains_key(&n) {
            return;
        }
        let which = self.below(3);
        let named = |which| service(&format!("s{}", which % 3));
        self.port += 1;
        let (command, services, value) = match self.below(4) {
            0 => {
                let id = named(which);
                (
                    Command::DeregisterService { id: id.clone() },
                    vec![id],
                    None,
                )
            }
            1 => {
                let services = vec![named(which), named(which + 1)];
                let all = services.iter().map(|id| self.registration(id)).collect();
                (Command::RegisterServices(all), services, Some(self.port))
            }
            _ => {
                let one = self.registration(&named(which));
                let services = vec![named(which)];
                (Command::RegisterService(one), services, Some(self.port))
            }
        };
        let call = self.world.call(n, command);
        for service in services {
            let key = Key::Instance(id(n), service);
            self.open.push((n, call, key, value));
        }
        self.look();
    }

    fn registration(&self, id: &ServiceId) -> Registration {
        Registration {
            id: id.clone(),
            instance: Box::new(instance("s", self.port)),
            checks: Vec::new(),
            replace_checks: false,
        }
    }

    /// Takes note of answers, of what went to the disks, and of every dot.
    fn look(&mut self) {
        let world = &self.world;
        let possible = &mut self.possible;
        self.open.retain(|(n, call, key, value)| {
            let values = possible.entry(key.clone()).or_insert_with(|| [None].into());
            values.insert(*value);
            match world.peers.get(n).and_then(|p| p.replies.get(call)) {
                None => world.peers.contains_key(n),
                Some(Ok(_)) => {
                    *values = [*value].into();
                    false
                }
                Some(Err(_)) => false,
            }
        });
        for (&n, peer) in &self.world.peers {
            let changes = peer
                .persists
                .iter()
                .flat_map(|(_, transfer)| match transfer {
                    Transfer::Delta(delta) => &delta.changes,
                    Transfer::Snapshot(snapshot) => &snapshot.changes,
                });
            for change in changes {
                let dot = (n, change.place.epoch.bits(), change.place.seq);
                let first = self.written.entry(dot).or_insert_with(|| change.clone());
                assert_eq!(first, change, "a dot was used twice");
            }
        }
        self.store();
    }

    /// Brings the disks up to date with what they acknowledged.
    fn store(&mut self) {
        for (n, peer) in &self.world.peers {
            if peer.disk_holds || peer.disk_fails {
                continue;
            }
            let (disk, taken) = self.disks.get_mut(n).expect("each node has one");
            for (_, transfer) in &peer.persists[*taken..] {
                *disk = Some(joined(disk.take(), transfer.clone()));
            }
            *taken = peer.persists.len();
            if let Some(disk) = disk {
                let backups = self.backups.entry(*n).or_default();
                if backups.last() != Some(disk) {
                    backups.push(disk.clone());
                }
            }
        }
    }

    fn set_disk(&mut self, n: u8, holds: bool, fails: bool) {
        self.look();
        let Some(peer) = self.world.peers.get_mut(&n) else {
            return;
        };
        if !peer.disk_holds && !peer.disk_fails {
            (peer.disk_holds, peer.disk_fails) = (holds, fails);
        } else if !holds && !fails {
            // What it refused is not on it.
            let (_, taken) = self.disks.get_mut(&n).expect("each node has one");
            *taken = peer.persists.len();
            (peer.disk_holds, peer.disk_fails) = (false, false);
        }
    }

    /// Answers what a slow disk holds back.
    fn release(&mut self, n: u8) {
        let Some(peer) = self.world.peers.get_mut(&n).filter(|p| p.disk_holds) else {
            return;
        };
        let (disk, taken) = self.disks.get_mut(&n).expect("each node has one");
        let held: Vec<_> = peer.persists[*taken..].to_vec();
        *taken = peer.persists.len();
        peer.disk_holds = false;
        for (batch, transfer) in held {
            *disk = Some(joined(disk.take(), transfer));
            let result = Ok(());
            self.world.input(n, Input::Persisted { batch, result });
        }
        self.look();
    }

    /// Ends a node; it comes back with what its disk held, or, if all others have that, with less.
    fn crash(&mut self, n: u8, fate: Fate) {
        self.look();
        let spared = self.world.agree();
        let Some(peer) = self.world.peers.remove(&n) else {
            return;
        };
        self.look();
        let registry = peer.node.registry();
        let others = registry.owners().filter(|&owner| owner != id(n));
        let replicas = others.filter_map(|owner| Some((registry.snapshot(owner)?, false)));
        let replicas: Vec<_> = replicas.collect();
        let pause = 1 + self.below(12_000);
        self.world.run(Duration::from_millis(pause));
        let fate = if spared { fate } else { Fate::Intact };
        let damaged = self.spoil(n, fate);
        let replicas = match fate {
            Fate::Intact | Fate::Damaged => replicas,
            Fate::Lost | Fate::RolledBack => Vec::new(),
        };
        let (disk, taken) = self.disks.get_mut(&n).expect("each node has one");
        *taken = 0;
        let disk = disk.clone();
        self.world.start_from(n, disk, damaged, replicas);
        self.look();
    }

    /// What becomes of a disk; whether it knows that it is damaged.
    fn spoil(&mut self, n: u8, fate: Fate) -> bool {
        let (at, back) = (self.below(1 << 30), self.below(3_600_000));
        let (disk, _) = self.disks.get_mut(&n).expect("each node has one");
        match fate {
            Fate::Intact => return false,
            Fate::Lost => *disk = None,
            Fate::RolledBack => {
                let old = self.backups.get(&n).filter(|old| !old.is_empty());
                *disk = old.map(|old| old[usize::try_from(at).expect("small") % old.len()].clone());
            }
            Fate::Damaged => {
                let Some(disk) = disk.as_mut().filter(|disk| !disk.changes.is_empty()) else {
                    return false;
                };
                let at = usize::try_from(at).expect("small") % disk.changes.len();
                disk.changes.remove(at);
                return true;
            }
        }
        self.world.epochs.remove(&n);
        self.world.epochs_from.insert(n, world::START_MS - back);
        false
    }

    /// Removes another node's instance through the catalog.
    fn overrule(&mut self, n: u8) {
        let other = self.node();
        let which = self.below(3);
        if other == n || !self.world.peers.contains_key(&n) {
            return;
        }
        let service = service(&format!("s{which}"));
        let command = Command::DeregisterCatalog {
            node: world::name(other),
            service: Some(service.clone()),
            check: None,
        };
        self.world.call(n, command);
        self.overruled.insert(Key::Instance(id(other), service));
    }

    fn external(&mut self, n: u8) {
        if !self.world.peers.contains_key(&n) {
            return;
        }
        let node = NodeName::new("db").expect("a short name");
        self.port += 1;
        let command = if self.below(3) == 0 {
            Command::DeregisterCatalog {
                node,
                service: None,
                check: None,
            }
        } else {
            Command::RegisterExternal {
                node,
                record: external_node("10.9.9.9"),
                keeps_record: false,
                renames: None,
                service: Some((service("pg"), Box::new(instance("pg", self.port)))),
                checks: Vec::new(),
            }
        };
        self.world.call(n, command);
    }

    /// Leaves so many removal marks that the watermark moves.
    fn leave_marks(&mut self, n: u8) {
        for gone in 0..70 {
            if !self.world.peers.contains_key(&n) {
                return;
            }
            let id = service(&format!("gone-{gone}"));
            let register = Command::RegisterService(Registration {
                id: id.clone(),
                instance: Box::new(instance("gone", 1)),
                checks: Vec::new(),
                replace_checks: false,
            });
            self.world.call(n, register);
            self.world.call(n, Command::DeregisterService { id });
        }
    }

    /// Says goodbye; the node is back soon.
    fn depart(&mut self, n: u8) {
        if self.world.peers.contains_key(&n) {
            self.world.call(n, Command::Depart(Departure::Restarting));
            self.world.run(Duration::from_secs(1));
            self.crash(n, Fate::Intact);
        }
    }

    fn heal(&mut self) {
        for n in 1..=NODES {
            self.release(n);
            self.set_disk(n, false, false);
        }
        self.world.cut.clear();
        self.world.loss = 0;
        self.world.run(Duration::from_secs(15));
        self.look();
    }

    fn judge(&self) {
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        for (key, values) in &self.possible {
            for (n, peer) in &self.world.peers {
                let found = match peer.records.get(key).map(Content::body) {
                    Some(Body::Instance(instance)) => Some(instance.port),
                    _ => None,
                };
                let gone = found.is_none() && self.overruled.contains(key);
                assert!(
                    gone || values.contains(&found),
                    "{key:?} at {n}: {found:?}, not {values:?}"
                );
            }
        }
    }
}

/// What a disk holds after one more batch.
fn joined(disk: Option<Snapshot>, transfer: Transfer) -> Snapshot {
    let owner = transfer.state().owner;
    let mut registry = Registry::new(id(99), ClusterId::from_bytes([0; 16]));
    match transfer {
        Transfer::Snapshot(snapshot) => registry.restore(snapshot, false).expect("it is sound"),
        delta @ Transfer::Delta(_) => {
            if let Some(disk) = disk {
                registry.restore(disk, false).expect("it is sound");
            }
            let applied = registry.apply(delta).expect("it is sound");
            assert!(!applied.gap, "a batch builds on what is not on disk");
        }
    }
    let mut state = registry.state(owner).expect("it has the feed");
    if registry.is_damaged(owner) {
        // The disk remembers what it lost.
        state.sum = !state.sum;
    }
    let changes = registry.changes(owner).cloned().collect();
    Snapshot { state, changes }
}
