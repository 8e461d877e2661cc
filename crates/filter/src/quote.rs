//! Texts in quotes, as Go reads and writes them.

use std::fmt::Write as _;

use crate::FilterError;

/// `text` in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a text does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads the quoted text that `text` begins with; returns what it says and its length.
/// `start` is where it stands, for errors.
pub(crate) fn unquote(text: &str, start: usize) -> Result<(String, usize), FilterError> {
    if let Some(raw) = text.strip_prefix('`') {
        let end = raw.find('`').ok_or(FilterError::Syntax {
            at: start + text.len(),
            expected: "\"`\"",
        })?;
        // Go takes carriage returns out of a raw text.
        return Ok((raw[..end].replace('\r', ""), end + 2));
    }
    let mut bytes = Vec::new();
    let mut at = 1;
    loop {
        let fail = |expected| FilterError::Syntax {
            at: start + at,
            expected,
        };
        let rest = text.get(at..).unwrap_or_default();
        let next = rest.chars().next();
        match next.ok_or_else(|| fail("\"\\\"\""))? {
            '"' => break,
            '\n' => return Err(fail("a text without line feeds")),
            '\\' => {
                let length = escape(rest, &mut bytes).ok_or_else(|| fail("an escape of Go's"))?;
                at += length;
            }
            c => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += c.len_utf8();
            }
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| FilterError::Syntax {
        at: start,
        expected: "a text in UTF-8",
    })?;
    Ok((text, at + 1))
}

/// Adds what the escape at the start of `text` stands for; returns the escape's length.
fn escape(text: &str, bytes: &mut Vec<u8>) -> Option<usize> {
    let kind = text[1..].chars().next()?;
    let plain = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(number(text, 2, 2, 16)?).ok()?,
        '0'..='7' => u8::try_from(number(text, 1, 3, 8)?).ok()?,
        'u' | 'U' => {
            let digits = if kind == 'u' { 4 } else { 8 };
            let c = char::from_u32(number(text, 2, digits, 16)?)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(2 + digits);
        }
        _ => return None,
    };
    bytes.push(plain);
    Some(match kind {
        'x' | '0'..='7' => 4,
        _ => 2,
    })
}

/// Exactly `digits` digits of `text` from `at`.
fn number(text: &str, at: usize, digits: usize, radix: u32) -> Option<u32> {
    let digits = text.get(at..at + digits)?;
    let are_digits = digits.chars().all(|c| c.is_digit(radix));
    are_digits.then(|| u32::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_escapes_are_read() {
        let read = |text: &str| unquote(text, 0).map(|(text, _)| text);
        for (text, says) in [
            (r#""plain""#, "plain"),
            (r#""a\"b\\c""#, "a\"b\\c"),
            (r#""\a\b\f\n\r\t\v""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}"),
            (r#""\x41\101\u00e9\U0001F600""#, "AAé😀"),
            (r#""\xc3\xa9""#, "é"),
            ("`raw \\n \r\"text\"`", "raw \\n \"text\""),
            ("``", ""),
        ] {
            assert_eq!(read(text).as_deref(), Ok(says), "{text}");
        }
        for text in [
            r#"""#,
            "`",
            "\"\n\"",
            r#""\"#,
            r#""\q""#,
            r#""\'""#,
            r#""\xf""#,
            r#""\xff""#,
            r#""\ud800""#,
            r#""\400""#,
            r#""\1""#,
            r#""\u+041""#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_length_covers_the_quotes() {
        assert_eq!(unquote("\"é\" rest", 0), Ok(("é".to_owned(), 4)));
        assert_eq!(unquote("`é` rest", 0), Ok(("é".to_owned(), 4)));
    }
}
