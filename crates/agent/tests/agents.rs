//! Whole agents in one process, over real sockets on loopback.

use std::{net::SocketAddr, path::Path, time::Duration};

use tidings_agent::{Agent, Options, Settings, StartError, Stop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// What must come at last comes within this.
const DEADLINE: Duration = Duration::from_secs(15);

fn options(name: &str, join: &[&Agent]) -> Options {
    Options {
        name: Some(name.to_owned()),
        gossip_port: Some(0),
        http_port: Some(0),
        dns_port: Some(0),
        join: join
            .iter()
            .map(|a| a.addresses().gossip.to_string())
            .collect(),
        // Tests run side by side and must not meet each other's agents.
        cluster: Some(format!("{:?}", std::thread::current().name())),
        ..Options::default()
    }
}

async fn start(options: Options) -> Agent {
    let settings = Settings::check(options).expect("the options are sound");
    Agent::start(settings).await.expect("every port is free")
}

async fn on_disk(dir: &Path, name: &str, join: &[&Agent]) -> Agent {
    let data_dir = Some(dir.to_owned());
    start(Options {
        data_dir,
        ..options(name, join)
    })
    .await
}

async fn stop(agent: &Agent) -> Stop {
    agent.request_stop();
    timeout(DEADLINE, agent.stopped())
        .await
        .expect("the agent stops")
}

/// One request, the answer's body. Empty if nobody answers.
async fn http(at: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(at).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {at}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = exchange.await.unwrap_or_default();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 200"),
        "{answer}"
    );
    body.to_owned()
}

async fn register(agent: &Agent, id: &str) {
    let body = format!(r#"{{"Name":"web","ID":"{id}","Port":80}}"#);
    let path = "/v1/agent/service/register";
    http(agent.addresses().http, "PUT", path, &body).await;
}

/// Waits until what `agent` answers for the service fits.
async fn eventually(agent: &Agent, what: &str, fits: impl Fn(&str) -> bool) {
    let until = Instant::now() + DEADLINE;
    loop {
        let answer = http(agent.addresses().http, "GET", "/v1/health/service/web", "").await;
        if fits(&answer) {
            return;
        }
        assert!(
            Instant::now() < until,
            "{what} did not come to pass: {answer}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_share_a_seed_answer_for_each_other() {
    let a = start(options("a", &[])).await;
    let b = start(options("b", &[&a])).await;
    let c = start(options("c", &[&a])).await;
    register(&a, "web-a").await;
    register(&c, "web-c").await;
    for agent in [&a, &b, &c] {
        eventually(agent, "both instances", |answer| {
            answer.contains("web-a") && answer.contains("web-c")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_leaves_stops_and_takes_its_instances_along() {
    let a = start(options("a", &[])).await;
    let b = start(options("b", &[&a])).await;
    register(&b, "web-b").await;
    eventually(&a, "the instance", |answer| answer.contains("web-b")).await;
    http(b.addresses().http, "PUT", "/v1/agent/leave", "").await;
    eventually(&a, "its end", |answer| !answer.contains("web-b")).await;
    let stopped = timeout(DEADLINE, b.stopped()).await;
    assert_eq!(stopped.expect("the agent stops"), Stop::Departed);
    assert_eq!(http(b.addresses().http, "GET", "/", "").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_restarts_is_served_meanwhile_and_is_the_same_after() {
    let place = tempfile::tempdir().unwrap();
    let a = start(options("a", &[])).await;
    let restarting = Options {
        data_dir: Some(place.path().to_owned()),
        leave_on_terminate: Some(false),
        ..options("b", &[&a])
    };
    let b = start(restarting.clone()).await;
    let node = b.node();
    register(&b, "web-b").await;
    eventually(&a, "the instance", |answer| answer.contains("web-b")).await;
    assert_eq!(stop(&b).await, Stop::Departed);
    let meanwhile = http(a.addresses().http, "GET", "/v1/health/service/web", "").await;
    assert!(meanwhile.contains("web-b"), "{meanwhile}");
    let again = start(restarting).await;
    assert_eq!(again.node(), node);
    eventually(&again, "its registration", |answer| {
        answer.contains("web-b")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_starts_nothing() {
    let place = tempfile::tempdir().unwrap();
    let first = on_disk(place.path(), "a", &[]).await;
    let taken = [
        (Some(first.addresses().http.port()), None, None, "HTTP"),
        (None, Some(first.addresses().dns.port()), None, "DNS"),
        (None, None, Some(first.addresses().gossip.port()), "gossip"),
    ];
    for (http_port, dns_port, gossip_port, named) in taken {
        let options = Options {
            http_port: http_port.or(Some(0)),
            dns_port: dns_port.or(Some(0)),
            gossip_port: gossip_port.or(Some(0)),
            ..options("b", &[])
        };
        let refused = Agent::start(Settings::check(options).unwrap()).await;
        let refused = refused.expect_err("the port is taken");
        assert!(
            matches!(refused, StartError::AddressTaken { door, .. } if door == named),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_agent_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let first = on_disk(place.path(), "a", &[]).await;
    let data_dir = Some(place.path().to_owned());
    let second = Settings::check(Options {
        data_dir,
        ..options("b", &[])
    })
    .unwrap();
    let refused = Agent::start(second.clone()).await;
    assert!(matches!(refused, Err(StartError::Disk(_))), "{refused:?}");
    stop(&first).await;
    let next = Agent::start(second)
        .await
        .expect("the directory is free again");
    assert_eq!(next.node(), first.node());
}
