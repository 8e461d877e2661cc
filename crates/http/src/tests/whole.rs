//! Answers that are kept whole are those that would be made.

use proptest::{collection, prelude::*, sample::select};
use tidings_types::{Liveness, MemberStatus};
use tokio::runtime::Builder;

use super::ground::{Ground, node_record};

/// What may change an answer.
#[derive(Clone, Debug)]
enum Step {
    /// Registers an instance, with a check or without.
    Register(u8, u16, bool),
    Deregister(u8),
    /// A check says something, which may change its status.
    Says(u8, &'static str, &'static str),
    /// How the other nodes stand.
    Stand([(MemberStatus, Liveness); 2]),
    /// Another node is called something else.
    Rename(&'static str),
    /// A check of the whole node.
    NodeCheck(&'static str),
    /// Nothing: what is kept is told again.
    Nothing,
}

const STANDS: [(MemberStatus, Liveness); 4] = [
    (MemberStatus::Alive, Liveness::Live),
    (MemberStatus::Down, Liveness::Stale),
    (MemberStatus::Down, Liveness::Hidden),
    (MemberStatus::Left, Liveness::Hidden),
];
const VERBS: [&str; 3] = ["pass", "warn", "fail"];

fn step() -> impl Strategy<Value = Step> {
    let stand = || select(&STANDS[..]);
    prop_oneof![
        (0..3_u8, 1..4_u16, any::<bool>()).prop_map(|(id, port, c)| Step::Register(id, port, c)),
        (0..3_u8).prop_map(Step::Deregister),
        (0..3_u8, select(&VERBS[..]), select(&["a", "b"][..]))
            .prop_map(|(id, verb, note)| Step::Says(id, verb, note)),
        [stand(), stand()].prop_map(Step::Stand),
        select(&["two", "zwei"][..]).prop_map(Step::Rename),
        select(&VERBS[..]).prop_map(Step::NodeCheck),
        Just(Step::Nothing),
    ]
}

async fn take(ground: &Ground, step: &Step) {
    match step {
        Step::Register(id, port, checked) => {
            let check = format!(r#","Check":{{"CheckID":"c{id}","TTL":"1h","Status":"passing"}}"#);
            let check = if *checked { &check } else { "" };
            let body = format!(r#"{{"ID":"web{id}","Name":"web","Port":{port}{check}}}"#);
            ground.done("/v1/agent/service/register", &body).await;
        }
        Step::Deregister(id) => {
            let path = format!("/v1/agent/service/deregister/web{id}");
            ground.put(&path, "").await;
        }
        Step::Says(id, verb, note) => {
            let path = format!("/v1/agent/check/{verb}/c{id}?note={note}");
            ground.put(&path, "").await;
        }
        Step::Stand([two, three]) => ground.members(&[
            (1, MemberStatus::Alive, Liveness::Live),
            (2, two.0, two.1),
            (3, three.0, three.1),
        ]),
        Step::Rename(name) => ground.node().write([node_record(2, name)]),
        Step::NodeCheck(verb) => {
            let body = r#"{"Name":"disk","TTL":"1h","Status":"passing"}"#;
            ground.done("/v1/agent/check/register", body).await;
            ground
                .done(&format!("/v1/agent/check/{verb}/disk"), "")
                .await;
        }
        Step::Nothing => {}
    }
}

/// Everything is asked for twice as most clients do, and once in a way for which nothing is kept.
async fn compare(ground: &Ground, step: &Step) -> Result<(), TestCaseError> {
    for flag in ["passing", "passing=false"] {
        let path = format!("/v1/health/service/web?{flag}");
        let made = ground
            .get(&format!("{path}&filter=Node.Node%20!=%20nobody"))
            .await;
        for _ in 0..2 {
            let told = ground.get(&path).await;
            prop_assert_eq!(&told.body, &made.body, "{} after {:?}", flag, step);
            for header in ["x-consul-index", "x-tidings-stale", "x-tidings-conflicts"] {
                prop_assert_eq!(told.header(header), made.header(header), "{}", header);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_kept_answer_is_the_one_that_would_be_made(steps in collection::vec(step(), 1..30)) {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let ground = Ground::new();
            ground.two_more();
            compare(&ground, &Step::Nothing).await?;
            for step in steps {
                take(&ground, &step).await;
                compare(&ground, &step).await?;
            }
            let wholes = ground.state.wholes();
            prop_assert!(wholes.reused() > 0, "nothing is kept");
            Ok(())
        })?;
    }
}
