//! `/v1/tidings/status`.

use serde::Deserialize;

use crate::wait::ensure;

/// How an agent stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The node's name.
    pub name: String,
    /// The node's id.
    pub node_id: String,
    /// Its epoch, in digits of which the greater text is the later one.
    pub epoch: String,
    /// Equal at two agents exactly if their registries are.
    pub fingerprint: String,
    /// Members that answer, itself included.
    pub reachable: usize,
    /// Members that ought to, itself included.
    pub expected: usize,
    /// Whether it takes itself to be cut off.
    pub island: bool,
    /// Own records that no peer holds yet.
    pub pending: u64,
    /// Writes that lost against another that they had not seen.
    pub conflicts: usize,
    /// Entries in all feeds.
    pub entries: usize,
    /// Packets and requests that were refused.
    pub refused: u64,
    /// The greatest index given out.
    pub index: u64,
    /// The members.
    pub members: Vec<Member>,
}

/// A member as the agent sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node_id: String,
    /// What the failure detector says.
    pub status: String,
    /// How its instances are served.
    pub liveness: String,
}

impl Status {
    /// Expects `reachable` of `expected` members.
    ///
    /// # Errors
    /// What it says instead.
    pub fn ensure_reaches(&self, reachable: usize, expected: usize) -> Result<(), String> {
        let holds = (self.reachable, self.expected) == (reachable, expected);
        ensure(holds, || {
            format!(
                "{} reaches {} of {}, not {reachable} of {expected}",
                self.name, self.reachable, self.expected
            )
        })
    }

    /// The member called `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn member(&self, name: &str) -> Result<&Member, String> {
        let mut members = self.members.iter();
        members
            .find(|member| member.name == name)
            .ok_or_else(|| format!("{} knows no member {name}", self.name))
    }
}
