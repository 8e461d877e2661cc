//! What happened in one run, taken down as it goes, to be looked at afterwards.
//!
//! A recording changes nothing: it draws nothing, schedules nothing, and takes no part in the
//! trace's hash. It is bounded: packets are thinned above [`PACKETS`], and above [`MOMENTS`] it
//! stops, and says when.
//!
//! | Module | Holds |
//! |---|---|
//! | `recorder` | what the world tells, as it goes |
//! | `packet` | packets, their kinds and fates; how many are kept |
//! | `decode` | what a payload or a frame is |
//! | `words` | faults, calls and events, for people |
//! | `sides` | how the plan's faults split the network, and when |
//! | `timeline` | from when to when agents held the same and saw each other |
//! | `story` | the whole, in sentences |
//! | `lines` | the whole, as JSON lines |

mod decode;
pub(crate) mod kind;
mod lines;
pub(crate) mod packet;
mod recorder;
pub(crate) mod sides;
pub(crate) mod story;
pub(crate) mod timeline;
pub(crate) mod words;

use tidings_types::{Liveness, MemberStatus, Timestamp};

pub(crate) use self::{kind::Fate, packet::Track, recorder::Recorder};
pub use self::{lines::lines, packet::PACKETS, story::Story};
use crate::{
    plan::{Plan, Trouble, What},
    scenario::Cluster,
};

/// Moments that are kept of a run, at most; what comes after them is not taken down.
pub const MOMENTS: usize = 200_000;

/// So little is not worth being thinned.
const FEW: usize = 100;

/// Everything that was taken down of one run.
#[derive(Clone, Debug)]
pub struct Recording {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) hosts: usize,
    /// The cluster in which each host starts.
    pub(crate) clusters: Vec<Cluster>,
    /// Hosts whose driver is dishonest at some time.
    pub(crate) liars: Vec<usize>,
    /// When the quiet phase begins.
    pub(crate) heal: Timestamp,
    /// When it ended, or when the recording was full.
    pub(crate) end: Timestamp,
    pub(crate) troubles: Vec<Trouble>,
    /// By time.
    pub(crate) moments: Vec<Moment>,
    pub(crate) packets: packet::Packets,
    /// What is in packets, each text once.
    pub(crate) details: Vec<String>,
    /// Changes closer than this, in microseconds, are drawn as one; zero draws each.
    pub(crate) resolution: u64,
    /// From when on nothing was taken down any more.
    pub(crate) full: Option<Timestamp>,
}

/// Something that happened at a host.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) host: usize,
    pub(crate) what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// Its process is so from now on.
    Process(Process),
    /// It belongs to another cluster from now on.
    Moved(Cluster),
    /// It takes another host's node for this from now on.
    Sees { of: usize, view: View },
    /// It takes itself for an island, or no longer does.
    Island(bool),
    /// What it holds: equal numbers for equal fingerprints and equal content.
    Holds(usize),
    /// A client asks for something.
    Asked { call: u64, text: String },
    /// A client is answered: with a refusal, or with success.
    Answered { call: u64, refusal: Option<String> },
    /// Its node says something about itself.
    Said(String),
}

/// A host's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// It is not there.
    Gone,
    /// It goes; which run it is.
    Runs(u64),
    /// It stands still.
    Paused,
}

/// What one node takes another for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// What the failure detector says; `None` if it does not know the other.
    pub(crate) status: Option<MemberStatus>,
    /// How the overlay treats what the other owns.
    pub(crate) overlay: Liveness,
}

impl View {
    /// Before a node has met another.
    pub(crate) const UNKNOWN: Self = Self {
        status: None,
        overlay: Liveness::Stale,
    };

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self.status {
            None => "unknown",
            Some(status) => status.as_str(),
        }
    }

    pub(crate) fn is_reachable(self) -> bool {
        self.status.is_some_and(MemberStatus::is_reachable)
    }
}

/// The fault, as long as its consequences were planned to last: who is stopped is gone until it is
/// back.
fn lasting(fault: &Trouble, plan: &Plan) -> Trouble {
    let mut fault = fault.clone();
    if let What::Crash(_, comeback) | What::Depart(_, _, comeback) = &fault.what {
        fault.until = comeback.map_or(plan.end, |comeback| fault.at + comeback.after);
    }
    fault
}

impl Recording {
    /// Nothing yet, of a run of `plan`.
    fn new(plan: &Plan) -> Self {
        Self {
            name: plan.name.clone(),
            about: plan.about.clone(),
            hosts: plan.hosts,
            clusters: plan.clusters.clone(),
            liars: plan.liars.iter().copied().collect(),
            heal: plan.heal,
            end: Timestamp::ZERO,
            troubles: plan
                .trouble
                .iter()
                .map(|fault| lasting(fault, plan))
                .collect(),
            moments: Vec::new(),
            packets: packet::Packets::new(plan.hosts, plan.end),
            details: vec![String::new()],
            resolution: 0,
            full: None,
        }
    }

    /// The cluster of each host at a moment.
    pub(crate) fn clusters_at(&self, at: Timestamp) -> Vec<Cluster> {
        let mut clusters = self.clusters.clone();
        for moment in self.moments.iter().take_while(|moment| moment.at <= at) {
            if let Happening::Moved(cluster) = moment.what {
                clusters[moment.host] = cluster;
            }
        }
        clusters
    }

    /// Keeps half of the packets; without packets, half of what clients and nodes say; without that,
    /// draws together what changes within ever longer times. Returns whether anything was left out.
    pub(crate) fn thin(&mut self) -> bool {
        if self.packets.kept() > FEW {
            self.packets.halve();
            return true;
        }
        let before = self.moments.len();
        self.moments.retain(Self::every_second_word());
        if self.moments.len() + FEW < before {
            return true;
        }
        let end = self.end.as_micros();
        self.resolution = (self.resolution * 2).max(end / 50_000 + 1);
        self.resolution < end / 50
    }

    fn every_second_word() -> impl FnMut(&Moment) -> bool {
        let mut words = 0_u64;
        move |moment| match moment.what {
            Happening::Said(_) | Happening::Asked { .. } | Happening::Answered { .. } => {
                words += 1;
                words.is_multiple_of(2)
            }
            _ => true,
        }
    }
}
