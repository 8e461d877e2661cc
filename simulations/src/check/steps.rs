//! A1: a node never panics, an input has an end of outputs, and a timer moves on.

use std::any::Any;

use tidings_types::Timestamp;

use super::Violation;

/// Outputs of one input, at most.
pub(crate) const OUTPUTS: usize = 1_000_000;
/// Timers that a node may have in one instant.
const SPINS: u32 = 1_000;

/// A node has panicked: that is a broken invariant, not the end of the simulator.
pub(crate) fn panicked(now: Timestamp, host: usize, panic: &(dyn Any + Send)) -> Violation {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    broken(now, host, format!("the node panicked: {text}"))
}

/// A node goes on with its outputs and has had [`OUTPUTS`] for one input.
pub(crate) fn has_no_end(now: Timestamp, host: usize) -> Violation {
    broken(
        now,
        host,
        format!("one input has more than {OUTPUTS} outputs"),
    )
}

/// A node's timer goes off for the `spins`-th time in one instant.
pub(crate) fn moves_on(now: Timestamp, host: usize, spins: u32) -> Result<(), Violation> {
    if spins > SPINS {
        return Err(broken(
            now,
            host,
            "the node's timer does not move".to_owned(),
        ));
    }
    Ok(())
}

const fn broken(now: Timestamp, host: usize, text: String) -> Violation {
    Violation {
        invariant: "A1",
        at: now,
        host: Some(host),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        let panic = std::panic::catch_unwind(|| panic!("the lineage of {} is empty", "n1"));
        let violation = panicked(Timestamp::ZERO, 2, &*panic.unwrap_err());
        assert_eq!((violation.invariant, violation.host), ("A1", Some(2)));
        assert!(violation.text.ends_with("the lineage of n1 is empty"));
    }

    #[test]
    fn a_timer_that_stands_still_and_outputs_without_end_are_named() {
        assert_eq!(moves_on(Timestamp::ZERO, 0, SPINS), Ok(()));
        let still = moves_on(Timestamp::ZERO, 0, SPINS + 1).unwrap_err();
        assert_eq!(still.invariant, "A1");
        assert_eq!(has_no_end(Timestamp::ZERO, 0).invariant, "A1");
    }
}
