//! Definition files in HCL.
//!
//! Consul reads HCL 1, where a value is plain: a text, a number, a list, an object. The library reads
//! HCL 2, which has templates and expressions besides. They would say something else than was meant
//! (`"${PORT}"` in a script is the shell's), and nested in each other they are read in a time that
//! doubles with every level: fuzzing found 4 KB that took seconds. So a template is the text that it is
//! written as, and an expression is refused before the library sees it. So are two more that no
//! definition needs: the library compares each name with all names beside it (95,000 attributes took
//! 38 s), and goes one call deeper for each label of a block, until the stack is full.

use std::{collections::BTreeSet, iter::Peekable, str::CharIndices};

use serde_json::Value;

/// What the library reads in place of the `${` that begins a template: U+FDD0 is no character of any
/// text, and a heredoc comes back from the library with other dollars than it was given if they are
/// escaped.
const DOLLAR: &str = "$\u{fdd0}{";
/// The same for `%{`.
const PERCENT: &str = "%\u{fdd0}{";
/// Different names beside each other in one block or object.
const NAMES_MAX: usize = 1_000;
/// A block's name and its labels.
const LABELS_MAX: usize = 8;
/// Characters of a word that an error repeats.
const NAMED_CHARS: usize = 64;

/// What `text` says, or the line, from 1, and the reason why it says nothing.
pub(super) fn parse(text: &str) -> Result<Value, (usize, String)> {
    Scan::of(text).plain().map_err(|(at, found)| {
        let line = 1 + text[..at].matches('\n').count();
        (line, found.reason(&text[at..]))
    })?;
    let plain = text.replace("${", DOLLAR).replace("%{", PERCENT);
    match ::hcl::from_str(&plain) {
        Ok(value) => Ok(with_templates(value)),
        // Its text would show the line, however long that is, and panics behind column 65,535.
        Err(::hcl::Error::Parse(error)) => {
            Err((error.location().line(), error.message().to_owned()))
        }
        Err(error) => Err((1, error.to_string())),
    }
}

/// What the library shall not see.
enum Found {
    Expression,
    Names,
    Labels,
}

impl Found {
    /// Why a text cannot be read of which `rest` begins with what was found.
    fn reason(&self, rest: &str) -> String {
        let word: String = rest.chars().take_while(|sign| is_word(*sign)).collect();
        let found: String = match rest.chars().next() {
            Some(sign) if !is_name_start(sign) => sign.into(),
            _ => word.chars().take(NAMED_CHARS).collect(),
        };
        match self {
            Self::Expression => format!(
                "{found:?} stands where a name or a plain value is meant; definitions have no \
                 expressions: write a text in double quotes, a number, true, false, a list or an object"
            ),
            Self::Names => format!(
                "more than {NAMES_MAX} different names stand beside each other; put them into \
                 several files"
            ),
            Self::Labels => {
                format!(
                    "more than {LABELS_MAX} names stand in a row; one is enough for a definition"
                )
            }
        }
    }
}

/// The value with the beginnings of templates that it was read without.
fn with_templates(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(with_template(&text)),
        Value::Array(values) => values.into_iter().map(with_templates).collect(),
        Value::Object(values) => values
            .into_iter()
            .map(|(name, value)| (with_template(&name), with_templates(value)))
            .collect(),
        other => other,
    }
}

fn with_template(text: &str) -> String {
    text.replace(DOLLAR, "${").replace(PERCENT, "%{")
}

/// A look over a text, sign by sign.
struct Scan<'a> {
    text: &'a str,
    signs: Peekable<CharIndices<'a>>,
    /// The names of each block and object that is open.
    names: Vec<BTreeSet<&'a str>>,
    /// Where the names that stand in a row begin, and how many they are.
    row: Option<(usize, usize)>,
}

impl<'a> Scan<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            signs: text.char_indices().peekable(),
            names: vec![BTreeSet::new()],
            row: None,
        }
    }

    /// Whether there is nothing but names, plain values and what holds them together. What is wrong in
    /// another way is left to the library.
    ///
    /// # Errors
    /// What there is else, and where.
    fn plain(mut self) -> Result<(), (usize, Found)> {
        let mut before = '\n';
        while let Some((at, sign)) = self.signs.next() {
            match sign {
                '"' => self.skip_text(),
                '#' => self.skip_line(),
                '/' if self.take('/') => self.skip_line(),
                '/' if self.take('*') => self.skip_past(at + 2, "*/"),
                '<' if self.take('<') => self.skip_heredoc(),
                '0'..='9' => self.skip_number(),
                '-' if "=:,[{".contains(before) && self.next_is(|c| c.is_ascii_digit()) => {}
                '=' | ':' if self.row.is_some() => {}
                _ if is_name_start(sign) => self.word(at)?,
                _ if sign.is_whitespace() || "{}[],".contains(sign) => {}
                _ => return Err((at, Found::Expression)),
            }
            self.name(at, sign)?;
            if !sign.is_whitespace() {
                before = sign;
            }
        }
        Ok(())
    }

    /// Counts what stands in a row, and what of it names something.
    fn name(&mut self, at: usize, sign: char) -> Result<(), (usize, Found)> {
        match sign {
            '=' | ':' | '{' => {
                if let (Some((start, _)), Some(names)) = (self.row.take(), self.names.last_mut()) {
                    names.insert(self.text[start..at].trim_end());
                    if names.len() > NAMES_MAX {
                        return Err((start, Found::Names));
                    }
                }
            }
            '"' | '0'..='9' => self.in_row(at)?,
            _ if is_name_start(sign) => self.in_row(at)?,
            ' ' | '\t' | '-' => {}
            _ => self.row = None,
        }
        match sign {
            '{' => self.names.push(BTreeSet::new()),
            '}' if self.names.len() > 1 => _ = self.names.pop(),
            _ => {}
        }
        Ok(())
    }

    fn in_row(&mut self, at: usize) -> Result<(), (usize, Found)> {
        let (_, count) = self.row.get_or_insert((at, 0));
        *count += 1;
        if *count > LABELS_MAX {
            return Err((at, Found::Labels));
        }
        Ok(())
    }

    /// A word is a name, after which something comes on its line, or one of the three that are values.
    fn word(&mut self, at: usize) -> Result<(), (usize, Found)> {
        let rest = &self.text[at..];
        let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        self.skip_until(at + word.len());
        let after = after.trim_start_matches([' ', '\t']);
        let is_name = after.starts_with(|c| "=:{\"".contains(c) || is_name_start(c));
        if is_name || matches!(word, "true" | "false" | "null") {
            return Ok(());
        }
        Err((at, Found::Expression))
    }

    fn next_is(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        self.signs.peek().is_some_and(|(_, sign)| wanted(*sign))
    }

    fn take(&mut self, wanted: char) -> bool {
        self.signs.next_if(|(_, sign)| *sign == wanted).is_some()
    }

    fn skip_until(&mut self, until: usize) {
        while self.signs.next_if(|(at, _)| *at < until).is_some() {}
    }

    /// Goes on behind the first `end` from `at`; without one there is nothing more to see.
    fn skip_past(&mut self, at: usize, end: &str) {
        let found = self.text[at..].find(end);
        self.skip_until(found.map_or(self.text.len(), |found| at + found + end.len()));
    }

    fn skip_line(&mut self) {
        while self.signs.next_if(|(_, sign)| *sign != '\n').is_some() {}
    }

    /// Goes on behind the text whose opening quote was taken.
    fn skip_text(&mut self) {
        while let Some((_, sign)) = self.signs.next() {
            match sign {
                '"' => return,
                '\\' => _ = self.signs.next(),
                _ => {}
            }
        }
    }

    /// Digits, a fraction and an exponent, which may have a sign of its own.
    fn skip_number(&mut self) {
        let is_part = |(_, sign): &(usize, char)| sign.is_ascii_alphanumeric() || *sign == '.';
        while let Some((_, sign)) = self.signs.next_if(is_part) {
            if matches!(sign, 'e' | 'E') && self.next_is(|sign| "+-".contains(sign)) {
                self.signs.next();
            }
        }
    }

    /// Goes on behind the heredoc's end, its name at the begin of a line; `<<` was taken.
    fn skip_heredoc(&mut self) {
        self.take('-');
        let mut at = self.signs.peek().map_or(self.text.len(), |(at, _)| *at);
        let mut lines = self.text[at..].split_inclusive('\n');
        let first = lines.next().unwrap_or_default();
        let name = first.trim_end_matches(['\r', '\n']);
        at += first.len();
        for line in lines {
            let indented = line.trim_start_matches([' ', '\t']);
            match indented.strip_prefix(name) {
                Some(rest) if !rest.starts_with(is_word) => {
                    return self.skip_until(at + line.len() - rest.len());
                }
                _ => at += line.len(),
            }
        }
        self.skip_until(at);
    }
}

/// Whether a name may begin with it.
fn is_name_start(sign: char) -> bool {
    sign.is_alphabetic() || sign == '_'
}

/// Whether a name may have it.
fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match parse(text) {
            Ok(value) => value.to_string(),
            Err((line, reason)) => format!("{line}: {reason}"),
        }
    }

    #[test]
    fn plain_values_are_read() {
        let text = "# one - 1\n// 2 * 2\n/* 3 / 3 */\na \"b\" c-d {\n  e = [-1, 1e+5, \"x + (y)\",]\n  f = { \
                    g = true, \"h\" : null\n  }\n}\n";
        assert_eq!(
            said(text),
            r#"{"a":{"b":{"c-d":{"e":[-1,100000,"x + (y)"],"f":{"g":true,"h":null}}}}}"#
        );
    }

    #[test]
    fn a_template_is_the_text_that_it_is_written_as() {
        assert_eq!(
            said(r#"a = "${X:-1} %{y} $${z}""#),
            r#"{"a":"${X:-1} %{y} $${z}"}"#
        );
        let heredoc = "a = [<<-END\n  echo \"${X:-1} $((1 + 1))\n  $${Y} %{\n  END\n, 1]\n";
        assert_eq!(
            said(heredoc),
            r#"{"a":["echo \"${X:-1} $((1 + 1))\n$${Y} %{\n",1]}"#
        );
    }

    #[test]
    fn an_expression_is_refused_with_its_line() {
        let expressions = [
            ("1 + 1", "+"),
            ("1 - 1", "-"),
            ("1 == 1", "="),
            ("(1)", "("),
            ("true ? 1 : 2", "?"),
            ("x.y", "x"),
            ("x", "x"),
            ("f(1)", "f"),
            ("[for x in [1] : x]", "in"),
            ("!true", "!"),
            ("-x", "-"),
        ];
        for (expression, sign) in expressions {
            let said = said(&format!(
                "a = <<EOF\n1 + 1\nEOF\nb = \"1 + 1\"\nc = {expression}\n"
            ));
            assert!(said.starts_with(&format!("5: \"{sign}\" stands")), "{said}");
        }
    }

    #[test]
    fn nothing_is_read_in_a_time_that_doubles() {
        let nested = "1 + 1 + (".repeat(60) + "\"";
        let templates = "\"x\" + 1 + \"${".repeat(30);
        for text in [nested, templates] {
            parse(&format!("a = {text}\n")).unwrap_err();
        }
        let names: String = (0..80_000).map(|name| format!("a{name} = 1\n")).collect();
        let blocks = names.replace("= 1", "{\n}");
        let keys = format!("a = {{\n{names}}}\n");
        let numbers = keys.replace("\na", "\n");
        for text in [names, blocks, keys, numbers] {
            assert!(said(&text).contains("more than 1000 different names"));
        }
        parse(&format!("a = <<E\n{}", "${\"x\" + 1 + \"".repeat(30))).unwrap_err();
    }

    #[test]
    fn many_services_are_read_and_many_labels_are_not() {
        let services = "service {\n  name = \"a\"\n}\n".repeat(10_000);
        let value = parse(&services).unwrap();
        assert_eq!(value["service"].as_array().map(Vec::len), Some(10_000));
        let labels = format!("service {}{{\n}}\n", "\"x\" ".repeat(200_000));
        assert!(said(&labels).starts_with("1: more than 8 names"));
    }
}
