//! `tidings doctor` names what is wrong with real agents, and what to do about it.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use serde_json::Value;
use tidings_tests::{
    agent::Agent,
    binary, cluster, keys,
    lab::{Cut, Lab},
    stage::{Needs, Stage, story},
    wait::{self, ensure},
};

/// What is wrong shows in this time. A link that became narrow is noticed when open sessions end.
const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// Less than QUIC may use, more than a probe takes.
const NARROW_BYTES: u16 = 1_000;
const WIDE_BYTES: u16 = 1_500;
/// A seed that does not exist, by a name that nobody may give out (RFC 2606).
const NO_SUCH_SEED: &str = "no-such-host.invalid:8301";

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let name = "doctor_names_what_is_wrong_and_what_to_do";
    story(name, Needs::Namespaces, |stage| {
        stage.names("127.0.0.1 localhost\n");
        let mut lab = lab(stage);
        nothing_is_a_problem(&lab.agents[0]);
        expect(&lab.agents[1], 0, "warning", "seed", NO_SUCH_SEED);
        expect(
            &lab.agents[2],
            0,
            "warning",
            "settings",
            "can be read by other users",
        );

        lab.narrow(1, NARROW_BYTES);
        expect(&lab.agents[0], 1, "problem", "packets", "n2");
        lab.narrow(1, WIDE_BYTES);
        nothing_is_a_problem(&lab.agents[0]);

        lab.cut(&[2], &[0, 1], Cut::InputDrop);
        expect(&lab.agents[2], 1, "problem", "members", "cut off");
        expect(&lab.agents[0], 0, "warning", "members", "n3 at");
        lab.mend(&[2], &[0, 1], Cut::InputDrop);
        nothing_is_a_problem(&lab.agents[2]);

        lab.agents[2].kill();
        expect(&lab.agents[0], 0, "warning", "seed", "no member answers at");
        nobody_is_there(&lab.agents[2]);
    });
}

#[test]
fn doctor_names_an_agent_with_another_key() {
    let name = "doctor_names_an_agent_with_another_key";
    story(name, Needs::Nothing, |stage| {
        let mut specs = cluster::specs(stage, 2);
        for (spec, key) in specs.iter_mut().zip(["ours", "theirs"]) {
            spec.key_file = Some(keys::new_file(stage.dir(), key));
        }
        let agents: Vec<_> = specs.into_iter().map(Agent::start).collect();
        expect(
            &agents[0],
            1,
            "warning",
            "strangers",
            "under a key that is not accepted",
        );
        expect(
            &agents[0],
            1,
            "problem",
            "seed",
            "another cluster key answers at",
        );
    });
}

#[test]
fn doctor_names_who_answers_at_each_seed() {
    let name = "doctor_names_who_answers_at_each_seed";
    story(name, Needs::Nothing, |stage| {
        let mut specs = cluster::specs(stage, 2);
        specs[1].more = ["--cluster", "elsewhere"].map(str::to_owned).to_vec();
        let nobody = stage.free_addr().to_string();
        specs[0].join.push(nobody.clone());
        let agents: Vec<_> = specs.into_iter().map(Agent::start).collect();
        expect(
            &agents[0],
            1,
            "problem",
            "seed",
            "another cluster answers at",
        );
        expect(
            &agents[0],
            1,
            "problem",
            "seed",
            &format!("no member answers at {nobody}"),
        );
    });
}

/// Three agents; the second has one more seed, the third a key file that everybody can read.
fn lab(stage: &Stage) -> Lab {
    Lab::start_with(stage, 3, |spec| match spec.name.as_str() {
        "n2" => spec.join.push(NO_SUCH_SEED.to_owned()),
        "n3" => {
            let given = spec.key_file.as_ref().expect("a lab has a key");
            let copy = keys::copy(given, "open");
            let open = fs::Permissions::from_mode(0o644);
            fs::set_permissions(&copy, open).expect("the file is the story's");
            spec.key_file = Some(copy);
        }
        _ => {}
    })
}

/// What the doctor finds at an agent, and how it ends.
fn doctor(agent: &Agent) -> Result<(Option<i32>, Vec<Value>), String> {
    let at = agent.spec().http.to_string();
    let told = binary::run(&["doctor", "--json", "--http", &at]);
    let findings = serde_json::from_str(&told.out);
    let findings = findings.map_err(|error| format!("{error}: {told:?}"))?;
    Ok((told.code, findings))
}

fn text<'a>(finding: &'a Value, field: &str) -> &'a str {
    finding[field].as_str().unwrap_or_default()
}

#[track_caller]
fn expect(agent: &Agent, code: i32, level: &str, about: &str, part: &str) {
    let what = format!("{} finds a {level} about {about}: {part}", agent.name());
    let (finding, _) = wait::until(&what, FOUND_WITHIN, || {
        let (ended, findings) = doctor(agent)?;
        let found = findings.iter().find(|finding| {
            text(finding, "level") == level
                && text(finding, "about") == about
                && text(finding, "found").contains(part)
        });
        let found = found.ok_or_else(|| format!("it is not among {findings:#?}"))?;
        ensure(ended == Some(code), || {
            format!("it ends with {ended:?}: {findings:#?}")
        })?;
        Ok(found.clone())
    });
    assert!(
        !text(&finding, "remedy").is_empty(),
        "nothing to do: {finding}"
    );
}

#[track_caller]
fn nothing_is_a_problem(agent: &Agent) {
    let what = format!("{} finds no problem", agent.name());
    wait::until(&what, FOUND_WITHIN, || {
        let (ended, findings) = doctor(agent)?;
        let is_problem = |finding: &&Value| text(finding, "level") == "problem";
        let problems: Vec<_> = findings.iter().filter(is_problem).collect();
        ensure(problems.is_empty() && ended == Some(0), || {
            format!("{ended:?}: {problems:#?}")
        })?;
        let is_fine = |finding: &Value| text(finding, "level") == "ok";
        let fine = findings.iter().filter(|finding| is_fine(finding)).count();
        ensure(fine >= 8, || {
            format!("only {fine} things are in order: {findings:#?}")
        })
    });
}

/// An agent that has ended is told of in words, with a code of its own.
fn nobody_is_there(agent: &Agent) {
    let at = agent.spec().http.to_string();
    let told = binary::run(&["doctor", "--http", &at]);
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.err.contains("no agent answers"), "{told:?}");
}
