//! Filter expressions.

use tidings_filter::{Entries, Expression, Field, Filter, Record, Shape, Value};

/// A text, as a filter of one record that has a field of each shape.
///
/// # Panics
/// If an expression is another one after it was printed, or evaluation panics.
pub fn filter(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(expression) = Expression::parse(text) {
        let printed = expression.to_string();
        // Quotes may make it longer than the limit.
        if printed.len() <= tidings_filter::limits::TEXT_BYTES {
            assert_eq!(Expression::parse(&printed), Ok(expression), "{printed}");
        }
    }
    if let Ok(filter) = Filter::new(text, Shape::Record(FIELDS)) {
        filter.takes(&Specimen);
    }
}

const FIELDS: &[Field] = &[
    ("Name", Shape::Text),
    ("Port", Shape::Int),
    ("Native", Shape::Bool),
    ("Tags", Shape::Texts),
    ("Meta", Shape::Map(&Shape::Text)),
    ("Checks", Shape::Records(&[("Name", Shape::Text)])),
];

struct Specimen;

impl Record for Specimen {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Name" => Value::Text("web"),
            "Port" => Value::Int(8_080),
            "Native" => Value::Bool(true),
            "Tags" => Value::Texts(Box::new(["v1", "v2"].into_iter())),
            "Meta" => Value::Map(Box::new(Self)),
            "Checks" => Value::Records(Box::new(std::iter::once(self as &dyn Record))),
            _ => return None,
        })
    }
}

impl Entries for Specimen {
    fn entry(&self, key: &str) -> Option<Value<'_>> {
        (key == "env").then_some(Value::Text("qa"))
    }

    fn is_empty(&self) -> bool {
        false
    }
}
