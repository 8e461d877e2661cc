//! `/v1/status/...`: for clients that ask who leads. Nobody does; the answers are stable.

use std::net::SocketAddr;

use crate::{
    reply::{self, Answer},
    request::Call,
};

/// `GET /v1/status/leader`: the reachable member with the lowest id.
pub(crate) fn leader(call: &Call) -> Answer {
    call.check_scope()?;
    Ok(reply::json(call, &leader_addr(call).to_string()))
}

/// What is told to whoever asks for the leader's address.
pub(crate) fn leader_addr(call: &Call) -> SocketAddr {
    let lowest = reachable(call).into_iter().next();
    lowest.unwrap_or_else(|| call.state.info().gossip)
}

/// `GET /v1/status/peers`: the reachable members.
pub(crate) fn peers(call: &Call) -> Answer {
    call.check_scope()?;
    let peers: Vec<_> = reachable(call).iter().map(SocketAddr::to_string).collect();
    Ok(reply::json(call, &peers))
}

/// The gossip addresses of the reachable members, by node id; this agent's own at least.
fn reachable(call: &Call) -> Vec<SocketAddr> {
    let roster = call.view().roster();
    let reachable = roster.members.values().filter(|m| m.status.is_reachable());
    let mut addrs: Vec<_> = reachable.map(|member| member.addr).collect();
    if !roster.members.contains_key(&call.view().me()) {
        addrs.push(call.state.info().gossip);
    }
    addrs
}
