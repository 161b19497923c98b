//! Every line that was ever written to transcripts, and the check that all are there:
//! each line in the conversation it was written to, once, in order.
//!
//! A line is known by its marker. For the user it matters that wherever the line ends up,
//! exactly the lines before it at the time of writing are before it still. A title is a state,
//! not a fact: the newest wins, wherever it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ccsync::domain::client_dir::client_dir_name;
use chrono::{DateTime, SecondsFormat, Utc};

/// Beginning of the marker of a title.
const TITLE: &str = "title-";

/// The markers of every append-only file of a machine, in order, by its path below the
/// project directory.
pub(crate) type Conversations = BTreeMap<PathBuf, Vec<String>>;

/// Every line that was written, with a hash of the lines before it, and the newest title.
#[derive(Default)]
pub(crate) struct Ledger {
    written: BTreeMap<String, [u8; 32]>,
    titles: Vec<String>,
}

impl Ledger {
    /// Writes a record at the end of a transcript as a client does: first a line end if
    /// the last line has none.
    pub(crate) fn write(&mut self, home: &Path, transcript: &Path) -> String {
        let before = markers(&fs::read(transcript).unwrap_or_default());
        let marker = format!("line-{}", self.written.len());
        append(home, transcript, &marker);
        self.enter(&marker, &before);
        marker
    }

    /// Writes a title at the end of a transcript.
    pub(crate) fn write_title(&mut self, transcript: &Path) -> String {
        let marker = format!("{TITLE}{}", self.titles.len());
        let id = session_of(transcript);
        write_line(
            transcript,
            &format!(r#"{{"type":"custom-title","customTitle":"{marker}","sessionId":"{id}"}}"#),
        );
        self.titles.push(marker.clone());
        marker
    }

    /// Returns the number of written lines.
    pub(crate) fn len(&self) -> usize {
        self.written.len() + self.titles.len()
    }

    /// Enters a line that follows `before`.
    pub(crate) fn enter(&mut self, marker: &str, before: &[String]) {
        let before = before.iter().filter(|marker| !marker.starts_with(TITLE));
        let hash = before.fold([0; 32], |hash, marker| extended(&hash, marker));
        assert!(
            self.written.insert(marker.to_owned(), hash).is_none(),
            "{marker} is written twice"
        );
    }

    /// Checks that a machine has every written line, none twice in a conversation, each
    /// after the lines that it was written after; and the newest title.
    #[track_caller]
    pub(crate) fn check_all(&self, conversations: &Conversations, what: &str) {
        let found = self.check_some(conversations, what);
        let lost: Vec<_> = self
            .written
            .keys()
            .chain(self.titles.last())
            .filter(|marker| !found.contains(marker.as_str()))
            .collect();
        assert!(lost.is_empty(), "{what}: lost {lost:?}\n{conversations:#?}");
    }

    /// Checks the lines of a machine, which may be only a part, and returns them.
    #[track_caller]
    pub(crate) fn check_some<'c>(
        &self,
        conversations: &'c Conversations,
        what: &str,
    ) -> BTreeSet<&'c str> {
        let mut found = BTreeSet::new();
        for (path, lines) in conversations {
            let mut hash = [0; 32];
            let mut here = BTreeSet::new();
            for marker in lines {
                assert!(
                    here.insert(marker),
                    "{what}: {marker} twice in {}: {lines:?}",
                    path.display()
                );
                found.insert(marker.as_str());
                if marker.starts_with(TITLE) {
                    assert!(self.titles.contains(marker), "{what}: {marker}");
                    continue;
                }
                assert_eq!(
                    self.written.get(marker),
                    Some(&hash),
                    "{what}: {marker} in {} {lines:?}",
                    path.display()
                );
                hash = extended(&hash, marker);
            }
        }
        found
    }
}

fn extended(hash: &[u8; 32], marker: &str) -> [u8; 32] {
    blake3::hash(&[hash.as_slice(), marker.as_bytes()].concat()).into()
}

/// Writes a record with this marker at the end of a file, in one step.
pub(crate) fn append(home: &Path, transcript: &Path, marker: &str) {
    let id = session_of(transcript);
    let project = project_of(home, transcript);
    let home = home.display();
    let time = now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = format!(
        r#"{{"type":"user","uuid":"{marker}","message":{{"content":"see {home}/x and \"{home}\""}},"cwd":"{home}{project}","sessionId":"{id}","timestamp":"{time}"}}"#
    );
    write_line(transcript, &line);
}

/// Returns the project of a transcript below the home directory, by Claude Code's name for it.
fn project_of(home: &Path, transcript: &Path) -> String {
    let home = client_dir_name(home.to_str().unwrap());
    let mut names = transcript.iter().filter_map(|name| name.to_str());
    let project = names.find_map(|name| name.strip_prefix(&home));
    project.map_or_else(
        || "/work/app".to_owned(),
        |project| project.replace('-', "/"),
    )
}

fn write_line(transcript: &Path, line: &str) {
    let text = fs::read(transcript).unwrap_or_default();
    let end = if text.is_empty() || text.ends_with(b"\n") {
        ""
    } else {
        "\n"
    };
    fs::create_dir_all(transcript.parent().unwrap()).unwrap();
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(transcript)
        .unwrap();
    file.write_all(format!("{end}{line}\n").as_bytes()).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "recent is what the program's own clock says is recent"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Returns the id of the session of a transcript or of a sub-agent's.
fn session_of(transcript: &Path) -> String {
    let extras = transcript
        .ancestors()
        .find(|p| p.ends_with("subagents"))
        .and_then(Path::parent);
    extras
        .unwrap_or(transcript)
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// Returns the markers in a transcript, in order. An unfinished line has none.
pub(crate) fn markers(text: &[u8]) -> Vec<String> {
    let records = text
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    records
        .filter_map(|r| Some(r["uuid"].as_str().or(r["customTitle"].as_str())?.to_owned()))
        .collect()
}

/// Returns every conversation below a directory of projects.
pub(crate) fn conversations(projects: &Path) -> Conversations {
    let files = walkdir::WalkDir::new(projects)
        .min_depth(2)
        .into_iter()
        .map(Result::unwrap);
    let files = files
        .map(walkdir::DirEntry::into_path)
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"));
    let below = |path: &Path| {
        path.strip_prefix(projects)
            .unwrap()
            .iter()
            .skip(1)
            .collect::<PathBuf>()
    };
    files
        .map(|path| (below(&path), markers(&fs::read(&path).unwrap())))
        .collect()
}
