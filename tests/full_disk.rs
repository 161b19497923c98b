//! A full disk or a remote that fails gives one clear error or a queued push; once the
//! cause is fixed, a second run completes the work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

/// A small disk of its own, mounted at a directory. Unmounted when dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts the disk. Returns `None`, with the reason printed, if nothing can be
    /// mounted.
    fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs"])
            .arg(path)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self {
                path: path.to_owned(),
            }),
            Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
            Err(e) => skipped(&e.to_string()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    fn fill(&self) {
        use std::io::Write;
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

#[allow(clippy::print_stderr)]
fn skipped(reason: &str) -> Option<Disk> {
    eprintln!("skipped: no disk can be mounted: {}", reason.trim());
    None
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Returns about 300 KB of conversation.
fn long_question() -> String {
    (0..30_000_u64)
        .map(|n| format!("{:x} ", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32))
        .collect()
}

fn stored(env: &TestEnv, machine: &Machine) -> String {
    let mut git = machine.program("git");
    git.arg("-C")
        .arg(env.remote_of_pair())
        .args(["grep", "-h", "", "main", "--", "sessions"]);
    machine.run(&mut git).stdout
}

#[track_caller]
fn assert_names_full_disk(run: &Run) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("No space left"), "{run}");
    assert!(
        run.code != Some(1) || run.stderr.contains("make room"),
        "{run}"
    );
    let errors = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "));
    assert_eq!(
        errors.count() + run.stdout.matches("not sent:").count(),
        1,
        "{run}"
    );
}

#[test]
fn full_disk_is_named_and_recovers_with_space() {
    for (place, push, pull) in [
        (".local/share/ccsync", 1, 1),
        (".claude", 0, 1),
        (".local/state/ccsync", 1, 1),
    ] {
        let env = TestEnv::new();
        let remote = env.bare_remote();
        let (a, b) = (env.machine("a"), env.machine("b"));
        let Some(disk) = Disk::at(&a.home.join(place)) else {
            return;
        };
        fs::create_dir_all(a.home.join(".claude/projects")).unwrap();
        a.init(&remote);
        b.init(&remote);
        a.session(ONE).turn("hello").write();
        a.ccsync(["sync"]).success();
        let question = long_question();
        b.session(TWO).turn(&question).write();
        b.ccsync(["push"]).success();
        a.append(ONE, &question);
        let before = a.transcript(ONE);
        disk.fill();
        for (command, code) in [
            ("push", push),
            ("pull", pull),
            ("push", push),
            ("pull", pull),
        ] {
            let run = a.ccsync([command]);
            // Earlier work may leave nothing to write.
            if run.code != Some(0) {
                assert_eq!(run.code, Some(code), "{place} {command}\n{run}");
                assert_names_full_disk(&run);
            }
            assert!(a.transcript(ONE) == before, "{place} {command}");
            let half =
                a.sessions().iter().any(|id| id == TWO) && a.transcript(TWO).len() < question.len();
            assert!(!half, "{place} {command}: a file that is there is whole");
        }
        disk.make_room();
        a.ccsync(["sync"]).success();
        assert_eq!(
            a.ccsync(["status", "--json"]).success().json()["queued_commits"],
            0
        );
        assert_eq!(questions(&a.text(TWO)), [question.as_str()], "{place}");
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)), ["hello", &question], "{place}");
        assert_eq!(a.git(&["status", "--porcelain"]), "", "{place}");
        assert_eq!(a.git(&["fsck", "--strict", "--no-dangling"]), "", "{place}");
    }
}

#[test]
fn full_remote_queues_push() {
    let env = TestEnv::new();
    let disk = Disk::at(&env.remote_of_pair());
    let Some(disk) = disk else { return };
    let (a, b) = env.pair_with_session();
    disk.fill();
    a.append(ONE, &long_question());
    for _ in 0..2 {
        assert_names_full_disk(&a.ccsync(["push"]).code(6));
    }
    disk.make_room();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)).len(), 2);
}

#[cfg(unix)]
#[test]
fn push_killed_remote_queues_and_next_push_converges() {
    use std::os::unix::fs::PermissionsExt;
    // After the references have moved there is nothing to queue: only the answer is lost.
    for (hook, code) in [("pre-receive", 6), ("update", 6), ("post-receive", 0)] {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let path = env.remote_of_pair().join("hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\nkill -KILL $PPID\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        a.append(ONE, "while it died");
        let run = a.ccsync(["push"]).code(code);
        assert_eq!(
            stored(&env, &a).contains("while it died"),
            code == 0,
            "{hook}\n{run}"
        );
        fs::remove_file(path).unwrap();
        a.ccsync(["status"]).success();
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        assert_eq!(
            questions(&b.text(ONE)),
            ["hello", "while it died"],
            "{hook}"
        );
        assert_eq!(
            a.ccsync(["status", "--json"]).success().json()["queued_commits"],
            0,
            "{hook}"
        );
    }
}
