//! Failures of the system, as git and libgit2 report them: in words.

/// Hint for a configuration of the user's that git cannot read.
pub const FIX_GIT_CONFIG: &str =
    "correct your git configuration; `git config --list --show-origin` names the file and the line";

/// Returns true if a disk or a quota is full.
pub fn is_full(text: &str) -> bool {
    contains_any(text, &["No space left", "quota exceeded"])
}

/// Returns true if git could not read a configuration of the user's, which says nothing about the
/// store.
pub fn is_of_configuration(text: &str) -> bool {
    let is_of_user = |line: &str| !line.contains("store/.git/config");
    let phrases = [
        "bad config",
        "bad numeric config",
        "include depth",
        "failed to parse config",
        "unable to parse config",
    ];
    text.lines()
        .any(|line| contains_any(line, &phrases) && is_of_user(line))
}

/// Returns true if the file system refused, so that another store would fail alike.
pub fn is_of_file_system(text: &str) -> bool {
    let phrases = [
        "Permission denied",
        "Too many open files",
        "Read-only file system",
        "Cannot allocate memory",
        "Stale file handle",
        "Input/output error",
        "No locks available",
        "not supported",
        "fsync",
        "already locked",
        ".lock",
    ];
    is_full(text) || contains_any(text, &phrases)
}

fn contains_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}
