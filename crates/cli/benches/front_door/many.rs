//! Ten thousand services registered at one agent: does anything that it is asked for make the loop stand
//! still that owns the node?

use std::{net::SocketAddr, time::Instant};

use crate::{
    agent::Server,
    client::{Client, request},
    table::Table,
};

/// Services, each with one instance: as many records as a node may have, less its own.
const SERVICES: usize = 9_999;
/// Registrations in one call.
const BATCH: usize = 500;
/// Services that are asked for one by one.
const ASKED: usize = 1_000;

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let mut starts = Vec::new();
    let mut lists = Vec::new();
    let mut turns = Vec::new();
    for _ in 0..rounds {
        let agent = Server::agent();
        let mut client = Client::connect(agent.http);
        for first in (0..SERVICES).step_by(BATCH) {
            let instances: Vec<_> = (first..SERVICES.min(first + BATCH)).map(instance).collect();
            let body = format!(r#"{{"Services": [{}]}}"#, instances.join(","));
            client.call(&request("PUT", "/v1/tidings/services", &body));
        }
        ask(&mut client, &mut lists);
        let registered = longest_turn_ms(agent.http);
        let begun = Instant::now();
        let agent = agent.again();
        let mut client = Client::connect(agent.http);
        let shown = client.call(&request("GET", "/v1/agent/services", ""));
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        let shown = String::from_utf8_lossy(&shown.body);
        assert_eq!(
            shown.matches("\"Service\":").count(),
            SERVICES,
            "all are there again"
        );
        ask(&mut client, &mut lists);
        turns.push(registered.max(longest_turn_ms(agent.http)));
    }
    let what = format!("{SERVICES} services: start until all are listed");
    table.cost(&what, "ms", starts, (10_000.0, 1_000.0));
    let what = format!("{SERVICES} services: one of the lists of all of them");
    table.cost(&what, "ms", lists, (1_000.0, 100.0));
    let what = "the same: longest turn of the driver, registered, started, asked";
    table.cost(what, "ms", turns, (50.0, 50.0));
}

/// Asks for every list of all services, and for some services by their names.
fn ask(client: &mut Client, lists: &mut Vec<f64>) {
    for list in [
        "/v1/agent/services",
        "/v1/catalog/services",
        "/v1/catalog/node/bench",
        "/v1/health/state/any",
        "/v1/tidings/http_sd",
    ] {
        let begun = Instant::now();
        client.call(&request("GET", list, ""));
        lists.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    for number in (0..SERVICES).step_by(SERVICES / ASKED) {
        let path = format!("/v1/health/service/many-{number}");
        client.call(&request("GET", &path, ""));
    }
}

fn longest_turn_ms(at: SocketAddr) -> f64 {
    // The figures are laid out anew each second.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let told = Client::connect(at).call(&request("GET", "/v1/tidings/metrics", ""));
    let told = String::from_utf8_lossy(&told.body);
    let name = "tidings_driver_longest_turn_milliseconds ";
    let line = told.lines().find_map(|line| line.strip_prefix(name));
    let longest = line.and_then(|value| value.trim().parse().ok());
    longest.expect("the agent tells its longest turn")
}

fn instance(number: usize) -> String {
    format!(
        r#"{{"ID": "many-{number}-a", "Name": "many-{number}", "Port": {}, "Tags": ["v1"], "Meta": {{"team": "t-{}"}}}}"#,
        1 + number,
        number % 50
    )
}
