//! DNS answers from the view: Consul's names, over UDP and TCP.
//!
//! A query goes through three steps, each a pure function of the query, the [`View`](tidings_view::View)
//! and the [`DnsSettings`]: `message` reads the packet and refuses what is not for us, `asked`
//! says what a name means, and `zone` looks it up. `fit` then makes the answer as large as the way
//! back allows. [`Dns::answer`] does all of it without a socket; [`Dns::serve`] puts sockets around
//! it.
//!
//! Where Consul and the DNS standards differ, the standards win if a client of Consul cannot be
//! hurt by it: TC is set when records were left out for size over UDP, as many records as fit are
//! sent (Consul: three) even without EDNS, names between us and a service answer "no data" instead
//! of "no such name" so that resolvers that walk down the labels get there, and a packet with two
//! questions is malformed.
//!
//! | Module | Holds |
//! |---|---|
//! | `settings` | [`DnsSettings`], [`Domain`] |
//! | `dns` | [`Dns`]: one query from bytes to bytes |
//! | `message` | packets: what is refused, and how an answer is written |
//! | `asked` | the grammar of names |
//! | `zone` | what is answered: services in `service`, nodes and the rest in `node` |
//! | `reply` | records on their way into an answer |
//! | `fit` | answers cut to size |
//! | `names`, `shuffle` | names of nodes and addresses; a fair order |
//! | `udp`, `tcp` | the sockets |
//! | `figures` | [`Figures`], for metrics |

mod asked;
mod dns;
mod figures;
mod fit;
mod message;
mod names;
mod reply;
mod settings;
mod shuffle;
mod tcp;
mod udp;
mod zone;

pub use dns::{Dns, Transport};
pub use figures::Figures;
pub use settings::{DnsSettings, Domain, DomainError, SoaTimes};
pub use tcp::{TCP_CONNECTIONS, TCP_QUERY_BYTES};

#[cfg(test)]
mod tests;
