//! The connections and git processes that a command takes. `docs/dev/performance.md` has
//! the list.

use crate::harness::{Machine, ONE, TWO, TestEnv};
use crate::servers::http::{Manner, Server};
use crate::servers::trace::Started;

/// Two machines with one session, and a server between them.
struct Pair {
    env: TestEnv,
    a: Machine,
    b: Machine,
    server: Server,
}

impl Pair {
    fn new() -> Self {
        let env = TestEnv::new();
        let remote = env.bare_remote();
        let server = Server::start(Manner::Serves(env.root().to_owned()));
        let name = remote.file_name().unwrap().to_str().unwrap();
        let url = server.url_of("al:right@", name);
        let (a, b) = (env.machine("a"), env.machine("b"));
        let pair = Self { env, a, b, server };
        pair.a.session(ONE).turn("hello").write();
        for (machine, command) in [(&pair.a, "push"), (&pair.b, "pull"), (&pair.a, "pull")] {
            pair.started(machine, &["init", "--yes", "--remote", &url]);
            pair.started(machine, &[command]);
        }
        pair
    }

    fn started(&self, machine: &Machine, args: &[&str]) -> Started {
        let mut command = machine.command(args);
        command
            .env("GIT_ALLOW_PROTOCOL", "http:file")
            .env("no_proxy", "127.0.0.1");
        Started::from_run(
            &mut command,
            &self.env.root().join("traces"),
            || self.server.connections(),
            |command| drop(machine.run(command).success()),
        )
    }
}

fn assert_started(started: &Started, commands: &[&str], connections: usize) {
    assert_eq!(started.commands, commands);
    assert_eq!(started.connections, connections);
}

#[test]
fn push_changed_session_makes_two_connections() {
    let pair = Pair::new();
    pair.a.append(ONE, "and again");
    let started = pair.started(&pair.a, &["push"]);
    // Another machine may have locked the session since.
    assert_started(&started, &["config", "fetch", "config", "push"], 2);
}

#[test]
fn push_new_session_makes_one_connection() {
    let pair = Pair::new();
    pair.a.session(TWO).turn("hello").write();
    let started = pair.started(&pair.a, &["push"]);
    assert_started(&started, &["config", "push"], 1);
}

#[test]
fn push_without_changes_starts_no_process() {
    let pair = Pair::new();
    let started = pair.started(&pair.a, &["push"]);
    assert_started(&started, &[], 0);
    assert_eq!(started.processes, 0);
}

#[test]
fn pull_makes_one_connection_with_and_without_news() {
    let pair = Pair::new();
    pair.a.append(ONE, "and again");
    pair.started(&pair.a, &["push"]);
    for _ in 0..2 {
        let started = pair.started(&pair.b, &["pull"]);
        assert_started(&started, &["config", "fetch"], 1);
    }
}

#[test]
fn push_after_another_machine_makes_two_connections() {
    let pair = Pair::new();
    pair.a.append(ONE, "and again");
    pair.b.session(TWO).turn("hello").write();
    pair.started(&pair.b, &["push"]);
    let started = pair.started(&pair.a, &["push"]);
    assert_started(&started, &["config", "fetch", "config", "push"], 2);
}
