//! `?ack` on writes of this agent's own records.

use tidings_types::Refusal;

use super::ground::Ground;

const WEB: &str = r#"{"Name":"web","Port":80}"#;

#[tokio::test]
async fn each_own_write_says_how_many_agents_hold_it_if_it_is_asked() {
    let ground = Ground::new();
    let check = r#"{"CheckID":"c","Name":"c","TTL":"10m","ServiceID":"web"}"#;
    for (path, body) in [
        ("/v1/agent/service/register", WEB),
        ("/v1/agent/check/register", check),
        ("/v1/agent/check/pass/c", ""),
        ("/v1/agent/check/warn/c", ""),
        ("/v1/agent/check/fail/c", ""),
        ("/v1/agent/check/update/c", r#"{"Status":"passing"}"#),
        ("/v1/agent/check/deregister/c", ""),
        ("/v1/agent/service/deregister/web", ""),
    ] {
        let reply = ground.put(&format!("{path}?ack=2&wait=1s"), body).await;
        reply.is(200, "");
        assert_eq!(reply.header("x-tidings-acked"), Some("2"), "{path}");
    }
    let reply = ground.put("/v1/agent/service/register", WEB).await;
    assert_eq!(reply.header("x-tidings-acked"), None);
}

#[tokio::test]
async fn so_does_every_other_write_also_one_that_changes_nothing() {
    let ground = Ground::new();
    let external = r#"{"Node":"db","Address":"192.0.2.1"}"#;
    for (path, body) in [
        ("/v1/catalog/register?", external),
        ("/v1/catalog/deregister?", external),
        ("/v1/catalog/deregister?", external),
        ("/v1/agent/maintenance?enable=true&", ""),
        ("/v1/agent/maintenance?enable=true&", ""),
        ("/v1/agent/maintenance?enable=false&", ""),
        ("/v1/event/fire/deploy?", ""),
    ] {
        let reply = ground.put(&format!("{path}ack=2&wait=1s"), body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert_eq!(reply.header("x-tidings-acked"), Some("2"), "{path}");
        let nonsense = ground.put(&format!("{path}ack=0"), body).await;
        assert_eq!(nonsense.status, 400, "{path}");
    }
}

#[tokio::test]
async fn too_few_holders_are_no_failure() {
    let ground = Ground::new();
    let reply = ground.put("/v1/agent/service/register?ack=3", WEB).await;
    reply.is(200, "");
    assert_eq!(reply.header("x-tidings-acked"), Some("2"));
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_is_written() {
    let ground = Ground::new();
    for query in ["ack=0", "ack=many", "ack=2&wait=soon"] {
        let path = format!("/v1/agent/service/register?{query}");
        assert_eq!(ground.put(&path, WEB).await.status, 400, "{query}");
    }
    ground.get("/v1/agent/services").await.is(200, "{}");
}

#[tokio::test]
async fn a_write_that_fails_says_so_and_not_how_many_hold_it() {
    let ground = Ground::new();
    ground.node().refusing = Some(Refusal::Busy);
    let reply = ground.put("/v1/agent/service/register?ack=2", WEB).await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("x-tidings-acked"), None);
}
