//! Failures of the system, as git and libgit2 report them: in words.

/// Returns true if a disk or a quota is full.
pub fn is_full(text: &str) -> bool {
    contains_any(text, &["No space left", "quota exceeded"])
}

/// Returns true if the file system refused, so that another store would fail alike.
pub fn is_of_file_system(text: &str) -> bool {
    let phrases = [
        "Permission denied",
        "Too many open files",
        "already locked",
        ".lock",
    ];
    is_full(text) || contains_any(text, &phrases)
}

fn contains_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}
