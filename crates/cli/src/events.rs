//! Server-sent events, as far as an agent sends them.

use anyhow::Context;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// What kind it is.
    pub(crate) kind: String,
    /// Up to where its reader knows everything, if it says so.
    pub(crate) id: Option<String>,
    /// What it says.
    pub(crate) data: String,
}

/// Puts events together from the pieces in which they come.
#[derive(Debug, Default)]
pub(crate) struct Events {
    rest: Vec<u8>,
    /// Up to here no event ends.
    looked_at: usize,
}

impl Events {
    /// Takes the next piece.
    ///
    /// # Errors
    /// If there is more than [`EVENT_BYTES`] without an end: no agent sends that.
    pub(crate) fn push(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.rest.extend_from_slice(piece);
        anyhow::ensure!(
            self.rest.len() <= EVENT_BYTES,
            "an event of more than {EVENT_BYTES} bytes came: what answers is no tidings agent"
        );
        Ok(())
    }

    /// The next event that is whole. What only keeps the connection alive is left out.
    ///
    /// # Errors
    /// If it is no text.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            let unseen = &self.rest[self.looked_at..];
            let Some(end) = unseen.windows(2).position(|two| two == b"\n\n") else {
                // The last byte may be the first half of an end.
                self.looked_at = self.rest.len().saturating_sub(1);
                return Ok(None);
            };
            let end = self.looked_at + end;
            self.looked_at = 0;
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let block = std::str::from_utf8(&block[..end]).context("an event is no text")?;
            if let Some(event) = parse(block) {
                return Ok(Some(event));
            }
        }
    }
}

/// `None` if the block holds nothing but comments.
fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut lines = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.kind),
            "id" => event.id = Some(value.to_owned()),
            "data" => lines.push(value),
            _ => {}
        }
    }
    event.data = lines.join("\n");
    (event != Event::default()).then_some(event)
}

/// Bytes of one event: all instances of a service with their checks.
const EVENT_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ":\n\nevent: service\ndata: {\"a\":1}\n\nevent: end\nid: x-7\ndata: {}\n\n:\n\n";

    fn all(pieces: impl Iterator<Item = &'static [u8]>) -> Vec<Event> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for piece in pieces {
            events.push(piece).unwrap();
            while let Some(event) = events.next().unwrap() {
                found.push(event);
            }
        }
        found
    }

    #[test]
    fn events_are_found_however_they_are_cut() {
        let event = |kind: &str, id: Option<&str>, data: &str| Event {
            kind: kind.to_owned(),
            id: id.map(str::to_owned),
            data: data.to_owned(),
        };
        let expected = [
            event("service", None, "{\"a\":1}"),
            event("end", Some("x-7"), "{}"),
        ];
        for size in 1..=STREAM.len() {
            let pieces = STREAM.as_bytes().chunks(size);
            assert_eq!(all(pieces), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let mut events = Events::default();
        events.push(b"data: \xff\n\n").unwrap();
        assert!(events.next().is_err());
        let mut events = Events::default();
        let piece = vec![b'x'; EVENT_BYTES / 2];
        events.push(&piece).unwrap();
        events.push(&piece).unwrap();
        assert_eq!(events.next().unwrap(), None);
        assert!(events.push(b"x").is_err());
    }
}
