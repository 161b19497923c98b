//! Extras, and commands that are killed at every step of syncing them.

use std::fs;
use std::path::PathBuf;

use crate::harness::world::World;
use crate::story::{Story, run_story};

pub(crate) const STORIES: [Story; 4] = [
    story("push of notes", "a", &["push"], write_on_a),
    story("push of notes that merges", "a", &["push"], write_on_both),
    story("pull of notes", "b", &["pull"], write_for_b_to_pull),
    Story {
        afterwards: assert_notes_of_milestone,
        ..story(
            "restore of notes",
            "a",
            &["restore", "--milestone", "then", "--yes"],
            write_after_milestone,
        )
    },
];

const fn story(
    name: &'static str,
    victim: &'static str,
    command: &'static [&'static str],
    prepare: fn(&mut World, usize),
) -> Story {
    Story {
        name,
        victim,
        command,
        prepare,
        world: World::new,
        again: &[],
        may_skip: false,
        thorough: true,
        afterwards: assert_nothing_lost,
    }
}

fn note(world: &World, machine: &str, name: &str) -> PathBuf {
    world
        .machine(machine)
        .project_dir("work/app")
        .join("memory")
        .join(name)
}

fn read(world: &World, machine: &str, name: &str) -> Option<String> {
    fs::read_to_string(note(world, machine, name)).ok()
}

/// Adds a line to a note, and records it.
fn write(world: &World, machine: &str, name: &str, line: &str) {
    let path = note(world, machine, name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, format!("{before}{line}\n")).unwrap();
    let ledger = world.env.root().join("lines");
    let lines = fs::read_to_string(&ledger).unwrap_or_default();
    fs::write(ledger, format!("{lines}{line}\n")).unwrap();
}

fn write_on_a(world: &mut World, round: usize) {
    write(world, "a", "MEMORY.md", &format!("a {round}"));
    write(
        world,
        "a",
        &format!("note {round}.md"),
        &format!("new {round}"),
    );
}

fn write_on_both(world: &mut World, round: usize) {
    write_on_a(world, round);
    write(world, "b", "MEMORY.md", &format!("b {round}"));
    world.b.ccsync(["push"]).success();
}

/// Writes a file to merge, a new one, and one to remove.
fn write_for_b_to_pull(world: &mut World, round: usize) {
    fs::create_dir_all(note(world, "a", "")).unwrap();
    fs::write(note(world, "a", "old.md"), format!("old {round}\n")).unwrap();
    world.a.ccsync(["sync"]).success();
    world.b.ccsync(["sync"]).success();
    assert!(note(world, "b", "old.md").exists());
    fs::remove_file(note(world, "a", "old.md")).unwrap();
    write_on_a(world, round);
    world.a.ccsync(["push"]).success();
    write(world, "b", "MEMORY.md", &format!("b {round}"));
}

/// Asserts that both machines have every recorded line once.
fn assert_nothing_lost(world: &mut World, what: &str) {
    for machine in [&world.a, &world.b, &world.a, &world.b] {
        machine.ccsync(["sync"]).success();
    }
    let names: Vec<_> = fs::read_dir(note(world, "a", ""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    let texts = |machine: &str| -> Vec<String> {
        names
            .iter()
            .map(|name| read(world, machine, name.to_str().unwrap()).unwrap_or_default())
            .collect()
    };
    assert_eq!(texts("a"), texts("b"), "{what}");
    let all = texts("a").concat();
    for line in fs::read_to_string(world.env.root().join("lines"))
        .unwrap()
        .lines()
    {
        assert_eq!(
            all.lines().filter(|l| *l == line).count(),
            1,
            "{what}: {line}\n{all}"
        );
    }
    assert!(
        !note(world, "b", "old.md").exists() && !note(world, "a", "old.md").exists(),
        "{what}"
    );
}

/// Creates a milestone in the first round. Then changes the notes, in the store and again
/// here.
fn write_after_milestone(world: &mut World, round: usize) {
    write_on_a(world, round);
    if round == 1 {
        world.a.ccsync(["milestone", "then"]).success();
    }
    write(world, "a", "MEMORY.md", &format!("later {round}"));
    write(world, "a", "note 1.md", &format!("later {round}"));
    world.a.ccsync(["push"]).success();
    write(world, "a", "MEMORY.md", &format!("only here {round}"));
}

/// Asserts that both machines have the notes of the milestone, and that the history has all lines.
fn assert_notes_of_milestone(world: &mut World, what: &str) {
    for machine in [&world.a, &world.b, &world.a, &world.b] {
        machine.ccsync(["sync"]).success();
    }
    for machine in ["a", "b"] {
        assert_eq!(
            read(world, machine, "MEMORY.md").as_deref(),
            Some("a 1\n"),
            "{what}: {machine}"
        );
        assert_eq!(
            read(world, machine, "note 1.md").as_deref(),
            Some("new 1\n"),
            "{what}: {machine}"
        );
    }
    let history = world.a.git(&["log", "-p", "--format="]);
    for line in fs::read_to_string(world.env.root().join("lines"))
        .unwrap()
        .lines()
    {
        assert!(history.contains(&format!("+{line}\n")), "{what}: {line}");
    }
}

tests!(
    STORIES:
    extras_killed_push_loses_nothing => 0,
    extras_killed_merging_push_loses_nothing => 1,
    extras_killed_pull_loses_nothing => 2,
    extras_killed_restore_loses_nothing => 3
);
