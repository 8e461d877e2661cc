//! What is wrong with a scenario's file, where, and what may have been meant.

use std::{fmt, ops::Range};

/// Changes of letters, at most, that make one word of another which may have been meant.
const SLIPS: usize = 3;

/// A part of a scenario that contradicts itself: an item of a list, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The list's name.
    pub list: &'static str,
    /// Which of its items.
    pub nth: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in [[{}]] number {}", self.list, self.nth + 1)
    }
}

impl Place {
    /// The line of the file at which it begins, counted from 1.
    pub fn line(&self, text: &str) -> Option<usize> {
        let header = format!("[[{}]]", self.list);
        let headers = text.lines().enumerate();
        let mut headers = headers.filter(|(_, line)| line.trim_start().starts_with(&header));
        headers.nth(self.nth).map(|(line, _)| line + 1)
    }
}

/// Says of a text that cannot be read where, why, and what may have been meant.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let wrong = quoted(message).next();
    let suggestion = wrong.and_then(|wrong| nearest(wrong, quoted(message).skip(1)));
    let suggestion =
        suggestion.map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
    let Some(span) = error.span() else {
        return format!("{message}{suggestion}");
    };
    let (number, line) = place_of(text, span, wrong);
    format!("line {number}: {message}{suggestion}\n  {number} | {line}")
}

/// The known word that is so near to `wrong` that it may have been meant.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.map(|word| (strsim::damerau_levenshtein(wrong, word), word));
    let near = known.filter(|(slips, _)| *slips <= SLIPS.min(wrong.len() / 2));
    near.min_by_key(|(slips, _)| *slips).map(|(_, word)| word)
}

/// The words in quotation marks or backticks.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split(['`', '"']).skip(1).step_by(2)
}

/// The line in question. Of a fault or a call the parser knows the first line alone, so the word that
/// is wrong is looked for in those that follow.
fn place_of<'a>(text: &'a str, span: Range<usize>, wrong: Option<&str>) -> (usize, &'a str) {
    let first = text[..span.start.min(text.len())].matches('\n').count();
    let lines = || text.lines().enumerate().skip(first);
    let item =
        lines().take_while(|(nth, line)| *nth == first || !line.trim_start().starts_with('['));
    let is_word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let has_word = |line: &str| {
        wrong.is_some_and(|wrong| match wrong.chars().all(is_word) {
            true => line.split(|c: char| !is_word(c)).any(|word| word == wrong),
            false => line.contains(wrong),
        })
    };
    let found = item.into_iter().find(|(_, line)| has_word(line));
    let (nth, line) = found.or_else(|| lines().next()).unwrap_or((first, ""));
    (nth + 1, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_if_any_is_near() {
        let known = || ["between", "way", "lane", "at", "for"].into_iter();
        assert_eq!(nearest("betwen", known()), Some("between"));
        assert_eq!(nearest("lnae", known()), Some("lane"));
        assert_eq!(nearest("colour", known()), None);
    }

    #[test]
    fn an_item_of_a_list_is_found_in_the_file() {
        let text = "nodes = 1\n[[fault]]\nkind = 1\n\n[[workload]]\n[[fault]]\n";
        let line = |list, nth| Place { list, nth }.line(text);
        assert_eq!(line("fault", 0), Some(2));
        assert_eq!(line("fault", 1), Some(6));
        assert_eq!(line("fault", 2), None);
        assert_eq!(line("workload", 0), Some(5));
    }
}
