//! Definitions of services and checks that are refused, and in which words.

use super::ground::Ground;

#[tokio::test]
async fn bad_registrations_are_refused_in_consuls_words() {
    let ground = Ground::new();
    for (body, text) in BAD_SERVICES {
        let answer = ground.put("/v1/agent/service/register", body).await;
        answer.is(400, text);
    }
    for (fields, text) in BAD_CHECKS {
        let body = format!(r#"{{"Name":"a","Check":{{{fields}}}}}"#);
        let answer = ground.put("/v1/agent/service/register", &body).await;
        answer.is(400, text);
    }
    let tagged = r#"{"Name":"a","TaggedAddresses":{"lan_ipv4":{"Address":"::1","Port":1}}}"#;
    let text = r#"Service tagged address "lan_ipv4" must be a valid ipv4 address"#;
    ground
        .put("/v1/agent/service/register", tagged)
        .await
        .is(500, text);
    let long = format!(r#"{{"Name":"{}"}}"#, "x".repeat(300));
    assert_eq!(
        ground.put("/v1/agent/service/register", &long).await.status,
        400
    );
    let tags = |count: usize, bytes: usize| {
        let tags: Vec<_> = (0..count).map(|n| format!("{n:x>bytes$}")).collect();
        serde_json::json!({"Name": "a", "Tags": tags}).to_string()
    };
    let many = "Validation failed: a service has at most 512 tags, and this has 513";
    let long = "Validation failed: a tag has at most 4096 bytes, and the one that begins with \
                \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" has 4097";
    for (body, text) in [(tags(513, 1), many), (tags(1, 4_097), long)] {
        let answer = ground.put("/v1/agent/service/register", &body).await;
        answer.is(400, text);
    }
    ground.get("/v1/agent/services").await.is(200, "{}");
    // Rules of load balancers are long and many.
    for body in [tags(512, 100), tags(15, 4_096)] {
        ground.done("/v1/agent/service/register", &body).await;
    }
}

const BAD_SERVICES: &[(&str, &str)] = &[
    (
        r#"{"Foo":1}"#,
        r#"Request decode failed: json: unknown field "Foo""#,
    ),
    ("", "Request decode failed: EOF"),
    (r#"{"ID":"x"}"#, "Missing service name"),
    ("null", "Missing service name"),
    (
        r#"{"Name":"a","Address":"0.0.0.0"}"#,
        "Invalid service address",
    ),
    (r#"{"Name":"a","Address":"::"}"#, "Invalid service address"),
    (
        r#"{"Name":"a","Port":"x"}"#,
        "Request decode failed: json: cannot unmarshal string into Go struct field \
         ServiceDefinition.Port of type int",
    ),
    (
        r#"{"Name":"a","Port":70000}"#,
        "Invalid port: 70000 is not within 0 and 65535",
    ),
    (
        r#"{"Name":"a","Weights":{"Passing":0,"Warning":1}}"#,
        "Invalid Weights: Passing must be within 1 and 65535, not 0",
    ),
    (
        r#"{"Name":"a","Meta":{"a b":""}}"#,
        "Invalid Service Meta: Couldn't load metadata pair ('a b', ''): Key contains invalid \
         characters",
    ),
    (
        r#"{"Name":"a","Connect":{"Native":true}}"#,
        "Request decode failed: Invalid request body: \"Connect\" is not supported: tidings has \
         no service mesh",
    ),
    (
        r#"{"Name":"a","connect":{"sidecar_service":{}}}"#,
        "Request decode failed: Invalid request body: \"Connect\" is not supported: tidings has \
         no service mesh",
    ),
];

const BAD_CHECKS: &[(&str, &str)] = &[
    (
        r#""Interval":"nope""#,
        r#"Request decode failed: time: invalid duration "nope""#,
    ),
    (
        r#""success_before_passing":1"#,
        r#"Request decode failed: json: unknown field "success_before_passing""#,
    ),
    (
        r#""TTL":"1s","Interval":"1s""#,
        "Invalid check: Interval and TTL cannot both be specified",
    ),
    (
        r#""Name":"b""#,
        "Invalid check: TTL must be > 0 for TTL checks",
    ),
    (
        r#""HTTP":"http://x""#,
        "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
    ),
    (
        r#""TTL":"1s","Status":"good""#,
        "Status for checks must 'passing', 'warning', 'critical'",
    ),
    (
        r#""GRPC":"x:1""#,
        "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
    ),
    (
        r#""Script":"rm","Interval":"1s""#,
        "Request decode failed: Invalid request body: \"Script\" is not supported: use Args: the \
         program and its arguments, as a list",
    ),
    (
        r#""AliasService":"x","Interval":"1s""#,
        "Invalid check: Interval cannot be set for Alias checks",
    ),
    (
        r#""DockerContainerID":"x","Interval":"1s""#,
        "Invalid check: a Docker check needs Args: the program to run within the container",
    ),
    (
        r#""TTL":"1s","OutputMaxSize":-1"#,
        "Invalid check: MaxOutputMaxSize must be positive",
    ),
    (
        r#""TTL":"1s","ObserveBeforePassing":"61m""#,
        "Invalid check: ObserveBeforePassing can be 1h at most",
    ),
    (
        r#""TTL":"1s","ObserveBeforePassing":"2m","DeregisterCriticalServiceAfter":"2m""#,
        "Invalid check: ObserveBeforePassing must be shorter than DeregisterCriticalServiceAfter",
    ),
    (
        r#""AliasService":"x","ObserveBeforePassing":"1s""#,
        "Invalid check: ObserveBeforePassing cannot be set for Alias checks; set it where they point to",
    ),
];
