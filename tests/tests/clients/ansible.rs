//! Ansible's module for Consul, in a playbook.

use std::time::Duration;

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    cluster, programs,
    stage::{Needs, Stage, story},
    wait::{self, ensure},
};

/// Ansible starts an interpreter for each task.
const PLAYED_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn a_playbook_registers_and_takes_away() {
    let name = "ansible::a_playbook_registers_and_takes_away";
    story(name, Needs::Nothing, |stage| {
        let agents = cluster::start(cluster::specs(stage, 2));
        if play(stage, &agents[0], "register").is_none() {
            return;
        }
        let web = agents[1].http().json("/v1/catalog/service/web");
        let web = web.expect("what Ansible waited for is known to the other agent");
        assert_eq!(web[0]["ServiceID"], "web-1");
        assert_eq!(web[0]["ServiceAddress"], "192.0.2.7");
        assert_eq!(web[0]["ServicePort"], 8080);
        assert_eq!(web[0]["ServiceTags"], json!(["blue", "v1"]));
        let checks = agents[1].http().json("/v1/health/checks/web").unwrap();
        assert_eq!(checks[0]["CheckID"], "service:web-1");
        let db = agents[1].http().json("/v1/catalog/service/db").unwrap();
        assert_eq!(
            (&db[0]["ServiceID"], &db[0]["ServicePort"]),
            (&json!("db"), &json!(5432))
        );

        play(stage, &agents[0], "deregister");
        assert_eq!(
            agents[0].http().json("/v1/agent/services").unwrap(),
            json!({})
        );
        assert_eq!(
            agents[0].http().json("/v1/agent/checks").unwrap(),
            json!({})
        );
        wait::until("nothing is left", Duration::from_secs(1), || {
            let left = agents[1].http().json("/v1/catalog/services")?;
            let names = left.as_object().map(|map| map.keys().collect::<Vec<_>>());
            ensure(names == Some(vec![&"consul".to_owned()]), || {
                left.to_string()
            })
        });
    });
}

/// Plays the tasks that are marked `tag` against the agent.
fn play(stage: &Stage, agent: &Agent, tag: &str) -> Option<()> {
    let collections = programs::fetched("ansible/ansible_collections")?;
    let mut command = programs::debian_python("usr/bin/ansible-playbook")?;
    let variables = json!({
        "ansible_python_interpreter": "/usr/bin/python3",
        "consul_port": agent.spec().http.port(),
    });
    command
        .args([
            "-i",
            "localhost,",
            "--tags",
            tag,
            "-e",
            &Value::to_string(&variables),
        ])
        .arg(programs::kept("ansible/play.yml"))
        .env("HOME", stage.dir())
        .env("ANSIBLE_COLLECTIONS_PATH", collections)
        .env("ANSIBLE_LOCALHOST_WARNING", "False");
    let told = programs::run(stage, tag, PLAYED_WITHIN, &mut command);
    assert!(told.contains("failed=0"), "{told}");
    Some(())
}
