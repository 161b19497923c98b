//! A password in the remote's address is in the configuration, because the user wrote it
//! there, and nowhere else. Files with sessions are readable by their owner only, also
//! while ccsync writes them.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Machine, ONE, Run, TestEnv, questions};
use crate::servers::http::{Manner, Server, TOKEN};

fn over_http(machine: &Machine, args: &[&str]) -> Run {
    machine.run(
        machine
            .command(args)
            .env("GIT_ALLOW_PROTOCOL", "http:file")
            .env("no_proxy", "127.0.0.1"),
    )
}

/// Returns the files below `dir` that hold the password.
fn betrayers(dir: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(dir)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file());
    let holds =
        |path: &PathBuf| memchr::memmem::find(&fs::read(path).unwrap(), TOKEN.as_bytes()).is_some();
    files
        .map(walkdir::DirEntry::into_path)
        .filter(holds)
        .collect()
}

#[test]
fn secrets_url_password_is_only_in_config() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let on = Arc::new(AtomicBool::new(false));
    let manner = Manner::Cuts {
        root: env.root().to_owned(),
        on: Arc::clone(&on),
        answering: false,
    };
    let name = remote.file_name().unwrap().to_str().unwrap();
    let url = |login: &str| {
        Server::start(manner.clone())
            .url(login)
            .replace("r.git", name)
    };
    let url = url(&format!("al:{TOKEN}@"));
    let a = env.machine("a");
    let mut runs =
        vec![over_http(&a, &["init", "--yes", "--name", "a", "--remote", &url]).success()];
    a.session(ONE).turn("hello").write();
    for args in [
        &["push"][..],
        &["pull"],
        &["sync"],
        &["status"],
        &["status", "--json"],
        &["list", "--remote"],
        &["undo"],
        &["push", "--json"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["init", "--yes"],
        &["init", "--yes", "--json"],
    ] {
        runs.push(over_http(&a, args).success());
    }
    on.store(true, Ordering::SeqCst);
    a.append(ONE, "more");
    runs.push(over_http(&a, &["push"]).code(6));
    runs.push(over_http(&a, &["push", "--json"]).code(6));
    let wrong = url.replace("al:", "other:");
    runs.push(over_http(&a, &["init", "--yes", "--remote", &wrong]).code(1));
    runs.push(
        over_http(
            &a,
            &[
                "config",
                "set",
                "remote",
                &url.replace("http://", "evil://"),
            ],
        )
        .code(2),
    );
    let closed = format!("http://al:{TOKEN}@127.0.0.1:9/r.git");
    runs.push(over_http(&a, &["config", "set", "remote", &closed]));
    for command in ["push", "pull", "sync", "status"] {
        runs.push(over_http(&a, &[command]));
    }
    let broken = a.home.join(".config/ccsync/config.toml");
    let good = fs::read_to_string(&broken).unwrap();
    fs::write(&broken, good.replace("remote = ", "remote = = ")).unwrap();
    runs.push(over_http(&a, &["status"]).code(1));
    fs::write(&broken, good).unwrap();

    // A set-up that failed keeps the address until one succeeds.
    let kept = broken.with_file_name("unfinished-init.json");
    let found: BTreeSet<PathBuf> = betrayers(env.root()).into_iter().collect();
    assert_eq!(found, [broken.clone(), kept].into());
    for file in found {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o077, 0);
    }
    on.store(false, Ordering::SeqCst);
    runs.push(over_http(&a, &["init", "--yes", "--remote", &url]).success());
    assert_eq!(betrayers(env.root()), std::slice::from_ref(&broken));
    for run in &runs {
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains(TOKEN),
            "{run}"
        );
    }
}

#[test]
fn push_broken_connection_queues_or_counts_as_done() {
    for (answering, code) in [(false, 6), (true, 0)] {
        let env = TestEnv::new();
        let remote = env.bare_remote();
        let on = Arc::new(AtomicBool::new(false));
        let server = Server::start(Manner::Cuts {
            root: env.root().to_owned(),
            on: Arc::clone(&on),
            answering,
        });
        let url = server
            .url("al:right@")
            .replace("r.git", remote.file_name().unwrap().to_str().unwrap());
        let (a, b) = (env.machine("a"), env.machine("b"));
        over_http(&a, &["init", "--yes", "--name", "a", "--remote", &url]).success();
        a.session(ONE).turn("hello").write();
        over_http(&a, &["push"]).success();
        a.append(ONE, "while it broke");
        on.store(true, Ordering::SeqCst);
        over_http(&a, &["push"]).code(code);
        on.store(false, Ordering::SeqCst);
        over_http(&a, &["push"]).success();
        assert_eq!(
            over_http(&a, &["status", "--json"]).success().json()["queued_commits"],
            0
        );
        b.init(&remote);
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)), ["hello", "while it broke"]);
    }
}

/// Every file of `git` and of ccsync is checked while it exists, during many processes
/// under an open umask.
#[test]
fn secrets_files_are_private_while_written() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let open = |machine: &Machine, command: &[&str]| {
        let mut sh = machine.program("sh");
        sh.args(["-c", "umask 000; exec \"$0\" \"$@\""]);
        machine.run(sh.arg(env!("CARGO_BIN_EXE_ccsync")).args(command))
    };
    // The text is too large for loose objects, so that both sides write packs.
    let text: String = (0..800_000_u64)
        .map(|n| format!("{:x} ", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40))
        .collect();
    a.session(ONE).turn(&text).write();
    for n in 0..60 {
        a.session(&format!("55555555-0000-4000-8000-0000000000{n:02}"))
            .turn(&format!("question {n}"))
            .write();
    }
    let stop = AtomicBool::new(false);
    let (seen, runs) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut open = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                for machine in [&a, &b] {
                    let own = [".local/share/ccsync", ".local/state/ccsync"]
                        .map(|dir| machine.home.join(dir));
                    open.extend(own.iter().flat_map(|dir| readable(dir)));
                }
                open.extend(readable(&b.home.join(".claude/projects")));
            }
            open
        });
        let commands: [(&Machine, &[&str]); 5] = [
            (&a, &["push"]),
            (&b, &["pull"]),
            (&b, &["undo", "--yes"]),
            (&b, &["pull"]),
            (&a, &["sync"]),
        ];
        let runs = commands.map(|(machine, command)| open(machine, command));
        stop.store(true, Ordering::Relaxed);
        (watcher.join().unwrap(), runs)
    });
    runs.into_iter().for_each(|run| drop(run.success()));
    assert_eq!(seen, BTreeSet::new());
}

/// Returns the files below `dir` that other users can read, because each directory on the
/// way lets them in.
fn readable(dir: &Path) -> Vec<PathBuf> {
    let is_open =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    let entries = walkdir::WalkDir::new(dir).min_depth(1).into_iter();
    let reached = entries
        .filter_entry(|entry| is_open(entry.path()))
        .flatten();
    reached
        .filter(|entry| entry.file_type().is_file() && is_open(entry.path()))
        .map(walkdir::DirEntry::into_path)
        .collect()
}
