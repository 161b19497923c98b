//! Sessions in a running client.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::api::{Answer, Gate};
use crate::client::{Reply, Running};
use crate::client_or_skip;
use crate::history::has_turn;
use crate::machine::{Machine, Pair, exit};
use crate::story::Stage;

/// Resumes `id` with a turn whose answer waits for the gate. Returns once the prompt is
/// in the transcript.
fn start_waiting_turn(
    stage: &Stage,
    machine: &Machine,
    project: &Path,
    id: &str,
    mark: &str,
) -> (Running, Gate) {
    let gate = Gate::default();
    let prompt = stage.api.script(
        mark,
        &[
            Answer::bash("echo working"),
            Answer::say("at last").after(&gate),
        ],
    );
    let running = stage
        .client
        .start(machine, &stage.api, project, &["--resume", id, &prompt]);
    let end = Instant::now() + Duration::from_secs(60);
    let path = machine.transcript(id);
    // Waits until the second request was sent and the first result is in the transcript.
    while stage.api.turns(mark).len() < 2
        || !has_result(&fs::read(&path).expect("a transcript"), mark)
    {
        assert!(
            Instant::now() < end,
            "the client did not write its turn down within a minute"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, gate)
}

fn has_result(transcript: &[u8], mark: &str) -> bool {
    let text = String::from_utf8_lossy(transcript);
    text.rfind(mark)
        .is_some_and(|at| text[at..].contains("\"tool_result\""))
        && text.ends_with('\n')
}

#[test]
fn pull_running_session_is_not_written() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(&pair.a, &there, "base", &[]);
    pair.a.push();
    pair.b.pull();
    let (running, gate) = start_waiting_turn(&stage, &pair.b, &here, &id, "at-b");
    stage.resume(&pair.a, &there, &id, "at-a", &[]);
    pair.a.push();

    let path = pair.b.transcript(&id);
    let before = fs::read(&path).expect("a transcript");
    let report = pair.b.ccsync(exit::SKIPPED, &["pull"]);
    let after = fs::read(&path).expect("a transcript");
    assert!(after == before, "pull wrote to a running session: {report}");
    assert!(
        report.contains(&id[..8]),
        "pull does not name what it left alone: {report}"
    );

    gate.open();
    assert_eq!(Reply::read(&running.wait()).text, "at last");
    // The session diverges here.
    pair.b.ccsync(exit::DIVERGED, &["push"]);
    let request = stage.resume(&pair.a, &there, &id, "after", &[]);
    assert!(
        has_turn(&request, "at-a") && !has_turn(&request, "at-b"),
        "the session at its origin changed"
    );
}

#[test]
fn push_running_session_up_to_last_complete_line() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(&pair.a, &there, "base", &[]);
    let (running, gate) = start_waiting_turn(&stage, &pair.a, &there, &id, "half");
    pair.a.push();
    pair.b.pull();
    let pulled = fs::read(pair.b.transcript(&id)).expect("a transcript");
    assert!(
        pulled.ends_with(b"\n") && has_result(&pulled, "half"),
        "the running turn was not pushed"
    );

    gate.open();
    assert_eq!(Reply::read(&running.wait()).text, "at last");
    pair.a.push();
    pair.b.pull();
    let whole = fs::read(pair.b.transcript(&id)).expect("a transcript");
    assert!(
        whole.len() > pulled.len() && whole.starts_with(&pulled),
        "the rest was not appended"
    );
    let request = stage.resume(&pair.b, &here, &id, "after", &[]);
    assert!(
        has_turn(&request, "base") && has_turn(&request, "half"),
        "a turn is missing"
    );
    assert!(
        request["messages"].to_string().contains("at last"),
        "the end of the turn is missing"
    );
}
