//! `/v1/tidings/keyring`: the cluster keys of this agent and of all that it reaches.
//!
//! Keys are shown by their public ids alone. Changes take PUT, which no web page of another site can
//! send unasked, in place of the POST of Consul's `/v1/operator/keyring`; and that one prints keys.

use std::{fmt, pin::Pin};

use axum::http::StatusCode;
use serde::Serialize;

use crate::{
    failure::Failure,
    reply::{self, Answer},
    request::Call,
};

/// What a client asks of the cluster keys.
pub enum KeyringCall {
    /// Which keys are there?
    List,
    /// Accept one more key.
    Add {
        /// The key as text, as it stands in a key file.
        text: String,
    },
    /// Send under a key that is accepted.
    Use {
        /// The key's id.
        id: String,
    },
    /// Accept a key no longer.
    Remove {
        /// The key's id.
        id: String,
    },
}

/// How the cluster keys stand.
#[derive(Clone, Debug, Serialize)]
pub struct KeyringReport {
    /// Members that are reachable, this agent included.
    pub reachable: usize,
    /// The keys that anybody asked accepts or sends under; this agent's first.
    pub keys: Vec<KeyringKey>,
    /// The members asked, this agent first.
    pub members: Vec<KeyringMember>,
}

/// One cluster key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyringKey {
    /// Its public id.
    pub id: String,
    /// Whether this agent sends under it.
    pub in_use: bool,
    /// How many of the members asked accept it.
    pub accepted_by: usize,
    /// How many of the reachable members sent their latest datagram under it.
    pub sent_by: usize,
}

/// One member that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct KeyringMember {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node_id: String,
    /// The keys that it accepts, the one that it sends under first; empty if it did not say.
    pub accepts: Vec<String>,
    /// The key of its latest datagram here; none of this agent itself.
    pub heard_under: Option<String>,
    /// Whether it did what was asked.
    pub is_ok: bool,
    /// What it did, or why not.
    pub outcome: String,
}

/// The keys were not changed, anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyringRefusal {
    /// The request makes no sense; the text says what would.
    Misuse(String),
    /// Some agent's keys do not allow it; the text says whose and what to do first.
    Conflict(String),
}

/// What becomes of a [`KeyringCall`].
pub type KeyringFuture =
    Pin<Box<dyn Future<Output = Result<KeyringReport, KeyringRefusal>> + Send>>;

impl fmt::Debug for KeyringCall {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => f.write_str("List"),
            Self::Add { .. } => f.write_str("Add"),
            Self::Use { id } => write!(f, "Use({id})"),
            Self::Remove { id } => write!(f, "Remove({id})"),
        }
    }
}

impl From<KeyringRefusal> for Failure {
    fn from(refusal: KeyringRefusal) -> Self {
        match refusal {
            KeyringRefusal::Misuse(text) => Self::bad(text),
            KeyringRefusal::Conflict(text) => Self::new(StatusCode::CONFLICT, text),
        }
    }
}

/// `GET /v1/tidings/keyring`
pub(crate) async fn list(call: Call) -> Answer {
    answer(call, KeyringCall::List).await
}

/// `PUT /v1/tidings/keyring/add`, with `{"Key": "..."}`
pub(crate) async fn add(call: Call) -> Answer {
    // The parser's own words could repeat what it read.
    let malformed = || Failure::bad("the body is not {\"Key\": \"...\"} with a key as text");
    let mut object = call.object("Keyring").map_err(|_| malformed())?;
    let text = object.string(&["Key"]).map_err(|_| malformed())?;
    object.finish().map_err(|_| malformed())?;
    answer(call, KeyringCall::Add { text }).await
}

/// `PUT /v1/tidings/keyring/use/:id`
pub(crate) async fn use_key(call: Call) -> Answer {
    let id = call.rest.clone();
    answer(call, KeyringCall::Use { id }).await
}

/// `PUT /v1/tidings/keyring/remove/:id`
pub(crate) async fn remove(call: Call) -> Answer {
    let id = call.rest.clone();
    answer(call, KeyringCall::Remove { id }).await
}

/// With `?local` only this agent is asked; else all that are reachable.
async fn answer(call: Call, wanted: KeyringCall) -> Answer {
    call.check_scope()?;
    let everywhere = !call.params.has("local");
    let report = call.state.hooks().keyring(wanted, everywhere).await?;
    Ok(reply::json(&call, &report))
}
