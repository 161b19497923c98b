//! Two directories of Claude Code on one machine: each needs its own configuration, and
//! never gets the sessions of the other.

use std::path::Path;

use crate::harness::{Machine, ONE, Run, TestEnv};

/// Runs ccsync for a directory of Claude Code, with files of its own if `own_files` names
/// a directory.
fn ccsync_for(machine: &Machine, directory: &Path, own_files: Option<&Path>, args: &[&str]) -> Run {
    let mut command = machine.command(args);
    command.env("CLAUDE_CONFIG_DIR", directory);
    if let Some(own_files) = own_files {
        command.env("CCSYNC_HOME", own_files);
    }
    machine.run(&mut command)
}

/// Returns true if a directory of Claude Code has the session.
fn has_session(directory: &Path) -> bool {
    let entries = walkdir::WalkDir::new(directory).into_iter().flatten();
    let name = format!("{ONE}.jsonl");
    entries
        .into_iter()
        .any(|entry| entry.file_name() == name.as_str())
}

#[test]
fn accounts_other_directory_is_refused_by_every_command() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let work = b.home.join(".claude-work");
    std::fs::create_dir_all(work.join("projects")).unwrap();
    let remote = env.remote_of_pair().to_string_lossy().into_owned();
    let commands: [&[&str]; 8] = [
        &["push"],
        &["pull"],
        &["pull", ONE],
        &["sync"],
        &["status"],
        &["list"],
        &["init", "--yes"],
        &["init", "--yes", "--remote", &remote],
    ];
    for args in commands {
        let run = ccsync_for(&b, &work, None, args);
        assert_ne!(run.code, Some(0), "{args:?}: {run}");
        assert!(run.stderr.contains("CCSYNC_HOME"), "{args:?}: {run}");
        assert!(!has_session(&work), "{args:?}");
    }
    b.ccsync(["pull"]).success();
}

#[test]
fn accounts_with_own_files_stay_apart() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let (work, files) = (b.home.join(".claude-work"), b.home.join(".ccsync-work"));
    std::fs::create_dir_all(work.join("projects")).unwrap();
    let remote = env.bare_remote().to_string_lossy().into_owned();
    let for_work = |args: &[&str]| ccsync_for(&b, &work, Some(&files), args).success();
    for_work(&["init", "--yes", "--remote", &remote]);
    for_work(&["sync"]);
    assert!(!has_session(&work));
    let shown = for_work(&["config", "get", "client_dir"]);
    assert_eq!(shown.stdout, "~/.claude-work\n");

    // The configuration is for that directory only.
    let mut command = b.command(["push"]);
    let run = b.run(command.env("CCSYNC_HOME", &files)).code(1);
    assert!(run.stderr.contains(".claude-work"), "{run}");
}

#[test]
fn accounts_moved_or_linked_directory_is_the_same() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let (moved, link) = (b.home.join(".config/claude"), b.home.join("link"));
    std::os::unix::fs::symlink(b.home.join(".claude"), &link).unwrap();
    ccsync_for(&b, &link, None, &["push"]).success();
    std::fs::remove_file(&link).unwrap();
    std::fs::create_dir_all(moved.parent().unwrap()).unwrap();
    std::fs::rename(b.home.join(".claude"), &moved).unwrap();
    let run = ccsync_for(&b, &moved, None, &["push"]).code(1);
    assert!(run.stderr.contains("config set client_dir"), "{run}");
    ccsync_for(
        &b,
        &moved,
        None,
        &["config", "set", "client_dir", "~/.config/claude"],
    )
    .success();
    ccsync_for(&b, &moved, None, &["push"]).success();
    b.ccsync(["push"]).code(1);
}
