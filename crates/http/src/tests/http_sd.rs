//! `/v1/tidings/http_sd`

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_types::{
    Body, Instance, Key, Liveness, MemberStatus, Roster, ServiceId, ServiceName, Timestamp, Update,
};

use super::ground::{Ground, Reply, node_id};

const PATH: &str = "/v1/tidings/http_sd";

/// What each group has as its target.
fn targets(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let groups = reply.json();
    let groups = groups.as_array().unwrap().iter();
    groups
        .map(
            |group| match group["targets"].as_array().unwrap().as_slice() {
                [target] => target.as_str().unwrap().to_owned(),
                other => panic!("a group of one target, not {other:?}"),
            },
        )
        .collect()
}

/// The labels of the only group.
fn labels(reply: &Reply) -> Value {
    let groups = reply.json();
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    groups[0]["labels"].clone()
}

#[tokio::test]
async fn an_instance_is_a_target_with_the_labels_of_consuls_discovery() {
    let ground = Ground::new();
    let body =
        r#"{"ID":"web-1","Name":"Web","Port":9100,"Tags":["a","b"],"Meta":{"metrics-path":"/m"}}"#;
    ground.done("/v1/agent/service/register", body).await;
    let reply = ground.get("/v1/tidings/http_sd?service=web").await;
    assert_eq!(targets(&reply), ["10.0.0.1:9100"]);
    let expected = json!({
        "__meta_tidings_address": "10.0.0.1",
        "__meta_tidings_dc": "dc1",
        "__meta_tidings_health": "passing",
        "__meta_tidings_metadata_consul_network_segment": "",
        "__meta_tidings_metadata_rack": "r1",
        "__meta_tidings_node": "one",
        "__meta_tidings_service": "Web",
        "__meta_tidings_service_address": "",
        "__meta_tidings_service_id": "web-1",
        "__meta_tidings_service_metadata_metrics_path": "/m",
        "__meta_tidings_service_port": "9100",
        "__meta_tidings_stale": "false",
        "__meta_tidings_tagged_address_lan": "10.0.0.1",
        "__meta_tidings_tagged_address_lan_ipv4": "10.0.0.1",
        "__meta_tidings_tagged_address_wan": "10.0.0.1",
        "__meta_tidings_tagged_address_wan_ipv4": "10.0.0.1",
        "__meta_tidings_tags": ",a,b,",
    });
    assert_eq!(labels(&reply), expected);
}

#[tokio::test]
async fn without_a_name_all_services_are_listed_but_the_agents_themselves() {
    let ground = Ground::new();
    ground.two_more();
    let db = r#"{"Name":"db","Port":5432}"#;
    ground.done("/v1/agent/service/register", db).await;
    let all = ["10.0.0.1:5432", "10.0.0.3:8003", "10.0.0.2:8002"];
    assert_eq!(targets(&ground.get(PATH).await), all);

    let asked = ground
        .get("/v1/tidings/http_sd?service=WEB&service=web&service=none")
        .await;
    assert_eq!(targets(&asked), ["10.0.0.3:8003", "10.0.0.2:8002"]);
    let agents = ground.get("/v1/tidings/http_sd?service=consul").await;
    assert_eq!(targets(&agents).len(), 3);
}

#[tokio::test]
async fn targets_are_narrowed_as_the_health_of_a_service_is() {
    let ground = Ground::new();
    ground.two_more();
    for (query, ports) in [
        ("tag=n2", vec!["10.0.0.2:8002"]),
        ("tag=v1&tag=n3", vec!["10.0.0.3:8003"]),
        ("node-meta=rack:r2", vec!["10.0.0.2:8002"]),
        ("filter=Service.Port==8003", vec!["10.0.0.3:8003"]),
        ("service=web&tag=none", vec![]),
    ] {
        let reply = ground.get(&format!("{PATH}?{query}")).await;
        assert_eq!(targets(&reply), ports, "{query}");
    }
    let text = "Invalid value for ?passing";
    let reply = ground.get("/v1/tidings/http_sd?passing=maybe").await;
    reply.is(400, text);
    let reply = ground.get("/v1/tidings/http_sd?service=").await;
    assert_eq!(reply.status, 400);
    let reply = ground.get("/v1/tidings/http_sd?filter=Nothing==1").await;
    assert_eq!(reply.status, 500);
    let reply = ground.get("/v1/tidings/http_sd?dc=elsewhere").await;
    reply.is(500, "No path to datacenter");
}

#[tokio::test]
async fn health_is_a_label_and_passing_leaves_out_what_is_not_well() {
    let ground = Ground::new();
    let body = r#"{"Name":"web","Port":80,"Check":{"CheckID":"c","TTL":"1m","Status":"warning"}}"#;
    ground.done("/v1/agent/service/register", body).await;
    let reply = ground.get(PATH).await;
    assert_eq!(labels(&reply)["__meta_tidings_health"], "warning");
    assert!(targets(&ground.get("/v1/tidings/http_sd?passing").await).is_empty());

    let path = "/v1/agent/service/maintenance/web?enable=true&reason=r";
    ground.done(path, "").await;
    let reply = ground.get(PATH).await;
    assert_eq!(labels(&reply)["__meta_tidings_health"], "maintenance");
}

#[tokio::test]
async fn names_of_labels_are_valid_and_an_exact_key_wins() {
    let ground = Ground::new();
    // From an agent of another version anything may come.
    let meta = [
        ("a-b", "1"),
        ("a_b", "2"),
        ("ü.x", "3"),
        ("c-d", "4"),
        ("c.d", "5"),
    ];
    let instance = Instance {
        meta: meta.into_iter().collect(),
        ..Instance::new(ServiceName::new("web").unwrap(), 80)
    };
    let key = Key::Instance(node_id(1), ServiceId::new("web").unwrap());
    ground.node().write([(key, Some(Body::Instance(instance)))]);
    let labels = labels(&ground.get(PATH).await);
    let of = |key: &str| labels[format!("__meta_tidings_service_metadata_{key}")].clone();
    assert_eq!(
        [of("a_b"), of("__x"), of("c_d")],
        ["2", "3", "4"],
        "{labels}"
    );
    let valid = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    assert!(labels.as_object().unwrap().keys().all(valid), "{labels}");
}

#[tokio::test]
async fn a_target_is_an_address_that_can_be_written_in_a_url() {
    let ground = Ground::new();
    for body in [
        r#"{"ID":"1","Name":"web","Address":"2001:db8::1","Port":80}"#,
        r#"{"ID":"2","Name":"web","Address":"web.example"}"#,
        r#"{"ID":"3","Name":"web","SocketPath":"/run/web"}"#,
    ] {
        ground.done("/v1/agent/service/register", body).await;
    }
    let reply = ground.get(PATH).await;
    assert_eq!(targets(&reply), ["[2001:db8::1]:80", "web.example:0"]);
}

#[tokio::test]
async fn an_island_tells_what_it_last_knew() {
    let ground = Ground::new();
    ground.two_more();
    let alone = |n| (n, MemberStatus::Down, Liveness::Stale);
    ground.members(&[(1, MemberStatus::Alive, Liveness::Live), alone(2), alone(3)]);
    let reply = ground.get(PATH).await;
    assert_eq!(targets(&reply), ["10.0.0.3:8003", "10.0.0.2:8002"]);
    assert_eq!(reply.header("x-tidings-stale"), Some("2"));
    assert_eq!(reply.header("x-tidings-island"), Some("true"));
    let groups = reply.json();
    assert_eq!(groups[0]["labels"]["__meta_tidings_stale"], "true");

    // What it does not know may be there all the same.
    let reply = ground.get("/v1/tidings/http_sd?service=none").await;
    assert_eq!(reply.status, 503);
    assert!(
        reply.body.contains("cut off from its cluster"),
        "{}",
        reply.body
    );
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn an_empty_list_is_told_only_by_who_has_met_the_cluster() {
    let ground = Ground::new();
    ground.get(PATH).await.is(200, "[]");
    let unsettled = Roster {
        unknown: Liveness::Stale,
        ..(*ground.view.roster()).clone()
    };
    let update = Update::Roster(Arc::new(unsettled));
    ground.node().writer.apply(Timestamp::ZERO, update);
    let reply = ground.get(PATH).await;
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("has just started"), "{}", reply.body);
}
