//! Lists the copies of sessions in a store of claude-session-sync, and reports everything else
//! in it.

use std::path::PathBuf;

use crate::domain::SessionId;
use crate::import::directory::{EntryKind, NOT_PLAIN, SourceDirectory, SourceEntry, UNKNOWN_FILE};
use crate::import::metadata::NOT_A_SESSION;

/// Largest transcript that is read, in bytes.
pub(crate) const MAX_TRANSCRIPT_BYTES: u64 = 2 << 30;

/// Entries at the top that are read elsewhere, or that hold nothing of the user.
const KNOWN_ENTRIES: [&str; 12] = [
    "sessions",
    "machines",
    "session_meta",
    "locks",
    "shared_placeholders.json",
    "shared_config",
    "subagents",
    "README.md",
    ".git",
    ".gitignore",
    ".gitattributes",
    ".DS_Store",
];

/// A copy of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionCopy {
    pub(crate) session: SessionId,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Its directory, as that program names it.
    pub(crate) directory: String,
    /// The machine whose copy it is, if each machine has its own.
    pub(crate) machine: Option<String>,
}

/// A session that cannot be imported.
#[derive(Debug)]
pub(crate) struct UnreadableSession {
    pub(crate) session: SessionId,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct SessionList {
    pub(crate) copies: Vec<SessionCopy>,
    pub(crate) skipped: Vec<UnreadableSession>,
}

impl SessionList {
    pub(crate) fn read(source: &mut SourceDirectory) -> Self {
        let mut list = Self::default();
        for entry in source.entries(&source.root().join("sessions")) {
            match entry.kind {
                EntryKind::Directory => list.add_project_or_machine(source, &entry),
                EntryKind::File(_) if entry.name == "_paths.json" => {}
                _ => report_unknown(source, &entry),
            }
        }
        let root = source.root().to_owned();
        for entry in source.entries(&root) {
            if !KNOWN_ENTRIES.contains(&entry.name.as_str()) {
                report_unknown(source, &entry);
            }
        }
        list
    }

    /// Adds the sessions of a project; or those of a machine, in a directory for each project.
    fn add_project_or_machine(&mut self, source: &mut SourceDirectory, top: &SourceEntry) {
        for entry in source.entries(&top.path) {
            if entry.kind == EntryKind::Directory && !entry.name.ends_with(".jsonl") {
                for below in source.entries(&entry.path) {
                    self.add_session(source, &below, &entry.name, Some(&top.name));
                }
            } else {
                self.add_session(source, &entry, &top.name, None);
            }
        }
    }

    fn add_session(
        &mut self,
        source: &mut SourceDirectory,
        entry: &SourceEntry,
        project: &str,
        machine: Option<&String>,
    ) {
        let Some(stem) = entry.name.strip_suffix(".jsonl") else {
            return report_unknown(source, entry);
        };
        let Ok(session) = stem.parse::<SessionId>() else {
            return source.skip(&entry.path, NOT_A_SESSION);
        };
        let reason = match entry.kind {
            EntryKind::File(bytes) if bytes <= MAX_TRANSCRIPT_BYTES => {
                return self.copies.push(SessionCopy {
                    session,
                    path: entry.path.clone(),
                    bytes,
                    directory: project.to_owned(),
                    machine: machine.cloned(),
                });
            }
            EntryKind::File(bytes) => format!("transcript too large: {bytes} bytes"),
            _ => NOT_PLAIN.to_owned(),
        };
        self.skipped.push(UnreadableSession { session, reason });
    }
}

fn report_unknown(source: &mut SourceDirectory, entry: &SourceEntry) {
    match entry.kind {
        EntryKind::Other => source.skip(&entry.path, NOT_PLAIN),
        _ => source.leave_all(&entry.path, UNKNOWN_FILE),
    }
}
