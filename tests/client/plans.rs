//! A session that ended in plan mode continues with its plan on the other machine.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::all_text;
use crate::machine::{Machine, Pair, exit, text};
use crate::seat::{Seat, wait_for};
use crate::story::Stage;
use crate::terminal::ENTER;

/// The client's question about a plan. The first answer is yes.
const QUESTION: &str = "Would you like to proceed";

/// Returns the only plan of a machine.
fn plan(machine: &Machine) -> Option<PathBuf> {
    let directory = fs::read_dir(machine.home.join(".claude/plans")).ok()?;
    let mut plans: Vec<PathBuf> = directory.flatten().map(|entry| entry.path()).collect();
    assert!(plans.len() <= 1, "{plans:?}");
    plans.pop()
}

/// Returns the path of the plan that a request names.
fn named_plan(machine: &Machine, request: &str) -> PathBuf {
    let directory = format!("{}/", machine.home.join(".claude/plans").display());
    let (_, rest) = request
        .split_once(&directory)
        .unwrap_or_else(|| panic!("no plan in {directory} is named: {request}"));
    let (slug, _) = rest.split_once(".md").expect("its name");
    PathBuf::from(format!("{directory}{slug}.md"))
}

#[test]
fn plans_plan_mode_session_continues_on_other_machine() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));

    let seat = Seat::take(
        &stage,
        &pair.a,
        &there,
        &["start", "--", "--permission-mode", "plan"],
    );
    let request = all_text(&seat.turn("first"));
    let path = named_plan(&pair.a, &request);
    let content = format!("# The plan of A\n\nchange {}/x.rs\n", there.display());
    let write = json!({"file_path": path, "content": content});
    seat.ask(
        "second",
        &[Answer::call("Write", &write), Answer::say("planned")],
    );
    seat.terminal.wait_for("planned");
    seat.leave().assert_restored().code(exit::DONE);
    assert_eq!(plan(&pair.a), Some(path.clone()));

    let seat = Seat::take(&stage, &pair.b, &here, &["resume", "--latest"]);
    seat.terminal.wait_for("planned");
    // Plan mode stays on; to leave it, the client reads the plan from its file.
    seat.ask(
        "third",
        &[
            Answer::call("ExitPlanMode", &json!({})),
            Answer::say("on with it"),
        ],
    );
    seat.terminal.wait_for("The plan of A");
    seat.terminal.wait_for(QUESTION);
    let mut next = Instant::now();
    wait_for("the plan is approved", || {
        // The client ignores an answer that comes too soon, and one right after such an
        // answer.
        let is_asked = seat.terminal.screen().contains(QUESTION);
        if is_asked && Instant::now() >= next {
            seat.terminal.type_in(ENTER);
            next = Instant::now() + Duration::from_secs(2);
        }
        !is_asked
    });
    seat.terminal.wait_for("on with it");
    let request = all_text(&stage.api.turns("third").pop().expect("it was approved"));
    seat.leave().assert_restored().code(exit::DONE);
    let at_b = plan(&pair.b).expect("the plan at B");
    assert_eq!(
        at_b,
        pair.b
            .home
            .join(".claude/plans")
            .join(path.file_name().expect("its name"))
    );
    let local = content.replace(text(&there), text(&here));
    assert_eq!(fs::read_to_string(&at_b).expect("the plan at B"), local);
    // The last part of the request is the client's text about the approval: the path of
    // the plan, and all of it.
    let (_, approval) = request
        .split_once("User has approved your plan")
        .expect("the approval of a plan");
    assert!(
        approval.contains(text(&at_b)) && approval.contains(local.trim_end()),
        "{approval}"
    );
    assert!(
        !request.contains(text(&pair.a.home)),
        "it names the other machine"
    );
}
