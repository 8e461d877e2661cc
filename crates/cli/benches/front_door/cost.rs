//! What another process takes of the machine.

use std::{fs, time::Duration};

/// The time on a core that all threads of a process have had so far. Threads that have ended do not
/// count any more, so that what is measured should begin none.
///
/// Linux tells it to the nanosecond.
pub(crate) fn core_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs, on Linux");
    let nanos = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// The memory of a process that is in use.
pub(crate) fn memory_mib(pid: u32) -> f64 {
    status(pid, "VmRSS:") / 1024.0
}

/// How many threads a process has now.
pub(crate) fn threads(pid: u32) -> f64 {
    status(pid, "Threads:")
}

fn status(pid: u32, name: &str) -> f64 {
    let text =
        fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs, on Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_ascii_whitespace().next());
    value
        .and_then(|value| value.parse().ok())
        .expect("Linux tells it")
}

/// How many programs want to run, on average over the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace()
        .next()
        .unwrap_or("?")
        .to_owned()
}
