//! Tables for people.

use comfy_table::{ContentArrangement, Table as Grid, presets};

/// How a row is meant to strike the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Doubtful,
    Bad,
}

impl Tone {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("\x1b[32m"),
            Self::Doubtful => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
        }
    }

    /// The line in this tone.
    pub(crate) fn paint(self, line: &str, coloured: bool) -> String {
        match self.code().filter(|_| coloured) {
            Some(code) => format!("{code}{line}\x1b[0m"),
            None => line.to_owned(),
        }
    }
}

/// Rows under a header. A row is one line, however long.
#[derive(Debug)]
pub(crate) struct Table {
    grid: Grid,
    tones: Vec<Tone>,
}

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(header);
        Self {
            grid,
            tones: Vec::new(),
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, tone: Tone, cells: [String; N]) {
        self.grid.add_row(cells.map(|cell| one_line(&cell)));
        self.tones.push(tone);
    }

    /// The table's text, each line ended.
    pub(crate) fn render(&self, coloured: bool) -> String {
        let mut text = String::new();
        for (at, line) in self.grid.to_string().lines().enumerate() {
            let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
            let code = match at.checked_sub(1) {
                None => Some("\x1b[1m"),
                Some(row) => self.tones.get(row).and_then(|tone| tone.code()),
            };
            match code.filter(|_| coloured) {
                Some(code) => text.push_str(&format!("{code}{line}\x1b[0m\n")),
                None => text.push_str(&format!("{line}\n")),
            }
        }
        text
    }
}

/// Where an instance is reached; a port of 0 is none.
pub(crate) fn at(address: &str, port: u16) -> String {
    match (address.contains(':'), port) {
        (_, 0) => address.to_owned(),
        (true, _) => format!("[{address}]:{port}"),
        (false, _) => format!("{address}:{port}"),
    }
}

/// A record's text may hold anything; a terminal must not obey it.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["node", "status"]);
        table.row(Tone::Good, ["a".to_owned(), "alive".to_owned()]);
        table.row(Tone::Bad, ["b\x1b[2J\nc".to_owned(), "down".to_owned()]);
        table
    }

    #[test]
    fn a_program_reads_plain_aligned_lines() {
        let text = table().render(false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
        let column = lines[0].find("status").unwrap();
        assert_eq!(lines[1].find("alive"), Some(column));
        assert_eq!(lines[2].find("down"), Some(column));
    }

    #[test]
    fn a_terminal_gets_each_row_in_its_tone() {
        let text = table().render(true);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].starts_with("\x1b[32m"));
        assert!(lines[2].starts_with("\x1b[31m"));
        assert!(lines.iter().all(|line| line.ends_with("\x1b[0m")));
    }
}
