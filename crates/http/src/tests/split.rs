//! Two agents, cut off from each other and joined again: whatever is asked of them, in whatever
//! order and spelling, neither says anything that a client would take for a lock.

use axum::{body::Body, http::Request};
use proptest::{collection, prelude::*, sample::select};
use serde_json::Value;
use tidings_types::{Liveness, MemberStatus};
use tokio::runtime::Builder;

use super::ground::{Ground, Reply};

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody asks one of the two agents for something that only one may have.
    Ask(usize, Ask),
    /// Somebody registers a service at one of them.
    Register(usize, u8),
    /// The link between them goes down, or is there again.
    Link(bool),
}

#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    path: String,
    body: String,
    gzip: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..2_usize, ask()).prop_map(|(agent, ask)| Step::Ask(agent, ask)),
        2 => (0..2_usize, 0..4_u8).prop_map(|(agent, id)| Step::Register(agent, id)),
        1 => any::<bool>().prop_map(Step::Link),
    ];
    collection::vec(step, 1..40)
}

fn ask() -> impl Strategy<Value = Ask> {
    let call = prop_oneof![keys(), sessions(), transactions()];
    let spelling = select(SPELLINGS);
    let method = select(&["PUT", "PUT", "PUT", "GET", "DELETE", "POST", "OPTIONS"][..]);
    (method, call, spelling, any::<bool>()).prop_map(|(method, (path, body), spelling, gzip)| Ask {
        method,
        path: spelling(&path),
        body,
        gzip,
    })
}

type Call = (String, String);

fn keys() -> impl Strategy<Value = Call> {
    let parameter = prop_oneof![
        session_id().prop_map(|id| format!("acquire={id}")),
        session_id().prop_map(|id| format!("release={id}")),
        select(&["cas=0", "cas=1", "cas=18446744073709551615", "cas="][..]).prop_map(str::to_owned),
        select(
            &[
                "flags=42",
                "raw",
                "recurse",
                "keys",
                "dc=dc1",
                "stale",
                "index=1&wait=1ms"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    let key = select(&["lock", "service/web/leader", "", "a%2Fb", "%74rue"][..]);
    let parameters = collection::vec(parameter, 0..4);
    let body = select(&["", "true", "me", r#"{"Session":"x"}"#][..]);
    (key, parameters, body).prop_map(|(key, parameters, body)| {
        let path = format!("/v1/kv/{key}?{}", parameters.join("&"));
        (path, body.to_owned())
    })
}

fn sessions() -> impl Strategy<Value = Call> {
    let verb = prop_oneof![
        Just("create".to_owned()),
        Just("list".to_owned()),
        session_id().prop_map(|id| format!("destroy/{id}")),
        session_id().prop_map(|id| format!("renew/{id}")),
        session_id().prop_map(|id| format!("info/{id}")),
        Just("node/one".to_owned()),
    ];
    let body = select(&["", r#"{"TTL":"10s","Behavior":"delete","LockDelay":"0s"}"#][..]);
    (verb, body).prop_map(|(verb, body)| (format!("/v1/session/{verb}"), body.to_owned()))
}

fn transactions() -> impl Strategy<Value = Call> {
    let verb = select(
        &[
            "set",
            "cas",
            "lock",
            "unlock",
            "check-index",
            "check-not-exists",
            "get",
        ][..],
    );
    let operation = (verb, session_id()).prop_map(|(verb, session)| {
        serde_json::json!({"KV": {"Verb": verb, "Key": "lock", "Value": "bWU=", "Index": 0, "Session": session}})
    });
    let service = Just(serde_json::json!(
        {"Service": {"Verb": "cas", "Node": "one", "Service": {"ID": "web", "Service": "web"}}}
    ));
    let operation = prop_oneof![4 => operation, 1 => service];
    let operations = collection::vec(operation, 0..4);
    operations.prop_map(|operations| ("/v1/txn".to_owned(), Value::from(operations).to_string()))
}

fn session_id() -> impl Strategy<Value = &'static str> {
    select(&["adf4238a-882b-9ddc-4a9d-5b6758e4159e", "me", ""][..])
}

/// Ways to write the same path that one router or another takes for it.
const SPELLINGS: &[fn(&str) -> String] = &[
    str::to_owned,
    str::to_owned,
    str::to_owned,
    |path| path.replacen("/v1/", "/v1//", 1),
    |path| path.replacen("/v1/", "/v1/./", 1),
    |path| path.replacen("/v1/", "/v1/agent/../", 1),
    |path| path.replacen("/v1/", "/v1%2F", 1),
    |path| path.replacen("/v1/kv", "/v1/%6bv", 1),
    |path| path.replacen("/v1/", "/V1/", 1),
];

proptest! {
    #[test]
    fn no_answer_in_a_split_grants_anything(steps in steps()) {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(steps))?;
    }
}

async fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let agents = [Ground::new(), Ground::new()];
    link(&agents, true);
    link(&agents, false);
    for step in steps {
        match step {
            Step::Link(is_up) => link(&agents, is_up),
            // What they are there for goes on meanwhile.
            Step::Register(agent, id) => {
                let body = format!(r#"{{"Name": "web", "ID": "web-{id}", "Port": 80}}"#);
                let taken = agents[agent].put("/v1/agent/service/register", &body).await;
                prop_assert_eq!(taken.status, 200);
            }
            Step::Ask(agent, ask) => {
                let answer = send(&agents[agent], &ask).await;
                if let Err(why) = refuses(&answer, &ask) {
                    let body = answer.body;
                    prop_assert!(false, "{why}: {ask:?} got {} {body:?}", answer.status);
                }
            }
        }
    }
    Ok(())
}

/// Lets both agents know whether they hear of each other.
fn link(agents: &[Ground], is_up: bool) {
    for agent in agents {
        let other = match is_up {
            true => (2, MemberStatus::Alive, Liveness::Live),
            false => (2, MemberStatus::Down, Liveness::Stale),
        };
        agent.members(&[(1, MemberStatus::Alive, Liveness::Live), other]);
    }
}

/// Asks as clients do that go wherever they are sent, as a read.
async fn send(agent: &Ground, ask: &Ask) -> Reply {
    let (mut method, mut path) = (ask.method, ask.path.clone());
    for _ in 0..3 {
        let mut request = Request::builder().method(method).uri(&path);
        if ask.gzip {
            request = request.header("accept-encoding", "gzip");
        }
        let request = request.body(Body::from(ask.body.clone())).unwrap();
        let answer = agent.send(request).await;
        let Some(location) = answer.header("location") else {
            return answer;
        };
        (method, path) = ("GET", location.to_owned());
    }
    panic!("sent in a circle: {ask:?}");
}

/// Whether no client takes the answer for a grant, for the news that nobody has it, or for something
/// that may turn into one.
fn refuses(answer: &Reply, ask: &Ask) -> Result<(), &'static str> {
    let status = answer.status.as_u16();
    let is_family = ["/v1/kv/", "/v1/session/", "/v1/txn"]
        .iter()
        .any(|family| ask.path.starts_with(family));
    if is_family && status != 501 {
        return Err("it is not said that this cannot be had");
    }
    // 404 and 405 say that there is no such endpoint; 409 and 429 ask to come again.
    if ![400, 404, 405, 501].contains(&status) {
        return Err("a client may take it for an answer");
    }
    if answer.header("x-consul-index").is_some() || answer.header("x-consul-knownleader").is_some()
    {
        return Err("it looks like a read of what there is");
    }
    match serde_json::from_str::<Value>(&answer.body) {
        Ok(_) => Err("its body can be read as JSON"),
        Err(_) => Ok(()),
    }
}
