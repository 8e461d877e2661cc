//! `/v1/agent/...`

use tidings_types::{Liveness, MemberStatus, Refusal};

use super::ground::{Ground, node_id, node_record};

const WEB: &str = r#"{"Name":"web","ID":"web-1","Tags":["v1","a"],"Address":"10.1.1.1","Port":8080,
    "Meta":{"env":"qa"},"Check":{"TTL":"10s"}}"#;

#[tokio::test]
async fn a_registration_is_shown_as_consul_shows_it() {
    let ground = Ground::new();
    ground.get("/v1/agent/services").await.is(200, "{}");
    ground.get("/v1/agent/checks").await.is(200, "{}");
    ground.done("/v1/agent/service/register", WEB).await;
    let services = ground.get("/v1/agent/services").await;
    services.is(
        200,
        concat!(
            r#"{"web-1":{"ID":"web-1","Service":"web","Tags":["v1","a"],"Meta":{"env":"qa"},"#,
            r#""Port":8080,"Address":"10.1.1.1","TaggedAddresses":{"#,
            r#""lan_ipv4":{"Address":"10.1.1.1","Port":8080},"#,
            r#""wan_ipv4":{"Address":"10.1.1.1","Port":8080}},"#,
            r#""Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Datacenter":"dc1"}}"#,
        ),
    );
    assert_eq!(services.header("content-type"), Some("application/json"));
    assert_eq!(services.header("x-consul-index"), None);
    ground.get("/v1/agent/checks").await.is(
        200,
        concat!(
            r#"{"service:web-1":{"Node":"one","CheckID":"service:web-1","#,
            r#""Name":"Service 'web' check","Status":"critical","Notes":"","Output":"","#,
            r#""ServiceID":"web-1","ServiceName":"web","ServiceTags":["v1","a"],"Type":"ttl","#,
            r#""Interval":"0s","Timeout":"0s","ExposedPort":0,"Definition":{},"#,
            r#""CreateIndex":0,"ModifyIndex":0}}"#,
        ),
    );
}

#[tokio::test]
async fn an_identical_registration_keeps_status_and_index() {
    let ground = Ground::new();
    ground.done("/v1/agent/service/register", WEB).await;
    ground
        .done("/v1/agent/check/pass/service:web-1?note=fine", "")
        .await;
    let before = ground.get("/v1/health/service/web").await;
    ground.done("/v1/agent/service/register", WEB).await;
    let after = ground.get("/v1/health/service/web").await;
    assert_eq!(before.body, after.body);
    assert_eq!(before.index(), after.index());
    assert!(after.body.contains(r#""Status":"passing""#));
    assert!(after.body.contains(r#""Output":"fine""#));
}

#[tokio::test]
async fn keys_match_in_any_case_and_nulls_are_nothing() {
    let ground = Ground::new();
    let body = r#"{"name":"Db","id":null,"tags":null,"port":5432,"meta":null,"check":null,
        "checks":[{"http":"http://localhost/","interval":10000000000,"status":"passing",
        "deregister_critical_service_after":"30s"}],"enable_tag_override":true,
        "tagged_addresses":{"wan":{"address":"192.0.2.1","port":1}},"connect":{"native":false},
        "weights":{"passing":10,"warning":0},"namespace":"default"} and what follows is ignored"#;
    ground.done("/v1/agent/service/register", body).await;
    let services = ground.get("/v1/agent/services").await.json();
    let db = &services["Db"];
    assert_eq!((&db["Service"], &db["Port"]), (&"Db".into(), &5432.into()));
    assert_eq!(db["Tags"], serde_json::json!([]));
    assert_eq!(db["Meta"], serde_json::json!({}));
    assert_eq!(db["Weights"]["Passing"], 10);
    assert_eq!(db["TaggedAddresses"]["wan"]["Address"], "192.0.2.1");
    let check = ground
        .view
        .own_check(&tidings_types::CheckId::new("service:Db").unwrap());
    let check = check.unwrap();
    assert_eq!(check.record().interval_ms, 10_000);
    assert_eq!(check.record().timeout_ms, 10_000);
    assert_eq!(check.record().deregister_after_ms, 60_000, "at least 1 min");
    let checks = ground.get("/v1/agent/checks").await.json();
    assert_eq!(checks["service:Db"]["Interval"], "10s");
    assert_eq!(checks["service:Db"]["Type"], "http");
}

#[tokio::test]
async fn deregistration_of_what_is_not_there_is_404() {
    let ground = Ground::new();
    let text =
        "Unknown service ID \"web\". Ensure that the service ID is passed, not the service name.";
    ground
        .put("/v1/agent/service/deregister/web", "")
        .await
        .is(404, text);
    let text =
        "Unknown service ID \"\". Ensure that the service ID is passed, not the service name.";
    ground
        .put("/v1/agent/service/deregister/", "")
        .await
        .is(404, text);
    let text = "Unknown check ID \"c\". Ensure that the check ID is passed, not the check name.";
    ground
        .put("/v1/agent/check/deregister/c", "")
        .await
        .is(404, text);
    ground.put("/v1/agent/check/pass/c", "").await.is(404, text);
    ground
        .put("/v1/agent/check/update/c", r#"{"Status":"passing"}"#)
        .await
        .is(404, text);

    ground
        .done("/v1/agent/service/register", r#"{"Name":"a/b c"}"#)
        .await;
    ground
        .done("/v1/agent/service/deregister/a%2Fb%20c", "")
        .await;
    ground.get("/v1/agent/services").await.is(200, "{}");
}

#[tokio::test]
async fn replacing_checks_drops_those_that_are_not_listed() {
    let ground = Ground::new();
    ground.done("/v1/agent/service/register", WEB).await;
    let other = r#"{"Name":"web","ID":"web-1","Checks":[{"CheckID":"x","TTL":"1s"}]}"#;
    let ids = async || {
        let checks = ground.get("/v1/agent/checks").await.json();
        checks
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    ground
        .done(
            "/v1/agent/service/register?replace-existing-checks=false",
            other,
        )
        .await;
    assert_eq!(ids().await, ["service:web-1", "x"]);
    ground
        .done("/v1/agent/service/register?replace-existing-checks", other)
        .await;
    assert_eq!(ids().await, ["x"]);
}

#[tokio::test]
async fn several_checks_are_numbered() {
    let ground = Ground::new();
    let body = r#"{"Name":"web","Check":{"TTL":"1s"},"Checks":[{},{"TCP":"h:1","Interval":"100ms"},null]}"#;
    ground.done("/v1/agent/service/register", body).await;
    let checks = ground.get("/v1/agent/checks").await.json();
    assert_eq!(checks["service:web:1"]["Type"], "ttl");
    assert_eq!(checks["service:web:2"]["Type"], "tcp");
    assert_eq!(
        checks["service:web:2"]["Interval"], "1s",
        "a shorter interval is raised"
    );
    assert_eq!(
        checks.as_object().unwrap().len(),
        2,
        "an all-zero check is none"
    );
}

#[tokio::test]
async fn a_report_that_the_disk_refuses_is_a_sign_of_life_all_the_same() {
    let ground = Ground::new();
    let check = r#"{"Name":"beat","TTL":"4s","Status":"passing"}"#;
    ground.done("/v1/agent/check/register", check).await;
    ground.node().refusing = Some(Refusal::NotSaved {
        reason: "no space is left".to_owned(),
    });
    let path = "/v1/agent/check/pass/beat";
    let refused = ground.put(path, "").await;
    refused.is(500, "the change could not be saved: no space is left");
    assert_eq!(*ground.calls.lock().unwrap(), ["reported beat: "]);
}

#[tokio::test]
async fn checks_are_registered_and_reported_on() {
    let ground = Ground::new();
    let put = async |body: &str| ground.put("/v1/agent/check/register", body).await;
    put(r#"{"TTL":"1s"}"#).await.is(400, "Missing check name");
    put(r#"{"Name":"c","TTL":"1s","Status":"x"}"#)
        .await
        .is(400, "Bad check status");
    put(r#"{"Name":"c","TTL":"1s","ServiceID":"no"}"#)
        .await
        .is(404, "ServiceID \"no\" does not exist");
    put(r#"{"Name":"disk","TTL":"100ms","Notes":"n"}"#)
        .await
        .is(200, "");
    put(r#"{"ID":"tcp","Name":"c","TCP":"h:1","Interval":"5s"}"#)
        .await
        .is(200, "");

    ground
        .done("/v1/agent/check/warn/disk?note=50%25", "")
        .await;
    let check = ground.get("/v1/agent/checks").await.json()["disk"].clone();
    assert_eq!(
        (&check["Status"], &check["Output"]),
        (&"warning".into(), &"50%".into())
    );
    ground.done("/v1/agent/check/fail/disk", "").await;
    let update = r#"{"status":"passing","output":"ok"}"#;
    ground.done("/v1/agent/check/update/disk", update).await;
    assert_eq!(
        *ground.calls.lock().unwrap(),
        ["reported disk: 50%", "reported disk: ", "reported disk: ok"]
    );
    // What the node is told is the runner's word.
    let observed = "/v1/agent/check/pass/disk?note=observed";
    ground.done(observed, "").await;
    let check = ground.get("/v1/agent/checks").await.json()["disk"].clone();
    assert_eq!(
        (&check["Status"], &check["Output"]),
        (&"critical".into(), &"not yet: observed".into())
    );
    let bad = r#"{"Status":"unknown"}"#;
    let text = "Invalid check status: 'unknown'";
    ground
        .put("/v1/agent/check/update/disk", bad)
        .await
        .is(400, text);
    let text = "CheckID \"tcp\" does not have associated TTL";
    ground
        .put("/v1/agent/check/pass/tcp", "")
        .await
        .is(500, text);
    ground.done("/v1/agent/check/deregister/disk", "").await;
    assert_eq!(ground.calls.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn output_noise_moves_no_index_and_is_bounded() {
    let ground = Ground::new();
    ground.done("/v1/agent/service/register", WEB).await;
    ground.done("/v1/agent/check/pass/service:web-1", "").await;
    let before = ground.get("/v1/health/service/web").await.index();
    let noise = format!(r#"{{"Status":"passing","Output":"{}"}}"#, "é".repeat(4_000));
    ground
        .done("/v1/agent/check/update/service:web-1", &noise)
        .await;
    let after = ground.get("/v1/health/service/web").await;
    assert_eq!(after.index(), before);
    assert!(after.body.contains(&"é".repeat(2_048)) && !after.body.contains(&"é".repeat(2_049)));
}

#[tokio::test]
async fn maintenance_is_a_critical_check() {
    let ground = Ground::new();
    let path = "/v1/agent/service/maintenance/web";
    ground
        .put("/v1/agent/service/maintenance/", "")
        .await
        .is(400, "Missing service ID");
    ground
        .put(path, "")
        .await
        .is(400, "Missing value for enable");
    ground
        .put(&format!("{path}?enable=maybe"), "")
        .await
        .is(400, "Invalid value for enable: \"maybe\"");
    assert_eq!(
        ground.put(&format!("{path}?enable=true"), "").await.status,
        404
    );

    ground
        .done("/v1/agent/service/register", r#"{"Name":"web"}"#)
        .await;
    ground
        .done(&format!("{path}?enable=true&reason=rack+move"), "")
        .await;
    ground
        .done(&format!("{path}?enable=1&reason=other"), "")
        .await;
    let check = ground.get("/v1/agent/checks").await.json()["_service_maintenance:web"].clone();
    assert_eq!(check["Name"], "Service Maintenance Mode");
    assert_eq!(check["Notes"], "rack move");
    assert_eq!(
        (&check["Status"], &check["Type"]),
        (&"critical".into(), &"maintenance".into())
    );
    ground
        .get("/v1/health/service/web?passing")
        .await
        .is(200, "[]");
    let health = ground.get("/v1/agent/health/service/id/web").await;
    assert_eq!(
        (health.status.as_u16(), health.header("x-consul-reason")),
        (503, Some("maintenance"))
    );
    ground.done(&format!("{path}?enable=false"), "").await;
    ground.done(&format!("{path}?enable=false"), "").await;
    ground.done("/v1/agent/maintenance?enable=true", "").await;
    let checks = ground.get("/v1/agent/checks").await.json();
    assert_eq!(
        checks.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["_node_maintenance"]
    );
    ground
        .get("/v1/health/service/web?passing")
        .await
        .is(200, "[]");
}

#[tokio::test]
async fn health_of_own_instances_is_a_status_code() {
    let ground = Ground::new();
    let by = |what: &str| format!("/v1/agent/health/service/{what}");
    let missing = r#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#;
    ground.get(&by("id/web-1")).await.is(404, missing);
    ground
        .get(&by("id/web-1?format=text"))
        .await
        .is(404, "ServiceId web-1 not found");
    ground.get(&by("name/web")).await.is(404, "[]");
    ground
        .get(&by("name/web?format=text"))
        .await
        .is(404, "ServiceName web Not Found");
    ground.done("/v1/agent/service/register", WEB).await;
    ground.done("/v1/agent/check/warn/service:web-1", "").await;
    let text = ground.get(&by("name/web?format=text")).await;
    text.is(429, "warning");
    assert_eq!(text.header("content-type"), Some("text/plain"));
    assert_eq!(text.header("x-consul-reason"), Some("warning"));
    ground.done("/v1/agent/check/pass/service:web-1", "").await;
    let health = ground.get(&by("id/web-1")).await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["AggregatedStatus"], "passing");
    assert_eq!(health.json()["Service"]["ID"], "web-1");
}

#[tokio::test]
async fn one_service_blocks_on_its_hash() {
    let ground = Ground::new();
    ground
        .get("/v1/agent/service/web-1")
        .await
        .is(404, "unknown service ID: web-1");
    ground.done("/v1/agent/service/register", WEB).await;
    let first = ground
        .get("/v1/agent/service/web-1?hash=other&wait=10m")
        .await;
    let hash = first.header("x-consul-contenthash").unwrap().to_owned();
    assert_eq!(first.json()["ContentHash"], hash.as_str());
    assert_eq!(first.header("x-tidings-sync"), Some("pending"));
    let again = ground
        .get(&format!("/v1/agent/service/web-1?hash={hash}&wait=1ms"))
        .await;
    assert_eq!(again.body, first.body);

    let path = format!("/v1/agent/service/web-1?hash={hash}&wait=10m");
    let change = async {
        while ground.view.watched() == 0 {
            tokio::task::yield_now().await;
        }
        // A change of its check is none of the service itself.
        ground.done("/v1/agent/check/pass/service:web-1", "").await;
        let other = WEB.replace("8080", "9090");
        ground.done("/v1/agent/service/register", &other).await;
    };
    let (answer, ()) = tokio::join!(ground.get(&path), change);
    assert_eq!(answer.json()["Port"], 9090);
    assert_ne!(answer.header("x-consul-contenthash"), Some(hash.as_str()));
}

#[tokio::test]
async fn a_service_that_goes_while_its_hash_is_waited_for_is_404() {
    let ground = Ground::new();
    ground.done("/v1/agent/service/register", WEB).await;
    let first = ground.get("/v1/agent/service/web-1").await;
    let hash = first.header("x-consul-contenthash").unwrap();
    let path = format!("/v1/agent/service/web-1?hash={hash}&wait=10m");
    let change = async {
        while ground.view.watched() == 0 {
            tokio::task::yield_now().await;
        }
        ground.done("/v1/agent/service/deregister/web-1", "").await;
    };
    let (answer, ()) = tokio::join!(ground.get(&path), change);
    answer.is(404, "unknown service ID: web-1");
}

#[tokio::test]
async fn ids_may_hold_any_text() {
    let ground = Ground::new();
    let body = r#"{"Name":"web","ID":"a/b \u00e9"}"#;
    ground.done("/v1/agent/service/register", body).await;
    for path in ["a%2Fb%20%C3%A9", "a/b%20%c3%a9"] {
        let found = ground.get(&format!("/v1/agent/service/{path}")).await;
        assert_eq!(found.json()["ID"], "a/b é");
    }
}

#[tokio::test]
async fn the_agent_tells_of_itself_and_its_cluster() {
    let ground = Ground::new();
    ground.two_more();
    let itself = ground.get("/v1/agent/self").await.json();
    assert_eq!(itself["Config"]["NodeName"], "one");
    assert_eq!(itself["Config"]["Datacenter"], "dc1");
    assert_eq!(
        itself["Config"]["NodeID"],
        "01010101-0101-0101-0101-010101010101"
    );
    assert_eq!(
        itself["DebugConfig"]["SerfAdvertiseAddrLAN"],
        "tcp://10.0.0.1:8301"
    );
    assert_eq!(itself["Member"]["Name"], "one");
    assert_eq!(itself["Meta"]["rack"], "r1");
    assert_eq!(itself["xDS"]["SupportedProxies"], serde_json::json!({}));
    let leader = ground.get("/v1/status/leader").await.json();
    assert_eq!(itself["Stats"]["consul"]["leader_addr"], leader);
    let members = ground.get("/v1/agent/members").await.json();
    let names: Vec<_> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["Name"])
        .collect();
    assert_eq!(names, ["one", "three", "two"]);
    assert_eq!(
        (&members[1]["Status"], &members[1]["Addr"]),
        (&1.into(), &"10.0.0.3".into())
    );
    assert_eq!(members[1]["Tags"]["role"], "consul");
    let everywhere = ground.get("/v1/agent/members?wan=1").await.json();
    assert_eq!(everywhere[1]["Name"], "three.dc1");
    assert_eq!(everywhere[1]["Addr"], "10.0.0.3");
    let text = "Cannot provide a segment with wan=true";
    ground
        .get("/v1/agent/members?wan=1&segment=a")
        .await
        .is(400, text);
    assert_eq!(
        ground.get("/v1/agent/version").await.json()["HumanVersion"],
        "0.1.0"
    );
    assert_eq!(ground.get("/v1/agent/host").await.status, 200);
}

#[tokio::test]
async fn of_several_members_of_one_name_the_dead_one_is_made_to_leave() {
    let ground = Ground::new();
    ground.two_more();
    ground
        .node()
        .write([node_record(8, "two"), node_record(9, "two")]);
    let members = |dead: &[u8]| {
        let members = [1, 2, 3, 8, 9].map(|n| match dead.contains(&n) {
            true => (n, MemberStatus::Down, Liveness::Hidden),
            false => (n, MemberStatus::Alive, Liveness::Live),
        });
        ground.members(&members);
    };
    let leave = async |word: &str| {
        let path = format!("/v1/agent/force-leave/{word}");
        ground.put(&path, "").await
    };
    members(&[]);
    let refused = "3 members are called \"two\", and none is down";
    leave("two").await.is(409, refused);
    members(&[8, 9]);
    let refused = "2 members called \"two\" are down; give the id of one";
    leave("two").await.is(409, refused);
    // The node knows the ninth no more, and says so.
    members(&[9]);
    let id = node_id(9).to_string();
    for word in ["Two", &id, &id[..8]] {
        let told = leave(word).await;
        assert!(
            told.status != 200 && told.body.contains(&id),
            "{}",
            told.body
        );
    }
    let short = &id[..7];
    let refused = format!("agent: No node found with name '{short}'");
    leave(short).await.is(500, &refused);
}

#[tokio::test]
async fn joining_and_leaving_reach_the_agent() {
    let ground = Ground::new();
    ground.two_more();
    ground.done("/v1/agent/join/127.0.0.1", "").await;
    ground.done("/v1/agent/join/127.0.0.1:8302?wan=", "").await;
    ground.done("/v1/agent/join/[::1]:8302", "").await;
    let nobody = "agent: no agent of this cluster answers at 127.0.0.1:1: 127.0.0.1:1: nobody; see \
                  that its agent runs and that UDP passes to its gossip port (no answer within 3 s)";
    let told = ground.put("/v1/agent/join/127.0.0.1:1", "").await;
    told.is(500, nobody);
    assert_eq!(ground.put("/v1/agent/join/", "").await.status, 400);
    assert_eq!(
        ground.put("/v1/agent/join/256.0.0.1:x", "").await.status,
        500
    );
    ground.done("/v1/agent/force-leave/two", "").await;
    let text = "agent: No node found with name 'nobody'";
    ground
        .put("/v1/agent/force-leave/nobody", "")
        .await
        .is(500, text);
    ground.done("/v1/agent/leave", "").await;
    assert_eq!(*ground.calls.lock().unwrap(), ["leave"]);
}

#[tokio::test]
async fn many_services_are_registered_in_one_call() {
    let ground = Ground::new();
    let services: Vec<_> = (0..200)
        .map(|n| serde_json::json!({"Name": "web", "ID": format!("web-{n}"), "Port": n}))
        .collect();
    let body = serde_json::json!({"Services": services}).to_string();
    let reply = ground.put("/v1/tidings/services", &body).await;
    reply.is(200, r#"{"Registered":200}"#);
    let listed = ground.get("/v1/agent/services").await.json();
    assert_eq!(listed.as_object().unwrap().len(), 200);
    // One that is malformed is named, and none is registered.
    let body = r#"{"Services":[{"Name":"ok"},{"Name":"bad","Port":-1}]}"#;
    let reply = ground.put("/v1/tidings/services", body).await;
    reply.is(
        400,
        "Services[1]: Invalid port: -1 is not within 0 and 65535",
    );
    assert!(ground.get("/v1/agent/service/ok").await.status == 404);
    let many: Vec<_> = (0..1_001)
        .map(|_| serde_json::json!({"Name": "x"}))
        .collect();
    let body = serde_json::json!({"Services": many}).to_string();
    assert_eq!(ground.put("/v1/tidings/services", &body).await.status, 400);
}

#[tokio::test]
async fn a_reload_that_fails_says_why() {
    let ground = Ground::new();
    ground.put("/v1/agent/reload", "").await.is(200, "");
    let failed = ground.put("/v1/agent/reload", "").await;
    failed.is(500, "Reload failed: filed.json:3: EOF");
    assert_eq!(*ground.calls.lock().unwrap(), ["reload", "reload"]);
}

#[tokio::test]
async fn what_a_file_defines_is_not_changed_through_the_api() {
    let ground = Ground::new();
    let service = "service ID \"filed\" is defined in /etc/tidings/filed.json; change it there, \
                   the agent follows it";
    let check = service.replace("service ID", "check ID");
    for (path, body, said) in [
        ("/v1/agent/service/register", r#"{"Name":"filed"}"#, service),
        (
            "/v1/agent/service/register",
            r#"{"Name":"web","Check":{"CheckID":"filed","TTL":"1s"}}"#,
            &check,
        ),
        ("/v1/agent/service/deregister/filed", "", service),
        (
            "/v1/agent/check/register",
            r#"{"Name":"filed","TTL":"1s"}"#,
            &check,
        ),
        ("/v1/agent/check/deregister/filed", "", &check),
    ] {
        ground.put(path, body).await.is(409, said);
    }
}

/// Each kind of check as clients write it, and how it is shown.
const KINDS: &[(&str, &str)] = &[
    (
        r#""GRPC":"x:1/s","GRPCUseTLS":true,"HTTP":"http://x""#,
        "grpc",
    ),
    (
        r#""grpc":"x:1","grpc_use_tls":true,"tls_skip_verify":true"#,
        "grpc",
    ),
    (r#""HTTP":"http://x","TCP":"x:1""#, "http"),
    (r#""TCP":"x:1","TCPUseTLS":true,"TLSServerName":"y""#, "tcp"),
    (r#""UDP":"x:1","OSService":"y""#, "udp"),
    (r#""H2PING":"x:1","H2PingUseTLS":false"#, "h2ping"),
    (r#""OSService":"nginx.service""#, "os_service"),
];

#[tokio::test]
async fn each_kind_of_check_is_shown_by_its_type() {
    let ground = Ground::new();
    for (fields, kind) in KINDS {
        let body = format!(r#"{{"Name":"c","Interval":"10s",{fields}}}"#);
        let reply = ground.put("/v1/agent/check/register", &body).await;
        reply.is(200, "");
        let checks = ground.get("/v1/agent/checks").await.json();
        assert_eq!(checks["c"]["Type"], *kind, "{fields}");
        assert_eq!(checks["c"]["Definition"], serde_json::json!({}));
    }
    let body = r#"{"Name":"c","AliasService":"web"}"#;
    ground
        .put("/v1/agent/check/register", body)
        .await
        .is(200, "");
    let checks = ground.get("/v1/agent/checks").await.json();
    assert_eq!(checks["c"]["Type"], "alias");
}

#[tokio::test]
async fn programs_are_run_for_remote_callers_only_if_the_settings_say_so() {
    let disabled = "Scripts are disabled on this agent from remote calls; to enable, configure \
                    'enable_script_checks' to true";
    let ground = Ground::new();
    for fields in [
        r#""Args":["true"]"#,
        r#""script_args":["true"]"#,
        r#""DockerContainerID":"c","Args":["true"]"#,
    ] {
        let check = format!(r#"{{"Name":"c","Interval":"10s",{fields}}}"#);
        let service = format!(r#"{{"Name":"web","Check":{check}}}"#);
        let reply = ground.put("/v1/agent/check/register", &check).await;
        reply.is(500, disabled);
        let reply = ground.put("/v1/agent/service/register", &service).await;
        reply.is(500, disabled);
    }
    assert_eq!(ground.get("/v1/agent/services").await.body, "{}");
}
