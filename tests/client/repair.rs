//! For the client, a repaired copy is a session like any other.

use std::fs;

use serde_json::Value;

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::has_turn;
use crate::machine::{Pair, exit};
use crate::story::Stage;

#[test]
fn repair_copy_resumes_with_every_turn() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let project = pair.a.project("demo");
    let id = stage.begin(
        &pair.a,
        &project,
        "first",
        &[Answer::bash("pwd"), Answer::say("first done")],
    );
    for mark in ["second", "third"] {
        stage.resume(
            &pair.a,
            &project,
            &id,
            mark,
            &[Answer::bash("ls"), Answer::say("done")],
        );
    }
    let path = pair.a.transcript(&id);
    let text = damaged(&fs::read(&path).expect("a transcript"));
    fs::write(&path, &text).expect("damage the transcript");

    let report: Value =
        serde_json::from_str(&pair.a.ccsync(exit::DONE, &["repair", &id, "--json"])).expect("JSON");
    let findings = report["files"][0]["findings"].as_array().expect("findings");
    for kind in ["zeros", "relinked", "fragment", "duplicate"] {
        assert!(
            findings.iter().any(|found| found["kind"] == kind),
            "{kind} was not found: {report}"
        );
    }
    assert!(
        fs::read(&path).expect("a transcript") == text,
        "the damaged transcript was changed"
    );

    // The cost of the damage without a repair.
    let request = stage.resume(&pair.a, &project, &id, "unhealed", &[]);
    assert!(
        !has_turn(&request, "second"),
        "the client itself finds the prompt behind the fragment"
    );

    let copy = report["copy"]["session"].as_str().expect("an id");
    let request = stage.resume(&pair.a, &project, copy, "fourth", &[]);
    for mark in ["first", "second", "third", "fourth"] {
        assert!(
            has_turn(&request, mark),
            "the turn {mark} is not in the request"
        );
    }
}

/// Damages a transcript as a power cut and an old client do: the answer of the first turn
/// is zeros, the second prompt is torn and repeated on the same line, the third is
/// doubled, and the last line is unfinished.
fn damaged(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let prompt_of = |lines: &[Vec<u8>], mark: &str| {
        let is_prompt = |line: &Vec<u8>| {
            let record: Value = serde_json::from_slice(line).expect("a record");
            record["type"] == "user"
                && record["message"]["content"]
                    .to_string()
                    .contains(&format!("[[{mark}]]"))
        };
        lines
            .iter()
            .position(is_prompt)
            .expect("the prompt is in the transcript")
    };
    let third = prompt_of(&lines, "third");
    lines.push(lines[third].clone());
    let second = prompt_of(&lines, "second");
    let torn = lines[second][..100].to_vec();
    lines[second].splice(0..0, torn);
    let first_turn = &lines[..second];
    let is_answer = |line: &Vec<u8>| {
        let record: Value = serde_json::from_slice(line).expect("a record");
        record["type"] == "assistant"
    };
    let answer = first_turn
        .iter()
        .rposition(is_answer)
        .expect("the first turn was answered");
    let zeros = vec![0; lines[answer].len() - 1];
    lines[answer].splice(..zeros.len(), zeros);
    lines.push(b"{\"type\":\"last-prompt\",\"lastPr".to_vec());
    lines.concat()
}
