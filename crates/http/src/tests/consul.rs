//! The agents as the service `consul`, as Consul's clients look for its servers.

use std::sync::Arc;

use tidings_types::{Liveness, MemberStatus};

use super::{
    blocking::waiting,
    ground::{Ground, Reply},
};

/// Where the instances of an answer of `catalog/service` or `health/service` are.
fn nodes(reply: &Reply) -> Vec<String> {
    let entries = reply.json();
    let name = |entry: &serde_json::Value| match &entry["Node"] {
        serde_json::Value::String(name) => name.clone(),
        node => node["Node"].as_str().unwrap().to_owned(),
    };
    entries.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn every_agent_is_listed_as_consul_lists_its_servers() {
    let ground = Ground::new();
    ground.two_more();
    let catalog = ground.get("/v1/catalog/service/consul").await;
    assert_eq!(nodes(&catalog), ["one", "three", "two"]);
    let first = &catalog.json()[0];
    assert_eq!(first["ServiceID"], "consul");
    assert_eq!(first["ServiceTags"], serde_json::json!([]));
    assert_eq!(first["ServicePort"], 8301);
    assert_eq!(first["Address"], "10.0.0.1");
    let health = ground.get("/v1/health/service/consul?passing").await;
    assert_eq!(nodes(&health), ["one", "three", "two"]);
    let checks = &health.json()[0]["Checks"];
    assert_eq!(checks.as_array().unwrap().len(), 1);
    assert_eq!(checks[0]["CheckID"], "serfHealth");
    ground.get("/v1/health/checks/consul").await.is(200, "[]");
}

#[tokio::test]
async fn it_is_none_of_the_agents_own_services() {
    let ground = Ground::new();
    ground.get("/v1/agent/services").await.is(200, "{}");
    assert_eq!(ground.get("/v1/agent/service/consul").await.status, 404);
    let gone = ground.put("/v1/agent/service/deregister/consul", "").await;
    assert_eq!(gone.status, 404);
    let itself = ground.get("/v1/agent/self").await.json();
    assert_eq!(itself["Stats"]["agent"]["services"], "0");
}

#[tokio::test]
async fn who_waits_for_it_hears_of_an_agent_that_goes_down() {
    let ground = Arc::new(Ground::new());
    ground.two_more();
    let index = ground.get("/v1/health/service/consul").await.index();
    let path = format!("/v1/health/service/consul?index={index}&wait=5m");
    let waiting = waiting(&ground, path).await;
    // A registration concerns it not at all.
    ground
        .done("/v1/agent/service/register", r#"{"Name":"db"}"#)
        .await;
    assert_eq!(ground.get("/v1/health/service/consul").await.index(), index);
    let alive = |n| (n, MemberStatus::Alive, Liveness::Live);
    ground.members(&[
        alive(1),
        alive(2),
        (3, MemberStatus::Down, Liveness::Hidden),
    ]);
    let answer = waiting.await.unwrap();
    assert!(answer.index() > index);
    assert_eq!(nodes(&answer), ["one", "two"]);
}

#[tokio::test]
async fn a_registration_of_that_name_is_listed_in_its_place_or_beside_it() {
    let ground = Ground::new();
    let ports = async || {
        let found = ground.get("/v1/catalog/service/consul").await.json();
        let ports = found.as_array().unwrap().iter();
        ports.map(|i| i["ServicePort"].clone()).collect::<Vec<_>>()
    };
    let path = "/v1/agent/service/register";
    ground
        .done(path, r#"{"Name":"consul","ID":"other","Port":1}"#)
        .await;
    assert_eq!(ports().await, [8301, 1]);
    ground.done(path, r#"{"Name":"consul","Port":2}"#).await;
    assert_eq!(ports().await, [2, 1]);
    let own = ground.get("/v1/agent/services").await.json();
    assert_eq!(own["consul"]["Port"], 2);
    ground.done("/v1/agent/service/deregister/consul", "").await;
    assert_eq!(ports().await, [8301, 1]);
}
