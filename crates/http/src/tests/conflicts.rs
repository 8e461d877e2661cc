//! `/v1/tidings/conflicts`

use std::sync::Arc;

use tidings_types::{
    Body, Conflict, Content, ExternalNode, Hlc, Key, NodeName, Text, TextMap, Timestamp, Update,
    Written,
};

use super::ground::{Ground, node_id};

#[tokio::test]
async fn a_conflict_is_told_with_both_values_and_what_differs() {
    let ground = Ground::new();
    ground
        .get("/v1/tidings/conflicts")
        .await
        .is(200, r#"{"total":0,"conflicts":[]}"#);
    let external = |address: &str| {
        Content::of(&Body::ExternalNode(ExternalNode {
            id: Text::new(),
            address: address.into(),
            tagged_addresses: TextMap::new(),
            meta: TextMap::new(),
        }))
    };
    let written = |by: u8, ms: u64, body| Written {
        by: node_id(by),
        stamp: Hlc::from_unix_ms(ms),
        body,
    };
    let conflict = Conflict {
        winner: written(1, 7, Some(external("192.0.2.8"))),
        beaten: vec![
            written(9, 5, Some(external("192.0.2.7"))),
            written(1, 4, None),
        ],
        count: 2,
    };
    let update = Update::Record {
        key: Key::ExternalNode(NodeName::new("printer").unwrap()),
        body: Some(external("192.0.2.8")),
        dot: None,
        conflict: Some(Arc::new(conflict)),
    };
    let now = Timestamp::ZERO;
    ground.node().writer.apply(now, update);
    let told = ground
        .get("/v1/tidings/conflicts?node=Printer")
        .await
        .json();
    assert_eq!(told["total"], 1);
    let told = &told["conflicts"][0];
    assert_eq!(
        (&told["kind"], &told["beaten_total"]),
        (&"node".into(), &2.into())
    );
    assert_eq!(told["in_force"]["by"], "one");
    assert_eq!(told["in_force"]["value"]["address"], "192.0.2.8");
    assert_eq!(told["beaten"][0]["at_ms"], 5);
    assert_eq!(told["beaten"][1]["value"], serde_json::Value::Null);
    let differ = told["differ"].as_array().unwrap();
    assert!(differ.contains(&"address".into()), "{told}");
    let none = ground.get("/v1/tidings/conflicts?service=web").await.json();
    assert_eq!(none["total"], 0);
}
