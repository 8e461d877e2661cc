//! Catching the panics with which redb answers some damaged files.
//!
//! They end in a finding that says what was found and done. The process's own panic hook would tell
//! of them too, as of a fault of the program, so it is kept from doing that while work is caught.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

thread_local! {
    /// Whether a panic of this thread is caught here.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; an error is the text of its panic.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let told = take_hook();
        set_hook(Box::new(move |panic| {
            if !CATCHING.get() {
                told(panic);
            }
        }));
    });
    let before = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(before);
    done.map_err(|panic| text(panic.as_ref()))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no reason given".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_text_and_the_next_one_is_told_again() {
        assert_eq!(catch(|| 1), Ok(1));
        let panicked: Result<(), _> = catch(|| panic!("page {} is odd", 7));
        assert_eq!(panicked, Err("page 7 is odd".to_owned()));
        assert!(!CATCHING.get());
    }
}
