//! What clients ask for: everything about a call follows from who made it and its number.
//!
//! The port of an instance is the number of the call that registered it. So every answer, over HTTP
//! and DNS, says which call it shows, and all the rest of what it says can be compared.

use std::fmt;

use serde_json::{Value, json};

use super::{AGENTS, plan};

/// A call: the host at whose agent it was made, and its number among the calls there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId {
    /// The host.
    pub host: usize,
    /// From 1 on, below [`CALLS_END`].
    pub number: u32,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// An instance of a host's own agent.
    Own {
        /// The host.
        host: usize,
        /// Its number, [`OWN`] to each generation: what a disk may have lost is not touched again.
        slot: u32,
    },
    /// An instance on a machine without an agent, which any agent may write.
    Shared(u32),
}

/// A service, and what is done with its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// They come and go.
    Web,
    /// They stay, and their checks change.
    Db,
    /// They are shared.
    Ext,
}

/// A check's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// `passing`.
    Passing,
    /// `warning`.
    Warning,
    /// `critical`.
    Critical,
}

/// Instances of each host, of one generation.
pub const OWN: u32 = WEB + 2;
const WEB: u32 = 5;
/// Shared instances.
pub const SHARED: u32 = 3;
/// Where they are.
pub const EXTERNAL: &str = "external";
/// The numbers of calls end here: a port has five digits, the first of which is the host's.
pub const CALLS_END: u32 = 10_000;
const _: () = assert!((AGENTS + 1) * 10_000 <= 65_536, "ports have 16 bits");

impl CallId {
    /// The port that shows it.
    pub fn port(self) -> u16 {
        let host = u32::try_from(self.host + 1).expect("there are few");
        u16::try_from(host * CALLS_END + self.number).expect("it has five digits")
    }

    /// The call that a port shows.
    pub fn of_port(port: u64) -> Option<Self> {
        let port = u32::try_from(port).ok()?;
        let host = usize::try_from(port / CALLS_END).ok()?.checked_sub(1)?;
        let number = port % CALLS_END;
        (host < AGENTS).then_some(Self { host, number })
    }
}

impl Key {
    /// The instances of a host that belong to a generation.
    pub fn own(host: usize, generation: u32) -> impl Iterator<Item = Self> {
        (generation * OWN..(generation + 1) * OWN).map(move |slot| Self::Own { host, slot })
    }

    /// The service that it is an instance of.
    pub const fn service(self) -> Service {
        match self {
            Self::Own { slot, .. } if slot % OWN < WEB => Service::Web,
            Self::Own { .. } => Service::Db,
            Self::Shared(_) => Service::Ext,
        }
    }

    /// The generation that it belongs to; none if it is shared.
    pub const fn generation(self) -> Option<u32> {
        match self {
            Self::Own { slot, .. } => Some(slot / OWN),
            Self::Shared(_) => None,
        }
    }

    /// Whose it is; nobody's if it is shared.
    pub const fn owner(self) -> Option<usize> {
        match self {
            Self::Own { host, .. } => Some(host),
            Self::Shared(_) => None,
        }
    }

    /// The node that it is an instance on.
    pub fn node(self) -> String {
        self.owner().map_or_else(|| EXTERNAL.to_owned(), plan::name)
    }

    /// Its id.
    pub fn id(self) -> String {
        let service = self.service().name();
        match self {
            Self::Own { host, slot } => format!("{service}-{}-{slot}", plan::name(host)),
            Self::Shared(slot) => format!("{service}-{slot}"),
        }
    }

    /// What `call` registers it with.
    pub fn definition(self, call: CallId) -> Value {
        let service = self.service().name();
        json!({
            "ID": self.id(),
            "Service": service,
            "Port": call.port(),
            "Tags": [format!("call-{}", call.number)],
            // Some fit a datagram with others, some do not.
            "Meta": {"by": plan::name(call.host), "text": "x".repeat((call.number as usize * 37) % 500)},
        })
    }

    /// Path and body of the call that registers it.
    pub fn registration(self, call: CallId) -> (String, Value) {
        let mut definition = self.definition(call);
        if self.owner().is_none() {
            let body = json!({
                "Node": EXTERNAL, "Address": "192.0.2.1", "Service": definition,
            });
            return ("/v1/catalog/register".to_owned(), body);
        }
        let fields = definition.as_object_mut().expect("it is one");
        let name = fields.remove("Service").expect("it has one");
        fields.insert("Name".to_owned(), name);
        if self.service() == Service::Db {
            definition["Check"] = json!({"TTL": "24h", "Status": Health::Passing.word()});
        }
        ("/v1/agent/service/register".to_owned(), definition)
    }

    /// Path and body of the call that takes it away.
    pub fn deregistration(self) -> (String, Value) {
        if self.owner().is_none() {
            let body = json!({"Node": EXTERNAL, "ServiceID": self.id()});
            return ("/v1/catalog/deregister".to_owned(), body);
        }
        let path = format!("/v1/agent/service/deregister/{}", self.id());
        (path, Value::Null)
    }

    /// Path and body of `call`, which reports on its check.
    pub fn report(self, call: CallId, health: Health) -> (String, Value) {
        let path = format!("/v1/agent/check/update/service:{}", self.id());
        let output = format!("{REPORT}{}", call.number);
        (path, json!({"Status": health.word(), "Output": output}))
    }
}

/// What a check says, before the number of the call that said so.
pub const REPORT: &str = "report ";

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Web, Self::Db, Self::Ext];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Db => "db",
            Self::Ext => "ext",
        }
    }
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Passing, Self::Warning, Self::Critical];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// What a word says.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.word() == word)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", plan::name(self.host), self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_tells_its_call() {
        for host in 0..AGENTS {
            for number in [1, 77, CALLS_END - 1] {
                let call = CallId { host, number };
                assert_eq!(CallId::of_port(call.port().into()), Some(call));
            }
        }
        assert_eq!(CallId::of_port(80), None);
        assert_eq!(CallId::of_port(65_535), None);
    }

    #[test]
    fn the_keys_of_two_generations_differ() {
        let first: Vec<_> = Key::own(2, 0).map(Key::id).collect();
        assert!(Key::own(2, 1).all(|key| !first.contains(&key.id())));
        assert!(Key::own(2, 1).all(|key| key.generation() == Some(1)));
    }
}
