//! How many files and connections this process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What an agent needs: a file for each HTTP connection that it permits and for each check that waits for
/// a silent target, and some for DNS, disk and other checks.
pub(crate) const WANTED: u64 = 16_384 + 2_048 + 1_024;

/// Takes as many as the system gives without being asked for more rights. Shells and service managers
/// begin with 1,024, which a thousand clients with a blocking query each use up.
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let below = |limit: Option<u64>| limit.is_some_and(|limit| limit < WANTED);
    if !below(limit.current) {
        return;
    }
    limit.current = limit.maximum;
    let outcome = setrlimit(Resource::Nofile, limit);
    if let Err(error) = outcome {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let limit = getrlimit(Resource::Nofile).current;
    if let (true, Some(limit)) = (below(limit), limit) {
        tracing::warn!(
            limit,
            wanted = WANTED,
            "few files may be open, so that some clients may find no place; raise the hard limit (ulimit -Hn, \
             or LimitNOFILE in a systemd unit)"
        );
    }
}
