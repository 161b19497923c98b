//! Commands that acquire, renew and release locks, killed at every step: the next plain
//! command resolves everything.

use std::fs;

use crate::harness::world::{World, id};
use crate::story::{Story, run, run_story};

/// The session 0, as a user types it.
const SESSION: &str = "00000000";

/// Either command pushes everything, and releases the locks of dead processes.
const PLAIN: &[&[&str]] = &[&["recover"], &["sync"]];

pub(crate) const STORIES: [Story; 8] = [
    story("resume", "b", &["resume", SESSION], resume_on_other_machine),
    story(
        "resume after a crash",
        "a",
        &["resume", SESSION],
        crash_while_resumed,
    ),
    Story {
        afterwards: recover_former_holder,
        ..story(
            "resume that takes over",
            "a",
            &["resume", SESSION, "--take-over"],
            crash_other_while_resumed,
        )
    },
    story("start", "a", &["start"], nothing),
    story("recover", "a", &["recover"], crash_while_resumed),
    story(
        "recover that forks",
        "a",
        &["recover"],
        crash_then_take_over,
    ),
    story(
        "lock release",
        "a",
        &["lock", "release", SESSION],
        crash_while_resumed,
    ),
    story(
        "lock cleanup",
        "a",
        &["lock", "cleanup"],
        crash_while_resumed,
    ),
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
        again: PLAIN,
        may_skip: false,
        thorough: false,
        afterwards: assert_no_lock,
    }
}

fn nothing(_: &mut World, _: usize) {}

/// The other machine takes the session over without confirmation, continues it, and
/// releases it.
fn resume_on_other_machine(world: &mut World, round: usize) {
    if round == 1 {
        // A note, so that ccsync writes a path notice.
        world
            .b
            .ccsync(["config", "set", "localize", "never"])
            .success();
    }
    assert_resumes(world, "a");
    world.write("b", 1000 + round, 1);
}

fn assert_resumes(world: &mut World, machine: &str) {
    let before = world.ledger.len();
    assert_eq!(
        run(world, machine, &["resume", SESSION], &[]),
        Some(0),
        "{machine} takes the session at once"
    );
    assert_eq!(world.ledger.len(), before + 1, "the client ran");
}

/// The client has ended, its turns are not on the remote, and the lock is still there.
fn crash_while_resumed(world: &mut World, _: usize) {
    assert_resumes(world, "b");
    crash(world, "a");
}

fn crash_other_while_resumed(world: &mut World, _: usize) {
    assert_resumes(world, "a");
    crash(world, "b");
}

fn crash(world: &mut World, machine: &str) {
    let dies = ("CCSYNC_KILL_AT", "Claude Code has ended".to_owned());
    assert_eq!(run(world, machine, &["resume", SESSION], &[dies]), None);
    assert_eq!(locks(world), [id(0)]);
}

fn crash_then_take_over(world: &mut World, round: usize) {
    crash_while_resumed(world, round);
    assert_eq!(
        run(world, "b", &["resume", SESSION, "--take-over"], &[]),
        Some(0)
    );
}

fn recover_former_holder(world: &mut World, what: &str) {
    let run = world.b.ccsync(["recover"]);
    assert!(matches!(run.code, Some(0 | 5)), "{what}\n{run}");
    assert_no_lock(world, what);
}

/// Asserts that no lock is on the remote, and no lease on a machine.
fn assert_no_lock(world: &mut World, what: &str) {
    assert_eq!(locks(world), Vec::<String>::new(), "{what}: on the remote");
    for machine in [&world.a, &world.b] {
        let leases = fs::read_dir(machine.home.join(".local/state/ccsync/locks"));
        let names: Vec<_> = leases
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            names.is_empty(),
            "{what}: {} remembers {names:?}",
            machine.name
        );
    }
}

/// Returns the sessions that are locked on the remote.
fn locks(world: &World) -> Vec<String> {
    let remote = git2::Repository::open(world.env.remote_of_pair()).unwrap();
    let names = remote.references_glob("refs/heads/ccsync/lock/*").unwrap();
    names
        .map(|name| {
            name.unwrap()
                .name()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

tests!(
    STORIES:
    resume_killed_at_each_point_releases_lock => 0,
    resume_after_crash_killed_at_each_point_releases_lock => 1,
    resume_take_over_killed_at_each_point_releases_lock => 2,
    start_killed_at_each_point_releases_lock => 3,
    recover_killed_at_each_point_releases_lock => 4,
    recover_forking_killed_at_each_point_releases_lock => 5,
    lock_release_killed_at_each_point_releases_lock => 6,
    lock_cleanup_killed_at_each_point_releases_lock => 7
);
