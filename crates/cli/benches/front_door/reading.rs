//! `health/service` of five instances: what an answer costs the agent, beside what it costs the same
//! HTTP library to return the same bytes as a constant.

use std::time::Duration;

use crate::{
    agent::Server,
    client::{Client, request},
    constant,
    cost::core_time,
    table::Table,
};

/// Connections that ask at the same time.
const CONNECTIONS: usize = 16;
/// Questions on each of them per round.
const ASKED: usize = 3_000;

/// What is asked of the ratio: must and aim.
const WANTED: (f64, f64) = (1.4, 1.1);

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let agent = Server::agent();
    let mut client = Client::connect(agent.http);
    for number in 0..5 {
        client.call(&request(
            "PUT",
            "/v1/agent/service/register",
            &instance(number),
        ));
    }
    let question = request("GET", "/v1/health/service/web?passing", "");
    let reply = client.call(&question);
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let constant = constant::start(&reply, dir.path());
    let same = Client::connect(constant.http).call(&question);
    assert_eq!(same.body, reply.body, "both servers answer the same");
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (agent, plain) = (ask(&agent, &question), ask(&constant, &question));
        ratios.push(agent.as_secs_f64() / plain.as_secs_f64());
        ours.push(agent.as_secs_f64() * 1e6);
        theirs.push(plain.as_secs_f64() * 1e6);
    }
    let what = format!(
        "health/service, 5 instances, {} B, to a constant",
        reply.body.len()
    );
    table.cost(&what, "ratio", ratios, WANTED);
    table.cost(
        "  an agent's answer",
        "us of a core",
        ours,
        (f64::INFINITY, 0.0),
    );
    table.cost(
        "  a constant answer",
        "us of a core",
        theirs,
        (f64::INFINITY, 0.0),
    );
}

/// The server's time on a core per answer.
fn ask(server: &Server, question: &[u8]) -> Duration {
    let connect = |_| Client::connect(server.http);
    let mut clients: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    let mut turns = |times: usize| {
        for _ in 0..times {
            clients.iter_mut().for_each(|client| client.send(question));
            for client in &mut clients {
                client.receive();
            }
        }
    };
    turns(ASKED / 10); // Until both know their way.
    let before = core_time(server.pid());
    turns(ASKED);
    let answers = u32::try_from(ASKED * CONNECTIONS).expect("few");
    (core_time(server.pid()) - before) / answers
}

fn instance(number: usize) -> String {
    format!(
        r#"{{"ID": "web-{number}", "Name": "web", "Address": "192.0.2.{number}", "Port": 808{number},
            "Tags": ["v1", "primary"], "Meta": {{"version": "1.2.3", "team": "shop"}},
            "Check": {{"TTL": "10h", "Status": "passing"}}}}"#
    )
}
