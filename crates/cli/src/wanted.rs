//! `KEY=GLOB` of the command line, as a filter that an agent takes.

use std::str::FromStr;

/// Metadata that an instance must have: a key, and a value in which `*` stands for any characters and
/// `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    key: String,
    glob: String,
}

impl FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(char::is_control) {
            return Err("metadata has no control characters");
        }
        match text.split_once('=') {
            Some((key, glob)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                glob: glob.to_owned(),
            }),
            _ => {
                Err("give KEY=VALUE, where * in the value stands for any characters and ? for one")
            }
        }
    }
}

impl Wanted {
    /// The filter for `/v1/health/service/` that takes instances with all of these; `None` if nothing is
    /// wanted.
    pub(crate) fn filter(all: &[Self]) -> Option<String> {
        let each: Vec<_> = all.iter().map(Self::expression).collect();
        (!each.is_empty()).then(|| each.join(" and "))
    }

    /// A pattern alone would take instances that lack the key, as Consul's filters do.
    fn expression(&self) -> String {
        let key = quoted(&self.key);
        let pattern = quoted(&pattern(&self.glob));
        format!("{key} in Service.Meta and Service.Meta[{key}] matches {pattern}")
    }
}

/// A glob as a regular expression.
fn pattern(glob: &str) -> String {
    let mut pattern = "^".to_owned();
    for char in glob.chars() {
        match char {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            char => {
                // Those that a pattern gives a meaning; before others a backslash may have one itself.
                if r"\.+()|[]{}^$#&-~".contains(char) {
                    pattern.push('\\');
                }
                pattern.push(char);
            }
        }
    }
    pattern.push('$');
    pattern
}

/// A text as a filter quotes it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(pairs: &[&str]) -> Option<String> {
        let wanted = pairs.iter().map(|pair| pair.parse().unwrap());
        Wanted::filter(&wanted.collect::<Vec<Wanted>>())
    }

    #[test]
    fn a_glob_becomes_an_anchored_pattern_for_instances_that_have_the_key() {
        assert_eq!(filter(&[]), None);
        assert_eq!(
            filter(&["version=v2.*", "env=prod"]).unwrap(),
            r#""version" in Service.Meta and Service.Meta["version"] matches "^v2\\..*$" and "env" in Service.Meta and Service.Meta["env"] matches "^prod$""#
        );
        assert_eq!(pattern("a?b*"), "^a.b.*$");
        assert_eq!(
            pattern("<1.2>"),
            r"^<1\.2>$",
            "\\< would be a word's beginning"
        );
        assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in ["env", "=x", "a=\n"] {
            assert!(text.parse::<Wanted>().is_err(), "{text:?}");
        }
        assert!("a=".parse::<Wanted>().is_ok(), "an empty value is one");
    }
}
