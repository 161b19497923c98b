//! `ccsync daemon`: a client that was started without ccsync is locked, backed up and released.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions, say_headless};

/// Longest wait for something that the daemon does by itself.
const LIMIT: Duration = Duration::from_secs(60);

/// A running client of one machine: a process, and the file by which it says so. Its daemon ends
/// with it.
struct Client<'a> {
    machine: &'a Machine,
    process: Child,
}

impl<'a> Client<'a> {
    fn start(machine: &'a Machine) -> Self {
        let process = Command::new("sleep").arg("300").spawn().unwrap();
        machine.mark_running(ONE, process.id());
        Self { machine, process }
    }

    /// Runs a hook as the client does, and returns what it answers.
    fn hook(&self, event: &str, source: &str) -> Run {
        let json = serde_json::json!({
            "session_id": ONE,
            "transcript_path": self.machine.project_dir("work/app").join(format!("{ONE}.jsonl")),
            "cwd": self.machine.home.join("work/app"),
            "hook_event_name": event,
            "source": source,
            "prompt": "a secret prompt",
        });
        let mut command = self.machine.command(["hook", event]);
        command.env("CLAUDE_PID", self.process.id().to_string());
        self.machine.run_with_input(command, &json.to_string())
    }

    /// Ends as by `kill -9`: no hook runs, and its file stays.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.machine.command(["daemon", "--stop"]).output();
    }
}

fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_done() {
        assert!(began.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the names of the branches of a remote.
fn branches(remote: &Path) -> String {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(remote)
        .args(["for-each-ref", "--format=%(refname)"]);
    String::from_utf8(git.output().unwrap().stdout).unwrap()
}

fn is_locked(remote: &Path) -> bool {
    branches(remote).contains(ONE)
}

/// Waits until another machine can pull these questions.
fn wait_for_questions(machine: &Machine, expected: &[&str]) {
    wait_until(&format!("{expected:?} arrive"), || {
        machine.ccsync(["pull"]);
        questions(&machine.text(ONE)) == expected
    });
}

#[test]
fn daemon_plain_client_is_locked_pushed_and_released() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let mut client = Client::start(&a);
    client.hook("session-start", "resume").success();
    wait_until("the lock is taken", || is_locked(&remote));
    a.append(ONE, "first");
    client.hook("stop", "").success();
    wait_for_questions(&b, &["hello", "first"]);
    a.append(ONE, "last");
    client.kill();
    wait_until("the lock is released", || !is_locked(&remote));
    wait_for_questions(&b, &["hello", "first", "last"]);
    let log = fs::read_to_string(a.home.join(".local/state/ccsync/daemon/log")).unwrap();
    assert!(
        !log.contains("secret prompt") && !log.contains("first"),
        "{log}"
    );
}

#[test]
fn daemon_without_hooks_follows_running_client() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let mut daemon = a.command(["daemon"]).spawn().unwrap();
    let client = Client::start(&a);
    wait_until("the lock is taken", || is_locked(&remote));
    a.ccsync(["daemon"]).code(75);
    a.append(ONE, "first");
    wait_for_questions(&b, &["hello", "first"]);
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
    assert!(!is_locked(&remote));
    drop(client);
}

/// Starts a daemon, and waits until it has nothing to do.
fn start_idle(command: &mut Command, machine: &Machine) -> Child {
    let daemon = command.spawn().unwrap();
    let status = machine.home.join(".local/state/ccsync/daemon/status.json");
    wait_until("the daemon has nothing to do", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("\"synced\": \""))
    });
    daemon
}

/// A client that runs no hooks and writes no file about itself, as some programs use its SDK.
#[test]
fn daemon_backs_up_transcript_that_only_grows() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let mut daemon = start_idle(&mut a.command(["daemon"]), &a);
    a.append(ONE, "first");
    wait_for_questions(&b, &["hello", "first"]);
    a.session(TWO).project("work/new").turn("elsewhere").write();
    wait_until("the new project arrives", || {
        b.ccsync(["pull"]);
        b.sessions() == [ONE, TWO]
    });
    assert!(!is_locked(&env.remote_of_pair()));
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
}

/// The system lets the user watch nothing: `sysctl user.max_inotify_instances`.
#[cfg(target_os = "linux")]
#[test]
fn daemon_without_watches_looks_from_time_to_time() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let with_limit = |then: &str| {
        let mut command = a.program("unshare");
        let limit = "echo 0 >/proc/sys/user/max_inotify_instances";
        command.args(["--user", "--map-root-user", "sh", "-c"]);
        command.arg(format!("{limit} && exec {then}"));
        command
    };
    if a.run(&mut with_limit("true")).code != Some(0) {
        return;
    }
    let daemon = concat!(env!("CARGO_BIN_EXE_ccsync"), " daemon");
    let mut daemon = start_idle(&mut with_limit(daemon), &a);
    let client = Client::start(&a);
    wait_until("the lock is taken", || is_locked(&env.remote_of_pair()));
    a.append(ONE, "first");
    wait_for_questions(&b, &["hello", "first"]);
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
    drop(client);
}

#[test]
fn daemon_spare_process_of_client_leaves_no_lock() {
    let env = TestEnv::new();
    let (a, _b) = env.pair();
    let client = Client::start(&a);
    fs::remove_dir_all(a.home.join(".claude/sessions")).unwrap();
    client.hook("session-start", "startup").success();
    client.hook("session-end", "").success();
    let status = || a.ccsync(["auto", "status", "--json"]).success().json();
    wait_until("the daemon has ended", || {
        status()["daemon_is_running"] == false
    });
    assert!(!is_locked(&env.remote_of_pair()));
    drop(client);
}

#[test]
fn daemon_new_session_is_locked_before_its_first_prompt() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let before = head(&remote);
    let mut client = Client::start(&a);
    client.hook("session-start", "startup").success();
    wait_until("the lock is taken", || is_locked(&remote));
    client.kill();
    wait_until("the lock is released", || !is_locked(&remote));
    assert_eq!(head(&remote), before, "nothing but the lock was sent");
    b.ccsync(["pull"]).success();
    assert_eq!([a.sessions(), b.sessions()], [[""; 0]; 2]);
}

/// As `claude -p` says it, with and without hooks.
#[test]
fn daemon_headless_run_is_pushed_without_lock() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let client = Client::start(&a);
    say_headless(&a.home, client.process.id());
    let mut daemon = start_idle(&mut a.command(["daemon"]), &a);
    a.append(ONE, "first");
    wait_for_questions(&b, &["hello", "first"]);
    assert!(!is_locked(&env.remote_of_pair()));
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
    drop(client);
}

#[test]
fn daemon_ends_beside_odd_files_in_its_directory() {
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let directory = a.home.join(".local/state/ccsync/daemon");
    let spool = directory.join("spool");
    fs::create_dir_all(spool.join("directory.json")).unwrap();
    fs::write(
        spool.join("newer.json"),
        r#"{"time": 1, "event": "thought"}"#,
    )
    .unwrap();
    let pipe = Command::new("mkfifo").arg(spool.join("pipe.json")).status();
    assert!(pipe.unwrap().success());
    let status = directory.join("status.json");
    fs::write(&status, r#"{"version": 99, "sessions": []}"#).unwrap();
    let line = a.ccsync(["statusline"]).success().stdout;
    assert_eq!(line, "ccsync: not running\n");
    a.ccsync(["daemon", "--on-demand"]).success();
    let text = fs::read_to_string(status).unwrap();
    assert!(text.contains("\"version\": 1"), "{text}");
    let left = fs::read_dir(spool).unwrap().count();
    assert_eq!(left, 1, "the directory");
}

#[test]
fn daemon_prompt_without_transcript_leaves_no_lock() {
    let env = TestEnv::new();
    let (a, _b) = env.pair();
    let remote = env.remote_of_pair();
    let mut client = Client::start(&a);
    client.hook("session-start", "startup").success();
    client.hook("user-prompt-submit", "").success();
    wait_until("the lock is taken", || is_locked(&remote));
    client.kill();
    wait_until("the lock is released", || !is_locked(&remote));
}

#[test]
fn daemon_client_that_names_only_its_pid_is_released() {
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let mut client = Client::start(&a);
    fs::remove_dir_all(a.home.join(".claude/sessions")).unwrap();
    client.hook("session-start", "resume").success();
    wait_until("the lock is taken", || is_locked(&remote));
    client.kill();
    wait_until("the lock is released", || !is_locked(&remote));
}

#[test]
fn daemon_second_client_does_not_end_session() {
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let client = Client::start(&a);
    client.hook("session-start", "resume").success();
    let status = a.home.join(".local/state/ccsync/daemon/status.json");
    wait_until("the lock is taken", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("\"locked_since\": \""))
    });
    a.append(ONE, "more");
    client.hook("session-end", "").success();
    let synced = || {
        let text = fs::read_to_string(&status).unwrap();
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        (
            status["synced"].clone(),
            status["sessions"][ONE]["locked_since"].is_string(),
        )
    };
    let (before, _) = synced();
    wait_until("the turn is pushed", || synced().0 != before);
    assert!(is_locked(&remote) && synced().1);
    drop(client);
}

#[test]
fn daemon_releases_session_for_resume_at_once() {
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let stand_in = crate::harness::client::Client::install(&a);
    let mut client = Client::start(&a);
    client.hook("session-start", "resume").success();
    wait_until("the lock is taken", || is_locked(&remote));
    client.kill();
    let run = a
        .run(&mut stand_in.command(&["resume", ONE], "resumed"))
        .success();
    assert!(run.stderr.contains("Continue anywhere"), "{run}");
}

/// Returns the process that holds the lock of the session.
fn holder(machine: &Machine) -> Option<u64> {
    let lease = machine
        .home
        .join(format!(".local/state/ccsync/locks/{ONE}.json"));
    let lease: serde_json::Value = serde_json::from_slice(&fs::read(lease).ok()?).ok()?;
    lease["holder"]["pid"].as_u64()
}

#[test]
fn daemon_leaves_session_of_resume_alone() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let stand_in = crate::harness::client::Client::install(&a);
    let mut daemon = start_idle(&mut a.command(["daemon"]), &a);
    let child = stand_in.start(&["resume", ONE], "first");
    wait_for_questions(&b, &["hello", "first"]);
    assert_eq!(holder(&a), Some(u64::from(child.id())));
    a.append(ONE, "second");
    wait_for_questions(&b, &["hello", "first", "second"]);
    stand_in.finish();
    let run = a.ended(child).success();
    assert!(run.stderr.contains("2 turns saved"), "{run}");
    assert!(run.stderr.contains("lock released"), "{run}");
    assert!(!is_locked(&env.remote_of_pair()));
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
    let log = fs::read_to_string(a.home.join(".local/state/ccsync/daemon/log")).unwrap();
    assert!(
        !log.contains("pushed"),
        "one of two pushed the turns: {log}"
    );
}

#[test]
fn daemon_takes_over_session_of_killed_resume() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let stand_in = crate::harness::client::Client::install(&a);
    let mut daemon = a.command(["daemon"]).spawn().unwrap();
    let mut child = stand_in.start_late(&["resume", ONE], "last");
    child.kill().unwrap();
    child.wait().unwrap();
    a.append(ONE, "first");
    wait_until("the daemon has the lock", || {
        holder(&a) == Some(u64::from(daemon.id()))
    });
    wait_for_questions(&b, &["hello", "first"]);
    stand_in.finish();
    let remote = env.remote_of_pair();
    wait_until("the lock is released", || !is_locked(&remote));
    wait_for_questions(&b, &["hello", "first", "last"]);
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
}

#[test]
fn daemon_ends_by_signal_although_an_event_waits() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let mut daemon = a.command(["daemon", "--on-demand"]).spawn().unwrap();
    let status = a.home.join(".local/state/ccsync/daemon/status.json");
    wait_until("the daemon runs", || status.exists());
    let spool = a.home.join(".local/state/ccsync/daemon/spool");
    fs::create_dir_all(&spool).unwrap();
    fs::write(spool.join(".left-by-a-killed-hook"), "").unwrap();
    kill_process(
        Pid::from_raw(daemon.id().cast_signed()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert!(daemon.wait().unwrap().success());
}

/// Returns the commit of the sessions on a remote.
fn head(remote: &PathBuf) -> Vec<u8> {
    let mut git = Command::new("git");
    git.arg("-C").arg(remote).args(["rev-parse", "main"]);
    git.output().unwrap().stdout
}

/// Records that Claude Code adds when a session is opened and left.
fn look(machine: &Machine) {
    let exit = serde_json::json!({
        "type": "user",
        "uuid": uuid::Uuid::new_v4().to_string(),
        "cwd": machine.home.join("work/app"),
        "message": {"content": "<command-name>/exit</command-name>"},
    });
    for record in [
        r#"{"type":"last-prompt","lastPrompt":"hello"}"#,
        r#"{"type":"mode","mode":"normal"}"#,
        &exit.to_string(),
    ] {
        machine.append_raw(ONE, format!("{record}\n").as_bytes());
    }
}

#[test]
fn daemon_look_waits_for_next_turn() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let before = head(&remote);
    let opened = |change: &dyn Fn()| {
        let mut client = Client::start(&a);
        client.hook("session-start", "resume").success();
        wait_until("the lock is taken", || is_locked(&remote));
        change();
        client.kill();
        wait_until("the lock is released", || !is_locked(&remote));
    };
    opened(&|| look(&a));
    opened(&|| look(&a));
    assert_eq!(head(&remote), before);

    let title = r#"{"type":"custom-title","customTitle":"a new name"}"#;
    let rename = || a.append_raw(ONE, format!("{title}\n").as_bytes());
    opened(&rename);
    assert_ne!(head(&remote), before, "a new title is sent");
    let named = head(&remote);
    opened(&|| {
        look(&a);
        rename();
    });
    assert_eq!(head(&remote), named, "the same title again is a look");
    opened(&|| a.append(ONE, "a turn"));
    b.ccsync(["pull"]).success();
    let arrived = b.text(ONE);
    assert!(arrived.contains("a turn"), "{arrived}");
    assert_eq!(arrived.matches("<command-name>").count(), 3);

    opened(&|| look(&a));
    let sent = head(&remote);
    a.ccsync(["push"]).success();
    assert_ne!(head(&remote), sent, "on request, all is sent");
}

/// Opens the session on a machine, which takes the lock, and then on another one.
fn open_one_after_the_other<'a>(
    first: &'a Machine,
    second: &'a Machine,
    remote: &Path,
) -> (Client<'a>, Client<'a>) {
    let opened = [first, second].map(|machine| {
        let client = Client::start(machine);
        client.hook("session-start", "resume").success();
        wait_until("the lock is taken", || is_locked(remote));
        client
    });
    opened.into()
}

#[test]
fn daemon_guard_returns_first_prompt_once() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let (mut at_b, mut at_a) = open_one_after_the_other(&b, &a, &remote);
    let status = a.home.join(".local/state/ccsync/daemon/status.json");
    wait_until("the daemon knows", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("holds_lock"))
    });
    let refused = at_a.hook("user-prompt-submit", "").code(2);
    assert!(refused.stderr.contains("open on b"), "{refused}");
    assert!(
        refused.stderr.contains(&format!("claude --resume {ONE}")),
        "{refused}"
    );
    assert_eq!(refused.stdout, "");
    let again = at_a.hook("user-prompt-submit", "").success();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    // The prompts become a fork; nothing of either side is lost.
    a.append(ONE, "on a");
    at_a.hook("stop", "").success();
    b.append(ONE, "on b");
    at_b.hook("stop", "").success();
    at_a.kill();
    at_b.kill();
    wait_until("both are released", || !is_locked(&remote));
    wait_until("both sides are everywhere", || {
        [&a, &b].iter().all(|machine| {
            machine.ccsync(["sync"]);
            machine.all_questions() == [["hello", "on a"], ["hello", "on b"]]
        })
    });
}

#[test]
fn daemon_fork_grows_after_lock_of_session_is_free() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let (mut at_b, mut at_a) = open_one_after_the_other(&b, &a, &remote);
    let pushed = |turn: &str| {
        a.append(ONE, turn);
        at_a.hook("stop", "").success();
        wait_until("the turn is a fork", || {
            b.ccsync(["pull"]);
            b.all_questions().iter().flatten().any(|said| said == turn)
        });
    };
    pushed("on a");
    at_b.kill();
    wait_until("the lock is released", || !is_locked(&remote));
    pushed("more");
    pushed("and more");
    at_a.kill();
    wait_until("the fork has every turn, the session none", || {
        a.ccsync(["sync"]);
        a.all_questions() == [vec!["hello"], vec!["hello", "on a", "more", "and more"]]
    });
}

#[test]
fn daemon_guard_counts_turns_that_are_not_here() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "on b");
    b.append(ONE, "more on b");
    b.ccsync(["push"]).success();
    let mut client = Client::start(&a);
    client.hook("session-start", "resume").success();
    let status = a.home.join(".local/state/ccsync/daemon/status.json");
    wait_until("the daemon knows", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("\"turns\": 2"))
    });
    let refused = client.hook("user-prompt-submit", "").code(2);
    assert!(
        refused.stderr.contains("2 turns of it are not here"),
        "{refused}"
    );
    client.kill();
    wait_until("the turns are here", || {
        questions(&a.text(ONE)) == ["hello", "on b", "more on b"]
    });
}

#[test]
fn daemon_sends_what_was_queued_offline() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    let client = Client::start(&a);
    client.hook("session-start", "resume").success();
    a.append(ONE, "offline");
    client.hook("stop", "").success();
    let line = || a.ccsync(["statusline"]).success().stdout;
    wait_until("the status line says so", || line().contains("not synced"));
    fs::rename(&away, &remote).unwrap();
    wait_for_questions(&b, &["hello", "offline"]);
    wait_until("the status line is calm", || line().starts_with("synced"));
    drop(client);
}

#[test]
fn daemon_catch_up_pulls_before_client_starts() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "on b");
    b.ccsync(["push"]).success();
    a.ccsync(["catch-up"]).success();
    wait_until("the turn is here", || {
        questions(&a.text(ONE)) == ["hello", "on b"]
    });
    a.ccsync(["daemon", "--stop"]).success();
}

#[test]
fn daemon_excluded_session_gets_no_lock() {
    let env = TestEnv::new();
    let (a, _b) = env.pair();
    a.ccsync(["config", "exclude", "~/work/**"]).success();
    a.session(ONE).project("work/app").turn("private").write();
    let client = Client::start(&a);
    client.hook("session-start", "resume").success();
    client.hook("user-prompt-submit", "").success();
    client.hook("stop", "").success();
    let status = a.home.join(".local/state/ccsync/daemon/status.json");
    wait_until("the daemon has pushed", || {
        fs::read_to_string(&status)
            .is_ok_and(|text| text.contains(ONE) && !text.contains("\"synced\": null"))
    });
    let branches = branches(&env.remote_of_pair());
    assert!(!branches.contains(ONE), "{branches}");
    drop(client);
}

#[test]
fn daemon_session_that_becomes_excluded_loses_lock() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let client = Client::start(&a);
    client.hook("session-start", "resume").success();
    wait_until("the lock is taken", || is_locked(&remote));
    a.ccsync(["config", "exclude", "~/work/**"]).success();
    a.append(ONE, "private");
    client.hook("stop", "").success();
    wait_until("the lock is released", || !is_locked(&remote));
    a.append(ONE, "more");
    client.hook("stop", "").success();
    let log = a.home.join(".local/state/ccsync/daemon/log");
    wait_until("the daemon says so", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("is excluded: lock released"))
    });
    drop(client);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    assert!(!is_locked(&remote));
}

#[test]
fn daemon_beside_hooks_and_typed_pushes_doubles_no_turn() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let mut client = Client::start(&a);
    client.hook("session-start", "resume").success();
    let mut expected = vec!["hello".to_owned()];
    for round in 0..3 {
        a.append(ONE, &format!("turn {round}"));
        expected.push(format!("turn {round}"));
        std::thread::scope(|scope| {
            for number in 0..10 {
                let event = ["user-prompt-submit", "stop"][number % 2];
                let client = &client;
                scope.spawn(move || client.hook(event, "").success());
            }
            for _ in 0..3 {
                scope.spawn(|| a.ccsync(["push"]).success());
            }
        });
        a.ccsync(["daemon"]).code(75);
    }
    client.kill();
    wait_until("the lock is released", || !is_locked(&remote));
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), expected);
    assert_eq!(b.sessions(), [ONE]);
}

#[test]
fn daemon_that_pushes_makes_typed_push_wait() {
    use crate::harness::library::with_context_at;
    use ccsync::domain::{ErrorKind, UserError};
    use ccsync::sys::clock::ManualClock;
    use ccsync::workspace::Selection;

    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let script = "#!/bin/sh\ncase \" $* \" in *\" push \"*)\n\
                  while [ -e \"$HOME/hangs\" ]; do touch \"$HOME/waits\"; sleep 0.1; done;; esac\n\
                  PATH=$(echo \"$PATH\" | sed \"s|$HOME/.bin:||\") exec git \"$@\"\n";
    let bin = a.home.join(".bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("git"), script).unwrap();
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("git"), rights).unwrap();
    fs::write(a.home.join("hangs"), "").unwrap();
    a.append(ONE, "more");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut daemon = a.command(["daemon"]).env("PATH", path).spawn().unwrap();
    wait_until("the daemon pushes", || a.home.join("waits").exists());

    let mut push = a.command(["push"]).spawn().unwrap();
    let lock = a.home.join(".local/state/ccsync/lock");
    let descriptors = format!("/proc/{}/fd", push.id());
    wait_until("the typed push waits", || {
        let open = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        let mut targets = open.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target == lock)
    });
    // One that has waited for two minutes gives up.
    let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
    let busy = with_context_at(&a, &clock, |ctx| {
        ccsync::flows::push::push(ctx, &Selection::default(), false).unwrap_err()
    });
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(push.try_wait().unwrap().is_none());
    fs::remove_file(a.home.join("hangs")).unwrap();
    assert!(push.wait().unwrap().success());
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
}
