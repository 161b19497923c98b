//! The end of a program: exit code or signal.

use std::process::ExitStatus;

/// Returns the exit code that a shell gives: 128 + signal for a program that a signal ended.
pub fn shell_code(status: ExitStatus) -> u8 {
    let by_signal = || signal_of(status).map(|signal| 128 + signal);
    let code = status.code().or_else(by_signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
pub(super) fn was_interrupted(status: ExitStatus) -> bool {
    use rustix::process::Signal;
    [Signal::INT, Signal::TERM, Signal::HUP]
        .iter()
        .any(|s| signal_of(status) == Some(s.as_raw()))
}

#[cfg(not(unix))]
pub(super) fn was_interrupted(status: ExitStatus) -> bool {
    // NTSTATUS Values, `STATUS_CONTROL_C_EXIT`.
    const CONTROL_C_EXIT: u32 = 0xC000_013A;
    status.code() == Some(CONTROL_C_EXIT.cast_signed())
}
