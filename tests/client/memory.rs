//! The client reads the memory that another machine's client has written.

use std::fs;
use std::path::PathBuf;

use ccsync::domain::client_dir::client_dir_name;

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::all_text;
use crate::machine::{Machine, Pair, text};
use crate::story::Stage;

/// Returns the memory of a project where the client has it.
fn memory(machine: &Machine, project: &str) -> PathBuf {
    machine
        .sessions_dir()
        .join(client_dir_name(text(&machine.project(project))))
        .join("memory")
}

#[test]
fn memory_is_read_by_client_with_local_paths() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let at_a = memory(&pair.a, "demo");
    fs::create_dir_all(&at_a).expect("make a memory");
    let index = format!(
        "- [Build](build.md) - run make in {} (the-mark-of-a)\n",
        there.display()
    );
    fs::write(at_a.join("MEMORY.md"), &index).expect("write a memory");
    fs::write(at_a.join("build.md"), "make\n").expect("write a memory");
    stage.begin(&pair.a, &there, "first", &[Answer::say("done")]);
    pair.a.push();
    pair.b.pull();

    stage.begin(&pair.b, &here, "second", &[Answer::say("done")]);
    let request = stage.api.turns("second").pop().expect("a request");
    let all = all_text(&request);
    let at_b = memory(&pair.b, "demo");
    assert!(
        all.contains(text(&at_b)),
        "the client has its memory elsewhere than in {}",
        at_b.display()
    );
    assert!(
        all.contains("the-mark-of-a"),
        "the memory did not reach the model: {all}"
    );
    assert!(
        all.contains(&format!("run make in {}", here.display())),
        "{all}"
    );
    assert!(
        !all.contains(text(&pair.a.home)),
        "it names the other machine"
    );
    assert_eq!(
        fs::read_to_string(at_b.join("build.md")).expect("the note"),
        "make\n"
    );
}

#[test]
fn memory_written_by_client_returns_to_origin() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    stage.begin(&pair.a, &there, "first", &[Answer::say("done")]);
    pair.a.push();
    pair.b.pull();
    let note = memory(&pair.b, "demo").join("fact.md");
    let write =
        serde_json::json!({ "file_path": note, "content": format!("see {}/x\n", here.display()) });
    stage.begin(
        &pair.b,
        &here,
        "second",
        &[Answer::call("Write", &write), Answer::say("done")],
    );
    let written = fs::read_to_string(&note).expect("the client has written it");
    assert!(written.contains(text(&here)), "{written}");
    pair.b.push();
    pair.a.pull();
    let at_a = fs::read_to_string(memory(&pair.a, "demo").join("fact.md")).expect("the note");
    assert_eq!(at_a, written.replace(text(&here), text(&there)));
}
