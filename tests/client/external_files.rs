//! The client uses its external files of a session on the other machine: it rewinds files
//! there, and its task list is the same.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::api::Answer;
use crate::client_or_skip;
use crate::machine::{Machine, Pair, exit};
use crate::seat::{Seat, wait_for};
use crate::story::Stage;
use crate::terminal::{ENTER, UP};

/// Lets the client run tools.
const NO_QUESTIONS: &str = "--dangerously-skip-permissions";

/// A model for which the client keeps a task list (2.1.329).
const MODEL: &str = "claude-sonnet-4-5";

/// Returns the files that the client keeps in `what` for a session, by name.
fn external_files(machine: &Machine, what: &str, session: &str) -> Vec<(String, Vec<u8>)> {
    let directory = machine.home.join(".claude").join(what).join(session);
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|e| {
        (
            e.file_name().into_string().expect("text"),
            fs::read(e.path()).expect("a file"),
        )
    });
    let mut files: Vec<_> = files.filter(|(name, _)| !name.starts_with('.')).collect();
    files.sort();
    files
}

/// Makes a session at A that writes a file, then changes it in the turn `second`.
fn edited(stage: &Stage, machine: &Machine, project: &Path) -> String {
    let file = project.join("note.txt");
    let seat = Seat::take(stage, machine, project, &["start", "--", NO_QUESTIONS]);
    let write = json!({"file_path": file, "content": "one of two\n"});
    seat.ask(
        "first",
        &[Answer::call("Write", &write), Answer::say("written")],
    );
    seat.terminal.wait_for("written");
    let edit = json!({"file_path": file, "old_string": "one", "new_string": "two"});
    seat.ask(
        "second",
        &[Answer::call("Edit", &edit), Answer::say("edited")],
    );
    seat.terminal.wait_for("edited");
    seat.leave().assert_restored().code(exit::DONE);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "two of two\n");
    let [id] = machine.ids().try_into().expect("one session");
    id
}

#[test]
fn file_history_rewind_on_other_machine_restores_files() {
    let stage = Stage::new(client_or_skip!());
    assert_rewound(&stage, &Pair::new(None));
}

/// The client restores a file only if the directory in its record is the real one.
#[test]
fn file_history_rewind_where_home_is_link_restores_files() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::with_linked_home();
    assert_ne!(pair.b.home, pair.b.home.canonicalize().expect("a home"));
    assert_rewound(&stage, &pair);
}

/// Continues a session of A at B, and rewinds a file there to the state before its change.
fn assert_rewound(stage: &Stage, pair: &Pair) {
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = edited(stage, &pair.a, &there);
    let kept = external_files(&pair.a, "file-history", &id);
    assert!(
        kept.iter().any(|(_, content)| content == b"one of two\n"),
        "{kept:?}"
    );

    // The code itself is not synced by ccsync.
    fs::write(here.join("note.txt"), "two of two\n").expect("the same code");
    let seat = Seat::take(
        stage,
        &pair.b,
        &here,
        &["resume", "--latest", "--", NO_QUESTIONS],
    );
    seat.terminal.wait_for("edited");
    assert_eq!(
        external_files(&pair.b, "file-history", &id),
        kept,
        "the same bytes under the same names"
    );
    seat.enter("/rewind");
    seat.terminal.wait_for("(current)");
    seat.terminal.type_in(UP);
    seat.terminal
        .wait_until("the second prompt is chosen", |screen| {
            screen
                .lines()
                .any(|line| line.contains('❯') && line.contains("[[second]]"))
        });
    seat.terminal.type_in(ENTER);
    seat.terminal.wait_for("Restore code");
    seat.terminal.type_in(ENTER);
    wait_for("the file is as it was before that prompt", || {
        fs::read_to_string(here.join("note.txt")).is_ok_and(|text| text == "one of two\n")
    });
    seat.terminal.kill_all();
    assert_eq!(
        fs::read_to_string(there.join("note.txt")).expect("the file at A"),
        "two of two\n"
    );
}

#[test]
fn tasks_are_read_by_client_on_other_machine() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    let there = pair.a.project("demo");
    let task =
        json!({"subject": "look at the build", "description": format!("in {}", there.display())});
    let load = Answer::call(
        "ToolSearch",
        &json!({"query": "select:TaskCreate,TaskList", "max_results": 5}),
    );
    let prompt = stage.api.script(
        "first",
        &[
            load,
            Answer::call("TaskCreate", &task),
            Answer::say("noted"),
        ],
    );
    let id = stage
        .client
        .print(&pair.a, &stage.api, &there, &["--model", MODEL, &prompt])
        .session;
    let at_a = external_files(&pair.a, "tasks", &id);
    assert_eq!(at_a.len(), 1, "{at_a:?}");
    pair.a.push();
    pair.b.pull();
    let here = pair.b.project("demo");
    let at_b = external_files(&pair.b, "tasks", &id);
    let text = |files: &[(String, Vec<u8>)]| String::from_utf8_lossy(&files[0].1).into_owned();
    assert_eq!(
        text(&at_b),
        text(&at_a).replace(there.to_str().expect("text"), here.to_str().expect("text"))
    );
    let prompt = stage.api.script(
        "second",
        &[Answer::call("TaskList", &json!({})), Answer::say("listed")],
    );
    let reply = stage.client.print(
        &pair.b,
        &stage.api,
        &here,
        &["--model", MODEL, "--resume", &id, &prompt],
    );
    let request = stage.last_request(&reply, &id, "second");
    let results: Vec<_> = request["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .rev()
        .take(2)
        .collect();
    assert!(
        format!("{results:?}").contains("look at the build"),
        "{results:?}"
    );
}
