//! Files that Claude Code rewrites in place (tasks, titles) follow the machine that rewrote
//! them, and a machine that left them alone never sends its copy.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Machine, ONE, TWO, TestEnv};

/// Returns the path of a task file of the session `ONE`.
fn task_path(machine: &Machine, name: &str) -> PathBuf {
    machine.home.join(".claude/tasks").join(ONE).join(name)
}

fn write_task(machine: &Machine, name: &str, text: &str) {
    let path = task_path(machine, name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // As the client writes it: a new file in its place.
    let new = path.with_extension("tmp");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn task(machine: &Machine, name: &str) -> String {
    fs::read_to_string(task_path(machine, name)).unwrap_or_default()
}

/// Returns a task that names a path of `machine`.
fn text(machine: &Machine, status: &str) -> String {
    let home = machine.home.display();
    format!(r#"{{"id":"1","subject":"look at {home}/work/app/x.c","status":"{status}"}}"#)
}

/// Two machines with the session `ONE` and a task, both in sync.
fn pair_with_task(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    write_task(&a, "1.json", &text(&a, "pending"));
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(task(&b, "1.json").contains("pending"));
    (a, b)
}

/// Syncs both machines until neither makes a commit.
#[track_caller]
fn assert_at_rest(a: &Machine, b: &Machine) {
    for machine in [a, b, a, b] {
        machine.ccsync(["sync"]).success();
    }
    let head = a.git(&["rev-parse", "HEAD"]);
    for machine in [b, a, b, a] {
        machine.ccsync(["sync"]).success();
    }
    assert_eq!(a.git(&["rev-parse", "HEAD"]), head, "syncs make commits");
    assert_eq!(b.git(&["rev-parse", "HEAD"]), head);
}

#[test]
fn rewritten_file_follows_writer_with_every_localize_mode() {
    for mode in ["auto", "always", "never"] {
        let env = TestEnv::new();
        let (a, b) = pair_with_task(&env);
        b.ccsync(["config", "set", "localize", mode]).success();
        b.ccsync(["sync"]).success();
        let done = task(&b, "1.json").replace("pending", "completed");
        write_task(&b, "1.json", &done);
        b.append(ONE, "done");
        b.ccsync(["push"]).success();
        a.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
        assert!(task(&a, "1.json").contains("completed"), "{mode}");
        assert_at_rest(&a, &b);
        for machine in [&a, &b] {
            assert!(task(machine, "1.json").contains("completed"), "{mode}");
        }
    }
}

#[test]
fn rewritten_file_untouched_is_never_sent() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    for step in 0..140 {
        write_task(&a, "1.json", &text(&a, &format!("step {step}")));
        if step % 20 == 0 || step > 135 {
            a.append(ONE, &format!("turn {step}"));
            a.ccsync(["push"]).success();
        }
    }
    // Neither another mode nor another placeholder is a change of the file.
    b.ccsync(["config", "set", "localize", "always"]).success();
    b.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(task(&b, "1.json").contains("step 139"));
    assert_at_rest(&a, &b);
    assert!(task(&a, "1.json").contains("step 139"));
}

#[test]
fn rewritten_file_set_back_is_sent() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    for status in ["in_progress", "pending"] {
        write_task(&a, "1.json", &text(&a, status));
        a.append(ONE, status);
        a.ccsync(["sync"]).success();
        b.ccsync(["sync"]).success();
        assert!(task(&b, "1.json").contains(status), "{status}");
    }
    // The other machine goes on meanwhile, and leaves the task alone.
    write_task(&a, "1.json", &text(&a, "in_progress"));
    b.append(ONE, "meanwhile");
    b.ccsync(["push"]).success();
    a.ccsync(["sync"]).success();
    assert!(task(&a, "1.json").contains("in_progress"));
    b.ccsync(["sync"]).success();
    assert!(task(&b, "1.json").contains("in_progress"));
    assert_at_rest(&a, &b);
}

#[test]
fn rewritten_file_merge_keeps_side_that_changed_it() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    let title = |machine: &Machine| {
        let directory = machine.transcript_path(ONE).with_extension("");
        directory.join("custom-title.json")
    };
    // A title before the last turn of the other machine, pushed without a fetch in between.
    fs::create_dir_all(title(&a).parent().unwrap()).unwrap();
    fs::write(title(&a), r#"{"customTitle":"of a"}"#).unwrap();
    write_task(&a, "1.json", &text(&a, "completed"));
    a.ccsync(["push"]).success();
    b.append(ONE, "later");
    b.ccsync(["push"]).success();
    assert_at_rest(&a, &b);
    for machine in [&a, &b] {
        assert!(
            task(machine, "1.json").contains("completed"),
            "{}",
            machine.name
        );
        let title = fs::read_to_string(title(machine)).unwrap();
        assert!(title.contains("of a"), "{}", machine.name);
    }
}

#[test]
fn task_list_finished_stays_deleted() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    fs::remove_file(task_path(&a, "1.json")).unwrap();
    fs::write(task_path(&a, ".highwatermark"), "1").unwrap();
    a.append(ONE, "next");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(!task_path(&b, "1.json").exists());
    assert_eq!(task(&b, ".highwatermark"), "1");
    b.ccsync(["undo"]).success();
    assert!(task(&b, "1.json").contains("pending"));
    b.ccsync(["pull"]).success();
    assert!(!task_path(&b, "1.json").exists());
    b.append(ONE, "on b");
    b.ccsync(["push"]).success();
    assert_at_rest(&a, &b);
    assert!(!task_path(&a, "1.json").exists());
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
    }
    // A new list with the same number is a new list.
    write_task(&a, "1.json", &text(&a, "again"));
    assert_at_rest(&a, &b);
    assert!(task(&b, "1.json").contains("again"));
}

#[test]
fn task_deleted_while_other_machine_pushes_stays_deleted() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    fs::remove_file(task_path(&a, "1.json")).unwrap();
    a.ccsync(["push"]).success();
    b.append(ONE, "on b");
    b.ccsync(["push"]).success();
    assert_at_rest(&a, &b);
    for machine in [&a, &b] {
        assert!(!task_path(machine, "1.json").exists(), "{}", machine.name);
    }
    // Changed elsewhere, it is not finished.
    write_task(&b, "1.json", &text(&b, "reopened"));
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(task(&a, "1.json").contains("reopened"));
}

#[test]
fn task_directory_wiped_is_no_deletion() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    fs::remove_dir_all(a.home.join(".claude/tasks")).unwrap();
    a.append(ONE, "next");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(task(&b, "1.json").contains("pending"));
}

#[test]
fn task_counter_never_shrinks() {
    let env = TestEnv::new();
    let (a, b) = pair_with_task(&env);
    for (machine, count) in [(&a, "7"), (&b, "12")] {
        fs::write(task_path(machine, ".highwatermark"), count).unwrap();
    }
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    assert_at_rest(&a, &b);
    for machine in [&a, &b] {
        assert_eq!(task(machine, ".highwatermark"), "12", "{}", machine.name);
    }
}

/// A team's list: the session that leads the team is known from the team's own file, from the
/// list's name, or from the transcript.
#[test]
fn team_task_list_travels_with_its_session() {
    let named = format!("session-{}", &ONE[..8]);
    for (team, config, text) in [
        ("my-team", true, false),
        (named.as_str(), false, false),
        ("other", false, true),
    ] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        let raw = format!(r#"{{"type":"mode","teamName":"{team}","sessionId":"{ONE}"}}"#);
        let raw = if text {
            format!("{raw}\n")
        } else {
            String::new()
        };
        a.session(ONE).turn("hello").raw(raw.as_bytes()).write();
        let list = |machine: &Machine| machine.home.join(".claude/tasks").join(team);
        let teams = a.home.join(".claude/teams").join(team);
        fs::create_dir_all(list(&a)).unwrap();
        fs::write(list(&a).join("1.json"), self::text(&a, "pending")).unwrap();
        fs::write(list(&a).join(".highwatermark"), "1").unwrap();
        if config {
            let lead = format!(r#"{{"name":"{team}","leadSessionId":"{ONE}","members":[]}}"#);
            fs::create_dir_all(&teams).unwrap();
            fs::write(teams.join("config.json"), lead).unwrap();
        }
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        let there = || fs::read_to_string(list(&b).join("1.json")).unwrap();
        assert!(there().contains("pending"), "{team}");
        assert!(there().contains(b.home.to_str().unwrap()), "{team}");
        // The client removes the team at its end, and the list goes on.
        let _ = fs::remove_dir_all(&teams);
        fs::write(list(&b).join("1.json"), self::text(&b, "completed")).unwrap();
        assert_at_rest(&a, &b);
        let here = fs::read_to_string(list(&a).join("1.json")).unwrap();
        assert!(here.contains("completed"), "{team}");
        fs::remove_file(list(&a).join("1.json")).unwrap();
        assert_at_rest(&a, &b);
        assert!(!list(&b).join("1.json").exists(), "{team}");
    }
}

/// Two machines continue the list of one team in sessions of their own.
#[test]
fn team_task_list_of_two_sessions_travels() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let list = |machine: &Machine| machine.home.join(".claude/tasks/t");
    let lead = |machine: &Machine, session: &str, task: &str| {
        let team = machine.home.join(".claude/teams/t");
        fs::create_dir_all(&team).unwrap();
        fs::create_dir_all(list(machine)).unwrap();
        let config = format!(r#"{{"leadSessionId":"{session}"}}"#);
        fs::write(team.join("config.json"), config).unwrap();
        fs::write(list(machine).join(task), text(machine, "pending")).unwrap();
    };
    a.session(ONE).turn("first").write();
    lead(&a, ONE, "1.json");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.session(TWO).turn("second").write();
    lead(&b, TWO, "2.json");
    b.ccsync(["push"]).success();
    fs::remove_dir_all(a.home.join(".claude/teams")).unwrap();
    a.ccsync(["pull"]).success();
    assert!(list(&a).join("2.json").exists());
    assert_at_rest(&a, &b);

    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    c.ccsync(["pull"]).success();
    assert_eq!(c.sessions(), [ONE, TWO]);
    assert!(list(&c).join("1.json").exists() && list(&c).join("2.json").exists());
    let run = c.ccsync(["sync"]).success();
    assert!(run.stdout.contains("nothing to push"), "{run}");
}
