//! Registrations that are on disk at one agent when they are acknowledged.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    agent::Server,
    client::{Client, request},
    table::Table,
};

/// Connections that register at the same time.
const CONNECTIONS: usize = 64;
/// Instances that each connection registers again and again, with another port each time.
const INSTANCES: usize = 40;
/// Instances of one service.
const SHARE: usize = 5;
/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(3);
/// Registrations in one call.
const BATCH: usize = 500;
/// Connections that make such calls.
const BATCHERS: usize = 4;

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let agent = Server::agent();
    let rates =
        (0..rounds).map(|round| rate(CONNECTIONS, |number| single(agent.http, number, round)));
    let what = "registrations on disk, one per call, 64 connections";
    table.rate(what, "per s", rates.collect(), (10_000.0, 25_000.0));
    drop(agent);
    let agent = Server::agent();
    let rates =
        (0..rounds).map(|round| rate(BATCHERS, |number| batches(agent.http, number, round)));
    let what = format!("registrations on disk, {BATCH} per call, {BATCHERS} connections");
    table.rate(&what, "per s", rates.collect(), (50_000.0, 200_000.0));
}

/// What so many threads do in a second, all together.
fn rate(threads: usize, one: impl Fn(usize) -> usize + Sync) -> f64 {
    let begun = Instant::now();
    let done: usize = thread::scope(|scope| {
        let one = &one;
        let begin = |number| scope.spawn(move || one(number));
        let threads: Vec<_> = (0..threads).map(begin).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|done| done.expect("every call succeeds")).sum()
    });
    done as f64 / begun.elapsed().as_secs_f64()
}

fn single(at: SocketAddr, number: usize, round: usize) -> usize {
    let mut client = Client::connect(at);
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < ROUND {
        let body = instance(number, done % INSTANCES, round * 100 + done / INSTANCES);
        client.call(&request("PUT", "/v1/agent/service/register", &body));
        done += 1;
    }
    done
}

fn batches(at: SocketAddr, number: usize, round: usize) -> usize {
    let mut client = Client::connect(at);
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < ROUND {
        let instances: Vec<_> = (0..BATCH)
            .map(|id| instance(number, id, round * 1000 + done / BATCH))
            .collect();
        let body = format!(r#"{{"Services": [{}]}}"#, instances.join(","));
        client.call(&request("PUT", "/v1/tidings/services", &body));
        done += BATCH;
    }
    done
}

/// Another port each time, so that each registration is a change.
fn instance(client: usize, id: usize, version: usize) -> String {
    let (service, port) = (id / SHARE, 1 + version % 60_000);
    format!(
        r#"{{"ID": "s-{client}-{id}", "Name": "s-{client}-{service}", "Port": {port}, "Tags": ["v1"]}}"#
    )
}
