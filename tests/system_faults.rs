//! Faults of the system around a sound store are named as what they are; no hint says to
//! move the store away. What only looks works where nothing can be written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

/// A user without rights.
const SOMEONE: u32 = 12345;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[track_caller]
fn assert_named(run: &Run, words: &[&str]) {
    assert_ne!(run.code, Some(0), "{run}");
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(!all.contains("store.damaged"), "{run}");
    for word in words {
        assert!(all.contains(word), "{word:?} is missing: {run}");
    }
}

/// A machine with a session that is not pushed yet.
fn machine(env: &TestEnv) -> Machine {
    let (_, b) = env.pair_with_session();
    b.ccsync(["push"]).success();
    b.append(ONE, "two");
    b
}

#[test]
fn fault_of_git_configuration_is_named() {
    let slips = [
        "[user\nname = x\n",
        "[include]\n\tpath = ~/.gitconfig\n",
        "[core]\n\tbigFileThreshold = much\n\tcompression = lots\n",
    ];
    for slip in slips {
        let env = TestEnv::new();
        let b = machine(&env);
        let file = b.home.join(".gitconfig");
        let good = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, format!("{good}{slip}")).unwrap();
        let run = b.ccsync(["push"]);
        assert_named(&run, &[]);
        let all = format!("{}{}", run.stdout, run.stderr);
        let names_it = all.contains(".gitconfig") || all.contains("git config --list");
        assert!(names_it, "{run}");
        let doctor = b.ccsync(["doctor"]);
        assert!(!doctor.stdout.contains("store.damaged"), "{doctor}");
        assert!(!doctor.stdout.contains("install git 2"), "{doctor}");
        fs::write(&file, good).unwrap();
        b.ccsync(["push"]).success();
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn fault_of_store_owner_is_named() {
    if !is_root() {
        eprintln!("skipped: only root can give files to another user");
        return;
    }
    let env = TestEnv::new();
    let b = machine(&env);
    for entry in walkdir::WalkDir::new(b.store()) {
        lchown(entry.unwrap().path(), Some(SOMEONE), Some(SOMEONE)).unwrap();
    }
    assert_named(&b.ccsync(["push"]), &["belongs to another user", "chown"]);
    let doctor = b.ccsync(["doctor"]);
    assert_named(&doctor, &["another user"]);
}

#[test]
fn fault_of_open_files_limit_is_named() {
    let env = TestEnv::new();
    let b = machine(&env);
    for limit in [5, 6, 7, 8, 9, 10, 11, 12, 14, 16] {
        let program = env!("CARGO_BIN_EXE_ccsync");
        let mut shell = b.program("sh");
        shell.args([
            "-c",
            &format!("ulimit -n {limit}; exec \"$0\" push"),
            program,
        ]);
        let run = b.run(&mut shell);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(!all.contains("store.damaged"), "limit {limit}: {run}");
        if all.contains("Too many open files") && all.contains("error:") {
            assert!(all.contains("ulimit -n"), "limit {limit}: {run}");
        }
    }
    b.ccsync(["push"]).success();
}

/// Runs ccsync with this much memory in all.
fn with_memory(machine: &Machine, kilobytes: u64, command: &str) -> Run {
    let mut shell = machine.program("sh");
    let line = format!("ulimit -v {kilobytes}; exec \"$0\" {command}");
    machine.run(shell.args(["-c", &line, env!("CARGO_BIN_EXE_ccsync")]))
}

#[test]
fn fault_of_memory_limit_skips_one_session() {
    const LINE_BYTES: usize = 40 << 20;
    const LIMIT_KB: u64 = 300_000;
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let line = format!(
        "{{\"type\":\"x\",\"text\":\"{}\"}}\n",
        "y".repeat(LINE_BYTES)
    );
    a.session(ONE).turn("hello").raw(line.as_bytes()).write();
    a.session(TWO).turn("small").write();
    for command in ["push --dry-run", "push"] {
        let run = with_memory(&a, LIMIT_KB, command).code(3);
        assert!(run.stdout.contains("too little memory"), "{run}");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [TWO]);

    a.ccsync(["push"]).success();
    a.append(TWO, "more");
    a.ccsync(["push"]).success();
    let run = with_memory(&b, LIMIT_KB, "pull").code(3);
    assert!(run.stdout.contains("too little memory"), "{run}");
    assert_eq!(questions(&b.text(TWO)), ["small", "more"]);
    b.ccsync(["pull"]).success();
    assert!(b.transcript(ONE).ends_with(line.as_bytes()));
}

/// Mounts a file system that never answers in `$1`, for this process only, and runs ccsync.
const WITH_DEAD_MOUNT: &str = "exec 9<>/dev/fuse
    mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 dead \"$1\" || exit 99
    \"$0\" \"$2\" 9<&-";

#[test]
#[allow(clippy::print_stderr)]
fn fault_of_dead_mount_does_not_stop_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let mount = a.home.join("server");
    fs::create_dir_all(&mount).unwrap();
    let beside_dead_mount = |command: &str| {
        let mut shell = a.program("unshare");
        let program = env!("CARGO_BIN_EXE_ccsync");
        let mount = mount.to_str().unwrap();
        a.run(shell.args(["-m", "sh", "-c", WITH_DEAD_MOUNT, program, mount, command]))
    };
    let run = beside_dead_mount("status");
    if run.code != Some(0) {
        return eprintln!("skipped: no file system can be mounted here: {run}");
    }

    a.session(ONE)
        .project("server/app")
        .turn("on the server")
        .write();
    a.session(TWO).project("work/app").turn("hello").write();
    beside_dead_mount("push").success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
    for (id, says) in [(ONE, "back on the server"), (TWO, "back")] {
        b.append(id, says);
    }
    b.ccsync(["push"]).success();
    beside_dead_mount("pull").success();
    assert_eq!(
        questions(&a.text(ONE)),
        ["on the server", "back on the server"]
    );
    assert_eq!(questions(&a.text(TWO)), ["hello", "back"]);
    beside_dead_mount("sync").success();
}

/// Takes the right to write from a directory, and gives it to another user if this one is
/// root.
fn make_read_only(directory: &Path) {
    for entry in walkdir::WalkDir::new(directory) {
        let entry = entry.unwrap();
        if is_root() {
            lchown(entry.path(), Some(SOMEONE), Some(SOMEONE)).unwrap();
        }
        let mode = entry.metadata().unwrap().permissions().mode();
        if !entry.file_type().is_symlink() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode & !0o222)).unwrap();
        }
    }
}

#[test]
fn fault_of_read_only_home_lets_look() {
    let env = TestEnv::new();
    let b = machine(&env);
    let directories: Vec<_> = b
        .home
        .ancestors()
        .take_while(|p| p.starts_with(env.root()))
        .collect();
    for directory in directories {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let temporary = env.root().join("someones-tmp");
    fs::create_dir(&temporary).unwrap();
    make_read_only(&b.home);
    if is_root() {
        chown(&temporary, Some(SOMEONE), Some(SOMEONE)).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = b.command(args);
        command.env("TMPDIR", &temporary);
        if is_root() {
            command.uid(SOMEONE).gid(SOMEONE);
        }
        b.run(&mut command)
    };
    let status = run(&["status"]).success();
    assert!(status.stdout.contains("1 session"), "{status}");
    let commands: [&[&str]; 5] = [
        &["list"],
        &["search", "hello"],
        &["show", ONE],
        &["log"],
        &["push", "--dry-run"],
    ];
    for args in commands {
        run(args).success();
    }
    assert_named(&run(&["push"]), &["Permission denied"]);
    let doctor = run(&["doctor"]);
    assert_named(&doctor, &["cannot write to", "CCSYNC_HOME"]);
    for entry in walkdir::WalkDir::new(&b.home).into_iter().flatten() {
        if !entry.file_type().is_symlink() {
            let mode = if entry.file_type().is_dir() {
                0o700
            } else {
                0o600
            };
            let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode));
        }
    }
}
