//! Which files a session has, and where each lies. The one place that maps a file's name to a path.
//!
//! A session's files are named by where they lie below `<session id>/`, beside the transcript. What the client keeps of it outside the
//! project directory (client 2.1.329) has a name that begins with `@`, as nothing beside a transcript may: `@file-history/<name>` is
//! `file-history/<session id>/<name>` below the client's directory. Must not look into files.

use std::path::{Path, PathBuf};

use super::discover::projects_dir;
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::domain::session_file::SessionFile;
use crate::sys::fs::is_leftover;

/// What begins the name of a file that does not lie beside the transcript.
pub(super) const RESERVED: char = '@';

/// What the client keeps of a session outside its project directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalDir {
    /// Files of the project as they were before the model changed them; the client rewinds to them.
    FileHistory,
    /// The task list; one file for each task, rewritten in place.
    Tasks,
}

impl ExternalDir {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::FileHistory, Self::Tasks];

    /// The directory below the client's; in it each session has one of its own.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::FileHistory => "file-history",
            Self::Tasks => "tasks",
        }
    }

    /// The name that a file called `file` has in its session.
    pub(super) fn name(self, file: &str) -> String {
        format!("{RESERVED}{}/{file}", self.directory())
    }

    /// Where these files of one session lie; `directory` is its project directory.
    pub(super) fn of_session(self, directory: &Path, id: &SessionId) -> PathBuf {
        // `<client's directory>/projects/<project directory>`
        let client = directory.ancestors().nth(2).unwrap_or(directory);
        client.join(self.directory()).join(id.as_str())
    }

    /// The directory and the file of a name that is one of these.
    fn split(name: &str) -> Option<(Self, &str)> {
        let (first, file) = name.strip_prefix(RESERVED)?.split_once('/')?;
        let apart = Self::ALL
            .into_iter()
            .find(|apart| apart.directory() == first)?;
        is_taken(file).then_some((apart, file))
    }
}

/// Whether a file of that name in such a directory belongs to the session: no lock, nothing hidden, nothing half-written.
pub(super) fn is_taken(file: &str) -> bool {
    let part_of_name = |part: &str| matches!(part, "tmp" | "lock");
    !file.contains('/')
        && !file.starts_with('.')
        && !is_leftover(file)
        && !file.split('.').skip(1).any(part_of_name)
}

/// Whether the file lies outside the project directory, where the client clears up by itself.
pub fn lies_apart(file: &SessionFile) -> bool {
    ExternalDir::split(file.key()).is_some()
}

/// Whether a name in the store is one that this program has a place for; others are a newer one's, and left alone.
pub fn has_place(file: &SessionFile) -> bool {
    !file.key().starts_with(RESERVED) || lies_apart(file)
}

/// Whether the file is the user's own, byte for byte the same on every machine: paths in it are no paths of the session.
pub fn is_verbatim(file: &SessionFile) -> bool {
    ExternalDir::split(file.key()).is_some_and(|(apart, _)| apart == ExternalDir::FileHistory)
}

/// Returns the path of a transcript; `directory` is the session's project directory.
pub fn transcript_path(directory: &Path, id: &SessionId) -> PathBuf {
    directory.join(format!("{id}.jsonl"))
}

/// Returns the path of a file of a session; `directory` is its project directory.
pub fn file_path(directory: &Path, id: &SessionId, file: &SessionFile) -> PathBuf {
    let SessionFile::Named(name) = file else {
        return transcript_path(directory, id);
    };
    let (mut path, below) = placeholder_of(directory, id, name);
    path.extend(below.split('/'));
    path
}

/// The directories that hold nothing but files of this session.
pub fn directories(directory: &Path, id: &SessionId) -> impl Iterator<Item = PathBuf> + use<> {
    let apart = ExternalDir::ALL.map(|apart| apart.of_session(directory, id));
    std::iter::once(directory.join(id.as_str())).chain(apart)
}

/// The directories of the client in which files of sessions lie.
pub fn written_directories(claude_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let apart = ExternalDir::ALL.map(|apart| claude_dir.join(apart.directory()));
    std::iter::once(projects_dir(claude_dir)).chain(apart)
}

/// The first link among the session's own directory, the directories below it that lead to `file`, and the file itself. What lies behind a
/// link was not put there by the client, so it is neither read nor written.
pub fn link_on_the_way(directory: &Path, id: &SessionId, file: &RelativeName) -> Option<PathBuf> {
    let (mut path, below) = placeholder_of(directory, id, file);
    let mut parts = below.split('/');
    loop {
        if is_link(&path) {
            return Some(path);
        }
        path.push(parts.next()?);
    }
}

/// The session's own directory in which the file lies, and where in it.
fn placeholder_of<'n>(
    directory: &Path,
    id: &SessionId,
    name: &'n RelativeName,
) -> (PathBuf, &'n str) {
    match ExternalDir::split(name.as_str()) {
        Some((apart, file)) => (apart.of_session(directory, id), file),
        None => (directory.join(id.as_str()), name.as_str()),
    }
}

fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SessionFile {
        RelativeName::new(text).unwrap().into()
    }

    #[test]
    fn session_file_each_name_has_one_path() {
        let directory = Path::new("/home/al/.claude/projects/-home-al-app");
        let id: SessionId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let path = |text: &str| {
            file_path(directory, &id, &file(text))
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            path("tool-results/x.txt"),
            format!("/home/al/.claude/projects/-home-al-app/{id}/tool-results/x.txt")
        );
        assert_eq!(
            path("@file-history/0a@v1"),
            format!("/home/al/.claude/file-history/{id}/0a@v1")
        );
        assert_eq!(
            path("@tasks/1.json"),
            format!("/home/al/.claude/tasks/{id}/1.json")
        );
        assert_eq!(
            transcript_path(directory, &id),
            directory.join(format!("{id}.jsonl"))
        );
    }

    #[test]
    fn session_file_unknown_name_is_refused() {
        for (text, apart) in [
            ("x@v1", false),
            ("a/@b", false),
            ("@tasks/1.json", true),
            ("@file-history/0a@v1", true),
        ] {
            assert_eq!(
                (has_place(&file(text)), lies_apart(&file(text))),
                (true, apart),
                "{text}"
            );
        }
        for text in [
            "@",
            "@tasks",
            "@plans/x.md",
            "@tasks/a/b",
            "@tasks/.lock",
            "@tasks/1.lock",
            "@tasks/1.json.tmp.7",
        ] {
            assert!(!has_place(&file(text)), "{text}");
        }
        assert!(is_verbatim(&file("@file-history/x.json")) && !is_verbatim(&file("@tasks/1.json")));
    }
}
