use proptest::prelude::*;
use serde_json::json;

use super::*;

fn said(text: &str) -> String {
    match parse(text) {
        Ok(value) => value.to_string(),
        Err((line, reason)) => format!("{line}: {reason}"),
    }
}

fn error(text: &str) -> String {
    parse(text).map_err(|_| said(text)).unwrap_err()
}

#[test]
fn a_definition_is_read_as_people_write_it() {
    let text = r#"
# The shop, and its database.
service {
  name = "web"        // by this name
  tags = ["a", "b",]
  port = 8080, weights = { passing = 10 warning = 1 }
  meta { version = "1.2.3" "a key" : "with blanks", dotted.key = "x" }
  tagged_addresses = { lan = { address = "10.0.0.1", port = 80 } }
  enable_tag_override = true
  check { id = "tcp" /* soon */ tcp = "127.0.0.1:8080" interval = "10s" }
  check
  {
    id = "script"
    args = ["/bin/sh", "-c", <<-END
      test -e "${DIR:-/tmp}/up" || exit 2  # $${x} %{y}
        echo "\n"
      END
    ]
  }
}
service { name = "db" port = -0.5e+1 }
"#;
    let script = "test -e \"${DIR:-/tmp}/up\" || exit 2  # $${x} %{y}\n  echo \"\\n\"\n";
    let web = json!({
        "name": "web", "tags": ["a", "b"], "port": 8080, "weights": {"passing": 10, "warning": 1},
        "meta": {"version": "1.2.3", "a key": "with blanks", "dotted.key": "x"},
        "tagged_addresses": {"lan": {"address": "10.0.0.1", "port": 80}},
        "enable_tag_override": true,
        "check": [
            {"id": "tcp", "tcp": "127.0.0.1:8080", "interval": "10s"},
            {"id": "script", "args": ["/bin/sh", "-c", script]},
        ],
    });
    let db = json!({"name": "db", "port": -5.0});
    assert_eq!(parse(text).unwrap(), json!({"service": [web, db]}));
    let text = text.replace('\n', "\r\n");
    let script = script.replace('\n', "\r\n");
    let service = &parse(&text).unwrap()["service"][0];
    assert_eq!(service["check"][1]["args"][2], script.as_str());
}

#[test]
fn texts_say_what_is_meant() {
    for (text, meant) in [
        (r#""a \"b\" \\ \t \u00e9 \U0001F600""#, "a \"b\" \\ \t é 😀"),
        (r#""${X} %{y} $${z} # // /*""#, "${X} %{y} $${z} # // /*"),
        ("<<E\nE\n", ""),
        ("<<E\nb = \"\n EE\nE", "b = \"\n EE\n"),
        ("<<-E\n\ta\n\t\tb\n\tE\n", "a\n\tb\n"),
        ("<<-E\n    a\n  E\n", "  a\n"),
        ("<<-E\n  a\n\n b\n  E\n", "  a\n\n b\n"),
        (
            r#""${X:-"a \n b"} ${{}{}} $ $x \\""#,
            r#"${X:-"a \n b"} ${{}{}} $ $x \"#,
        ),
        ("/* a */ \"\" // b", ""),
    ] {
        assert_eq!(parse(&format!("a = {text}")).unwrap(), json!({"a": meant}));
    }
}

#[test]
fn labels_stand_for_objects_and_blocks_of_one_name_for_a_list() {
    assert_eq!(said(r#"a "b" c { d = 1 }"#), r#"{"a":{"b":{"c":{"d":1}}}}"#);
    assert_eq!(
        said("a { b = 1 }\na = { b = 2 }\na { b = 3 }"),
        r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#
    );
    assert_eq!(said("a = [{}]\na {}"), r#"{"a":[{},{}]}"#);
    assert_eq!(
        error("a = 1\na = 2"),
        "2: \"a\" is said twice, and only blocks may be"
    );
    assert_eq!(
        error("a = [1]\na {}"),
        "2: \"a\" is said twice, and only blocks may be"
    );
}

#[test]
fn what_is_no_plain_value_is_refused_on_its_line() {
    for (text, found) in [
        ("x", "x"),
        ("10.0.0.1", "10.0.0.1"),
        ("1.2.3", "1.2.3"),
        ("[1.0.0]", "1.0.0"),
        ("0777", "0777"),
        ("5m", "5m"),
        ("1+1", "1+1"),
        ("1 + 1", "+"),
        ("1 - 1", "-"),
        ("(1)", "("),
        ("true ? 1 : 2", "?"),
        ("f(1)", "("),
        ("x[0]", "x"),
        ("[for x in [1] : x]", "for"),
        ("!true", "!"),
        ("1 < 2", "<"),
        ("1e999", "1e999"),
        ("é", "é"),
    ] {
        let error = error(&format!("a = <<E\n1 + 1\nE\nb = \"1 + 1\"\nc = {text}\n"));
        let begin = format!("5: {found:?} is no plain value: ");
        assert!(error.starts_with(&begin), "{text}: {error}");
    }
}

#[test]
fn what_is_not_whole_is_told_where_it_begins() {
    for (text, told) in [
        ("a = \n}\n", "1: a value is missing"),
        ("a = == 1\n", "1: a value is missing"),
        ("a = [1,\n,2]", "1: a value is missing"),
        (
            "\na {\n b = {\n }\n",
            "2: what begins here is not ended: its }",
        ),
        ("a = [\n1\n2]", "3: a comma or ] is missing"),
        (
            "a = \"b\n\"",
            "1: the text that begins here is not ended on its line",
        ),
        (
            "a = \"b",
            "1: the text that begins here is not ended on its line",
        ),
        (
            "a = <<E\nb\n",
            "1: the text that begins here is not ended: add \"E\"",
        ),
        ("a = <<E b\nE\n", "1: after << stands a name"),
        ("a = <<\nb\n", "1: after << stands a name"),
        ("\n/*/ a", "2: the comment that begins here is not ended"),
        ("a = \"\n", "1: the text"),
        ("a = \"x ${ y\"\n", "1: the ${ that stands here"),
        ("{\"a\": ]", "1: expected value"),
        ("a = \"\\x41\"", "1: after a backslash"),
        ("a = \"\\ud800\"", "1: after a backslash"),
        ("a = \"\\u+123\"", "1: after a backslash"),
        (
            "name\nport = 1",
            "1: \"name\" has no value: write \"name\" = …",
        ),
        ("a = 1\n[b]\n", "2: \"[\" stands where a name is meant"),
        ("a { 1 = 2 }", "1: \"1\" stands where a name is meant"),
        ("a = \"b\"[0]", "1: \"[\" stands where a name is meant"),
        ("}", "1: \"}\" stands where a name is meant"),
    ] {
        let error = error(text);
        assert!(error.starts_with(told), "{text:?}: {error}");
    }
}

#[test]
fn what_is_large_is_read_or_refused_in_a_time_that_grows_with_it() {
    let many = |line: &str| line.repeat(1_000_000 / line.len());
    for text in [
        many("service {\n  name = \"a\"\n}\n"),
        format!("a = [{}]", many("{a=[1],b={}},")),
        many("# a\n/* b */"),
        (0..80_000).map(|name| format!("a{name} = 1\n")).collect(),
        (0..80_000)
            .map(|name| format!("a{name} \"b\" {{}}\n"))
            .collect(),
        format!("a = <<-E\n{}E", many("  $${x} %{\n")),
        format!("a = [{}]", many("<<E\nE\n,")),
    ] {
        parse(&text).unwrap();
    }
    for (text, told) in [
        (format!("a = {}", many("[")), "nested deeper"),
        (format!("a = {}", many("{a=")), "nested deeper"),
        (many("a {"), "nested deeper"),
        (format!("{}{{}}", many("a \"b\"/**/ ")), "nested deeper"),
        (format!("a = {}", many("<<E\n")), "not ended"),
        (format!("a = {}", many("/* ")), "not ended"),
        (format!("a = \"{}", many("\\\"")), "not ended"),
        (format!("a = {}", many("1.e+1.e+[")), "no plain value"),
        (format!("a = {}", many("é")), "no plain value"),
        (many("é"), "has no value"),
        (many("-"), "no plain value"),
    ] {
        let (_, reason) = parse(&text).unwrap_err();
        assert!(
            reason.contains(told) && reason.chars().count() < 300,
            "{reason}"
        );
    }
}

/// Values as JSON has them, without what HCL writes in another way.
fn value() -> impl Strategy<Value = Value> {
    let text = || "[ -#%-~é]{0,8}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

proptest! {
    /// JSON is HCL, behind a name.
    #[test]
    fn what_json_says_is_said_in_hcl(value in value(), pretty: bool) {
        let json = if pretty { format!("{value:#}") } else { value.to_string() };
        let read = serde_json::from_str::<Value>(&json).unwrap();
        prop_assert_eq!(parse(&format!("a = {json}")).unwrap(), json!({"a": read}));
    }

    /// Whatever it is, a text is read or has an error on one of its lines.
    #[test]
    fn no_text_is_too_strange(text in "([a-z0-9 \n\"\\\\={}\\[\\],:#/*<-]|<<E\n|\nE\n|[^a])*") {
        if let Err((line, reason)) = parse(&text) {
            prop_assert!((1..=1 + text.matches('\n').count()).contains(&line), "{}", reason);
        }
    }
}
