//! Deleting and purging, killed at every step: the session is in the store or out of it, what was
//! purged is nowhere, and no other turn is lost.

use std::path::Path;

use crate::harness::Machine;
use crate::harness::world::{World, id};
use crate::story::{Story, run_story};

const DOOMED: &str = "00000000-0000-4000-8000-000000000000";

pub(crate) const STORIES: [Story; 2] = [
    Story {
        again: &[&["delete", DOOMED, "--yes"], &["sync"]],
        ..story(
            "delete",
            &["delete", DOOMED, "--yes"],
            write,
            assert_deleted,
        )
    },
    Story {
        again: &[&["purge", "--yes"], &["sync"]],
        ..story(
            "purge",
            &["purge", "--yes"],
            write_and_delete,
            assert_purged,
        )
    },
];

const fn story(
    name: &'static str,
    command: &'static [&'static str],
    prepare: fn(&mut World, usize),
    afterwards: fn(&mut World, &str),
) -> Story {
    Story {
        name,
        victim: "a",
        command,
        prepare,
        world: World::new,
        again: &[],
        may_skip: false,
        thorough: false,
        afterwards,
    }
}

/// Brings the session back, and lets the other machine push something that is not here.
fn write(world: &mut World, round: usize) {
    assert_eq!(id(0), DOOMED);
    world.a.ccsync(["sync"]).success();
    world.a.ccsync(["delete", "--undo", DOOMED]);
    world.write("a", 0, 1);
    world.write("a", round, 1);
    world.a.ccsync(["push"]).success();
    world.b.ccsync(["pull"]).success();
    world.write("b", 1000 + round, 1);
    world.b.ccsync(["push"]).success();
}

fn write_and_delete(world: &mut World, round: usize) {
    write(world, round);
    world.a.ccsync(["delete", DOOMED, "--yes"]).success();
    world.write("b", 2000 + round, 1);
    world.b.ccsync(["push"]).success();
}

fn assert_deleted(world: &mut World, what: &str) {
    world.a.ccsync(["delete", DOOMED, "--yes"]).success();
    world.b.ccsync(["sync"]).success();
    let run = world.b.ccsync(["list", "--json"]).success();
    let rows = run.json()["sessions"].as_array().unwrap().clone();
    let row = rows.iter().find(|row| row["session"] == DOOMED).unwrap();
    assert_eq!(row["in_store"], false, "{what}");
}

fn assert_purged(world: &mut World, what: &str) {
    world.a.ccsync(["purge", "--yes"]).success();
    for machine in [&world.b, &world.a] {
        machine.ccsync(["sync"]).success();
    }
    let line = world.a.text(DOOMED).lines().next().unwrap().to_owned();
    let (_, uuid) = line.split_once("\"uuid\":\"").unwrap();
    let remote = world.env.remote_of_pair();
    for repository in [&remote, &world.a.store(), &world.b.store()] {
        let found = has_text(&world.a, repository, &uuid[..36]);
        assert!(!found, "{what}: {}", repository.display());
    }
}

/// Returns true if any object of a repository has the text, reachable or not.
fn has_text(machine: &Machine, repository: &Path, text: &str) -> bool {
    let mut git = machine.program("git");
    git.arg("-C").arg(repository);
    git.args(["cat-file", "--batch", "--batch-all-objects", "--unordered"]);
    let out = git.output().unwrap();
    assert!(out.status.success());
    memchr::memmem::find(&out.stdout, text.as_bytes()).is_some()
}

tests!(
    STORIES:
    delete_killed_at_each_point_converges => 0,
    purge_killed_at_each_point_converges => 1
);
