//! Is the cluster found by the seeds, and this agent by the others?

use super::{
    super::{
        Finding, Level,
        facts::{AnswerKind, Facts, Seed, SeedAnswer},
    },
    finding, ok,
};

const ABOUT: &str = "seed";

/// A finding for each seed, or that there is none.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let has_others = facts.status.reachable > 1;
    if facts.setup.seeds.is_empty() {
        return vec![if has_others {
            finding(
                ABOUT,
                Level::Warning,
                "no seeds are set: with an empty disk this agent would find nobody",
                "give it one or two other hosts with --join",
            )
        } else {
            ok(ABOUT, "no seeds are set, and this agent is alone")
        }];
    }
    let seeds = facts.setup.seeds.iter();
    seeds
        .flat_map(|seed| {
            let answers = seed.answers.iter();
            let answers = answers.filter_map(|answer| stranger(seed, answer));
            let strangers: Vec<Finding> = answers.collect();
            // Who answers in place of a member says more than that no member does.
            let is_told = seed.members.is_empty() && !strangers.is_empty();
            let own = (!is_told).then(|| one(seed, &facts.status.name, has_others));
            own.into_iter().chain(strangers)
        })
        .collect()
}

/// Somebody answers at a seed's address who is no reachable member; nothing is told of silence, which
/// is why no member is there.
fn stranger(seed: &Seed, answer: &SeedAnswer) -> Option<Finding> {
    let (name, address, detail) = (&seed.seed, answer.address, &answer.detail);
    let (level, found, remedy) = match answer.answer {
        AnswerKind::Myself | AnswerKind::Silent => return None,
        AnswerKind::Member => (
            Level::Warning,
            format!(
                "an agent of this cluster answers at {name} ({address}), {detail}, and is not a member yet"
            ),
            "look again in ten seconds; if it stays so, see that UDP passes both ways between the two",
        ),
        AnswerKind::OtherKey => (
            Level::Problem,
            format!("an agent with another cluster key answers at {name} ({address}): {detail}"),
            "give both the same key file, or add this agent's key there with `tidings keyring add`",
        ),
        AnswerKind::OtherCluster => (
            Level::Problem,
            format!("an agent of another cluster answers at {name} ({address})"),
            "take it off --join, or start both with the same --cluster",
        ),
        AnswerKind::Strange => (
            Level::Problem,
            format!("what answers at {name} ({address}) is no agent of this version: {detail}"),
            "see that the port is the gossip port of an agent, and that both run the same version",
        ),
        AnswerKind::Busy => (
            Level::Unknown,
            format!("who answers at {name} ({address}) had no time"),
            "ask again",
        ),
        AnswerKind::NotAsked => (
            Level::Unknown,
            format!("{name} ({address}) was not asked: the seeds have too many addresses"),
            "name fewer seeds",
        ),
    };
    Some(finding(ABOUT, level, found, remedy))
}

fn one(seed: &Seed, me: &str, has_others: bool) -> Finding {
    let name = &seed.seed;
    // One that is away is what there are several for.
    let level = if has_others {
        Level::Warning
    } else {
        Level::Problem
    };
    if let Some(reason) = &seed.error {
        return finding(
            ABOUT,
            level,
            format!("{name} does not resolve: {reason}"),
            "see that the name is in DNS or /etc/hosts of this host, or give another seed with --join",
        );
    }
    let addresses: Vec<_> = seed.addresses.iter().map(ToString::to_string).collect();
    let addresses = addresses.join(", ");
    let others: Vec<&str> = seed.members.iter().map(String::as_str).collect();
    match others.as_slice() {
        [] => finding(
            ABOUT,
            level,
            format!("no member answers at {name} ({addresses})"),
            "see that an agent runs there, that UDP passes to and from that port, and that it has the same \
             --cluster and key file",
        ),
        [only] if *only == me && !has_others => finding(
            ABOUT,
            Level::Warning,
            format!("{name} is this agent itself"),
            "give it other hosts with --join",
        ),
        members => ok(ABOUT, format!("{name} is {}", members.join(", "))),
    }
}

/// Whether others can reach this agent where it says that it is.
pub(super) fn advertised(facts: &Facts) -> Finding {
    const ABOUT: &str = "address";
    let at = facts.setup.advertised;
    let elsewhere = facts.status.members.iter().filter(|member| {
        let address = member.address.parse::<std::net::SocketAddr>();
        address.is_ok_and(|address| !address.ip().is_loopback())
    });
    if at.ip().is_loopback() && elsewhere.count() > 0 {
        return finding(
            ABOUT,
            Level::Problem,
            format!(
                "other agents are told to reach this one at {at}, which is each one's own host"
            ),
            "give it an address of this host with --bind or --advertise",
        );
    }
    ok(ABOUT, format!("other agents reach this one at {at}"))
}
