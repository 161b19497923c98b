//! Extras on two and three machines: the memory of projects, the user's `CLAUDE.md` and plans.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Machine, ONE, Run, TWO, TestEnv};

/// Access to the memory of a machine.
trait Memory {
    fn note(&self, name: &str) -> PathBuf;
    fn write_note(&self, name: &str, text: impl AsRef<[u8]>);
    fn read_note(&self, name: &str) -> String;
    fn has_note(&self, name: &str) -> bool;
}

impl Memory for Machine {
    fn note(&self, name: &str) -> PathBuf {
        self.project_dir("work/app").join("memory").join(name)
    }

    fn write_note(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.note(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read_note(&self, name: &str) -> String {
        fs::read_to_string(self.note(name))
            .unwrap_or_else(|e| panic!("{} has no {name}: {e}", self.name))
    }

    fn has_note(&self, name: &str) -> bool {
        self.note(name).exists()
    }
}

/// Runs a sync that succeeds or ends with a conflict.
#[track_caller]
fn synced(machine: &Machine) -> Run {
    let run = machine.ccsync(["sync"]);
    assert!(matches!(run.code, Some(0 | 5)), "{run}");
    run
}

/// Syncs all machines twice. After that, none has anything to push or pull.
#[track_caller]
fn settle(machines: &[&Machine]) {
    for _ in 0..2 {
        machines.iter().for_each(|machine| drop(synced(machine)));
    }
    for machine in machines {
        let run = machine.ccsync(["sync", "--json"]).success().json();
        assert_eq!(
            (&run["pull"]["extras"], &run["push"]["extras"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
    }
}

/// The directory of the only memory in the store.
fn bundle(machine: &Machine) -> PathBuf {
    let memory = machine.store().join("memory");
    let found: Vec<PathBuf> = fs::read_dir(memory)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// Two machines with a session in `work/app` and a note that both have.
fn pair_with_note(env: &TestEnv, text: &str) -> (Machine, Machine) {
    let (a, b) = env.pair_with_session();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    a.write_note("MEMORY.md", text);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.has_note("MEMORY.md"));
    (a, b)
}

#[test]
fn extras_memory_and_instructions_have_local_paths() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let text = format!(
        "# Index\n- see {}/work/app/src/x.rs\n- literally {{{{HOME}}}}\r\nno end",
        a.home.display()
    );
    a.write_note("MEMORY.md", &text);
    a.write_note("topics/deep er.md", "a\n");
    fs::write(a.home.join(".claude/CLAUDE.md"), "Be brief.\n").unwrap();
    let run = a.ccsync(["push"]).success();
    insta::assert_snapshot!(run, @r"
    extras: pushed CLAUDE.md
    memory of app: pushed MEMORY.md, topics/deep er.md
    push: up to date (1 session); on the remote as $COMMIT
    --- exit 0
    ");
    let stored = fs::read_to_string(bundle(&a).join("files/MEMORY.md")).unwrap();
    assert!(
        !stored.contains(a.home.to_str().unwrap()) && stored.contains("{{HOME}}/work/app/src/x.rs"),
        "{stored}"
    );

    let run = b.ccsync(["pull"]).success();
    insta::assert_snapshot!(run, @r"
    extras: pulled CLAUDE.md
    memory of app: pulled MEMORY.md, topics/deep er.md
    pull: up to date (1 session); on the remote as $COMMIT
    --- exit 0
    ");
    assert_eq!(
        b.read_note("MEMORY.md"),
        text.replace(a.home.to_str().unwrap(), b.home.to_str().unwrap())
    );
    assert_eq!(b.read_note("topics/deep er.md"), "a\n");
    assert_eq!(
        fs::read_to_string(b.home.join(".claude/CLAUDE.md")).unwrap(),
        "Be brief.\n"
    );
    assert_private(&b.note("MEMORY.md"));

    // A line added on the other machine is pulled, and the rest stays the same byte for byte.
    b.write_note("MEMORY.md", b.read_note("MEMORY.md") + "\nmore\n");
    settle(&[&b, &a]);
    assert_eq!(a.read_note("MEMORY.md"), format!("{text}\nmore\n"));
    for machine in [&a, &b] {
        machine.assert_in_order("extras");
        machine.ccsync(["verify", "--full"]).success();
    }
}

#[cfg(unix)]
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[cfg(not(unix))]
fn assert_private(_: &Path) {}

#[test]
fn extras_unchanged_reports_and_writes_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "# x\n");
    settle(&[&a, &b]);
    for machine in [&a, &b] {
        let before = machine.tree();
        machine.ccsync(["push"]).success();
        machine.ccsync(["pull"]).success();
        let state = |tree: &crate::harness::Tree| -> Vec<_> {
            tree.iter()
                .filter(|(path, _)| path.to_str().unwrap().contains("/ccsync/extras/"))
                .map(|e| e.1.clone())
                .collect()
        };
        assert_eq!(state(&before), state(&machine.tree()));
    }
}

#[test]
fn memory_separate_changes_and_additions_are_merged() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "# Index\none\ntwo\nthree\n");
    a.write_note("MEMORY.md", "# Index\nONE\ntwo\nthree\n- from a\n");
    b.write_note("MEMORY.md", "# Index\none\ntwo\nthree\n- from b\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(
        run.stdout.contains("memory of app: merged MEMORY.md"),
        "{run}"
    );
    settle(&[&b, &a]);
    assert_eq!(
        a.read_note("MEMORY.md"),
        "# Index\nONE\ntwo\nthree\n- from a\n- from b\n"
    );
    assert_eq!(b.read_note("MEMORY.md"), a.read_note("MEMORY.md"));
}

#[test]
fn memory_conflict_keeps_both_lines_and_is_reported() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "colour: green\n");
    a.write_note("MEMORY.md", "colour: red\n");
    b.write_note("MEMORY.md", "colour: blue\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).code(5);
    insta::assert_snapshot!(run, @r"
    memory of app: MEMORY.md: conflict, both versions kept; edit it
    pull: up to date (1 session); on the remote as $COMMIT
    --- exit 5
    ");
    insta::assert_snapshot!(b.read_note("MEMORY.md"), @r"
    [ccsync: these lines differ on two machines. On b:]
    colour: blue
    [ccsync: on a:]
    colour: red
    [ccsync: until here. Keep what is right, and remove these three lines.]
    ");
    settle(&[&b, &a]);
    assert_eq!(b.read_note("MEMORY.md"), a.read_note("MEMORY.md"));
    // The user resolves the conflict in the file.
    a.write_note("MEMORY.md", "colour: red\n");
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), "colour: red\n");
}

#[test]
fn memory_of_three_machines_converges_in_any_order() {
    let mut ends = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let env = TestEnv::new();
        let (a, b) = pair_with_note(&env, "top\nsame\nend\n");
        let c = env.machine("c");
        c.init(&env.remote_of_pair());
        fs::create_dir_all(c.home.join("work/app")).unwrap();
        c.ccsync(["pull"]).success();
        let machines = [&a, &b, &c];
        for (machine, text) in machines.iter().zip([
            "A\nsame\nend\n",
            "top\nsame\nend\nB\n",
            "top\nsame\nC\nend\n",
        ]) {
            machine.write_note("MEMORY.md", text);
        }
        // Without a pull before, the commits are merged.
        order
            .iter()
            .for_each(|n| drop(machines[*n].ccsync(["push"]).success()));
        settle(&machines);
        assert_eq!(a.read_note("MEMORY.md"), b.read_note("MEMORY.md"));
        assert_eq!(a.read_note("MEMORY.md"), c.read_note("MEMORY.md"));
        ends.push(a.read_note("MEMORY.md"));
    }
    assert_eq!(ends, vec!["A\nsame\nC\nend\nB\n"; 3]);
}

#[test]
fn memory_conflict_of_two_pushes_is_reported_by_second() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "green\n");
    a.write_note("MEMORY.md", "red\n");
    b.write_note("MEMORY.md", "blue\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["push"]).code(5);
    assert!(
        run.stdout
            .contains("memory of app: MEMORY.md: conflict, both versions kept"),
        "{run}"
    );
    assert_eq!(
        b.read_note("MEMORY.md"),
        "blue\n",
        "a push writes nothing here"
    );
    // This machine edits the file before it pulls.
    b.write_note("MEMORY.md", "blue\nand more\n");
    b.ccsync(["push"]);
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), a.read_note("MEMORY.md"));
    let text = b.read_note("MEMORY.md");
    for line in ["red\n", "blue\n", "and more\n"] {
        assert_eq!(text.matches(line).count(), 1, "{text}");
    }
}

#[test]
fn pull_reports_own_memory_conflict_after_earlier_merge() {
    let env = TestEnv::new();
    let lines = |second: &str, ninth: &str| format!("1\n{second}\n3\n4\n5\n6\n7\n8\n{ninth}\n10\n");
    let (a, b) = pair_with_note(&env, &lines("2", "9"));
    let (remote, away) = (env.remote_of_pair(), env.root().join("away"));
    fs::rename(&remote, &away).unwrap();
    b.write_note("MEMORY.md", lines("two", "9"));
    b.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    a.write_note("MEMORY.md", lines("2", "nine of a"));
    a.ccsync(["push"]).success();
    b.write_note("MEMORY.md", lines("two", "nine of b"));
    // The fetch merges the pushed text; then the unpushed text conflicts with it.
    let run = b.ccsync(["pull"]).code(5);
    assert!(
        run.stdout
            .contains("MEMORY.md: conflict, both versions kept"),
        "{run}"
    );
    let text = b.read_note("MEMORY.md");
    assert!(
        ["two", "nine of a", "nine of b"]
            .iter()
            .all(|said| text.contains(said)),
        "{text}"
    );
}

#[test]
fn memory_deletion_propagates_and_undo_restores() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    a.write_note("old.md", "old\n");
    settle(&[&a, &b]);
    fs::remove_file(a.note("old.md")).unwrap();
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("memory of app: removed old.md"),
        "{run}"
    );
    let run = b.ccsync(["pull"]).success();
    assert!(
        run.stdout.contains("memory of app: removed old.md"),
        "{run}"
    );
    assert!(!b.has_note("old.md"));
    b.ccsync(["undo"]).success();
    assert_eq!(b.read_note("old.md"), "old\n");
    b.ccsync(["pull"]).success();
    assert!(
        !b.has_note("old.md"),
        "the pull that was taken back is made again"
    );
    settle(&[&a, &b]);
    // A file of the same name can be created again.
    a.write_note("old.md", "again\n");
    settle(&[&a, &b]);
    assert_eq!(b.read_note("old.md"), "again\n");
}

#[test]
fn memory_change_wins_over_removal_on_either_side() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    a.write_note("one.md", "1\n");
    a.write_note("two.md", "2\n");
    settle(&[&a, &b]);
    fs::remove_file(a.note("one.md")).unwrap();
    b.write_note("one.md", "1 changed\n");
    a.write_note("two.md", "2 changed\n");
    fs::remove_file(b.note("two.md")).unwrap();
    settle(&[&a, &b]);
    for machine in [&a, &b] {
        assert_eq!(machine.read_note("one.md"), "1 changed\n");
        assert_eq!(machine.read_note("two.md"), "2 changed\n");
    }
}

#[test]
fn memory_missing_directory_is_not_a_removal() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    fs::remove_dir_all(a.project_dir("work/app")).unwrap();
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), "x\n");
    assert!(
        !a.has_note("MEMORY.md"),
        "a missing file is not pulled again"
    );
    b.write_note("MEMORY.md", "y\n");
    settle(&[&b, &a]);
    assert_eq!(
        a.read_note("MEMORY.md"),
        "y\n",
        "a change on another machine restores it"
    );
}

#[test]
fn extras_lost_state_loses_no_text() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "top\none\n");
    b.write_note("gone.md", "g\n");
    settle(&[&a, &b]);
    fs::remove_dir_all(b.home.join(".local/state/ccsync/extras")).unwrap();
    fs::remove_file(b.note("gone.md")).unwrap();
    settle(&[&b, &a]);
    assert_eq!(
        (a.read_note("gone.md"), b.read_note("gone.md")),
        ("g\n".to_owned(), "g\n".to_owned())
    );
    fs::remove_dir_all(b.home.join(".local/state/ccsync/extras")).unwrap();
    a.write_note("MEMORY.md", "top\none\nfrom a\n");
    b.write_note("MEMORY.md", "top\nfrom b\none\n");
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), "top\nfrom b\none\nfrom a\n");
    assert_eq!(a.read_note("MEMORY.md"), b.read_note("MEMORY.md"));
}

#[test]
fn memory_of_two_machines_before_first_sync_is_merged() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for (machine, id, text) in [
        (&a, ONE, "# Index\n- from a\n"),
        (&b, TWO, "# Index\n- from b\n"),
    ] {
        machine.session(id).turn("hello").write();
        machine.write_note("MEMORY.md", text);
    }
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).code(5);
    settle(&[&a, &b]);
    let text = a.read_note("MEMORY.md");
    assert_eq!(b.read_note("MEMORY.md"), text);
    assert!(
        text.contains("- from a\n")
            && text.contains("- from b\n")
            && text.matches("# Index\n").count() == 1,
        "{text}"
    );
}

#[test]
fn memory_of_missing_project_is_not_pulled_until_it_appears() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let placeholder = |machine: &Machine| format!("WORK={}", machine.home.join("work").display());
    a.add_placeholder(&placeholder(&a));
    a.session(ONE).turn("hello").write();
    a.write_note("MEMORY.md", "x\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(
        run.stdout
            .contains("memory of app not pulled: no copy of that project here"),
        "{run}"
    );
    assert!(!b.has_note("MEMORY.md"));
    let json = b.ccsync(["pull", "--json"]).success().json();
    assert_eq!(json["extras"][0]["project"], "{{WORK}}/app");
    b.add_placeholder(&placeholder(&b));
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    b.ccsync(["pull"]).success();
    assert_eq!(b.read_note("MEMORY.md"), "x\n");
}

fn git(machine: &Machine, directory: &Path, args: &[&str]) {
    fs::create_dir_all(directory).unwrap();
    machine
        .run(machine.program("git").arg("-C").arg(directory).args(args))
        .success();
}

#[test]
fn memory_is_shared_by_clones_and_worktrees() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let here = a.home.join("work/app");
    git(&a, &here, &["init", "--quiet"]);
    git(
        &a,
        &here,
        &["remote", "add", "origin", "git@github.com:Al/App.git"],
    );
    git(
        &a,
        &here,
        &["commit", "--quiet", "--allow-empty", "-m", "x"],
    );
    git(&a, &here, &["worktree", "add", "--quiet", "../tree"]);
    // The only sessions are in a sub-directory of a worktree.
    a.session(ONE)
        .project("work/tree/src")
        .turn("hello")
        .write();
    a.write_note("MEMORY.md", format!("see {}/src/x.rs\n", here.display()));
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("memory of app: pushed MEMORY.md"),
        "{run}"
    );

    let there = b.home.join("code/my-app");
    git(&b, &there, &["init", "--quiet"]);
    git(
        &b,
        &there,
        &["remote", "add", "origin", "https://github.com/Al/App"],
    );
    b.session(TWO).project("code/my-app").turn("hi").write();
    b.ccsync(["pull"]).success();
    let note = b.project_dir("code/my-app").join("memory/MEMORY.md");
    assert_eq!(
        fs::read_to_string(&note).unwrap(),
        format!("see {}/src/x.rs\n", there.display())
    );
    fs::write(&note, format!("see {}/src/y.rs\n", there.display())).unwrap();
    settle(&[&b, &a]);
    assert_eq!(
        a.read_note("MEMORY.md"),
        format!("see {}/src/y.rs\n", here.display())
    );
}

#[test]
fn memory_is_kept_when_project_gets_remote() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    for machine in [&a, &b] {
        let project = machine.home.join("work/app");
        git(machine, &project, &["init", "--quiet"]);
        git(
            machine,
            &project,
            &["remote", "add", "origin", "git@github.com:al/app.git"],
        );
    }
    a.write_note("MEMORY.md", "x\ny\n");
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), "x\ny\n");
    a.write_note("MEMORY.md", "x\ny\nz\n");
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), "x\ny\nz\n");
}

#[test]
fn memory_of_unknown_project_stays_local() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.write_note("MEMORY.md", "x\n");
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains("no session here says which project it belongs to"),
        "{run}"
    );
    // The project is searched again as soon as a new session may name it.
    let projects = serde_json::json!({ "projects": { a.home.join("work/app").to_str().unwrap(): { "secret": 1 } } });
    fs::write(a.home.join(".claude.json"), projects.to_string()).unwrap();
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("memory of app: pushed MEMORY.md"),
        "{run}"
    );
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
}

#[test]
fn memory_unsupported_files_are_skipped_and_named() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    a.write_note("image.png", b"\x89PNG\0\0");
    a.write_note("latin.txt", b"caf\xe9\n");
    a.write_note("huge.md", vec![b'x'; (1 << 20) + 1]);
    a.write_note(".hidden.md", "h");
    a.write_note("good.md", "g\n");
    #[cfg(unix)]
    std::os::unix::fs::symlink(a.home.join(".gitconfig"), a.note("link.md")).unwrap();
    for command in ["push", "status"] {
        let run = a.ccsync([command]).success();
        for name in ["image.png", "latin.txt", "huge.md", "link.md"] {
            assert!(
                run.stdout
                    .lines()
                    .any(|line| line.contains("stays here") && line.contains(name)),
                "{name}: {run}"
            );
        }
        assert!(!run.stdout.contains("hidden"), "{run}");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(b.read_note("good.md"), "g\n");
    assert_eq!(fs::read_dir(b.note("")).unwrap().count(), 2);
}

#[test]
fn extras_dry_run_reports_and_changes_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    a.write_note("MEMORY.md", "y\n");
    let before = a.tree();
    let run = a.ccsync(["push", "--dry-run"]).success();
    assert!(
        run.stdout.contains("memory of app: would push MEMORY.md"),
        "{run}"
    );
    assert_eq!(a.tree(), before);
    a.ccsync(["push"]).success();
    let before = b.client_tree();
    let run = b.ccsync(["pull", "--dry-run"]).success();
    assert!(
        run.stdout.contains("memory of app: would pull MEMORY.md"),
        "{run}"
    );
    assert_eq!(b.client_tree(), before);
    b.ccsync(["pull"]).success();
    assert_eq!(b.read_note("MEMORY.md"), "y\n");
}

#[test]
fn undo_reverts_sessions_and_extras_together() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    settle(&[&a, &b]);
    let before = b.client_tree();
    a.append(ONE, "more");
    a.write_note("MEMORY.md", "y\n");
    a.write_note("new.md", "n\n");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let run = b.ccsync(["undo"]).success();
    let new = b.note("new.md");
    assert!(
        run.stdout
            .contains(&format!("  removed   {}\n", new.display()))
            && !new.exists(),
        "{run}"
    );
    assert!(
        run.summary()
            .starts_with("undo: 2 files restored, 1 removed, as before the pull or restore "),
        "{run}"
    );
    assert_eq!(b.client_tree(), before);
    // A restored file does not count as a change of this machine.
    b.ccsync(["push"]).success();
    settle(&[&b, &a]);
    assert_eq!(
        (a.read_note("MEMORY.md"), b.read_note("MEMORY.md")),
        ("y\n".to_owned(), "y\n".to_owned())
    );
    assert_eq!(b.read_note("new.md"), "n\n");
}

#[test]
fn extras_disabled_by_config() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    a.ccsync(["config", "set", "extras", "none"]).success();
    assert_eq!(
        a.ccsync(["config", "get", "extras"]).success().stdout,
        "none\n"
    );
    a.write_note("MEMORY.md", "y\n");
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    assert_eq!(b.read_note("MEMORY.md"), "x\n");
    a.ccsync(["config", "set", "extras", "memory,claude-md"])
        .success();
    settle(&[&a, &b]);
    assert_eq!(b.read_note("MEMORY.md"), "y\n");
    a.ccsync(["config", "set", "extras", "memory,secrets"])
        .code(2);
}

/// Changes a store as an attacker could, and pushes the result.
fn tamper(machine: &Machine, change: impl FnOnce(&Path)) {
    let store = machine.store();
    change(&store);
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "--quiet", "-m", "x"]);
    let remote = machine.ccsync(["config", "get", "remote"]).success().stdout;
    machine.git(&["push", "--quiet", remote.trim(), "HEAD:main"]);
}

#[test]
fn extras_hidden_names_are_not_written() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    tamper(&a, |_| {
        let path = bundle(&a).join("bundle.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for name in [".hidden.md", "a/.b/c.md"] {
            json["files"][name] = json["files"]["MEMORY.md"].clone();
            let text = bundle(&a).join("files").join(name);
            fs::create_dir_all(text.parent().unwrap()).unwrap();
            fs::write(text, "x\n").unwrap();
        }
        fs::write(&path, json.to_string()).unwrap();
    });
    b.ccsync(["pull"]).success();
    assert_eq!(fs::read_dir(b.note("")).unwrap().count(), 1);
}

#[test]
fn extras_hostile_bundle_is_refused() {
    type Change = fn(&mut serde_json::Value);
    let changes: [Change; 6] = [
        |bundle| bundle["files"]["../../../escaped.md"] = bundle["files"]["MEMORY.md"].clone(),
        |bundle| bundle["files"]["/etc/escaped.md"] = bundle["files"]["MEMORY.md"].clone(),
        |bundle| bundle["files"]["MEMORY.md"]["bytes"] = serde_json::json!(1_u64 << 50),
        |bundle| bundle["files"]["MEMORY.md"]["runs"] = serde_json::json!([{ "lines": 99 }]),
        |bundle| bundle["format"] = serde_json::json!(99),
        |bundle| bundle["project"] = serde_json::json!({ "path": "{{HOME}}/.ssh" }),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let env = TestEnv::new();
        let (a, b) = pair_with_note(&env, "x\n");
        a.append(ONE, "more");
        a.ccsync(["push"]).success();
        tamper(&a, |store| {
            let path = bundle(&a).join("bundle.json");
            assert!(path.starts_with(store));
            let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            change(&mut json);
            fs::write(&path, json.to_string()).unwrap();
        });
        let run = b.ccsync(["pull"]).code(3);
        assert!(run.stdout.contains("skipped: "), "{n}: {run}");
        assert!(
            b.text(ONE).contains("more"),
            "{n}: the session is pulled nevertheless"
        );
        assert_eq!(b.read_note("MEMORY.md"), "x\n", "{n}");
        let escaped = walkdir::WalkDir::new(env.root())
            .into_iter()
            .flatten()
            .any(|e| e.file_name() == "escaped.md");
        assert!(!escaped, "{n}");
    }
}

#[test]
fn extras_bundle_with_two_descriptions_is_refused() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    tamper(&a, |_| {
        let [present, former] = ["bundle.json", "shelf.json"].map(|name| bundle(&a).join(name));
        fs::copy(present, former).unwrap();
    });
    let run = b.ccsync(["pull"]).code(3);
    assert!(run.stdout.contains("skipped: "), "{run}");
    assert_eq!(b.read_note("MEMORY.md"), "x\n");
}

#[test]
#[cfg(unix)]
fn extras_symlink_is_not_written_through() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    fs::create_dir_all(b.home.join("elsewhere")).unwrap();
    b.write_note("MEMORY.md", "b\n");
    std::os::unix::fs::symlink(b.home.join("elsewhere"), b.note("topics")).unwrap();
    a.write_note("topics/x.md", "x\n");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).code(3);
    assert!(
        run.stdout.contains("is a link, and links are not followed"),
        "{run}"
    );
    assert_eq!(fs::read_dir(b.home.join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn extras_control_characters_in_name_are_escaped() {
    let env = TestEnv::new();
    let (a, _) = pair_with_note(&env, "x\n");
    a.write_note("evil\u{1b}[2J.md", "x\n");
    let run = a.ccsync(["push"]).success();
    assert!(
        !run.stdout.contains('\u{1b}') && run.stdout.contains("stays here"),
        "{run}"
    );
}

#[test]
fn extras_offline_change_is_queued() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    let (remote, away) = (env.remote_of_pair(), env.root().join("away.git"));
    fs::rename(&remote, &away).unwrap();
    a.write_note("MEMORY.md", "y\n");
    a.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.read_note("MEMORY.md"), "y\n");
}

#[test]
fn extras_new_empty_remote_removes_nothing() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    let other = env.bare_remote();
    for machine in [&a, &b] {
        machine
            .ccsync(["init", "--yes", "--remote", other.to_str().unwrap()])
            .success();
        fs::remove_dir_all(machine.home.join(".local/share/ccsync/store")).unwrap();
    }
    fs::remove_dir_all(&other).unwrap();
    let again = env.bare_remote();
    fs::rename(again, &other).unwrap();
    b.ccsync(["pull"]);
    assert_eq!(b.read_note("MEMORY.md"), "x\n");
    settle(&[&b, &a]);
    assert_eq!(a.read_note("MEMORY.md"), "x\n");
}

#[test]
#[cfg(unix)]
fn extras_file_replaced_by_symlink_is_not_a_removal() {
    use std::os::unix::fs::symlink;
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    let claude_md = |machine: &Machine| machine.home.join(".claude/CLAUDE.md");
    a.write_note("one.md", "1\n");
    a.write_note("deep/two.md", "2\n");
    fs::write(claude_md(&a), "Be brief.\n").unwrap();
    settle(&[&a, &b]);
    // The user moves the files and leaves links.
    let elsewhere = a.home.join("dotfiles");
    fs::create_dir(&elsewhere).unwrap();
    for path in [claude_md(&a), a.note("one.md"), a.note("deep")] {
        let moved = elsewhere.join(path.file_name().unwrap());
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
    }
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("stays here") && !run.stdout.contains("removed"),
        "{run}"
    );
    synced(&b);
    assert_eq!(fs::read_to_string(claude_md(&b)).unwrap(), "Be brief.\n");
    assert_eq!(
        (
            b.read_note("one.md").as_str(),
            b.read_note("deep/two.md").as_str()
        ),
        ("1\n", "2\n")
    );
    // A file without a link in its place was removed on purpose.
    fs::remove_file(a.note("one.md")).unwrap();
    a.ccsync(["push"]).success();
    synced(&b);
    assert!(!b.has_note("one.md"));
}

#[test]
fn memory_recreated_directory_removes_nothing() {
    for begins_again in [false, true] {
        let env = TestEnv::new();
        let (a, b) = pair_with_note(&env, "x\n");
        a.write_note("one.md", "1\n");
        settle(&[&a, &b]);
        fs::remove_dir_all(a.note("")).unwrap();
        fs::create_dir(a.note("")).unwrap();
        if begins_again {
            a.write_note("MEMORY.md", "new\n");
        }
        a.ccsync(["push"]);
        synced(&b);
        assert_eq!(b.read_note("one.md"), "1\n");
        assert!(b.read_note("MEMORY.md").contains("x\n"));
        settle(&[&a, &b]);
        assert_eq!(a.read_note("one.md"), "1\n");
        assert_eq!(a.read_note("MEMORY.md"), b.read_note("MEMORY.md"));
        assert_eq!(a.read_note("MEMORY.md").contains("new\n"), begins_again);
    }
}

#[test]
fn memory_newer_text_survives_restarted_store() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "one\n");
    a.write_note("MEMORY.md", "one\ntwo\n");
    a.ccsync(["push"]).success();
    // The remote and the stores are lost. The machine that was behind fills the new remote first.
    fs::remove_dir_all(env.remote_of_pair()).unwrap();
    fs::rename(env.bare_remote(), env.remote_of_pair()).unwrap();
    for machine in [&a, &b] {
        fs::remove_dir_all(machine.home.join(".local/share/ccsync/store")).unwrap();
    }
    fs::remove_dir_all(b.home.join(".local/state/ccsync/extras")).unwrap();
    b.ccsync(["push"]).success();
    synced(&a);
    settle(&[&a, &b]);
    assert_eq!(
        (a.read_note("MEMORY.md"), b.read_note("MEMORY.md")),
        ("one\ntwo\n".to_owned(), "one\ntwo\n".to_owned())
    );
}

#[test]
fn memory_of_moved_clone_stays_in_sync() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for (machine, id) in [(&a, ONE), (&b, TWO)] {
        let project = machine.home.join("work/app");
        git(machine, &project, &["init", "--quiet"]);
        git(
            machine,
            &project,
            &["remote", "add", "origin", "git@github.com:al/app.git"],
        );
        machine.session(id).turn("hello").write();
    }
    a.write_note("MEMORY.md", "one\ntwo\nthree\n");
    settle(&[&a, &b]);
    fs::rename(a.home.join("work/app"), a.home.join("away")).unwrap();
    let run = a.ccsync(["push"]).success();
    assert!(
        !run.stdout.contains("MEMORY.md"),
        "it is not another project's memory: {run}"
    );
    b.write_note("MEMORY.md", "one\n2\nthree\n");
    b.ccsync(["push"]).success();
    synced(&a);
    fs::rename(a.home.join("away"), a.home.join("work/app")).unwrap();
    a.ccsync(["sync"]).success();
    settle(&[&a, &b]);
    assert_eq!(a.read_note("MEMORY.md"), "one\n2\nthree\n");
    assert_eq!(fs::read_dir(a.store().join("memory")).unwrap().count(), 1);
}

#[test]
fn memory_is_pulled_into_clone_unused_by_client() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let here = a.home.join("work/app");
    git(&a, &here, &["init", "--quiet"]);
    git(
        &a,
        &here,
        &["remote", "add", "origin", "git@github.com:al/app.git"],
    );
    a.session(ONE).turn("hello").write();
    a.write_note("MEMORY.md", format!("see {}/x\n", here.display()));
    a.ccsync(["push"]).success();
    let there = b.home.join("code/mine");
    git(&b, &there, &["init", "--quiet"]);
    git(
        &b,
        &there,
        &["remote", "add", "origin", "https://github.com/al/app"],
    );
    b.run(b.command(["pull"]).current_dir(&there)).success();
    let note = b.project_dir("code/mine").join("memory/MEMORY.md");
    assert_eq!(
        fs::read_to_string(&note).unwrap(),
        format!("see {}/x\n", there.display())
    );
    // With two clones on B, one of them with its own memory, both get the merged text.
    let other = b.home.join("code/other");
    git(&b, &other, &["init", "--quiet"]);
    git(
        &b,
        &other,
        &["remote", "add", "origin", "https://github.com/al/app"],
    );
    b.session(TWO).project("code/other").turn("hi").write();
    let second = b.project_dir("code/other").join("memory/MEMORY.md");
    fs::create_dir_all(second.parent().unwrap()).unwrap();
    fs::write(&second, format!("see {}/x\nmore\n", other.display())).unwrap();
    for machine in [&b, &a, &b] {
        synced(machine);
    }
    settle(&[&b, &a]);
    assert_eq!(
        fs::read_to_string(&note).unwrap(),
        format!("see {}/x\nmore\n", there.display())
    );
    assert_eq!(
        fs::read_to_string(&second).unwrap(),
        format!("see {}/x\nmore\n", other.display())
    );
    assert_eq!(
        a.read_note("MEMORY.md"),
        format!("see {}/x\nmore\n", here.display())
    );
}

#[test]
fn milestone_pushes_current_memory() {
    let env = TestEnv::new();
    let (a, b) = pair_with_note(&env, "x\n");
    a.write_note("MEMORY.md", "y\n");
    let run = a.ccsync(["milestone", "first"]).success();
    assert!(run.stdout.contains("first"), "{run}");
    synced(&b);
    assert_eq!(b.read_note("MEMORY.md"), "y\n");
}

#[test]
fn memory_project_is_known_after_first_session() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.write_note("MEMORY.md", "x\n");
    for command in ["push", "status"] {
        let run = a.ccsync([command]).success();
        assert!(
            run.stdout
                .contains("no session here says which project it belongs to"),
            "{run}"
        );
    }
    a.session(ONE).turn("hello").write();
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout.contains("memory of app: pushed MEMORY.md"),
        "{run}"
    );
}

#[test]
fn memory_merge_over_size_limit_is_skipped_and_named() {
    for offline in [false, true] {
        let env = TestEnv::new();
        let (a, b) = pair_with_note(&env, "top\n");
        let long = |what: &str| {
            (0..20_000).fold("top\n".to_owned(), |text, n| {
                text + &format!("{what} line {n:020}\n")
            })
        };
        a.write_note("MEMORY.md", long("one"));
        b.write_note("MEMORY.md", long("other"));
        if offline {
            // Both machines commit before they fetch.
            let (remote, away) = (env.remote_of_pair(), env.root().join("away"));
            fs::rename(&remote, &away).unwrap();
            b.ccsync(["push"]).code(6);
            fs::rename(&away, &remote).unwrap();
        }
        a.ccsync(["push"]).success();
        let reason =
            "merged with the changes of a it would be larger than 1 MB; shorten it here or there";
        for command in ["push", "pull", "push"] {
            let run = b.ccsync([command]).code(3);
            assert!(
                run.stdout
                    .contains(&format!("skipped: memory of app: MEMORY.md: {reason}")),
                "{command}\n{run}"
            );
            assert!(!run.stdout.contains("pushed MEMORY.md"), "{command}\n{run}");
        }
        a.ccsync(["sync"]).success();
        assert!(
            a.read_note("MEMORY.md") == long("one") && b.read_note("MEMORY.md") == long("other")
        );
        // Once one version is shorter, they are merged.
        b.write_note("MEMORY.md", "top\nshort\n");
        settle(&[&b, &a]);
        let text = a.read_note("MEMORY.md");
        assert!(
            text == b.read_note("MEMORY.md")
                && text.contains("short\n")
                && text.contains(&long("one")[4..])
        );
    }
}

fn plan(machine: &Machine, name: &str) -> PathBuf {
    machine.home.join(".claude/plans").join(name)
}

fn write_plan(machine: &Machine, name: &str, text: &str) {
    fs::create_dir_all(machine.home.join(".claude/plans")).unwrap();
    fs::write(plan(machine, name), text).unwrap();
}

#[test]
fn plans_cleanup_is_not_propagated() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let text = |machine: &Machine| {
        format!(
            "# Plan\nchange {}/work/app/x.rs\n- step\n",
            machine.home.display()
        )
    };
    write_plan(&a, "calm-otter.md", &text(&a));
    write_plan(&a, "other.md", "o\n");
    write_plan(&a, "notes.txt", "no plan\n");
    fs::create_dir_all(plan(&a, "old")).unwrap();
    write_plan(&a, "old/x.md", "no plan either\n");
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains("extras: pushed plans/calm-otter.md, plans/other.md"),
        "{run}"
    );
    b.ccsync(["pull"]).success();
    assert_eq!(
        fs::read_to_string(plan(&b, "calm-otter.md")).unwrap(),
        text(&b)
    );
    assert_private(&plan(&b, "calm-otter.md"));
    assert!(!plan(&b, "notes.txt").exists() && !plan(&b, "old").exists());

    // Both machines edit the same plan.
    fs::write(plan(&a, "calm-otter.md"), text(&a) + "- from a\n").unwrap();
    fs::write(
        plan(&b, "calm-otter.md"),
        text(&b).replace("# Plan", "# The plan"),
    )
    .unwrap();
    settle(&[&a, &b]);
    let both = text(&b).replace("# Plan", "# The plan") + "- from a\n";
    assert_eq!(fs::read_to_string(plan(&b, "calm-otter.md")).unwrap(), both);

    fs::remove_file(plan(&b, "other.md")).unwrap();
    settle(&[&b, &a]);
    assert!(plan(&a, "other.md").exists() && !plan(&b, "other.md").exists());
    assert!(b.store().join("user/files/plans/other.md").exists());
    // A change on another machine restores it.
    write_plan(&a, "other.md", "o\nmore\n");
    settle(&[&a, &b]);
    assert_eq!(
        fs::read_to_string(plan(&b, "other.md")).unwrap(),
        "o\nmore\n"
    );
}

/// Writes a plan that was last modified some days ago.
fn write_aged_plan(machine: &Machine, name: &str, days: i64) {
    write_plan(machine, name, &format!("{name}\n"));
    let then = chrono::Utc::now() - chrono::TimeDelta::days(days);
    ccsync::sys::fs::set_modified(&plan(machine, name), then).unwrap();
}

fn plans_in_store(machine: &Machine) -> Vec<String> {
    let names = fs::read_dir(machine.store().join("user/files/plans"))
        .unwrap()
        .flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn plans_from_two_machines_keep_newest() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    (0..200).for_each(|n| write_aged_plan(&a, &format!("a{n:03}.md"), 210 - n));
    (0..100).for_each(|n| write_aged_plan(&b, &format!("b{n:03}.md"), 1));
    a.ccsync(["push"]).success();
    // B commits before it fetches.
    b.ccsync(["push"]).success();
    let names = plans_in_store(&b);
    assert_eq!(
        (names.len(), names[0].as_str(), names[255].as_str()),
        (256, "a044.md", "b099.md")
    );
    settle(&[&a, &b]);
    assert_eq!(plans_in_store(&a), names);
    assert!(
        plan(&a, "a000.md").exists() && plan(&a, "b000.md").exists(),
        "nothing is taken from a machine"
    );
}

#[test]
fn plans_over_limit_push_newest() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    (0..300).for_each(|n| write_aged_plan(&a, &format!("a{n:03}.md"), 310 - n));
    a.ccsync(["push"]).success();
    assert_eq!(
        (plans_in_store(&a).len(), plans_in_store(&a)[0].as_str()),
        (256, "a044.md")
    );
    (0..20).for_each(|n| write_aged_plan(&b, &format!("b{n:02}.md"), 1));
    settle(&[&b, &a]);
    let names = plans_in_store(&a);
    assert_eq!(
        (names.len(), names[0].as_str(), names[255].as_str()),
        (256, "a064.md", "b19.md")
    );
    assert!(
        plan(&a, "a000.md").exists() && plan(&a, "b00.md").exists(),
        "nothing is taken from a machine"
    );
    // A plan older than all others is not pushed.
    write_aged_plan(&b, "b-old.md", 400);
    for _ in 0..2 {
        let run = b.ccsync(["push"]).success();
        assert!(
            !run.stdout.contains("b-old.md") && plans_in_store(&b) == names,
            "{run}"
        );
    }
    // An edited plan counts as new.
    write_plan(&a, "a000.md", "again\n");
    settle(&[&a, &b]);
    assert_eq!(fs::read_to_string(plan(&b, "a000.md")).unwrap(), "again\n");
    // This holds on a machine with many newer plans, too.
    (0..300).for_each(|n| write_aged_plan(&b, &format!("c{n:03}.md"), 0));
    write_plan(&a, "a299.md", "again\n");
    settle(&[&a, &b]);
    assert_eq!(fs::read_to_string(plan(&b, "a299.md")).unwrap(), "again\n");
}
