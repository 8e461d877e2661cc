//! `?filter` at each endpoint that takes it.

use serde_json::Value;
use tidings_filter::Shape;

use super::ground::Ground;
use crate::{member::MEMBER, objects::fields};

const WEB: &str = r#"{"Name":"web","ID":"web-1","Tags":["v1","blue"],"Address":"10.1.1.1",
    "Port":8080,"Meta":{"env":"qa","a-b":"x"},"Weights":{"Passing":3,"Warning":1},
    "Check":{"CheckID":"alive","Name":"Alive","TTL":"1m","Status":"passing","Notes":"n"}}"#;
const DB: &str = r#"{"Name":"db","Port":5432,"Check":{"CheckID":"slow","TTL":"1m"}}"#;

async fn ground() -> Ground {
    let ground = Ground::new();
    ground.two_more();
    ground.done("/v1/agent/service/register", WEB).await;
    ground.done("/v1/agent/service/register", DB).await;
    ground
}

/// What `path` answers under `filter`.
async fn filtered(ground: &Ground, path: &str, filter: &str) -> Value {
    let escaped: String = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let separator = if path.contains('?') { '&' } else { '?' };
    let answer = ground
        .get(&format!("{path}{separator}filter={escaped}"))
        .await;
    assert_eq!(answer.status, 200, "{path} {filter}: {}", answer.body);
    answer.json()
}

/// The `field` of each element of a list, or the keys of a map.
fn names(answer: &Value, field: &str) -> Vec<String> {
    if let Some(map) = answer.as_object() {
        return map.keys().cloned().collect();
    }
    let list = answer.as_array().unwrap().iter();
    let name = |element: &Value| element.pointer(field).unwrap().as_str().unwrap().to_owned();
    list.map(name).collect()
}

/// Each path with the field that names its elements, and filters with the names they leave.
async fn all(ground: &Ground, path: &str, field: &str, cases: &[(&str, &[&str])]) {
    for (filter, expected) in cases {
        let found = names(&filtered(ground, path, filter).await, field);
        assert_eq!(found, *expected, "{path}: {filter}");
    }
}

#[tokio::test]
async fn own_services_and_checks_are_filtered_by_value() {
    let ground = ground().await;
    let services: &[(&str, &[&str])] = &[
        ("Service == web", &["web-1"]),
        ("Meta[\"a-b\"] == x and blue in Tags", &["web-1"]),
        ("Meta.env != qa", &["db"]),
        ("TaggedAddresses.lan_ipv4.Port == 8080", &["web-1"]),
        ("Weights.Passing == 3 or ID == db", &["db", "web-1"]),
        (
            "Tags is empty and Connect.Native == false and Proxy.Mode == ``",
            &["db"],
        ),
        ("Kind == `connect-proxy`", &[]),
    ];
    all(&ground, "/v1/agent/services", "", services).await;
    let checks: &[(&str, &[&str])] = &[
        ("Status == critical", &["slow"]),
        ("ServiceName == web and v1 in ServiceTags", &["alive"]),
        ("Type == ttl and Notes == n", &["alive"]),
        ("Name matches `^A` or CheckID == slow", &["alive", "slow"]),
    ];
    all(&ground, "/v1/agent/checks", "", checks).await;
}

#[tokio::test]
async fn members_are_filtered_by_their_own_fields() {
    let ground = ground().await;
    let cases: &[(&str, &[&str])] = &[
        ("Name == two", &["two"]),
        ("Status == 1 and Addr == `10.0.0.3`", &["three"]),
        ("Tags.role == consul and Name != one", &["three", "two"]),
        ("segment in Tags and ProtocolCur == 7", &[]),
    ];
    all(&ground, "/v1/agent/members", "/Name", cases).await;
}

#[tokio::test]
async fn nodes_and_instances_are_filtered() {
    let ground = ground().await;
    let cases: &[(&str, &[&str])] = &[
        ("Meta.rack == r2", &["two"]),
        ("Meta.rack != r2", &["one", "three"]),
        ("TaggedAddresses.wan == `10.0.0.3`", &["three"]),
        (
            "Datacenter == dc1 and PeerName == ``",
            &["one", "three", "two"],
        ),
    ];
    all(&ground, "/v1/catalog/nodes", "/Node", cases).await;
    let cases: &[(&str, &[&str])] = &[
        ("ServiceMeta.env == qa", &["one"]),
        ("NodeMeta.rack == r3 and v1 in ServiceTags", &["three"]),
        ("ServicePort == 8002 or Node == one", &["one", "two"]),
        ("ServiceWeights.Passing == 1", &["three", "two"]),
        (
            "ServiceAddress == `` and ServiceName == web",
            &["three", "two"],
        ),
    ];
    all(&ground, "/v1/catalog/service/web", "/Node", cases).await;
}

#[tokio::test]
async fn the_list_of_services_is_filtered_by_instance() {
    let ground = ground().await;
    let path = "/v1/catalog/services";
    let found = filtered(&ground, path, "ServiceName != consul and Node == two").await;
    assert_eq!(found, serde_json::json!({"web": ["n2", "v1"]}));
    let found = filtered(&ground, path, "ServiceName == nothing").await;
    assert_eq!(found, serde_json::json!({}));
}

#[tokio::test]
async fn the_services_of_a_node_are_filtered() {
    let ground = ground().await;
    let found = filtered(&ground, "/v1/catalog/node/one", "Service == web").await;
    assert_eq!(names(&found["Services"], ""), ["web-1"]);
    assert_eq!(found["Node"]["Node"], "one");
    let found = filtered(&ground, "/v1/catalog/node-services/one", "Port == 5432").await;
    assert_eq!(names(&found["Services"], "/ID"), ["db"]);
    let none = filtered(&ground, "/v1/catalog/node/one", "Service == x").await;
    assert_eq!(none["Services"], serde_json::json!({}));
}

#[tokio::test]
async fn checks_are_filtered_wherever_they_are_listed() {
    let ground = ground().await;
    for (path, filter, expected) in [
        ("/v1/health/node/one", "ServiceID == ``", "serfHealth"),
        ("/v1/health/node/one", "Status == critical", "slow"),
        ("/v1/health/checks/web", "Node == one", "alive"),
        ("/v1/health/state/any", "ServiceName == db", "slow"),
        ("/v1/health/state/passing", "Name == Alive", "alive"),
        (
            "/v1/health/state/any",
            "Output contains alive and Node == two",
            "serfHealth",
        ),
    ] {
        let found = names(&filtered(&ground, path, filter).await, "/CheckID");
        assert_eq!(found, [expected], "{path}: {filter}");
    }
}

#[tokio::test]
async fn healthy_instances_are_filtered_by_node_service_and_checks() {
    let ground = ground().await;
    let cases: &[(&str, &[&str])] = &[
        ("Node.Meta.rack == r2", &["two"]),
        ("Service.Meta.env == qa", &["one"]),
        ("Checks.CheckID == alive", &["one"]),
        ("not Checks.CheckID == alive", &["three", "two"]),
        ("Checks.Status == critical", &[]),
        ("Checks is empty", &[]),
        ("`n3` in Service.Tags", &["three"]),
    ];
    all(&ground, "/v1/health/service/web", "/Node/Node", cases).await;
    ground.done("/v1/agent/check/fail/alive", "").await;
    let critical: &[(&str, &[&str])] = &[("Checks.Status == critical", &["one"])];
    all(&ground, "/v1/health/service/web", "/Node/Node", critical).await;
    // The filter does not bring back what passing takes away.
    let critical: &[(&str, &[&str])] = &[("Checks.Status == critical", &[])];
    all(
        &ground,
        "/v1/health/service/web?passing",
        "/Node/Node",
        critical,
    )
    .await;
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_500_in_consuls_words() {
    let ground = ground().await;
    let prefix = "Failed to create boolean expression evaluator: ";
    let bogus = ground.get("/v1/catalog/nodes?filter=Bogus==1").await;
    bogus.is(500, &format!("{prefix}Selector \"Bogus\" is not valid"));
    let port = ground
        .get("/v1/agent/services?filter=Port+matches+%228%22")
        .await;
    let text = "Invalid match operator \"Matches\" for selector \"Port\"";
    port.is(500, &format!("{prefix}{text}"));
    for path in [
        "agent/services",
        "agent/checks",
        "agent/members",
        "catalog/nodes",
        "catalog/services",
        "catalog/service/web",
        "catalog/node/one",
        "catalog/node-services/one",
        "health/node/one",
        "health/checks/web",
        "health/state/any",
        "health/service/web",
    ] {
        // It is refused at once, also by who would wait.
        let answer = ground
            .get(&format!("/v1/{path}?filter=%28&index=1&wait=10m"))
            .await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.body.starts_with(prefix), "{path}: {}", answer.body);
        let empty = ground.get(&format!("/v1/{path}?filter=")).await;
        assert_eq!(empty.status, 200, "{path}");
    }
}

#[tokio::test]
async fn every_selector_that_is_declared_has_a_value() {
    let ground = ground().await;
    for (path, shape) in [
        ("agent/services", fields::AGENT_SERVICE),
        ("agent/checks", fields::HEALTH_CHECK),
        ("agent/members", MEMBER),
        ("catalog/nodes", fields::NODE),
        ("catalog/service/web", fields::SERVICE_NODE),
        ("catalog/node/one", fields::NODE_SERVICE),
        ("health/service/web", fields::CHECK_SERVICE_NODE),
    ] {
        let path = format!("/v1/{path}");
        let mut truths = Vec::new();
        say_what_holds("", shape, &mut truths);
        let plain = ground.get(&path).await.json();
        assert_eq!(filtered(&ground, &path, &truths.join(" and ")).await, plain);
    }
}

/// Adds what holds for whatever has a value of `shape` under `name`.
fn say_what_holds(name: &str, shape: Shape, truths: &mut Vec<String>) {
    match shape {
        Shape::Text => truths.push(format!("{name} != nothing_is_called_that")),
        Shape::Bool => truths.push(format!("({name} == true or {name} == false)")),
        Shape::Int => truths.push(format!("{name} != -1")),
        Shape::Texts | Shape::Map(_) => truths.push(format!("nothing not in {name}")),
        Shape::Record(fields) | Shape::Records(fields) => {
            for (field, shape) in fields {
                let separator = if name.is_empty() { "" } else { "." };
                say_what_holds(&format!("{name}{separator}{field}"), *shape, truths);
            }
        }
    }
}

/// Environments in one registry: globs as patterns, and both must hold.
#[tokio::test]
async fn instances_of_one_environment_are_found_by_patterns_of_their_metadata() {
    let ground = Ground::new();
    for (id, meta) in [
        ("a", r#"{"env":"production","version":"v2.1"}"#),
        ("b", r#"{"env":"prod-eu","version":"v1.9"}"#),
        ("c", r#"{"env":"test","version":"v2.1"}"#),
        ("d", "{}"),
    ] {
        let body = format!(r#"{{"ID":"{id}","Name":"app","Port":1,"Meta":{meta}}}"#);
        ground.done("/v1/agent/service/register", &body).await;
    }
    let prod = r#"Meta.env matches "^prod.*$""#;
    let listed: &[(&str, &[&str])] = &[
        // As Consul has it: a pattern takes what lacks the key.
        (&format!("Service.{prod}"), &["a", "b", "d"]),
        (
            &format!("env in Service.Meta and Service.{prod}"),
            &["a", "b"],
        ),
        (
            r#""env" in Service.Meta and Service.Meta["env"] matches "^prod.*$" and "version" in Service.Meta and Service.Meta["version"] matches "^v2\\..*$""#,
            &["a"],
        ),
    ];
    all(&ground, "/v1/health/service/app", "/Service/ID", listed).await;
    let listed: &[(&str, &[&str])] = &[("ServiceMeta.env == \"test\"", &["c"])];
    all(&ground, "/v1/catalog/service/app", "/ServiceID", listed).await;
}
