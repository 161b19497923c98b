//! A session of a repository is where the client looks for it in this machine's clone,
//! however odd both paths are.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use ccsync::domain::client_dir::client_dir_name;
use serde_json::json;

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::{assert_no_trace, has_turn};
use crate::machine::{Machine, Pair, text};
use crate::story::Stage;

/// Creates a clone of the remote at `path`, with the directory `below` in it.
fn clone(machine: &Machine, path: &Path, remote: &str, below: &str) -> PathBuf {
    let directory = if below.is_empty() {
        path.to_owned()
    } else {
        path.join(below)
    };
    fs::create_dir_all(&directory).expect("make a clone");
    machine.git(path, &["init", "--quiet", "--initial-branch=main"]);
    machine.git(path, &["remote", "add", "origin", remote]);
    machine.git(
        path,
        &["commit", "--quiet", "--allow-empty", "--message=begin"],
    );
    directory
}

/// Writes the client's record of projects in these directories.
fn write_client_projects(machine: &Machine, directories: &[PathBuf]) {
    let projects: serde_json::Map<_, _> = directories
        .iter()
        .map(|d| (text(d).to_owned(), json!({})))
        .collect();
    fs::write(
        machine.home.join(".claude.json"),
        json!({"projects": projects}).to_string(),
    )
    .expect("write its list");
}

#[test]
fn client_finds_session_in_local_clone() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("always"));
    pair.a.paths("always");
    let outside = pair.a.home.join("out of/the way");
    let long = ["a-directory-whose-name-is-rather-long"; 6].join("/");
    let longer = ["один-довольно-длинный-каталог"; 5].join("/");
    let cases = [
        ("my app.v2_x", "Проекты/日本語 demo", "crates/core_x"),
        ("emoji 😀 dir", &long, ""),
        (&longer, "it's \"quoted\" & b\\s", "a.b/c d"),
        (&long, &longer, ""),
        // Two repositories whose directories have the same client name on both machines.
        ("same_name", "other.name", ""),
        ("same-name", "other_name", ""),
    ];
    let remote = |index: usize, end: &str| format!("git@github.com:al/app-{index}{end}");
    let mark = |index: usize| format!("clone-{index}");
    let sessions: Vec<(String, PathBuf, PathBuf)> = cases
        .iter()
        .enumerate()
        .map(|(index, (there, _, below))| {
            let top = outside.join(there);
            let project = clone(&pair.a, &top, &remote(index, ".git"), below);
            (
                stage.begin(
                    &pair.a,
                    &project,
                    &mark(index),
                    &[Answer::bash("pwd"), Answer::say("here")],
                ),
                top,
                project,
            )
        })
        .collect();
    let here: Vec<PathBuf> = cases
        .iter()
        .enumerate()
        .map(|(index, (_, here, below))| {
            clone(
                &pair.b,
                &pair.b.home.join("else where").join(here),
                &remote(index, ""),
                below,
            )
        })
        .collect();
    // The user entered one of them through a link, and the list has its path through that
    // link.
    let link = pair.b.home.join("link");
    std::os::unix::fs::symlink(&here[1], &link).expect("make a link");
    let mut listed = here.clone();
    listed[1].clone_from(&link);
    write_client_projects(&pair.b, &listed);
    pair.a.push();
    pair.b.pull();

    for (index, (id, there, _)) in sessions.iter().enumerate() {
        let directory = client_dir_name(text(&here[index]));
        assert_eq!(
            pair.b.transcript(id).parent().and_then(Path::file_name),
            Some(OsStr::new(&directory)),
            "case {index}"
        );
        let request = if cases[index].0.starts_with("same") {
            // `--continue` would take the newest session of the shared directory.
            stage.resume(&pair.b, &here[index], id, "go on", &[Answer::bash("pwd")])
        } else {
            let prompt = stage.api.script("go on", &[Answer::bash("pwd")]);
            let reply = stage.client.print(
                &pair.b,
                &stage.api,
                &listed[index],
                &["--continue", &prompt],
            );
            stage.last_request(&reply, id, "go on")
        };
        assert!(
            has_turn(&request, &mark(index)),
            "{}: the history did not reach the model",
            here[index].display()
        );
        assert_no_trace(&request, there);
        let cwds = pair.b.records(id);
        let cwds: Vec<_> = cwds
            .iter()
            .filter_map(|record| record["cwd"].as_str())
            .collect();
        assert!(
            cwds.iter().all(|cwd| *cwd == text(&here[index])),
            "{cwds:?}"
        );
    }
    // Back on the first machine, its text is unchanged, and the session continues in its
    // clone.
    let before: Vec<_> = sessions
        .iter()
        .map(|(id, ..)| fs::read(pair.a.transcript(id)).expect("a transcript"))
        .collect();
    pair.b.push();
    pair.a.pull();
    for ((id, there, project), before) in sessions.iter().zip(before) {
        let after = fs::read(pair.a.transcript(id)).expect("a transcript");
        assert!(
            after.len() > before.len() && after.starts_with(&before),
            "what was written at A changed its bytes"
        );
        let request = stage.resume(&pair.a, project, id, "home", &[]);
        assert!(
            has_turn(&request, "go on"),
            "{}: the turn of B did not reach the model",
            there.display()
        );
        assert_no_trace(&request, &pair.b.home.join("else where"));
    }
}

#[test]
fn resume_worktree_session_in_other_clone() {
    let stage = Stage::new(client_or_skip!());
    for has_worktree in [true, false] {
        let pair = Pair::new(Some("never"));
        let there = clone(
            &pair.a,
            &pair.a.home.join("work/demo"),
            "https://example.org/al/demo",
            "",
        );
        let here = clone(
            &pair.b,
            &pair.b.home.join("else/where/demo_2"),
            "git@example.org:al/demo",
            "",
        );
        write_client_projects(&pair.b, std::slice::from_ref(&here));
        let steps = [
            Answer::call(
                "ToolSearch",
                &json!({"query": "select:EnterWorktree", "max_results": 3}),
            ),
            Answer::call("EnterWorktree", &json!({"name": "side"})),
            Answer::bash("pwd"),
        ];
        let id = stage.begin(&pair.a, &there, "first", &steps);
        let worktree = here.join(".claude/worktrees/side");
        if has_worktree {
            pair.b.git(
                &here,
                &[
                    "worktree",
                    "add",
                    "--quiet",
                    "-b",
                    "worktree-side",
                    text(&worktree),
                ],
            );
        }
        pair.a.push();
        pair.b.pull();
        let lies_in = if has_worktree { &worktree } else { &here };
        let name = client_dir_name(text(lies_in));
        assert_eq!(
            pair.b.transcript(&id).parent().and_then(Path::file_name),
            Some(OsStr::new(&name))
        );
        let request = stage.resume(&pair.b, lies_in, &id, "again", &[Answer::bash("pwd")]);
        assert!(
            has_turn(&request, "first"),
            "the history did not reach the model"
        );
        let cwds = pair.b.records(&id);
        let last = cwds.iter().rev().find_map(|record| record["cwd"].as_str());
        assert_eq!(last, Some(text(lies_in)));
        let before = fs::read(pair.a.transcript(&id)).expect("a transcript");
        pair.b.push();
        pair.a.pull();
        assert!(
            fs::read(pair.a.transcript(&id))
                .expect("a transcript")
                .starts_with(&before)
        );
        assert!(pair.a.has_prompt(&id, "again"));
    }
}

#[test]
fn resume_external_worktree_session_in_other_clone() {
    let stage = Stage::new(client_or_skip!());
    for (mode, has_worktree) in [("never", true), ("never", false), ("always", false)] {
        let pair = Pair::new(Some(mode));
        let there = clone(
            &pair.a,
            &pair.a.home.join("work/demo"),
            "https://example.org/al/demo",
            "",
        );
        let aside = pair.a.home.join("work/aside");
        pair.a.git(
            &there,
            &["worktree", "add", "--quiet", "-b", "aside", text(&aside)],
        );
        let here = clone(
            &pair.b,
            &pair.b.home.join("else/where/demo_2"),
            "git@example.org:al/demo",
            "",
        );
        let worktree = pair.b.home.join("else/trees/aside");
        write_client_projects(&pair.b, std::slice::from_ref(&here));
        if has_worktree {
            pair.b.git(
                &here,
                &["worktree", "add", "--quiet", "-b", "aside", text(&worktree)],
            );
        }
        let steps = [
            Answer::call(
                "ToolSearch",
                &json!({"query": "select:EnterWorktree", "max_results": 3}),
            ),
            Answer::call("EnterWorktree", &json!({"path": text(&aside)})),
            Answer::bash("pwd"),
        ];
        let id = stage.begin(&pair.a, &there, "first", &steps);
        pair.a.push();
        pair.b.pull();
        // Without the worktree, nothing is in its place, and the client leaves it.
        let (lies_in, goes_on_in) = if has_worktree {
            (&worktree, &worktree)
        } else {
            (&pair.b.home.join("work/aside"), &here)
        };
        let name = client_dir_name(text(lies_in));
        assert_eq!(
            pair.b.transcript(&id).parent().and_then(Path::file_name),
            Some(OsStr::new(&name))
        );
        assert_eq!(lies_in.exists(), has_worktree);
        let request = stage.resume(&pair.b, goes_on_in, &id, "again", &[Answer::bash("pwd")]);
        assert!(
            has_turn(&request, "first"),
            "the history did not reach the model"
        );
        let records = pair.b.records(&id);
        let last = records
            .iter()
            .rev()
            .find_map(|record| record["cwd"].as_str());
        assert_eq!(last, Some(text(goes_on_in)));
        let left = records
            .iter()
            .rev()
            .find(|record| record["type"] == "worktree-state");
        assert_eq!(
            left.map(|record| record["worktreeSession"].is_null()),
            Some(!has_worktree)
        );
        let before = fs::read(pair.a.transcript(&id)).expect("a transcript");
        pair.b.push();
        pair.a.pull();
        assert!(
            fs::read(pair.a.transcript(&id))
                .expect("a transcript")
                .starts_with(&before)
        );
        assert!(pair.a.has_prompt(&id, "again"));
        let request = stage.resume(&pair.a, &there, &id, "home", &[Answer::bash("pwd")]);
        assert!(
            has_turn(&request, "again"),
            "the turn of B did not reach the model"
        );
    }
}
