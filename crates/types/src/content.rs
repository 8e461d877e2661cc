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
