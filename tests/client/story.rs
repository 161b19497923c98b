//! The conversations of the tests.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::client::{Client, Reply};
use crate::machine::{Machine, Pair, text};

/// The first thought of the model, and its signature.
pub const THOUGHT: (&str, &str) = ("First I look around.", "c2lnbmVkIGJ5IHRoZSBtb2RlbA==");

/// The client and its API.
pub struct Stage {
    /// The client.
    pub client: Client,
    /// The model.
    pub api: Api,
}

impl Stage {
    /// Starts a new API for this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            api: Api::start(),
        }
    }

    /// Begins a session with one turn, marked `mark`.
    pub fn begin(&self, machine: &Machine, project: &Path, mark: &str, steps: &[Answer]) -> String {
        let prompt = self.api.script(mark, steps);
        self.client
            .print(machine, &self.api, project, &[&prompt])
            .session
    }

    /// Resumes the session `id` with one turn; it must keep its id. Returns the turn's
    /// last request.
    pub fn resume(
        &self,
        machine: &Machine,
        project: &Path,
        id: &str,
        mark: &str,
        steps: &[Answer],
    ) -> Value {
        let prompt = self.api.script(mark, steps);
        let reply = self
            .client
            .print(machine, &self.api, project, &["--resume", id, &prompt]);
        self.last_request(&reply, id, mark)
    }

    /// Returns the last request of the turn `mark`, which answered `reply`.
    pub fn last_request(&self, reply: &Reply, id: &str, mark: &str) -> Value {
        assert_eq!(reply.session, id, "a resumed session keeps its id");
        self.api
            .turns(mark)
            .pop()
            .unwrap_or_else(|| panic!("no request of {mark}: {reply:?}"))
    }

    /// Makes a session in which a model thinks, runs tools with absolute paths, gets more
    /// output than the transcript holds, and starts a sub-agent; and a second turn.
    pub fn rich_session(&self, machine: &Machine, project: &Path) -> String {
        let note = project.join("note.txt");
        self.api.script(
            "helper",
            &[
                Answer::bash("pwd && ls"),
                Answer::say("the helper looked around"),
            ],
        );
        let steps = [
            Answer::bash("pwd && ls").thinking(THOUGHT.0, THOUGHT.1),
            Answer::call(
                "Write",
                &json!({"file_path": note, "content": "one\ntwo\n"}),
            ),
            Answer::call("Read", &json!({"file_path": note}))
                .tool("Bash", &json!({"command": "ls -la \"$PWD\""})),
            Answer::call(
                "Edit",
                &json!({"file_path": note, "old_string": "two", "new_string": text(project)}),
            ),
            Answer::bash("echo start of much; echo $PWD; seq 1 30000"),
            Answer::call(
                "Agent",
                &json!({"description": "look", "subagent_type": "general-purpose", "run_in_background": false,
                        "prompt": format!("[[helper]] look at {}", project.display())}),
            ),
            Answer::say(&format!("all of {} is done", project.display())),
        ];
        let id = self.begin(machine, project, "first", &steps);
        self.resume(
            machine,
            project,
            &id,
            "second",
            &[Answer::say("second done")],
        );
        id
    }

    /// Makes a rich session of A, pushed there and pulled at B.
    pub fn moved_session(&self, pair: &Pair) -> String {
        let id = self.rich_session(&pair.a, &pair.a.project("demo"));
        pair.a.push();
        pair.b.pull();
        id
    }

    /// Makes a rich session of A that B continues by the turn `third` and A pulls again,
    /// its own bytes unchanged. Returns its id and the request at B.
    pub fn round_trip_session(&self, pair: &Pair) -> (String, Value) {
        let id = self.moved_session(pair);
        let before = fs::read(pair.a.transcript(&id)).expect("a transcript");
        let steps = [Answer::bash("pwd; ls"), Answer::say("third done")];
        let at_b = self.resume(&pair.b, &pair.b.project("demo"), &id, "third", &steps);
        pair.b.push();
        pair.a.pull();
        let after = fs::read(pair.a.transcript(&id)).expect("a transcript");
        assert!(
            after.len() > before.len() && after.starts_with(&before),
            "what was written at A changed its bytes"
        );
        (id, at_b)
    }
}
