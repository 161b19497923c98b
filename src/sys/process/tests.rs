//! Child processes of a shell.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::fs::real_path;

fn sh(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

#[test]
fn process_full_streams_are_both_captured() {
    let out = sh("head -c 300000 /dev/zero; yes | head -c 200000 >&2; exit 3")
        .run()
        .unwrap();
    assert_eq!(
        (out.status.code(), out.stdout.len(), out.stderr.len()),
        (Some(3), 300_000, 200_000)
    );
}

#[test]
fn process_stderr_flood_is_truncated() {
    let out = sh("yes | head -c 3000000 >&2; head -c 3000000 /dev/zero >&2")
        .run()
        .unwrap();
    assert!(
        (100_000..1_000_000).contains(&out.stderr.len()),
        "{}",
        out.stderr.len()
    );
}

#[test]
fn process_line_with_crlf_is_not_progress() {
    let out = sh(r"printf '10%%\r20%%\rdenied\r\nlast\r' >&2")
        .run()
        .unwrap();
    assert_eq!(out.stderr, "denied\nlast\n");
}

#[test]
fn process_stdin_is_closed() {
    assert_eq!(sh("cat; echo end").run().unwrap().stdout, b"end\n");
}

#[test]
fn process_overwritten_lines_are_watched_but_not_kept() {
    let mut seen = Vec::new();
    let out = sh("printf 'a\\nb 1\\rb 2\\rb 3\\nc' >&2")
        .run_watched(&mut |l| seen.push(l.to_owned()))
        .unwrap();
    assert_eq!(seen, ["a", "b 1", "b 2", "b 3", "c"]);
    assert_eq!(out.stderr, "a\nb 3\nc\n");
}

#[test]
fn process_environment_and_directory_are_set() {
    let dir = tempfile::tempdir().unwrap();
    let program = sh("echo ${A-unset} ${HOME-unset} $(pwd -P)")
        .env("A", "1")
        .env_remove("HOME");
    let out = program.current_dir(dir.path()).run().unwrap();
    let expected = format!("1 unset {}\n", real_path(dir.path()).unwrap().display());
    assert_eq!(String::from_utf8(out.stdout).unwrap(), expected);
}

#[test]
fn process_children_keep_user_umask() {
    let umask = || sh("umask").run().unwrap().stdout;
    let before = umask();
    crate::sys::fs::restrict_umask();
    assert_eq!(umask(), before);
}

#[test]
fn process_missing_program_error_names_program() {
    let error = Program::new("ccsync-no-such-program").run().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no program `ccsync-no-such-program` on the PATH"
    );
    let error = sh("true")
        .current_dir(Path::new("/no/such/dir"))
        .run()
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot run `sh`");
}

#[test]
fn process_silent_program_is_stopped() {
    let limit = Duration::from_millis(200);
    let error = sh("echo hello >&2; sleep 600")
        .silence_limit(limit)
        .run()
        .unwrap_err();
    assert!(
        matches!(&error, ProcessError::Silent { stderr, .. } if stderr == "hello\n"),
        "{error}"
    );
}

#[test]
fn process_interrupted_child_counts_as_interrupted() {
    let error = sh("kill -INT $$").run().unwrap_err();
    assert!(matches!(error, ProcessError::Interrupted(_)), "{error}");
}

#[test]
fn process_grandchild_with_open_pipes_does_not_block() {
    let clock = SystemClock::default();
    let out = sh("sleep 600 & echo done; echo $! >&2").run().unwrap();
    assert_eq!(out.stdout, b"done\n");
    assert!(clock.monotonic() < Duration::from_secs(5));
    Program::new("kill").arg(out.stderr.trim()).run().unwrap();
}
