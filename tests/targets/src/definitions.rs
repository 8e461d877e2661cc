//! Definition files.

use tidings_agent::definition_fuzzing::{FORMATS, read};

use crate::node::Lone;

/// The first byte names the format, the rest is the file.
///
/// # Panics
/// If a mistake is on no line of the file, or what a file defines cannot be registered twice like
/// once.
pub fn definitions(data: &[u8]) {
    let Some((&format, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let format = FORMATS[usize::from(format) % FORMATS.len()];
    let registrations = match read(format, text) {
        Ok(registrations) => registrations,
        Err((line, reason)) => {
            let lines = 1 + text.matches('\n').count();
            assert!((1..=lines).contains(&line), "{line} of {lines}: {reason}");
            assert!((1..=1_004).contains(&reason.chars().count()), "{reason}");
            return;
        }
    };
    let mut node = Lone::new();
    let mut taken = Vec::new();
    for registration in registrations {
        if let Some(Ok(_)) = node.command(registration.clone()) {
            taken.push(registration);
        }
    }
    let once = node.fingerprint();
    for registration in taken {
        let again = node.command(registration);
        assert!(
            matches!(again, Some(Ok(done)) if !done.changed),
            "{again:?}"
        );
    }
    assert_eq!(node.fingerprint(), once);
}
