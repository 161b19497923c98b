//! Both machines continued one session: nothing is lost, and both versions can be resumed
//! on both.

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::has_turn;
use crate::machine::{Machine, Pair, exit};
use crate::story::Stage;

#[test]
fn fork_of_second_push_resumes_on_both_machines() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(
        &pair.a,
        &there,
        "base",
        &[Answer::bash("pwd"), Answer::say("base done")],
    );
    pair.a.push();
    pair.b.pull();
    stage.resume(&pair.a, &there, &id, "at-a", &[Answer::bash("echo a")]);
    stage.resume(&pair.b, &here, &id, "at-b", &[Answer::bash("echo b")]);
    pair.a.push();
    let pushed = pair.b.ccsync(exit::DIVERGED, &["push"]);
    let pulled = pair.b.ccsync(exit::DIVERGED, &["pull"]);
    pair.a.pull();

    let fork = other_session(&pair.b, &id);
    assert_eq!(
        fork,
        other_session(&pair.a, &id),
        "both machines make the same fork"
    );
    for report in [pushed, pulled] {
        assert!(
            report.contains(&fork),
            "the report does not name the fork {fork}: {report}"
        );
    }
    for machine in [&pair.a, &pair.b] {
        // Nothing is left to push.
        machine.push();
        machine.pull();
    }
    for (machine, project) in [(&pair.a, &there), (&pair.b, &here)] {
        let name = &machine.name;
        let mark = format!("kept-on-{name}");
        let request = stage.resume(machine, project, &id, &mark, &[]);
        assert!(
            has_turn(&request, "base") && has_turn(&request, "at-a"),
            "{name}: the session lost a turn"
        );
        assert!(
            !has_turn(&request, "at-b"),
            "{name}: the session holds the other one's turn"
        );
        let mark = format!("fork-on-{name}");
        let request = stage.resume(machine, project, &fork, &mark, &[]);
        assert!(
            has_turn(&request, "base") && has_turn(&request, "at-b"),
            "{name}: the fork lost a turn"
        );
        assert!(
            !has_turn(&request, "at-a"),
            "{name}: the fork holds the other one's turn"
        );
    }
}

/// Returns the one session of a machine other than `id`.
fn other_session(machine: &Machine, id: &str) -> String {
    let ids = machine
        .transcripts()
        .into_iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let others: Vec<String> = ids.filter(|other| other != id).collect();
    assert_eq!(
        others.len(),
        1,
        "{} has other sessions: {others:?}",
        machine.name
    );
    others[0].clone()
}
