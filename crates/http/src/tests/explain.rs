//! `/v1/tidings/explain/`

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tidings_types::{
    Body, CheckId, Dot, Epoch, Instance, Key, Liveness, MemberStatus, Roster, ServiceId,
    ServiceName, Timestamp, Update, Weights,
};

use super::ground::{Ground, node_id, node_record};

/// What is told of `service`.
async fn explain(ground: &Ground, service: &str) -> Value {
    let reply = ground.get(&format!("/v1/tidings/explain/{service}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// The only instance that is told.
fn only(explained: &Value) -> &Value {
    match explained["instances"].as_array().unwrap().as_slice() {
        [instance] => instance,
        other => panic!("one instance, not {other:?}"),
    }
}

/// The codes of an instance's reasons.
fn codes(instance: &Value) -> Vec<&str> {
    let reasons = instance["reasons"].as_array().unwrap().iter();
    reasons
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

/// Whether health, passing and DNS hand it out.
fn doors(instance: &Value) -> [bool; 3] {
    ["in_health", "in_passing", "in_dns"].map(|door| instance[door].as_bool().unwrap())
}

/// Holds what is told of each instance to what the health endpoint answers, and to its reasons.
async fn is_true(ground: &Ground, service: &str, query: &str) {
    let explained = explain(ground, &format!("{service}?{query}")).await;
    for (door, passing) in [("in_health", ""), ("in_passing", "&passing")] {
        let path = format!("/v1/health/service/{service}?{query}{passing}");
        let listed = ground.get(&path).await.json();
        let listed: Vec<_> = listed.as_array().unwrap().iter().map(place).collect();
        for instance in explained["instances"].as_array().unwrap() {
            let place = (instance["node_id"].clone(), instance["id"].clone());
            assert_eq!(instance[door], listed.contains(&place), "{instance}");
        }
    }
    for instance in explained["instances"].as_array().unwrap() {
        for (door, name) in [
            ("in_health", "health"),
            ("in_passing", "passing"),
            ("in_dns", "dns"),
        ] {
            let mut reasons = instance["reasons"].as_array().unwrap().iter();
            let hidden = reasons.any(|reason| {
                let from = reason["hidden_from"].as_array().unwrap();
                from.contains(&json!(name))
            });
            assert_eq!(instance[door], !hidden, "{door} of {instance}");
        }
    }
}

fn place(listed: &Value) -> (Value, Value) {
    (
        listed["Node"]["ID"].clone(),
        listed["Service"]["ID"].clone(),
    )
}

#[tokio::test]
async fn a_healthy_instance_is_everywhere_and_needs_no_reason() {
    let ground = Ground::new();
    ground.two_more();
    let web = r#"{"Name":"web","Port":80,"Tags":["a"]}"#;
    ground.done("/v1/agent/service/register", web).await;
    let explained = explain(&ground, "WEB?id=web").await;
    assert_eq!(explained["instances"].as_array().unwrap().len(), 3);
    assert_eq!(explained["agent"]["reachable"], 3);
    assert_eq!(explained["meta"], Value::Null);
    let own = &explained["instances"][0];
    assert_eq!(
        *own,
        json!({
            "id": "web", "node": "one", "node_id": "01010101-0101-0101-0101-010101010101", "address": "10.0.0.1", "port": 80, "tags": ["a"],
            "health": "passing", "in_health": true, "in_passing": true, "in_dns": true,
            "reasons": [], "conflicts": [],
            "owner": {"status": "alive", "since_ms": 1000, "heard_ms": 0},
            "copies": "this-agent-only",
        })
    );
    assert_eq!(explained["instances"][1]["copies"], "all-reachable");
    is_true(&ground, "web", "").await;
}

#[tokio::test]
async fn an_address_that_dns_cannot_say_is_named() {
    let ground = Ground::new();
    for (address, is_said) in [("db.example", true), ("db..example", false)] {
        let web = format!(r#"{{"Name":"web","Port":80,"Address":"{address}"}}"#);
        ground.done("/v1/agent/service/register", &web).await;
        let explained = explain(&ground, "web").await;
        let instance = only(&explained);
        assert_eq!(doors(instance), [true, true, is_said], "{address}");
        let expected: &[&str] = if is_said {
            &[]
        } else {
            &["address-not-in-dns"]
        };
        assert_eq!(codes(instance), expected);
        is_true(&ground, "web", "").await;
    }
}

#[tokio::test]
async fn each_check_that_speaks_against_an_instance_is_named_with_what_it_said() {
    let ground = Ground::new();
    let web = r#"{"Name":"web","Port":80,"Checks":[
        {"CheckID":"c","Name":"disk","TTL":"10m"},{"CheckID":"w","Name":"load","TTL":"10m"}]}"#;
    ground.done("/v1/agent/service/register", web).await;
    ground.done("/v1/agent/check/warn/w?note=high", "").await;
    ground.done("/v1/agent/check/fail/c?note=full", "").await;
    let explained = explain(&ground, "web").await;
    let instance = only(&explained);
    assert_eq!(codes(instance), ["check-critical", "check-warning"]);
    assert_eq!(doors(instance), [true, false, false]);
    let reason = &instance["reasons"][0];
    assert_eq!(reason["text"], "its check \"disk\" is critical");
    assert_eq!(
        (&reason["check"], &reason["output"]),
        (&json!("c"), &json!("full"))
    );
    is_true(&ground, "web", "").await;

    ground.done("/v1/agent/check/pass/c", "").await;
    let explained = explain(&ground, "web").await;
    assert_eq!(codes(only(&explained)), ["check-warning"]);
    assert_eq!(doors(only(&explained)), [true, false, true]);
    is_true(&ground, "web", "").await;
}

#[tokio::test]
async fn maintenance_an_expired_ttl_and_an_alias_are_called_by_their_names() {
    let ground = Ground::new();
    let web = r#"{"Name":"web","Port":80,"Checks":[
        {"CheckID":"t","Name":"t","TTL":"2s","Status":"passing"},
        {"CheckID":"a","Name":"a","AliasService":"db"}]}"#;
    ground.done("/v1/agent/service/register", web).await;
    let expired = "/v1/agent/check/fail/t?note=TTL+expired+(last+output:+ok)";
    ground.done(expired, "").await;
    let path = "/v1/agent/service/maintenance/web?enable=true&reason=new+kernel";
    ground.done(path, "").await;
    let path = "/v1/agent/maintenance?enable=true&reason=moving";
    ground.done(path, "").await;
    let explained = explain(&ground, "web").await;
    let instance = only(&explained);
    assert_eq!(
        codes(instance),
        [
            "ttl-expired",
            "alias-critical",
            "maintenance",
            "maintenance"
        ]
    );
    let text = |n: usize| instance["reasons"][n]["text"].as_str().unwrap().to_owned();
    assert_eq!(
        text(0),
        "its check \"t\" was not renewed within its time to live of 2000 ms"
    );
    assert_eq!(
        text(1),
        "its check \"a\" looks at service \"db\" of the same node, which is not well"
    );
    assert_eq!(text(2), "it is in maintenance: new kernel");
    assert_eq!(text(3), "its node is in maintenance: moving");
    assert_eq!(instance["health"], "maintenance");
    is_true(&ground, "web", "").await;
}

#[tokio::test]
async fn a_check_that_is_not_here_yet_and_a_weight_of_nothing_are_told() {
    let ground = Ground::new();
    let instance = |checks: &[&str], weight| Instance {
        checks: checks.iter().map(|id| CheckId::new(id).unwrap()).collect(),
        weights: Weights {
            passing: weight,
            warning: 1,
        },
        ..Instance::new(ServiceName::new("web").unwrap(), 80)
    };
    let key = |id| Key::Instance(node_id(1), ServiceId::new(id).unwrap());
    ground.node().write([
        (key("a"), Some(Body::Instance(instance(&["late"], 1)))),
        (key("b"), Some(Body::Instance(instance(&[], 0)))),
    ]);
    let explained = explain(&ground, "web").await;
    let instances = &explained["instances"];
    assert_eq!(codes(&instances[0]), ["check-awaited"]);
    assert_eq!(codes(&instances[1]), ["weight-zero"]);
    assert_eq!(doors(&instances[1]), [true, true, true]);
    is_true(&ground, "web", "").await;
}

#[tokio::test]
async fn the_owners_liveness_is_a_reason() {
    let ground = Ground::new();
    ground.two_more();
    let alive = (1, MemberStatus::Alive, Liveness::Live);
    for (status, liveness, code, served) in [
        (MemberStatus::Suspect, Liveness::Live, "node-suspect", true),
        (MemberStatus::Down, Liveness::Hidden, "node-down", false),
        (MemberStatus::Left, Liveness::Hidden, "node-left", false),
        (MemberStatus::Down, Liveness::Stale, "node-stale", true),
        (
            MemberStatus::Restarting,
            Liveness::Stale,
            "node-stale",
            true,
        ),
        (MemberStatus::Down, Liveness::LastResort, "node-stale", true),
    ] {
        ground.members(&[alive, (2, status, liveness), (3, status, liveness)]);
        let explained = explain(&ground, "web").await;
        for instance in explained["instances"].as_array().unwrap() {
            assert_eq!(codes(instance), [code]);
            assert_eq!(doors(instance), [served; 3], "{status:?} {liveness:?}");
            assert_eq!(instance["owner"]["heard_ms"], 1_000);
        }
        is_true(&ground, "web", "").await;
    }
    // What is left of an island gives way to whoever is alive.
    ground.members(&[
        alive,
        (2, MemberStatus::Down, Liveness::LastResort),
        (3, MemberStatus::Alive, Liveness::Live),
    ]);
    let explained = explain(&ground, "web").await;
    let last = &explained["instances"][1];
    assert_eq!((codes(last), doors(last)), (vec!["node-down"], [false; 3]));
    is_true(&ground, "web", "").await;
}

#[tokio::test]
async fn a_node_whose_name_another_bears_was_replaced() {
    let ground = Ground::new();
    ground.two_more();
    ground.members(&[
        (1, MemberStatus::Alive, Liveness::Live),
        (2, MemberStatus::Down, Liveness::Hidden),
        (3, MemberStatus::Alive, Liveness::Live),
    ]);
    ground.node().write([node_record(3, "two")]);
    let explained = explain(&ground, "web").await;
    let instances = explained["instances"].as_array().unwrap();
    let replaced: Vec<_> = instances
        .iter()
        .filter(|i| doors(i) == [false; 3])
        .collect();
    assert_eq!(replaced.len(), 1);
    assert_eq!(codes(replaced[0]), ["node-replaced"]);
    is_true(&ground, "web", "").await;

    // Nobody of that name is met: only what the host was last is served.
    let stale = (3, MemberStatus::Down, Liveness::Stale);
    ground.members(&[(1, MemberStatus::Alive, Liveness::Live), stale]);
    let former = Roster {
        former: BTreeSet::from([node_id(2)]),
        ..Roster::clone(&ground.view.roster())
    };
    let former = Update::Roster(Arc::new(former));
    ground.node().writer.apply(Timestamp::ZERO, former);
    let explained = explain(&ground, "web").await;
    let instances = explained["instances"].as_array().unwrap().iter();
    let told: Vec<_> = instances.map(|i| (codes(i), doors(i))).collect();
    let (replaced, stale) = (vec!["node-replaced"], vec!["node-stale"]);
    assert_eq!(told, [(replaced, [false; 3]), (stale, [true; 3])]);
    is_true(&ground, "web", "").await;
}

#[tokio::test]
async fn what_the_question_leaves_out_is_told() {
    let ground = Ground::new();
    ground.two_more();
    for (query, code, doors_of_two) in [
        ("tag=n3", "tag", [false; 3]),
        ("node-meta=rack:r3", "node-meta", [false, false, true]),
        ("filter=Service.Port==8003", "filter", [false, false, true]),
    ] {
        let explained = explain(&ground, &format!("web?{query}")).await;
        let instances = explained["instances"].as_array().unwrap();
        let two = instances.iter().find(|i| i["node"] == "two").unwrap();
        assert_eq!((codes(two), doors(two)), (vec![code], doors_of_two));
        let three = instances.iter().find(|i| i["node"] == "three").unwrap();
        assert_eq!((codes(three), doors(three)), (vec![], [true; 3]));
        is_true(&ground, "web", query).await;
    }
    let reply = ground.get("/v1/tidings/explain/web?id=").await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    let reply = ground.get("/v1/tidings/explain/").await;
    reply.is(400, "Missing service name");
}

#[tokio::test]
async fn who_took_an_instance_away_is_told() {
    let ground = Ground::new();
    ground.two_more();
    let web = r#"{"ID":"own","Name":"web","Port":80}"#;
    ground.done("/v1/agent/service/register", web).await;
    ground.done("/v1/agent/service/deregister/own", "").await;
    let overridden = Update::Record {
        key: Key::Instance(node_id(2), ServiceId::new("web").unwrap()),
        body: None,
        dot: Some(Dot {
            epoch: Epoch::from_bits(1),
            seq: 99,
            node: node_id(3),
        }),
        conflict: None,
    };
    let later = Timestamp::from_micros(1_500_000);
    ground.node().writer.apply(later, overridden);
    let moved = r#"{"ID":"m","Name":"web"}"#;
    ground.done("/v1/agent/service/register", moved).await;
    let moved = r#"{"ID":"m","Name":"api"}"#;
    ground.done("/v1/agent/service/register", moved).await;

    let explained = explain(&ground, "web").await;
    let removed = explained["removed"].as_array().unwrap();
    let told = removed.iter().map(|r| {
        let text = |key: &str| r[key].as_str().unwrap().to_owned();
        (text("id"), text("code"), text("text"))
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told[0].1, "deregistered");
    assert!(
        told[0].2.starts_with("deregistered at its own agent"),
        "{told:?}"
    );
    let text = "deregistered through the catalog at the agent three";
    assert_eq!(told[1], ("web".into(), "overridden".into(), text.into()));
    let text = "its id stands for an instance of \"api\" now";
    assert_eq!(told[2], ("m".into(), "moved".into(), text.into()));
    assert_eq!(removed[0]["ago_ms"], 500);

    let one = explain(&ground, "web?id=own").await;
    assert_eq!(one["removed"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn for_an_unknown_name_what_else_could_be_meant_is_told() {
    let ground = Ground::new();
    ground.two_more();
    let web = r#"{"ID":"web-7","Name":"payments","Port":80}"#;
    ground.done("/v1/agent/service/register", web).await;
    let explained = explain(&ground, "paymnets").await;
    assert_eq!(explained["instances"], json!([]));
    assert_eq!(
        explained["meant"],
        json!({"services": ["payments"], "ids": []})
    );
    assert_eq!(explained["agent"]["island"], false);

    let explained = explain(&ground, "web-7").await;
    let ids = json!([{"service": "payments", "node": "one"}]);
    assert_eq!(explained["meant"]["ids"], ids);

    // An island says that there may be more than it knows.
    ground.members(&[
        (1, MemberStatus::Alive, Liveness::Live),
        (2, MemberStatus::Down, Liveness::Stale),
        (3, MemberStatus::Down, Liveness::Stale),
    ]);
    let explained = explain(&ground, "nothing").await;
    assert_eq!(explained["agent"]["island"], true);
    assert_eq!(explained["agent"]["reachable"], 1);
}
