//! A check as written, and what of it can be run.

use tidings_types::{Check, CheckKind, CheckStatus, Text, limits::CHECK_OUTPUT_BYTES};

use super::kinds::WrittenKind;
use crate::{
    failure::Failure,
    json_in::{DecodeError, Object},
};

/// A check definition as written; nothing but its JSON types has been looked at.
#[derive(Debug)]
pub(crate) struct WrittenCheck {
    pub(crate) id: String,
    pub(crate) name: String,
    notes: String,
    pub(crate) status: String,
    pub(crate) service_id: String,
    kind: WrittenKind,
    interval_ms: u64,
    timeout_ms: u64,
    success_before_passing: i64,
    failures_before_warning: i64,
    failures_before_critical: i64,
    observe_ms: u64,
    deregister_after_ms: u64,
    output_bytes_max: i64,
}

impl WrittenCheck {
    pub(crate) fn decode(mut object: Object) -> Result<Self, DecodeError> {
        let number = |object: &mut Object, name| object.int(&[name]).map(Option::unwrap_or_default);
        let written = Self {
            id: object.string(&["CheckID", "ID"])?,
            name: object.string(&["Name"])?,
            notes: object.string(&["Notes"])?,
            status: object.string(&["Status"])?,
            service_id: object.string(&["ServiceID", "service_id"])?,
            kind: WrittenKind::decode(&mut object)?,
            interval_ms: object.duration_ms(&["Interval"])?,
            timeout_ms: object.duration_ms(&["Timeout"])?,
            success_before_passing: number(&mut object, "SuccessBeforePassing")?,
            failures_before_warning: number(&mut object, "FailuresBeforeWarning")?,
            failures_before_critical: number(&mut object, "FailuresBeforeCritical")?,
            observe_ms: object.duration_ms(&["ObserveBeforePassing"])?,
            deregister_after_ms: deregister_after_ms(&mut object)?,
            output_bytes_max: number(&mut object, "OutputMaxSize")?,
        };
        object.ignore(&["Namespace", "Partition"]);
        for field in ["ProxyHTTP", "ProxyGRPC"] {
            object.unsupported(field, "tidings has no service mesh")?;
        }
        object.finish()?;
        Ok(written)
    }

    pub(crate) fn into_check(self, status: CheckStatus) -> Result<Check, Failure> {
        self.validate()?;
        let without_ttl = || invalid_check("TTL must be > 0 for TTL checks");
        let kind = self.kind.kind()?.ok_or_else(without_ttl)?;
        let is_run = !matches!(kind, CheckKind::Ttl { .. } | CheckKind::Alias(_));
        let timeout_ms = match kind.runs_program() {
            true => PROGRAM_TIMEOUT_MS,
            false => TIMEOUT_MS,
        };
        let count = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
        let output_bytes_max = match usize::try_from(self.output_bytes_max) {
            Ok(1..=CHECK_OUTPUT_BYTES) => count(self.output_bytes_max),
            _ => OUTPUT_BYTES,
        };
        Ok(Check {
            name: self.name.into(),
            notes: self.notes.into(),
            service: None,
            kind,
            interval_ms: match is_run {
                true => self.interval_ms.max(INTERVAL_MS_MIN),
                false => 0,
            },
            timeout_ms: match self.timeout_ms {
                _ if !is_run => 0,
                0 => timeout_ms,
                stated => stated,
            },
            success_before_passing: count(self.success_before_passing),
            failures_before_warning: count(self.failures_before_warning),
            failures_before_critical: count(self.failures_before_critical),
            observe_ms: u32::try_from(self.observe_ms).unwrap_or(OBSERVE_MS_MAX),
            deregister_after_ms: self.deregister_after_ms,
            output_bytes_max,
            status,
            output: Text::new(),
        })
    }

    /// The rules that hold between the fields, in Consul's words.
    fn validate(&self) -> Result<(), Failure> {
        let (is_alias, ttl_ms) = (self.kind.is_alias(), self.kind.ttl_ms());
        let needs_interval = self.kind.needs_interval();
        let broken = if self.interval_ms > 0 && ttl_ms > 0 {
            "Interval and TTL cannot both be specified"
        } else if needs_interval && self.interval_ms == 0 {
            "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
        } else if is_alias && self.interval_ms > 0 {
            "Interval cannot be set for Alias checks"
        } else if is_alias && ttl_ms > 0 {
            "TTL must be not be set for Alias checks"
        } else if !needs_interval && !is_alias && ttl_ms == 0 {
            "TTL must be > 0 for TTL checks"
        } else if is_alias && self.observe_ms > 0 {
            "ObserveBeforePassing cannot be set for Alias checks; set it where they point to"
        } else if self.observe_ms > OBSERVE_MS_MAX.into() {
            "ObserveBeforePassing can be 1h at most"
        } else if (1..=self.observe_ms).contains(&self.deregister_after_ms) {
            "ObserveBeforePassing must be shorter than DeregisterCriticalServiceAfter"
        } else if self.output_bytes_max < 0 {
            "MaxOutputMaxSize must be positive"
        } else if self.failures_before_warning > self.failures_before_critical {
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
        } else {
            return Ok(());
        };
        Err(invalid_check(broken))
    }
}

/// Cuts `output` at a character's end to `bytes_max`, or if that is 0 to the general limit.
pub(crate) fn cut_output(mut output: String, bytes_max: u32) -> String {
    let limit = match bytes_max {
        0 => OUTPUT_BYTES,
        bytes_max => bytes_max.min(OUTPUT_BYTES),
    };
    let limit = usize::try_from(limit).unwrap_or(CHECK_OUTPUT_BYTES);
    if output.len() > limit {
        let ends = (0..=limit).rev();
        let end = ends.into_iter().find(|&at| output.is_char_boundary(at));
        output.truncate(end.unwrap_or_default());
    }
    output
}

pub(crate) fn invalid_check(why: impl std::fmt::Display) -> Failure {
    Failure::bad(format_args!("Invalid check: {why}"))
}

/// A check that says nothing, to build others from.
pub(crate) fn blank_check() -> Check {
    let label = String::new();
    Check {
        output_bytes_max: OUTPUT_BYTES,
        ..Check::new(
            String::new(),
            CheckKind::Manual {
                label: label.into(),
            },
        )
    }
}

/// After how long a critical check takes its instance away; 0 never. What is shorter than a minute is
/// raised to it, as Consul does: a check is critical until its first run, which an interval may put off.
fn deregister_after_ms(object: &mut Object) -> Result<u64, DecodeError> {
    let written = object.duration_ms(DEREGISTER)?;
    Ok(match written {
        0 => 0,
        written => written.max(DEREGISTER_AFTER_MS_MIN),
    })
}

/// The spellings of the span after which a critical check takes its instance away.
pub(crate) const DEREGISTER: &[&str] = &[
    "DeregisterCriticalServiceAfter",
    "deregister_critical_service_after",
];

/// How long a check may be observed before it passes.
const OBSERVE_MS_MAX: u32 = 3_600_000;
/// A shorter span after which an instance is taken away is raised to this.
const DEREGISTER_AFTER_MS_MIN: u64 = 60_000;
/// A shorter interval is raised to this.
const INTERVAL_MS_MIN: u64 = 1_000;
/// How long one run of a check may take unless it says.
const TIMEOUT_MS: u64 = 10_000;
/// The same for one that runs a program.
const PROGRAM_TIMEOUT_MS: u64 = 30_000;
/// [`CHECK_OUTPUT_BYTES`], as a check's record holds it.
const OUTPUT_BYTES: u32 = 4_096;
const _: () = assert!(OUTPUT_BYTES as usize == CHECK_OUTPUT_BYTES);
