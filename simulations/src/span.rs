//! Lengths of time as a scenario writes them: `"500us"`, `"2ms"`, `"1.5s"`, `"3m"`, `"26h"`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The word for a length of time without an end.
const EVER: &str = "ever";

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// Longer than any run: what lasts as long has no end.
    pub const EVER: Self = Self(Duration::MAX);

    /// That many milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// As the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// A length of time, forwards or backwards: `"1h"`, `"-30s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shift {
    back: bool,
    by: Span,
}

impl Shift {
    /// That many milliseconds, backwards if negative.
    pub const fn from_millis(ms: i64) -> Self {
        Self {
            back: ms < 0,
            by: Span::from_millis(ms.unsigned_abs()),
        }
    }

    /// Milliseconds, negative when backwards.
    pub fn millis(self) -> i64 {
        let ms = i64::try_from(self.by.0.as_millis()).unwrap_or(i64::MAX);
        if self.back { -ms } else { ms }
    }
}

/// The text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanError(String);

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = if self.0.contains("..") {
            "is a range; a scenario names one value, and `explore` makes up many scenarios"
        } else {
            "is no length of time; write a number and one of us, ms, s, m, h"
        };
        write!(f, "{:?} {reason}", self.0)
    }
}

impl std::error::Error for SpanError {}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError(text.to_owned());
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit_at);
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(number * seconds)
            .map(Self)
            .map_err(|_| wrong())
    }
}

/// Reads how long something lasts: a length of time, or `"ever"`.
///
/// # Errors
/// It is neither.
pub fn or_ever<'de, D: Deserializer<'de>>(length: D) -> Result<Option<Span>, D::Error> {
    Option::<String>::deserialize(length)?
        .map(|text| match text.as_str() {
            EVER => Ok(Span::EVER),
            length => length.parse().map_err(D::Error::custom),
        })
        .transpose()
}

impl fmt::Display for Span {
    /// The shortest text that is read as the same length of time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u128 = 1_000_000_000;
        if *self == Self::EVER {
            return f.write_str(EVER);
        }
        let nanos = self.0.as_nanos();
        let (unit, name) = match nanos {
            0 => (SECOND, "s"),
            n if n % (3_600 * SECOND) == 0 => (3_600 * SECOND, "h"),
            n if n % (60 * SECOND) == 0 => (60 * SECOND, "m"),
            n if n >= SECOND => (SECOND, "s"),
            n if n >= SECOND / 1_000 => (SECOND / 1_000, "ms"),
            _ => (SECOND / 1_000_000, "us"),
        };
        write!(f, "{}", nanos / unit)?;
        let mut rest = nanos % unit;
        if rest > 0 {
            let mut digits = unit.ilog10() as usize;
            while rest.is_multiple_of(10) {
                (rest, digits) = (rest / 10, digits - 1);
            }
            write!(f, ".{rest:0digits$}")?;
        }
        f.write_str(name)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Shift> for String {
    fn from(Shift { back, by }: Shift) -> Self {
        format!("{}{by}", if back { "-" } else { "" })
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl TryFrom<String> for Shift {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        let (back, span) = text
            .strip_prefix('-')
            .map_or((false, text.as_str()), |span| (true, span));
        let by = span.parse()?;
        Ok(Self { back, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_units() {
        let micros = |text: &str| text.parse::<Span>().map(|s| s.get().as_micros());
        assert_eq!(micros("500us"), Ok(500));
        assert_eq!(micros("1.5s"), Ok(1_500_000));
        assert_eq!(micros("26h"), Ok(26 * 3_600 * 1_000_000));
        for bad in ["", "5", "s", "5 s", "5d", "-1s", "1e400s"] {
            assert!(micros(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            Shift::try_from("-1h".to_owned()).map(Shift::millis),
            Ok(-3_600_000)
        );
    }

    #[test]
    fn a_length_of_time_is_written_as_it_is_read() {
        for text in [
            "0s",
            "500us",
            "1.5ms",
            "20ms",
            "23.224s",
            "59.000001s",
            "3m",
            "26h",
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
        }
        let shift = Shift::try_from("-90m".to_owned()).unwrap();
        assert_eq!(String::from(shift), "-90m");
        assert_eq!(Shift::from_millis(-90_000).millis(), -90_000);
    }
}
