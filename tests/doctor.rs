//! `ccsync doctor`: each check on a healthy and on a faulty machine. The checks change
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Clone, Machine, ONE, Run, TestEnv, tree};

/// Returns the status of a check, and its message with the fix.
fn find_check(run: &Run, name: &str) -> (String, String) {
    let report = run.json();
    let checks = report["checks"].as_array().unwrap();
    // If several checks have this name, the worst one counts.
    let rank = |check: &&Value| {
        ["ok", "warning", "error"]
            .iter()
            .position(|v| check["status"] == *v)
    };
    let check = checks
        .iter()
        .filter(|check| check["name"] == name)
        .max_by_key(rank);
    let check = check.unwrap_or_else(|| panic!("no check {name}\n{run}"));
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (
        text("status"),
        format!("{}: {}", text("message"), text("fix")),
    )
}

fn doctor(machine: &Machine) -> Run {
    machine.ccsync(["doctor", "--json"])
}

/// Fails unless the check `name` has this status and its text contains each of `words`.
#[track_caller]
fn expect(run: &Run, name: &str, status: &str, words: &[&str]) {
    let (found, text) = find_check(run, name);
    assert_eq!(found, status, "{name}: {text}\n{run}");
    for word in words {
        assert!(
            text.contains(word),
            "{name}: {word:?} is missing in {text:?}"
        );
    }
    assert_eq!(
        run.code,
        Some(i32::from(run.json()["status"] == "error")),
        "{run}"
    );
}

/// A directory for the front of the PATH, with programs that are shell scripts.
fn programs(env: &TestEnv, scripts: &[(&str, &str)]) -> PathBuf {
    let directory = env
        .root()
        .join(format!("bin-{}", fs::read_dir(env.root()).unwrap().count()));
    fs::create_dir(&directory).unwrap();
    for (name, script) in scripts {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        set_mode(&path, 0o755);
    }
    directory
}

/// `ccsync doctor --json` with programs before those of the system.
fn doctor_with(machine: &Machine, directory: &Path) -> Run {
    let path = std::env::join_paths(
        std::iter::once(directory.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    machine.run(
        machine
            .command(["doctor", "--json"])
            .env("PATH", path.unwrap()),
    )
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

fn refs(remote: &Path) -> String {
    let out = Command::new("git")
        .arg("-C")
        .arg(remote)
        .args(["for-each-ref"])
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn doctor_healthy_machine_is_ok_and_unchanged() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    set_mode(&a.home.join(".claude"), 0o700);
    let bin = programs(&env, &[("claude", "echo '2.1.329 (Claude Code)'")]);
    let before = (a.tree(), refs(&env.remote_of_pair()));
    let run = doctor_with(&a, &bin).success();
    let report = run.json();
    assert_eq!(report["status"], "ok", "{run}");
    assert_eq!((a.tree(), refs(&env.remote_of_pair())), before);
    let names: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    let expected = [
        "configuration",
        "git",
        "gh",
        "Claude Code",
        "remote",
        "lock branches",
        "store",
        "clock",
        "placeholders",
        "own locks",
        "permissions",
        "ccsync",
        "disk",
    ];
    assert!(
        expected.iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    let text = a.ccsync(["doctor"]).success();
    let lines: Vec<&str> = text.stdout.lines().collect();
    assert_eq!(lines.len(), names.len() + 1, "one line each: {text}");
    let column = |line: &str| line.find("configuration").or(line.find("git  "));
    assert_eq!(column(lines[0]), column(lines[1]), "{text}");
}

#[test]
fn doctor_without_setup_warns_and_creates_nothing() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let before = a.tree();
    let run = doctor(&a);
    expect(
        &run,
        "configuration",
        "warning",
        &["not set up", "ccsync init"],
    );
    expect(&run, "store", "ok", &["nothing is stored yet"]);
    assert_eq!(a.tree(), before, "looking sets nothing up");
}

#[test]
fn doctor_broken_config_does_not_stop_other_checks() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let config = a.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\nday = [\n")).unwrap();
    let run = doctor(&a);
    expect(
        &run,
        "configuration",
        "error",
        &["line ", "correct it in", "config.toml"],
    );
    expect(&run, "store", "ok", &["1 session"]);
    expect(&run, "git", "ok", &["version 2."]);
    expect(&run, "remote", "warning", &["configuration"]);
    fs::remove_file(&config).unwrap();
    expect(
        &doctor(&a),
        "configuration",
        "error",
        &["is missing", "ccsync init --remote URL"],
    );
}

#[test]
fn doctor_missing_or_old_git_is_error() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let empty = programs(&env, &[]);
    let run = a.run(a.command(["doctor", "--json"]).env("PATH", &empty));
    expect(&run, "git", "error", &["no program", "https://git-scm.com"]);
    expect(&run, "remote", "error", &["git"]);
    let old = programs(&env, &[("git", "echo 'git version 2.20.1'")]);
    expect(&doctor_with(&a, &old), "git", "error", &["2.20", "2.34"]);
}

#[test]
fn doctor_client_version_is_checked() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    for (script, status, words) in [
        ("echo '2.1.329 (Claude Code)'", "ok", "version 2.1.329"),
        (
            "echo '9.0.0 (Claude Code)'",
            "ok",
            "newer than the newest tested one",
        ),
        ("echo '0.9.1 (Claude Code)'", "warning", "claude update"),
        ("echo hello", "warning", "prints no version"),
        ("exit 1", "warning", "prints no version"),
    ] {
        expect(
            &doctor_with(&a, &programs(&env, &[("claude", script)])),
            "Claude Code",
            status,
            &[words],
        );
    }
    let git = programs(&env, &[("git", "echo 'git version 2.47.3'")]);
    let run = a.run(a.command(["doctor", "--json"]).env("PATH", &git));
    expect(
        &run,
        "Claude Code",
        "warning",
        &["no program", "claude --version"],
    );
}

#[test]
fn doctor_gh_matters_only_for_github_remote() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let out = programs(&env, &[("gh", "exit 1")]);
    expect(&doctor_with(&a, &out), "gh", "ok", &["does not need it"]);
    let signed_in = programs(&env, &[("gh", "exit 0")]);
    expect(&doctor_with(&a, &signed_in), "gh", "ok", &["signed in"]);
    set_remote(&a, "https://al:hunter2@github.com/al/sessions.git");
    let run = doctor_with(&a, &out);
    expect(&run, "gh", "warning", &["gh auth login"]);
    assert!(!run.stdout.contains("hunter2"), "{run}");
    assert_ne!(find_check(&run, "remote").0, "ok");
}

#[test]
fn doctor_public_repository_is_error() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    set_remote(&a, "git@github.com:al/sessions.git");
    let answer = |visibility: &str| {
        format!(
            "echo '{{\"data\":{{\"repository\":{{\"nameWithOwner\":\"al/sessions\",\"url\":\"https://github.com/al/sessions\",\
             \"sshUrl\":\"git@github.com:al/sessions.git\",\"visibility\":\"{visibility}\",\"isEmpty\":false}}}}}}'"
        )
    };
    for (said, status, words) in [
        (
            answer("PUBLIC"),
            "error",
            "gh api --hostname github.com --method PATCH repos/al/sessions -f visibility=private",
        ),
        (answer("PRIVATE"), "ok", "is private"),
        (answer("INTERNAL"), "warning", "organisation"),
        (
            "echo HTTP 404 >&2; exit 1".to_owned(),
            "ok",
            "cannot look it up",
        ),
    ] {
        let gh = format!(
            "case \"$1 $2 $3 $4\" in 'auth status --hostname github.com') ;; 'api graphql '*) {said};; *) exit 1;; esac"
        );
        expect(
            &doctor_with(&a, &programs(&env, &[("gh", &gh), ("ssh", "exit 255")])),
            "visibility",
            status,
            &[words],
        );
    }
}

fn set_remote(machine: &Machine, remote: &str) {
    let config = machine.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let others = text.lines().filter(|line| !line.starts_with("remote"));
    fs::write(
        &config,
        format!(
            "remote = \"{remote}\"\n{}\n",
            others.collect::<Vec<_>>().join("\n")
        ),
    )
    .unwrap();
}

#[test]
fn doctor_missing_remote_names_reason() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    fs::rename(env.remote_of_pair(), env.root().join("away.git")).unwrap();
    let run = doctor(&a);
    expect(
        &run,
        "remote",
        "error",
        &["repository not found", "ccsync init --remote"],
    );
    expect(&run, "lock branches", "warning", &["not checked"]);
    // Offline is not an error: pushes are queued.
    let offline = "case \"$*\" in *ls-remote*) echo 'ssh: Could not resolve hostname host: Name or service not known' >&2; exit 128;; \
                   *version*) echo 'git version 2.47.3';; esac";
    set_remote(&a, "git@host.invalid:al/sessions.git");
    expect(
        &doctor_with(&a, &programs(&env, &[("git", offline)])),
        "remote",
        "warning",
        &["queued here", "git ls-remote"],
    );
}

#[test]
fn doctor_silent_remote_times_out() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let silent = "case \"$*\" in *ls-remote*) exec sleep 100000;; *version*) echo 'git version 2.47.3';; esac";
    let run = doctor_with(&a, &programs(&env, &[("git", silent)]));
    assert_ne!(find_check(&run, "remote").0, "ok", "{run}");
    expect(&run, "lock branches", "warning", &["not checked"]);
}

#[test]
fn doctor_local_remote_is_warning() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.ccsync(["init"]).success();
    expect(
        &doctor(&a),
        "remote",
        "warning",
        &["on this disk only", "ccsync init"],
    );
}

#[test]
fn doctor_remote_rejecting_locks_is_found() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let remote = env.remote_of_pair();
    expect(
        &doctor(&a),
        "lock branches",
        "ok",
        &["created, moved and deleted"],
    );
    assert!(
        !refs(&remote).contains("ccsync/lock"),
        "nothing is left behind"
    );
    let hook = remote.join("hooks/update");
    let script = "#!/bin/sh\ncase $1 in refs/heads/ccsync/lock/*) echo \"only reviewed branches here\" >&2; exit 1;; esac\n";
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, script).unwrap();
    set_mode(&hook, 0o755);
    expect(
        &doctor(&a),
        "lock branches",
        "error",
        &[
            "cannot create one",
            "only reviewed branches here",
            "ccsync/lock/",
        ],
    );
    fs::remove_file(&hook).unwrap();
    let config = fs::read_to_string(remote.join("config")).unwrap();
    fs::write(
        remote.join("config"),
        config + "[receive]\n\tdenyDeletes = true\n",
    )
    .unwrap();
    expect(
        &doctor(&a),
        "lock branches",
        "warning",
        &["cannot delete one", "stays there"],
    );
    assert_eq!(
        refs(&remote).matches("ccsync/lock").count(),
        1,
        "the one that is named"
    );
    // It says that it is free.
    let shown = a.ccsync(["lock", "show"]).success();
    assert!(shown.stderr.contains("no locks"), "{shown}");
}

#[test]
fn doctor_future_time_of_machine_warns_about_clock() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    expect(
        &doctor(&a),
        "clock",
        "ok",
        &["no time of another machine is in the future"],
    );
    let other = env.machine("other");
    let clone = Clone::new(&env.remote_of_pair(), &other);
    let id = b.ccsync(["config", "show", "--json"]).success().json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("machines/{id}.json");
    let mut machine: Value =
        serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
    machine["last_push"] = "2999-01-01T00:00:00Z".into();
    clone.write(&path, machine.to_string());
    clone.push();
    a.ccsync(["pull"]).success();
    expect(
        &doctor(&a),
        "clock",
        "warning",
        &["the last push of b", "days in the future", "date -u"],
    );
}

#[test]
fn doctor_future_commit_warns_about_clock() {
    let env = TestEnv::new();
    let (a, other) = (env.machine("a"), env.machine("other"));
    let remote = env.bare_remote();
    a.init(&remote);
    let clone = Clone::new(&remote, &other);
    clone.write("note", "x");
    let mut commit = other.program("git");
    commit
        .arg("-C")
        .arg(&clone.path)
        .args(["commit", "--quiet", "--message", "x"]);
    other
        .run(commit.env("GIT_COMMITTER_DATE", "2090-01-01T00:00:00Z"))
        .success();
    clone.git(&["push", "--quiet", "origin", "main"]);
    a.ccsync(["pull"]).success();
    expect(
        &doctor(&a),
        "clock",
        "warning",
        &["a commit of another program", "in the future"],
    );
}

#[test]
fn doctor_readable_files_are_named_with_chmod() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    set_mode(&a.home.join(".claude"), 0o700);
    expect(&doctor(&a), "permissions", "ok", &[]);
    let state = a.home.join(".local/state/ccsync");
    set_mode(&state, 0o755);
    expect(
        &doctor(&a),
        "permissions",
        "warning",
        &["other users can read", "chmod -R go-rwx", "state/ccsync"],
    );
    set_mode(&state, 0o700);
    set_mode(&a.home.join(".config/ccsync/config.toml"), 0o644);
    expect(&doctor(&a), "permissions", "warning", &["config.toml"]);
    set_mode(&a.home.join(".config/ccsync/config.toml"), 0o600);
    set_mode(&a.home.join(".claude"), 0o755);
    for directory in [a.home.join(".claude/projects"), a.project_dir("work/app")] {
        set_mode(&directory, 0o755);
    }
    set_mode(&a.transcript_path(ONE), 0o644);
    expect(
        &doctor(&a),
        "permissions",
        "warning",
        &["other users can read 1 transcript", "projects"],
    );
    set_mode(&a.transcript_path(ONE), 0o600);
    expect(&doctor(&a), "permissions", "ok", &[]);
}

#[test]
fn doctor_unplaced_sessions_are_counted_by_placeholder() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    expect(&doctor(&b), "placeholders", "ok", &["every placeholder"]);
    a.add_placeholder("WORK=~/work");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    expect(
        &doctor(&b),
        "placeholders",
        "ok",
        &["WORK", "no session needs it"],
    );
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let run = doctor(&b);
    expect(
        &run,
        "placeholders",
        "warning",
        &[
            "WORK",
            "1 session needs it",
            "ccsync config add-placeholder WORK=PATH",
        ],
    );
    b.add_placeholder("WORK=~/arbeit");
    expect(&doctor(&b), "placeholders", "ok", &["every placeholder"]);
}

#[test]
fn doctor_other_ccsync_on_path_is_named() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let this = env!("CARGO_BIN_EXE_ccsync");
    let linked = programs(&env, &[]);
    std::os::unix::fs::symlink(this, linked.join("ccsync")).unwrap();
    expect(&doctor_with(&a, &linked), "ccsync", "ok", &["the only one"]);
    let other = programs(&env, &[("ccsync", "echo 'ccsync 9.8.7'")]);
    let run = doctor_with(&a, &other);
    expect(
        &run,
        "ccsync",
        "warning",
        &["`ccsync` starts", "9.8.7", "which -a ccsync"],
    );
    let hostile = programs(&env, &[("ccsync", "printf 'ccsync \\033[2J;rm'")]);
    expect(
        &doctor_with(&a, &hostile),
        "ccsync",
        "warning",
        &["of an unknown version"],
    );
}

#[test]
fn doctor_damaged_store_is_error() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let store = a.data().join("store");
    let head = fs::read_to_string(store.join(".git/refs/heads/main")).unwrap();
    fs::write(
        store.join(".git/refs/heads/main"),
        "0123456789012345678901234567890123456789\n",
    )
    .unwrap();
    let run = doctor(&a);
    expect(
        &run,
        "store",
        "error",
        &["mv ", "store.damaged", "ccsync sync"],
    );
    fs::write(store.join(".git/refs/heads/main"), head).unwrap();
    expect(&doctor(&a), "store", "ok", &["1 session"]);
    // The commit is queued.
    fs::rename(env.remote_of_pair(), env.root().join("away.git")).unwrap();
    a.append(ONE, "more");
    a.ccsync(["push"]).code(6);
    expect(
        &doctor(&a),
        "store",
        "warning",
        &["1 commit to push", "ccsync push"],
    );
}

#[test]
fn doctor_unreadable_session_is_error() {
    let env = TestEnv::new();
    let (a, other) = (env.machine("a"), env.machine("other"));
    let remote = env.bare_remote();
    a.init(&remote);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&remote, &other);
    clone.write(&format!("sessions/11/{ONE}/manifest.json"), "{");
    clone.push();
    a.ccsync(["pull"]);
    expect(
        &doctor(&a),
        "store",
        "error",
        &["cannot be read", "ccsync verify"],
    );
}

#[test]
fn doctor_locks_of_dead_process_are_found() {
    use ccsync::lock::lease::{Holder, Lease};
    use ccsync::lock::record::{Identity, LockRecord, Stamp};
    use ccsync::lock::state::HeldLock;
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    expect(&doctor(&a), "own locks", "ok", &["no locks"]);
    let id = a.ccsync(["config", "show", "--json"]).success().json()["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let identity = Identity {
        machine: id,
        host: "a".to_owned(),
        pid: 1,
    };
    let stamp = Stamp::new("2026-03-01T00:00:00Z".parse().unwrap());
    let record = LockRecord::first(ONE.parse().unwrap(), &identity, stamp);
    let held = HeldLock {
        record,
        commit: "0123456789".repeat(4).parse().unwrap(),
        pending: None,
    };
    let holder = Holder {
        pid: i32::MAX as u32,
        started: None,
        domain: None,
    };
    let lease = Lease {
        session: ONE.parse().unwrap(),
        lock: held,
        holder,
        lost: false,
    };
    let directory = a.home.join(".local/state/ccsync/locks");
    fs::create_dir_all(&directory).unwrap();
    lease.save(&directory).unwrap();
    expect(
        &doctor(&a),
        "own locks",
        "warning",
        &["1 left behind", "ccsync recover"],
    );
    fs::write(directory.join(format!("{ONE}.json")), "{").unwrap();
    expect(&doctor(&a), "own locks", "warning", &["ccsync lock show"]);
}

#[test]
fn doctor_does_not_wait_for_other_process() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let lock = fs::OpenOptions::new()
        .write(true)
        .open(a.home.join(".local/state/ccsync/lock"))
        .unwrap();
    lock.lock().unwrap();
    let before = tree(&a.data());
    expect(&doctor(&a), "store", "ok", &["1 session"]);
    assert_eq!(tree(&a.data()), before);
}
