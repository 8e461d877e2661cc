//! The language as clients write it, and its laws.

use proptest::prelude::*;

use crate::{
    Entries, Expression, Field, Filter, FilterError, Operator, Record, Selector, Shape, Value,
    limits,
};

/// An instance with checks, as far as the tests need one.
struct Instance {
    name: &'static str,
    port: i64,
    native: bool,
    tags: &'static [&'static str],
    meta: Meta,
    checks: Vec<Check>,
}

struct Meta(&'static [(&'static str, &'static str)]);

struct Check {
    status: &'static str,
}

const CHECK: &[Field] = &[("Status", Shape::Text)];
const INSTANCE: Shape = Shape::Record(&[
    ("Name", Shape::Text),
    ("Port", Shape::Int),
    ("Native", Shape::Bool),
    ("Tags", Shape::Texts),
    ("Meta", Shape::Map(&Shape::Text)),
    ("Checks", Shape::Records(CHECK)),
]);

impl Record for Instance {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        Some(match field {
            "Name" => Value::Text(self.name),
            "Port" => Value::Int(self.port),
            "Native" => Value::Bool(self.native),
            "Tags" => Value::Texts(Box::new(self.tags.iter().copied())),
            "Meta" => Value::Map(Box::new(&self.meta)),
            "Checks" => {
                let checks = self.checks.iter();
                Value::Records(Box::new(checks.map(|check| check as &dyn Record)))
            }
            _ => return None,
        })
    }
}

impl Record for Check {
    fn value(&self, field: &str) -> Option<Value<'_>> {
        (field == "Status").then_some(Value::Text(self.status))
    }
}

impl Entries for &Meta {
    fn entry(&self, key: &str) -> Option<Value<'_>> {
        let found = self.0.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| Value::Text(value))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn web() -> Instance {
    Instance {
        name: "web.eu",
        port: 8080,
        native: false,
        tags: &["v1", "canary"],
        meta: Meta(&[("env", "qa"), ("a-b", "dash"), ("empty", "")]),
        checks: vec![Check { status: "passing" }, Check { status: "warning" }],
    }
}

#[track_caller]
fn all(verdict: bool, filters: &[&str]) {
    for text in filters {
        let filter = Filter::new(text, INSTANCE).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(filter.takes(&web()), verdict, "{text}");
    }
}

#[test]
fn not_binds_stronger_than_and_and_and_stronger_than_or() {
    all(
        true,
        &[
            "Port == 8080 or Port == 1 and Port == 2",
            "(Port == 8080 or Port == 1) and Native == false",
            "not Port == 1 and not Port == 2",
            "not (Port == 1 or Port == 2)",
            "not not Port == 8080",
            "  (\t Port == 8080\r\n)  ",
            "((Port==8080))",
        ],
    );
    all(
        false,
        &[
            "(Port == 8080 or Port == 1) and Port == 2",
            "not Port == 8080 or Port == 1",
        ],
    );
}

#[test]
fn every_operator_does_what_its_words_say() {
    all(
        true,
        &[
            "Name == web.eu",
            "Name!=web",
            "eb in Name",
            "\"x\" not in Name",
            "Name contains `web`",
            "Name not contains nothing",
            "Name matches `^w.b`",
            "Name matches `eu`",
            "Name not matches \"^eu\"",
            "v1 in Tags",
            "Tags contains canary",
            "Tags is not empty",
            "v not in Tags",
            "env in Meta",
            "Meta contains `a-b`",
            "Meta is not empty",
            "Meta.env == qa",
            "Meta[\"a-b\"] == dash",
            "Meta[ `a-b` ] == \"dash\"",
            "Meta.empty == ``",
            "Native == false",
            "Native == F",
            "Port == \"0x1f90\"",
            "Port != -8080",
            "Checks is not empty",
            // Of several one is enough, also for one that differs.
            "Checks.Status == passing",
            "Checks.Status != passing",
        ],
    );
    all(
        false,
        &[
            "Tags is empty",
            "Meta is empty",
            "qa in Meta",
            "Native == 1",
            "Checks.Status == critical",
            "Checks is empty",
        ],
    );
}

#[test]
fn what_a_map_lacks_is_unequal_empty_and_matches_anything() {
    all(
        true,
        &[
            "Meta.none != x",
            "x not in Meta.none",
            "Meta.none matches x",
            "Meta.none not matches x",
            "none not in Meta",
        ],
    );
    all(
        false,
        &["Meta.none == ``", "x in Meta.none", "none in Meta"],
    );
}

#[test]
fn a_field_without_records_has_none_for_which_anything_holds() {
    let bare = Instance {
        checks: Vec::new(),
        ..web()
    };
    let takes = |text| Filter::new(text, INSTANCE).unwrap().takes(&bare);
    assert!(takes("Checks is empty"));
    assert!(!takes("Checks.Status != passing"));
    assert!(takes("not Checks.Status == passing"));
}

#[test]
fn what_does_not_fit_is_named() {
    for (text, says) in [
        ("Bogus == 1", "Selector \"Bogus\" is not valid"),
        ("name == 1", "Selector \"name\" is not valid"),
        ("Name.x == 1", "Selector \"Name.x\" is not valid"),
        (
            "x in Checks.Bogus",
            "Selector \"Checks.Bogus\" is not valid",
        ),
        (
            "Port matches `8`",
            "Invalid match operator \"Matches\" for selector \"Port\"",
        ),
        (
            "Name is empty",
            "Invalid match operator \"Is Empty\" for selector \"Name\"",
        ),
        (
            "Tags == v1",
            "Invalid match operator \"Equal\" for selector \"Tags\"",
        ),
        (
            "Port == http",
            "Failed to coerce value \"http\" for selector \"Port\": it is not a whole number",
        ),
        (
            "Native == yes",
            "Failed to coerce value \"yes\" for selector \"Native\": it is not a bool",
        ),
    ] {
        let error = Filter::new(text, INSTANCE).unwrap_err();
        assert_eq!(error.to_string(), says, "{text}");
    }
    let error = Filter::new("Name matches `(`", INSTANCE).unwrap_err();
    assert!(matches!(error, FilterError::WrongPattern { .. }), "{error}");
}

#[test]
fn what_is_no_expression_is_refused_where_it_breaks_off() {
    for (text, at) in [
        ("", 0),
        ("Name", 4),
        ("Name ==", 7),
        ("Name == foo-bar", 11),
        ("Name == 08", 8),
        ("Name == 1x", 9),
        ("Name == 1.", 10),
        ("Name = x", 4),
        ("Name == x or", 10),
        ("Name == x AND Name == y", 10),
        ("(Name == x", 10),
        ("Name == x)", 9),
        ("not(Name == x)", 0),
        ("\"Name\" == x", 6),
        ("Name == \"x", 10),
        ("Meta[env] == x", 5),
        ("Meta. == x", 5),
        ("1 in", 1),
        ("Name is full", 4),
        ("é == x", 0),
    ] {
        match Expression::parse(text) {
            Err(FilterError::Syntax { at: found, .. }) => assert_eq!(found, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_filter_is_bounded() {
    let long = format!("Name == \"{}\"", "x".repeat(limits::TEXT_BYTES));
    let error = Expression::parse(&long).unwrap_err();
    assert!(matches!(error, FilterError::TooLong { .. }));
    for deep in ["(", "not ", "not ("] {
        let error = Expression::parse(&deep.repeat(1_000)).unwrap_err();
        assert!(matches!(error, FilterError::TooDeep { .. }), "{error}");
    }
    let many = vec!["Port==1"; limits::MATCHES + 1].join(" or ");
    let error = Expression::parse(&many).unwrap_err();
    assert!(matches!(error, FilterError::TooManyMatches { .. }));
    let patterns = vec!["Name matches x"; limits::PATTERNS + 1].join(" or ");
    let error = Filter::new(&patterns, INSTANCE).unwrap_err();
    assert_eq!(error, FilterError::TooManyPatterns);
    let costly = r"Name matches `(\pL{100}){100}`";
    let error = Filter::new(costly, INSTANCE).unwrap_err();
    assert!(matches!(error, FilterError::WrongPattern { .. }));
}

fn selectors() -> impl Strategy<Value = Selector> {
    let name = "[A-Za-z][A-Za-z0-9_]{0,8}";
    let part = prop_oneof![name, "\\PC{0,8}", ".{0,4}"];
    let rest = prop::collection::vec(part, 0..3);
    (name, rest).prop_filter_map("not a selector", |(first, rest)| Selector::new(first, rest))
}

fn expressions() -> impl Strategy<Value = Expression> {
    let operator = prop::sample::select(vec![
        Operator::Equal,
        Operator::NotEqual,
        Operator::In,
        Operator::NotIn,
        Operator::Empty,
        Operator::NotEmpty,
        Operator::Matches,
        Operator::NotMatches,
    ]);
    let value = prop_oneof!["[a-z]{0,6}", "(?s).{0,12}"];
    let leaf = (selectors(), operator, value).prop_map(|(selector, operator, value)| {
        let value = if operator.takes_value() {
            value
        } else {
            String::new()
        };
        Expression::Match {
            selector,
            operator,
            value,
        }
    });
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Expression::Any),
            several.prop_map(Expression::All),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(expression in expressions()) {
        let text = expression.to_string();
        prop_assert_eq!(Expression::parse(&text), Ok(expression), "{}", text);
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,60}") {
        let _ = Filter::new(&text, INSTANCE);
    }

    #[test]
    fn no_text_of_the_language_panics(words in prop::collection::vec(prop::sample::select(WORDS), 0..16)) {
        let text = words.concat();
        if let Ok(filter) = Filter::new(&text, INSTANCE) {
            filter.takes(&web());
            let expression = Expression::parse(&text).unwrap();
            prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
        }
    }
}

const WORDS: &[&str] = &[
    " ",
    " ",
    "and",
    "or",
    "not",
    "(",
    ")",
    "==",
    "!=",
    " in ",
    " is ",
    "empty",
    "contains",
    "matches",
    "Name",
    "Port",
    "Tags",
    "Meta",
    ".",
    "[",
    "]",
    "\"a\"",
    "`b`",
    "\\",
    "7",
    "-",
    "x",
    "Name == x",
    "Port == 7",
];
