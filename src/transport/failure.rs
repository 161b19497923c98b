//! Classifies a failed git command by its messages.
//!
//! The messages decide only the error shown and whether to retry. Success is decided
//! by exit status and porcelain output alone. `LC_MESSAGES=C` keeps git's messages
//! stable; ssh, curl and servers are matched by phrases that have not changed for
//! years. Pure.

use crate::sys::{
    failure::is_of_configuration, failure::is_of_file_system, process::has_few_files,
};

/// Kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Credentials, keys or permissions, or an unknown host key.
    Denied,
    /// Repository not found or access denied.
    NoRepository,
    /// A rule of the server forbids the push.
    Rejected,
    /// The network or the server failed; a retry may work.
    Transient,
    /// Unknown.
    Unknown,
}

/// Searches for known phrases. The order matters: a refused login also ends with "the
/// remote end hung up", and a server that is down also leaves "could not read from remote
/// repository".
pub(super) fn cause(stderr: &str) -> Cause {
    let text = stderr.to_lowercase();
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if any(DENIED) {
        Cause::Denied
    } else if any(REJECTED) {
        Cause::Rejected
    } else if any(TRANSIENT) {
        Cause::Transient
    } else if any(NO_REPOSITORY) {
        Cause::NoRepository
    } else if any(HUNG_UP) {
        Cause::Transient
    } else {
        Cause::Unknown
    }
}

/// Returns the line that names the server's rule, if the phrase is known.
pub(super) fn rejecting_line(message: &str) -> Option<&str> {
    message.lines().find(|line| {
        let line = line.to_lowercase();
        REJECTED.iter().any(|phrase| line.contains(phrase))
    })
}

/// Returns true if git reports damage of this machine's own store. Used for a hint only.
pub(super) fn is_store_damage(message: &str) -> bool {
    let of_the_remote = |line: &&str| {
        line.trim_start().starts_with("remote:")
            || line.contains("Could not read from remote repository")
    };
    !is_of_file_system(message)
        && !is_of_configuration(message)
        && !has_few_files()
        && message
            .lines()
            .filter(|line| !of_the_remote(line))
            .any(|line| STORE_DAMAGE.iter().any(|phrase| line.contains(phrase)))
}

/// Returns true if the remote refused a reference only because another process was
/// changing it.
pub(super) fn is_contention(reason: &str, stderr: &str) -> bool {
    let text = format!("{reason}\n{stderr}").to_lowercase();
    // "File exists" is the lock file of another push in receive-pack. A branch that the
    // list names but the fetch did not find was just created.
    let phrases = [
        "fetch first",
        "incorrect old value",
        "but expected",
        "reference already exists",
        ".lock': file exists",
        "couldn't find remote ref",
    ];
    phrases.iter().any(|phrase| text.contains(phrase))
}

const STORE_DAMAGE: &[&str] = &[
    "is corrupt",
    "bad object",
    "not a git repository",
    "unable to read",
    "missing object",
    "Could not read",
    "bad config",
    "inflate",
    "mmap failed",
];

const DENIED: &[&str] = &[
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "invalid username or password",
    "permission denied",
    "access denied",
    "host key verification failed",
    "requested url returned error: 401",
    "requested url returned error: 403",
    "too many authentication failures",
    "insufficient permission",
    "detected dubious ownership",
    "write access to repository not granted",
];

const REJECTED: &[&str] = &[
    "requested url returned error: 413",
    "http 413",
    "pack exceeds maximum allowed size",
    "does not support --atomic push",
    "repository rule violations",
    "ref updates aborted by hook",
];

const TRANSIENT: &[&str] = &[
    "could not resolve",
    "temporary failure in name resolution",
    "name or service not known",
    "connection timed out",
    "operation timed out",
    "connection refused",
    "connection reset",
    "connection closed by",
    "couldn't connect to server",
    "failed to connect to",
    "network is unreachable",
    "network is down",
    "no route to host",
    "broken pipe",
    "early eof",
    "unexpected disconnect",
    "kex_exchange_identification",
    "gnutls recv error",
    "ssl_error_syscall",
    "empty reply from server",
    "transfer closed with",
    "requested url returned error: 5",
    "requested url returned error: 429",
    "http 5",
];

const NO_REPOSITORY: &[&str] = &[
    "does not appear to be a git repository",
    "repository not found",
    "repository does not exist",
    "could not be found",
    "/' not found",
    "requested url returned error: 404",
];

const HUNG_UP: &[&str] = &[
    "the remote end hung up",
    "could not read from remote repository",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_git_messages_are_classified() {
        for (stderr, expected) in [
            (
                "fatal: Authentication failed for 'http://***@h/x'",
                Cause::Denied,
            ),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                Cause::Denied,
            ),
            (
                "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Cause::Denied,
            ),
            (
                "No ED25519 host key is known for h.\nHost key verification failed.\nfatal: Could not read",
                Cause::Denied,
            ),
            (
                "ssh: Could not resolve hostname h: Name or service not known\nfatal: Could not read",
                Cause::Transient,
            ),
            (
                "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote",
                Cause::Transient,
            ),
            (
                "fatal: unable to access 'https://h/': The requested URL returned error: 503",
                Cause::Transient,
            ),
            (
                "fatal: '/x' does not appear to be a git repository\nfatal: Could not read",
                Cause::NoRepository,
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://h/x/' not found",
                Cause::NoRepository,
            ),
            (
                "error: RPC failed; HTTP 413 curl 22\nfatal: the remote end hung up unexpectedly",
                Cause::Rejected,
            ),
            (
                "fatal: the receiving end does not support --atomic push",
                Cause::Rejected,
            ),
            (
                "fatal: the remote end hung up unexpectedly",
                Cause::Transient,
            ),
            (
                "fatal: couldn't find remote ref refs/heads/x",
                Cause::Unknown,
            ),
            (
                "error: cannot run ssh: No such file or directory\nfatal: unable to fork",
                Cause::Unknown,
            ),
            ("garbage", Cause::Unknown),
        ] {
            assert_eq!(cause(stderr), expected, "{stderr}");
        }
    }

    #[test]
    fn failure_contention_differs_from_refusal() {
        assert!(is_contention(
            "failed to update ref",
            "remote: error: Unable to create '/r/x.lock': File exists."
        ));
        assert!(is_contention(
            "cannot lock ref 'x': is at a but expected b",
            ""
        ));
        assert!(!is_contention(
            "pre-receive hook declined",
            "remote: no way"
        ));
    }
}
