//! Durations as Go writes and reads them.

use std::time::Duration;

/// The text is no duration; the message is Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit { unit: String, text: String },
}

/// Nanoseconds of a text such as `1m30s`, `250ms`, `-1.5h` or `0`.
pub(crate) fn parse(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: i64 = 0;
    while !rest.is_empty() {
        let (part, after) = one_part(text, rest)?;
        nanos = nanos.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    Ok(if negative { -nanos } else { nanos })
}

/// One number with its unit at the head of `rest`, and what follows it.
fn one_part<'a>(text: &str, rest: &'a str) -> Result<(i64, &'a str), DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let number_end = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(invalid());
    }
    let unit_end = rest.find(is_number).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let scale: i64 = match unit {
        "" => return Err(DurationError::MissingUnit(text.to_owned())),
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        _ => {
            return Err(DurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }
    };
    let whole: i64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| invalid())?,
    };
    let whole = whole.checked_mul(scale).ok_or_else(invalid)?;
    let nanos = whole.checked_add(part_of(scale, fraction));
    Ok((nanos.ok_or_else(invalid)?, rest))
}

/// `0.fraction` of `scale`, cut to whole nanoseconds.
fn part_of(scale: i64, fraction: &str) -> i64 {
    let mut unit = scale;
    let mut sum = 0;
    // Each digit is worth a tenth of the one before; below a nanosecond nothing counts.
    for digit in fraction.bytes() {
        let tenths = unit;
        unit /= 10;
        sum += tenths * i64::from(digit - b'0') / 10;
        if unit == 0 {
            break;
        }
    }
    sum
}

/// A number of milliseconds as Go prints it: `0s`, `250ms`, `1m30s`, `1h0m0.5s`.
pub(crate) fn format_ms(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (seconds, fraction) = (ms / 1_000, ms % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        text = format!("{hours}h");
    }
    if hours > 0 || minutes > 0 {
        text = format!("{text}{minutes}m");
    }
    let mut tail = (seconds % 60).to_string();
    if fraction > 0 {
        tail = format!("{tail}.{fraction:03}");
        tail.truncate(tail.trim_end_matches('0').len());
    }
    format!("{text}{tail}s")
}

/// Whole milliseconds, as tidings' own endpoints tell spans of time.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const SECOND: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_durations_are_read() {
        for (text, nanos) in [
            ("0", 0),
            ("10s", 10 * SECOND),
            ("250ms", SECOND / 4),
            ("1m30s", 90 * SECOND),
            ("15.000000s", 15 * SECOND),
            ("1.5h", 5_400 * SECOND),
            (".5s", SECOND / 2),
            ("-1s", -SECOND),
            ("3us", 3_000),
            ("0.0000000019s", 1),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_in_gos_words() {
        let said = |text| parse(text).unwrap_err().to_string();
        assert_eq!(said("nope"), "time: invalid duration \"nope\"");
        assert_eq!(said("10"), "time: missing unit in duration \"10\"");
        assert_eq!(said("1d"), "time: unknown unit \"d\" in duration \"1d\"");
        for text in [
            "",
            "-",
            ".s",
            "1..2s",
            "99999999999999999999s",
            "9999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn milliseconds_are_written_as_go_does() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (60_000, "1m0s"),
            (90_000, "1m30s"),
            (3_600_500, "1h0m0.5s"),
        ] {
            assert_eq!(format_ms(ms), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0u64..1 << 40) {
            let nanos = i64::try_from(ms).unwrap() * 1_000_000;
            proptest::prop_assert_eq!(parse(&format_ms(ms)), Ok(nanos));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
