//! With `localize = never`, the model reads the origin's text to the last byte.

use std::fs;

use serde_json::{Value, json};

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::{all_text, assert_no_trace, assert_same_history, has_turn};
use crate::machine::Pair;
use crate::story::{Stage, THOUGHT};

/// Pushes at A, pulls at B, resumes on both with one prompt: B must send the same request
/// as A.
fn same_request_on_both(stage: &Stage, pair: &Pair) {
    let id = &stage.moved_session(pair);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    fs::copy(there.join("note.txt"), here.join("note.txt")).expect("B has the project too");
    let origin = stage.resume(&pair.a, &there, id, "again", &[]);
    let request = stage.resume(&pair.b, &here, id, "again", &[]);
    let thought = json!({"type": "thinking", "thinking": THOUGHT.0, "signature": THOUGHT.1});
    let blocks = request["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|m| m["content"].as_array());
    assert!(
        blocks.flatten().any(|block| *block == thought),
        "the signed thought is gone or changed"
    );
    let news = assert_same_history(&origin, &request, "again");
    let news = all_text(&news.into());
    let update = format!("Primary working directory: {}", here.display());
    assert!(
        news.contains("Environment update") && news.contains(&update),
        "the client was to tell of {update}: {news}"
    );
}

#[test]
fn original_paths_request_history_is_unchanged() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("never"));
    same_request_on_both(&stage, &pair);
}

#[test]
fn default_paths_with_signed_thoughts_keep_history() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    same_request_on_both(&stage, &pair);
}

#[test]
fn default_paths_without_signed_thoughts_are_localized() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    // As clients before 2.1.290 wrote it: prompts and answers, no thoughts, no copies of
    // requests.
    let id = stage.begin(
        &pair.a,
        &there,
        "first",
        &[Answer::bash("pwd"), Answer::say("first done")],
    );
    let path = pair.a.transcript(&id);
    let all = fs::read_to_string(&path).expect("a transcript");
    let kept = all.lines().filter(|line| {
        let record: Value = serde_json::from_str(line).expect("a record");
        ["user", "assistant"]
            .iter()
            .any(|kind| record["type"] == *kind)
    });
    fs::write(
        &path,
        kept.map(|line| format!("{line}\n")).collect::<String>(),
    )
    .expect("write a transcript");
    pair.a.push();
    pair.b.pull();

    let request = stage.resume(&pair.b, &here, &id, "second", &[]);
    assert!(
        has_turn(&request, "first"),
        "the history did not reach the model"
    );
    assert_no_trace(&request, &pair.a.home);
}

#[test]
fn original_paths_turn_of_other_machine_returns_to_origin() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("never"));
    pair.a.paths("never");
    let (id, at_b) = stage.round_trip_session(&pair);

    let request = stage.resume(&pair.a, &pair.a.project("demo"), &id, "fourth", &[]);
    assert!(
        ["first", "second", "third", "fourth"]
            .iter()
            .all(|mark| has_turn(&request, mark)),
        "a turn is missing"
    );
    let seen = at_b["messages"].as_array().expect("messages").len();
    let kept = json!({"system": request["system"], "tools": request["tools"],
                      "messages": request["messages"].as_array().expect("messages")[..seen]});
    assert_same_history(&at_b, &kept, "third");
}
