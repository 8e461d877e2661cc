//! How the drill is shown to be able to fail: something is done behind the oracle's back.

use std::{thread, time::Duration};

use serde_json::json;

use super::{
    book::{CallId, Key, Service},
    history::{Act, who},
    plan::{Disk, Plan},
    world::World,
};

/// What is done that nobody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// An instance that was deregistered is registered again, by its last registration.
    Resurrect,
    /// An instance is registered again by a registration that it had before.
    Rewind,
    /// An instance is registered that nobody asked for.
    Invent,
    /// An agent stands still.
    Freeze,
    /// An agent's disk is lost.
    Forget,
    /// An agent stays cut off.
    Cut,
    /// The agent that stays away does not.
    Undead,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Resurrect,
        Self::Rewind,
        Self::Invent,
        Self::Freeze,
        Self::Forget,
        Self::Cut,
        Self::Undead,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resurrect => "resurrect",
            Self::Rewind => "rewind",
            Self::Invent => "invent",
            Self::Freeze => "freeze",
            Self::Forget => "forget",
            Self::Cut => "cut",
            Self::Undead => "undead",
        }
    }

    /// The invariant that it breaks.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::Resurrect => "A5",
            Self::Rewind => "A3",
            Self::Invent => "A6",
            Self::Freeze => "A9",
            Self::Forget => "A4",
            Self::Cut => "E3",
            Self::Undead => "E4",
        }
    }

    /// Whether it is done among the faults, and not when they are over.
    pub const fn is_in_chaos(self) -> bool {
        !matches!(self, Self::Cut | Self::Undead)
    }
}

/// Longer than an answer may take.
const FROZEN: Duration = Duration::from_secs(8);

impl World {
    /// Does it, at an agent that runs.
    ///
    /// # Panics
    /// If there is nothing to do it to.
    pub(super) fn sabotage(&mut self, sabotage: Sabotage) {
        self.note(format!("behind the oracle's back: {}", sabotage.name()));
        let host = (0..self.agents.len()).find(|&host| self.agents[host].status().is_ok());
        let host = host.expect("some agent answers");
        match sabotage {
            Sabotage::Resurrect => self.register_again(host, true),
            Sabotage::Rewind => self.register_again(host, false),
            Sabotage::Invent => {
                let body = json!({"Name": Service::Web.name(), "ID": "invented", "Port": 1});
                self.put(host, "/v1/agent/service/register", &body);
            }
            Sabotage::Freeze => {
                self.agents[host].signal("STOP");
                thread::sleep(FROZEN);
                self.agents[host].signal("CONT");
            }
            Sabotage::Forget => {
                self.agents[host].kill();
                self.set_disk(host, Disk::Lost);
                self.agents[host].restart();
            }
            Sabotage::Cut => {
                let others = (0..self.agents.len()).filter(|&other| other != host);
                for other in others {
                    self.links.cut(host, other);
                    self.links.cut(other, host);
                }
                self.links.lay();
            }
            Sabotage::Undead => {}
        }
    }

    /// What is done behind the oracle's back once the agent that stays away was killed.
    pub(super) fn sabotage_the_end(&mut self, plan: &Plan) {
        if self.sabotage == Some(Sabotage::Undead) {
            self.agents[plan.victim].restart();
        }
    }

    /// Makes an old registration once more: one of an instance that is gone, or one that another
    /// registration has replaced.
    fn register_again(&self, host: usize, gone: bool) {
        let found = self.shared().find_call(|calls| {
            let generation = self.lives.last(host)?.generation;
            let web = Key::own(host, generation).filter(|key| key.service() == Service::Web);
            web.into_iter().find_map(|key| {
                let on = calls
                    .iter()
                    .filter(|call| call.key == key && call.is_done());
                let on: Vec<_> = on.collect();
                let is_gone = on.last()?.act == Act::Deregister;
                let registrations = on.iter().filter(|call| call.act == Act::Register);
                let back = if gone { 0 } else { 1 };
                let old = registrations.rev().nth(back)?.id;
                (is_gone == gone).then_some((key, old))
            })
        });
        let (key, old): (Key, CallId) = found
            .unwrap_or_else(|| panic!("{} has nothing that could be registered again", who(host)));
        let (path, body) = key.registration(old);
        self.put(host, &path, &body);
    }

    fn put(&self, host: usize, path: &str, body: &serde_json::Value) {
        let taken = self.agents[host].http().accept(path, body);
        taken.expect("an agent that answers takes registrations");
    }
}
