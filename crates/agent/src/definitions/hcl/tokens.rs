//! The words, values and signs of a text in HCL.

use serde_json::Number;

/// Characters of a name that an error repeats.
const NAMED_CHARS: usize = 64;

/// What a text is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name, or `true`, `false`, `null`.
    Word(&'a str),
    /// A text in quotes or in lines of its own, as it is meant.
    Text(String),
    Number(Number),
    /// One of `= : , { } [ ]`.
    Sign(char),
    End,
}

/// What is wrong with a text.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Where: the byte at which it begins.
    pub(super) at: usize,
    /// What, for an operator.
    pub(super) reason: String,
}

impl Wrong {
    pub(super) fn new(at: usize, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { at, reason }
    }
}

/// Reads a text token by token; comments and blanks, ends of lines among them, stand for nothing.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, and the byte at which it begins.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'a>), Wrong> {
        self.skip_blank()?;
        let at = self.at;
        let Some(sign) = self.rest().chars().next() else {
            return Ok((at, Token::End));
        };
        let token = match sign {
            '"' => Token::Text(self.quoted()?),
            '<' if self.rest().starts_with("<<") => Token::Text(self.heredoc()?),
            '-' | '0'..='9' => Token::Number(self.number()?),
            '=' | ':' | ',' | '{' | '}' | '[' | ']' => {
                self.at += 1;
                Token::Sign(sign)
            }
            _ if sign.is_alphabetic() || sign == '_' => Token::Word(self.take_while(is_word)),
            _ => return Err(no_expression(at, sign.encode_utf8(&mut [0; 4]))),
        };
        Ok((at, token))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|sign| !wanted(sign)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_blank(&mut self) -> Result<(), Wrong> {
        loop {
            self.take_while(char::is_whitespace);
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                self.take_while(|sign| sign != '\n');
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment.find("*/").ok_or_else(|| {
                    Wrong::new(self.at, "the comment that begins here is not ended: add */")
                })?;
                self.at += 2 + end + 2;
            } else {
                return Ok(());
            }
        }
    }

    /// The text whose opening quote comes next. What stands in `${…}` is kept as it is written, quotes and
    /// backslashes too: the shell's, say.
    fn quoted(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        let open = || {
            Wrong::new(
                start,
                "the text that begins here is not ended on its line: add \", or write it as <<END, \
                 with END on the line behind it",
            )
        };
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|sign| !matches!(sign, '"' | '\\' | '\n' | '$')));
            match self.rest().chars().next() {
                Some('$') if self.rest().starts_with("${") => text.push_str(self.template()?),
                Some('$') => {
                    self.at += 1;
                    text.push('$');
                }
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                _ => return Err(open()),
            }
        }
    }

    /// `${`, which comes next, to the `}` that ends it.
    fn template(&mut self) -> Result<&'a str, Wrong> {
        let rest = self.rest();
        let mut open = 0_usize;
        for (at, sign) in rest.char_indices() {
            match sign {
                '{' => open += 1,
                '}' if open == 1 => {
                    self.at += at + 1;
                    return Ok(&rest[..=at]);
                }
                '}' => open -= 1,
                _ => {}
            }
        }
        Err(Wrong::new(
            self.at,
            "the ${ that stands here is not ended: add }",
        ))
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        let at = self.at;
        let sign = self.rest().chars().nth(1);
        let digits = match sign {
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        let code = || {
            let code = self.text.get(at + 2..at + 2 + digits)?;
            let is_hex = code.bytes().all(|digit| digit.is_ascii_hexdigit());
            let code = u32::from_str_radix(code, 16).ok().filter(|_| is_hex)?;
            char::from_u32(code)
        };
        let meant = match sign {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some(same @ ('"' | '\\')) => Some(same),
            Some('u' | 'U') => code(),
            _ => None,
        };
        let meant = meant.ok_or_else(|| {
            let reason = "after a backslash stands what is not read here: write \\n, \\r, \\t, \\\", \
                          \\\\, \\uXXXX or \\UXXXXXXXX";
            Wrong::new(at, reason)
        })?;
        self.at += 2 + digits;
        Ok(meant)
    }

    /// A number as JSON has it. What is none, an address without quotes, say, is taken whole.
    fn number(&mut self) -> Result<Number, Wrong> {
        let at = self.at;
        let number = self.take_while(|sign| is_word(sign) || sign == '+');
        let read = serde_json::from_str(number);
        read.map_err(|_| no_expression(at, number))
    }

    /// The lines between `<<NAME` and `NAME` on a line of its own. Those of `<<-NAME` lose the blanks that
    /// stand in front of that, if all of them begin so.
    fn heredoc(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        self.at += 2;
        let is_indented = self.rest().starts_with('-');
        self.at += usize::from(is_indented);
        let name = self.take_while(is_word);
        let behind = self.take_while(|sign| sign != '\n').trim();
        if name.is_empty() || !behind.is_empty() || self.rest().is_empty() {
            let reason = "after << stands a name and nothing more on its line";
            return Err(Wrong::new(start, reason));
        }
        self.at += 1;
        let mut lines: Vec<&str> = Vec::new();
        for line in self.rest().split_inclusive('\n') {
            if line.trim() == name {
                self.at += line.len();
                let blanks = &line[..line.len() - line.trim_start().len()];
                let strips = is_indented && lines.iter().all(|line| line.starts_with(blanks));
                let blanks = if strips { blanks.len() } else { 0 };
                return Ok(lines.iter().map(|line| &line[blanks..]).collect());
            }
            self.at += line.len();
            lines.push(line);
        }
        let name = shown(name);
        let reason =
            format!("the text that begins here is not ended: add {name} on a line of its own");
        Err(Wrong::new(start, reason))
    }
}

/// What stands at `at`, where a name or a value is meant.
pub(super) fn no_expression(at: usize, found: &str) -> Wrong {
    let found = shown(found);
    Wrong::new(
        at,
        format!(
            "{found} is no plain value: a text stands in double quotes, and there are numbers, true, \
             false, null, lists and objects, but no expressions"
        ),
    )
}

/// A name in quotes, in few characters.
pub(super) fn shown(name: &str) -> String {
    let name: String = name.chars().take(NAMED_CHARS).collect();
    format!("{name:?}")
}

/// Whether a name may have it.
fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.')
}
