//! JSON as Go's decoder reads it: keys in any case, `null` as nothing, unknown keys refused by
//! name, and bytes after the first value ignored.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{duration, failure::Failure};

/// The body does not say what it should; the message is Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("EOF")]
    Empty,
    #[error("unexpected EOF")]
    Truncated,
    #[error("{0}")]
    Syntax(String),
    #[error("json: unknown field {0:?}")]
    UnknownField(String),
    #[error("json: cannot unmarshal {found} into Go struct field {place} of type {wanted}")]
    Type {
        found: &'static str,
        place: String,
        wanted: &'static str,
    },
    #[error("{0}")]
    Duration(#[from] duration::DurationError),
    #[error("Invalid request body: {field:?} is not supported: {why}")]
    Unsupported {
        field: &'static str,
        why: &'static str,
    },
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::bad(format_args!("Request decode failed: {error}"))
    }
}

/// One JSON object whose fields are taken out one by one.
#[derive(Debug)]
pub(crate) struct Object {
    place: &'static str,
    fields: Vec<(String, Value)>,
}

impl Object {
    /// The object that `body` starts with; `null` is an empty one.
    pub(crate) fn parse(body: &[u8], place: &'static str) -> Result<Self, DecodeError> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
        match values.next() {
            None => Err(DecodeError::Empty),
            Some(Ok(value)) => Self::of(value, place),
            Some(Err(error)) if error.is_eof() => Err(DecodeError::Truncated),
            Some(Err(error)) => Err(DecodeError::Syntax(error.to_string())),
        }
    }

    pub(crate) fn of(value: Value, place: &'static str) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(Self {
                place,
                fields: Vec::new(),
            }),
            Value::Object(fields) => Ok(Self {
                place,
                fields: fields.into_iter().collect(),
            }),
            other => Err(DecodeError::Type {
                found: kind(&other),
                place: place.to_owned(),
                wanted: "struct",
            }),
        }
    }

    /// Takes the field that is called by one of `names`, in whatever case; `null` is `None`.
    fn take(&mut self, names: &[&str]) -> Option<Value> {
        let mut found = None;
        // Of several spellings one that says something counts before one that says nothing, as clients
        // send that have a field for each; of several such the last in the order of their letters.
        self.fields.retain_mut(|(key, value)| {
            let is_it = names.iter().any(|name| key.eq_ignore_ascii_case(name));
            if is_it && (found.as_ref().is_none_or(Value::is_null) || !is_zero(value)) {
                found = Some(value.take());
            }
            !is_it
        });
        found.filter(|value| !value.is_null())
    }

    fn mismatch(&self, name: &str, value: &Value, wanted: &'static str) -> DecodeError {
        DecodeError::Type {
            found: kind(value),
            place: format!("{}.{name}", self.place),
            wanted,
        }
    }

    /// A text; empty if it is not there.
    pub(crate) fn string(&mut self, names: &[&str]) -> Result<String, DecodeError> {
        match self.take(names) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.mismatch(names[0], &other, "string")),
        }
    }

    /// A truth value, if it is there.
    pub(crate) fn bool(&mut self, names: &[&str]) -> Result<Option<bool>, DecodeError> {
        match self.take(names) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.mismatch(names[0], &other, "bool")),
        }
    }

    /// A whole number, if it is there.
    pub(crate) fn int(&mut self, names: &[&str]) -> Result<Option<i64>, DecodeError> {
        match self.take(names) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.mismatch(names[0], &value, "int")),
            },
        }
    }

    /// Milliseconds of a Go duration: a text, or a number of nanoseconds. What is above zero is at
    /// least one; what is below is zero.
    pub(crate) fn duration_ms(&mut self, names: &[&str]) -> Result<u64, DecodeError> {
        let nanos = match self.take(names) {
            None => 0,
            Some(Value::String(text)) if text.is_empty() => 0,
            Some(Value::String(text)) => duration::parse(&text)?,
            Some(value) => match value.as_i64().or_else(|| whole_nanos(&value)) {
                Some(nanos) => nanos,
                None => return Err(self.mismatch(names[0], &value, "time.Duration")),
            },
        };
        Ok(u64::try_from(nanos).unwrap_or(0).div_ceil(1_000_000))
    }

    /// A list of texts.
    pub(crate) fn strings(&mut self, names: &[&str]) -> Result<Vec<String>, DecodeError> {
        let Some(value) = self.take(names) else {
            return Ok(Vec::new());
        };
        let Value::Array(items) = value else {
            return Err(self.mismatch(names[0], &value, "[]string"));
        };
        items
            .into_iter()
            .map(|item| self.text_of(names[0], item))
            .collect()
    }

    /// A map of texts.
    pub(crate) fn string_map(
        &mut self,
        names: &[&str],
    ) -> Result<BTreeMap<String, String>, DecodeError> {
        let entries = self.map(names, "map[string]string")?;
        entries
            .into_iter()
            .map(|(key, value)| Ok((key, self.text_of(names[0], value)?)))
            .collect()
    }

    /// A map of lists of texts, as HTTP headers are.
    pub(crate) fn string_lists(
        &mut self,
        names: &[&str],
    ) -> Result<BTreeMap<String, Vec<String>>, DecodeError> {
        let entries = self.map(names, "map[string][]string")?;
        let mut lists = BTreeMap::new();
        for (key, value) in entries {
            let items = match value {
                Value::Null => Vec::new(),
                Value::Array(items) => items,
                other => return Err(self.mismatch(names[0], &other, "[]string")),
            };
            let texts: Result<Vec<_>, _> = items
                .into_iter()
                .map(|item| self.text_of(names[0], item))
                .collect();
            lists.insert(key, texts?);
        }
        Ok(lists)
    }

    /// A map of objects.
    pub(crate) fn object_map(
        &mut self,
        names: &[&str],
        place: &'static str,
    ) -> Result<Vec<(String, Self)>, DecodeError> {
        let entries = self.map(names, "map[string]struct")?;
        entries
            .into_iter()
            .map(|(key, value)| Ok((key, Self::of(value, place)?)))
            .collect()
    }

    /// An object, if it is there.
    pub(crate) fn object(
        &mut self,
        names: &[&str],
        place: &'static str,
    ) -> Result<Option<Self>, DecodeError> {
        self.take(names)
            .map(|value| Self::of(value, place))
            .transpose()
    }

    /// A list of objects; those that are `null` are left out.
    pub(crate) fn objects(
        &mut self,
        names: &[&str],
        place: &'static str,
    ) -> Result<Vec<Self>, DecodeError> {
        let Some(value) = self.take(names) else {
            return Ok(Vec::new());
        };
        let Value::Array(items) = value else {
            return Err(self.mismatch(names[0], &value, "[]struct"));
        };
        items
            .into_iter()
            .filter(|item| !item.is_null())
            .map(|item| Self::of(item, place))
            .collect()
    }

    /// Takes fields that clients send and that mean nothing here.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.take(&[name]);
        }
    }

    /// Refuses a field that asks for something that tidings does not do; one that says nothing
    /// (`null`, empty, false, zero, `default`) is let pass.
    pub(crate) fn unsupported(
        &mut self,
        field: &'static str,
        why: &'static str,
    ) -> Result<(), DecodeError> {
        match self.take(&[field]) {
            Some(value) if !says_nothing(&value) => Err(DecodeError::Unsupported { field, why }),
            _ => Ok(()),
        }
    }

    /// Whether `field` is an object with a field called by one of `names`, which is not `null`.
    pub(crate) fn holds(&self, field: &str, names: &[&str]) -> bool {
        let inner = self
            .fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(field));
        let mut inner = inner.filter_map(|(_, value)| value.as_object()).flatten();
        inner.any(|(key, value)| {
            !value.is_null() && names.iter().any(|name| key.eq_ignore_ascii_case(name))
        })
    }

    /// Whether every field that is left holds what it would hold had it not been sent.
    pub(crate) fn is_zero(&self) -> bool {
        self.fields.iter().all(|(_, value)| is_zero(value))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.fields.into_iter().next() {
            Some((key, _)) => Err(DecodeError::UnknownField(key)),
            None => Ok(()),
        }
    }

    fn map(
        &mut self,
        names: &[&str],
        wanted: &'static str,
    ) -> Result<serde_json::Map<String, Value>, DecodeError> {
        match self.take(names) {
            None => Ok(serde_json::Map::new()),
            Some(Value::Object(entries)) => Ok(entries),
            Some(other) => Err(self.mismatch(names[0], &other, wanted)),
        }
    }

    fn text_of(&self, name: &str, value: Value) -> Result<String, DecodeError> {
        match value {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text),
            other => Err(self.mismatch(name, &other, "string")),
        }
    }
}

/// Nanoseconds that were written with a point or an exponent, as some encoders write `1e10`; what is below
/// zero is zero.
fn whole_nanos(value: &Value) -> Option<i64> {
    let seconds = value.as_f64()? / 1e9;
    let span = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    i64::try_from(span.as_nanos()).ok()
}

/// Go's word for what stands in the JSON.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether the value is what its field would hold had it not been sent.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_zero),
    }
}

/// Whether the value asks for nothing: `default` is the only namespace and partition there is.
fn says_nothing(value: &Value) -> bool {
    is_zero(value) || value.as_str() == Some("default")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes(), "Thing").unwrap()
    }

    #[test]
    fn keys_match_in_any_case_and_null_is_nothing() {
        let mut thing = object(r#"{"nAME":"web","PORT":null,"tags":["a",null]} trailing"#);
        assert_eq!(thing.string(&["Name"]), Ok("web".to_owned()));
        assert_eq!(thing.int(&["Port"]), Ok(None));
        assert_eq!(
            thing.strings(&["Tags"]),
            Ok(vec!["a".to_owned(), String::new()])
        );
        assert_eq!(thing.finish(), Ok(()));
    }

    #[test]
    fn a_spelling_that_says_nothing_does_not_unsay_another() {
        let mut thing = object(
            r#"{"CheckID":"given","ID":"","ServiceID":"web","service_id":null,"on":false,"On":true,
            "Port":null,"port":0}"#,
        );
        let id = ["CheckID", "ID"];
        assert_eq!(thing.string(&id), Ok("given".to_owned()));
        let service = ["ServiceID", "service_id"];
        assert_eq!(thing.string(&service), Ok("web".to_owned()));
        assert_eq!(thing.bool(&["On"]), Ok(Some(true)));
        assert_eq!(thing.int(&["Port"]), Ok(Some(0)));
        assert_eq!(thing.finish(), Ok(()));
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_named() {
        let mut thing = object(r#"{"Foo":1,"Port":"80"}"#);
        let error = thing.int(&["Port"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "json: cannot unmarshal string into Go struct field Thing.Port of type int"
        );
        assert_eq!(
            thing.finish().unwrap_err().to_string(),
            "json: unknown field \"Foo\""
        );
    }

    #[test]
    fn durations_are_texts_or_nanoseconds() {
        let mut thing = object(
            r#"{"a":"10s","b":10000000000,"c":"","d":1,"e":-5,"f":"nope","g":1e10,"h":1.5e9,"i":-1e99,
            "j":1e99}"#,
        );
        let mut ms = |name| thing.duration_ms(&[name]);
        assert_eq!(ms("a"), Ok(10_000));
        assert_eq!(ms("b"), Ok(10_000));
        assert_eq!(ms("c"), Ok(0));
        assert_eq!(ms("d"), Ok(1));
        assert_eq!(ms("e"), Ok(0));
        assert_eq!((ms("g"), ms("h"), ms("i")), (Ok(10_000), Ok(1_500), Ok(0)));
        assert!(ms("j").is_err());
        assert_eq!(
            ms("f").unwrap_err().to_string(),
            "time: invalid duration \"nope\""
        );
    }

    #[test]
    fn bodies_that_are_no_object_are_refused_in_gos_words() {
        let said = |body: &str| Object::parse(body.as_bytes(), "T").unwrap_err().to_string();
        assert_eq!(said(""), "EOF");
        assert_eq!(said("  "), "EOF");
        assert_eq!(said("{\"a\":"), "unexpected EOF");
        assert!(said("[1]").starts_with("json: cannot unmarshal array"));
        // Depth is bounded, so a hostile body cannot exhaust the stack.
        assert!(said(&"[".repeat(100_000)).contains("recursion limit"));
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Object::parse(&body, "T");
        }
    }
}
