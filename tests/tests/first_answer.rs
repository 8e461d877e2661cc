//! The first question that an agent answers after a start finds all that its disk held.

use std::thread;

use serde_json::json;
use tidings_tests::{
    agent::Agent,
    cluster,
    dns::Dns,
    http::Http,
    stage::{Needs, story},
    stats::times,
};

/// As many as take an agent some time to show.
const INSTANCES: usize = 300;

#[test]
fn the_first_answer_after_a_start_shows_what_was_acknowledged() {
    let name = "the_first_answer_after_a_start_shows_what_was_acknowledged";
    story(name, Needs::Nothing, |stage| {
        let mut agent = Agent::start(cluster::spec(stage, "n1"));
        for number in 0..INSTANCES {
            let id = format!("web-{number}");
            let body = json!({"Name": "web", "ID": id, "Port": 1_000 + number});
            let taken = agent.http().accept("/v1/agent/service/register", &body);
            taken.expect("it takes registrations");
        }
        for start in 0..times(50, 15) {
            agent.kill();
            // They ask before there is anybody to answer.
            let dns = *agent.dns();
            let over_dns = thread::spawn(move || first_over_dns(dns));
            let http = Http::new(agent.spec().http);
            let over_http = thread::spawn(move || first_over_http(&http));
            agent.restart();
            let asked = |client: thread::JoinHandle<usize>| client.join().expect("it is answered");
            assert!(asked(over_dns) > 0, "DNS names nothing after start {start}");
            assert_eq!(asked(over_http), INSTANCES, "HTTP, after start {start}");
        }
    });
}

#[test]
fn the_first_answer_of_a_new_agent_tells_where_it_is() {
    let name = "the_first_answer_of_a_new_agent_tells_where_it_is";
    story(name, Needs::Nothing, |stage| {
        for start in 0..times(50, 15) {
            let spec = cluster::spec(stage, &format!("n{start}"));
            let http = Http::new(spec.http);
            let first = thread::spawn(move || {
                loop {
                    if let Ok(nodes) = http.json("/v1/catalog/nodes") {
                        return nodes;
                    }
                }
            });
            let _agent = Agent::start(spec);
            let nodes = first.join().expect("it is answered");
            assert_eq!(nodes[0]["Address"], "127.0.0.1", "{nodes}");
            assert_ne!(nodes[0]["ModifyIndex"], 0, "{nodes}");
        }
    });
}

/// How many instances the first answer names: as many as fit a datagram.
fn first_over_dns(dns: Dns) -> usize {
    loop {
        if let Ok(found) = dns.targets("web") {
            return found.len();
        }
    }
}

fn first_over_http(http: &Http) -> usize {
    loop {
        if let Ok(found) = http.json("/v1/health/service/web?passing") {
            return found.as_array().map_or(0, Vec::len);
        }
    }
}
