//! The network is cut: each side goes on, and after the heal all agree.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::Agent,
    cluster,
    lab::{Cut, Lab},
    programs::told,
    stage::{Needs, Stage, story},
    stats::{Spans, times},
    wait::{self, ensure},
};

/// What was cut off is noticed in this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(6);
/// All agents answer the same in this time after a heal.
const HEALED_WITHIN: Duration = Duration::from_secs(5);
/// What one agent of a side is told, the others of it answer in this time.
const HEARD_WITHIN: Duration = Duration::from_millis(200);

#[test]
fn a_split_of_two_and_one_heals_and_owners_deregistrations_stay() {
    let name = "a_split_of_two_and_one_heals_and_owners_deregistrations_stay";
    story(name, Needs::Namespaces, |stage| {
        partition(stage, &SPLIT, Removal::ByOwner);
    });
}

#[test]
fn a_split_of_two_and_one_heals_and_overrides_from_the_far_side_stay() {
    let name = "a_split_of_two_and_one_heals_and_overrides_from_the_far_side_stay";
    story(name, Needs::Namespaces, |stage| {
        partition(stage, &SPLIT, Removal::FromTheFarSide);
    });
}

#[test]
fn a_blackout_heals() {
    story("a_blackout_heals", Needs::Namespaces, |stage| {
        partition(stage, &BLACKOUT, Removal::ByOwner);
    });
}

#[test]
fn a_split_of_two_agents_heals() {
    story("a_split_of_two_agents_heals", Needs::Namespaces, |stage| {
        partition(stage, &TWO, Removal::FromTheFarSide);
    });
}

/// Who still reaches whom, and what makes it so.
struct Shape {
    name: &'static str,
    sides: &'static [&'static [usize]],
    cut: Cut,
}

const SPLIT: Shape = Shape {
    name: "split 2 | 1",
    sides: &[&[0, 1], &[2]],
    cut: Cut::InputDrop,
};
const BLACKOUT: Shape = Shape {
    name: "blackout of 3",
    sides: &[&[0], &[1], &[2]],
    cut: Cut::LinkDown,
};
const TWO: Shape = Shape {
    name: "split 1 | 1",
    sides: &[&[0], &[1]],
    cut: Cut::InputDrop,
};

impl Shape {
    fn all(&self) -> Vec<usize> {
        self.sides.concat()
    }

    fn cut(&self, lab: &Lab) {
        self.each_side(|side, rest| lab.cut(side, rest, self.cut));
    }

    fn mend(&self, lab: &Lab) {
        self.each_side(|side, rest| lab.mend(side, rest, self.cut));
    }

    fn each_side(&self, mut act: impl FnMut(&[usize], &[usize])) {
        for side in self.sides {
            let all = self.all();
            let rest: Vec<_> = all
                .into_iter()
                .filter(|node| !side.contains(node))
                .collect();
            act(side, &rest);
        }
    }
}

/// Who takes away what is taken away during the split.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removal {
    ByOwner,
    FromTheFarSide,
}

/// The whole story: a long split with all that may happen in it, then shorter ones for the figures.
fn partition(stage: &Stage, shape: &Shape, removal: Removal) {
    let count = u8::try_from(shape.all().len()).expect("a lab has few agents");
    let lab = Lab::start(stage, count);
    for (at, agent) in lab.agents.iter().enumerate() {
        register(agent, "web", 1_000 + at);
        register(agent, "gone", 1_100 + at);
    }
    let database = json!({"Node": "database", "Address": "192.0.2.1"});
    lab.agents[0]
        .http()
        .accept(REGISTER_EXTERNAL, &database)
        .expect(ACCEPTED);
    cluster::wait_until_one(&lab.agents);
    let (mut noticed, mut healed) = (Spans::new(), Spans::new());
    for round in 0..times(20, 2) {
        shape.cut(&lab);
        let begin = Instant::now();
        for side in shape.sides {
            let (_, span) = wait::since(begin, "the cut is noticed", NOTICED_WITHIN, || {
                ensure_cut_off(&lab, side)
            });
            noticed.push(span);
        }
        if round == 0 {
            dig_shows_the_age(&lab, shape);
        }
        write_on_each_side(&lab, shape, round);
        let lasts = if round == 0 {
            remove(&lab, shape, removal);
            times(120, 20)
        } else {
            times(20, 0)
        };
        let end = begin + Duration::from_secs(lasts);
        wait::throughout("each side answers and accepts", end, || {
            for side in shape.sides {
                ensure_cut_off(&lab, side)?;
                lab.agents[side[0]]
                    .http()
                    .accept(REGISTER, &named("busy", 1_200))?;
            }
            Ok(())
        });
        let begin = Instant::now();
        shape.mend(&lab);
        let (_, span) = wait::since(begin, "all agree", HEALED_WITHIN, || {
            cluster::ensure_one(&lab.agents)
        });
        healed.push(span);
        ensure_settled(&lab, shape, round);
    }
    noticed.report(&format!("{}: a cut is noticed", shape.name), NOTICED_WITHIN);
    healed.report(
        &format!("{}: all agree after a heal", shape.name),
        HEALED_WITHIN,
    );
}

/// Both sides register: what is new, and one external service under different ports.
fn write_on_each_side(lab: &Lab, shape: &Shape, round: usize) {
    for (number, side) in shape.sides.iter().enumerate() {
        let service = format!("side-{number}");
        register(&lab.agents[side[0]], &service, 2_000 + round);
        let external = json!({
            "Node": "database", "Address": "192.0.2.1",
            "Service": {"Service": format!("db-{round}"), "Port": 5_000 + number},
        });
        lab.agents[side[0]]
            .http()
            .accept(REGISTER_EXTERNAL, &external)
            .expect(ACCEPTED);
        for &node in *side {
            wait::until("the side answers what it was told", HEARD_WITHIN, || {
                let agent = &lab.agents[node];
                ensure_ports(agent, &service, [2_000 + round].into())?;
                ensure_ports(agent, &format!("db-{round}"), [5_000 + number].into())
            });
        }
    }
}

/// Takes `gone` away at the first agent of each side.
fn remove(lab: &Lab, shape: &Shape, removal: Removal) {
    shape.each_side(|side, rest| match removal {
        Removal::ByOwner => {
            for &node in side {
                let http = lab.agents[node].http();
                http.accept("/v1/agent/service/deregister/gone", &Value::Null)
                    .expect(ACCEPTED);
            }
        }
        Removal::FromTheFarSide => {
            let http = lab.agents[side[0]].http();
            for &node in rest {
                let other = json!({"Node": lab.agents[node].name(), "ServiceID": "gone"});
                http.accept("/v1/catalog/deregister", &other)
                    .expect(ACCEPTED);
            }
        }
    });
}

/// Expects every agent of `side` to reach its side alone, and to answer accordingly: one that is
/// cut off from most still serves what it last knew of them, marked stale; a majority does not.
fn ensure_cut_off(lab: &Lab, side: &[usize]) -> Result<(), String> {
    let count = lab.agents.len();
    let is_island = 2 * side.len() <= count;
    for &node in side {
        let agent = &lab.agents[node];
        let status = agent.status()?;
        status.ensure_reaches(side.len(), count)?;
        ensure(status.island == is_island, || {
            format!("island: {}", status.island)
        })?;
        let served: BTreeSet<usize> = if is_island {
            (0..count).collect()
        } else {
            side.iter().copied().collect()
        };
        ensure_ports(agent, "web", served.iter().map(|at| 1_000 + at).collect())?;
        let answer = agent.http().get("/v1/health/service/web?passing")?;
        let mark = |name: &str| answer.header(name).to_owned();
        let reachable = format!("{} of {count}", side.len());
        ensure(mark("x-tidings-reachable") == reachable, || {
            mark("x-tidings-reachable")
        })?;
        let stale = count - side.len();
        let (marked, told) = if is_island {
            (stale.to_string(), stale)
        } else {
            (String::new(), 0)
        };
        ensure(mark("x-tidings-stale") == marked, || {
            mark("x-tidings-stale")
        })?;
        let outputs = answer.body.matches("stale: owner not heard for").count();
        ensure(outputs == told, || {
            format!("{outputs} entries say that they are stale")
        })?;
    }
    Ok(())
}

/// Expects `dig` to show how old what an island serves is, and nobody to keep it.
fn dig_shows_the_age(lab: &Lab, shape: &Shape) {
    let count = lab.agents.len();
    let islands = shape.sides.iter().filter(|side| 2 * side.len() <= count);
    for side in islands {
        let dns = lab.agents[side[0]].spec().dns;
        let (at, port) = (format!("@{}", dns.ip()), dns.port().to_string());
        let shown = told("dig", &[&at, "-p", &port, "web.service.consul", "SRV"]);
        let Some(shown) = shown else {
            return;
        };
        let stale = count - side.len();
        let remark = format!("{stale} of {count} instances are stale, oldest word ");
        for part in ["EDE: 3 (Stale Answer)", &remark] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let answers: Vec<_> = shown
            .lines()
            .filter(|line| line.contains("\tSRV\t"))
            .collect();
        assert_eq!(answers.len(), count, "{shown}");
        let kept_s = |line: &&str| line.split_whitespace().nth(1).map(str::to_owned);
        assert!(
            answers
                .iter()
                .all(|line| kept_s(line).as_deref() == Some("0")),
            "{shown}"
        );
    }
}

/// What must hold once all agree.
fn ensure_settled(lab: &Lab, shape: &Shape, round: usize) {
    let count = lab.agents.len();
    let last_side = shape.sides.len() - 1;
    for agent in &lab.agents {
        let status = agent.status().expect(ANSWERS);
        assert!(!status.island, "{} is still an island", agent.name());
        // One service per round was written on every side.
        assert_eq!(status.conflicts, round + 1, "conflicts at {}", agent.name());
        let web = (0..count).map(|at| 1_000 + at).collect();
        ensure_ports(agent, "web", web).expect(ANSWERS);
        ensure_ports(agent, "gone", BTreeSet::new()).expect("what was deregistered stays away");
        // The clocks of one machine agree, so the last one to write has the greater stamp.
        let winner = [5_000 + last_side].into();
        ensure_ports(agent, &format!("db-{round}"), winner).expect(ANSWERS);
        for number in 0..shape.sides.len() {
            ensure_ports(agent, &format!("side-{number}"), [2_000 + round].into()).expect(ANSWERS);
        }
    }
}

/// Expects exactly these ports over HTTP and over DNS.
fn ensure_ports(agent: &Agent, service: &str, ports: BTreeSet<usize>) -> Result<(), String> {
    let found = agent
        .http()
        .json(&format!("/v1/health/service/{service}?passing"))?;
    let http: Vec<_> = found
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| usize::try_from(entry["Service"]["Port"].as_u64()?).ok())
        .collect();
    let differs = |way: &str, got: &dyn std::fmt::Debug| {
        format!(
            "{} answers {service} over {way} with {got:?}, not {ports:?}",
            agent.name()
        )
    };
    let as_expected = http.len() == ports.len() && ports.iter().all(|port| http.contains(port));
    ensure(as_expected, || differs("HTTP", &http))?;
    let dns = agent.dns().ports(service)?;
    let dns = dns.into_iter().map(usize::from).collect::<BTreeSet<_>>();
    ensure(dns == ports, || differs("DNS", &dns))
}

fn register(agent: &Agent, service: &str, port: usize) {
    agent
        .http()
        .accept(REGISTER, &named(service, port))
        .expect(ACCEPTED);
}

fn named(service: &str, port: usize) -> Value {
    json!({"Name": service, "Port": port})
}

const REGISTER: &str = "/v1/agent/service/register";
const REGISTER_EXTERNAL: &str = "/v1/catalog/register";
const ACCEPTED: &str = "an agent accepts writes whatever the network does";
const ANSWERS: &str = "an agent answers as all agreed";
