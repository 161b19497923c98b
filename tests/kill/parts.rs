//! A push that goes in parts, killed before, between and after them: the next push completes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::world::{World, id};
use crate::story::{Story, run_story};

pub(crate) const STORIES: [Story; 2] = [
    story("push of too much"),
    Story {
        prepare: refuse_session,
        may_skip: true,
        afterwards: assert_complete_but_one,
        ..story("push of a refused session")
    },
];

const fn story(name: &'static str) -> Story {
    Story {
        name,
        victim: "a",
        command: &["push"],
        prepare: limit_pushes,
        world: World::new,
        again: &[],
        may_skip: false,
        thorough: false,
        afterwards: assert_complete,
    }
}

fn hook(world: &World) -> PathBuf {
    world.env.remote_of_pair().join("hooks/update")
}

/// Lets the remote refuse a push if the script fails; `$changed` has the changed sessions.
fn set_hook(world: &World, script: &str) {
    let hook = hook(world);
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let changed = "changed=$(git log --format= --name-only \"$3\" --not --all | grep -o '[0-9]*-0000-4000-8000-[0-9]*' | sort -u)";
    fs::write(&hook, format!("#!/bin/sh\n{changed}\n{script}\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn write_sessions(world: &mut World, round: usize) {
    for session in [0, round, 1000 + round, 2000 + round] {
        world.write("a", session, 1);
    }
    world.write_agent("a", round, 1);
}

/// A remote that accepts two sessions at once.
fn limit_pushes(world: &mut World, round: usize) {
    write_sessions(world, round);
    set_hook(world, "[ \"$(echo \"$changed\" | wc -l)\" -le 2 ]");
}

/// A remote that never accepts one of the sessions.
fn refuse_session(world: &mut World, round: usize) {
    write_sessions(world, round);
    let refused = id(1000 + round);
    set_hook(world, &format!("! echo \"$changed\" | grep -q {refused}"));
}

fn assert_complete(world: &mut World, what: &str) {
    assert_arrived_except(world, 0, what);
}

fn assert_complete_but_one(world: &mut World, what: &str) {
    assert_arrived_except(world, 1, what);
}

/// Asserts that the other machine gets all but a number of files, and the rest as soon as the
/// remote accepts everything.
fn assert_arrived_except(world: &World, refused: usize, what: &str) {
    world.b.ccsync(["pull"]).success();
    let (here, there) = (world.a.conversations(), world.b.conversations());
    let missing: Vec<_> = here
        .iter()
        .filter(|(path, lines)| there.get(*path) != Some(lines))
        .collect();
    assert_eq!(missing.len(), refused, "{what}: {missing:?}");

    fs::remove_file(hook(world)).unwrap();
    let push = world.a.ccsync(["push"]);
    assert_eq!(push.code, Some(0), "{what}: {push}");
}

tests!(
    STORIES:
    parts_killed_push_of_too_much_is_completed => 0,
    parts_killed_push_keeps_refused_session => 1
);
