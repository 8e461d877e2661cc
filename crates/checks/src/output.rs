//! Output texts of bounded length.

use std::collections::VecDeque;

use tidings_types::{Check, limits::CHECK_OUTPUT_BYTES};

/// Bytes of output that `check` may keep: what it states, up to the general limit.
pub(crate) fn limit_of(check: &Check) -> usize {
    match usize::try_from(check.output_bytes_max) {
        Ok(stated) if stated > 0 => stated.min(CHECK_OUTPUT_BYTES),
        _ => CHECK_OUTPUT_BYTES,
    }
}

/// The beginning of `text`, at most `max` bytes, cut between two characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// What was captured of a body of `total` bytes (`None`: more than captured, size not stated), with
/// a note if it is not all.
pub(crate) fn captured(head: &[u8], complete: bool, total: Option<u64>) -> String {
    let text = String::from_utf8_lossy(head);
    match total {
        _ if complete => text.into_owned(),
        Some(total) => format!("Captured {} of {total} bytes\n...\n{text}", head.len()),
        None => format!("Captured {} bytes\n...\n{text}", head.len()),
    }
}

/// The end of what a program says, whatever it says before.
#[derive(Debug)]
pub(crate) struct Tail {
    last: VecDeque<u8>,
    max: usize,
    total: u64,
}

impl Tail {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            last: VecDeque::new(),
            max,
            total: 0,
        }
    }

    pub(crate) fn push(&mut self, said: &[u8]) {
        self.total += u64::try_from(said.len()).unwrap_or(u64::MAX);
        self.last.extend(said);
        let above = self.last.len().saturating_sub(self.max);
        self.last.drain(..above);
    }

    /// What is kept, with a note if it is not all.
    pub(crate) fn text(mut self) -> String {
        let complete = u64::try_from(self.last.len()).is_ok_and(|kept| kept == self.total);
        captured(self.last.make_contiguous(), complete, Some(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("häuser", 2), "h");
        assert_eq!(cut("häuser", 3), "hä");
        assert_eq!(cut("häuser", 100), "häuser");
    }

    #[test]
    fn what_was_not_captured_is_said() {
        assert_eq!(captured(b"all", true, None), "all");
        assert_eq!(
            captured(b"abc", false, Some(9)),
            "Captured 3 of 9 bytes\n...\nabc"
        );
    }
}
