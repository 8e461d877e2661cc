//! `?ack`: writes that are answered when enough agents hold them.
//!
//! A write is acknowledged when this agent has it on disk, so a client that goes on has lost nothing
//! unless the host loses its disk before a peer has it. With `?ack=3` the answer comes when three
//! agents, this one included, are known to hold it, or after `wait` (2 s, at most 60 s): the
//! write stands in either case, and `X-Tidings-Acked` says how many hold it. Fewer than were asked for
//! is no failure; on an island there are no more.

use std::time::Duration;

use axum::{http::HeaderName, response::Response};
use tidings_types::{Command, Refusal};

use crate::{
    duration,
    failure::Failure,
    reply::{self, Answer},
    request::{Call, Params},
};

/// Sends a write to the node and answers it without a body, when as many agents hold it as the client
/// asks for.
pub(crate) async fn write(call: &Call, command: Command) -> Answer {
    write_all(call, [command], reply::empty()).await
}

/// Sends writes to the node, each when the one before it is done, and answers them likewise with
/// `response`.
pub(crate) async fn write_all<I>(call: &Call, writes: I, mut response: Response) -> Answer
where
    I: IntoIterator<Item = Command, IntoIter: Send>,
{
    let ack = Ack::of(&call.params)?;
    let commands = call.state.commands();
    for write in writes {
        commands.send(write).await?;
    }
    if let Some(Ack { holders, within }) = ack {
        let wait = commands.send(Command::AwaitHolders { holders, within });
        let known = tokio::select! {
            answer = wait => answer.ok().and_then(|outcome| outcome.holders),
            () = call.state.closed() => None,
        };
        // Whatever becomes of the question, this agent holds the write.
        reply::set(&mut response, ACKED, known.unwrap_or(1));
    }
    Ok(response)
}

/// Sends writes to the node and answers them likewise with `response`, also if the node refuses one and
/// that is `as_good` as done.
pub(crate) async fn write_unless(
    call: &Call,
    writes: Vec<Command>,
    response: Response,
    as_good: fn(&Refusal) -> bool,
) -> Answer {
    // Nothing is written if it asks for nonsense.
    Ack::of(&call.params)?;
    for write in writes {
        if let Err(refusal) = call.state.commands().send(write).await
            && !as_good(&refusal)
        {
            return Err(refusal.into());
        }
    }
    write_all(call, [], response).await
}

/// How many agents shall hold a write, and how long its client waits for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ack {
    holders: usize,
    within: Duration,
}

impl Ack {
    /// What the client asks for, if it does. Nothing is written if it asks for nonsense.
    fn of(params: &Params) -> Result<Option<Self>, Failure> {
        let Some(text) = params.get("ack") else {
            return Ok(None);
        };
        let holders: Option<u16> = text.parse().ok().filter(|holders| *holders > 0);
        let Some(holders) = holders else {
            return Err(Failure::bad(
                "Invalid value for ?ack: give the number of agents that shall hold the write, this \
                 one included",
            ));
        };
        let wait = params.get("wait").unwrap_or(WAIT_DEFAULT);
        let nanos = duration::parse(wait)
            .ok()
            .and_then(|n| u64::try_from(n).ok());
        let within = nanos.map(Duration::from_nanos);
        let within = within.ok_or_else(|| Failure::bad("Invalid wait time"))?;
        Ok(Some(Self {
            holders: holders.into(),
            within: within.min(WAIT_MAX),
        }))
    }
}

/// How long a client waits for enough agents, unless it says.
const WAIT_DEFAULT: &str = "2s";
/// How long it waits at most.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How many agents are known to hold the write, this one included.
const ACKED: HeaderName = HeaderName::from_static("x-tidings-acked");

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(query: &str) -> Result<Option<Ack>, String> {
        let params = Params::parse(query).unwrap();
        Ack::of(&params).map_err(|failure| failure.text().to_owned())
    }

    #[test]
    fn a_number_of_agents_and_a_bounded_wait_are_taken() {
        let asked = |holders, within| Ok(Some(Ack { holders, within }));
        assert_eq!(ack("wait=5s"), Ok(None));
        assert_eq!(ack("ack=3"), asked(3, Duration::from_secs(2)));
        assert_eq!(ack("ack=1&wait=0s"), asked(1, Duration::ZERO));
        assert_eq!(ack("ack=9&wait=1h"), asked(9, WAIT_MAX));
        for query in [
            "ack",
            "ack=0",
            "ack=-1",
            "ack=all",
            "ack=65536",
            "ack=2&wait=soon",
            "ack=2&wait=-1s",
        ] {
            assert!(ack(query).is_err(), "{query}");
        }
    }
}
