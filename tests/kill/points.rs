//! Every command that moves sessions, killed at each step that it reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use ccsync::sys::fail_point::POINTS;

use crate::deletion;
use crate::encrypted;
use crate::extras;
use crate::harness::world::{World, assert_remote_in_order, id};
use crate::harness::{Clone, Machine, TestEnv};
use crate::locks;
use crate::new_history;
use crate::parts;
use crate::story::{Story, counted, is_killed, moments, points_of, run_story};

const STORIES: [Story; 12] = [
    story("push", "a", &["push"], write_a_little),
    story("push of a pack", "a", &["push"], write_much),
    story("push that merges", "a", &["push"], write_on_both),
    story("push that forks", "a", &["push"], diverge_from_b),
    story("pull", "b", &["pull"], write_on_other),
    story("pull that forks", "b", &["pull"], diverge_from_a),
    story("sync", "a", &["sync"], write_on_both),
    Story {
        afterwards: pull_by_name,
        may_skip: true,
        ..story("undo", "b", &["undo", "--yes"], pull_everything)
    },
    story("push after a crash", "a", &["push"], crash_push),
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

/// A story in which the killed command is run again.
pub(crate) const fn story(
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
        afterwards: nothing,
    }
}

fn nothing(_: &mut World, _: &str) {}

pub(crate) fn write_a_little(world: &mut World, round: usize) {
    world.write("a", 0, 2);
    world.write("a", round, 1);
    world.write_agent("a", round, 2);
}

/// Writes enough files for a pack.
fn write_much(world: &mut World, round: usize) {
    world.write("a", round, 1);
    world.write_results("a", round, 60);
}

/// Writes something on each machine without a divergence.
pub(crate) fn write_on_both(world: &mut World, round: usize) {
    write_a_little(world, round);
    world.write("b", 1000 + round, 1);
    world.b.ccsync(["push"]).success();
}

/// Continues session 0 on both machines after the same line.
fn part(world: &mut World, session: usize, victim: &str) {
    world.write("a", session, 2);
    world.a.ccsync(["push"]).success();
    world.b.ccsync(["pull"]).success();
    for machine in ["a", "b"] {
        world.write(machine, session, 1);
        world.write_agent(machine, session, 1);
    }
    // The killed command runs second.
    let first = if victim == "a" { "b" } else { "a" };
    world.machine(first).ccsync(["push"]).success();
}

pub(crate) fn diverge_from_b(world: &mut World, round: usize) {
    part(world, round, "a");
}

fn diverge_from_a(world: &mut World, round: usize) {
    part(world, round, "b");
}

pub(crate) fn write_on_other(world: &mut World, round: usize) {
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

/// Prepares a pull that extends, creates and, after a divergence, replaces.
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

/// A session that an undo has removed is restored only by name.
fn pull_by_name(world: &mut World, _: &str) {
    world.pull_everything_to("b");
}

/// Creates a milestone in the first round; in later rounds the sessions continue from it,
/// also their other files.
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

/// Removes a milestone with git, so that its name can be used again.
fn forget_milestone(world: &World, name: &str) {
    world.a.ccsync(["sync"]);
    let _ = fs::remove_dir_all(world.b.home.join("clone"));
    let clone = Clone::new(&world.env.remote_of_pair(), &world.b);
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
    push_killed_at_each_point_converges => 0,
    push_of_pack_killed_at_each_point_converges => 1,
    push_merging_killed_at_each_point_converges => 2,
    push_forking_killed_at_each_point_converges => 3,
    pull_killed_at_each_point_converges => 4,
    pull_forking_killed_at_each_point_converges => 5,
    sync_killed_at_each_point_converges => 6,
    undo_killed_at_each_point_converges => 7,
    push_after_crash_killed_at_each_point_converges => 8,
    restore_killed_at_each_point_converges => 9,
    restore_as_fork_killed_at_each_point_converges => 10,
    milestone_killed_at_each_point_converges => 11
);

#[test]
fn kill_every_point_is_reached() {
    let mut reached: BTreeSet<String> = SET_UPS
        .iter()
        .flat_map(|with| points_of_set_up(&TestEnv::new(), *with).into_keys())
        .collect();
    reached.extend(encrypted::points_of_set_ups());
    reached.extend(new_history::points_of_encrypt().into_keys());
    for story in STORIES
        .iter()
        .chain(&encrypted::STORIES)
        .chain(&locks::STORIES)
        .chain(&extras::STORIES)
        .chain(&parts::STORIES)
        .chain(&deletion::STORIES)
    {
        reached.extend(points_of(story, &mut (story.world)()).into_keys());
    }
    let missed: Vec<_> = POINTS
        .iter()
        .filter(|point| !reached.contains(**point))
        .collect();
    assert!(missed.is_empty(), "no story reaches {missed:?}");
}

/// The remotes of a set-up: the shared one, and one of its own.
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
            assert!(is_killed(command), "{what}: the point was not reached");
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
