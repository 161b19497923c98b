//! Every command that moves sessions, killed at every step by which it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use ccsync::sys::fail_point::POINTS;

use crate::extras;
use crate::harness::world::{World, assert_remote_in_order, id};
use crate::harness::{Clone, Machine, TestEnv};
use crate::locks;
use crate::story::{Story, counted, is_killed, moments, points_of, tell};

const STORIES: [Story; 12] = [
    story("push", "a", &["push"], write_a_little),
    story("push of much", "a", &["push"], write_much),
    story("push that merges", "a", &["push"], write_on_both),
    story("push that forks", "a", &["push"], diverge_from_b),
    story("pull", "b", &["pull"], write_on_other),
    story("pull that forks", "b", &["pull"], diverge_from_a),
    story("sync", "a", &["sync"], write_on_both),
    Story {
        afterwards: pull_by_name,
        ..story("undo", "b", &["undo"], pull_everything)
    },
    story("push after a death", "a", &["push"], crash_push),
    Story {
        afterwards: pull_everything_again,
        ..story(
            "restore",
            "a",
            &["restore", "--milestone", "then", "--yes"],
            write_after_milestone,
        )
    },
    Story {
        afterwards: pull_everything_again,
        ..story(
            "restore as forks",
            "a",
            &["restore", "--milestone", "then", "--as-fork", "--yes"],
            write_after_new_milestone,
        )
    },
    Story {
        again: &[&["sync"]],
        ..story(
            "milestone",
            "a",
            &["milestone", "now"],
            write_before_milestone,
        )
    },
];

/// After the death the same command is run again.
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
        again: &[],
        thorough: true,
        afterwards: nothing,
    }
}

fn nothing(_: &mut World, _: &str) {}

fn write_a_little(world: &mut World, round: usize) {
    world.write("a", 0, 2);
    world.write("a", round, 1);
    world.write_agent("a", round, 2);
}

/// So many files that they go into a pack.
fn write_much(world: &mut World, round: usize) {
    world.write("a", round, 1);
    world.write_results("a", round, 60);
}

/// Each machine has something that the other lacks; nothing parts.
fn write_on_both(world: &mut World, round: usize) {
    write_a_little(world, round);
    world.write("b", 1000 + round, 1);
    world.b.ccsync(["push"]).success();
}

/// Both go on with session 0 after the same line.
fn part(world: &mut World, session: usize, victim: &str) {
    world.write("a", session, 2);
    world.a.ccsync(["push"]).success();
    world.b.ccsync(["pull"]).success();
    for machine in ["a", "b"] {
        world.write(machine, session, 1);
        world.write_agent(machine, session, 1);
    }
    // The one that is killed comes second.
    let first = if victim == "a" { "b" } else { "a" };
    world.machine(first).ccsync(["push"]).success();
}

fn diverge_from_b(world: &mut World, round: usize) {
    part(world, round, "a");
}

fn diverge_from_a(world: &mut World, round: usize) {
    part(world, round, "b");
}

fn write_on_other(world: &mut World, round: usize) {
    world.write("a", 0, 2);
    world.write("a", round, 1);
    world.write_agent("a", round, 1);
    world.write_results("a", round, 2);
    world.a.ccsync(["push"]).success();
    world
        .a
        .ccsync(["config", "set-path", "TOOLS", "b", "/srv/tools"])
        .success();
}

/// A pull that extends, creates and, where they parted, replaces.
fn pull_everything(world: &mut World, round: usize) {
    let session = round;
    world.write("a", session, 1);
    world.a.ccsync(["push"]).success();
    world.b.ccsync(["pull"]).success();
    world.write("a", session, 1);
    world.write("b", session, 1);
    world.write("a", 0, 1);
    world.write("a", 1000 + session, 1);
    world.a.ccsync(["push"]).success();
    world.b.ccsync(["pull"]);
}

/// What an undo has taken away stays away until it is asked for by name.
fn pull_by_name(world: &mut World, _: &str) {
    world.pull_everything_to("b");
}

/// The first time a state is named; after that the sessions have gone on from it, also beside the transcript.
fn write_after_milestone(world: &mut World, round: usize) {
    if round == 1 {
        world.write("a", 1, 2);
        world.a.ccsync(["milestone", "then"]).success();
    }
    world.pull_everything_to("a");
    world.write("a", 0, 1);
    world.write("a", 1, 1);
    world.write_agent("a", 1, 1);
    world.a.ccsync(["push"]);
}

/// As [`write_after_milestone`], with a state that was never restored.
fn write_after_new_milestone(world: &mut World, round: usize) {
    forget_milestone(world, "then");
    world.write("a", round, 2);
    world.a.ccsync(["milestone", "then"]).success();
    world.write("a", round, 1);
    world.write_agent("a", round, 1);
    world.a.ccsync(["push"]).success();
}

fn write_before_milestone(world: &mut World, round: usize) {
    forget_milestone(world, "now");
    write_a_little(world, round);
}

/// Somebody removes a milestone with git, so that its name can be given again.
fn forget_milestone(world: &World, name: &str) {
    world.a.ccsync(["sync"]);
    let _ = fs::remove_dir_all(world.b.home.join("clone"));
    let clone = Clone::of(&world.env.remote_of_pair(), &world.b);
    let file = format!("milestones/{name}.json");
    if clone.path.join(&file).exists() {
        clone.git(&["rm", "--quiet", &file]);
        clone.push();
    }
    fs::remove_dir_all(&clone.path).unwrap();
    world.a.ccsync(["sync"]);
}

fn pull_everything_again(world: &mut World, _: &str) {
    world.pull_everything_to("a");
}

fn crash_push(world: &mut World, round: usize) {
    write_a_little(world, round);
    let mut command = world.a.command(["push"]);
    command.env("CCSYNC_KILL_AT", "the head has moved");
    assert!(is_killed(command));
}

tests!(
    STORIES:
    a_killed_push => 0,
    a_killed_push_of_much => 1,
    a_killed_push_that_merges => 2,
    a_killed_push_that_forks => 3,
    a_killed_pull => 4,
    a_killed_pull_that_forks => 5,
    a_killed_sync => 6,
    a_killed_undo => 7,
    a_killed_push_after_a_death => 8,
    a_killed_restore => 9,
    a_killed_restore_as_forks => 10,
    a_killed_milestone => 11
);

#[test]
fn kill_every_point_is_reached() {
    let mut reached: BTreeSet<String> = SET_UPS
        .iter()
        .flat_map(|with| points_of_set_up(&TestEnv::new(), *with).into_keys())
        .collect();
    for story in STORIES
        .iter()
        .chain(&locks::STORIES)
        .chain(&extras::STORIES)
    {
        reached.extend(points_of(story, &mut World::new()).into_keys());
    }
    let missed: Vec<_> = POINTS
        .iter()
        .filter(|point| !reached.contains(**point))
        .collect();
    assert!(missed.is_empty(), "no story comes by {missed:?}");
}

/// Set up with the remote of others, and with one of its own.
const SET_UPS: [Option<&str>; 2] = [Some("remote-1.git"), None];

fn set_up(env: &TestEnv, machine: &Machine, remote: Option<&str>) -> Command {
    let mut command = machine.command(["init", "--yes"]);
    if let Some(remote) = remote {
        command.arg("--remote").arg(env.root().join(remote));
    }
    command
}

fn points_of_set_up(env: &TestEnv, remote: Option<&str>) -> BTreeMap<String, u32> {
    let log = env.root().join("points of a set-up");
    if remote.is_some() && !env.remote_of_pair().exists() {
        env.bare_remote();
    }
    let mut command = set_up(env, &env.machine("x"), remote);
    command.env("CCSYNC_POINTS_TO", &log);
    assert!(!is_killed(command));
    counted(&fs::read_to_string(log).unwrap())
}

#[test]
fn kill_init_at_every_point() {
    for remote in SET_UPS {
        let world = World::new();
        let points = points_of_set_up(&world.env, remote);
        let mut kills = 0;
        for (point, time) in moments(&points) {
            let what = format!("init with {remote:?} killed at {point:?}, time {time}");
            let machine = world.env.machine(&format!("c{kills}"));
            let mut command = set_up(&world.env, &machine, remote);
            command.env("CCSYNC_KILL_AT", format!("{point}:{time}"));
            assert!(is_killed(command), "{what}: it did not come by");
            machine
                .run(&mut set_up(&world.env, &machine, remote))
                .success();
            is_set_up(&machine, &world, remote.is_some(), &what);
            kills += 1;
        }
        world.check("after all set-ups");
        eprintln!("init: {} points, {kills} kills", points.len());
    }
}

fn is_set_up(machine: &Machine, world: &World, shared: bool, what: &str) {
    machine.assert_in_order(what);
    if !shared {
        machine.session(&id(7)).turn("hello").write();
    }
    let push = machine.ccsync(["push", "--json"]).success().json();
    assert_ne!(push["remote"]["state"], "queued", "{what}: {push}");
    machine.ccsync(["pull"]).success();
    if shared {
        assert_eq!(machine.conversations(), world.a.conversations(), "{what}");
    } else {
        assert_eq!(
            machine.ccsync(["list", "--json"]).json()["sessions"][0]["in_store"],
            true,
            "{what}"
        );
        assert_remote_in_order(&machine.data().join("remote.git"), what);
    }
    machine.assert_in_order(what);
}
