//! Is the cluster found by the seeds, and this agent by the others?

use super::{
    super::{
        Finding, Level,
        facts::{Facts, Seed},
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
        .map(|seed| one(seed, &facts.status.name, has_others))
        .collect()
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
