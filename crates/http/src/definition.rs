//! Service and check definitions as clients write them, checked and turned into records.
//!
//! | Module | Reads |
//! |---|---|
//! | `service` | the bodies of `agent/service/register` and `agent/check/register` |
//! | `instance` | the fields of an instance, which the catalog's body shares |
//! | `check` | the fields of a check that an agent runs |
//! | `kinds` | those of the kinds beside HTTP, TCP and TTL |

mod check;
mod instance;
mod kinds;
mod service;

pub(crate) use check::{DEREGISTER, blank_check, cut_output, http_fields};
pub(crate) use instance::{WrittenService, check_address, check_meta};
pub(crate) use service::{UNSUPPORTED, check, service};
