//! A pulled session is where the client looks for it, however odd the path.

use serde_json::json;

use crate::api::Answer;
use crate::client_or_skip;
use crate::history::{all_text, assert_same_history, has_turn};
use crate::machine::{Pair, exit, text};
use crate::story::Stage;

#[test]
fn client_finds_sessions_of_oddly_named_projects() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let long = ["a-directory-whose-name-is-rather-long"; 6].join("/");
    let names = [
        "my app.v2_x",
        "Проекты/日本語 demo",
        "emoji 😀 dir",
        "it's \"quoted\" & b\\s",
        "a_b",
        "-dash-",
        &long,
    ];
    let mark = |index: usize| format!("place-{index}");
    let ids: Vec<String> = (0..names.len())
        .map(|index| {
            let project = pair.a.project(names[index]);
            stage.begin(
                &pair.a,
                &project,
                &mark(index),
                &[Answer::bash("pwd"), Answer::say("here")],
            )
        })
        .collect();
    pair.a.push();
    pair.b.pull();

    for (index, id) in ids.iter().enumerate() {
        let project = pair.b.project(names[index]);
        let prompt = stage.api.script("go on", &[]);
        let reply = stage
            .client
            .print(&pair.b, &stage.api, &project, &["--continue", &prompt]);
        let request = stage.last_request(&reply, id, "go on");
        assert!(
            has_turn(&request, &mark(index)),
            "{}: the history did not reach the model",
            names[index]
        );
    }
}

#[test]
fn projects_sharing_client_directory_stay_separate() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(None);
    let names = ["a_b", "a/b", "a b"];
    let ids =
        names.map(|name| stage.begin(&pair.a, &pair.a.project(name), name, &[Answer::bash("pwd")]));
    pair.a.push();
    pair.b.pull();
    for (name, id) in names.iter().zip(&ids) {
        let project = pair.b.project(name);
        let request = stage.resume(&pair.b, &project, id, "go on", &[]);
        assert!(
            has_turn(&request, name),
            "{name}: the history did not reach the model"
        );
        let cwds = pair.b.records(id);
        let cwds: Vec<_> = cwds
            .iter()
            .filter_map(|record| record["cwd"].as_str())
            .collect();
        assert!(
            cwds.iter().all(|cwd| *cwd == text(&project)),
            "{name}: {cwds:?}"
        );
    }
}

#[test]
fn client_config_dir_is_honoured() {
    let stage = Stage::new(client_or_skip!());
    let mut pair = Pair::new(None);
    pair.a.config_dir = Some(pair.a.home.join(".config/claude a"));
    pair.b.config_dir = Some(pair.b.home.join("claude"));
    for machine in [&pair.a, &pair.b] {
        // A configuration belongs to one directory of Claude Code; this one was made for another.
        let directory = machine.config_dir.as_ref().expect("it was just set");
        let directory = directory.to_str().expect("Unicode");
        machine.ccsync(exit::DONE, &["config", "set", "client_dir", directory]);
    }
    let [there, here] = [&pair.a, &pair.b].map(|machine| machine.project("demo"));
    let id = stage.begin(
        &pair.a,
        &there,
        "first",
        &[Answer::bash("pwd"), Answer::say("first done")],
    );
    pair.a.push();
    pair.b.pull();
    let request = stage.resume(&pair.b, &here, &id, "second", &[]);
    assert!(
        has_turn(&request, "first"),
        "the history did not reach the model"
    );
}

#[test]
fn resume_worktree_session_in_local_worktree() {
    let stage = Stage::new(client_or_skip!());
    let pair = Pair::new(Some("never"));
    let [there, here] = [&pair.a, &pair.b].map(|machine| {
        let project = machine.project("demo");
        machine.git(&project, &["init", "--quiet", "--initial-branch=main"]);
        machine.git(
            &project,
            &["commit", "--quiet", "--allow-empty", "--message=begin"],
        );
        project
    });
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
    pair.a.push();
    pair.b.pull();
    let origin = stage.resume(&pair.a, &there, &id, "again", &[]);
    let request = stage.resume(&pair.b, &here, &id, "again", &[Answer::bash("pwd")]);
    let news = assert_same_history(&origin, &request, "again");
    let news = all_text(&news.into());
    assert!(
        news.contains(text(&worktree)),
        "the client did not go to {}: {news}",
        worktree.display()
    );
}
