//! The real client, typed as `claude`, on machines that sync by themselves.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::api::Answer;
use crate::client::{Client, shown};
use crate::client_or_skip;
use crate::history::has_turn;
use crate::machine::{Machine, Pair, entries, exit};
use crate::seat::{Seat, wait_for};
use crate::story::Stage;
use crate::terminal::ENTER;

const ID: &str = "3b8f5b1e-52f4-4d4d-9a55-0d5b5c1f2a10";

/// A machine that syncs by itself until the end of the test.
struct Auto<'a>(&'a Machine);

impl<'a> Auto<'a> {
    fn on(machine: &'a Machine) -> Self {
        machine.ccsync(exit::DONE, &["auto", "on"]);
        Self(machine)
    }
}

impl Drop for Auto<'_> {
    fn drop(&mut self) {
        // Not a part of the test: it may have failed already.
        let mut stop = std::process::Command::new(env!("CARGO_BIN_EXE_ccsync"));
        stop.args(["daemon", "--stop"])
            .env_clear()
            .envs(self.0.env());
        let _ = stop.output();
    }
}

/// Kills the client of a machine.
fn kill_client(machine: &Machine) {
    let files = entries(&machine.home.join(".claude/sessions"));
    let json = files
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "json"));
    for path in json {
        let record: Value =
            serde_json::from_slice(&fs::read(path).expect("its file")).expect("JSON");
        let pid = record["pid"]
            .as_i64()
            .and_then(|pid| Pid::from_raw(pid as i32));
        kill_process(pid.expect("a process"), Signal::KILL).expect("it runs");
    }
}

#[test]
fn by_itself_plain_client_moves_between_machines_and_is_guarded() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let _on = [&pair.a, &pair.b].map(Auto::on);

    let seat = Seat::take_client(&stage, &pair.a, &there, &["--session-id", ID]);
    seat.turn("first");
    wait_for("the new session is locked", || pair.locks() == [ID]);
    seat.turn("second");
    seat.turn("third");
    // The screen is faster than the file.
    wait_for("the turn is in the transcript", || {
        let text = fs::read_to_string(pair.a.transcript(ID)).expect("a transcript");
        text.contains("answer to third")
    });
    kill_client(&pair.a);
    seat.terminal.end();
    wait_for("the lock is released", || pair.locks().is_empty());

    let seat = Seat::take_client(&stage, &pair.b, &here, &["--resume", ID]);
    seat.terminal.wait_for("answer to third");
    let request = seat.turn("fourth");
    assert!(has_turn(&request, "first") && has_turn(&request, "third"));
    wait_for("the session is locked by the other machine", || {
        pair.locks() == [ID]
    });
    seat.turn("fifth");
    // Commands work beside the daemon.
    pair.b.push();

    let back = Seat::take_client(&stage, &pair.a, &there, &["--resume", ID]);
    back.terminal.wait_for("answer to fourth");
    let status = pair.a.home.join(".local/state/ccsync/daemon/status.json");
    wait_for("the daemon knows of the other machine", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("holds_lock"))
    });
    let prompt = stage.api.script("fork", &[Answer::say("answer to fork")]);
    back.enter(&prompt);
    back.terminal.wait_for("this session is open on b");
    assert!(
        stage.api.turns("fork").is_empty(),
        "the prompt reached the model"
    );
    back.terminal.type_in(ENTER);
    back.terminal.wait_for("answer to fork");

    seat.turn("sixth");
    back.leave();
    seat.leave();
    wait_for("the locks are released", || pair.locks().is_empty());
    wait_for("both conversations are on both machines", || {
        [&pair.a, &pair.b].iter().all(|machine| {
            machine.ccsync(exit::DONE, &["catch-up"]);
            machine.ids().len() == 2 && machine.has_prompt(ID, "sixth")
        })
    });
    for machine in [&pair.a, &pair.b] {
        let ids = machine.ids();
        assert_eq!(ids.len(), 2, "{ids:?}");
        let fork = ids.iter().find(|id| *id != ID).expect("a fork");
        assert!(machine.has_prompt(fork, "fork") && !machine.has_prompt(fork, "sixth"));
        assert!(machine.has_prompt(ID, "sixth") && !machine.has_prompt(ID, "fork"));
    }
    looks_change_nothing(&stage, &pair);
}

/// Number of looks of both machines.
const LOOKS: usize = 20;

/// The machines open each other's sessions in turns, and leave them.
fn looks_change_nothing(stage: &Stage, pair: &Pair) {
    let ids = pair.a.ids();
    let commits = pair.commits();
    for look in 0..LOOKS {
        let machine = [&pair.a, &pair.b][look % 2];
        let id = &ids[look / 2 % ids.len()];
        let answer = if id == ID { "sixth" } else { "fork" };
        let project = machine.project("demo");
        let seat = Seat::take_client(stage, machine, &project, &["--resume", id]);
        seat.terminal.wait_for(&format!("answer to {answer}"));
        seat.leave();
        wait_for("the lock is released", || pair.locks().is_empty());
    }
    assert_eq!(pair.commits(), commits, "a look is no turn");
    for machine in [&pair.a, &pair.b] {
        machine.ccsync(exit::DONE, &["sync"]);
        assert_eq!(machine.ids(), ids);
    }
}

/// Renames the selected session in the list of `ccsync resume`, and deletes the former title.
const CTRL_R: &str = "\x12";
const CTRL_U: &str = "\x15";
const ESCAPE: &str = "\x1b";

#[test]
fn by_itself_new_title_is_in_pickers_of_client() {
    const TITLE: &str = "a better name";
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let _on = [&pair.a, &pair.b].map(Auto::on);
    let seat = Seat::take_client(&stage, &pair.a, &there, &["--session-id", ID]);
    seat.turn("first");
    seat.leave();

    let seat = Seat::take(&stage, &pair.a, &there, &["resume"]);
    seat.terminal.wait_for("[[first]]");
    seat.terminal.wait_for_raw();
    seat.terminal.type_in(CTRL_R);
    seat.terminal.type_in(CTRL_U);
    seat.terminal.type_in(TITLE);
    seat.terminal.type_in(ENTER);
    wait_for("the session has its title", || {
        let text = fs::read_to_string(pair.a.transcript(ID)).expect("a transcript");
        text.contains(TITLE)
    });
    seat.terminal.wait_for(TITLE);
    seat.terminal.type_in(ESCAPE);
    seat.terminal.end();

    for (machine, project) in [(&pair.a, &there), (&pair.b, &here)] {
        wait_for("the title is here", || {
            pair.a.ccsync(exit::DONE, &["catch-up"]);
            machine.ccsync(exit::DONE, &["catch-up"]);
            let paths = machine.transcripts();
            let mut texts = paths
                .iter()
                .filter_map(|path| fs::read_to_string(path).ok());
            texts.any(|text| text.contains(TITLE))
        });
        let seat = Seat::take_client(&stage, machine, project, &["--resume"]);
        seat.terminal.wait_for(TITLE);
        seat.terminal.type_in(ENTER);
        seat.terminal.wait_for("answer to first");
        seat.leave();
    }
}

#[test]
fn by_itself_plugin_is_valid_and_runs() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let there = pair.a.project("demo");
    pair.a.ccsync(exit::DONE, &["auto", "on", "--plugin"]);
    let _stop = Auto(&pair.a);
    let plugin = pair.a.home.join(".claude/skills/ccsync");
    let validated = std::process::Command::new(stage.client.program())
        .args(["plugin", "validate", "--strict"])
        .arg(&plugin)
        .env_clear()
        .envs(Client::env(&pair.a, &stage.api))
        .output()
        .expect("start the client");
    assert!(validated.status.success(), "{}", shown(&validated));

    let seat = Seat::take_client(&stage, &pair.a, &there, &["--session-id", ID]);
    seat.turn("first");
    wait_for("the session is locked", || pair.locks() == [ID]);
    let ask = |command: &str, mark: &str| {
        let answer = format!("answer to {mark}");
        let prompt = stage.api.script(mark, &[Answer::say(&answer)]);
        seat.enter(&format!("/ccsync:{command} {prompt}"));
        seat.terminal.wait_for(&answer);
        stage
            .api
            .turns(mark)
            .pop()
            .expect("it was asked")
            .to_string()
    };
    let status = ask("status", "state");
    assert!(status.contains("on this machine"), "{status}");
    let note = ask("note", "it's $(not) run");
    assert!(note.contains("note: left for the other machines"), "{note}");
    let pulled = pair.b.ccsync(exit::DONE, &["pull"]);
    assert!(pulled.contains("it's $(not) run"), "{pulled}");
    pair.a.ccsync(exit::DONE, &["auto", "off"]);
    assert!(!plugin.exists() && pair.locks().is_empty());
    // The client has its hooks still.
    seat.turn("later");
    seat.leave();
    let daemon = pair.a.home.join(".local/state/ccsync/daemon");
    assert!(!daemon.join("spool").exists() && !daemon.join("log").exists());
}

#[test]
fn by_itself_settings_are_read_as_by_client() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let (a, project) = (&pair.a, pair.a.project("demo"));
    let _stop = Auto(a);
    let ran = a.home.join("ran");
    let command = format!("touch {}", ran.display());
    let hooks = format!(
        "\"hooks\": {{\"Stop\": [{{\"hooks\": [{{\"type\": \"command\", \"command\": \"{command}\"}}]}}]}}"
    );
    let settings = a.home.join(".claude/settings.json");
    fs::create_dir_all(a.home.join(".claude")).expect("make the client's directory");
    for text in [
        format!("{{{hooks}}}"),
        format!("\u{feff}{{{hooks}}}"),
        format!("{{// mine\n{hooks}}}"),
        format!("{{{hooks},}}"),
        format!("{{\"disableAllHooks\": false, {hooks}, \"disableAllHooks\": true}}"),
        format!("{{\"disableAllHooks\": true, {hooks}, \"disableAllHooks\": false}}"),
    ] {
        fs::write(&settings, &text).expect("write settings");
        a.ccsync(exit::DONE, &["auto", "on"]);
        let prompt = stage.api.script("go", &[Answer::say("done")]);
        stage.client.print(a, &stage.api, &project, &[&prompt]);
        let status = a.ccsync(exit::DONE, &["auto", "status", "--json"]);
        let status: Value = serde_json::from_str(&status).expect("JSON");
        assert_eq!(
            fs::remove_file(&ran).is_err(),
            status["hooks_are_off"] == true,
            "{text}"
        );
        a.ccsync(exit::DONE, &["auto", "off"]);
        assert_eq!(fs::read_to_string(&settings).expect("settings"), text);
    }
}
