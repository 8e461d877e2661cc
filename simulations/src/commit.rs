//! Which source a build is of, for whoever wants to see a failure again.

use std::process::Command;

/// The commit of the source tree, and whether it was changed since, as far as git tells.
pub fn describe() -> String {
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "commit unknown".to_owned();
    };
    let is_dirty = git(&["status", "--porcelain", "--untracked-files=no"]);
    let dirty = match is_dirty.as_deref() {
        Some("") => "",
        _ => ", changed since (dirty)",
    };
    format!("commit {commit}{dirty}")
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_source_is_named_with_git_and_without() {
        assert!(super::describe().starts_with("commit "));
        assert_eq!(super::git(&["no-such-command"]), None);
    }
}
