//! A record's body as an agent keeps it: in the bytes of its encoding.
//!
//! Every agent holds the records of everybody, and most of them are looked at rarely: what is asked of
//! them is often encoded already, where it was asked for before. As a value an instance takes three
//! hundred bytes, most of them room for what few instances have; its encoding takes as much as it says.
//! So a body is decoded when somebody reads it, which costs a fraction of a microsecond.

use std::fmt;

use bincode::config;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use triomphe::ThinArc;

use crate::{Body, BodyKind, Check, Event, Instance, Texts, limits::RECORD_BYTES};

/// A [`Body`] in its encoding, which its clones share. It is encoded and shown as the body itself.
///
/// Made from a body alone, and so always the encoding of one: equal contents are equal bodies.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Content(ThinArc<(), u8>);

impl Content {
    /// The content that is `body`.
    ///
    /// # Panics
    /// Never: plain data encodes.
    pub fn of(body: &Body) -> Self {
        let mut encoded = Vec::with_capacity(USUAL_BYTES);
        bincode::serde::encode_into_std_write(body, &mut encoded, config::standard())
            .expect("plain data encodes, and memory takes every byte");
        Self(ThinArc::from_header_and_slice((), &encoded))
    }

    /// Its bytes: those that bincode's standard configuration makes of the body.
    pub fn bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// Of which kind it is. Looks at that alone.
    pub fn kind(&self) -> BodyKind {
        self.start()
    }

    /// What it says. Decodes it.
    ///
    /// # Panics
    /// Never: the bytes are the encoding of a body.
    pub fn body(&self) -> Body {
        self.start()
    }

    /// The instance that it is, if it is one. Decodes it.
    pub fn instance(&self) -> Option<Instance> {
        match self.body() {
            Body::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// The check that it is, if it is one. Decodes it.
    pub fn check(&self) -> Option<Check> {
        match self.body() {
            Body::Check(check) => Some(check),
            _ => None,
        }
    }

    /// The event that it is, if it is one. Decodes it.
    pub fn event(&self) -> Option<Event> {
        match self.body() {
            Body::Event(event) => Some(event),
            _ => None,
        }
    }

    /// The tags that it is, if it is some. Decodes them.
    pub fn tags(&self) -> Option<Texts> {
        match self.body() {
            Body::Tags(tags) => Some(tags),
            _ => None,
        }
    }

    /// The name of its service, if it is an instance. Looks at that alone, where a whole node's instances
    /// are told by their services.
    pub fn service(&self) -> Option<&str> {
        let is_instance = self.kind() == BodyKind::Instance;
        // The service is an instance's first field.
        is_instance.then(|| self.start::<(BodyKind, &str)>().1)
    }

    /// Its tags, if it is an instance. Looks no further than them: a record may name thousands of checks
    /// behind them, and each of those is shown with the tags.
    pub fn instance_tags(&self) -> Option<Texts> {
        let is_instance = self.kind() == BodyKind::Instance;
        // They are an instance's second field.
        is_instance.then(|| self.start::<(BodyKind, &str, Texts)>().2)
    }

    /// What its bytes begin with.
    fn start<'a, T: Deserialize<'a>>(&'a self) -> T {
        let limited = config::standard().with_limit::<DECODED_BYTES>();
        let (start, _) = bincode::serde::borrow_decode_from_slice(self.bytes(), limited)
            .expect("these are the bytes of a body");
        start
    }
}

impl From<Body> for Content {
    fn from(body: Body) -> Self {
        Self::of(&body)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body().fmt(f)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Body::deserialize(deserializer).map(Self::from)
    }
}

/// Most bodies fit this, so that they are written without taking memory again and again.
const USUAL_BYTES: usize = 256;
/// What decoding may take. The encoding is at hand and ours; it is more than a record's bytes since one
/// that is too large is refused after it was taken in.
const DECODED_BYTES: usize = 1_024 * RECORD_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CheckKind, ExternalNode, Node, NodeName, ServiceName, Text, TextMap};

    fn bodies() -> Vec<(Body, BodyKind)> {
        let mut instance = Instance::new(ServiceName::new("Web").unwrap(), 80);
        instance.tags = ["a", "a tag that needs memory of its own"]
            .into_iter()
            .collect();
        instance.meta = [("env", "prod")].into_iter().collect();
        let node = Node {
            name: NodeName::new("host").unwrap(),
            gossip: "[2001:db8::1]:8301".parse().unwrap(),
            address: "192.0.2.1".into(),
            datacenter: "dc1".into(),
            meta: TextMap::new(),
            build: "0.1.0".into(),
            departure: None,
        };
        let external = ExternalNode {
            id: Text::new(),
            address: "192.0.2.2".into(),
            tagged_addresses: TextMap::new(),
            meta: TextMap::new(),
        };
        let event = Event {
            name: "deploy".into(),
            payload: Box::new([0xff, 0]),
            node_filter: Text::new(),
            service_filter: Text::new(),
            tag_filter: Text::new(),
        };
        let kind = CheckKind::Ttl { ttl_ms: 1 };
        vec![
            (Body::Event(event), BodyKind::Event),
            (Body::Node(node), BodyKind::Node),
            (Body::Instance(instance), BodyKind::Instance),
            (Body::Check(Check::new("beat", kind)), BodyKind::Check),
            (Body::ExternalNode(external), BodyKind::ExternalNode),
            (Body::Tags(["set"].into_iter().collect()), BodyKind::Tags),
        ]
    }

    #[test]
    fn a_content_is_its_body() {
        for (body, kind) in bodies() {
            let content = Content::of(&body);
            assert_eq!(content.kind(), kind);
            assert_eq!(content.body(), body);
            assert_eq!(content.instance().is_some(), kind == BodyKind::Instance);
            assert_eq!(content.check().is_some(), kind == BodyKind::Check);
            assert_eq!(content.event().is_some(), kind == BodyKind::Event);
            assert_eq!(content.tags().is_some(), kind == BodyKind::Tags);
            let service = (kind == BodyKind::Instance).then_some("Web");
            assert_eq!(content.service(), service);
            let tags = content.instance().map(|instance| instance.tags);
            assert_eq!(content.instance_tags(), tags);
        }
    }

    #[test]
    fn a_content_is_encoded_as_its_body() {
        for (body, _) in bodies() {
            let content = Content::of(&body);
            let encoded = bincode::serde::encode_to_vec(&content, config::standard()).unwrap();
            assert_eq!(encoded, content.bytes());
            let decoded = bincode::serde::decode_from_slice(&encoded, config::standard());
            assert_eq!(decoded.unwrap(), (content, encoded.len()));
        }
    }
}
