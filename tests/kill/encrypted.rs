//! The mirror of an encrypted store, killed between sealing, sending and unsealing, and the set-up
//! of such a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::world::{World, assert_remote_in_order, id};
use crate::harness::{Machine, TestEnv};
use crate::points::{diverge_from_b, story, write_a_little, write_on_both, write_on_other};
use crate::story::{Story, counted, is_killed, moments, run_story};

pub(crate) const STORIES: [Story; 4] = [
    Story {
        world: World::encrypted,
        ..story("encrypted push", "a", &["push"], write_a_little)
    },
    Story {
        world: World::encrypted,
        ..story("encrypted push that merges", "a", &["push"], write_on_both)
    },
    Story {
        world: World::encrypted,
        ..story("encrypted push that forks", "a", &["push"], diverge_from_b)
    },
    Story {
        world: World::encrypted,
        ..story("encrypted pull", "b", &["pull"], write_on_other)
    },
];

tests!(
    STORIES:
    push_of_encrypted_store_killed_converges => 0,
    push_merging_encrypted_store_killed_converges => 1,
    push_forking_encrypted_store_killed_converges => 2,
    pull_of_encrypted_store_killed_converges => 3
);

/// Returns the names of the points of a set-up that begins an encrypted store, and of one that
/// joins it.
pub(crate) fn points_of_set_ups() -> BTreeSet<String> {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    let begun = points(&env, set_up(&a, &remote));
    a.give_key(&b);
    let joined = points(&env, set_up(&b, &remote));
    begun.into_keys().chain(joined.into_keys()).collect()
}

fn set_up(machine: &Machine, remote: &Path) -> Command {
    let mut command = machine.command(["init", "--yes", "--encrypt", "--remote"]);
    command.arg(remote);
    command
}

fn points(env: &TestEnv, mut command: Command) -> BTreeMap<String, u32> {
    let log = env.root().join("points of a set-up");
    let _ = fs::remove_file(&log);
    command.env("CCSYNC_POINTS_TO", &log);
    assert!(!is_killed(command));
    counted(&fs::read_to_string(log).unwrap())
}

/// Kills the set-up at a point, and runs it again.
fn killed_set_up(machine: &Machine, remote: &Path, point: &str, time: u32) {
    let mut command = set_up(machine, remote);
    command.env("CCSYNC_KILL_AT", format!("{point}:{time}"));
    assert!(is_killed(command), "{point}:{time} was not reached");
    machine.run(&mut set_up(machine, remote)).success();
}

#[test]
fn kill_init_of_encrypted_store_at_every_point() {
    let env = TestEnv::new();
    let points = points(&env, set_up(&env.machine("first"), &env.bare_remote()));
    for (n, (point, time)) in moments(&points).enumerate() {
        let what = format!("encrypted init killed at {point:?}, time {time}");
        let remote = env.bare_remote();
        let (a, b) = (env.machine(&format!("a{n}")), env.machine(&format!("b{n}")));
        killed_set_up(&a, &remote, point, time);
        a.session(&id(7)).turn("hello").write();
        a.ccsync(["push"]).success();
        a.give_key(&b);
        b.run(&mut set_up(&b, &remote)).success();
        b.ccsync(["pull"]).success();
        assert_eq!(a.conversations(), b.conversations(), "{what}");
        a.assert_in_order(&what);
        assert_remote_in_order(&remote, &what);
    }
}

#[test]
fn kill_joining_encrypted_store_at_every_point() {
    let world = World::encrypted();
    let remote = world.env.remote_of_pair();
    let join = |name: &str| {
        let machine = world.env.machine(name);
        world.a.give_key(&machine);
        machine
    };
    let points = points(&world.env, set_up(&join("first"), &remote));
    for (n, (point, time)) in moments(&points).enumerate() {
        let what = format!("joining killed at {point:?}, time {time}");
        let machine = join(&format!("c{n}"));
        killed_set_up(&machine, &remote, point, time);
        machine.ccsync(["pull"]).success();
        assert_eq!(machine.conversations(), world.a.conversations(), "{what}");
        machine.assert_in_order(&what);
    }
    world.check("after all set-ups");
}
