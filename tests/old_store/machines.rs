//! The machines of `fixtures/store-v1`, unpacked to where they were made.
//!
//! Their settings, state and sessions name their homes, so they cannot be unpacked
//! elsewhere. A file lock lets one test on this computer have them at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::words;
use crate::harness::{Machine, Run, machine_at, tree};

/// The directory in which the machines were made.
pub(super) const ROOT: &str = "/tmp/ccsync-fixture";

/// Files by their path below the client's directory.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The old machines, in their original directory. Removed when dropped.
pub(super) struct OldMachines {
    pub(super) laptop: Machine,
    pub(super) desk: Machine,
    _lock: File,
}

impl OldMachines {
    pub(super) fn unpack() -> Self {
        let lock = lock_file();
        lock.lock().unwrap();
        let root = Path::new(ROOT);
        let _ = fs::remove_dir_all(root);
        fs::create_dir(root).unwrap_or_else(|e| panic!("{ROOT} is not free: {e}"));
        let archive =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-v1/machines.tar.gz");
        let tar = Command::new("tar")
            .arg("-xzf")
            .args([&archive, Path::new("-C"), root])
            .status();
        assert!(tar.unwrap().success());
        let machines = Self {
            laptop: machine_at(root, "laptop", "laptop/home/al"),
            desk: machine_at(root, "desk", "desk/home/alex"),
            _lock: lock,
        };
        machines.renumber();
        machines
    }

    /// Writes the inodes of the unpacked files to the state, which identifies files by
    /// them, as if the machines had never left their disk.
    fn renumber(&self) {
        let list = fs::read_to_string(Path::new(ROOT).join("inodes")).unwrap();
        let paths: BTreeMap<&str, PathBuf> = list
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(inode, path)| (inode, Path::new(ROOT).join(path)))
            .collect();
        let stamp = Regex::new(r#""inode":(\d+)(,"made_ns":(?:\d+|null))?"#).unwrap();
        for machine in [&self.laptop, &self.desk] {
            let state = state_dir(machine);
            for (name, text) in contents(&state) {
                let Ok(text) = String::from_utf8(text) else {
                    continue;
                };
                let new = stamp.replace_all(&text, |old: &Captures<'_>| renumbered(old, &paths));
                fs::write(state.join(name), &*new).unwrap();
            }
        }
    }

    pub(super) fn both(&self) -> [&Machine; 2] {
        [&self.laptop, &self.desk]
    }

    /// Returns a text that does not depend on which of these machines' paths it names.
    pub(super) fn portable(&self, text: &[u8]) -> String {
        let homes = self
            .both()
            .map(|machine| machine.home.display().to_string());
        let [laptop, desk] = homes;
        let mut text = String::from_utf8_lossy(text).into_owned();
        for (path, name) in [
            (format!("{laptop}/work/app"), "APP"),
            (format!("{desk}/src/app"), "APP"),
            (format!("{desk}/work/app"), "APP"),
            (format!("{laptop}/projects/clients"), "WORK"),
            (format!("{desk}/src/customers"), "WORK"),
            (format!("{laptop}/notes"), "NOTES"),
            (format!("{desk}/papers"), "NOTES"),
            (format!("{ROOT}/tablet/home/al"), "HOME"),
            (laptop, "HOME"),
            (desk, "HOME"),
        ] {
            text = text.replace(&path, name);
        }
        text
    }

    /// Pushes and pulls on both machines until they agree. Returns the notes received.
    #[track_caller]
    pub(super) fn sync(order: [&Machine; 2]) -> Vec<String> {
        let [first, second] = order;
        first.ccsync(["push"]).success();
        let mut notes = received(second);
        second.ccsync(["push"]).success();
        notes.extend(received(first));
        for machine in order {
            machine.ccsync(["pull", "--quiet"]).success();
        }
        notes
    }
}

/// Pulls, and returns the notes received.
#[track_caller]
fn received(machine: &Machine) -> Vec<String> {
    let report = machine.ccsync(["pull", "--json"]).success().json();
    let notes = report[words::NOTES_KEY].as_array();
    notes.map_or(Vec::new(), |notes| texts(notes, words::TEXT))
}

impl Drop for OldMachines {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(ROOT);
    }
}

fn lock_file() -> File {
    let path = format!("{ROOT}.lock");
    File::open(&path)
        .or_else(|_| File::create(&path))
        .unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn renumbered(old: &Captures<'_>, paths: &BTreeMap<&str, PathBuf>) -> String {
    let Some(path) = paths.get(&old[1]) else {
        // The file did not exist any more: no unpacked file may get its number by chance.
        let none = u64::MAX - old[1].parse::<u64>().unwrap();
        return old[0].replace(&old[1], &none.to_string());
    };
    let metadata = fs::metadata(path).unwrap();
    let made = metadata
        .created()
        .ok()
        .and_then(|made| made.duration_since(UNIX_EPOCH).ok())
        .map(|made| u64::try_from(made.as_nanos()).unwrap());
    let made = old
        .get(2)
        .map_or(String::new(), |_| format!(",\"made_ns\":{}", json!(made)));
    format!("\"inode\":{}{made}", metadata.ino())
}

/// Returns files that the fixture keeps as the expected result of a command.
pub(super) fn expected(directory: &str) -> Files {
    contents(&Path::new(ROOT).join("expected").join(directory))
}

pub(super) fn state_dir(machine: &Machine) -> PathBuf {
    machine.home.join(".local/state/ccsync")
}

/// Returns everything below the client's directory.
pub(super) fn claude_files(machine: &Machine) -> Files {
    contents(&machine.home.join(".claude"))
}

/// Returns the files below a directory, by their relative paths.
pub(super) fn contents(dir: &Path) -> Files {
    let files = tree(dir).into_iter();
    files
        .filter(|(name, _)| dir.join(name).is_file())
        .map(|(name, (_, text))| (name, text))
        .collect()
}

/// Returns the files of all sessions on a machine.
pub(super) fn session_files(machine: &Machine) -> Files {
    let mut files = claude_files(machine);
    files.retain(|name, _| {
        let is_memory = name.iter().any(|part| part == "memory");
        let of_sessions = ["projects", "file-history", "tasks"];
        of_sessions.iter().any(|top| name.starts_with(top)) && !is_memory
    });
    files
}

/// Returns the transcripts on a machine, by session.
pub(super) fn transcripts(machine: &Machine) -> BTreeMap<String, Vec<u8>> {
    let ids = machine.sessions().into_iter();
    ids.map(|id| (id.clone(), machine.transcript(&id)))
        .collect()
}

pub(super) fn memory(machine: &Machine, project: &str) -> Files {
    contents(&machine.project_dir(project).join("memory"))
}

pub(super) fn users_file(machine: &Machine, name: &str) -> Option<Vec<u8>> {
    fs::read(machine.home.join(".claude").join(name)).ok()
}

pub(super) fn rows(run: &Run, list: &str) -> Vec<Value> {
    run.json()[list].as_array().unwrap().clone()
}

pub(super) fn texts(rows: &[Value], key: &str) -> Vec<String> {
    let texts = rows.iter().map(|row| row[key].as_str().unwrap());
    texts.map(str::to_owned).collect()
}

pub(super) fn refs(repository: &Path) -> String {
    let git = Command::new("git")
        .arg("-C")
        .arg(repository)
        .arg("for-each-ref")
        .output();
    String::from_utf8(git.unwrap().stdout).unwrap()
}

pub(super) fn remote() -> PathBuf {
    Path::new(ROOT).join("remote.git")
}

/// Returns the commit that the branch `main` is at.
pub(super) fn head(repository: &Path) -> String {
    let refs = refs(repository);
    let main = refs.lines().find(|line| line.ends_with("refs/heads/main"));
    main.unwrap()[..40].to_owned()
}

pub(super) fn set(items: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    items.into_iter().collect()
}
