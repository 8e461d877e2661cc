//! `index` and `wait`.

use std::{sync::Arc, time::Duration};

use tidings_types::{Liveness, MemberStatus};
use tokio::{task::JoinHandle, time::Instant};

use super::ground::{FIRST, Ground, Reply};
use crate::Limits;

/// Asks in the background, and returns once the query waits.
pub(super) async fn waiting(ground: &Arc<Ground>, path: String) -> JoinHandle<Reply> {
    let before = ground.view.watched();
    let asking = Arc::clone(ground);
    let waiting = tokio::spawn(async move { asking.get(&path).await });
    while ground.view.watched() == before {
        tokio::task::yield_now().await;
    }
    waiting
}

#[tokio::test]
async fn a_watcher_wakes_for_its_service_and_for_no_other() {
    let ground = Arc::new(Ground::new());
    ground.two_more();
    ground
        .done("/v1/agent/service/register", r#"{"Name":"db"}"#)
        .await;
    let index = ground.get("/v1/health/service/web").await.index();
    let path = |service: &str| format!("/v1/health/service/{service}?index={index}&wait=5m");
    let web = waiting(&ground, path("web")).await;
    let later = ground.get("/v1/health/service/db").await.index();
    let db = waiting(
        &ground,
        format!("/v1/health/service/db?index={later}&wait=5m"),
    )
    .await;

    let alive = |n| (n, MemberStatus::Alive, Liveness::Live);
    ground.members(&[
        alive(1),
        alive(2),
        (3, MemberStatus::Down, Liveness::Hidden),
    ]);
    let answer = web.await.unwrap();
    assert!(answer.index() > index);
    assert_eq!(answer.json().as_array().unwrap().len(), 1);
    ground
        .done("/v1/agent/service/register", r#"{"Name":"db"}"#)
        .await;
    assert!(!db.is_finished(), "an identical registration wakes nobody");
    ground
        .done("/v1/agent/service/register", r#"{"Name":"db","Port":1}"#)
        .await;
    assert_eq!(db.await.unwrap().json()[0]["Service"]["Port"], 1);
}

#[tokio::test]
async fn other_nodes_do_not_wake_who_waits_for_one_that_is_missing() {
    let ground = Arc::new(Ground::new());
    let register = async |node: &str| {
        let body = format!(r#"{{"Node":"{node}","Address":"192.0.2.1"}}"#);
        let told = ground.put("/v1/catalog/register", &body).await;
        told.is(200, "true");
    };
    let paths = ["catalog/node", "catalog/node-services", "health/node"];
    let mut asked = Vec::new();
    for path in paths {
        let path = format!("/v1/{path}/absent");
        let index = ground.get(&path).await.index();
        let asking = Arc::clone(&ground);
        let long = format!("{path}?index={index}&wait=5m");
        asked.push(tokio::spawn(async move { asking.get(&long).await }));
        let short = ground.get(&format!("{path}?index={index}&wait=1ms")).await;
        assert_eq!(short.index(), index);
    }
    register("other").await;
    // There is one thread: whoever was woken runs now.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(asked.iter().all(|asked| !asked.is_finished()));
    // Who was told of another index than that of the list is answered at once.
    let far = ground.get("/v1/catalog/node/absent?index=1&wait=5m").await;
    assert!(far.index() > FIRST);
    register("absent").await;
    for asked in asked {
        assert!(asked.await.unwrap().index() > far.index());
    }
    let there = ground.get("/v1/catalog/node/absent").await.index();
    let path = format!("/v1/catalog/node/absent?index={there}&wait=5m");
    let gone = waiting(&ground, path).await;
    let body = r#"{"Node":"absent"}"#;
    ground
        .put("/v1/catalog/deregister", body)
        .await
        .is(200, "true");
    gone.await.unwrap().is(200, "null");
}

#[tokio::test]
async fn a_service_that_does_not_exist_yet_can_be_waited_for() {
    let ground = Arc::new(Ground::new());
    let index = ground.get("/v1/health/service/new").await.index();
    let new = waiting(
        &ground,
        format!("/v1/health/service/new?index={index}&wait=5m"),
    )
    .await;
    ground
        .done("/v1/agent/service/register", r#"{"Name":"other"}"#)
        .await;
    assert!(!new.is_finished());
    ground
        .done("/v1/agent/service/register", r#"{"Name":"new"}"#)
        .await;
    assert_eq!(new.await.unwrap().json().as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_runs_out_is_200_with_the_same_body() {
    let ground = Ground::new();
    let before = ground.get("/v1/catalog/nodes").await;
    let start = Instant::now();
    let path = format!("/v1/catalog/nodes?index={}&wait=160s", before.index());
    let after = ground.get(&path).await;
    let waited = start.elapsed();
    after.is(200, &before.body);
    assert_eq!(after.index(), before.index());
    assert!(waited >= Duration::from_secs(160) && waited <= Duration::from_millis(170_002));
}

#[tokio::test(start_paused = true)]
async fn an_index_of_another_agent_or_run_does_not_block() {
    let ground = Ground::new();
    let start = Instant::now();
    for index in [0, 1, FIRST - 1, FIRST + 1_000, u64::MAX] {
        let path = format!("/v1/health/service/web?index={index}&wait=10m");
        ground.get(&path).await.is(200, "[]");
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn too_many_waiting_queries_are_told_to_come_back() {
    let limits = Limits {
        waiters: 1,
        ..Limits::default()
    };
    let ground = Arc::new(Ground::with(limits));
    let index = ground.get("/v1/catalog/nodes").await.index();
    let path = format!("/v1/catalog/nodes?index={index}&wait=5m");
    let first = waiting(&ground, path.clone()).await;
    let second = ground.get(&path).await;
    assert_eq!(
        (second.status.as_u16(), second.header("retry-after")),
        (429, Some("1"))
    );
    // A query that does not wait needs no place.
    assert_eq!(ground.get("/v1/catalog/nodes").await.status, 200);
    // When the server closes, whoever waits gets what there is.
    ground.state.close();
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_node_that_appears_wakes_who_waits_for_its_name() {
    let ground = Arc::new(Ground::new());
    let index = ground.get("/v1/health/node/two").await.index();
    let two = waiting(
        &ground,
        format!("/v1/health/node/two?index={index}&wait=5m"),
    )
    .await;
    ground.two_more();
    let answer = two.await.unwrap();
    assert_eq!(answer.json()[0]["CheckID"], "serfHealth");
}
