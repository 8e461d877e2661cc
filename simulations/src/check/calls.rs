//! E8: an agent never gives up looking for others. It calls some address now and then as long as it
//! lives, and often while it hears nobody.
//!
//! Several mechanisms find members again, so that a world comes together without any one of them, only
//! later; what each must do is judged here by the datagrams that go out. A call is one to whoever is at
//! an address, since identities may have changed.

use std::{collections::BTreeMap, time::Duration};

use tidings_types::Timestamp;

use super::{Checks, Violation};
use crate::host::Host;

/// After so long it counts as hearing nobody: twice what it takes for silence itself.
const SILENT: Duration = Duration::from_secs(10);
/// The longest pause between two calls then: three of its own with their jitter.
const PAUSE_IN_SILENCE: Duration = Duration::from_secs(4);
/// The longest pause between two calls whatever it hears: two of its own with their jitter.
const PAUSE: Duration = Duration::from_secs(25);

/// When a host last called, and last heard somebody, while it ran undisturbed.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<usize, Ears>);

#[derive(Clone, Copy, Debug)]
struct Ears {
    run: u64,
    heard: Timestamp,
    called: Timestamp,
}

impl Checks {
    /// A host sends a datagram to whoever is at an address.
    pub(crate) fn called(&mut self, now: Timestamp, host: usize, state: &Host) {
        let fresh = Ears::begin(now, state);
        let ears = self.calls.0.entry(host).or_insert(fresh);
        ears.called = now;
    }

    /// A datagram reaches a host's node.
    pub(crate) fn heard(&mut self, now: Timestamp, host: usize) {
        if let Some(ears) = self.calls.0.get_mut(&host) {
            ears.heard = now;
        }
    }

    /// E8, of each host that has called before in this run.
    pub(crate) fn everybody_goes_on_calling(
        &mut self,
        now: Timestamp,
        hosts: &[Host],
    ) -> Result<(), Violation> {
        for (host, state) in hosts.iter().enumerate() {
            let Some(ears) = self.calls.0.get_mut(&host) else {
                continue;
            };
            if !state.is_running() {
                self.calls.0.remove(&host);
                continue;
            }
            if ears.run != state.run || !is_undisturbed(state) {
                *ears = Ears::begin(now, state);
            }
            let (unheard, uncalled) = (now.since(ears.heard), now.since(ears.called));
            let is_silent = unheard > SILENT && uncalled > PAUSE_IN_SILENCE;
            if is_silent || uncalled > PAUSE {
                return Err(Violation {
                    invariant: "E8",
                    at: now,
                    host: Some(host),
                    text: format!(
                        "it has called no address for {uncalled:?}, and heard nobody for {unheard:?}"
                    ),
                });
            }
        }
        Ok(())
    }
}

impl Ears {
    const fn begin(now: Timestamp, state: &Host) -> Self {
        Self {
            run: state.run,
            heard: now,
            called: now,
        }
    }
}

/// Whether the process does what its node says, in time, and means to stay.
fn is_undisturbed(state: &Host) -> bool {
    state.late.is_zero() && state.departing.is_none() && state.yields_since.is_none()
}
