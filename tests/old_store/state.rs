//! State files under the names and in the form that they had in format 1.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::machines::*;
use super::{DELETED, LOCKED, LOGIN, PINNED, fork, words};
use crate::harness::Machine;

/// Former names of files, and the present ones.
const RENAMED: [(&str, &str); 6] = [
    ("clones.json", "checkouts.json"),
    ("gone.json", "deleted.json"),
    ("held.json", "pinned.json"),
    ("lock-family", "lock-children"),
    ("lock-sightings.json", "lock-observations.json"),
    ("prose", "extras"),
];

/// Returns the names in the state directory of a machine.
fn names(machine: &Machine) -> BTreeSet<String> {
    let entries = fs::read_dir(state_dir(machine)).unwrap();
    set(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()))
}

fn state(machine: &Machine, name: &str) -> Value {
    serde_json::from_slice(&fs::read(state_dir(machine).join(name)).unwrap()).unwrap()
}

#[test]
fn state_files_keep_content_under_new_names() {
    let old = OldMachines::unpack();
    let laptop = &old.laptop;
    let before = names(laptop);
    let [pinned, observed, checkouts] =
        ["held.json", "lock-sightings.json", "clones.json"].map(|name| state(laptop, name));
    let bases = contents(&state_dir(laptop).join("prose/bases"));

    laptop.ccsync(["show", PINNED, "--json"]).success();
    laptop.ccsync(["search", "first draft"]).success();
    assert_eq!(names(laptop), before, "renamed under the lock only");

    laptop.ccsync(words::LOCKS).success();
    let renamed = before.iter().map(|name| {
        let found = RENAMED.iter().find(|(former, _)| former == name);
        found
            .map_or(name.as_str(), |(_, present)| present)
            .to_owned()
    });
    let added = ["last-fetch.json".to_owned()];
    assert_eq!(names(laptop), set(renamed.chain(added)));
    assert_eq!(state(laptop, "pinned.json"), pinned);
    assert_eq!(state(laptop, "lock-observations.json"), observed);
    assert!(contents(&state_dir(laptop).join("extras/bases")) == bases);

    laptop.ccsync(["pull"]).success();
    let deleted = state(laptop, "deleted.json");
    assert_eq!(deleted["version"], 1);
    assert!(DELETED.iter().all(|id| deleted["sessions"][id].is_string()));
    let used = &state(laptop, "checkouts.json")["used"];
    assert_eq!(used[fork(laptop)], checkouts["used"][fork(laptop)]);
}

#[test]
fn state_interrupted_renaming_is_continued() {
    let old = OldMachines::unpack();
    for machine in old.both() {
        let state = state_dir(machine);
        for (former, present) in &RENAMED[..3] {
            let _ = fs::rename(state.join(former), state.join(present));
        }
    }
    let extras = contents(&state_dir(&old.desk).join("prose"));
    assert!(!extras.is_empty());
    OldMachines::sync([&old.laptop, &old.desk]);

    for machine in old.both() {
        let names = names(machine);
        assert!(RENAMED.iter().all(|(former, _)| !names.contains(*former)));
    }
    assert!(!old.laptop.text(PINNED).contains("second draft"));
    let sessions = old.laptop.sessions();
    assert!(
        !DELETED
            .iter()
            .any(|id| sessions.contains(&(*id).to_owned()))
    );
    assert!(old.desk.text(LOGIN).contains("not pushed yet"));
}

/// A hook of a Claude Code that an older ccsync started reads the file.
#[test]
fn state_path_notice_stays_where_hook_reads_it() {
    let old = OldMachines::unpack();
    let notice = state_dir(&old.desk).join(format!("told/{LOCKED}.txt"));
    let before = fs::read(&notice).unwrap();
    old.desk.ccsync(["sync"]);
    assert_eq!(fs::read(&notice).unwrap(), before);
}
