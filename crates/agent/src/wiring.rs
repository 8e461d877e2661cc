//! The parts of an agent, put together.

use std::{
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use tidings_checks::Checks;
use tidings_dns::{Dns, DnsSettings};
use tidings_http::{
    AgentInfo, Defined, Hooks, HttpState, KeyringCall, KeyringFuture, KnockFuture, Limits, LogTap,
    Metrics, ReloadFuture, Setup, SetupFuture,
};
use tidings_node::{Boot, Config, Node};
use tidings_types::{CheckId, CheckKind, CheckStatus, Departure, NodeId};
use tidings_view::{Commands, View, ViewSettings};
use tokio::sync::{mpsc, watch};

use crate::{
    agent::{Addresses, Stop, ask_to_stop},
    certificates::Certificates,
    check_results::CheckResults,
    clock::{Clock, wall_ms},
    definitions::{self, DefinitionFiles, Follower, Loaded},
    doors::Doors,
    driver::{Driver, FeedQueue, FigureBoard, Parts, Sources, random_bits},
    error::StartError,
    inheritance::Inheritance,
    keyring::Keyring,
    metrics::Counting,
    reload::Reload,
    settings::{Programs, Settings},
    setup::Looking,
    storage::Storage,
    supervisor::{self, Crew},
    transport::{Event, Transport},
    watchdog::{Pulse, Watchdog},
};

/// Commands that wait for the driver; a further one is refused as busy.
const COMMANDS: usize = 1_024;

/// The ports, opened, what the HTTPS one secures its connections with, and what definition files say.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) doors: Doors,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) defined: Loaded,
    pub(crate) transport: Transport,
    pub(crate) events: mpsc::Receiver<Event>,
}

/// Asks the agent to stop, and tells how it did.
#[derive(Debug)]
pub(crate) struct Reins {
    pub(crate) stop: watch::Sender<Option<Departure>>,
    pub(crate) stopped: watch::Receiver<Option<Stop>>,
    pub(crate) reload: Reload,
}

/// Puts the parts together and sets them going.
///
/// # Errors
/// If the system has no thread or randomness to give.
pub(crate) fn wire(
    settings: &Settings,
    addresses: Addresses,
    mut storage: Storage,
    outside: Outside,
) -> Result<Reins, StartError> {
    let transport = outside.transport;
    let me = storage.key.node_id();
    let boot = boot(settings, addresses.gossip, &mut storage)?;
    let first_index = storage.first_index;
    let (writer, view) = tidings_view::channel(view_settings(settings, me, first_index));
    let (commands, receiver) = tidings_view::commands(COMMANDS);
    let checks = start_checks(&commands, &view);
    let (definitions, follower) = definition_files(settings, &commands, &checks, &view);
    let reload = Reload::of(definitions, outside.certificates);
    let stop = watch::Sender::new(None);
    let (seeds_found, seeds) = watch::channel(Vec::new());
    let pulse = Pulse::default();
    let watchdog = Watchdog::start(pulse.clone()).map_err(StartError::Thread)?;
    let dns = Dns::new(view.clone(), DnsSettings::default());
    let figures = FigureBoard::default();
    let keyring = Keyring::new(settings.keys.clone(), transport.clone(), view.clone());
    let counting = counting(&checks, &dns, &transport, &figures, &pulse, &reload);
    let looking = Looking::new(settings, addresses, view.clone(), transport.clone());
    let front_door = FrontDoor::new(settings, &keyring, counting, &stop, &reload, looking);
    let inheritance = Inheritance::new(storage.inherited, storage.dir.clone(), commands.clone());
    let info = info(settings, addresses);
    let http = HttpState::new(view.clone(), commands, info, front_door, Limits::default());
    let clock = Clock::start();
    let sources = Sources {
        stop: stop.subscribe(),
        feed_saved: storage.feed_saved,
        registry_saved: storage.registry_saved,
        events: outside.events,
        seeds,
        commands: receiver,
    };
    let identity = Arc::new(Mutex::new(storage.identity));
    let parts = Parts {
        node: Node::new(config(settings, addresses.gossip), boot, clock.now()),
        me,
        clock,
        transport: transport.clone(),
        writer,
        view: view.clone(),
        checks: Arc::clone(&checks),
        feed: FeedQueue::new(storage.feed, storage.epoch),
        registry: storage.registry,
        identity: Arc::clone(&identity),
        dir: storage.dir,
        pulse,
        figures,
        keyring,
    };
    let stopped = supervisor::set_going(Crew {
        driver: Driver::new(parts, sources),
        http,
        dns,
        doors: outside.doors,
        certificates: reload.certificates.clone(),
        definitions: (follower, outside.defined),
        checks,
        seeds: settings.seeds.clone(),
        seeds_found,
        view,
        identity,
        transport,
        watchdog,
        inheritance,
    });
    Ok(Reins {
        stop,
        stopped,
        reload,
    })
}

fn counting(
    checks: &Arc<Checks<CheckResults>>,
    dns: &Dns,
    transport: &Transport,
    driver: &FigureBoard,
    pulse: &Pulse,
    reload: &Reload,
) -> Counting {
    Counting {
        checks: Arc::clone(checks),
        dns: dns.clone(),
        transport: transport.clone(),
        driver: driver.clone(),
        pulse: pulse.clone(),
        definitions: reload.definitions.clone(),
        certificates: reload.certificates.clone(),
    }
}

fn view_settings(settings: &Settings, me: NodeId, first_index: u64) -> ViewSettings {
    let name = settings.name.clone();
    ViewSettings::new(me, name, &settings.datacenter, first_index)
}

fn start_checks(commands: &Commands, view: &View) -> Arc<Checks<CheckResults>> {
    let setup = tidings_checks::Setup {
        view: Some(view.clone()),
        ..tidings_checks::Setup::default()
    };
    Arc::new(Checks::new(CheckResults(commands.clone()), setup))
}

fn definition_files(
    settings: &Settings,
    commands: &Commands,
    checks: &Arc<Checks<CheckResults>>,
    view: &View,
) -> (DefinitionFiles, Follower) {
    let place = definitions::Place {
        dir: settings.definition_dir.clone(),
        data: settings.data_dir.clone(),
        programs: settings.programs != Programs::Never,
    };
    definitions::follow(place, commands.clone(), Arc::clone(checks), view.clone())
}

/// What the node begins with; the records are taken out of `storage`.
fn boot(
    settings: &Settings,
    gossip: SocketAddr,
    storage: &mut Storage,
) -> Result<Boot, StartError> {
    Ok(Boot {
        node: storage.key.node_id(),
        cluster: settings.cluster,
        epoch: storage.epoch,
        addr: gossip,
        seed: random_bits().map_err(|_| StartError::NoRandomness)?,
        wall_ms: wall_ms(),
        own: storage.own.take(),
        own_damaged: storage.own_damaged,
        replicas: mem::take(&mut storage.replicas),
        members: mem::take(&mut storage.members),
    })
}

fn config(settings: &Settings, gossip: SocketAddr) -> Config {
    Config {
        datacenter: settings.datacenter.clone(),
        ..Config::new(settings.name.clone(), gossip.ip().to_string())
    }
}

fn info(settings: &Settings, addresses: Addresses) -> AgentInfo {
    AgentInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("TIDINGS_REVISION")
            .unwrap_or_default()
            .to_owned(),
        gossip: addresses.gossip,
        http: addresses.http,
        https: addresses.https,
        dns: addresses.dns,
        allowed_hosts: settings.allow_hosts.clone(),
        cluster: settings.cluster_name.clone(),
        dev: settings.data_dir.is_none(),
        started: SystemTime::now(),
    }
}

/// What the HTTP API needs of the agent beside view and commands.
#[derive(Debug)]
struct FrontDoor {
    keyring: Keyring,
    counting: Counting,
    stop: watch::Sender<Option<Departure>>,
    log: Option<LogTap>,
    programs: Programs,
    reload: Reload,
    looking: Looking,
}

impl FrontDoor {
    fn new(
        settings: &Settings,
        keyring: &Keyring,
        counting: Counting,
        stop: &watch::Sender<Option<Departure>>,
        reload: &Reload,
        looking: Looking,
    ) -> Self {
        Self {
            keyring: keyring.clone(),
            counting,
            stop: stop.clone(),
            log: settings.log.clone(),
            programs: settings.programs,
            reload: reload.clone(),
            looking,
        }
    }
}

impl Hooks for FrontDoor {
    fn check_reported(
        &self,
        check: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> (CheckStatus, String) {
        self.counting.checks.ttl_touched(check, status, output)
    }

    fn allow_program(&self, check: &CheckId, kind: &CheckKind) -> bool {
        self.programs == Programs::OfAnybody && self.counting.checks.allow_program(check, kind)
    }

    fn definition_file(&self, what: Defined<'_>) -> Option<String> {
        self.reload.definitions.source(what)
    }

    fn reload(&self) -> ReloadFuture {
        Box::pin(self.reload.clone().run())
    }

    fn leave(&self) {
        ask_to_stop(&self.stop, Departure::Left);
    }

    fn keyring(&self, call: KeyringCall, everywhere: bool) -> KeyringFuture {
        let keyring = self.keyring.clone();
        Box::pin(async move { keyring.call(call, everywhere).await })
    }

    fn setup(&self) -> SetupFuture {
        let looking = self.looking.clone();
        let definitions_refused = self.reload.definitions.refused();
        Box::pin(async move {
            Setup {
                definitions_refused,
                ..looking.look().await
            }
        })
    }

    fn knock(&self, addresses: Vec<SocketAddr>) -> KnockFuture {
        let looking = self.looking.clone();
        Box::pin(async move {
            let answers = looking.knock(addresses.into_iter().collect()).await;
            answers.into_values().collect()
        })
    }

    fn log(&self) -> Option<LogTap> {
        self.log.clone()
    }

    fn metrics(&self, metrics: &mut Metrics) {
        self.counting.add_to(metrics);
    }
}
