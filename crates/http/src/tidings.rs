//! `/v1/tidings/...`: what Consul has no word for.

use serde::Serialize;
use tidings_types::Liveness;

use crate::{
    duration::millis,
    reply::{self, Answer},
    request::Call,
};

/// `GET /v1/tidings/status`: how this agent and its cluster are.
pub(crate) fn status(call: &Call) -> Answer {
    let view = call.view();
    let (status, roster, now) = (view.status(), view.roster(), view.now());
    let members = roster.members.iter().map(|(id, member)| {
        Member {
            name: view.name_of_agent(*id).to_string(),
            node_id: id.to_string(),
            address: member.addr.to_string(),
            status: member.status.as_str(),
            liveness: word(member.liveness),
            since_ms: millis(now.since(member.since)),
            // Since its last packet came directly, or since this agent's start if none did; the node
            // tells it anew each second. The agent always hears itself.
            heard_ms: if *id == view.me() {
                0
            } else {
                millis(now.since(member.heard))
            },
            clock_ahead_ms: member.ahead_ms,
        }
    });
    let answer = Status {
        name: view.my_name().as_str(),
        node_id: view.me().to_string(),
        cluster: &call.state.info().cluster,
        datacenter: view.datacenter(),
        version: &call.state.info().version,
        epoch: status.epoch.to_string(),
        uptime_ms: millis(call.state.info().started.elapsed().unwrap_or_default()),
        fingerprint: format!("{:032x}", status.fingerprint),
        reachable: roster.reachable,
        expected: roster.expected,
        island: roster.island,
        pending: status.pending,
        conflicts: status.conflicts,
        feeds: status.feeds,
        entries: status.entries,
        differs_for_ms: reply::differs_for(view, &status).map(millis),
        refused: status.refused,
        index: view.index_high_water(),
        members: members.collect(),
    };
    Ok(reply::json(call, &answer))
}

#[derive(Debug, Serialize)]
struct Status<'a> {
    name: &'a str,
    node_id: String,
    cluster: &'a str,
    datacenter: &'a str,
    version: &'a str,
    epoch: String,
    uptime_ms: u64,
    fingerprint: String,
    reachable: usize,
    expected: usize,
    island: bool,
    pending: u64,
    conflicts: usize,
    feeds: usize,
    entries: usize,
    differs_for_ms: Option<u64>,
    refused: u64,
    index: u64,
    members: Vec<Member>,
}

#[derive(Debug, Serialize)]
struct Member {
    name: String,
    node_id: String,
    address: String,
    status: &'static str,
    liveness: &'static str,
    since_ms: u64,
    heard_ms: u64,
    clock_ahead_ms: Option<i64>,
}

const fn word(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Live => "live",
        Liveness::Stale => "stale",
        Liveness::LastResort => "last resort",
        Liveness::Hidden => "hidden",
    }
}
