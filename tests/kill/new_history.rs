//! `encrypt` and `key rotate`, killed at each step: the next commands complete it or name what to
//! type, and no turn is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Machine, ONE, Run, TestEnv, questions};
use crate::story::{counted, is_killed};

/// Steps of both commands, each with the number of times that it is tried at most.
const STEPS: [(&str, u32); 7] = [
    ("a new key is saved", 1),
    ("commits are sealed", 1),
    ("before the new history is sent", 1),
    ("the new history is sent", 1),
    ("the former mirror is removed", 1),
    ("the new mirror is in its place", 1),
    ("a temporary file has its name", 9),
];

const ENCRYPT: &[&str] = &["encrypt", "--yes"];
const ROTATE: &[&str] = &["key", "rotate", "--yes"];

/// Two machines with a session; `b` has a turn that it has not sent.
struct Pair {
    env: TestEnv,
    a: Machine,
    b: Machine,
}

impl Pair {
    fn new(is_encrypted: bool) -> Self {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let pair = Self { env, a, b };
        if is_encrypted {
            pair.a.ccsync(ENCRYPT).success();
            pair.give_key_to_b().success();
        }
        pair.b.append(ONE, "unsent");
        pair
    }

    fn give_key_to_b(&self) -> Run {
        let path = self.b.home.join("words");
        let words = self.a.ccsync(["key", "words", "--yes"]).success().stdout;
        fs::write(&path, words).unwrap();
        let path = path.to_str().unwrap();
        self.b.ccsync(["init", "--yes", "--key-file", path])
    }

    /// Syncs a machine, which may need `init` first.
    fn sync(&self, machine: &Machine, enter_key: &dyn Fn() -> Run, what: &str) {
        let run = machine.ccsync(["sync"]);
        if run.code == Some(0) {
            return;
        }
        assert!(run.stderr.contains("`ccsync init`"), "{what}\n{run}");
        enter_key().success();
        machine.ccsync(["sync"]).success();
    }
}

/// Returns the points that encrypting a store reaches.
pub(crate) fn points_of_encrypt() -> BTreeMap<String, u32> {
    points(ENCRYPT, false)
}

fn points(command: &[&str], is_encrypted: bool) -> BTreeMap<String, u32> {
    let Pair { env, a, .. } = Pair::new(is_encrypted);
    let log = env.root().join("points");
    let mut run = a.command(command);
    a.run(run.env("CCSYNC_POINTS_TO", &log)).success();
    counted(&fs::read_to_string(log).unwrap())
}

fn kill_at_every_step(command: &[&str], is_encrypted: bool) {
    let points = points(command, is_encrypted);
    for (step, times) in STEPS {
        let reached = points.get(step).copied().unwrap_or_default();
        assert!(reached > 0, "{command:?} does not reach {step}");
        for time in 1..=reached.min(times) {
            let what = format!("{command:?} killed at {step:?}, time {time}");
            let pair = Pair::new(is_encrypted);
            let mut killed = pair.a.command(command);
            killed.env("CCSYNC_KILL_AT", format!("{step}:{time}"));
            assert!(is_killed(killed), "{what}: the point was not reached");
            complete(&pair, command, &what);
        }
    }
}

fn complete(pair: &Pair, command: &[&str], what: &str) {
    let Pair { env, a, b } = pair;
    pair.sync(a, &|| a.ccsync(["init", "--yes"]), what);
    let again = a.ccsync(command);
    let is_done = again.code == Some(0) || again.stderr.contains("encrypted already");
    assert!(is_done, "{what}\n{again}");
    pair.sync(b, &|| pair.give_key_to_b(), what);
    a.ccsync(["sync"]).success();
    for machine in [a, b] {
        assert_eq!(questions(&machine.text(ONE)), ["hello", "unsent"], "{what}");
        machine.ccsync(["verify"]).success();
        machine.assert_in_order(what);
    }
    assert_sealed(&env.remote_of_pair(), what);
}

/// Fails if a reference of the remote leads to a readable text.
fn assert_sealed(remote: &Path, what: &str) {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(remote).args(args);
        command.output().unwrap().stdout
    };
    git(&["gc", "--prune=now", "--quiet"]);
    let all = git(&["cat-file", "--batch-all-objects", "--batch"]);
    let text = String::from_utf8_lossy(&all);
    assert!(
        !text.contains("hello") && !text.contains("unsent"),
        "{what}"
    );
}

#[test]
fn kill_encrypt_at_every_step() {
    kill_at_every_step(ENCRYPT, false);
}

#[test]
fn kill_key_rotate_at_every_step() {
    kill_at_every_step(ROTATE, true);
}
