//! Invented transcripts with the fields that ccsync and the client read, and functions
//! that read them.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::machine::Machine;

/// A session to be written on a machine.
pub(crate) struct SessionBuilder<'a> {
    machine: &'a Machine,
    id: String,
    project: String,
    days_old: i64,
    questions: Vec<String>,
    raw: Vec<u8>,
}

impl<'a> SessionBuilder<'a> {
    pub(super) fn new(machine: &'a Machine, id: &str) -> Self {
        let project = "work/app".to_owned();
        Self {
            machine,
            id: id.to_owned(),
            project,
            days_old: 0,
            questions: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Sets the project's directory, relative to the home directory; `work/app` by
    /// default.
    pub(crate) fn project(mut self, project: &str) -> Self {
        project.clone_into(&mut self.project);
        self
    }

    /// Sets the age of the conversation.
    pub(crate) fn days_old(mut self, days: i64) -> Self {
        self.days_old = days;
        self
    }

    /// Adds a question with a tool call and an answer: four records.
    pub(crate) fn turn(mut self, question: &str) -> Self {
        self.questions.push(question.to_owned());
        self
    }

    /// Adds bytes at the end, unchanged.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.raw.extend_from_slice(bytes);
        self
    }

    /// Writes the transcript and returns its path.
    pub(crate) fn write(self) -> PathBuf {
        let cwd = self.machine.home.join(&self.project);
        let mut turns = Turns::new(
            &self.id,
            cwd.to_str().unwrap(),
            now() - TimeDelta::days(self.days_old),
        );
        self.questions
            .iter()
            .for_each(|question| turns.turn(question));
        let dir = self.machine.project_dir(&self.project);
        fs::create_dir_all(&cwd).unwrap();
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{}.jsonl", self.id));
        fs::write(&path, [turns.text().as_bytes(), &self.raw].concat()).unwrap();
        path
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "recent is what the program's own clock says is recent"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Records in one chain. Ids follow from the question, so that equal questions on one
/// chain are equal records.
pub(crate) struct Turns {
    session: String,
    cwd: String,
    time: DateTime<Utc>,
    last: Option<String>,
    text: String,
}

impl Turns {
    fn new(session: &str, cwd: &str, time: DateTime<Utc>) -> Self {
        Self {
            session: session.to_owned(),
            cwd: cwd.to_owned(),
            time,
            last: None,
            text: String::new(),
        }
    }

    /// Continues a transcript, in the directory of its last record.
    pub(crate) fn after(transcript: &str, session: &str) -> Self {
        let records: Vec<Value> = transcript
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let last = records
            .iter()
            .rev()
            .find(|r| r["uuid"].is_string())
            .expect("the transcript has a record");
        let text = |field: &str| last[field].as_str().unwrap().to_owned();
        Self {
            last: Some(text("uuid")),
            ..Self::new(session, &text("cwd"), now())
        }
    }

    pub(crate) fn turn(&mut self, question: &str) {
        let file = format!("{}/src/main.rs", self.cwd);
        let tool = format!("toolu_{}", question.len());
        self.record(
            "user",
            &json!({"role": "user", "content": question}),
            question,
        );
        let call =
            json!({"type": "tool_use", "id": tool, "name": "Read", "input": {"file_path": file}});
        self.record(
            "assistant",
            &json!({"id": "msg_1", "role": "assistant", "content": [call]}),
            question,
        );
        let result = json!({"type": "tool_result", "tool_use_id": tool, "content": format!("cat {file}\nfn main() {{}}\n")});
        self.record(
            "user",
            &json!({"role": "user", "content": [result]}),
            question,
        );
        let answer = json!({"type": "text", "text": format!("Answer to: {question}")});
        self.record(
            "assistant",
            &json!({"id": "msg_2", "role": "assistant", "content": [answer]}),
            question,
        );
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn record(&mut self, kind: &str, message: &Value, question: &str) {
        let seed = format!("{}{:?}{kind}{question}{message}", self.session, self.last);
        let uuid = uuid(&seed);
        let record = json!({
            "parentUuid": self.last, "isSidechain": false, "type": kind, "message": message, "uuid": uuid,
            "timestamp": self.time.to_rfc3339_opts(SecondsFormat::Millis, true), "userType": "external", "entrypoint": "cli",
            "cwd": self.cwd, "sessionId": self.session, "version": "2.1.329", "gitBranch": "",
        });
        self.text.push_str(&format!("{record}\n"));
        self.last = Some(uuid);
        self.time += TimeDelta::seconds(1);
    }
}

/// Returns an id that follows from `seed`, in the client's form.
fn uuid(seed: &str) -> String {
    let hex = blake3::hash(seed.as_bytes()).to_hex();
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..15],
        &hex[15..18],
        &hex[18..30]
    )
}

/// Returns the questions in a transcript, in order.
pub(crate) fn questions(transcript: &str) -> Vec<String> {
    let records = transcript
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    records
        .filter_map(|r| Some(r["message"]["content"].as_str()?.to_owned()))
        .collect()
}

/// Returns true if each record's parent is the record before it.
pub(crate) fn chain_is_whole(transcript: &str) -> bool {
    let records: Vec<Value> = transcript
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let tree: Vec<&Value> = records.iter().filter(|r| r["uuid"].is_string()).collect();
    tree.windows(2)
        .all(|pair| pair[1]["parentUuid"] == pair[0]["uuid"])
}
