//! Nodes without an agent: their names and ids.

use serde_json::{Value, json};
use tidings_types::{Body, ExternalNode, Key, NodeName, TextMap};

use super::ground::{Ground, Reply};

const ID: &str = "bbbbbbbb-1111-2222-3333-444444444444";

async fn register(ground: &Ground, body: Value) -> Reply {
    ground.put("/v1/catalog/register", &body.to_string()).await
}

async fn registered(ground: &Ground, body: Value) {
    register(ground, body).await.is(200, "true");
}

/// The nodes without an agent, by name.
async fn external(ground: &Ground) -> Vec<Value> {
    let nodes = ground.get("/v1/catalog/nodes").await.json();
    let nodes = nodes.as_array().unwrap().iter();
    let external = nodes.filter(|node| node["Node"] != "one");
    external.map(|node| node["Node"].clone()).collect()
}

#[tokio::test]
async fn a_name_is_one_node_in_whatever_case_it_is_written() {
    let ground = Ground::new();
    registered(&ground, json!({"Node": "Db", "Address": "192.0.2.1"})).await;
    let service = json!({"Service": "pg"});
    registered(
        &ground,
        json!({"Node": "DB", "Address": "192.0.2.2", "Service": service}),
    )
    .await;
    assert_eq!(external(&ground).await, ["Db"]);
    let node = ground.get("/v1/catalog/node/dB").await.json();
    assert_eq!(node["Node"]["Address"], "192.0.2.2");
    assert_eq!(node["Services"]["pg"]["Service"], "pg");
    let gone = ground
        .put("/v1/catalog/deregister", r#"{"Node":"db"}"#)
        .await;
    gone.is(200, "true");
    assert!(external(&ground).await.is_empty());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_made_whatever_is_said_of_its_update() {
    let ground = Ground::new();
    let service = json!({"Service": "pg"});
    let body = json!({"Node": "db", "Address": "192.0.2.1", "SkipNodeUpdate": true});
    registered(&ground, body).await;
    let body =
        json!({"Node": "db", "Address": "192.0.2.9", "SkipNodeUpdate": true, "Service": service});
    registered(&ground, body).await;
    let node = ground.get("/v1/catalog/node/db").await.json();
    assert_eq!(node["Node"]["Address"], "192.0.2.1");
    registered(&ground, json!({"Node": "bare", "SkipNodeUpdate": true})).await;
    assert_eq!(external(&ground).await, ["bare", "db"]);
}

#[tokio::test]
async fn an_id_finds_its_node_and_is_one_nodes() {
    let ground = Ground::new();
    let service = json!({"Service": "pg"});
    let body = json!({"ID": ID, "Node": "old", "Address": "192.0.2.1", "Service": service});
    registered(&ground, body).await;
    let path = format!("/v1/catalog/node/{ID}");
    assert_eq!(ground.get(&path).await.json()["Node"]["Node"], "old");
    let upper = path
        .to_ascii_uppercase()
        .replace("/V1/CATALOG/NODE", "/v1/catalog/node");
    assert_eq!(ground.get(&upper).await.json()["Node"]["Node"], "old");

    // The node is called something else from now on, and has what is said of it.
    registered(
        &ground,
        json!({"ID": ID, "Node": "new", "Address": "192.0.2.1"}),
    )
    .await;
    assert_eq!(external(&ground).await, ["new"]);
    assert_eq!(ground.get(&path).await.json()["Services"], json!({}));

    let agent = "01010101-0101-0101-0101-010101010101";
    let thief = register(
        &ground,
        json!({"ID": agent, "Node": "thief", "Address": "192.0.2.1"}),
    )
    .await;
    thief.is(
        500,
        r#"Node ID "01010101-0101-0101-0101-010101010101" is an agent's, called "one": only that agent registers it"#,
    );
    assert_eq!(external(&ground).await, ["new"]);
}

#[tokio::test]
async fn an_agents_id_beside_its_own_name_is_no_theft() {
    let ground = Ground::new();
    // As a client writes it that sets tags on what it has read.
    let id = "01010101-0101-0101-0101-010101010101";
    let body = json!({"ID": id, "Node": "one", "Address": "10.0.0.1"});
    register(&ground, body).await.is(200, "true");
}

#[tokio::test]
async fn of_two_spellings_both_are_removed() {
    let ground = Ground::new();
    for name in ["Db", "DB"] {
        let name = NodeName::new(name).unwrap();
        let node = ExternalNode {
            id: "".into(),
            address: "192.0.2.1".into(),
            tagged_addresses: TextMap::new(),
            meta: TextMap::new(),
        };
        let record = (Key::ExternalNode(name), Some(Body::ExternalNode(node)));
        ground.node().write([record]);
    }
    assert_eq!(external(&ground).await, ["DB", "Db"]);
    for name in ["Db", "DB"] {
        let node = ground.get(&format!("/v1/catalog/node/{name}")).await.json();
        assert_eq!(node["Node"]["Node"], name);
    }
    let gone = ground
        .put("/v1/catalog/deregister", r#"{"Node":"db"}"#)
        .await;
    gone.is(200, "true");
    assert!(external(&ground).await.is_empty());
}

#[tokio::test]
async fn a_check_of_another_node_is_refused() {
    let ground = Ground::new();
    let check = json!({"Node": "other", "Name": "c"});
    let body = json!({"Node": "db", "Address": "192.0.2.1", "Check": check});
    let text = r#"check node "other" does not match node "db""#;
    register(&ground, body).await.is(500, text);
    assert!(external(&ground).await.is_empty());
}
