//! What this process costs its host.
//!
//! Read from Linux's `/proc`; on other systems the figures are left out.

use std::{fs, time::Duration};

use super::Metrics;

/// Adds what the system tells of this process.
pub(super) fn add(metrics: &mut Metrics) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = resident_bytes(&status) {
        metrics.gauge(
            "tidings_process_resident_bytes",
            "Memory of this process that is in RAM.",
            bytes,
        );
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(span) = processor_time(&stat) {
        metrics.counter(
            "tidings_process_cpu_seconds_total",
            "Processor time that this process has used, in its own code and in the system's.",
            span,
        );
    }
}

/// `VmRSS` of `/proc/PID/status`, which is in kibibytes.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// `utime` and `stime` of `/proc/PID/stat`. The name before them stands in brackets and may hold
/// anything.
fn processor_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(STATE_TO_UTIME);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.checked_add(ticks()?)?;
    Some(Duration::from_millis(ticks.checked_mul(TICK_MS)?))
}

/// Fields between the name and `utime`: the state and ten numbers.
const STATE_TO_UTIME: usize = 11;
/// A tick of these fields: Linux shows them as if it had 100 a second, whatever it has.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_words_are_read() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t3\n";
        assert_eq!(resident_bytes(status), Some(1_234 * 1_024));
        let stat = "7 (a) (b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(processor_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(resident_bytes(""), None);
        assert_eq!(processor_time("7 (a) S"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found() {
        let mut metrics = Metrics::default();
        add(&mut metrics);
        let text = metrics.to_string();
        for name in [
            "tidings_process_resident_bytes ",
            "tidings_process_cpu_seconds_total ",
        ] {
            let told = text.lines().any(|line| line.starts_with(name));
            assert!(told, "{name} in {text}");
        }
    }
}
