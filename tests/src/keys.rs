//! Cluster keys and their files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::binary;

/// A new file called `NAME.key` in `dir`, with one new key, for its owner alone.
///
/// # Panics
/// If it cannot be made.
pub fn new_file(dir: &Path, name: &str) -> PathBuf {
    let told = binary::run(&["keygen"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let file = dir.join(format!("{name}.key"));
    write(&file, &told.out);
    file
}

/// A copy of a key file, for an agent that has its own.
///
/// # Panics
/// If it cannot be made.
pub fn copy(file: &Path, name: &str) -> PathBuf {
    let text = fs::read_to_string(file).expect("a key file can be read");
    let copy = file.with_file_name(format!("{name}.key"));
    write(&copy, &text);
    copy
}

/// The digits of the one key in a file that [`new_file`] made.
///
/// # Panics
/// If it holds none.
pub fn digits(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a key file can be read");
    let line = text.lines().find(|line| !line.starts_with('#'));
    line.expect("a key file holds a key").to_owned()
}

/// The one key in a file that [`new_file`] made.
///
/// # Panics
/// If it holds none.
pub fn secret(file: &Path) -> [u8; 32] {
    let digits = digits(file);
    let mut secret = [0; 32];
    for (byte, digits) in secret.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).expect("digits are ASCII");
        *byte = u8::from_str_radix(digits, 16).expect("keygen writes hexadecimal digits");
    }
    secret
}

fn write(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(file, text).expect("the story's directory takes a file");
    let only_owner = fs::Permissions::from_mode(0o600);
    fs::set_permissions(file, only_owner).expect("an own file's rights can be set");
}
