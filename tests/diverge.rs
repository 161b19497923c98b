//! Two machines continue one session: both tails survive, one of them under a new id that
//! is the same everywhere.

use crate::harness::{Machine, ONE, TestEnv, chain_is_whole, questions};

const A_TAIL: &str = "asked on a";
const B_TAIL: &str = "asked on b";

/// Two machines that have both continued the session `ONE`.
fn diverged(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("shared").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    a.append(ONE, A_TAIL);
    b.append(ONE, B_TAIL);
    (a, b)
}

/// Returns the ids of both sessions. Each machine has both, each tail is in exactly one,
/// and the stored one kept `ONE`.
#[track_caller]
fn assert_settled(a: &Machine, b: &Machine, context: &str) -> Vec<String> {
    let ids = a.sessions();
    assert_eq!(ids, b.sessions(), "{context}");
    assert_eq!(ids.len(), 2, "{context}: {ids:?}");
    assert!(ids.iter().any(|id| id == ONE), "{context}: {ids:?}");
    for machine in [a, b] {
        assert_eq!(
            machine.all_questions(),
            [["shared", A_TAIL], ["shared", B_TAIL]],
            "{context}, {}",
            machine.name
        );
        for id in &ids {
            let text = machine.text(id);
            assert!(chain_is_whole(&text), "{context}, {}: {text}", machine.name);
            let own = format!(r#""sessionId":"{id}""#);
            assert!(
                text.lines().all(|line| line.contains(&own)),
                "{context}, {}: {text}",
                machine.name
            );
            assert!(
                !text.contains(other(machine, a, b).home.to_str().unwrap()),
                "{context}: {text}"
            );
        }
    }
    for id in &ids {
        assert_eq!(questions(&a.text(id)), questions(&b.text(id)), "{context}");
    }
    ids
}

fn other<'a>(machine: &Machine, a: &'a Machine, b: &'a Machine) -> &'a Machine {
    if machine.name == a.name { b } else { a }
}

#[test]
fn diverge_second_push_becomes_fork() {
    let env = TestEnv::new();
    let (a, b) = diverged(&env);
    a.ccsync(["push"]).success();
    insta::assert_snapshot!(b.ccsync(["push"]).code(5), @r"
    ~/work/app
      11111111  shared  forked
                11111111-0000-4000-8000-000000000001 keeps the stored turns
                $FORK1 has this machine's 4 lines, 1 new turn
    push: 1 session: 1 forked; on the remote as $COMMIT
    --- exit 5
    ");
    b.ccsync(["pull"]);
    a.ccsync(["pull"]).success();
    assert_settled(&a, &b, "push, push");
    assert_eq!(questions(&a.text(ONE)), ["shared", A_TAIL]);
}

#[test]
fn diverge_pull_before_push_creates_fork() {
    let env = TestEnv::new();
    let (a, b) = diverged(&env);
    a.ccsync(["push"]).success();
    let report = b.ccsync(["pull", "--json"]).code(5).json();
    let fork = report["sessions"][0]["fork"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            &report["sessions"][0]["outcome"],
            &report["sessions"][0]["lines"]
        ),
        (&"forked".into(), &4.into())
    );
    b.ccsync(["push"]);
    a.ccsync(["pull"]).success();
    let ids = assert_settled(&a, &b, "push, pull");
    assert!(ids.contains(&fork), "{ids:?} {fork}");
}

/// Runs the four commands in each order, then syncs both machines twice.
#[test]
fn diverge_every_command_order_ends_equal() {
    let orders = permutations(&[("a", "push"), ("a", "pull"), ("b", "push"), ("b", "pull")]);
    assert_eq!(orders.len(), 24);
    for order in orders {
        let env = TestEnv::new();
        let (a, b) = diverged(&env);
        let run = |name: &str, command: &str| {
            let run = if name == "a" {
                a.ccsync([command])
            } else {
                b.ccsync([command])
            };
            assert!(
                matches!(run.code, Some(0 | 5)),
                "{order:?} {name} {command}\n{run}"
            );
        };
        for (name, command) in order
            .iter()
            .chain([("a", "sync"), ("b", "sync"), ("a", "sync"), ("b", "sync")].iter())
        {
            run(name, command);
        }
        assert_settled(&a, &b, &format!("{order:?}"));
        for machine in [&a, &b] {
            let run = machine.ccsync(["sync"]).success();
            assert!(
                run.stdout.contains("up to date (2 sessions)"),
                "{order:?}\n{run}"
            );
        }
    }
}

fn permutations<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for at in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(at);
        all.extend(
            permutations(&rest)
                .into_iter()
                .map(|tail| [vec![first], tail].concat()),
        );
    }
    all
}

#[test]
fn diverge_three_machines_keep_three_versions() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let machines = ["a", "b", "c"].map(|name| env.machine(name));
    machines
        .iter()
        .for_each(|machine| drop(machine.init(&remote)));
    let [a, b, c] = &machines;
    a.session(ONE).turn("shared").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    c.ccsync(["pull"]).success();
    for machine in &machines {
        machine.append(ONE, &format!("asked on {}", machine.name));
    }
    for machine in machines.iter().chain(&machines).chain(&machines) {
        machine.ccsync(["sync"]);
    }
    let ids = a.sessions();
    assert_eq!(ids.len(), 3, "{ids:?}");
    for machine in &machines {
        assert_eq!(machine.sessions(), ids);
        let mut tails: Vec<String> = ids
            .iter()
            .map(|id| questions(&machine.text(id)).pop().unwrap())
            .collect();
        tails.sort();
        assert_eq!(tails, ["asked on a", "asked on b", "asked on c"]);
    }
}

#[test]
fn fork_continues_like_any_session() {
    let env = TestEnv::new();
    let (a, b) = diverged(&env);
    for machine in [&a, &b, &b, &a] {
        machine.ccsync(["sync"]);
    }
    let fork = a.sessions().into_iter().find(|id| id != ONE).unwrap();
    a.append(&fork, "more");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(&fork)).last().unwrap(), "more");
    assert_eq!(b.sessions().len(), 2);
}

/// The fork is here while the session continues in a running client, whose files must not
/// be written; then the fork grows.
#[cfg(target_os = "linux")]
#[test]
fn fork_extended_by_pull_is_extended_locally() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "theirs");
    a.ccsync(["push"]).success();
    b.append(ONE, "mine");
    b.mark_running(ONE, std::process::id());
    b.ccsync(["push"]).code(5);
    b.ccsync(["pull"]).code(3);
    b.append(ONE, "more");
    std::fs::remove_dir_all(b.home.join(".claude/sessions")).unwrap();
    b.ccsync(["pull"]).code(5);
    let fork = b.sessions().into_iter().find(|id| id != ONE).unwrap();
    assert_eq!(questions(&b.text(&fork)), ["hello", "mine", "more"]);
    assert_eq!(questions(&b.text(ONE)), ["hello", "theirs"]);
}
