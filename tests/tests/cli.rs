//! The command line: what people and scripts read, error texts, exit codes.

use serde_json::{Value, json};
use tidings_tests::{
    agent::{Agent, Spec},
    binary::{Told, run},
    cluster,
    stage::{Needs, story},
    wait::{self, ensure},
};

/// Exit codes that scripts may branch on.
const DONE: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const USAGE: Option<i32> = Some(2);
const NO_AGENT: Option<i32> = Some(3);
const NOT_FOUND: Option<i32> = Some(4);

#[test]
fn commands_show_what_an_agent_knows() {
    story(
        "commands_show_what_an_agent_knows",
        Needs::Nothing,
        |stage| {
            let agents = cluster::start(cluster::specs(stage, 2));
            let web =
                json!({"Name": "web", "Address": "192.0.2.7", "Port": 8080, "Tags": ["blue"]});
            let sick = json!({"Name": "sick", "Port": 1, "Check": {"TTL": "60s", "Notes": "x"}});
            for body in [&web, &sick] {
                agents[0]
                    .http()
                    .accept("/v1/agent/service/register", body)
                    .unwrap();
            }
            cluster::wait_until_one(&agents);
            let ask = |words: &[&str]| ask(&agents[1], words);

            let told = ask(&["members"]);
            assert_eq!(told.code, DONE, "{told:?}");
            for part in ["n1", "n2", "alive", "this agent", "served"] {
                assert!(told.out.contains(part), "{part}: {}", told.out);
            }
            let members = json_of(&ask(&["members", "--json"]));
            assert_eq!(members.as_array().unwrap().len(), 2, "{members}");

            let services = json_of(&ask(&["services", "--json"]));
            let named = |name: &str| {
                services
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|s| s["name"] == name)
            };
            assert_eq!(named("web").unwrap()["passing"], 1, "{services}");
            assert_eq!(named("sick").unwrap()["critical"], 1, "{services}");
            assert!(ask(&["services"]).out.contains("blue"));

            let told = ask(&["lookup", "web"]);
            assert_eq!(told.code, DONE, "{told:?}");
            assert!(
                told.out.contains("192.0.2.7:8080") && told.out.contains("passing"),
                "{told:?}"
            );
            let found = json_of(&ask(&["lookup", "web", "--json"]));
            assert_eq!(found[0]["port"], 8080, "{found}");
            assert_eq!(found[0]["stale_for_ms"], Value::Null, "{found}");

            let told = ask(&["lookup", "sick"]);
            assert_eq!(told.code, NOT_FOUND, "{told:?}");
            assert!(
                told.out.contains("critical") && told.err.contains("healthy"),
                "{told:?}"
            );
            let told = ask(&["lookup", "nothing"]);
            assert_eq!(told.code, NOT_FOUND, "{told:?}");
            assert!(
                told.err.contains("\"nothing\"") && told.out.is_empty(),
                "{told:?}"
            );

            let status = json_of(&ask(&["status", "--json"]));
            assert_eq!(
                (&status["reachable"], &status["expected"]),
                (&json!(2), &json!(2)),
                "{status}"
            );
            let told = ask(&["status"]);
            let fingerprint = agents[1].status().unwrap().fingerprint;
            assert!(
                told.out.contains("2 of 2") && told.out.contains(&fingerprint),
                "{told:?}"
            );
        },
    );
}

#[test]
fn a_running_agent_joins_and_leaves_on_command() {
    let name = "a_running_agent_joins_and_leaves_on_command";
    story(name, Needs::Nothing, |stage| {
        let mut agents = ["a", "b"].map(|name| Agent::start(cluster::spec(stage, name)));
        for agent in &agents {
            agent.status().unwrap().ensure_reaches(1, 1).unwrap();
        }
        let seed = agents[0].spec().gossip.to_string();
        let told = ask(&agents[1], &["join", &seed]);
        assert_eq!(told.code, DONE, "{told:?}");
        cluster::wait_until_one(&agents);
        for nobody in ["no such name", "127.0.0.1:1"] {
            let told = ask(&agents[1], &["join", nobody]);
            assert_eq!(told.code, FAILED, "{told:?}");
        }

        let told = ask(&agents[1], &["leave"]);
        assert_eq!(told.code, DONE, "{told:?}");
        let (status, _) = agents[1].wait_until_it_ends();
        assert_eq!(status.code(), Some(0), "{status}");
        wait::until("it has left", cluster::ONE_WITHIN, || {
            let status = agents[0].status()?;
            let left = status.member("b")?;
            ensure(left.status == "left", || format!("{left:?}"))?;
            status.ensure_reaches(1, 1)
        });
        let told = ask(&agents[1], &["members"]);
        assert_eq!(told.code, NO_AGENT, "{told:?}");
        assert!(told.err.contains("no agent answers"), "{told:?}");
    });
}

#[test]
fn a_dead_member_is_taken_off_by_its_name() {
    let name = "a_dead_member_is_taken_off_by_its_name";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 2));
        agents[1].kill();
        // Of two, one cannot tell the other's death from a cut.
        wait::until(
            "it takes itself for cut off",
            cluster::ONE_WITHIN * 2,
            || {
                let told = ask(&agents[0], &["status"]);
                ensure(told.out.contains("cut off"), || format!("{told:?}"))
            },
        );
        let told = ask(&agents[0], &["force-leave", "nobody"]);
        assert_eq!(told.code, FAILED, "{told:?}");
        // As long as it is only suspected it may answer yet.
        wait::until("it is taken off", cluster::ONE_WITHIN * 2, || {
            let told = ask(&agents[0], &["force-leave", agents[1].name()]);
            ensure(told.code == DONE, || format!("{told:?}"))
        });
        wait::until("there is nobody to miss", cluster::ONE_WITHIN, || {
            let told = ask(&agents[0], &["status"]);
            ensure(!told.out.contains("cut off"), || format!("{told:?}"))?;
            agents[0].status()?.ensure_reaches(1, 1)
        });
    });
}

#[test]
fn a_key_file_keeps_strangers_out() {
    story("a_key_file_keeps_strangers_out", Needs::Nothing, |stage| {
        let keyed = |name: &str, key: &str| {
            let file = stage.dir().join(format!("{key}.key"));
            if !file.exists() {
                let made = run(&["keygen"]);
                assert_eq!(made.code, DONE, "{made:?}");
                std::fs::write(&file, made.out).unwrap();
            }
            Spec {
                key_file: Some(file),
                ..cluster::spec(stage, name)
            }
        };
        let first = Agent::start(keyed("a", "ours"));
        let join = vec![first.spec().gossip.to_string()];
        let friend = Agent::start(Spec {
            join: join.clone(),
            ..keyed("b", "ours")
        });
        let stranger = Agent::start(Spec {
            join,
            ..keyed("c", "theirs")
        });
        let both = [first, friend];
        cluster::wait_until_one(&both);
        let end = std::time::Instant::now() + cluster::ONE_WITHIN;
        wait::throughout("the stranger stays alone", end, || {
            stranger.status()?.ensure_reaches(1, 1)?;
            both[0].status()?.ensure_reaches(2, 2)
        });
    });
}

#[test]
fn what_cannot_be_run_with_is_refused_with_the_reason() {
    let name = "what_cannot_be_run_with_is_refused_with_the_reason";
    story(name, Needs::Nothing, |stage| {
        let file = |name: &str, content: &str| {
            let path = stage.dir().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let wrong_key = file("wrong.key", "no key\n");
        let wrong_config = file("wrong.toml", "data-dir = 'x'\n");
        let dir = stage.dir().join("data").display().to_string();
        let refused: &[(&[&str], &str)] = &[
            (&["agent"], "--data-dir"),
            (
                &["agent", "--data-dir", &dir, "--bind", "192.0.2.1"],
                "tidings keygen",
            ),
            (
                &["agent", "--data-dir", &dir, "--advertise", "192.0.2.1:1"],
                "tidings keygen",
            ),
            (&["agent", "--data-dir", &dir, "--name", ""], "--name"),
            (&["agent", "--data-dir", &dir, "--join", "a:b"], "HOST:PORT"),
            (
                &["agent", "--data-dir", &dir, "--key-file", &wrong_key],
                "line 1",
            ),
            (
                &["agent", "--data-dir", &dir, "--key-file", "/no/such/key"],
                "/no/such/key",
            ),
            (
                &["agent", "--data-dir", &dir, "--config", &wrong_config],
                "data-dir",
            ),
            (
                &["agent", "--data-dir", &dir, "--http-port", "70000"],
                "--http-port",
            ),
            (&["dev", "--log-level", "x=loud"], "x=loud"),
            (&["members", "--http", "a b"], "HOST:PORT"),
            (&["lookup"], "NAME"),
            (&["serve"], "serve"),
        ];
        for (words, reason) in refused {
            let told = run(words);
            assert_eq!(told.code, USAGE, "{words:?}: {told:?}");
            assert!(
                told.err.contains(reason),
                "{words:?} does not say {reason}: {}",
                told.err
            );
            assert!(told.out.is_empty(), "{words:?}: {told:?}");
        }
        assert!(!stage.dir().join("data").exists(), "nothing was started");
    });
}

#[test]
fn a_taken_port_is_named() {
    story("a_taken_port_is_named", Needs::Nothing, |stage| {
        let first = Agent::start(cluster::spec(stage, "a"));
        for taken in ["http", "dns", "gossip"] {
            let mut spec = cluster::spec(stage, &format!("not-{taken}"));
            let addr = match taken {
                "http" => &mut spec.http,
                "dns" => &mut spec.dns,
                _ => &mut spec.gossip,
            };
            *addr = match taken {
                "http" => first.spec().http,
                "dns" => first.spec().dns,
                _ => first.spec().gossip,
            };
            let words = spec.arguments();
            let told = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(told.code, FAILED, "{told:?}");
            let port = match taken {
                "http" => spec.http.port(),
                "dns" => spec.dns.port(),
                _ => spec.gossip.port(),
            };
            assert!(told.err.contains(&port.to_string()), "{told:?}");
            assert!(told.err.contains("taken"), "{told:?}");
        }
    });
}

#[test]
fn a_configuration_file_says_what_flags_can() {
    let name = "a_configuration_file_says_what_flags_can";
    story(name, Needs::Nothing, |stage| {
        let spec = cluster::spec(stage, "a");
        let text = format!(
            "name = 'from-file'\ndata_dir = '{}'\nhttp_port = {}\ndns_port = {}\ngossip_port = {}\n",
            spec.data_dir().display(),
            spec.http.port(),
            spec.dns.port(),
            spec.gossip.port(),
        );
        let file = stage.dir().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        let agent = Agent::start(Spec {
            words: Some(vec![
                "agent".to_owned(),
                "--config".to_owned(),
                file.display().to_string(),
            ]),
            ..spec
        });
        assert_eq!(agent.status().unwrap().name, "from-file");
    });
}

/// Runs a command against `agent`.
fn ask(agent: &Agent, words: &[&str]) -> Told {
    let http = agent.spec().http.to_string();
    run(&[words, &["--http", &http]].concat())
}

fn json_of(told: &Told) -> Value {
    assert_eq!(told.code, DONE, "{told:?}");
    serde_json::from_str(&told.out).expect("--json is JSON")
}
