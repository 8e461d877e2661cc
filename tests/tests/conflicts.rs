//! What was written on both sides of a split is told with both values on every agent, until somebody
//! writes it again.

use std::time::Duration;

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    binary,
    lab::{Cut, Lab},
    stage::{Needs, story},
    wait::{self, ensure},
};

/// A cut is noticed in this time, and all is told within it after a heal.
const WITHIN: Duration = Duration::from_secs(5);

#[test]
fn both_values_of_a_conflict_are_told_everywhere_until_it_is_written_again() {
    let name = "both_values_of_a_conflict_are_told_everywhere_until_it_is_written_again";
    story(name, Needs::Namespaces, |stage| {
        let lab = Lab::start(stage, 2);
        for side in [[0], [1]] {
            lab.cut(&side, &[0, 1], Cut::InputDrop);
        }
        for agent in &lab.agents {
            wait::until("the split is noticed", WITHIN, || {
                agent.status()?.ensure_reaches(1, 2)
            });
        }
        for (agent, port) in lab.agents.iter().zip([5_432, 5_433]) {
            write(agent, port);
        }
        for side in [[0], [1]] {
            lab.mend(&side, &[0, 1], Cut::InputDrop);
        }
        let (told, span) = wait::until("both agents tell of the conflict", WITHIN, || {
            let [one, two] = [0, 1].map(|at| conflicts(&lab.agents[at]));
            let (one, two) = (one?, two?);
            ensure(one == two, || format!("{one:#} is not {two:#}"))?;
            ensure(one["total"] == 1, || format!("not one conflict: {one:#}"))?;
            Ok(one)
        });
        tidings_tests::stats::measured(&format!("told everywhere {span:.0?} after the heal"));
        let conflict = &told["conflicts"][0];
        assert_eq!(conflict["differ"], json!(["port"]), "{told:#}");
        let said = |write: &Value| (write["by"].clone(), write["value"]["port"].clone());
        let mut said = [&conflict["in_force"], &conflict["beaten"][0]].map(said);
        let served = lab.agents[0].dns().ports("database").expect("it is served");
        assert_eq!(
            json!(served),
            json!([said[0].1]),
            "what is in force is served"
        );
        said.sort_by_key(|(by, _)| by.to_string());
        let expected = [("n1", 5_432), ("n2", 5_433)];
        assert_eq!(said, expected.map(|(by, port)| (json!(by), json!(port))));
        shown_by_the_command(&lab.agents[1]);

        write(&lab.agents[0], 5_434);
        for agent in &lab.agents {
            wait::until("nothing is in conflict any more", WITHIN, || {
                let told = conflicts(agent)?;
                ensure(told["total"] == 0, || format!("{told:#}"))
            });
        }
    });
}

fn write(agent: &Agent, port: u16) {
    let service = json!({"ID": "db", "Service": "database", "Port": port});
    let body = json!({"Node": "mainframe", "Address": "192.0.2.1", "Service": service});
    let written = agent.http().accept("/v1/catalog/register", &body);
    written.expect("either side takes it");
}

/// The conflicts about services that an agent tells.
fn conflicts(agent: &Agent) -> Result<Value, String> {
    agent.http().json("/v1/tidings/conflicts?service=database")
}

fn shown_by_the_command(agent: &Agent) {
    let at = agent.spec().http.to_string();
    let asked: [&[&str]; 2] = [&["conflicts", "--service"], &["explain"]];
    for words in asked {
        let told = binary::run(&[words, &["database", "--http", &at]].concat());
        assert_eq!(told.code, Some(0), "{told:?}");
        for part in [
            "service db (database) on mainframe",
            "port=5432",
            "port=5433",
            "write the record again",
        ] {
            assert!(told.out.contains(part), "{part} is not in {}", told.out);
        }
    }
}
