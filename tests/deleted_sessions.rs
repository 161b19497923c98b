//! Sessions that are lost on a machine: by Claude Code's clean-up, by the user, or with the whole
//! directory. They are counted and come back on request, with their memory and plans.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::harness::{Machine, ONE, TWO, TestEnv};

const THREE: &str = "33333333-0000-4000-8000-000000000003";

fn memory(machine: &Machine) -> PathBuf {
    machine.project_dir("work/app").join("memory/MEMORY.md")
}

fn plan(machine: &Machine, name: &str) -> PathBuf {
    machine.home.join(".claude/plans").join(name)
}

fn write(path: &PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Returns the age of a transcript's file in days.
fn file_age(machine: &Machine, id: &str) -> f64 {
    let modified = fs::metadata(machine.transcript_path(id))
        .unwrap()
        .modified()
        .unwrap();
    let age = SystemTime::now().duration_since(modified);
    age.unwrap_or_default().as_secs_f64() / 86_400.0
}

/// Returns two machines with a session, its memory, its plan and another plan.
fn pair_with_extras(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    let named = "{\"type\":\"user\",\"slug\":\"calm-otter\"}\n";
    a.session(ONE).turn("hello").raw(named.as_bytes()).write();
    a.session(TWO).turn("hello").write();
    write(&memory(&a), "- a fact\n");
    write(&plan(&a, "calm-otter.md"), "# Plan\n");
    write(&plan(&a, "other.md"), "# Other\n");
    write(&a.home.join(".claude/CLAUDE.md"), "be brief\n");
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(memory(&b).exists() && plan(&b, "calm-otter.md").exists());
    (a, b)
}

#[test]
fn pull_old_session_outlives_clean_up_in_order() {
    for (settings, period) in [(None, 30.0), (Some("{\"cleanupPeriodDays\": 5}"), 5.0)] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        a.session(ONE).turn("old").days_old(90).write();
        a.session(TWO).turn("older").days_old(300).write();
        a.session(THREE).turn("new").days_old(1).write();
        a.ccsync(["push"]).success();
        if let Some(settings) = settings {
            write(&b.home.join(".claude/settings.json"), settings);
        }
        b.ccsync(["pull", "--days", "365"]).success();
        let ages = [THREE, ONE, TWO].map(|id| file_age(&b, id));
        assert!(ages.is_sorted(), "{ages:?}");
        assert!(ages[2] + 1.0 < period, "{ages:?}");
        assert!((ages[0] - 1.0).abs() < 0.01, "{ages:?}");
    }
}

#[test]
fn pull_counts_deleted_sessions_every_time() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    a.session(TWO).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    fs::remove_file(b.transcript_path(ONE)).unwrap();
    let line = "deleted here: 1 session, still in the store: ccsync pull --all";
    for command in ["pull", "status", "sync", "pull"] {
        let run = b.ccsync([command]).success();
        assert!(run.stdout.contains(line), "{run}");
    }
    for command in ["pull", "status"] {
        let run = b.ccsync([command, "--json"]).success();
        assert_eq!(run.json()["deleted"], 1, "{run}");
    }
    assert_eq!(b.sessions(), [TWO]);
    b.ccsync(["pull", "--all", "--dry-run"]).success();
    assert_eq!(b.sessions(), [TWO]);
    let run = b.ccsync(["pull", "--all"]).success();
    assert!(!run.stdout.contains("deleted here"), "{run}");
    assert_eq!(b.sessions(), [ONE, TWO]);
    let run = b.ccsync(["status"]).success();
    assert!(!run.stdout.contains("deleted here"), "{run}");
}

#[test]
fn pull_days_restores_session_that_clean_up_deleted() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").days_old(60).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull", "--days", "365"]).success();
    fs::remove_file(b.transcript_path(ONE)).unwrap();
    b.ccsync(["pull"]).success();
    assert!(b.sessions().is_empty());
    b.ccsync(["pull", "--days", "365"]).success();
    assert_eq!(b.sessions(), [ONE]);
}

#[test]
fn pull_all_restores_wiped_client_directory() {
    let env = TestEnv::new();
    let (a, b) = pair_with_extras(&env);
    fs::remove_dir_all(b.home.join(".claude")).unwrap();
    for command in ["pull", "status", "sync"] {
        let run = b.ccsync([command]).success();
        let line = "no session is left here; the store has 2 sessions of this machine: \
                    ccsync pull --all";
        assert!(run.stdout.contains(line), "{run}");
    }
    let run = b.ccsync(["list"]).success();
    assert!(run.stderr.contains("ccsync pull --all"), "{run}");
    b.ccsync(["pull", "--all"]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
    assert_eq!(fs::read_to_string(memory(&b)).unwrap(), "- a fact\n");
    for name in ["calm-otter.md", "other.md"] {
        assert!(plan(&b, name).exists(), "{name}");
    }
    assert!(b.home.join(".claude/CLAUDE.md").exists());
    a.ccsync(["sync"]).success();
    assert!(memory(&a).exists() && plan(&a, "other.md").exists());
}

#[test]
fn push_from_emptied_client_directory_removes_nothing() {
    for is_recreated in [false, true] {
        let env = TestEnv::new();
        let (a, b) = pair_with_extras(&env);
        for entry in fs::read_dir(b.home.join(".claude")).unwrap().flatten() {
            let path = entry.path();
            let removed = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            removed.unwrap();
        }
        if is_recreated {
            // Claude Code was started meanwhile.
            fs::create_dir_all(b.home.join(".claude/projects")).unwrap();
        }
        b.ccsync(["sync"]).success();
        a.ccsync(["sync"]).success();
        assert!(a.home.join(".claude/CLAUDE.md").exists() && memory(&a).exists());
        b.ccsync(["pull", "--all"]).success();
        assert!(b.home.join(".claude/CLAUDE.md").exists() && memory(&b).exists());
    }
}

#[test]
fn pull_session_by_name_restores_memory_and_its_plan() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_extras(&env);
    fs::remove_dir_all(b.home.join(".claude/projects")).unwrap();
    for name in ["calm-otter.md", "other.md"] {
        fs::remove_file(plan(&b, name)).unwrap();
    }
    b.ccsync(["sync"]).success();
    assert!(!memory(&b).exists());
    b.ccsync(["pull", ONE]).success();
    assert_eq!(b.sessions(), [ONE]);
    assert_eq!(fs::read_to_string(memory(&b)).unwrap(), "- a fact\n");
    assert!(plan(&b, "calm-otter.md").exists());
}

#[test]
fn pull_all_restores_memory_lost_before() {
    let env = TestEnv::new();
    let (a, b) = pair_with_extras(&env);
    fs::remove_dir_all(memory(&b).parent().unwrap()).unwrap();
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert!(!memory(&b).exists() && memory(&a).exists());
    b.ccsync(["pull", "--all"]).success();
    assert!(memory(&b).exists());
}
