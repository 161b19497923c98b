//! The remote refuses content: a secret in one session, or more than one push may have. Only what
//! it refuses stays here, with all that the server said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

const THREE: &str = "33333333-0000-4000-8000-000000000003";
const SECRET: &str = "ghp_FAKEFAKE";
const LINK: &str = "https://github.invalid/o/r/security/unblock-secret/30wr";

fn hook(remote: &Path) -> PathBuf {
    remote.join("hooks/pre-receive")
}

fn set_hook(remote: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(hook(remote), script).unwrap();
    fs::set_permissions(hook(remote), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Makes the remote refuse every new commit of its branch that has the secret.
fn protect(remote: &Path) {
    let script = format!(
        "#!/bin/sh\nwhile read old new ref; do\n  case $ref in refs/heads/main) ;; *) continue;; esac\n  \
         for c in $(git rev-list $new --not --all); do\n    \
         if git grep -q {SECRET} $c --; then\n      \
         echo 'error: GH013: Repository rule violations found for refs/heads/main.' >&2\n      \
         echo '- Push cannot contain secrets' >&2\n      echo '  {LINK}' >&2\n      exit 1\n    \
         fi\n  done\ndone\n"
    );
    set_hook(remote, &script);
}

/// Runs git in the remote, which must succeed.
fn git(remote: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(remote).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn outcome_of<'r>(report: &'r serde_json::Value, session: &str) -> &'r str {
    let sessions = report["sessions"].as_array().unwrap();
    let found = sessions.iter().find(|row| row["session"] == session);
    found.unwrap_or_else(|| panic!("{report:#}"))["outcome"]
        .as_str()
        .unwrap()
}

#[track_caller]
fn assert_says_all(run: &Run) {
    for text in ["GH013", "- Push cannot contain secrets", LINK, ONE] {
        assert!(run.stdout.contains(text), "{text}\n{run}");
    }
    assert!(!run.stdout.contains("next command"), "{run}");
}

#[test]
fn push_refused_secret_holds_only_its_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    protect(&remote);
    a.session(ONE).turn(SECRET).write();
    a.session(TWO).project("work/lib").turn("fine").write();
    a.session(THREE).turn("fine, too").write();

    let run = a.ccsync(["push", "--json"]).code(3);
    let report = run.json();
    assert_eq!(outcome_of(&report, ONE), "skipped");
    assert_eq!(outcome_of(&report, TWO), "added");
    assert_eq!(report["refusals"][0]["sessions"][0], ONE);
    let said = report["refusals"][0]["message"].as_str().unwrap();
    assert!(said.contains("GH013") && said.contains(LINK), "{said}");
    assert_eq!(report["remote"]["state"], "up-to-date");

    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [TWO, THREE]);
    // It is tried again with each push, and said again.
    assert_says_all(&a.ccsync(["push"]).code(3));
    a.append(TWO, "more");
    assert_says_all(&a.ccsync(["sync"]).code(3));
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(TWO)), ["fine", "more"]);
    assert_eq!(
        git(&remote, &["log", "--all", "--format=%H", "-S", SECRET]),
        ""
    );

    // The user has followed the link.
    fs::remove_file(hook(&remote)).unwrap();
    let run = a.ccsync(["push"]).success();
    assert!(!run.stdout.contains("refused"), "{run}");
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE, TWO, THREE]);
    a.assert_in_order("after a refusal");
}

#[test]
fn push_refused_session_that_is_deleted_stops_nothing() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    protect(&env.remote_of_pair());
    let path = a.session(ONE).turn(SECRET).write();
    a.session(TWO).turn("fine").write();
    a.ccsync(["push"]).code(3);
    fs::remove_file(path).unwrap();
    a.append(TWO, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(TWO)), ["fine", "more"]);
}

#[test]
fn push_backlog_with_secret_in_the_past_is_sent() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let path = a.session(ONE).turn(SECRET).write();
    let away = env.root().join("away");
    fs::rename(&remote, &away).unwrap();
    a.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    protect(&remote);
    // The user has taken it out of the transcript, which is only queued.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(SECRET, "(removed)")).unwrap();
    a.session(TWO).turn("fine").write();
    a.ccsync(["push"]);
    b.ccsync(["pull"]);
    assert!(b.sessions().contains(&TWO.to_owned()));
    assert_eq!(
        git(&remote, &["log", "--all", "--format=%H", "-S", SECRET]),
        ""
    );
}

#[test]
fn push_refused_memory_holds_only_that() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    let memory = |machine: &Machine| machine.project_dir("work/app").join("memory/MEMORY.md");
    a.session(ONE).turn("fine").write();
    fs::create_dir_all(memory(&a).parent().unwrap()).unwrap();
    fs::write(memory(&a), "- a fact\n").unwrap();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    protect(&remote);

    let with_secret = format!("- a fact\n- {SECRET}\n");
    fs::write(memory(&a), &with_secret).unwrap();
    a.append(ONE, "more");
    let run = a.ccsync(["push"]).code(3);
    assert!(
        run.stdout.contains("refused by the remote: memory/"),
        "{run}"
    );
    a.ccsync(["sync"]).code(3);
    assert_eq!(fs::read_to_string(memory(&a)).unwrap(), with_secret);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["fine", "more"]);
    assert_eq!(fs::read_to_string(memory(&b)).unwrap(), "- a fact\n");

    fs::remove_file(hook(&remote)).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(fs::read_to_string(memory(&b)).unwrap(), with_secret);
}

#[test]
fn push_to_remote_that_refuses_everything_says_so() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    set_hook(
        &remote,
        "#!/bin/sh\necho 'the archive is closed' >&2\necho 'ask Al' >&2\nexit 1\n",
    );
    a.session(ONE).turn("hello").write();
    a.session(TWO).turn("hello").write();
    let run = a.ccsync(["push"]).code(6);
    for text in ["the archive is closed", "ask Al", "refused by the remote"] {
        assert!(run.stdout.contains(text), "{text}\n{run}");
    }
    assert!(!run.stdout.contains("next command"), "{run}");
    let report = a.ccsync(["push", "--json"]).code(6).json();
    assert_eq!(report["remote"]["state"], "refused");
    let reason = report["remote"]["reason"].as_str().unwrap();
    assert!(reason.contains("ask Al"), "{reason}");

    fs::remove_file(hook(&remote)).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
}

#[test]
fn push_backlog_above_limit_goes_in_several() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    git(
        &env.remote_of_pair(),
        &["config", "receive.maxInputSize", "600k"],
    );
    let ids: Vec<String> = (1..=5)
        .map(|n| format!("{n}0000000-0000-4000-8000-000000000000"))
        .collect();
    let mut random = 1_u64;
    for id in &ids {
        let mut line = || {
            // Text that does not compress.
            let mut text = String::new();
            while text.len() < 360_000 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text += &format!("{random:x}");
            }
            text
        };
        a.session(id).turn(&line()).write();
    }
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), ids);
    // One that is too large alone is named, and the others go on.
    let large = "x".repeat(20);
    let mut text = String::new();
    while text.len() < 2_000_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text += &format!("{random:x}");
    }
    a.session(ONE).turn(&text).write();
    a.session(TWO).turn(&large).write();
    let run = a.ccsync(["push"]).code(3);
    assert!(
        run.stdout.contains("pack exceeds maximum allowed size"),
        "{run}"
    );
    b.ccsync(["pull"]).success();
    assert!(b.sessions().contains(&TWO.to_owned()));
    assert!(!b.sessions().contains(&ONE.to_owned()));
}
