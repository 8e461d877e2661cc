//! `/v1/catalog/...` and `/v1/status/...`

use serde_json::json;
use tidings_types::{Liveness, MemberStatus};

use super::ground::Ground;

const EXTERNAL: &str = r#"{"Node":"db-host","Address":"192.0.2.7","NodeMeta":{"rack":"x"},
    "Service":{"Service":"pg","Port":5432,"Tags":["Main","ssd"]},
    "Check":{"Name":"alive","Status":"passing","ServiceID":"pg",
        "Definition":{"TCP":"192.0.2.7:5432","Interval":"5s"}}}"#;

#[tokio::test]
async fn nodes_are_listed_with_headers() {
    let ground = Ground::new();
    let nodes = ground.get("/v1/catalog/nodes").await;
    nodes.is(
        200,
        concat!(
            r#"[{"ID":"01010101-0101-0101-0101-010101010101","Node":"one","Address":"10.0.0.1","#,
            r#""Datacenter":"dc1","TaggedAddresses":{"lan":"10.0.0.1","lan_ipv4":"10.0.0.1","#,
            r#""wan":"10.0.0.1","wan_ipv4":"10.0.0.1"},"#,
            r#""Meta":{"consul-network-segment":"","rack":"r1"},"#,
            r#""CreateIndex":102,"ModifyIndex":102}]"#,
        ),
    );
    assert_eq!(nodes.index(), 102);
    assert_eq!(nodes.header("x-consul-knownleader"), Some("true"));
    assert_eq!(nodes.header("x-consul-lastcontact"), Some("0"));
    assert_eq!(
        nodes.header("x-consul-effective-consistency"),
        Some("leader")
    );
    let stale = ground.get("/v1/catalog/nodes?stale=false").await;
    assert_eq!(
        stale.header("x-consul-effective-consistency"),
        Some("stale")
    );
    // Never claimed: no agent can know what others accept at this moment.
    let consistent = ground.get("/v1/catalog/nodes?consistent").await;
    assert_eq!(
        consistent.header("x-consul-effective-consistency"),
        Some("stale")
    );
    ground
        .get("/v1/catalog/nodes?node-meta=rack:r2")
        .await
        .is(200, "[]");
}

#[tokio::test]
async fn services_are_listed_with_the_union_of_their_tags() {
    let ground = Ground::new();
    let empty = ground.get("/v1/catalog/services").await;
    empty.is(200, r#"{"consul":[]}"#);
    assert!(empty.index() >= 1);
    ground.two_more();
    ground
        .done("/v1/agent/service/register", r#"{"Name":"api"}"#)
        .await;
    let services = ground.get("/v1/catalog/services").await;
    services.is(200, r#"{"api":[],"consul":[],"web":["n2","n3","v1"]}"#);
    let on_three = ground.get("/v1/catalog/services?node-meta=rack:r3").await;
    on_three.is(200, r#"{"consul":[],"web":["n3","v1"]}"#);
}

#[tokio::test]
async fn a_service_is_flat_and_an_unknown_one_is_empty() {
    let ground = Ground::new();
    let unknown = ground.get("/v1/catalog/service/web").await;
    unknown.is(200, "[]");
    assert!(unknown.index() >= 1);
    ground
        .get("/v1/catalog/service/")
        .await
        .is(400, "Missing service name");
    ground
        .done("/v1/agent/service/register", r#"{"Name":"web","Port":80}"#)
        .await;
    ground.get("/v1/catalog/service/WEB").await.is(
        200,
        concat!(
            r#"[{"ID":"01010101-0101-0101-0101-010101010101","Node":"one","Address":"10.0.0.1","#,
            r#""Datacenter":"dc1","TaggedAddresses":{"lan":"10.0.0.1","lan_ipv4":"10.0.0.1","#,
            r#""wan":"10.0.0.1","wan_ipv4":"10.0.0.1"},"#,
            r#""NodeMeta":{"consul-network-segment":"","rack":"r1"},"ServiceKind":"","#,
            r#""ServiceID":"web","ServiceName":"web","ServiceTags":[],"ServiceAddress":"","#,
            r#""ServiceWeights":{"Passing":1,"Warning":1},"ServiceMeta":{},"ServicePort":80,"#,
            r#""ServiceSocketPath":"","ServiceEnableTagOverride":false,"#,
            r#""ServiceProxy":{"Mode":"","MeshGateway":{},"Expose":{}},"ServiceConnect":{},"#,
            r#""CreateIndex":103,"ModifyIndex":103}]"#,
        ),
    );
}

#[tokio::test]
async fn catalog_and_health_list_in_the_same_order() {
    let ground = Ground::new();
    ground.two_more();
    ground
        .done(
            "/v1/agent/service/register",
            r#"{"Name":"web","Tags":["V1"]}"#,
        )
        .await;
    let flat = ground.get("/v1/catalog/service/web?tag=v1").await.json();
    let nested = ground.get("/v1/health/service/web?tag=v1").await.json();
    let flat: Vec<_> = flat
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["Node"].clone())
        .collect();
    let nested: Vec<_> = nested
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["Node"]["Node"].clone())
        .collect();
    assert_eq!(flat, ["one", "three", "two"]);
    assert_eq!(flat, nested);
    let both = ground
        .get("/v1/catalog/service/web?tag=v1&tag=N3")
        .await
        .json();
    assert_eq!(both.as_array().unwrap().len(), 1);
    ground
        .get("/v1/catalog/service/web?tag=")
        .await
        .is(200, "[]");
}

#[tokio::test]
async fn a_node_shows_its_services_and_an_unknown_one_is_null() {
    let ground = Ground::new();
    ground.get("/v1/catalog/node/nobody").await.is(200, "null");
    let nobody = r#"{"Node":null,"Services":null}"#;
    ground
        .get("/v1/catalog/node-services/nobody")
        .await
        .is(200, nobody);
    ground
        .get("/v1/catalog/node/")
        .await
        .is(400, "Missing node name");
    ground
        .done("/v1/agent/service/register", r#"{"Name":"web"}"#)
        .await;
    let node = ground.get("/v1/catalog/node/ONE").await;
    assert_eq!(node.json()["Node"]["Node"], "one");
    assert_eq!(
        node.json()["Services"].to_string(),
        concat!(
            r#"{"consul":{"Address":"","Connect":{},"CreateIndex":102,"EnableTagOverride":false,"#,
            r#""ID":"consul","Meta":{},"ModifyIndex":102,"PeerName":"","Port":8301,"#,
            r#""Proxy":{"Expose":{},"MeshGateway":{},"Mode":""},"Service":"consul","Tags":[],"#,
            r#""Weights":{"Passing":1,"Warning":1}},"#,
            r#""web":{"Address":"","Connect":{},"CreateIndex":103,"EnableTagOverride":false,"#,
            r#""ID":"web","Meta":{},"ModifyIndex":103,"PeerName":"","Port":0,"#,
            r#""Proxy":{"Expose":{},"MeshGateway":{},"Mode":""},"Service":"web","Tags":[],"#,
            r#""Weights":{"Passing":1,"Warning":1}}}"#,
        )
    );
    let by_id = ground
        .get("/v1/catalog/node/01010101-0101-0101-0101-010101010101")
        .await;
    assert_eq!(by_id.body, node.body);
    let services = ground.get("/v1/catalog/node-services/one").await.json();
    assert_eq!(services["Services"][0]["ID"], "consul");
    assert_eq!(services["Services"][1]["ID"], "web");
}

#[tokio::test]
async fn external_records_come_and_go() {
    let ground = Ground::new();
    ground
        .put("/v1/catalog/register", EXTERNAL)
        .await
        .is(200, "true");
    let nested = ground
        .get("/v1/health/service/pg?passing&tag=main")
        .await
        .json();
    assert_eq!(nested[0]["Node"]["Node"], "db-host");
    assert_eq!(nested[0]["Node"]["ID"], "");
    assert_eq!(nested[0]["Service"]["Port"], 5432);
    let checks = nested[0]["Checks"].as_array().unwrap();
    assert_eq!(checks.len(), 1, "a node without an agent has no serfHealth");
    assert_eq!(
        checks[0]["Definition"],
        json!({"TCP": "192.0.2.7:5432", "Interval": "5s"})
    );
    assert_eq!(
        (&checks[0]["Type"], &checks[0]["Interval"]),
        (&"tcp".into(), &"".into())
    );
    let before = ground.get("/v1/health/service/pg").await.index();
    ground
        .put("/v1/catalog/register", EXTERNAL)
        .await
        .is(200, "true");
    assert_eq!(ground.get("/v1/health/service/pg").await.index(), before);

    let more = r#"{"Node":"db-host","SkipNodeUpdate":true,"Check":{"Name":"disk"}}"#;
    ground
        .put("/v1/catalog/register", more)
        .await
        .is(200, "true");
    ground
        .get("/v1/health/service/pg?passing")
        .await
        .is(200, "[]");
    let gone = r#"{"Node":"db-host","ServiceID":"pg"}"#;
    ground
        .put("/v1/catalog/deregister", gone)
        .await
        .is(200, "true");
    ground.get("/v1/catalog/service/pg").await.is(200, "[]");
    let all = r#"{"Node":"db-host","Address":"ignored"}"#;
    ground
        .put("/v1/catalog/deregister", all)
        .await
        .is(200, "true");
    ground
        .put("/v1/catalog/deregister", all)
        .await
        .is(200, "true");
    ground.get("/v1/catalog/node/db-host").await.is(200, "null");
}

#[tokio::test]
async fn what_a_read_returned_can_be_written() {
    let ground = Ground::new();
    // As Go's client sends it: every field is there, most of them empty.
    let body = r#"{"ID":"","Node":"n","Address":"192.0.2.7","TaggedAddresses":null,"NodeMeta":null,
        "Datacenter":"dc1","Service":{"ID":"s","Service":"s","Tags":null,"Meta":null,"Port":1,
        "Address":"","Weights":{"Passing":0,"Warning":0},"EnableTagOverride":false,
        "Proxy":{"Mode":"","MeshGateway":{},"Expose":{}},"Connect":{},"PeerName":"",
        "CreateIndex":7,"ModifyIndex":7},"Check":{"Node":"n","CheckID":"c","Name":"c",
        "Status":"passing","Notes":"","Output":"","ServiceID":"s","ServiceName":"s","Type":"x",
        "Interval":"10s","Timeout":"1s",
        "ExposedPort":0,"Definition":{"HTTP":"","Header":null,"TCPUseTLS":false,"Interval":"0s"},
        "Namespace":""},"Checks":[{}],"SkipNodeUpdate":false,"Locality":null}"#;
    ground
        .put("/v1/catalog/register", body)
        .await
        .is(200, "true");
    let found = ground.get("/v1/health/service/s?passing").await.json();
    assert_eq!(found[0]["Service"]["Weights"]["Passing"], 1);
    assert_eq!(found[0]["Checks"][0]["Type"], "x");
    assert_eq!(found[0]["Checks"].as_array().map(Vec::len), Some(1));
    assert_eq!(found[0]["Checks"][0]["Definition"], json!({}));
    assert_eq!(found[0]["Node"]["Meta"], serde_json::Value::Null);
}

#[tokio::test]
async fn bad_catalog_writes_are_refused() {
    let ground = Ground::new();
    let cases = [
        ("register", "{}", 500, "Must provide node"),
        (
            "register",
            r#"{"Node":"a"}"#,
            500,
            "Must provide address if SkipNodeUpdate is not set",
        ),
        (
            "register",
            r#"{"Node":"a","Address":"h","ID":"x"}"#,
            500,
            "Bad node ID: \"x\" is not a UUID",
        ),
        (
            "register",
            r#"{"Node":"a","Address":"h","Service":{"ID":"x"}}"#,
            500,
            "Must provide service name with ID",
        ),
        (
            "register",
            r#"{"Node":"a","Address":"h","Check":{"Name":"c","ServiceID":"x"}}"#,
            500,
            "Missing service registration",
        ),
        (
            "register",
            r#"{"Node":"a","Address":"h","Datacenter":"dc2"}"#,
            500,
            "No path to datacenter",
        ),
        (
            "register",
            r#"{"Nodes":"a"}"#,
            400,
            "Request decode failed: json: unknown field \"Nodes\"",
        ),
        ("deregister", "{}", 500, "Must provide node"),
        (
            "deregister",
            r#"{"Node":"alive"}"#,
            409,
            "node alive is alive and owns this record; deregister it there, or stop that agent first",
        ),
    ];
    for (verb, body, status, text) in cases {
        ground
            .put(&format!("/v1/catalog/{verb}"), body)
            .await
            .is(status, text);
    }
}

#[tokio::test]
async fn the_leader_is_the_reachable_member_with_the_lowest_id() {
    let ground = Ground::new();
    ground
        .get("/v1/status/leader")
        .await
        .is(200, r#""10.0.0.1:8301""#);
    ground
        .get("/v1/status/peers")
        .await
        .is(200, r#"["10.0.0.1:8301"]"#);
    let down = (MemberStatus::Down, Liveness::Hidden);
    let alive = (MemberStatus::Alive, Liveness::Live);
    ground.members(&[
        (0, down.0, down.1),
        (1, alive.0, alive.1),
        (2, alive.0, alive.1),
    ]);
    ground
        .get("/v1/status/leader")
        .await
        .is(200, r#""10.0.0.1:8301""#);
    ground
        .get("/v1/status/peers")
        .await
        .is(200, r#"["10.0.0.1:8301","10.0.0.2:8301"]"#);
    ground
        .get("/v1/catalog/datacenters")
        .await
        .is(200, r#"["dc1"]"#);
}

#[tokio::test]
async fn tidings_tells_its_own_state() {
    let ground = Ground::new();
    ground.two_more();
    let status = ground.get("/v1/tidings/status").await.json();
    assert_eq!(status["name"], "one");
    assert_eq!(status["node_id"], "01".repeat(16));
    assert_eq!(
        (&status["reachable"], &status["expected"]),
        (&3.into(), &3.into())
    );
    assert_eq!(status["island"], false);
    assert_eq!(status["fingerprint"], "0".repeat(32));
    assert_eq!(status["differs_for_ms"], serde_json::Value::Null);
    assert_eq!(status["members"][1]["name"], "two");
    assert_eq!(status["members"][1]["heard_ms"], 1_000);
    assert_eq!(status["members"][1]["liveness"], "live");
}

#[tokio::test]
async fn the_catalog_keeps_how_a_check_could_be_run_whatever_its_kind() {
    let ground = Ground::new();
    let cases = [
        (
            "tcp",
            json!({"TCP": "h:1", "TCPUseTLS": true, "TLSServerName": "n"}),
        ),
        (
            "udp",
            json!({"UDP": "h:1", "Interval": "10s", "Timeout": "2s"}),
        ),
        (
            "grpc",
            json!({"GRPC": "h:1/s", "GRPCUseTLS": true, "TLSSkipVerify": true}),
        ),
        ("h2ping", json!({"H2PING": "h:1", "H2PingUseTLS": false})),
        ("os_service", json!({"OSService": "sshd"})),
        ("script", json!({"ScriptArgs": ["/bin/true", "-v"]})),
        (
            "docker",
            json!({"DockerContainerID": "c", "Shell": "sh", "ScriptArgs": ["x"]}),
        ),
        ("alias", json!({"AliasNode": "n", "AliasService": "s"})),
        (
            "ttl",
            json!({"TTL": "30s", "DeregisterCriticalServiceAfter": "1h"}),
        ),
        (
            "http",
            json!({"HTTP": "http://h/", "Method": "POST", "Body": "b", "Header": {"X": ["y"]}}),
        ),
    ];
    for (kind, definition) in cases {
        let check = json!({"Name": "c", "Status": "passing", "Definition": definition});
        let body = json!({"Node": "esm", "Address": "192.0.2.7", "Check": check});
        let registered = ground.put("/v1/catalog/register", &body.to_string()).await;
        registered.is(200, "true");
        let checks = ground.get("/v1/health/node/esm").await.json();
        assert_eq!(checks[0]["Type"], kind);
        let told = checks[0]["Definition"].as_object().unwrap();
        for (key, value) in definition.as_object().unwrap() {
            let told = &told[key];
            let is_span = key == "DeregisterCriticalServiceAfter";
            assert!(
                told == value || is_span && told == "1h0m0s",
                "{key}: {told}"
            );
        }
        let extra = told.len() - definition.as_object().unwrap().len();
        assert_eq!(extra, 0, "{told:?}");
    }
}
