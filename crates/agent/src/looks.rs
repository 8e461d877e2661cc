//! Files that are followed while the agent runs: whether a look at them found something new.
//!
//! A change is taken once two looks in a row found the same, so that what is being written is left
//! alone. What cannot be used is tried again at each look, since it may become right by another file, by
//! time, or because the node takes it now; the log tells it once.

use ring::digest::{Context, SHA256};

/// Tells what looks found apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark([u8; 32]);

impl Mark {
    /// Of what consists of these parts, in their order.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.finish().as_ref());
        Self(mark)
    }

    /// That nothing could be found, for this reason.
    pub(crate) fn of_error(error: &impl ToString) -> Self {
        Self::of([error.to_string().as_bytes()])
    }
}

/// What a look is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Takes what is there now: somebody says that the files are whole.
    AtOnce,
    /// Takes what the last look found too.
    Settled,
}

/// What a look found, next to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What is in force.
    InForce,
    /// Something else, and so did the last look.
    Settled,
    /// Something else than the last look.
    Fresh,
}

/// What earlier looks found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    in_force: Option<Mark>,
    seen: Option<Mark>,
    refused: Option<Mark>,
}

impl Looks {
    /// Notes what a look found.
    pub(crate) fn find(&mut self, mark: Mark) -> Found {
        let before = self.seen.replace(mark);
        if self.in_force == Some(mark) {
            self.refused = None;
            Found::InForce
        } else if before == Some(mark) {
            Found::Settled
        } else {
            Found::Fresh
        }
    }

    /// Notes that what was in force is about to be replaced, perhaps in part.
    pub(crate) const fn leave(&mut self) {
        self.in_force = None;
    }

    /// Whether anything that was found is in force.
    pub(crate) const fn took_any(&self) -> bool {
        self.in_force.is_some()
    }

    /// Notes that what a look found is in force.
    pub(crate) const fn took(&mut self, mark: Mark) {
        self.in_force = Some(mark);
        self.seen = Some(mark);
        self.refused = None;
    }

    /// Notes that it cannot be used. Returns whether that is news.
    pub(crate) fn refuse(&mut self, mark: Mark) -> bool {
        self.refused.replace(mark) != Some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_settled_when_it_is_found_twice() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|part| Mark::of([&part[..]]));
        let mut looks = Looks::default();
        assert_eq!(looks.find(a), Found::Fresh);
        looks.took(a);
        assert_eq!(looks.find(a), Found::InForce);
        assert_eq!(
            [b, c, c].map(|mark| looks.find(mark)),
            [Found::Fresh, Found::Fresh, Found::Settled]
        );
        assert!(looks.refuse(c) && !looks.refuse(c));
        assert_eq!(looks.find(a), Found::InForce);
        assert!(looks.refuse(c), "it was right in between");
    }

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&[u8]]| Mark::of(parts.iter().copied());
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
    }
}
