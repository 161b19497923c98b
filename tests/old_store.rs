//! A store, two state directories and two configurations of format 1, which are in
//! `fixtures/store-v1`, under the present program: nothing in them is lost.

mod machines;
mod newer;
mod state;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::machines::*;
use crate::harness::{Machine, TestEnv, markers};

const LOGIN: &str = "11111111-0000-4000-8000-000000000001";
/// Replaces the id of the fork that has the laptop's turn; the id follows from the text.
const FORK: &str = "fork";
/// Both machines continued it; the desk's turn is in it.
const DIVERGED: &str = "22222222-0000-4000-8000-000000000002";
/// At its first of two states on the laptop.
const PINNED: &str = "44444444-0000-4000-8000-000000000004";
/// Deleted on the laptop: a command has recorded the first one as deleted, and not yet
/// the second.
const DELETED: [&str; 2] = [
    "55555555-0000-4000-8000-000000000005",
    "66666666-0000-4000-8000-000000000006",
];
/// Locked by the desk, whose last turn is in no commit.
const LOCKED: &str = "77777777-0000-4000-8000-000000000007";
/// Its project is not on the laptop.
const PLACELESS: &str = "88888888-0000-4000-8000-000000000008";
const EXCLUDED: &str = "99999999-0000-4000-8000-000000000009";
/// Committed on the laptop, and not on the remote.
const QUEUED: &str = "bbbbbbbb-0000-4000-8000-00000000000b";

/// Every session, and the questions in it.
const ASKED: [(&str, &[&str]); 12] = [
    (FORK, &["draw the window", "draw it in red"]),
    (
        LOGIN,
        &[
            "fix the login form",
            "and the password field",
            "it still fails",
        ],
    ),
    (DIVERGED, &["draw the window", "draw it in green"]),
    (
        "33333333-0000-4000-8000-000000000003",
        &["after odd lines", "ship the site"],
    ),
    (PINNED, &["first draft"]),
    (DELETED[0], &["a session that the laptop deletes"]),
    (DELETED[1], &["a session that the laptop deletes last"]),
    (LOCKED, &["why", "a long migration"]),
    (PLACELESS, &["a project that the laptop has no place for"]),
    (EXCLUDED, &["a secret that stays on the laptop"]),
    (
        "aaaaaaaa-0000-4000-8000-00000000000a",
        &["a thought on the train"],
    ),
    (QUEUED, &["cut "]),
];

/// Returns the id of the fork that has the laptop's turn.
fn fork(machine: &Machine) -> String {
    let mut ids = machine.sessions().into_iter();
    ids.find(|id| !ASKED.iter().any(|(known, _)| id == known))
        .expect("a session with an id of its own")
}

#[test]
fn old_store_is_read_whole_before_it_is_written() {
    let old = OldMachines::unpack();
    let before = old.both().map(claude_files);

    for machine in old.both() {
        check_settings(machine, &words::settings(&machine.name));
        check_sessions(machine);
        check_history(machine);
        // Something is to be pushed; nothing is damaged.
        let run = machine.ccsync(["verify", "--full"]);
        assert!(matches!(run.code, Some(3 | 6)), "{run}");
    }
    check_laptop(&old.laptop);

    assert!(
        before == old.both().map(claude_files),
        "a look writes nothing"
    );
}

#[track_caller]
fn check_settings(machine: &Machine, expected: &Value) {
    let mut settings = machine.ccsync(words::SETTINGS).success().json();
    let fields = settings.as_object_mut().unwrap();
    fields.retain(|key, _| expected.get(key).is_some());
    assert_eq!(settings, *expected);
}

/// Checks that every session is listed with the right facts, and shows its conversation.
#[track_caller]
fn check_sessions(machine: &Machine) {
    let list = |args: &[&str]| -> BTreeMap<String, Value> {
        let sessions = rows(&machine.ccsync(args).success(), words::SESSIONS);
        texts(&sessions, words::SESSION)
            .into_iter()
            .zip(sessions)
            .collect()
    };
    let here = set(machine.sessions());
    assert_eq!(set(list(&["list", "--here", "--json"]).into_keys()), here);

    let all = list(&["list", "--remote", "--json"]);
    let fork = fork(machine);
    for (id, asked) in ASKED {
        let id = if id == FORK { &fork } else { id };
        if machine.name == "desk" && [EXCLUDED, QUEUED].contains(&id) {
            assert!(!all.contains_key(id), "{id} is on the laptop only");
            continue;
        }
        let row = &all[id];
        assert_eq!(row[words::HERE], here.contains(id), "{id}");
        assert_eq!(row[words::IN_STORE], id != EXCLUDED, "{id}");
        assert_eq!(row[words::EXCLUDED].is_string(), id == EXCLUDED, "{id}");
        assert_eq!(
            row[words::FORK_OF].as_str(),
            (id == fork).then_some(DIVERGED),
            "{id}"
        );
        let turns = rows(
            &machine.ccsync(["show", id, "--json"]).success(),
            words::TURNS,
        );
        let turns = texts(&turns, words::TEXT).join("\n");
        assert!(
            asked.iter().all(|text| turns.contains(text)),
            "{id}: {turns}"
        );
    }
    machine.ccsync(["search", "draw it in red"]).success();
}

#[track_caller]
fn check_history(machine: &Machine) {
    let states = rows(
        &machine.ccsync(["log", PINNED, "--json"]).success(),
        words::ENTRIES,
    );
    assert_eq!(states.len(), 2);
    let milestones = rows(
        &machine.ccsync(words::MILESTONES).success(),
        words::MILESTONES_KEY,
    );
    assert_eq!(texts(&milestones, words::NAME), ["before-the-move"]);
    let locks = rows(&machine.ccsync(words::LOCKS).success(), words::LOCKS_KEY);
    assert_eq!(texts(&locks, words::SESSION), [LOCKED]);
    assert_eq!(texts(&locks, words::HOST), ["desk"]);
    let machines = rows(
        &machine.ccsync(words::MACHINES).success(),
        words::MACHINES_KEY,
    );
    let names = set(texts(&machines, words::NAME));
    assert_eq!(names, set(["laptop", "desk"].map(str::to_owned)));
}

/// Checks the laptop's own data: the note that it has shown, commits that are not on the
/// remote, and a turn that is in no commit.
#[track_caller]
fn check_laptop(laptop: &Machine) {
    let notes = rows(&laptop.ccsync(words::NOTES).success(), words::NOTES_KEY);
    let notes: Vec<_> = notes
        .iter()
        .map(|note| {
            (
                note[words::TEXT].as_str().unwrap(),
                note[words::MACHINE][words::NAME].as_str().unwrap(),
                note[words::SEEN].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        notes,
        [
            ("the move is on Friday", "laptop", false),
            ("the tests need a database now", "desk", true),
        ]
    );

    let status = laptop.ccsync(["status", "--json"]).success();
    assert_eq!(status.json()[words::QUEUED_COMMITS], 2);
    assert_eq!(
        texts(&rows(&status, words::TO_PUSH), words::SESSION),
        [LOGIN]
    );
}

#[test]
fn old_configuration_keeps_settings_when_changed() {
    let old = OldMachines::unpack();
    for machine in old.both() {
        machine
            .ccsync(["config", "set", "name", "another"])
            .success();
        let mut expected = words::settings(&machine.name);
        expected[words::NAME] = json!("another");
        check_settings(machine, &expected);
    }
}

/// Syncs the old machines, `first` before `second`, and checks that both have everything.
#[track_caller]
fn check_sync(old: &OldMachines, first: &Machine, second: &Machine) {
    let before = old.both().map(transcripts);
    let heads = [remote(), old.laptop.store(), old.desk.store()].map(|place| head(&place));
    let notes = OldMachines::sync([first, second]);

    for (machine, before) in old.both().into_iter().zip(before) {
        let now = transcripts(machine);
        for (id, text) in before {
            assert!(now[&id].starts_with(&text), "{id} on {}", machine.name);
        }
        for head in &heads {
            machine.git(&["merge-base", "--is-ancestor", head, "HEAD"]);
        }
        check_in_sync(machine);
    }
    check_same_sessions(old);
    check_extras(old);
    check_converted(&old.desk.store());

    assert_eq!(notes, ["the move is on Friday"], "each is shown once");
    let settings = old.desk.ccsync(words::SETTINGS).success().json();
    let archive = old.desk.home.join("archive").display().to_string();
    assert_eq!(
        settings[words::PLACEHOLDERS]["ARCHIVE"],
        archive,
        "as proposed, and approved"
    );
}

/// Checks that nothing is left to push or to pull, and that no lock is left.
#[track_caller]
fn check_in_sync(machine: &Machine) {
    let status = machine.ccsync(["status", "--json"]).success();
    assert_eq!(status.json()[words::QUEUED_COMMITS], 0);
    for list in [words::TO_PUSH, words::TO_PULL] {
        assert_eq!(rows(&status, list), Vec::<Value>::new());
    }
    machine.ccsync(["verify", "--full"]).success();
    assert_eq!(machine.git(&["status", "--porcelain"]), "");
    machine.git(&["fsck", "--strict", "--no-dangling"]);
    let locks = rows(&machine.ccsync(words::LOCKS).success(), words::LOCKS_KEY);
    assert_eq!(locks, Vec::<Value>::new(), "its holder is dead");
}

/// Checks that each machine has the sessions it should have, with the same files on both.
#[track_caller]
fn check_same_sessions(old: &OldMachines) {
    let (laptop, desk) = (&old.laptop, &old.desk);
    let mut all = set(ASKED.map(|(id, _)| id.to_owned()));
    all.remove(FORK);
    all.insert(fork(laptop));
    let but = |missing: &[&str]| {
        let mut ids = all.clone();
        ids.retain(|id| !missing.contains(&id.as_str()));
        ids
    };
    let not_on_laptop = [DELETED[0], DELETED[1], PLACELESS];
    assert_eq!(
        set(laptop.sessions()),
        but(&not_on_laptop),
        "deletions are kept"
    );
    assert_eq!(set(desk.sessions()), but(&[EXCLUDED]));

    let [on_laptop, on_desk] = old.both().map(|machine| {
        let files = session_files(machine).into_iter();
        let files = files.map(|(name, text)| (without_place(&name), old.portable(&text)));
        files.collect::<BTreeMap<_, _>>()
    });
    for (name, text) in &on_desk {
        let is = |ids: &[&str]| ids.iter().any(|id| name.contains(id));
        if !is(&not_on_laptop) && !is(&[PINNED, QUEUED]) {
            assert!(on_laptop.get(name) == Some(text), "{name}");
        }
    }
    // Its last line is unfinished and stays on its machine.
    let [queued, there] = [laptop, desk].map(|machine| old.portable(&machine.transcript(QUEUED)));
    assert!(queued.starts_with(&there) && there.lines().count() == 3);
    assert!(queued.ends_with("never finis"));
    assert!(desk.text(LOGIN).contains("not pushed yet"));
    assert!(
        laptop
            .text(LOCKED)
            .contains("half done when the power failed")
    );
    assert!(desk.text(PINNED).contains("second draft"));
    assert!(
        !laptop.text(PINNED).contains("second draft"),
        "it is pinned"
    );
}

/// Returns a name below the client's directory without the directory of the project.
fn without_place(name: &Path) -> String {
    let parts = name.iter().map(|part| part.to_str().unwrap());
    let parts = parts.filter(|part| !part.starts_with("-tmp-"));
    parts.collect::<Vec<_>>().join("/")
}

/// Checks that memory, instructions, plans and settings are the same on both machines,
/// and that a command which needs approval still waits for it.
#[track_caller]
fn check_extras(old: &OldMachines) {
    let (laptop, desk) = (&old.laptop, &old.desk);
    let [on_laptop, on_desk] = [memory(laptop, "work/app"), memory(desk, "src/app")].map(|files| {
        let files = files.into_iter();
        files
            .map(|(name, text)| (name, old.portable(&text)))
            .collect::<BTreeMap<_, _>>()
    });
    assert_eq!(on_laptop, on_desk);
    let expected = [
        (
            "MEMORY.md",
            "# App\n\n* The code is in APP.\n* Tests need a database.\n\
             * The desk runs the nightly tests.\n",
        ),
        ("style.md", "colour: green\n"),
    ];
    let expected = expected.map(|(name, text)| (PathBuf::from(name), text.to_owned()));
    assert_eq!(on_laptop, BTreeMap::from(expected));
    let instructions = "Answer in one line.\nNotes are in NOTES.\nThe desk has two screens.\n";
    for machine in old.both() {
        let text = users_file(machine, "CLAUDE.md").unwrap();
        assert_eq!(old.portable(&text), instructions);
        let plan = users_file(machine, "plans/brave-otter.md").unwrap();
        assert_eq!(old.portable(&plan), "# Plan\n\n1. Move APP.\n");
        let settings = users_file(machine, "settings.json").unwrap();
        assert_eq!(settings, b"{\n  \"model\": \"opus\"\n}\n");
    }
    assert_eq!(
        users_file(desk, "commands/hello.md").unwrap(),
        b"Say hello.\n"
    );
    assert_eq!(users_file(desk, "commands/later.md"), None);
    let waiting = rows(&desk.ccsync(words::WAITING).success(), words::WAITING_KEY);
    assert_eq!(
        texts(&waiting, words::NAME),
        ["commands/later.md", "{{ARCHIVE}}"]
    );
    desk.ccsync(["apply", "--yes"]).success();
    assert_eq!(
        users_file(desk, "commands/later.md").unwrap(),
        b"Say goodbye.\n"
    );
}

/// Checks that the store has the present format and names, and that only the necessary
/// part of it was rewritten.
#[track_caller]
fn check_converted(store: &Path) {
    let format = fs::read_to_string(store.join("ccsync.json")).unwrap();
    assert_eq!(format, "{\n  \"format\": 2\n}\n");
    let readme = fs::read_to_string(store.join("README.md")).unwrap();
    assert!(!readme.contains("http"), "{readme}");

    let files: Vec<_> = contents(store).into_keys().collect();
    let with_name = |name: &str| {
        let files = files.iter().filter(|file| file.ends_with(name));
        files.map(|file| file.parent().unwrap()).collect::<Vec<_>>()
    };
    let former = with_name("shelf.json");
    assert!(
        with_name("bundle.json")
            .iter()
            .all(|bundle| !former.contains(bundle))
    );

    let unchanged = [DELETED[0], PLACELESS].map(|id| {
        let manifest = format!("sessions/{}/{id}/manifest.json", &id[..2]);
        fs::read_to_string(store.join(manifest)).unwrap()
    });
    assert!(unchanged.iter().all(|text| text.contains("\"roots\"")));
}

#[test]
fn old_machines_sync_laptop_first_keeps_everything() {
    let old = OldMachines::unpack();
    check_sync(&old, &old.laptop, &old.desk);
    // A pull by id restores a deleted session; a change on another machine updates a
    // pinned one.
    let mut pull = vec!["pull"];
    pull.extend(DELETED);
    old.laptop.ccsync(pull).success();
    for id in DELETED {
        let [here, there] = old
            .both()
            .map(|machine| old.portable(&machine.transcript(id)));
        assert_eq!(here, there);
    }
    old.desk.append(PINNED, "third draft");
    old.desk.ccsync(["push"]).success();
    old.laptop.ccsync(["pull"]).success();
    let [here, there] = old
        .both()
        .map(|machine| old.portable(&machine.transcript(PINNED)));
    assert_eq!(here, there);
}

#[test]
fn old_machines_sync_desk_first_keeps_everything() {
    let old = OldMachines::unpack();
    // The laptop's queued commits meet a remote to which the desk has pushed meanwhile.
    check_sync(&old, &old.desk, &old.laptop);
}

/// In format 1 the description of a bundle has another name, and the laptop has a queued
/// commit that changes it.
#[test]
fn old_bundle_changed_on_both_machines_is_merged() {
    for is_remote_converted in [true, false] {
        let old = OldMachines::unpack();
        let (laptop, desk) = (&old.laptop, &old.desk);
        let note = desk.project_dir("src/app").join("memory/new.md");
        fs::write(note, "A new note.\n").unwrap();
        if is_remote_converted {
            desk.ccsync(["push"]).success();
        } else {
            let away = remote().with_extension("away");
            fs::rename(remote(), &away).unwrap();
            desk.ccsync(["push"]);
            fs::rename(away, remote()).unwrap();
        }
        OldMachines::sync([laptop, desk]);
        check_converted(&desk.store());
        check_converted(&laptop.store());

        let stored = contents(&desk.store());
        let is_of_app = |file: &&PathBuf| file.ends_with("files/new.md");
        let new = stored.keys().find(is_of_app).unwrap();
        let bundle = new.ancestors().nth(2).unwrap();
        assert!(stored.contains_key(&bundle.join("bundle.json")));
        let [on_laptop, on_desk] = [memory(laptop, "work/app"), memory(desk, "src/app")];
        for files in [on_laptop, on_desk] {
            let text = |name: &str| String::from_utf8_lossy(&files[Path::new(name)]).into_owned();
            assert_eq!(text("new.md"), "A new note.\n");
            assert!(text("MEMORY.md").contains("nightly tests"));
        }
    }
}

#[test]
fn old_sessions_come_back_byte_for_byte() {
    let old = OldMachines::unpack();
    OldMachines::sync([&old.laptop, &old.desk]);
    for machine in old.both() {
        let mut before = session_files(machine);
        before.retain(|name, _| !names(name, EXCLUDED));
        let mut pull = machine.sessions();
        pull.retain(|id| id != EXCLUDED);
        pull.insert(0, "pull".to_owned());
        for name in before.keys() {
            fs::remove_file(machine.home.join(".claude").join(name)).unwrap();
        }
        machine.ccsync(pull).success();

        if machine.name == "laptop" {
            as_stored(&mut before);
        }
        let mut after = session_files(machine);
        after.retain(|name, _| !names(name, EXCLUDED));
        let [was, is] = [&before, &after].map(|files| files.keys().collect::<Vec<_>>());
        assert_eq!(was, is);
        for (name, text) in before {
            assert!(
                after[&name] == text,
                "{} on {}",
                name.display(),
                machine.name
            );
        }
    }
}

/// Changes the laptop's files to those in the store.
fn as_stored(files: &mut Files) {
    let pinned = expected("pinned");
    let file = |session: &str| {
        let mut names = files.keys().filter(|name| names(name, session));
        names.next().unwrap().clone()
    };
    let (restored, unfinished) = (file(PINNED), file(QUEUED));
    let newest = pinned[Path::new("newest.jsonl")].clone();
    assert!(files.insert(restored, newest).unwrap() == pinned[Path::new("first.jsonl")]);
    // An unfinished line is on its own machine only, and lost with its file.
    let text = files.get_mut(&unfinished).unwrap();
    let end = text.iter().rposition(|b| *b == b'\n').unwrap() + 1;
    text.truncate(end);
}

/// Returns whether a file below the client's directory belongs to a session.
fn names(file: &Path, session: &str) -> bool {
    file.to_str().unwrap().contains(session)
}

#[test]
fn new_machine_gets_everything_from_old_store() {
    let old = OldMachines::unpack();
    OldMachines::sync([&old.laptop, &old.desk]);
    let env = TestEnv::new();
    let new = env.machine("new");
    new.init(&remote());
    new.ccsync(["config", "set", words::PULL_DAYS, "36500"])
        .success();
    for name in ["DATA", "NOTES", "WORK"] {
        let directory = new.home.join(name);
        let placeholder = format!("{name}={}", directory.display());
        new.add_placeholder(&placeholder);
    }
    new.ccsync(["pull"]).success();
    assert_eq!(new.sessions(), old.desk.sessions());
    for id in new.sessions() {
        let [here, there] = [&new, &old.desk].map(|machine| machine.transcript(&id));
        assert_eq!(markers(&here), markers(&there), "{id}");
        assert_eq!(
            here.split(|b| *b == b'\n').count(),
            there.split(|b| *b == b'\n').count(),
            "{id}"
        );
    }
    let milestones = rows(
        &new.ccsync(words::MILESTONES).success(),
        words::MILESTONES_KEY,
    );
    assert_eq!(texts(&milestones, words::NAME), ["before-the-move"]);
    let instructions = users_file(&new, "CLAUDE.md").unwrap();
    assert!(String::from_utf8_lossy(&instructions).contains("The desk has two screens."));
    new.ccsync(["verify", "--full"]).success();
}

#[test]
fn old_states_can_be_restored() {
    let old = OldMachines::unpack();
    let laptop = &old.laptop;
    laptop.ccsync(["push"]).success();
    let states = rows(
        &laptop.ccsync(["log", PINNED, "--json"]).success(),
        words::ENTRIES,
    );
    let first = states.last().unwrap()[words::COMMIT].as_str().unwrap();
    let before = set(laptop.sessions());
    laptop
        .ccsync(["restore", PINNED, "--at", first, "--as-fork"])
        .success();
    let made: Vec<String> = laptop
        .sessions()
        .into_iter()
        .filter(|id| !before.contains(id))
        .collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        markers(&laptop.transcript(&made[0])),
        markers(&laptop.transcript(PINNED))
    );

    // All but the one whose project is not here.
    laptop
        .ccsync(["restore", "--milestone", "before-the-move", "--yes"])
        .code(3);
    let then = expected("laptop-at-milestone");
    assert!(then.len() > 15, "{:?}", then.keys());
    let now = claude_files(laptop);
    for (name, text) in then {
        assert!(now[&name] == text, "{}", name.display());
    }
    // Text from after the milestone is still in the store.
    assert!(!laptop.text(LOGIN).contains("not pushed yet"));
    laptop.ccsync(["pull", LOGIN]).success();
    assert!(laptop.text(LOGIN).contains("not pushed yet"));
}

#[test]
fn old_undo_journals_are_taken_back() {
    let old = OldMachines::unpack();
    old.desk.ccsync(["undo"]).success();
    let then = expected("desk-before-last-pull");
    let now = claude_files(&old.desk);
    for (name, text) in &then {
        let went_on = name.ends_with("memory/MEMORY.md") || names(name, LOCKED);
        assert!(went_on || now.get(name) == Some(text), "{}", name.display());
    }

    old.laptop.ccsync(["undo"]).success();
    let newest = &expected("pinned")[Path::new("newest.jsonl")];
    assert!(old.laptop.transcript(PINNED) == *newest);
}
