//! Disks that are full, cannot be written, or were put back: the agent says so, answers on, and
//! goes on by itself once the disk is well.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    cluster,
    image::Image,
    ledger::{Ledger, WHOLE_WITHIN},
    stage::{Needs, Stage, story},
    stats::{Spans, times},
    wait::{self, ensure},
};

/// A disk that has space again is used again in this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// Two databases as redb begins them, both identities, and some room.
const DISK: &str = "12m";

#[test]
fn a_full_disk_refuses_writes_with_the_reason_and_reads_go_on() {
    let name = "a_full_disk_refuses_writes_with_the_reason_and_reads_go_on";
    story(name, Needs::Namespaces, |stage| {
        let specs = cluster::specs(stage, 3);
        let disk = specs[0].data_dir();
        mount(stage, &disk);
        let mut agents = cluster::start(specs);
        agents[0].expect_error("the disk refused a change");
        agents[0].expect_error("no new epoch could be taken");
        agents[0].expect_error("no space is left");
        agents[0].expect_error("a change before this one could not be saved");
        let mut taken = Spans::new();
        let mut kept = 0;
        for round in 0..times(10, 3) {
            let ballast = fill(&disk);
            let refused = refused(&agents[0], round, &mut kept);
            assert!(refused.contains("no space is left"), "{refused}");
            let looked = wait::throughout("reads go on", soon(), || {
                let served = agents[0].http().json("/v1/health/service/kept")?;
                let served = served.as_array().map_or(0, Vec::len);
                ensure(served >= kept, || format!("{served} of {kept} served"))?;
                let answer = agents[0]
                    .http()
                    .put("/v1/agent/service/register", &kept_body(0))?;
                // What is so already needs no disk, but is in doubt while the disk refuses.
                ensure([200, 500].contains(&answer.status), || answer.body)
            });
            assert!(looked > 0);
            fs::remove_file(ballast).unwrap();
            let begin = Instant::now();
            let (_, span) = wait::since(begin, "it takes writes again", TAKEN_WITHIN, || {
                register(&agents[0], &format!("kept-{kept}"))
            });
            kept += 1;
            taken.push(span);
            wait::until("all agree", WHOLE_WITHIN, || cluster::ensure_one(&agents));
        }
        taken.report("a disk that has space again is written", TAKEN_WITHIN);
        agents[0].kill();
        agents[0].restart();
        wait::until("what was acknowledged is served", WHOLE_WITHIN, || {
            cluster::ensure_one(&agents)?;
            for number in 0..kept {
                let found = agents[1]
                    .http()
                    .json("/v1/health/service/kept")?
                    .to_string();
                let id = format!("\"kept-{number}\"");
                ensure(found.contains(&id), || format!("{id} is not served"))?;
            }
            Ok(())
        });
        drop(agents);
        unmount(&disk);
    });
}

#[test]
fn a_disk_that_cannot_be_written_is_said_at_the_start() {
    let name = "a_disk_that_cannot_be_written_is_said_at_the_start";
    story(name, Needs::Namespaces, |stage| {
        let specs = cluster::specs(stage, 1);
        let disk = specs[0].data_dir();
        mount(stage, &disk);
        let mut agents = cluster::start(specs);
        register(&agents[0], "kept-0").unwrap();
        let node = agents[0].status().unwrap().node_id;
        agents[0].kill();
        run("mount", &["-o", "remount,ro", &disk.display().to_string()]);
        agents[0].spawn_again();
        let (status, _) = agents[0].wait_until_it_ends();
        assert!(!status.success(), "{status}");
        let log = agents[0].log();
        let place = disk.display().to_string();
        assert!(
            log.contains(&place) && log.contains("lets this user write"),
            "{log}"
        );

        run("mount", &["-o", "remount,rw", &place]);
        agents[0].restart();
        assert_eq!(agents[0].status().unwrap().node_id, node);
        wait::until("it serves what it had", WHOLE_WITHIN, || {
            let found = agents[0].http().json("/v1/health/service/kept")?;
            ensure(found.to_string().contains("kept-0"), || found.to_string())
        });
        drop(agents);
        unmount(&disk);
    });
}

#[test]
fn an_agent_whose_disk_was_put_back_relearns_what_it_wrote_since() {
    let name = "an_agent_whose_disk_was_put_back_relearns_what_it_wrote_since";
    story(name, Needs::Nothing, |stage| {
        let mut agents = cluster::start(cluster::specs(stage, 3));
        let mut ledger = Ledger::fill(&agents);
        let dir = agents[0].spec().data_dir();
        let mut whole = Spans::new();
        for kindly in [false, true] {
            stop(&mut agents[0], kindly);
            let yesterday = Image::of(&dir);
            agents[0].restart();
            for _ in 0..5 {
                ledger.go_on(&agents);
            }
            let before = agents[0].status().unwrap();
            stop(&mut agents[0], kindly);
            yesterday.put_back(&dir, &[]);
            let begin = Instant::now();
            agents[0].restart();
            whole.push(ledger.wait_until_whole(&agents, begin));
            let after = agents[0].status().unwrap();
            assert_eq!(after.node_id, before.node_id);
            assert!(after.epoch > before.epoch, "no dot is used twice");
            let log = agents[0].log();
            assert!(
                log.contains("gave back what this node had once written"),
                "{log}"
            );
            ledger.go_on(&agents);
            ledger.wait_until_whole(&agents, Instant::now());
        }
        whole.report("whole again after its disk was put back", WHOLE_WITHIN);
    });
}

fn stop(agent: &mut Agent, kindly: bool) {
    if kindly {
        agent.terminate();
        agent.wait_until_it_ends();
    } else {
        agent.kill();
    }
}

/// Registers until the disk refuses; what was acknowledged is counted in `kept`. Returns the refusal.
fn refused(agent: &Agent, round: usize, kept: &mut usize) -> String {
    for _ in 0..2_000 {
        match register(agent, &format!("kept-{kept}")) {
            Ok(()) => *kept += 1,
            Err(refusal) => return refusal,
        }
    }
    panic!("round {round}: a full disk takes {kept} registrations");
}

fn register(agent: &Agent, id: &str) -> Result<(), String> {
    let body = body(id);
    agent
        .http()
        .accept("/v1/agent/service/register", &body)
        .map(drop)
}

fn kept_body(number: usize) -> Value {
    body(&format!("kept-{number}"))
}

fn body(id: &str) -> Value {
    json!({"Name": "kept", "ID": id, "Port": 1, "Meta": {"text": "x".repeat(500)}})
}

/// Takes all space that is left.
fn fill(disk: &Path) -> std::path::PathBuf {
    let ballast = disk.join("ballast");
    let mut bytes = 1 << 20;
    let mut file = fs::File::create(&ballast).expect("there is room for a name");
    while bytes > 0 {
        use std::io::Write;
        if file.write_all(&vec![1; bytes]).is_err() {
            bytes /= 2;
        }
    }
    ballast
}

fn mount(stage: &Stage, disk: &Path) {
    assert!(stage.is_isolated(), "mounts are the whole host's");
    fs::create_dir_all(disk).expect("the story's directory takes another");
    let size = format!("size={DISK}");
    run(
        "mount",
        &[
            "-t",
            "tmpfs",
            "-o",
            &size,
            "none",
            &disk.display().to_string(),
        ],
    );
}

fn unmount(disk: &Path) {
    run("umount", &[&disk.display().to_string()]);
}

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "{program} {words:?}"
    );
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(500)
}
