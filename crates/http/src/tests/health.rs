//! `/v1/health/...`, and what is said of those who are not heard.

use tidings_types::{Liveness, MemberStatus};

use super::ground::Ground;

const ALIVE: (MemberStatus, Liveness) = (MemberStatus::Alive, Liveness::Live);
const STALE: (MemberStatus, Liveness) = (MemberStatus::Down, Liveness::Stale);
const DOWN: (MemberStatus, Liveness) = (MemberStatus::Down, Liveness::Hidden);

fn members(ground: &Ground, states: [(MemberStatus, Liveness); 3]) {
    let members: Vec<_> = states.iter().zip(1..).map(|(s, n)| (n, s.0, s.1)).collect();
    ground.members(&members);
}

#[tokio::test]
async fn an_instance_comes_with_its_node_and_every_check() {
    let ground = Ground::new();
    let body = r#"{"Name":"web","Port":80,"Check":{"CheckID":"c","Name":"C","TTL":"1m","Status":"passing"}}"#;
    ground.done("/v1/agent/service/register", body).await;
    let answer = ground.get("/v1/health/service/web").await;
    answer.is(
        200,
        concat!(
            r#"[{"Node":{"ID":"01010101-0101-0101-0101-010101010101","Node":"one","#,
            r#""Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":{"lan":"10.0.0.1","#,
            r#""lan_ipv4":"10.0.0.1","wan":"10.0.0.1","wan_ipv4":"10.0.0.1"},"#,
            r#""Meta":{"consul-network-segment":"","rack":"r1"},"#,
            r#""CreateIndex":102,"ModifyIndex":102},"#,
            r#""Service":{"ID":"web","Service":"web","Tags":[],"Address":"","Meta":{},"Port":80,"#,
            r#""Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"#,
            r#""Proxy":{"Mode":"","MeshGateway":{},"Expose":{}},"Connect":{},"PeerName":"","#,
            r#""CreateIndex":103,"ModifyIndex":103},"Checks":["#,
            r#"{"Node":"one","CheckID":"serfHealth","Name":"Serf Health Status","#,
            r#""Status":"passing","Notes":"","Output":"Agent alive and reachable","ServiceID":"","#,
            r#""ServiceName":"","ServiceTags":[],"Type":"","Interval":"","Timeout":"","#,
            r#""ExposedPort":0,"Definition":{},"CreateIndex":102,"ModifyIndex":102},"#,
            r#"{"Node":"one","CheckID":"c","Name":"C","Status":"passing","Notes":"","Output":"","#,
            r#""ServiceID":"web","ServiceName":"web","ServiceTags":[],"Type":"ttl","#,
            r#""Interval":"0s","Timeout":"0s","ExposedPort":0,"Definition":{},"#,
            r#""CreateIndex":103,"ModifyIndex":103}]}]"#,
        ),
    );
    assert_eq!(answer.index(), 103);
    assert_eq!(answer.header("x-tidings-stale"), None);
    assert_eq!(answer.header("x-tidings-island"), None);
}

#[tokio::test]
async fn passing_excludes_warnings() {
    let ground = Ground::new();
    let body = r#"{"Name":"web","Check":{"CheckID":"c","TTL":"1m","Status":"warning"}}"#;
    ground.done("/v1/agent/service/register", body).await;
    for flag in ["passing", "passing=1", "passing=true"] {
        ground
            .get(&format!("/v1/health/service/web?{flag}"))
            .await
            .is(200, "[]");
    }
    let all = ground
        .get("/v1/health/service/web?passing=false")
        .await
        .json();
    assert_eq!(all.as_array().unwrap().len(), 1);
    let text = "Invalid value for ?passing";
    ground
        .get("/v1/health/service/web?passing=maybe")
        .await
        .is(400, text);
    ground
        .get("/v1/health/service/")
        .await
        .is(400, "Missing service name");
    ground.get("/v1/health/service/nothing").await.is(200, "[]");
}

#[tokio::test]
async fn checks_are_listed_by_service_node_and_state() {
    let ground = Ground::new();
    let body = r#"{"Name":"web","Tags":["a"],"Check":{"CheckID":"c","TTL":"1m"}}"#;
    ground.done("/v1/agent/service/register", body).await;
    ground
        .done(
            "/v1/agent/check/register",
            r#"{"Name":"disk","TTL":"1m","Status":"passing"}"#,
        )
        .await;
    let ids = async |path: &str| {
        let checks = ground.get(path).await.json();
        let checks = checks.as_array().unwrap();
        checks
            .iter()
            .map(|c| c["CheckID"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("/v1/health/checks/web").await, ["c"]);
    assert_eq!(ids("/v1/health/checks/none").await, [""; 0]);
    assert_eq!(
        ids("/v1/health/node/one").await,
        ["serfHealth", "c", "disk"]
    );
    assert_eq!(ids("/v1/health/node/none").await, [""; 0]);
    assert_eq!(
        ids("/v1/health/state/any").await,
        ["serfHealth", "c", "disk"]
    );
    assert_eq!(ids("/v1/health/state/critical").await, ["c"]);
    assert_eq!(
        ids("/v1/health/state/passing").await,
        ["serfHealth", "disk"]
    );
    assert_eq!(ids("/v1/health/state/nonsense").await, [""; 0]);
    ground
        .get("/v1/health/state/")
        .await
        .is(400, "Missing check state");
    ground
        .get("/v1/health/node/")
        .await
        .is(400, "Missing node name");
    ground
        .get("/v1/health/checks/")
        .await
        .is(400, "Missing service name");
    let check = ground.get("/v1/health/checks/web").await.json()[0].clone();
    assert_eq!(check["ServiceTags"], serde_json::json!(["a"]));
}

#[tokio::test]
async fn a_named_check_that_is_not_here_is_critical_and_says_why() {
    let ground = Ground::new();
    ground
        .done(
            "/v1/agent/service/register",
            r#"{"Name":"web","Check":{"CheckID":"c","TTL":"1m","Status":"passing"}}"#,
        )
        .await;
    let key = tidings_types::Key::Check(
        super::ground::node_id(1),
        tidings_types::CheckId::new("c").unwrap(),
    );
    ground.node().write([(key, None)]);
    ground
        .get("/v1/health/service/web?passing")
        .await
        .is(200, "[]");
    let checks = ground.get("/v1/health/checks/web").await.json();
    assert_eq!(
        (&checks[0]["CheckID"], &checks[0]["Status"]),
        (&"c".into(), &"critical".into())
    );
    assert!(
        checks[0]["Output"]
            .as_str()
            .unwrap()
            .contains("has not reached this agent")
    );
}

#[tokio::test]
async fn an_island_answers_with_what_it_knew_and_says_so() {
    let ground = Ground::new();
    ground.two_more();
    members(&ground, [ALIVE, STALE, STALE]);
    ground
        .done("/v1/agent/service/register", r#"{"Name":"web"}"#)
        .await;
    let answer = ground.get("/v1/health/service/web?passing").await;
    assert_eq!(answer.header("x-tidings-island"), Some("true"));
    assert_eq!(answer.header("x-tidings-reachable"), Some("1 of 3"));
    assert_eq!(answer.header("x-tidings-stale"), Some("2"));
    assert_eq!(answer.header("x-consul-lastcontact"), Some("1000"));
    assert_eq!(
        answer.header("x-consul-effective-consistency"),
        Some("stale")
    );
    let nodes = answer.json();
    let names: Vec<_> = (0..3).map(|n| nodes[n]["Node"]["Node"].clone()).collect();
    assert_eq!(names, ["one", "three", "two"], "live ones first");
    let serf = &nodes[1]["Checks"][0];
    assert_eq!(serf["Status"], "passing");
    assert_eq!(serf["Output"], "stale: owner not heard for 1 s");
    assert_eq!(nodes[1]["Node"]["Meta"]["rack"], "r3");
    // Every answer says it, also those that hold no instances.
    let other = ground.get("/v1/status/leader").await;
    assert_eq!(other.header("x-tidings-island"), Some("true"));
    let flat = ground.get("/v1/catalog/service/web").await;
    assert_eq!(flat.header("x-tidings-stale"), Some("2"));
}

#[tokio::test]
async fn a_down_agents_instances_are_gone_and_its_node_is_critical() {
    let ground = Ground::new();
    ground.two_more();
    members(&ground, [ALIVE, ALIVE, DOWN]);
    let listed = ground.get("/v1/health/service/web").await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["Node"]["Node"], "two");
    let nodes = ground.get("/v1/catalog/nodes").await.json();
    assert_eq!(nodes.as_array().unwrap().len(), 3);
    let checks = ground.get("/v1/health/node/three").await.json();
    assert_eq!(checks.as_array().unwrap().len(), 1);
    assert_eq!(checks[0]["Output"], "Agent not live or unreachable");
    let node = ground.get("/v1/catalog/node/three").await.json();
    assert_eq!(node["Services"], serde_json::json!({}));
    let critical = ground.get("/v1/health/state/critical").await.json();
    assert_eq!(
        (&critical[0]["Node"], &critical[0]["CheckID"]),
        (&"three".into(), &"serfHealth".into())
    );
    let reachable = ground.get("/v1/catalog/services").await;
    assert_eq!(reachable.header("x-tidings-reachable"), Some("2 of 3"));
    assert_eq!(reachable.header("x-tidings-island"), None);
}

#[tokio::test]
async fn what_is_put_together_from_pieces_is_the_whole() {
    let ground = Ground::new();
    let node_check = r#"{"ID":"disk","Name":"disk","TTL":"1m"}"#;
    let registrations = [
        ("agent/service/register", r#"{"Name":"web","ID":"bare"}"#),
        (
            "agent/service/register",
            r#"{"Name":"web","ID":"two","Checks":[{"TTL":"1m"},{"TTL":"2m"}]}"#,
        ),
        (
            "catalog/register",
            r#"{"Node":"external","Address":"10.1.1.1","Service":{"Service":"web"}}"#,
        ),
        (
            "catalog/register",
            concat!(
                r#"{"Node":"external-2","Address":"10.1.1.2","Service":{"Service":"web"},"#,
                r#""Check":{"Name":"c","ServiceID":"web","Status":"passing"}}"#,
            ),
        ),
        ("agent/check/register", node_check),
    ];
    for (path, body) in registrations {
        let done = ground.put(&format!("/v1/{path}"), body).await;
        assert_eq!(done.status, 200, "{body}");
        // In pieces the first time and from what was kept the second, and at once.
        for _ in 0..2 {
            let pieces = ground.get("/v1/health/service/web").await.json();
            let whole = ground.get("/v1/health/service/web?pretty").await.json();
            assert_eq!(pieces, whole, "after {body}");
        }
    }
    let shown = ground.get("/v1/health/service/web").await.json();
    let checks = |n: usize| shown[n]["Checks"].as_array().unwrap().len();
    let mut counts: Vec<_> = (0..4).map(checks).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 1, 2, 4]);
}
