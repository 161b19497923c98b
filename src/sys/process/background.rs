//! Leaving the terminal and the process group of who started this process.

/// Makes this process the leader of a session of its own, so that neither the terminal's end nor a
/// signal for its starter's group reaches it. Without effect on systems without sessions.
#[cfg(unix)]
pub fn leave_terminal() {
    // The leader of a group has been detached already.
    let _ = rustix::process::setsid();
}

/// As on Unix, where it has an effect.
#[cfg(not(unix))]
pub fn leave_terminal() {}
