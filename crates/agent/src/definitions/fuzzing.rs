//! What a fuzzer calls of definition files. Behind the feature `fuzzing`: never in an agent.

use std::path::Path;

use tidings_types::{Command, Registration};

use super::{Loaded, known::hash_of};

/// The ways in which a file can be written, as its name ends.
pub const FORMATS: [&str; 3] = ["json", "hcl", "toml"];

/// The registrations that a file asks for which is written in `format`, or the line and the reason
/// why it asks for none.
///
/// # Errors
/// The line, from 1, and the reason, as an operator is told.
///
/// # Panics
/// If a definition has no hash, by which it would be known after a restart.
pub fn read(format: &str, text: &str) -> Result<Vec<Command>, (usize, String)> {
    let file = Path::new("defined").with_extension(format);
    let mut loaded = Loaded::default();
    loaded.add(&file, text, true)?;
    let services = loaded.services.into_values().map(|(_, service)| {
        hash_of(&(&service.instance, &service.checks));
        Command::RegisterService(Registration {
            id: service.id,
            instance: Box::new(service.instance),
            checks: service.checks,
            replace_checks: false,
        })
    });
    let checks = loaded.checks.into_iter().map(|(id, (_, check))| {
        hash_of(&check);
        let check = Box::new(check);
        Command::RegisterCheck { id, check }
    });
    Ok(services.chain(checks).collect())
}
