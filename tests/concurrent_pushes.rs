//! Many processes push at once, on one machine and on two, and every session arrives.

use std::thread;

use crate::harness::{Machine, TestEnv};

/// Sessions per machine.
const N: usize = 6;

fn id(machine: usize, n: usize) -> String {
    format!("{:08}-0000-4000-8000-{n:012}", 11_111_111 * (machine + 1))
}

#[test]
fn concurrent_pushes_of_two_machines_all_arrive() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    two_machines_push(&a, &b);
    assert_eq!(a.git(&["fsck", "--strict", "--no-dangling"]), "");
}

fn two_machines_push(a: &Machine, b: &Machine) {
    let run = |machine: &Machine, number: usize| {
        for n in 0..N {
            machine
                .session(&id(number, n))
                .project("work/app")
                .turn(&format!("question {n}"))
                .write();
            machine.ccsync(["push"]).success();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| run(a, 0));
        scope.spawn(|| run(b, 1));
    });
    a.ccsync(["pull"]).success();
    b.ccsync(["pull"]).success();
    let mut all: Vec<String> = (0..2)
        .flat_map(|machine| (0..N).map(move |n| id(machine, n)))
        .collect();
    all.sort();
    assert_eq!(a.sessions(), all);
    assert_eq!(b.sessions(), all);
}

#[test]
fn concurrent_processes_of_one_machine_wait() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    (0..N).for_each(|n| drop(a.session(&id(0, n)).turn("hello").write()));
    let children: Vec<_> = (0..N)
        .map(|_| {
            a.command(["push"])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!(a.git(&["status", "--porcelain"]), "");
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions().len(), N);
}

/// Both machines push their continuation of one session at the same moment: one keeps the
/// id, the other becomes the fork.
#[test]
fn concurrent_divergence_keeps_both_versions() {
    for _ in 0..5 {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        a.session(&id(0, 0)).turn("shared").write();
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        a.append(&id(0, 0), "asked on a");
        b.append(&id(0, 0), "asked on b");
        let mut codes = thread::scope(|scope| {
            let one = scope.spawn(|| a.ccsync(["push"]).code);
            let two = scope.spawn(|| b.ccsync(["push"]).code);
            [one.join().unwrap(), two.join().unwrap()]
        });
        codes.sort();
        assert_eq!(codes, [Some(0), Some(5)]);
        for machine in [&a, &b, &a, &b] {
            machine.ccsync(["sync"]);
        }
        assert_eq!(a.sessions(), b.sessions());
        assert_eq!(a.sessions().len(), 2);
    }
}
