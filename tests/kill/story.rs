//! A command that is killed at each step that it reaches, and the conditions afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::client::Client;
use crate::harness::world::World;

/// A step that is reached often is tried this many first times, and the last time.
const TIMES: u32 = 2;

/// A command that is killed repeatedly.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) victim: &'static str,
    pub(crate) command: &'static [&'static str],
    /// Sets up the machines.
    pub(crate) world: fn() -> World,
    /// Runs before; each round makes the same steps necessary.
    pub(crate) prepare: fn(&mut World, usize),
    /// Commands after the kill, one of these in each round; the same command if empty.
    pub(crate) again: &'static [&'static [&'static str]],
    /// True if the command may skip something when it is run again.
    pub(crate) may_skip: bool,
    /// True if every step is tried the first times too, and everything is checked after
    /// each kill. `CCSYNC_KILL_ALL` asks for that everywhere.
    pub(crate) thorough: bool,
    /// Checks a condition, or makes both machines equal again together with a `sync`.
    pub(crate) afterwards: fn(&mut World, &str),
}

/// Runs a story once for each point that it reaches, and kills it there.
pub(crate) fn run_story(story: &Story) {
    let mut world = (story.world)();
    let thorough = story.thorough || std::env::var_os("CCSYNC_KILL_ALL").is_some();
    let points = points_of(story, &mut world);
    let mut kills = 0;
    let moments: Vec<_> = moments(&points)
        .filter(|(point, time)| thorough || changes_remote(point) || *time == points[*point])
        .collect();
    for (round, (point, time)) in (2..).zip(&moments) {
        let what = format!("{} killed at {point:?}, time {time}", story.name);
        (story.prepare)(&mut world, round);
        let killed = run(
            &mut world,
            story.victim,
            story.command,
            &[("CCSYNC_KILL_AT", format!("{point}:{time}"))],
        )
        .is_none();
        assert!(killed || *time > 1, "{what}: the point was not reached");
        kills += u32::from(killed);
        let again = story
            .again
            .get(round % story.again.len().max(1))
            .unwrap_or(&story.command);
        let again = world.machine(story.victim).ccsync(*again);
        assert!(
            matches!(again.code, Some(0 | 5)) || story.may_skip && again.code == Some(3),
            "{what}\n{again}"
        );
        world.machine(story.victim).assert_in_order(&what);
        (story.afterwards)(&mut world, &what);
        // Lost lines stay lost: a later check finds them, too.
        if thorough || round % 6 == 0 || round == moments.len() + 1 {
            world.check(&what);
        }
    }
    eprintln!("{}: {} points, {kills} kills", story.name, points.len());
}

/// Counts how often an undisturbed story reaches each point.
pub(crate) fn points_of(story: &Story, world: &mut World) -> BTreeMap<String, u32> {
    (story.prepare)(world, 1);
    let log = world.env.root().join("points");
    let points_to = ("CCSYNC_POINTS_TO", log.to_str().unwrap().to_owned());
    assert!(run(world, story.victim, story.command, &[points_to]).is_some());
    (story.afterwards)(world, story.name);
    world.check(story.name);
    counted(&fs::read_to_string(log).unwrap())
}

/// Runs a command with the stand-in client, which ends at once, and enters its turn into
/// the ledger. Returns `None` if the command was killed.
pub(crate) fn run(
    world: &mut World,
    name: &str,
    args: &[&str],
    variables: &[(&str, String)],
) -> Option<i32> {
    static TURNS: AtomicU32 = AtomicU32::new(0);
    let turn = format!("turn-{}", TURNS.fetch_add(1, Ordering::SeqCst));
    let machine = world.machine(name);
    let mut command = Client::install(machine).command(args, &turn);
    command
        .env("CLIENT_UUID", &turn)
        .envs(variables.iter().map(|(name, value)| (name, value)));
    // It also waits for a client that outlives its ccsync: both have the same output.
    let run = machine.run(&mut command);
    if run.code.is_some_and(|code| !matches!(code, 0 | 3 | 5)) {
        panic!("{args:?} on {name}\n{run}");
    }
    enter_turn(world, name, &turn);
    run.code
}

/// Enters a client's turn, if the client wrote it.
pub(crate) fn enter_turn(world: &mut World, name: &str, turn: &str) {
    let all = world.machine(name).conversations();
    let found = all.into_values().find_map(|lines| {
        let at = lines.iter().position(|line| line == turn)?;
        Some(lines[..at].to_vec())
    });
    if let Some(before) = found {
        world.ledger.enter(turn, &before);
    }
}

/// Returns true for a point that changes locks or the remote.
fn changes_remote(point: &str) -> bool {
    let words = [
        "lease",
        "lock has",
        "client",
        "push to the remote",
        "part is sent",
    ];
    words.iter().any(|word| point.contains(word))
}

pub(crate) fn counted(log: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    log.lines()
        .for_each(|point| *counts.entry(point.to_owned()).or_default() += 1);
    counts
}

pub(crate) fn moments(points: &BTreeMap<String, u32>) -> impl Iterator<Item = (&str, u32)> {
    points.iter().flat_map(|(point, &count)| {
        let times: BTreeSet<u32> = (1..=count.min(TIMES)).chain([count]).collect();
        times.into_iter().map(move |time| (point.as_str(), time))
    })
}

/// Runs a command to its end, and returns true if it was killed.
pub(crate) fn is_killed(mut command: Command) -> bool {
    command.output().unwrap().status.signal() == Some(9)
}
