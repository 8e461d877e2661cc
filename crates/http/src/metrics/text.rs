//! The text exposition format of Prometheus, version 0.0.4.

use std::fmt;

use super::{Family, Kind, Metrics, Sample, Value};

/// Writes the text exposition format.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.families.iter().try_for_each(|family| family.fmt(f))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        writeln!(f, "# HELP {} {}", self.name, escaped(self.help))?;
        writeln!(f, "# TYPE {} {kind}", self.name)?;
        for sample in &self.samples {
            writeln!(f, "{}{} {}", self.name, Labels(sample), sample.value)?;
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Span(span) => span.as_secs_f64().fmt(f),
        }
    }
}

struct Labels<'a>(&'a Sample);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in &self.0.labels {
            let value = escaped(value).replace('"', "\\\"");
            write!(f, "{before}{name}=\"{value}\"")?;
            before = ',';
        }
        f.write_str(if before == ',' { "}" } else { "" })
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_name_is_explained_once_above_its_values() {
        let mut metrics = Metrics::default();
        metrics.counter("tidings_a_total", "Things.", 3_u64);
        metrics.gauges(
            "tidings_b",
            "Others \\ of\nthem.",
            "kind",
            [("x", 1_usize), ("y", 0)],
        );
        metrics.gauge("tidings_c_seconds", "A time.", Duration::from_millis(1_500));
        metrics.gauge("tidings_d", "A state.", true);
        assert_eq!(
            metrics.to_string(),
            "# HELP tidings_a_total Things.\n\
             # TYPE tidings_a_total counter\n\
             tidings_a_total 3\n\
             # HELP tidings_b Others \\\\ of\\nthem.\n\
             # TYPE tidings_b gauge\n\
             tidings_b{kind=\"x\"} 1\n\
             tidings_b{kind=\"y\"} 0\n\
             # HELP tidings_c_seconds A time.\n\
             # TYPE tidings_c_seconds gauge\n\
             tidings_c_seconds 1.5\n\
             # HELP tidings_d A state.\n\
             # TYPE tidings_d gauge\n\
             tidings_d 1\n"
        );
    }

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        let mut metrics = Metrics::default();
        let labels = vec![("a", "x\"} 1\n\\".to_owned()), ("b", String::new())];
        let value = Value::Whole(1);
        metrics.add(
            "tidings_a",
            "A.",
            Kind::Gauge,
            vec![Sample { labels, value }],
        );
        let text = metrics.to_string();
        let last = text.lines().last().unwrap();
        assert_eq!(last, r#"tidings_a{a="x\"} 1\n\\",b=""} 1"#);
    }

    #[test]
    #[should_panic(expected = "is there already")]
    fn a_name_is_not_used_twice() {
        let mut metrics = Metrics::default();
        metrics.gauge("tidings_a", "A.", true);
        metrics.gauge("tidings_a", "A.", true);
    }
}
