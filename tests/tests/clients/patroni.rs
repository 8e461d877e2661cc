//! Patroni elects a PostgreSQL primary with sessions and compare-and-set. tidings cannot grant either
//! truthfully and says so; Patroni must hear it, start nothing, and tell its operator why.

use std::time::Duration;

use serde_json::json;
use tidings_tests::{
    agent::{Agent, Spec},
    cluster, programs,
    programs::Running,
    stage::{Needs, story},
    wait::{self, ensure},
};

/// Patroni tries its first call again after five seconds.
const SAID_TWICE_WITHIN: Duration = Duration::from_secs(8);

#[test]
fn it_tells_its_operator_why_it_cannot_work() {
    let name = "patroni::it_tells_its_operator_why_it_cannot_work";
    story(name, Needs::Namespaces, |stage| {
        let Some(mut command) = programs::debian_python("usr/bin/patroni") else {
            return;
        };
        let agent = Agent::start(Spec {
            http: ([127, 0, 0, 1], 8500).into(),
            ..cluster::spec(stage, "a")
        });
        command
            .arg(programs::kept("patroni/patroni.yml"))
            .current_dir(stage.dir());
        let mut patroni = Running::start(stage, "patroni", &mut command);
        let (log, _) = wait::until("it says why, twice", SAID_TWICE_WITHIN, || {
            // It goes on asking: where Consul comes back at that address, it will go on.
            patroni.ensure_running()?;
            let log = patroni.log();
            let said = log.matches("ConsulException: 501 tidings has no key/value store, sessions");
            ensure(said.count() >= 2, || log.clone()).map(|()| log)
        });
        for words in [
            "you alone hold a lock",
            "Use etcd, ZooKeeper or Consul beside it for coordination",
            "waiting on consul",
        ] {
            assert!(log.contains(words), "{words:?} is not in {log}");
        }
        for words in ["bootstrap", "acquired", "promoted", "leader"] {
            assert!(!log.contains(words), "{words:?} is in {log}");
        }
        assert!(!stage.dir().join("data").exists(), "it began a cluster");
        // Nor did it leave anything in the registry.
        assert_eq!(agent.http().json("/v1/agent/services").unwrap(), json!({}));
    });
}
