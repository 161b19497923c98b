//! Every command, killed at every step by which it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ccsync::sys::fail_point::POINTS;

use crate::harness::world::{World, assert_remote_in_order, id, start};
use crate::harness::{Machine, TestEnv};

/// A step that is passed often is tried the first times, and the last time.
const TIMES: u32 = 2;

/// A command that is killed again and again.
struct Story {
    name: &'static str,
    victim: &'static str,
    command: &'static [&'static str],
    /// What happens before; each round it makes the same steps necessary.
    prepare: fn(&mut World, usize),
    /// What makes both machines have the same again, beside a `sync`.
    afterwards: fn(&World),
}

const STORIES: [Story; 9] = [
    Story { name: "push", victim: "a", command: &["push"], prepare: write_a_little, afterwards: nothing },
    Story { name: "push of much", victim: "a", command: &["push"], prepare: write_much, afterwards: nothing },
    Story { name: "push that merges", victim: "a", command: &["push"], prepare: both_write, afterwards: nothing },
    Story { name: "push that forks", victim: "a", command: &["push"], prepare: part_from_b, afterwards: nothing },
    Story { name: "pull", victim: "b", command: &["pull"], prepare: other_writes, afterwards: nothing },
    Story { name: "pull that forks", victim: "b", command: &["pull"], prepare: part_from_a, afterwards: nothing },
    Story { name: "sync", victim: "a", command: &["sync"], prepare: both_write, afterwards: nothing },
    Story { name: "undo", victim: "b", command: &["undo"], prepare: pull_everything, afterwards: pull_by_name },
    Story { name: "push after a death", victim: "a", command: &["push"], prepare: die_once, afterwards: nothing },
];

fn nothing(_: &World) {}

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
fn both_write(world: &mut World, round: usize) {
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

fn part_from_b(world: &mut World, round: usize) {
    part(world, round, "a");
}

fn part_from_a(world: &mut World, round: usize) {
    part(world, round, "b");
}

fn other_writes(world: &mut World, round: usize) {
    world.write("a", 0, 2);
    world.write("a", round, 1);
    world.write_agent("a", round, 1);
    world.write_results("a", round, 2);
    world.a.ccsync(["push"]).success();
    world.a.ccsync(["config", "set-path", "TOOLS", "b", "/srv/tools"]).success();
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
fn pull_by_name(world: &World) {
    world.bring_back("b");
}

fn die_once(world: &mut World, round: usize) {
    write_a_little(world, round);
    let mut command = world.a.command(["push"]);
    command.env("CCSYNC_KILL_AT", "the head has moved");
    assert!(is_killed(command));
}

/// One test for each story, so that they run side by side.
macro_rules! tests {
    ($($name:ident => $number:literal),*) => {
        $(#[test]
        fn $name() {
            tell(&STORIES[$number]);
        })*
        const TESTED: &[usize] = &[$($number),*];
    };
}

tests!(
    a_killed_push => 0,
    a_killed_push_of_much => 1,
    a_killed_push_that_merges => 2,
    a_killed_push_that_forks => 3,
    a_killed_pull => 4,
    a_killed_pull_that_forks => 5,
    a_killed_sync => 6,
    a_killed_undo => 7,
    a_killed_push_after_a_death => 8
);

#[test]
fn no_point_is_out_of_reach() {
    assert_eq!(TESTED.len(), STORIES.len(), "every story is a test");
    let mut reached: BTreeSet<String> =
        SET_UPS.iter().flat_map(|with| points_of_set_up(&TestEnv::new(), *with).into_keys()).collect();
    for story in &STORIES {
        reached.extend(points_of(story, &mut World::new()).into_keys());
    }
    let missed: Vec<_> = POINTS.iter().filter(|point| !reached.contains(**point)).collect();
    assert!(missed.is_empty(), "no story comes by {missed:?}");
}

/// Tells one story once per point by which it comes, and dies there.
fn tell(story: &Story) {
    let mut world = World::new();
    let points = points_of(story, &mut world);
    let mut kills = 0;
    for (round, (point, time)) in (2..).zip(moments(&points)) {
        let what = format!("{} killed at {point:?}, time {time}", story.name);
        (story.prepare)(&mut world, round);
        let mut command = world.machine(story.victim).command(story.command);
        command.env("CCSYNC_KILL_AT", format!("{point}:{time}"));
        let killed = is_killed(command);
        assert!(killed || time > 1, "{what}: it did not come by");
        kills += u32::from(killed);
        let run = world.machine(story.victim).ccsync(story.command);
        assert!(matches!(run.code, Some(0 | 5)) || story.name == "undo" && run.code == Some(3), "{what}\n{run}");
        world.machine(story.victim).assert_in_order(&what);
        (story.afterwards)(&world);
        world.check(&what);
    }
    eprintln!("{}: {} points, {kills} kills", story.name, points.len());
}

/// How often the story comes by which point when nothing happens.
fn points_of(story: &Story, world: &mut World) -> BTreeMap<String, u32> {
    (story.prepare)(world, 1);
    let log = world.env.root().join("points");
    let mut command = world.machine(story.victim).command(story.command);
    command.env("CCSYNC_POINTS_TO", &log);
    assert!(!is_killed(command));
    (story.afterwards)(world);
    world.check(story.name);
    counted(&fs::read_to_string(log).unwrap())
}

fn counted(log: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    log.lines().for_each(|point| *counts.entry(point.to_owned()).or_default() += 1);
    counts
}

fn moments(points: &BTreeMap<String, u32>) -> impl Iterator<Item = (&str, u32)> {
    points.iter().flat_map(|(point, &count)| {
        let times: BTreeSet<u32> = (1..=count.min(TIMES)).chain([count]).collect();
        times.into_iter().map(move |time| (point.as_str(), time))
    })
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
fn a_killed_set_up() {
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
            machine.run(&mut set_up(&world.env, &machine, remote)).success();
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
        assert_eq!(machine.ccsync(["list", "--json"]).json()["sessions"][0]["in_store"], true, "{what}");
        assert_remote_in_order(&machine.data().join("remote.git"), what);
    }
    machine.assert_in_order(what);
}

/// Runs a command to its end; whether it was killed.
fn is_killed(command: Command) -> bool {
    start(command).wait().unwrap().signal() == Some(9)
}
