//! Whole agents in one process, over real sockets on loopback.

use std::{net::SocketAddr, path::Path, time::Duration};

use tidings_agent::{Agent, Options, Settings, StartError, Stop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
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
    eventually_at(agent, "/v1/health/service/web", what, fits).await;
}

/// Waits until what `agent` answers at `path` fits.
async fn eventually_at(agent: &Agent, path: &str, what: &str, fits: impl Fn(&str) -> bool) {
    let until = Instant::now() + DEADLINE;
    loop {
        let answer = http(agent.addresses().http, "GET", path, "").await;
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

/// How many places DNS names for `consul.service.consul`.
async fn dns_places(agent: &Agent) -> u16 {
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x06consul\x07service\x06consul\0\0\x21\0\x01";
    let exchange = async {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.send_to(query, agent.addresses().dns).await?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).await?;
        assert!(length > 12, "an answer has a header");
        std::io::Result::Ok(answer)
    };
    let answer = timeout(DEADLINE, exchange).await.expect("DNS answers");
    let answer = answer.expect("the socket works");
    u16::from_be_bytes([answer[6], answer[7]])
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_listed_as_consul_lists_its_servers_while_they_live() {
    let a = start(options("a", &[])).await;
    let b = start(options("b", &[&a])).await;
    let path = "/v1/health/service/consul?passing";
    let ports = [&a, &b].map(|agent| format!("\"Port\": {},", agent.addresses().gossip.port()));
    for agent in [&a, &b] {
        eventually_at(agent, path, "both agents", |answer| {
            ports.iter().all(|port| answer.contains(port))
        })
        .await;
        assert_eq!(dns_places(agent).await, 2);
    }
    let own = http(a.addresses().http, "GET", "/v1/agent/services", "").await;
    assert_eq!(own.trim(), "{}");
    stop(&b).await;
    eventually_at(&a, path, "the end of one", |answer| {
        answer.contains(&ports[0]) && !answer.contains(&ports[1])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_part_counts_is_told() {
    let a = start(options("a", &[])).await;
    let b = start(options("b", &[&a])).await;
    // Known to each other before, so that the registration comes as a rumor.
    for agent in [&a, &b] {
        eventually_at(agent, "/v1/catalog/nodes", "the other", |answer| {
            answer.contains("\"a\"") && answer.contains("\"b\"")
        })
        .await;
    }
    register(&b, "web-b").await;
    eventually(&a, "the instance", |answer| answer.contains("web-b")).await;
    assert_eq!(dns_places(&a).await, 2);
    let is_positive = |text: &str, sample: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.is_some_and(|value| value != "0")
    };
    let moving = [
        "tidings_members_reachable",
        "tidings_feeds",
        "tidings_http_requests_total{code=\"2xx\"}",
        "tidings_dns_queries_total{transport=\"udp\"}",
        "tidings_transport_datagrams_received_total",
        "tidings_transport_datagrams_sent_total",
        "tidings_membership_probes_total",
        "tidings_node_rumors_new_total",
        "tidings_driver_turns_total",
    ];
    eventually_at(&a, "/v1/tidings/metrics", "a figure", |answer| {
        moving.iter().all(|sample| is_positive(answer, sample))
    })
    .await;
    let metrics = http(a.addresses().http, "GET", "/v1/tidings/metrics", "").await;
    assert!(metrics.contains("\ntidings_members{status=\"alive\"} 2\n"));
    for line in metrics.lines().filter(|line| !line.starts_with("# ")) {
        let (sample, value) = line.rsplit_once(' ').expect(line);
        assert!(sample.starts_with("tidings_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_answers_was_heard_just_now() {
    let a = start(options("a", &[])).await;
    let b = start(options("b", &[&a])).await;
    let number = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
        let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit());
        digits.into_iter().next()?.parse::<u64>().ok()
    };
    let of_b = format!("\"{}\"", b.node());
    // Were it told only when the roster changes, it would be as old as the meeting.
    eventually_at(&a, "/v1/tidings/status", "a fresh word", |answer| {
        let uptime = number(answer, "uptime_ms").unwrap_or_default();
        let member = answer.split_once(&of_b).map(|(_, member)| member);
        let heard = member.and_then(|member| number(member, "heard_ms"));
        uptime > 5_000 && heard.is_some_and(|heard| heard < 3_000)
    })
    .await;
}
