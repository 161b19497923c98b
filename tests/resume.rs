//! Sessions continue under their locks: two machines, a real remote, and a client that
//! can be stopped in the middle of a run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;

use ccsync::domain::client_dir::client_dir_name;
use ccsync::leasing::acquire::{self, AcquireOutcome};
use ccsync::lock::state::TakeOver;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::client::{Client, wait_for};
use crate::harness::library::with_context;
use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

/// Returns the locks on a remote.
pub(crate) fn locked_sessions(remote: &Path, machine: &Machine) -> Vec<String> {
    let mut git = machine.program("git");
    git.arg("--git-dir").arg(remote).args([
        "for-each-ref",
        "--format=%(refname:lstrip=4)",
        "refs/heads/ccsync/lock",
    ]);
    machine
        .run(&mut git)
        .success()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Returns the result of a child that has ended.
fn ended(machine: &Machine, child: Child) -> Run {
    machine.ended(child)
}

#[test]
fn resume_on_other_machine_and_back() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let run = at_a.run(&["start", "--", "--model", "opus"], "one");
    run.success();
    assert!(at_a.arguments()[0].ends_with("--model opus"));
    let id = a.sessions().remove(0);
    at_b.run(&["resume", &id[..6]], "two").success();
    assert_eq!(at_b.arguments(), [format!("--resume {id}")]);
    let mut command = at_a.command(&["resume", "--latest"], "three");
    let run = a.run(command.env("CLIENT_EXIT", "7"));
    insta::assert_snapshot!(run.to_string().replace(&id, "ID").replace(&id[..8], "ID8"));
    assert_eq!(questions(&a.text(&id)), ["one", "two", "three"]);
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
}

#[test]
fn resume_backs_up_turn_within_seconds() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_a = Client::install(&a);
    let child = at_a.start(&["resume", ONE], "first");
    for turns in [&["hello", "first"][..], &["hello", "first", "second"]] {
        wait_for("the turn arrives", || {
            b.ccsync(["pull"]);
            questions(&b.text(ONE)) == turns
        });
        if turns.len() == 2 {
            a.append(ONE, "second");
        }
    }
    at_a.finish();
    let run = ended(&a, child).success();
    assert!(run.stderr.contains("2 turns saved"), "{run}");
}

#[test]
fn resume_session_locked_by_other_machine_is_refused() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start(&["resume", ONE], "from a");
    assert_eq!(locked_sessions(&env.remote_of_pair(), &a), [ONE]);
    insta::assert_snapshot!(at_b.run(&["resume", ONE], "from b"));
    at_a.finish();
    ended(&a, child).success();
    at_b.run(&["resume", ONE], "from b").success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "from a", "from b"]);
}

#[test]
fn resume_after_take_over_keeps_turns_as_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start_late(&["resume", ONE], "from a");
    at_b.run(&["resume", ONE, "--take-over"], "from b")
        .success();
    at_a.finish();
    let run = ended(&a, child).success();
    assert!(run.stderr.contains("is now a fork: "), "{run}");
    let both = [vec!["hello", "from a"], vec!["hello", "from b"]];
    assert_eq!(a.all_questions(), both);
    assert_eq!(questions(&a.text(ONE)), ["hello", "from b"]);
    b.ccsync(["sync"]).success();
    assert_eq!(b.all_questions(), both);
    a.ccsync(["sync"]).success();
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
}

/// The other machine has not written yet: the session is still its own, and turns from
/// after the loss become a fork.
#[test]
fn resume_lost_lock_forks_before_other_machine_writes() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start_late(&["resume", ONE], "from a");
    let other = at_b.start_late(&["resume", ONE, "--take-over"], "from b");
    at_a.finish();
    let run = ended(&a, child).success();
    assert!(run.stderr.contains("taken over by b"), "{run}");
    assert_eq!(
        questions(&a.text(ONE)),
        ["hello"],
        "the session is what the store has of it"
    );
    at_b.finish();
    ended(&b, other).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "from b"]);
    a.ccsync(["sync"]).success();
    assert_eq!(
        a.all_questions(),
        [vec!["hello", "from a"], vec!["hello", "from b"]]
    );
}

/// Any command of this machine may notice the loss first; the resume still reports it.
#[test]
fn resume_reports_loss_noticed_by_other_command() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start_late(&["resume", ONE], "");
    at_b.run(&["resume", ONE, "--take-over"], "from b")
        .success();
    a.append(ONE, "from a");
    a.ccsync(["push"]);
    at_a.finish();
    let run = ended(&a, child).success();
    assert!(run.stderr.contains("a fork"), "{run}");
    assert!(!run.stderr.contains("lock released"), "{run}");
    a.ccsync(["sync"]).success();
    assert_eq!(
        a.all_questions(),
        [vec!["hello", "from a"], vec!["hello", "from b"]]
    );
}

/// Only a sub-agent continued here, without a new turn.
#[test]
fn resume_lost_lock_forks_sub_agent_files() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let agent = |machine: &Machine, session: &str| {
        let transcript = machine.transcript_path(session);
        transcript
            .with_extension("")
            .join("subagents/agent-1.jsonl")
    };
    let of_a = agent(&a, ONE);
    fs::create_dir_all(of_a.parent().unwrap()).unwrap();
    fs::write(&of_a, "{\"type\":\"user\",\"n\":1}\n").unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let session = ONE.parse().unwrap();
    let acquired = with_context(&a, |ctx| acquire::acquire(ctx, &session, TakeOver::No));
    assert!(
        matches!(acquired, Ok(AcquireOutcome::Acquired(_))),
        "{acquired:?}"
    );
    let at_b = Client::install(&b);
    let other = at_b.start(&["resume", ONE, "--take-over"], "from b");
    fs::write(
        &of_a,
        "{\"type\":\"user\",\"n\":1}\n{\"type\":\"user\",\"n\":2}\n",
    )
    .unwrap();
    a.ccsync(["push"]).code(5);
    at_b.finish();
    ended(&b, other).success();
    b.ccsync(["pull"]).success();
    let lines = |session: &str| {
        fs::read_to_string(agent(&b, session))
            .unwrap()
            .lines()
            .count()
    };
    let fork = b
        .sessions()
        .into_iter()
        .find(|id| id != ONE)
        .expect("a fork");
    assert_eq!((lines(ONE), lines(&fork)), (1, 2));
}

#[test]
fn resume_in_second_terminal_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    let child = at_a.start(&["resume", ONE], "first");
    let refused = at_a.run(&["resume", ONE], "second").code(4);
    assert!(
        refused.stderr.contains(&format!("process {}", at_a.pid())),
        "{refused}"
    );
    at_a.run(&["resume", ONE, "--take-over"], "second").code(4);
    let client = at_a.pid();
    let other = at_a.start(&["start"], "another session");
    assert_eq!(locked_sessions(&env.remote_of_pair(), &a).len(), 2);
    assert_ne!(client, at_a.pid());
    at_a.finish();
    ended(&a, child).success();
    ended(&a, other).success();
    assert_eq!(
        a.all_questions(),
        [vec!["another session"], vec!["hello", "first"]]
    );
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
}

#[test]
fn resume_terminated_pushes_and_releases_lock() {
    for by in [Signal::TERM, Signal::HUP] {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let at_a = Client::install(&a);
        let child = at_a.start(&["resume", ONE], "last words");
        signal(&child, by);
        ended(&a, child).code(143);
        assert_eq!(
            locked_sessions(&env.remote_of_pair(), &a),
            Vec::<String>::new()
        );
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)), ["hello", "last words"]);
    }
}

#[test]
fn resume_interrupt_goes_to_client() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    let child = at_a.start(&["resume", ONE], "still here");
    for _ in 0..3 {
        signal(&child, Signal::INT);
    }
    at_a.finish();
    ended(&a, child).success();
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
}

/// A git on the machine's PATH that sends Ctrl-C during one of its commands.
fn interrupt_git(machine: &Machine, command: &str) {
    let git = machine
        .run(machine.program("sh").args(["-c", "command -v git"]))
        .success()
        .stdout;
    let script = format!(
        "#!/bin/sh\nfor word; do\n  if [ \"$word\" = {command} ]; then kill -INT $PPID; exec sleep 60; fi\ndone\nexec {} \"$@\"\n",
        git.trim()
    );
    let path = machine.home.join(".bin/git");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The signal was meant for ccsync; if it were remembered, it would stop every later
/// backup.
#[test]
fn resume_interrupt_before_client_ends_command() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    a.run(
        a.program("git")
            .args(["init", "-q"])
            .arg(a.home.join("work/app")),
    )
    .success();
    a.append(ONE, "in a repository");
    a.ccsync(["push"]).success();
    interrupt_git(&a, "status");
    at_a.run(&["resume", ONE], "never said").code(130);
    assert!(
        !a.home.join(".stand-in").exists(),
        "the client was not started"
    );
    fs::remove_file(a.home.join(".bin/git")).unwrap();
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
    at_a.run(&["resume", ONE], "said").success();
}

#[test]
fn resume_interrupted_fetch_does_not_go_offline() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    interrupt_git(&a, "fetch");
    at_a.run(&["resume", ONE], "never said").code(130);
    assert!(
        !a.home.join(".stand-in").exists(),
        "the client was not started"
    );
}

#[test]
fn resume_running_session_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    a.mark_running(ONE, std::process::id());
    for more in [&[][..], &["--take-over"], &["--offline"]] {
        let refused = at_a
            .run(&[&["resume", ONE], more].concat(), "second")
            .code(4);
        assert!(
            refused
                .stderr
                .contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
    }
    assert!(
        !a.home.join(".stand-in").exists(),
        "the client was not started"
    );
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
}

/// An older client does not record its open session.
#[test]
fn resume_take_over_from_same_machine_is_refused() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start(&["resume", ONE], "first");
    fs::remove_dir_all(a.home.join(".claude/sessions")).unwrap();
    let refused = at_a.run(&["resume", ONE, "--take-over"], "second").code(4);
    assert!(
        refused.stderr.contains(&format!("process {}", child.id())),
        "{refused}"
    );
    at_b.run(&["resume", ONE], "from b").code(4);
    at_a.finish();
    ended(&a, child).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "first"]);
}

#[test]
fn resume_killed_is_finished_by_next_command() {
    for command in ["push", "sync", "recover"] {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let at_a = Client::install(&a);
        let child = at_a.start(&["resume", ONE], "before the crash");
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        ended(&a, child);
        assert_eq!(locked_sessions(&env.remote_of_pair(), &a), [ONE]);
        a.ccsync([command]).success();
        assert_eq!(
            locked_sessions(&env.remote_of_pair(), &a),
            Vec::<String>::new()
        );
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)), ["hello", "before the crash"]);
        a.assert_in_order(command);
    }
}

#[test]
fn resume_killed_keeps_lock_while_client_runs() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    let mut child = at_a.start(&["resume", ONE], "on its own");
    signal(&child, Signal::KILL);
    // The exit alone: the client still holds the other end of the output.
    child.wait().unwrap();
    a.ccsync(["push"]).success();
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        [ONE],
        "it is still being continued"
    );
    let client = at_a.pid();
    at_a.finish();
    wait_for("the client ends", || {
        rustix::process::test_kill_process(Pid::from_raw(client).unwrap()).is_err()
    });
    a.ccsync(["recover"]).success();
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new()
    );
}

#[test]
fn resume_crash_then_take_over_becomes_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start_late(&["resume", ONE], "never said");
    kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
    ended(&a, child);
    a.append(ONE, "before the crash");
    at_b.run(&["resume", ONE, "--take-over"], "from b")
        .success();
    a.ccsync(["recover"]).code(5);
    assert_eq!(
        a.all_questions(),
        [vec!["hello", "before the crash"], vec!["hello", "from b"]]
    );
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(a.all_questions(), b.all_questions());
}

#[test]
fn resume_lock_released_by_force_is_lost() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_a = Client::install(&a);
    let child = at_a.start_late(&["resume", ONE], "from a");
    b.ccsync(["lock", "release", ONE]).code(4);
    b.ccsync(["lock", "release", ONE, "--force", "--yes"])
        .success();
    at_a.finish();
    ended(&a, child).success();
    assert_eq!(a.all_questions(), [vec!["hello"], vec!["hello", "from a"]]);
}

#[test]
fn resume_offline_restores_session_from_store() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).days_old(100).turn("old").write();
    a.session(TWO).turn("deleted on b").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    fs::remove_file(b.transcript_path(TWO)).unwrap();
    a.append(TWO, "fetched");
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--fetch"]).success();
    assert_eq!(b.sessions(), [] as [&str; 0]);

    let at_b = Client::install(&b);
    let (remote, away) = (env.remote_of_pair(), env.root().join("away.git"));
    fs::rename(&remote, &away).unwrap();
    for args in [
        &["resume", ONE, "--offline"][..],
        &["resume", "--latest", "--offline"],
    ] {
        let run = at_b.run(args, "from b").success();
        assert!(run.stderr.contains("the remote was not contacted"), "{run}");
    }
    let again = at_b.run(&["resume", ONE, "--offline"], "again").success();
    assert!(!again.stderr.contains("was not contacted"), "{again}");
    at_b.run(&["resume", "33333333", "--offline"], "never said")
        .code(1);

    fs::rename(&away, &remote).unwrap();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(
        a.all_questions(),
        [
            vec!["deleted on b", "fetched", "from b"],
            vec!["old", "from b", "again"]
        ]
    );
}

/// The store has lines that were fetched and not pulled.
#[test]
fn resume_offline_continues_newest_fetched_turn() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "fetched");
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--fetch"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    let at_b = Client::install(&b);
    at_b.run(&["resume", ONE, "--offline"], "from b").success();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(a.all_questions(), [["hello", "fetched", "from b"]]);
}

#[test]
fn resume_offline_needs_flag() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let (remote, away) = (env.remote_of_pair(), env.root().join("away.git"));
    fs::rename(&remote, &away).unwrap();
    insta::assert_snapshot!(at_a.run(&["resume", ONE], "from a").code(1));
    let run = at_a.run(&["resume", ONE, "--offline"], "from a").success();
    assert!(run.stderr.contains("not sent yet"), "{run}");
    at_a.run(&["start"], "refused").code(1);
    at_a.run(&["start", "--offline"], "new").success();
    fs::rename(&away, &remote).unwrap();
    at_b.run(&["resume", ONE], "from b").success();
    a.ccsync(["sync"]).code(5);
    b.ccsync(["sync"]).success();
    assert_eq!(
        a.all_questions(),
        [
            vec!["hello", "from a"],
            vec!["hello", "from b"],
            vec!["new"]
        ]
    );
}

#[test]
fn resume_without_terminal_names_command() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_a = Client::install(&a);
    let _ = &b;
    let shown = |args: &[&str]| at_a.run(args, "").to_string();
    insta::assert_snapshot!("no_terminal", shown(&["resume"]));
    insta::assert_snapshot!("no_such_session", shown(&["resume", "ffff"]));
    insta::assert_snapshot!("chosen_twice", shown(&["resume", "--", "--continue"]));
    insta::assert_snapshot!("no_directory", shown(&["start", "nowhere"]));
    fs::remove_dir_all(a.home.join("work/app")).unwrap();
    let run = a.ccsync(["resume", ONE]);
    insta::assert_snapshot!("no_project", run);
    fs::create_dir_all(a.home.join("work/app")).unwrap();
    let path = a.home.join(".no-client");
    fs::create_dir_all(&path).unwrap();
    for tool in ["git", "sh"] {
        let which = a
            .run(a.program("sh").args(["-c", &format!("command -v {tool}")]))
            .success()
            .stdout;
        std::os::unix::fs::symlink(which.trim(), path.join(tool)).unwrap();
    }
    insta::assert_snapshot!(
        "no_client",
        a.run(a.command(["resume", ONE]).env("PATH", &path))
    );
    assert_eq!(
        locked_sessions(&env.remote_of_pair(), &a),
        Vec::<String>::new(),
        "a refused machine holds no lock"
    );
}

#[test]
fn resume_original_paths_sends_path_notice_once() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    b.ccsync(["config", "set", "localize", "never"]).success();
    at_a.run(&["resume", ONE], "from a").success();
    assert_eq!(at_a.settings(), None, "nothing has moved");
    // A run without a turn writes lines, too, but nothing reaches the model.
    at_b.run(&["resume", ONE], "").success();
    at_b.run(&["resume", ONE], "from b").success();
    let settings = at_b.settings().expect("b writes a path notice");
    let hook = &settings["hooks"]["SessionStart"][0];
    assert_eq!(hook["matcher"], "resume|compact");
    let root = env.root().to_str().unwrap();
    let notice = at_b
        .notice()
        .replace(root, "$ROOT")
        .replace(&client_dir_name(root), "ROOT");
    insta::assert_snapshot!(notice);
    for looks in [&at_a, &at_b] {
        looks.run(&["resume", ONE], "").success();
    }
    fs::remove_file(b.home.join(".stand-in/settings")).unwrap();
    at_b.run(&["resume", ONE], "again").success();
    assert_eq!(at_b.settings(), None, "the path notice is written once");
}

#[test]
fn resume_path_notice_that_is_not_delivered_is_named() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_b = Client::install(&b);
    b.ccsync(["config", "set", "localize", "never"]).success();
    let notice = b
        .home
        .join(".local/state/ccsync")
        .join(format!("path-notices/{ONE}.txt"));
    let resumed = |more: &[&str], variable: &str| {
        let mut command = at_b.command(&[&["resume", ONE], more].concat(), "");
        b.run(command.env(variable, "1")).success()
    };
    let no_notice = "the model gets no path notice: ";
    let project = b.home.join("work/app/.claude");
    fs::create_dir_all(&project).unwrap();
    let shared = project.join("settings.json");

    let run = resumed(&[], "NONE");
    assert!(!run.stderr.contains(no_notice) && !notice.exists(), "{run}");
    fs::write(&shared, "{ \"disableAllHooks\": true }").unwrap();
    let by_settings = resumed(&[], "NONE");
    fs::remove_file(&shared).unwrap();
    for (run, reason) in [
        (by_settings, "`disableAllHooks` is set in "),
        (resumed(&["--", "--bare"], "NONE"), "you pass `--bare`"),
        (
            resumed(&["--", "--safe-mode"], "NONE"),
            "you pass `--safe-mode`",
        ),
        (
            resumed(&["--", "--settings={}"], "NONE"),
            "you pass `--settings`",
        ),
        (
            resumed(&[], "CLAUDE_CODE_SIMPLE"),
            "CLAUDE_CODE_SIMPLE is set",
        ),
    ] {
        let message = format!("{no_notice}{reason}");
        assert!(run.stderr.contains(&message), "{run}");
        let home = a.home.to_str().unwrap();
        assert!(fs::read_to_string(&notice).unwrap().contains(home), "{run}");
    }
}

/// The outputs of tools that are too long for the conversation are files, which it names.
#[test]
fn resume_path_notice_names_directory_of_claude_code() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    b.ccsync(["config", "set", "localize", "never"]).success();
    let output = |machine: &Machine| {
        let files = machine.transcript_path(ONE).with_extension("");
        files.join("tool-results/long.txt")
    };
    fs::create_dir_all(output(&a).parent().unwrap()).unwrap();
    fs::write(output(&a), "long").unwrap();
    at_a.run(&["resume", ONE], "from a").success();
    at_b.run(&["resume", ONE], "from b").success();
    let project = |machine: &Machine| machine.transcript_path(ONE).parent().unwrap().to_owned();
    let line = format!(
        "- `{}` is now `{}`",
        project(&a).display(),
        project(&b).display()
    );
    assert!(at_b.notice().contains(&line), "{}", at_b.notice());
    assert!(output(&b).exists());
}
