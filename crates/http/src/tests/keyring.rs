//! `/v1/tidings/keyring`: what reaches the agent, and what never comes back.

use super::ground::Ground;

#[tokio::test]
async fn each_call_reaches_the_agent_with_its_scope() {
    let ground = Ground::new();
    let listed = ground.get("/v1/tidings/keyring").await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.json()["reachable"], 1);
    ground.get("/v1/tidings/keyring?local").await;
    let body = r#"{"Key": "secret"}"#;
    let added = ground.ask("PUT", "/v1/tidings/keyring/add", body).await;
    assert_eq!(added.status, 200);
    ground
        .ask("PUT", "/v1/tidings/keyring/use/0a0b0c0d?local", "")
        .await
        .is(409, "n2 lacks 0a0b0c0d");
    ground
        .ask("PUT", "/v1/tidings/keyring/remove/x", "")
        .await
        .is(400, "no id");
    assert_eq!(
        *ground.calls.lock().unwrap(),
        [
            "keyring List, everywhere: true",
            "keyring List, everywhere: false",
            "keyring add secret, everywhere: true",
            "keyring Use(0a0b0c0d), everywhere: false",
            "keyring Remove(x), everywhere: true",
        ]
    );
}

#[tokio::test]
async fn a_malformed_body_is_refused_without_being_repeated() {
    let ground = Ground::new();
    for body in [
        "",
        "secret",
        r#"{"Key": ["secret"]}"#,
        r#"{"Key": "secret", "secret": 1}"#,
    ] {
        let answer = ground.ask("PUT", "/v1/tidings/keyring/add", body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
    assert!(ground.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_foreign_web_page_can_send_changes_nothing() {
    let ground = Ground::new();
    // A form can send GET and POST; PUT needs a leave that is never given.
    for path in ["add", "use/0a0b0c0d", "remove/0a0b0c0d"] {
        let path = format!("/v1/tidings/keyring/{path}");
        for method in ["GET", "POST"] {
            let answer = ground.ask(method, &path, r#"{"Key": "secret"}"#).await;
            assert_eq!(answer.status, 405, "{method} {path}");
        }
        let asked = ground.ask("OPTIONS", &path, "").await;
        assert_eq!(asked.header("access-control-allow-origin"), None);
    }
    assert!(ground.calls.lock().unwrap().is_empty());
}
