//! foca alone, set up as this crate sets it up, with nothing around it: what the simulator's speed is
//! measured against. No agent is built on it: it has none of the guards.

use std::error::Error;

use foca::{Foca, NoCustomBroadcast};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::{Config, MemberId, codec::Codec, pace::Pace};

/// foca with this crate's identities, randomness and encoding, for a cluster of `members`.
pub fn foca(
    config: &Config,
    me: MemberId,
    seed: u64,
    members: usize,
) -> Foca<
    MemberId,
    impl foca::Codec<MemberId, Error: Error + Send + Sync + 'static>,
    ChaCha8Rng,
    NoCustomBroadcast,
> {
    let settings = Pace::of(config, members, members).foca(config);
    let rng = ChaCha8Rng::seed_from_u64(seed);
    Foca::new(me, settings, rng, Codec::new(me.node))
}
