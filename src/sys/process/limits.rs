//! Limits of this process.

/// Number of open files below which libgit2 and git fail, and say that objects are missing.
#[cfg(unix)]
const MIN_FILES: u64 = 64;

/// Hint for a process that may not open enough files.
pub const RAISE_LIMIT: &str =
    "close programs, or raise the limit of open files with `ulimit -n 4096`";

/// Returns true if this process may open so few files that missing ones prove nothing.
pub fn has_few_files() -> bool {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current.is_some_and(|limit| limit < MIN_FILES)
    }
    #[cfg(not(unix))]
    {
        false
    }
}
