//! With `localize = always`, a session reads as if it had been made here.

use std::fs;

use serde_json::Value;

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::{all_text, assert_no_trace, has_turn};
use crate::machine::{Pair, entries};
use crate::story::Stage;

#[test]
fn localized_session_has_no_trace_of_origin() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    let id = stage.moved_session(&pair);

    let here = pair.b.project("demo");
    let request = stage.resume(
        &pair.b,
        &here,
        &id,
        "third",
        &[Answer::bash("pwd"), Answer::say("third done")],
    );

    for mark in ["first", "second", "third"] {
        assert!(
            has_turn(&request, mark),
            "the turn {mark} did not reach the model"
        );
    }
    assert_no_trace(&request, &pair.a.home);
    let text = all_text(&request["messages"]);
    assert!(
        text.contains("the helper looked around"),
        "the helper's answer is missing"
    );
    assert!(
        text.contains(here.join("note.txt").to_str().expect("text")),
        "the tools do not name this machine's file"
    );
}

#[test]
fn localized_tool_output_path_is_readable() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    let id = stage.moved_session(&pair);

    let whole = pair.b.records(&id).iter().find_map(|record| {
        record["toolUseResult"]["persistedOutputPath"]
            .as_str()
            .map(str::to_owned)
    });
    let whole = whole.expect("the transcript names a file with the whole output");
    assert!(
        whole.starts_with(pair.b.home.to_str().expect("text")),
        "{whole} is not on this machine"
    );
    let output = fs::read_to_string(&whole).unwrap_or_else(|error| panic!("{whole}: {error}"));
    assert!(
        output.contains("start of much") && output.trim_end().ends_with("30000"),
        "{whole} is not whole"
    );
    assert!(
        !output.contains(pair.a.home.to_str().expect("text")),
        "{whole} names the origin"
    );

    let request = stage.resume(
        &pair.b,
        &pair.b.project("demo"),
        &id,
        "look",
        &[Answer::bash(&format!("wc -l < '{whole}'"))],
    );
    let results = all_text(
        &request["messages"]
            .as_array()
            .expect("messages")
            .last()
            .cloned()
            .unwrap_or(Value::Null),
    );
    assert!(
        results.lines().any(|line| line.trim() == "30002"),
        "the model could not read it: {results}"
    );
}

#[test]
fn localized_agent_transcripts_are_pulled() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    let id = stage.moved_session(&pair);

    let helpers = |machine: &crate::machine::Machine| {
        let mut files = entries(&machine.transcript(&id).with_extension("").join("subagents"));
        files.sort();
        files
    };
    let [there, here] = [&pair.a, &pair.b].map(helpers);
    let names = |files: &[std::path::PathBuf]| -> Vec<_> {
        files
            .iter()
            .filter_map(|f| f.file_name())
            .map(std::ffi::OsStr::to_owned)
            .collect()
    };
    assert!(
        there.len() >= 2,
        "no helper was recorded at its origin: {there:?}"
    );
    assert_eq!(names(&there), names(&here));
    for file in here {
        let text = fs::read_to_string(&file).expect("readable");
        assert!(
            !text.contains(pair.a.home.to_str().expect("text")),
            "{} names the origin",
            file.display()
        );
    }
}

#[test]
fn localized_turn_of_other_machine_returns_to_origin() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    pair.a.paths("always");
    let (id, _) = stage.round_trip_session(&pair);

    let request = stage.resume(&pair.a, &pair.a.project("demo"), &id, "fourth", &[]);
    for mark in ["first", "second", "third", "fourth"] {
        assert!(
            has_turn(&request, mark),
            "the turn {mark} did not reach the model"
        );
    }
    assert_no_trace(&request, &pair.b.home);
}
