//! Service and check definitions as clients write them, checked and turned into records.
//!
//! | Module | Reads |
//! |---|---|
//! | `service` | the bodies of `agent/service/register` and `agent/check/register` |
//! | `instance` | the fields of an instance, which the catalog's body shares |
//! | `file` | the blocks of a definition file |
//! | `check` | the fields of a check that an agent runs |
//! | `kinds` | those that tell what the check does |

mod check;
mod file;
mod instance;
mod kinds;
mod service;

pub(crate) use check::{DEREGISTER, blank_check, cut_output};
pub use file::{DefinitionError, Definitions};
pub(crate) use instance::{WrittenService, check_address, check_meta};
pub(crate) use kinds::WrittenKind;
pub use service::ServiceDefinition;
pub(crate) use service::{check, refuse_unsupported, service};
