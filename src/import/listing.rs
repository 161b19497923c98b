//! The copies of sessions in a store of claude-session-sync, and everything in it that is none.

use std::path::{Path, PathBuf};

use crate::domain::id::SessionId;
use crate::import::directory::{Directory, Entry, Kind, Named};

/// A larger transcript is refused unread.
pub(crate) const MAX_TRANSCRIPT_BYTES: u64 = 2 << 30;

/// Files at the top that that program makes and that hold nothing of the person's.
const NOTHING_IN_IT: [&str; 5] = [
    "README.md",
    ".git",
    ".gitignore",
    ".gitattributes",
    ".DS_Store",
];

/// One copy of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionCopy {
    pub(crate) session: SessionId,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Its directory, in that program's spelling.
    pub(crate) directory: String,
    /// Whose copy it is, where each machine has its own.
    pub(crate) machine: Option<String>,
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) copies: Vec<SessionCopy>,
    /// Sessions whose copy is refused, with the reason.
    pub(crate) refused: Vec<(SessionId, String)>,
    /// What is no session.
    pub(crate) left: Named,
}

impl Listing {
    /// Lists `directory`; what should be a session and is none is noted in `refused`.
    pub(crate) fn read(directory: &Directory, refused: &mut Named) -> Self {
        let mut listing = Self::default();
        for entry in directory.entries(&directory.root().join("sessions"), refused) {
            match entry.kind {
                Kind::Directory => listing.project_or_machine(directory, &entry, refused),
                Kind::File(_) if entry.name == "_paths.json" => {}
                kind => listing.stray(directory, &entry.path, kind, refused),
            }
        }
        for entry in directory.entries(directory.root(), refused) {
            listing.extras(directory, &entry, refused);
        }
        listing
    }

    /// A directory of one project with sessions in it, or that of one machine with such directories in it.
    fn project_or_machine(&mut self, directory: &Directory, top: &Entry, refused: &mut Named) {
        for entry in directory.entries(&top.path, refused) {
            if entry.kind == Kind::Directory && !entry.name.ends_with(".jsonl") {
                for below in directory.entries(&entry.path, refused) {
                    self.session(directory, &below, (Some(&top.name), &entry.name), refused);
                }
            } else {
                self.session(directory, &entry, (None, &top.name), refused);
            }
        }
    }

    fn session(
        &mut self,
        directory: &Directory,
        entry: &Entry,
        (machine, project): (Option<&String>, &str),
        refused: &mut Named,
    ) {
        let Some(stem) = entry.name.strip_suffix(".jsonl") else {
            return self.stray(directory, &entry.path, entry.kind, refused);
        };
        let session: SessionId = match stem.parse() {
            Ok(session) => session,
            Err(_) => {
                return refused.note(directory.name_of(&entry.path), "its name is no session's");
            }
        };
        match entry.kind {
            Kind::File(bytes) if bytes <= MAX_TRANSCRIPT_BYTES => self.copies.push(SessionCopy {
                session,
                path: entry.path.clone(),
                bytes,
                directory: project.to_owned(),
                machine: machine.cloned(),
            }),
            Kind::File(bytes) => self.refused.push((
                session,
                format!("{bytes} bytes are too many for a transcript"),
            )),
            _ => self.refused.push((
                session,
                "not a plain file (links are not followed)".to_owned(),
            )),
        }
    }

    fn stray(&mut self, directory: &Directory, path: &Path, kind: Kind, refused: &mut Named) {
        match kind {
            Kind::Other => refused.note(
                directory.name_of(path),
                "not a plain file (links are not followed)",
            ),
            _ => {
                let files = directory.files_below(path, refused);
                files
                    .into_iter()
                    .for_each(|file| self.left.note(file, "not one of that program's files"));
            }
        }
    }

    /// What lies at the top beside `sessions/`.
    fn extras(&mut self, directory: &Directory, entry: &Entry, refused: &mut Named) {
        match entry.name.as_str() {
            // Read elsewhere.
            "sessions" | "machines" | "session_meta" | "locks" | "shared_placeholders.json" => {}
            "shared_config" | "subagents" => {}
            name if NOTHING_IN_IT.contains(&name) => {}
            _ => self.stray(directory, &entry.path, entry.kind, refused),
        }
    }
}
