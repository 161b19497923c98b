//! Files of a newer format: a store and a configuration are refused, a cache is ignored.

use std::fs;

use super::machines::*;
use crate::harness::{Clone, Machine, TestEnv};

const ALL: [&str; 6] = ["pull", "push", "sync", "status", "list", "log"];

/// Checks that each command fails, says `words`, and writes neither to the client's
/// files nor to the configuration nor to the remote.
#[track_caller]
fn check_refused(machine: &Machine, commands: &[&str], words: &str) {
    let state = || {
        (
            claude_files(machine),
            contents(&machine.home.join(".config/ccsync")),
            refs(&remote()),
        )
    };
    let before = state();
    for command in commands {
        let run = machine.ccsync([command]).code(1);
        assert!(run.stderr.contains(words), "{run}");
        assert!(state() == before, "{command} has written something");
    }
}

#[test]
fn store_on_the_remote_is_refused() {
    let old = OldMachines::unpack();
    let env = TestEnv::new();
    let other = env.machine("other");
    let clone = Clone::new(&remote(), &other);
    clone.write("ccsync.json", "{\"format\": 99}\n");
    clone.push();
    check_refused(&old.laptop, &["pull", "push", "sync"], "format 99");
}

#[test]
fn store_on_this_disk_is_refused() {
    let old = OldMachines::unpack();
    let store = old.desk.home.join(".local/share/ccsync/store");
    fs::write(store.join("ccsync.json"), "{\"format\": 99}\n").unwrap();
    for args in [
        &["add", "ccsync.json"][..],
        &["commit", "--quiet", "--message", "by hand"],
    ] {
        let mut git = old.desk.program("git");
        old.desk.run(git.arg("-C").arg(&store).args(args)).success();
    }
    let before = head(&store);
    check_refused(&old.desk, &ALL, "format 99");
    assert_eq!(head(&store), before);
}

#[test]
fn configuration_is_refused() {
    let old = OldMachines::unpack();
    let path = old.laptop.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("format = 99\n{text}")).unwrap();
    check_refused(&old.laptop, &ALL, "config.toml");
}

#[test]
fn state_with_sessions_is_refused() {
    for name in ["pinned.json", "deleted.json"] {
        let old = OldMachines::unpack();
        let path = state_dir(&old.laptop).join(name);
        fs::write(&path, r#"{"version":99,"sessions":["of another shape"]}"#).unwrap();
        let before = fs::read(&path).unwrap();
        check_refused(&old.laptop, &ALL, name);
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn index_is_ignored() {
    let old = OldMachines::unpack();
    let path = state_dir(&old.desk).join("index.json");
    fs::write(&path, r#"{"version":99,"sessions":["of another shape"]}"#).unwrap();
    let before = transcripts(&old.desk);
    OldMachines::sync([&old.desk, &old.laptop]);
    for (id, text) in before {
        assert!(old.desk.transcript(&id).starts_with(&text), "{id}");
    }
    old.desk.ccsync(["verify", "--full"]).success();
}
