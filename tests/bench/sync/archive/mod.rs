//! Invented sessions, the same in every run. Their sizes, numbers of files and contents
//! are like those after months of use.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;

mod random;
mod session;
mod text;

use random::{log_normal, rng, uuid};
use session::Writer;
use text::{Project, Vocabulary};

/// Changes with the output of the generator, so that no older output is used.
const VERSION: u32 = 2;
/// 2026-01-01, when the first session began.
const EPOCH: i64 = 1_767_225_600_000;
const DAY: i64 = 86_400_000;

/// The sessions to generate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) sessions: usize,
    /// All files together.
    pub(crate) bytes: u64,
    /// The transcript of one more session; 0 for none.
    pub(crate) large: u64,
}

/// The size of what was generated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

/// Writes the client's directory of a machine whose home is `home` to `projects`, or
/// finds it there.
pub(crate) fn generate(shape: Shape, home: &Path, projects: &Path) -> Extent {
    let done = projects.with_extension("done");
    let wanted = format!("{VERSION} {} {shape:?}", home.display());
    if !fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        let _ = fs::remove_dir_all(projects);
        write_all(shape, home, projects);
        fs::write(&done, wanted).expect("the benchmark's directory can be written");
    }
    extent(projects)
}

fn extent(directory: &Path) -> Extent {
    let files = walkdir::WalkDir::new(directory)
        .into_iter()
        .map(|entry| entry.expect("a directory can be listed"));
    let lengths = files
        .filter(|e| e.file_type().is_file())
        .map(|e| e.metadata().expect("a file has a size").len());
    lengths.fold(Extent { files: 0, bytes: 0 }, |sum, len| Extent {
        files: sum.files + 1,
        bytes: sum.bytes + len,
    })
}

fn write_all(shape: Shape, home: &Path, projects: &Path) {
    let vocabulary = Vocabulary::new();
    let plan = plan(shape);
    let next = AtomicUsize::new(0);
    let workspace = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(sessions) = plan.get(number) else {
                return;
            };
            let mut project = Project::new(&vocabulary, home, number);
            for session in sessions {
                write_session(&vocabulary, &mut project, projects, *session);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(workspace);
        }
    });
}

/// One session to be written.
#[derive(Debug, Clone, Copy)]
struct Planned {
    number: usize,
    transcript: usize,
    agents: usize,
}

/// Plans sessions by project: log-normal sizes, some projects with many sessions and many
/// with few.
fn plan(shape: Shape) -> Vec<Vec<Planned>> {
    let mut rng = rng("plan");
    let mut plan = vec![Vec::new(); (shape.sessions / 25).clamp(3, 40)];
    let sizes: Vec<f64> = (0..shape.sessions)
        .map(|_| log_normal(&mut rng, 1.0, 1.4))
        .collect();
    let scale = 0.78 * (shape.bytes - shape.large) as f64 / sizes.iter().sum::<f64>();
    for (number, size) in sizes.into_iter().enumerate() {
        let project = (plan.len() as f64 * rng.f64().powi(2)) as usize;
        let agents = if rng.f32() < 0.27 { rng.usize(1..5) } else { 0 };
        plan[project].push(Planned {
            number,
            transcript: (size * scale).max(2e3) as usize,
            agents,
        });
    }
    if shape.large > 0 {
        plan[0].push(Planned {
            number: shape.sessions,
            transcript: shape.large as usize,
            agents: 0,
        });
    }
    plan
}

fn write_session(
    vocabulary: &Vocabulary,
    project: &mut Project,
    projects: &Path,
    planned: Planned,
) {
    let mut rng = rng(&format!("session {}", planned.number));
    let id = uuid(&mut rng);
    let directory = projects.join(project.directory_name());
    let now = EPOCH + rng.i64(0..120 * DAY);
    let mut writer = writer(vocabulary, project, rng, &id, now);
    let text = writer.bytes(planned.transcript);
    let (mut rng, outputs) = (writer.rng, writer.long_outputs);
    write(&directory.join(format!("{id}.jsonl")), &text);
    for (name, text) in outputs {
        write(
            &directory.join(format!("{id}/tool-results/{name}.txt")),
            &text,
        );
    }
    for _ in 0..planned.agents {
        let agent = format!("a{:016x}", rng.u64(..));
        let length = log_normal(&mut rng, planned.transcript as f64 * 0.28, 0.9);
        let mut writer = writer_of_agent(vocabulary, project, rng.fork(), &id, now, &agent);
        let text = writer.bytes(length.clamp(2e3, 3e6) as usize);
        write(
            &directory.join(format!("{id}/subagents/agent-{agent}.jsonl")),
            &text,
        );
        let about = serde_json::json!({ "agentType": "general-purpose", "description": vocabulary.phrase(&mut rng) });
        write(
            &directory.join(format!("{id}/subagents/agent-{agent}.meta.json")),
            &about.to_string(),
        );
    }
}

fn writer<'a>(
    vocabulary: &'a Vocabulary,
    project: &'a mut Project,
    rng: Rng,
    id: &str,
    now: i64,
) -> Writer<'a> {
    let session = id.to_owned();
    Writer {
        vocabulary,
        project,
        rng,
        session,
        parent: None,
        agent: None,
        now,
        long_outputs: Vec::new(),
    }
}

fn writer_of_agent<'a>(
    vocabulary: &'a Vocabulary,
    project: &'a mut Project,
    rng: Rng,
    id: &str,
    now: i64,
    agent: &str,
) -> Writer<'a> {
    Writer {
        agent: Some(agent.to_owned()),
        ..writer(vocabulary, project, rng, id, now)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it lies in a directory"))
        .expect("a directory can be made");
    fs::write(path, text).expect("a file can be written");
}

/// The growth of a session in one step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    Records(usize),
    Bytes(usize),
}

/// Continues sessions: every call makes other records.
pub(crate) struct Author {
    vocabulary: Vocabulary,
    project: Project,
    calls: u64,
}

impl Author {
    /// Returns an author below the home directory `home`.
    pub(crate) fn new(home: &Path) -> Self {
        let vocabulary = Vocabulary::new();
        let project = Project::new(&vocabulary, home, 0);
        Self {
            vocabulary,
            project,
            calls: 0,
        }
    }

    /// Appends to a transcript; returns the appended text.
    pub(crate) fn append(&mut self, transcript: &Path, amount: Amount) -> String {
        self.calls += 1;
        let last = last_record(transcript);
        let field = |name: &str| last[name].as_str().map(str::to_owned);
        self.project.cwd = field("cwd").expect("a record has a cwd");
        let id = field("sessionId").expect("a record has a session");
        let rng = rng(&format!("append {} to {id}", self.calls));
        let now = EPOCH + 130 * DAY + i64::try_from(self.calls).expect("few calls") * 60_000;
        let mut writer = writer(&self.vocabulary, &mut self.project, rng, &id, now);
        writer.parent = field("uuid");
        let text = match amount {
            Amount::Records(count) => writer.records(count),
            Amount::Bytes(count) => writer.bytes(count),
        };
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(transcript)
            .expect("the transcript is there");
        file.write_all(text.as_bytes())
            .expect("a transcript can be appended to");
        text
    }

    /// Appends a message to a transcript.
    pub(crate) fn say(&mut self, transcript: &Path, text: &str) {
        let last = last_record(transcript);
        let record = serde_json::json!({
            "parentUuid": last["uuid"], "isSidechain": false, "type": "user", "cwd": last["cwd"], "sessionId": last["sessionId"],
            "message": { "role": "user", "content": text }, "uuid": uuid(&mut rng(text)), "timestamp": last["timestamp"],
        });
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(transcript)
            .expect("the transcript is there");
        writeln!(file, "{record}").expect("a transcript can be appended to");
    }

    /// Writes another session of about `bytes` below `projects`; returns its transcript.
    pub(crate) fn begin(&mut self, projects: &Path, bytes: usize) -> PathBuf {
        self.calls += 1;
        let mut rng = rng(&format!("begin {} in {}", self.calls, projects.display()));
        let id = uuid(&mut rng);
        let transcript = projects
            .join(self.project.directory_name())
            .join(format!("{id}.jsonl"));
        let mut writer = writer(
            &self.vocabulary,
            &mut self.project,
            rng,
            &id,
            EPOCH + 130 * DAY,
        );
        write(&transcript, &writer.bytes(bytes));
        transcript
    }
}

/// Returns the last record of a transcript that belongs to the conversation.
fn last_record(transcript: &Path) -> serde_json::Value {
    let mut file = fs::File::open(transcript).expect("the transcript is there");
    let len = file.metadata().expect("a file has a size").len();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(4_000_000)))
        .expect("a file can be read from anywhere");
    file.read_to_end(&mut tail)
        .expect("the transcript can be read");
    let mut records = tail
        .rsplit(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok());
    let found = records.find(|record: &serde_json::Value| record["cwd"].is_string());
    found.expect("a transcript has records of the conversation")
}
