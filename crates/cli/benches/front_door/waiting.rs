//! Ten thousand blocking queries on a thousand services: what they cost while nothing happens, and how
//! fast those, and only those, that wait for a service learn that it changed.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    agent::Server,
    client::{Client, request},
    cost::core_time,
    table::Table,
};

const SERVICES: usize = 1_000;
/// Of each service.
const WATCHERS: usize = 10;
/// How long the idle watchers are looked at.
const IDLE: Duration = Duration::from_secs(60);
/// Those that should not wake get so long to show that they did.
const OTHERS: Duration = Duration::from_millis(300);

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let agent = Server::agent();
    let mut client = Client::connect(agent.http);
    for service in 0..SERVICES {
        client.call(&register(service, 1));
    }
    let idle = |times: u32| {
        let before = core_time(agent.pid());
        sleep(IDLE / times);
        (core_time(agent.pid()) - before).as_secs_f64() / (IDLE / times).as_secs_f64() * 100.0
    };
    let alone = idle(6);
    let mut watchers: Vec<_> = (0..SERVICES * WATCHERS)
        .map(|number| Watcher::connect(&agent, number % SERVICES))
        .collect();
    let waited = idle(1) - alone;
    table.cost(
        "10,000 idle watchers",
        "% of a core",
        vec![waited],
        (1.0, 1.0),
    );
    let mut latest = Vec::new();
    for round in 0..rounds {
        let service = 7 + round * 13;
        // A connection of before would have been closed for its silence.
        let mut client = Client::connect(agent.http);
        let begun = Instant::now();
        client.call(&register(service, 2 + round));
        let mine = watchers
            .iter_mut()
            .filter(|watcher| watcher.service == service);
        let woken: Vec<_> = mine
            .map(|watcher| {
                watcher.wake();
                begun.elapsed()
            })
            .collect();
        assert_eq!(woken.len(), WATCHERS);
        latest.push(woken.iter().max().expect("some").as_secs_f64() * 1e3);
        sleep(OTHERS);
        let others = watchers
            .iter_mut()
            .filter(|watcher| watcher.service != service);
        let disturbed = others.filter_map(|watcher| watcher.is_woken().then_some(watcher.service));
        let disturbed: Vec<_> = disturbed.collect();
        assert!(
            disturbed.is_empty(),
            "watchers of other services woke: {disturbed:?}"
        );
        for watcher in watchers
            .iter_mut()
            .filter(|watcher| watcher.service == service)
        {
            watcher.ask();
        }
    }
    table.cost(
        "one change, until the last of its 10 watchers has it",
        "ms",
        latest,
        (100.0, 20.0),
    );
}

/// A client that waits for a change of one service.
#[derive(Debug)]
struct Watcher {
    service: usize,
    client: Client,
    index: String,
}

impl Watcher {
    fn connect(agent: &Server, service: usize) -> Self {
        let mut client = Client::connect(agent.http);
        let path = format!("/v1/health/service/s-{service}");
        let reply = client.call(&request("GET", &path, ""));
        let index = reply.header("x-consul-index").expect("a read has an index");
        let index = index.to_owned();
        let mut watcher = Self {
            service,
            client,
            index,
        };
        watcher.ask();
        watcher
    }

    fn ask(&mut self) {
        let (service, index) = (self.service, &self.index);
        let path = format!("/v1/health/service/s-{service}?wait=10m&index={index}");
        self.client.send(&request("GET", &path, ""));
    }

    fn wake(&mut self) {
        let reply = self.client.receive();
        let index = reply.header("x-consul-index").expect("a read has an index");
        index.clone_into(&mut self.index);
    }

    fn is_woken(&self) -> bool {
        self.client.has_more()
    }
}

fn register(service: usize, port: usize) -> Vec<u8> {
    let body = format!(r#"{{"ID": "s-{service}", "Name": "s-{service}", "Port": {port}}}"#);
    request("PUT", "/v1/agent/service/register", &body)
}
