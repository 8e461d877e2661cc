//! Is the agent's own host fit: ports, disk, limits?

use super::{
    super::{Finding, Level, facts::Facts},
    finding, ok,
};
use crate::open_files::WANTED;

/// Less than this soon is nothing: the largest feed and its copy.
const FREE_PROBLEM: u64 = 64 << 20;
/// Less than this is worth a look.
const FREE_WARNING: u64 = 1 << 30;

/// Whether DNS is answered, over both transports.
pub(super) fn dns(facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "dns";
    let at = facts.setup.dns;
    let Some(results) = &facts.dns else {
        return vec![finding(
            ABOUT,
            Level::Unknown,
            format!("DNS is answered at {at}, on the agent's host alone"),
            "run `tidings doctor` there",
        )];
    };
    let results = ["UDP", "TCP"].into_iter().zip(results);
    results
        .map(|(transport, result)| match result {
            Ok(()) => ok(ABOUT, format!("DNS is answered at {at} over {transport}")),
            Err(reason) => finding(
                ABOUT,
                Level::Problem,
                format!("DNS is not answered at {at} over {transport}: {reason}"),
                "see that no firewall stops it, and that what asks may reach that address",
            ),
        })
        .collect()
}

/// Whether the system sends what it is given.
pub(super) fn sends(facts: &Facts) -> Finding {
    const ABOUT: &str = "sending";
    let [failed, sent] = [
        "tidings_transport_send_failed_total",
        "tidings_transport_datagrams_sent_total",
    ]
    .map(|name| facts.figure(name));
    if failed * 100.0 > failed + sent {
        return finding(
            ABOUT,
            Level::Warning,
            format!(
                "the system refused {failed} of {} datagrams since the agent's start",
                failed + sent
            ),
            "if it still grows, look for a firewall of this host, a missing route or a full buffer; the log names the error at debug",
        );
    }
    ok(
        ABOUT,
        format!("the system took {sent} datagrams and refused {failed}"),
    )
}

/// Whether the disk has room, and takes what it is given.
pub(super) fn disk(facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "disk";
    let Some(data) = &facts.setup.data else {
        return vec![ok(
            ABOUT,
            "everything is in memory, and ends with the agent",
        )];
    };
    let dir = &data.directory;
    let mib = |bytes: u64| bytes >> 20;
    let room = match data.free_bytes {
        None => finding(
            ABOUT,
            Level::Unknown,
            format!("the file system of {dir} does not say how much is free"),
            "look with df",
        ),
        Some(free) if free < FREE_WARNING => finding(
            ABOUT,
            if free < FREE_PROBLEM {
                Level::Problem
            } else {
                Level::Warning
            },
            format!("{} MiB are free in {dir}", mib(free)),
            "make room: a full disk refuses registrations, and reads go on",
        ),
        Some(free) => ok(ABOUT, format!("{} MiB are free in {dir}", mib(free))),
    };
    let failed = [
        "tidings_node_batches_failed_total",
        "tidings_disk_saves_failed_total",
    ];
    let failed: f64 = failed.into_iter().map(|name| facts.figure(name)).sum();
    let taken = if failed > 0.0 {
        finding(
            ABOUT,
            Level::Warning,
            format!("the disk has refused {failed} writes since the agent's start"),
            "look in the agent's log for the reason; what was refused was not acknowledged, or is tried again",
        )
    } else {
        ok(
            ABOUT,
            "the disk has taken every write since the agent's start",
        )
    };
    vec![room, taken]
}

/// Whether every client finds a place.
pub(super) fn open_files(facts: &Facts) -> Finding {
    const ABOUT: &str = "limits";
    match facts.setup.open_files {
        Some(limit) if limit < WANTED => finding(
            ABOUT,
            Level::Warning,
            format!("the agent may have {limit} files and connections open; it could use {WANTED}"),
            "raise the hard limit: LimitNOFILE in its systemd unit, or ulimit -Hn",
        ),
        Some(limit) => ok(ABOUT, format!("the agent may have {limit} files open")),
        None => ok(ABOUT, "the agent may have any number of files open"),
    }
}

/// Whether what the definition files say is registered.
pub(super) fn definitions(facts: &Facts) -> Finding {
    const ABOUT: &str = "definitions";
    match &facts.setup.definitions_refused {
        Some(reason) => finding(
            ABOUT,
            Level::Problem,
            reason,
            "mend the files: they are followed, and what they said before goes on until then",
        ),
        None => ok(ABOUT, "what the definition files say is registered"),
    }
}

/// What the agent's settings may surprise with.
pub(super) fn settings(facts: &Facts) -> Vec<Finding> {
    let warnings = facts.setup.warnings.iter();
    warnings
        .map(|warning| {
            // Each says after a semicolon what to do.
            let (found, remedy) = warning.split_once("; ").unwrap_or((warning, ""));
            finding("settings", Level::Warning, found, remedy)
        })
        .collect()
}
