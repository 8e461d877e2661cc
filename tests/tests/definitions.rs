//! Definition files that come, change, break and go while their agent runs.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use serde_json::json;
use tidings_tests::{
    agent::Agent,
    binary::{self, Told},
    cluster,
    figures::Figures,
    stage::{Needs, Stage, story},
    stats::Spans,
    wait::{self, ensure},
};

/// What a file says is answered by every agent in this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);
const REFUSED: &str = "the definition files stay as they were";

/// Two agents, of which the first one follows a directory.
struct Ground {
    agents: Vec<Agent>,
    dir: PathBuf,
}

impl Ground {
    fn new(stage: &Stage) -> Self {
        let dir = stage.dir().join("services.d");
        fs::create_dir(&dir).expect("the story has a directory");
        let mut specs = cluster::specs(stage, 2);
        specs[0].more = vec!["--definition-dir".to_owned(), dir.display().to_string()];
        Self {
            agents: cluster::start(specs),
            dir,
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("the story's directory can be written");
    }

    /// Waits until both agents give `service` these ports.
    fn gives(&self, service: &str, ports: &[u16]) -> Duration {
        let what = format!("{service} has the ports {ports:?}");
        let expected: BTreeSet<_> = ports.iter().copied().collect();
        let (_, span) = wait::until(&what, TAKEN_WITHIN, || {
            for agent in &self.agents {
                let given = agent.dns().ports(service)?;
                ensure(given == expected, || format!("{given:?}"))?;
            }
            Ok(())
        });
        span
    }

    fn refused(&self) -> u64 {
        let figures = Figures::of(&self.agents[0]).expect("figures are told");
        figures.count("tidings_definitions_refused")
    }

    fn doctor(&self) -> Told {
        let at = self.agents[0].spec().http.to_string();
        binary::run(&["doctor", "--http", &at])
    }

    fn has_check(&self) -> Result<(), String> {
        let checks = self.agents[0].http().json("/v1/health/checks/api")?;
        ensure(checks[0]["CheckID"] == "api-ttl", || checks.to_string())
    }
}

#[test]
fn definition_files_are_followed_while_the_agent_runs() {
    let name = "definition_files_are_followed_while_the_agent_runs";
    story(name, Needs::Nothing, |stage| {
        let mut ground = Ground::new(stage);
        let mut spans = Spans::new();
        ground.write("web.json", r#"{"service": {"name": "web", "port": 80}}"#);
        spans.push(ground.gives("web", &[80]));
        ground.write("web.json", r#"{"service": {"name": "web", "port": 8080}}"#);
        spans.push(ground.gives("web", &[8080]));

        // Of what is wrong nothing is taken, and what is in force goes on.
        ground.write(
            "web.json",
            "{\"service\":\n{\"name\": \"web\", \"prot\": 1}}",
        );
        ground.write("db.hcl", "service {\n  name = \"db\"\n  port = 5432\n}\n");
        wait::until("the mistake is counted", TAKEN_WITHIN, || {
            ensure(ground.refused() > 0, || "none is".to_owned())
        });
        ground.gives("web", &[8080]);
        ground.gives("db", &[]);
        let told = ground.doctor();
        assert!(
            told.code == Some(1) && told.out.contains("web.json:2: "),
            "{told:?}"
        );
        let told = |ground: &Ground| {
            let log = ground.agents[0].log();
            let told = log.lines().filter(|line| line.contains(REFUSED));
            told.map(str::to_owned).collect::<Vec<_>>()
        };
        wait::until("the log tells the line", TAKEN_WITHIN, || {
            let told = told(&ground);
            let is_told = told.iter().any(|line| line.contains("web.json:2: "));
            ensure(is_told, || format!("{told:#?}"))
        });
        // A slow machine may have been seen between the two files.
        let told = told(&ground);
        assert!(told.len() <= 3, "it is told again and again: {told:#?}");
        ground.agents[0].expect_error(REFUSED);

        ground.write("web.json", r#"{"service": {"name": "web", "port": 81}}"#);
        spans.push(ground.gives("web", &[81]));
        spans.push(ground.gives("db", &[5432]));
        wait::until("nothing is wrong any more", TAKEN_WITHIN, || {
            ensure(ground.refused() == 0, || "it is still refused".to_owned())
        });
        assert_eq!(ground.doctor().code, Some(0));
        fs::remove_file(ground.dir.join("db.hcl")).expect("it is there");
        spans.push(ground.gives("db", &[]));
        spans.report("a definition file is answered by both agents", TAKEN_WITHIN);
    });
}

#[test]
fn a_check_from_a_file_comes_back_with_the_service_that_it_speaks_for() {
    let name = "a_check_from_a_file_comes_back_with_the_service_that_it_speaks_for";
    story(name, Needs::Nothing, |stage| {
        let mut ground = Ground::new(stage);
        let check =
            r#"{"check": {"id": "api-ttl", "name": "api", "service_id": "api", "ttl": "1h"}}"#;
        ground.write("check.json", check);
        let unregistered = "not all that the definition files say is registered";
        wait::until("it has nothing to speak for", TAKEN_WITHIN, || {
            let log = ground.agents[0].log();
            ensure(log.contains(unregistered), || log)
        });
        ground.agents[0].expect_error(unregistered);
        for _ in 0..2 {
            let http = ground.agents[0].http();
            let api = json!({"Name": "api", "Port": 90});
            let registered = http.accept("/v1/agent/service/register", &api);
            registered.expect("it is registered");
            wait::until("the check is there", TAKEN_WITHIN, || ground.has_check());
            let gone = http.accept("/v1/agent/service/deregister/api", &json!(null));
            gone.expect("it is deregistered");
        }
    });
}
