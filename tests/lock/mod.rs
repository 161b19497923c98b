//! Locks: the protocol in every order, and real machines with a real remote.

mod hostile;
mod machines;
mod model;

use model::{Broken, Rules, explore};

/// Three machines: one may die, and one answer may be lost. Because of their clocks,
/// locks expire at any time.
const THREE: Rules = Rules {
    machines: 3,
    lock_commits: 1,
    turns: 1,
    crashes: 1,
    losses: 1,
    ticks: 0,
    broken: None,
};

/// No machine dies, but locks expire after their lifetime without a heartbeat.
const WAITING: Rules = Rules {
    crashes: 0,
    ticks: 1,
    ..THREE
};

/// Two machines, each of which may acquire the lock again, or renew it before it writes.
const TWO: Rules = Rules {
    machines: 2,
    lock_commits: 2,
    ..THREE
};

#[expect(clippy::print_stdout, reason = "says how much was explored")]
fn explore_all(rules: Rules) {
    let explored = explore(rules)
        .unwrap_or_else(|found| panic!("{}\n{}", found.wrong, found.story.join("\n")));
    let (states, steps, depth) = (explored.states, explored.steps, explored.depth);
    println!(
        "{} machines: {states} states, {steps} steps, the farthest state {depth} steps away",
        rules.machines
    );
    assert!(states > 10_000, "{states}");
}

#[test]
fn lock_model_three_machines_in_every_order() {
    // One after the other, because each needs some memory.
    explore_all(THREE);
    explore_all(WAITING);
    if is_large() {
        explore_all(Rules { ticks: 1, ..THREE });
    }
}

#[test]
fn lock_model_two_machines_in_every_order() {
    explore_all(TWO);
    if is_large() {
        explore_all(Rules { ticks: 1, ..TWO });
    }
}

fn is_large() -> bool {
    std::env::var_os("CCSYNC_LARGE").is_some()
}

#[test]
#[expect(clippy::print_stdout, reason = "shows the counterexamples")]
fn lock_model_fails_without_each_rule() {
    for (broken, wrong) in [
        (
            Broken::LockExpectation,
            "2 machines can write at the same time",
        ),
        (Broken::DataExpectation, "turns that were safe are lost"),
        (Broken::SeparatePushes, "m0 writes what Some(1) holds"),
    ] {
        let found = explore(Rules {
            broken: Some(broken),
            ..TWO
        })
        .expect_err("something must go wrong");
        println!("{}:\n  {}", found.wrong, found.story.join("\n  "));
        assert_eq!(found.wrong, wrong, "{:?}", found.story);
    }
}
