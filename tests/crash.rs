//! After a process is killed at any moment, the next run repairs what it left.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::harness::{Machine, ONE, TestEnv, questions};

/// How many moments are tried, spread over the duration of an undisturbed run.
const MOMENTS: u32 = 12;

#[test]
fn push_killed_at_any_moment_is_finished_by_next() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("first").write();
    let whole = undisturbed(&a, "push");
    let mut expected = vec!["first".to_owned()];
    for moment in 0..MOMENTS {
        let question = format!("question {moment}");
        a.append(ONE, &question);
        expected.push(question);
        kill_after(&a, "push", whole * moment / MOMENTS);
        let run = a.ccsync(["push"]).success();
        assert_eq!(
            a.git(&["status", "--porcelain"]),
            "",
            "moment {moment}\n{run}"
        );
        let waiting = a.ccsync(["status", "--json"]).success().json();
        assert_eq!(
            (&waiting["to_push"], &waiting["queued_commits"]),
            (&serde_json::json!([]), &0.into()),
            "moment {moment}"
        );
    }
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), expected);
    assert_eq!(b.sessions(), [ONE]);
    assert_eq!(a.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn pull_killed_at_any_moment_is_finished_by_next() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("first").write();
    a.ccsync(["push"]).success();
    let whole = undisturbed(&b, "pull");
    let mut expected = vec!["first".to_owned()];
    for moment in 0..MOMENTS {
        let question = format!("question {moment}");
        a.append(ONE, &question);
        expected.push(question);
        a.ccsync(["push"]).success();
        kill_after(&b, "pull", whole * moment / MOMENTS);
        assert!(
            expected.starts_with(&questions(&b.text(ONE))),
            "moment {moment}: a whole prefix, never a torn file"
        );
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)), expected, "moment {moment}");
        assert_eq!(b.sessions(), [ONE], "moment {moment}");
        assert_eq!(b.git(&["status", "--porcelain"]), "", "moment {moment}");
    }
}

#[test]
fn first_push_killed_at_any_moment_is_finished_by_next() {
    let whole = {
        let env = TestEnv::new();
        let a = env.machine("a");
        a.session(ONE).turn("hello").write();
        undisturbed(&a, "push")
    };
    for moment in 0..MOMENTS {
        let env = TestEnv::new();
        let a = env.machine("a");
        a.session(ONE).turn("hello").write();
        kill_after(&a, "push", whole * moment / MOMENTS);
        a.ccsync(["push"]).success();
        let rows = a.ccsync(["list", "--json"]).success().json();
        assert_eq!(
            rows["sessions"].as_array().unwrap().len(),
            1,
            "moment {moment}"
        );
        assert_eq!(rows["sessions"][0]["in_store"], true, "moment {moment}");
    }
}

#[test]
fn push_stale_git_lock_files_do_not_block() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let git = a.store().join(".git");
    let locks = [
        "index",
        "HEAD",
        "config",
        "packed-refs",
        "refs/heads/main",
        "refs/remotes/origin/main",
    ];
    for (turn, age) in [Duration::from_secs(60), Duration::ZERO]
        .into_iter()
        .enumerate()
    {
        for lock in locks {
            let file = fs::File::create(git.join(format!("{lock}.lock"))).unwrap();
            file.set_times(fs::FileTimes::new().set_modified(SystemTime::now() - age))
                .unwrap();
        }
        a.append(ONE, &format!("turn {turn}"));
        a.ccsync(["push"]).success();
        assert!(
            locks
                .iter()
                .all(|lock| !git.join(format!("{lock}.lock")).exists()),
            "turn {turn}"
        );
        assert_eq!(a.git(&["status", "--porcelain"]), "");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "turn 0", "turn 1"]);
}

#[test]
fn push_temporary_files_of_killed_process_are_removed() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.ccsync(["init", "--yes"]).success();
    a.session(ONE).turn("first").write();
    a.ccsync(["push"]).success();
    let (data, state) = (
        a.home.join(".local/share/ccsync"),
        a.home.join(".local/state/ccsync"),
    );
    let places = [
        data.join("store/.git/objects/pack/tmp_pack_Ab12cD"),
        data.join("store/.git/objects/00/tmp_obj_Ab12cD"),
        data.join("store/.git/objects/tmp_objdir-incoming-Ab12cD/pack/half"),
        data.join("store/.git/refs/heads/main.lock"),
        data.join(".new-Ab12cD/repository/HEAD"),
        data.join("remote.git/refs/heads/main.lock"),
        data.join("remote.git/HEAD.lock"),
        state.join(".ccsync-Ab12.tmp"),
        a.home.join(".config/ccsync/.ccsync-Ab12.tmp"),
        a.project_dir("work/app").join(".ccsync-Ab12.tmp"),
    ];
    for place in &places {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, "").unwrap();
    }
    // The process that held the lock is dead.
    fs::write(state.join("lock"), "999999\n").unwrap();
    a.append(ONE, "second");
    a.ccsync(["push"]).success();
    let left: Vec<_> = places.iter().filter(|place| place.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(a.git(&["status", "--porcelain"]), "");
}

#[test]
fn push_store_without_head_or_index_is_restored() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let git = a.store().join(".git");
    for (turn, damage) in ["no HEAD", "an empty HEAD", "no refs/tags", "an empty index"]
        .into_iter()
        .enumerate()
    {
        match damage {
            "no HEAD" => fs::remove_file(git.join("HEAD")).unwrap(),
            "an empty HEAD" => fs::write(git.join("HEAD"), "").unwrap(),
            "an empty index" => fs::write(git.join("index"), "DIRC").unwrap(),
            _ => {
                a.git(&["pack-refs", "--all"]);
                fs::remove_dir_all(git.join("refs")).unwrap();
            }
        }
        a.append(ONE, &format!("turn {turn}"));
        if damage == "an empty index" {
            // The first command notices it, the second repairs it.
            a.ccsync(["push"]);
        }
        a.ccsync(["push"]).success();
        assert_eq!(a.git(&["status", "--porcelain"]), "", "{damage}");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)).len(), 5);
}

/// Returns the duration of an undisturbed run.
fn undisturbed(machine: &Machine, command: &str) -> Duration {
    let start = Instant::now();
    machine.ccsync([command]).success();
    start.elapsed()
}

/// Starts the command and kills it, with every process it has started, after `wait`.
fn kill_after(machine: &Machine, command: &str, wait: Duration) {
    let mut child = machine
        .command([command])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(wait);
    end(&mut child);
}

fn end(child: &mut Child) {
    // The process may have finished already; that is one of the moments.
    let _ = child.kill();
    child.wait().unwrap();
}
