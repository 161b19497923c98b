//! `ccsync start` and `ccsync resume` with the real client in a terminal, from the picker
//! to the last push.

use std::fs;
use std::path::Path;
use std::process::Output;

use ccsync::domain::client_dir::client_dir_name;
use rustix::process::Signal;

use crate::api::{Answer, Gate};
use crate::client::shown;
use crate::client_or_skip;
use crate::history::{all_text, assert_continues, has_turn};
use crate::machine::{Machine, Pair, exit, text};
use crate::seat::{Seat, unattended, wait_for};
use crate::story::{Stage, THOUGHT};
use crate::terminal::{CTRL_C, ENTER};

const CTRL_Z: &str = "\x1a";

/// Lets the client run tools.
const NO_QUESTIONS: &str = "--dangerously-skip-permissions";

/// Shows the sessions of all projects.
const CTRL_A: &str = "\x01";

/// Shows headless sessions, too.
const CTRL_G: &str = "\x07";

#[test]
fn resume_session_moves_to_other_machine_and_back() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    stage.begin(&pair.a, &pair.a.project("other"), "another", &[]);

    let seat = Seat::take(&stage, &pair.a, &there, &["start"]);
    seat.turn("first");
    let [id] = pair.locks().try_into().expect("the new session is locked");
    seat.leave().assert_restored().code(exit::DONE);
    assert!(pair.locks().is_empty());

    let seat = Seat::take(&stage, &pair.b, &here, &["resume"]);
    seat.terminal.wait_for("[[first]]");
    seat.terminal.wait_for_raw();
    // It was a headless run in another project.
    seat.terminal.type_in(CTRL_A);
    seat.terminal.type_in(CTRL_G);
    seat.terminal.wait_for("[[another]]");
    seat.terminal.type_in("first");
    seat.terminal.wait_until("one session is left", |screen| {
        !screen.contains("[[another]]")
    });
    seat.terminal.type_in(ENTER);
    wait_for("the session is locked", || pair.locks() == [id.clone()]);
    seat.terminal.wait_for("answer to first");
    let request = seat.turn("second");
    assert!(
        has_turn(&request, "first") && !has_turn(&request, "another"),
        "another history reached the model"
    );
    seat.leave().assert_restored().code(exit::DONE);

    let seat = Seat::take(&stage, &pair.a, &there, &["resume", "--latest"]);
    seat.terminal.wait_for("answer to second");
    let request = seat.turn("third");
    assert!(
        has_turn(&request, "first") && has_turn(&request, "second"),
        "a turn is missing"
    );
    seat.leave().assert_restored().code(exit::DONE);

    assert!(pair.locks().is_empty());
    pair.b.pull();
    for machine in [&pair.a, &pair.b] {
        machine.ccsync(exit::DONE, &["verify", "--full"]);
    }
}

#[test]
fn path_notice_is_sent_once_and_history_unchanged() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("never"));
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let seat = Seat::take(&stage, &pair.a, &there, &["start", "--", NO_QUESTIONS]);
    seat.ask(
        "first",
        &[
            Answer::bash("pwd").thinking(THOUGHT.0, THOUGHT.1),
            Answer::say("looked around"),
        ],
    );
    seat.terminal.wait_for("looked around");
    let at_a = seat.turn("second");
    seat.leave().code(exit::DONE);
    pair.b.pull();
    let [id] = pair.b.ids().try_into().expect("one session");
    let pulled = fs::read(pair.b.transcript(&id)).expect("a transcript");

    let seat = Seat::take(&stage, &pair.b, &here, &["resume", &id]);
    let at_b = seat.turn("third");
    seat.leave().code(exit::DONE);
    let news = all_text(&assert_continues(&at_a, &at_b).into());
    let memory = pair
        .b
        .sessions_dir()
        .join(client_dir_name(text(&here)))
        .join("memory");
    let moved =
        |from: &Path, to: &Path| format!("- `{}` is now `{}`", from.display(), to.display());
    let notices = [
        moved(&pair.a.home, &pair.b.home),
        moved(&pair.a.projects, &pair.b.projects),
        format!("- the memory directory is now `{}`", memory.display()),
    ];
    for line in &notices {
        assert_eq!(
            news.matches(line.as_str()).count(),
            1,
            "{line} was to be in the path notice once: {news}"
        );
    }
    let continued = fs::read(pair.b.transcript(&id)).expect("a transcript");
    assert!(continued.starts_with(&pulled), "the past was changed");

    let seat = Seat::take(&stage, &pair.b, &here, &["resume", &id]);
    let again = seat.turn("fourth");
    seat.leave().code(exit::DONE);
    let news = all_text(&assert_continues(&at_b, &again).into());
    for line in &notices {
        assert!(
            !news.contains(line.as_str()),
            "{line} is in the path notice again: {news}"
        );
    }
}

#[test]
fn path_notice_waits_for_first_prompt() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("never"));
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(&pair.a, &there, "first", &[]);
    pair.a.push();
    // The client asks whether the directory is trusted, then shows the session; the user
    // types nothing.
    let seat = Seat::take_untrusted(&stage, &pair.b, &here, &["resume", &id]);
    seat.terminal.wait_for("done: first");
    let before = pair.b.records(&id).len();
    seat.leave().code(exit::DONE);
    assert!(
        pair.b.records(&id).len() > before,
        "the client left no lines: this is about those"
    );
    let seat = Seat::take(&stage, &pair.b, &here, &["resume", &id]);
    let request = seat.turn("second");
    seat.leave().code(exit::DONE);
    let notices = all_text(&request["messages"])
        .matches("the memory directory is now")
        .count();
    assert_eq!(notices, 1, "there was to be one path notice");
}

#[test]
fn path_notice_is_sent_after_trust_prompt() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("never"));
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(&pair.a, &there, "first", &[]);
    pair.a.push();
    let seat = Seat::take_untrusted(&stage, &pair.b, &here, &["resume", &id]);
    let request = seat.turn("second");
    seat.leave().code(exit::DONE);
    let notices = all_text(&request["messages"])
        .matches("the memory directory is now")
        .count();
    assert_eq!(notices, 1, "there was to be one path notice");
}

#[test]
fn resume_after_take_over_keeps_turns_as_resumable_fork() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(&pair.a, &there, "base", &[]);
    let at_a = Seat::take(&stage, &pair.a, &there, &["resume", &id]);
    at_a.terminal.wait_for("done: base");

    let asked = Seat::take(&stage, &pair.b, &here, &["resume", &id]);
    asked.terminal.wait_for("Take it over?");
    asked.terminal.wait_for_raw();
    asked.terminal.type_in("n");
    asked.terminal.end().assert_restored().code(exit::DONE);
    let at_b = Seat::take(&stage, &pair.b, &here, &["resume", &id, "--take-over"]);
    at_b.turn("at-b");
    at_a.turn("at-a");
    let ended = at_a.leave().code(exit::DONE);
    let [fork] = others(&pair.a, &id).try_into().expect("one fork");
    assert!(ended.text().contains("taken over by b"), "{}", ended.text());
    assert!(
        ended.text().contains(&format!("ccsync resume {fork}")),
        "{}",
        ended.text()
    );
    at_b.leave().code(exit::DONE);
    pair.b.pull();
    pair.a.pull();
    assert!(pair.locks().is_empty());

    for (machine, project) in [(&pair.a, &there), (&pair.b, &here)] {
        let name = &machine.name;
        for (session, present, absent) in [(&id, "at-b", "at-a"), (&fork, "at-a", "at-b")] {
            let mark = format!("{present}-on-{name}");
            let output = ccsync_print(&stage, machine, project, session, &mark);
            assert!(output.status.success(), "{}", shown(&output));
            let request = stage.api.turns(&mark).pop().expect("it was asked");
            assert!(
                has_turn(&request, "base") && has_turn(&request, present),
                "{session} on {name}: a turn is missing"
            );
            assert!(
                !has_turn(&request, absent),
                "{session} on {name} holds a turn of the other"
            );
        }
    }
}

/// Ten minutes and more pass on the test's own clock.
#[cfg(feature = "fail-points")]
#[test]
fn resume_expired_lock_of_dead_machine_is_taken() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let seat = Seat::take(&stage, &pair.a, &there, &["start"]);
    seat.turn("first");
    let [id] = pair.locks().try_into().expect("the new session is locked");
    // An answer is on the screen before it is in the file, and the first backup may end
    // before it.
    let has = |machine: &Machine, words: &str| {
        machine.ids().contains(&id)
            && fs::read_to_string(machine.transcript(&id))
                .expect("a transcript")
                .contains(words)
    };
    wait_for("the turn is in the transcript", || {
        has(&pair.a, "answer to first")
    });
    pair.a.clock_ahead(150);
    wait_for("the turn is backed up while the client runs", || {
        pair.b.pull();
        has(&pair.b, "answer to first")
    });
    seat.turn("second");
    wait_for("the turn is in the transcript", || {
        has(&pair.a, "answer to second")
    });
    seat.terminal.kill_all();
    assert_eq!(
        pair.locks().as_slice(),
        std::slice::from_ref(&id),
        "a killed process releases nothing"
    );
    let refused = unattended(&stage, &pair.b, &here, &["resume", &id]);
    assert_eq!(
        refused.status.code(),
        Some(exit::LOCKED),
        "{}",
        shown(&refused)
    );

    pair.b.clock_ahead(20 * 60);
    let seat = Seat::take(&stage, &pair.b, &here, &["resume", &id]);
    seat.terminal.wait_for("answer to first");
    let request = seat.turn("third");
    assert!(
        has_turn(&request, "first") && !has_turn(&request, "second"),
        "the pushed turns continue"
    );
    seat.leave().assert_restored().code(exit::DONE);

    pair.a.ccsync(exit::DIVERGED, &["recover"]);
    let [fork] = others(&pair.a, &id)
        .try_into()
        .expect("what had not reached the remote");
    let output = ccsync_print(&stage, &pair.a, &there, &fork, "fourth");
    assert!(output.status.success(), "{}", shown(&output));
    let request = stage.api.turns("fourth").pop().expect("it was asked");
    assert!(
        has_turn(&request, "second") && !has_turn(&request, "third"),
        "the turn before the crash is kept"
    );
    assert!(pair.locks().is_empty());
}

#[test]
fn resume_interrupt_stops_turn_and_second_exits() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let gate = Gate::default();
    let seat = Seat::take(
        &stage,
        &pair.a,
        &pair.a.project("demo"),
        &["start", "--", NO_QUESTIONS],
    );
    // The client would put a turn without output back into the prompt.
    seat.ask(
        "first",
        &[Answer::bash("pwd"), Answer::say("too late").after(&gate)],
    );
    wait_for("the turn is held", || stage.api.turns("first").len() == 2);
    seat.terminal.type_in(CTRL_C);
    seat.terminal.wait_for("Interrupted");
    gate.open();
    assert_eq!(
        pair.locks().len(),
        1,
        "the lock is held as long as the client runs"
    );
    seat.turn("second");
    seat.when_ready();
    seat.terminal.type_in(CTRL_C);
    seat.terminal.wait_for("again to exit");
    seat.terminal.type_in(CTRL_C);
    seat.terminal.end().assert_restored().code(exit::DONE);
    assert!(pair.locks().is_empty());
    assert_arrived(&pair, "second");
}

#[test]
fn start_suspended_client_continues_in_foreground() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let seat = Seat::take_in_shell(&stage, &pair.a, &pair.a.project("demo"), &["start"]);
    seat.turn("first");
    seat.when_ready();
    seat.terminal.type_in(CTRL_Z);
    seat.terminal.wait_for("Stopped");
    seat.terminal.type_in("fg");
    seat.terminal.type_in(ENTER);
    seat.turn("second");
    seat.enter("/exit");
    seat.terminal.wait_for("lock released");
    assert!(pair.locks().is_empty());
    assert_arrived(&pair, "second");
}

#[test]
fn start_terminated_ends_client_and_pushes() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let seat = Seat::take(&stage, &pair.a, &pair.a.project("demo"), &["start"]);
    seat.turn("first");
    seat.terminal.signal(Signal::TERM);
    seat.terminal.end().assert_restored().code(143);
    assert!(pair.locks().is_empty());
    assert_arrived(&pair, "first");
}

#[test]
fn start_closed_terminal_still_pushes() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let seat = Seat::take(&stage, &pair.a, &pair.a.project("demo"), &["start"]);
    seat.turn("first");
    // The client's code depends on whether it notices the closed window or the signal
    // first.
    assert!(seat.terminal.hang_up().is_some(), "a signal ended ccsync");
    assert!(pair.locks().is_empty());
    assert_arrived(&pair, "first");
}

#[test]
fn start_cleared_session_is_locked_and_pushed() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let seat = Seat::take(&stage, &pair.a, &pair.a.project("demo"), &["start"]);
    seat.turn("first");
    let [id] = pair.locks().try_into().expect("the new session is locked");
    seat.enter("/clear");
    wait_for("the other session is locked", || pair.locks().len() == 2);
    let request = seat.turn("second");
    assert!(
        !has_turn(&request, "first"),
        "the client did not begin again"
    );
    let [other] = pair
        .locks()
        .into_iter()
        .filter(|locked| *locked != id)
        .collect::<Vec<_>>()
        .try_into()
        .expect("two");
    seat.leave().assert_restored().code(exit::DONE);
    assert!(pair.locks().is_empty());
    pair.b.pull();
    for (session, mark) in [(&id, "first"), (&other, "second")] {
        assert!(
            pair.b.has_prompt(session, mark),
            "{mark} is not in {session}"
        );
    }
}

#[test]
fn resume_print_prompt_needs_no_terminal() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(&pair.a, &there, "first", &[]);
    pair.a.push();
    let output = ccsync_print(&stage, &pair.b, &here, &id, "second");
    assert!(output.status.success(), "{}", shown(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "done: second\n",
        "only the client speaks there"
    );
    assert!(
        has_turn(&stage.api.turns("second")[0], "first"),
        "the history did not reach the model"
    );
    assert!(pair.locks().is_empty());
    pair.a.pull();
    assert!(pair.a.has_prompt(&id, "second"), "the turn was not pulled");
}

#[test]
fn start_failing_client_leaves_no_lock() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let output = unattended(
        &stage,
        &pair.a,
        &pair.a.project("demo"),
        &["start", "--", "--no-such-option"],
    );
    assert_eq!(
        output.status.code(),
        Some(1),
        "the exit code is the client's: {}",
        shown(&output)
    );
    assert!(pair.locks().is_empty());
}

/// Runs `ccsync resume` with a prompt marked `mark` in the client's print mode.
fn ccsync_print(
    stage: &Stage,
    machine: &Machine,
    directory: &Path,
    session: &str,
    mark: &str,
) -> Output {
    let prompt = stage.api.script(mark, &[]);
    unattended(
        stage,
        machine,
        directory,
        &["resume", session, "--", "-p", &prompt],
    )
}

/// Returns every session of a machine except `id`.
fn others(machine: &Machine, id: &str) -> Vec<String> {
    machine
        .ids()
        .into_iter()
        .filter(|other| other != id)
        .collect()
}

/// Asserts that the one session of A, with the turn `mark`, is on the remote.
fn assert_arrived(pair: &Pair, mark: &str) {
    let [id] = pair.a.ids().try_into().expect("one session");
    pair.b.pull();
    assert!(
        pair.b.has_prompt(&id, mark),
        "the turn {mark} is not on the remote"
    );
}
