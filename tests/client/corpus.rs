//! Every session of a corpus (`CCSYNC_CORPUS`): a directory of cases, each with
//! `case.json` and the former contents of `/home` as `home/`. Their paths begin with
//! `/home/alice`, so `/home` must be a `tmpfs` of this process' own; `.ci/client-tests`
//! arranges that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::history::{all_text, assert_no_trace, assert_same_history, assert_same_messages};
use crate::machine::{Machine, bare_repository, entries, text};
use crate::story::Stage;
use crate::{client_or_skip, skip};

#[test]
fn client_resumes_every_corpus_session() {
    let client = client_or_skip!();
    let Some(corpus) = std::env::var_os("CCSYNC_CORPUS").map(PathBuf::from) else {
        return skip("no corpus (set CCSYNC_CORPUS=…, see docs/dev/testing.md)");
    };
    if !home_is_ours() {
        return skip(
            "/home is not a tmpfs of its own (use .ci/client-tests, see docs/dev/testing.md)",
        );
    }
    let stage = Stage::new(client);
    let mut cases = entries(&corpus);
    cases.retain(|case| case.join("home/alice").is_dir());
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", corpus.display());
    let mut failed = Vec::new();
    let mut sessions = 0;
    for case in &cases {
        let name = case
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let run = std::panic::AssertUnwindSafe(|| move_case(&stage, case, &name));
        match std::panic::catch_unwind(run) {
            Ok(moved) => sessions += moved,
            Err(_) => failed.push(name),
        }
    }
    assert!(sessions > 0, "the corpus holds no session");
    assert!(
        failed.is_empty(),
        "{} of {} cases failed: {failed:?}",
        failed.len(),
        cases.len()
    );
}

fn home_is_ours() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').skip(1).take(2).eq(["/home", "tmpfs"]))
}

/// The sessions of a case and the projects they belong to.
struct Case {
    sessions: BTreeMap<String, PathBuf>,
    /// Project directories that are in no other project, in a fixed order.
    placeholders: Vec<PathBuf>,
    config_dir: Option<PathBuf>,
}

impl Case {
    fn read(directory: &Path) -> Self {
        let info = fs::read(directory.join("case.json")).expect("case.json");
        let info: Value = serde_json::from_slice(&info).expect("case.json is JSON");
        let mut case = Self {
            sessions: BTreeMap::new(),
            placeholders: Vec::new(),
            config_dir: None,
        };
        for (id, session) in info["sessions"].as_object().expect("sessions") {
            let named = ["realpath", "project", "alice"]
                .iter()
                .find_map(|key| session[key].as_str());
            let project = PathBuf::from(named.expect("a session names its project"));
            case.placeholders.push(project.clone());
            case.sessions.insert(id.clone(), project);
            case.config_dir = session["config_dir"]
                .as_str()
                .map(PathBuf::from)
                .or(case.config_dir);
        }
        let all = case.placeholders.clone();
        case.placeholders.retain(|root| {
            !all.iter()
                .any(|other| other != root && root.starts_with(other))
        });
        case.placeholders.sort();
        case.placeholders.dedup();
        case
    }

    /// Returns `path` of Alice as it is for the user with this home.
    fn moved(&self, path: &Path, home: &Path) -> PathBuf {
        let root = self
            .placeholders
            .iter()
            .find(|root| path.starts_with(root))
            .expect("a project of the case");
        let rest = path.strip_prefix(root).expect("below its root");
        let place = home.join("moved").join(root.file_name().expect("a name"));
        if rest.as_os_str().is_empty() {
            place
        } else {
            place.join(rest)
        }
    }

    /// Sets up a machine at `/home/<user>` on which every project has a directory.
    fn machine(&self, user: &str, remote: &Path) -> Machine {
        let home = Path::new("/home").join(user);
        let mut machine = Machine::new(user, &home, "elsewhere");
        let place = |root: &PathBuf| {
            if user == "alice" {
                root.clone()
            } else {
                self.moved(root, &home)
            }
        };
        let config_dir = self
            .config_dir
            .as_deref()
            .and_then(|directory| directory.strip_prefix("/home/alice").ok());
        machine.config_dir = config_dir.map(|directory| home.join(directory));
        let placeholders = self.placeholders.iter().enumerate();
        let placeholders: Vec<_> = placeholders
            .map(|(index, root)| (format!("P{index}"), place(root)))
            .collect();
        machine.init(remote, &placeholders);
        machine
    }
}

/// Pushes one case from Alice; pulls it as Bob with local paths, as Carol with the
/// original ones; resumes every session.
fn move_case(stage: &Stage, directory: &Path, name: &str) -> usize {
    for old in entries(Path::new("/home")) {
        fs::remove_dir_all(&old).unwrap_or_else(|_| fs::remove_file(&old).expect("clear /home"));
    }
    let case = Case::read(directory);
    let remote = bare_repository(Path::new("/home/remote.git"));
    copy_tree(&directory.join("home/alice"), Path::new("/home/alice"));
    // The client would refuse a worktree whose repository is not in the corpus, here as
    // on its origin.
    case.placeholders
        .iter()
        .for_each(|root| drop(fs::remove_dir_all(root.join(".claude/worktrees"))));
    let alice = case.machine("alice", &remote);
    alice.push();
    let bound: BTreeSet<&String> = case
        .sessions
        .keys()
        .filter(|id| holds_system_prompt(&alice, id))
        .collect();
    let resume = |machine: &Machine, place: &dyn Fn(&Path) -> PathBuf| -> BTreeMap<String, Value> {
        let each = case.sessions.iter().map(|(id, project)| {
            let project = place(project);
            fs::create_dir_all(&project).expect("make a project");
            (
                id.clone(),
                stage.resume(machine, &project, id, &format!("{name}-{id}"), &[]),
            )
        });
        each.collect()
    };
    let origin = resume(&alice, &|project| project.to_path_buf());
    let projects = Path::new("/home/projects-of-alice");
    for (index, root) in case.placeholders.iter().enumerate() {
        copy_tree(root, &projects.join(index.to_string()));
    }
    fs::remove_dir_all("/home/alice").expect("remove the origin");

    for (user, mode) in [("bob", "always"), ("carol", "never")] {
        let home = Path::new("/home").join(user);
        for (index, root) in case.placeholders.iter().enumerate() {
            copy_tree(&projects.join(index.to_string()), &case.moved(root, &home));
        }
        let machine = case.machine(user, &remote);
        machine.paths(mode);
        machine.ccsync(0, &["pull", "--days", "36500"]);
        for (id, here) in &resume(&machine, &|project| case.moved(project, &home)) {
            let mark = format!("{name}-{id}");
            if mode == "always" {
                assert_no_trace(here, Path::new("/home/alice"));
                assert_same_prompts(&origin[id], here);
                assert_outputs_are_here(&machine, id);
            } else if bound.contains(id) {
                assert_same_history(&origin[id], here, &mark);
            } else {
                assert_same_messages(&origin[id], here, &mark);
            }
        }
    }
    case.sessions.len()
}

/// Asserts that every output file that the transcript names is on this machine.
fn assert_outputs_are_here(machine: &Machine, id: &str) {
    for record in machine.records(id) {
        if let Some(path) = record["toolUseResult"]["persistedOutputPath"].as_str() {
            assert!(
                Path::new(path).is_file() && path.starts_with(text(&machine.home)),
                "{path} is not here"
            );
        }
    }
}

/// Returns true if the client kept a copy of the system prompt with the session, as it
/// does since 2.1.290.
fn holds_system_prompt(machine: &Machine, id: &str) -> bool {
    machine
        .records(id)
        .iter()
        .any(|record| record["attachment"]["type"] == "prompt_snapshot")
}

/// Asserts that every word of the corpus' prompts (`MK-…`) that reached the model on the
/// origin does so here.
fn assert_same_prompts(origin: &Value, here: &Value) {
    let words = |request: &Value| -> Vec<String> {
        let text = all_text(&request["messages"]);
        let found = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .filter(|word| word.starts_with("MK-"));
        found.map(str::to_owned).collect()
    };
    assert_eq!(
        words(origin),
        words(here),
        "the prompts that reached the model differ"
    );
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a directory");
    for entry in entries(from) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_symlink() {
            let points_to = fs::read_link(&entry).expect("read a link");
            drop(std::os::unix::fs::symlink(points_to, &target));
        } else if entry.is_dir() {
            copy_tree(&entry, &target);
        } else {
            fs::copy(&entry, &target)
                .unwrap_or_else(|error| panic!("copy {}: {error}", text(&entry)));
            let time = fs::metadata(&entry)
                .and_then(|data| data.modified())
                .expect("a time");
            fs::File::options()
                .append(true)
                .open(&target)
                .and_then(|file| file.set_modified(time))
                .expect("keep the time");
        }
    }
}
