//! The files of a session: their names, and the path of each.
//!
//! The name of a file is its path below `<session id>/`, next to the transcript. The client keeps
//! some files of a session outside the project directory (client 2.1.329). Their names begin with
//! `@`, which no other name may: `@file-history/<name>` is `file-history/<session id>/<name>`
//! below the client's directory. Must not read files.

use std::path::{Path, PathBuf};

use crate::domain::{RelativeName, SessionFile, SessionId, hidden_name::is_litter};
use crate::sys::{Env, temp::is_temp_name};

/// First character of the name of a file outside the project directory.
pub(super) const RESERVED: char = '@';

/// Name of the file with the highest number that a task of the list has had.
const TASK_COUNTER: &str = ".highwatermark";

/// A directory outside the project directory with files of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalDir {
    /// Files of the project before the model changed them; the client rewinds to them.
    FileHistory,
    /// The task list: one file for each task, rewritten in place.
    Tasks,
    /// The task lists of teams: those that the session leads or names.
    TeamTasks,
}

impl ExternalDir {
    /// Those with a subdirectory for each session.
    pub const ALL: [Self; 2] = [Self::FileHistory, Self::Tasks];

    /// Its name below the client's directory.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::FileHistory => "file-history",
            Self::Tasks | Self::TeamTasks => "tasks",
        }
    }

    /// Its name in the names of files.
    fn label(self) -> &'static str {
        match self {
            Self::TeamTasks => "team-tasks",
            _ => self.directory(),
        }
    }

    /// Returns the name, in its session, of the file called `file`.
    pub(super) fn name(self, file: &str) -> String {
        format!("{RESERVED}{}/{file}", self.label())
    }

    /// Returns the subdirectory of one session, or that of all teams; `directory` is its project
    /// directory.
    pub(super) fn session_directory(self, directory: &Path, id: &SessionId) -> PathBuf {
        // `<client's directory>/projects/<project directory>`
        let client = directory.ancestors().nth(2).unwrap_or(directory);
        let all = client.join(self.directory());
        match self {
            Self::TeamTasks => all,
            _ => all.join(id.as_str()),
        }
    }

    /// Splits the name of an external file into directory and file.
    fn split(name: &str) -> Option<(Self, &str)> {
        let (first, file) = name.strip_prefix(RESERVED)?.split_once('/')?;
        let known = Self::ALL.into_iter().chain([Self::TeamTasks]);
        let external = known
            .into_iter()
            .find(|external| external.label() == first)?;
        external.has_file(file).then_some((external, file))
    }

    /// Returns true if a file of this name belongs to the session: locks, temporary files and
    /// hidden files do not, except for the counter of the tasks.
    pub(super) fn has_file(self, file: &str) -> bool {
        match (self, file.split_once('/')) {
            (Self::TeamTasks, Some((team, file))) => {
                is_team_name(team) && Self::Tasks.has_file(file)
            }
            (Self::TeamTasks, None) => false,
            _ => self == Self::Tasks && file == TASK_COUNTER || is_external_name(file),
        }
    }
}

/// Returns true for the name of a team. A list under the id of a session is that session's own.
pub(super) fn is_team_name(name: &str) -> bool {
    let is_id = uuid::Uuid::try_parse(name).is_ok();
    !name.is_empty() && !name.starts_with('.') && !name.contains('/') && !is_id
}

/// Returns the team whose task list has the file, if any.
pub fn team_of(file: &SessionFile) -> Option<&str> {
    match ExternalDir::split(file.key())? {
        (ExternalDir::TeamTasks, file) => file.split_once('/').map(|(team, _)| team),
        _ => None,
    }
}

/// Returns the client's directory of task lists.
pub(super) fn tasks_dir(claude_dir: &Path) -> PathBuf {
    claude_dir.join(ExternalDir::Tasks.directory())
}

fn is_external_name(file: &str) -> bool {
    let mut extensions = file.split('.').skip(1);
    !file.contains('/')
        && !file.starts_with('.')
        && !is_litter(file)
        && !is_temp_name(file)
        && !extensions.any(|part| matches!(part, "tmp" | "lock"))
}

/// Returns true for a file outside the project directory, where the client removes old files.
pub fn is_external(file: &SessionFile) -> bool {
    ExternalDir::split(file.key()).is_some()
}

/// Returns true if this program knows the path of the file. Ignores files of a newer version, and
/// those that an older one took from a file system.
pub fn is_known(file: &SessionFile) -> bool {
    if file.key().split('/').any(is_litter) {
        return false;
    }
    !file.key().starts_with(RESERVED) || is_external(file)
}

/// Returns true for a copy of a user's file. It is the same on every machine: paths in it are not
/// those of the session.
pub fn is_verbatim(file: &SessionFile) -> bool {
    let external = ExternalDir::split(file.key());
    external.is_some_and(|(external, _)| external == ExternalDir::FileHistory)
}

/// Returns true for a file that the client rewrites in place, such as a title or a task. Backups of
/// files and results of tools are written once.
pub fn is_rewritten(file: &SessionFile) -> bool {
    let is_written_once = is_verbatim(file) || file.key().starts_with("tool-results/");
    !file.is_append_only() && !is_written_once
}

/// Returns true for a task. The client removes the tasks of a finished list.
pub fn is_task(file: &SessionFile) -> bool {
    let external = ExternalDir::split(file.key());
    let is_list = |external| external != ExternalDir::FileHistory;
    external.is_some_and(|(external, _)| is_list(external)) && !is_task_counter(file)
}

/// Returns true for the file with the highest number that a task has had: it only grows.
pub fn is_task_counter(file: &SessionFile) -> bool {
    let name = ExternalDir::split(file.key());
    name.is_some_and(|(external, file)| {
        let name = file.rsplit('/').next();
        external != ExternalDir::FileHistory && name == Some(TASK_COUNTER)
    })
}

/// Returns the client's directory of project directories.
pub fn projects_dir(claude_dir: &Path) -> PathBuf {
    claude_dir.join("projects")
}

/// Returns the client's directory of the project with this name, or the one that it uses for all
/// projects.
pub fn project_dir(env: &Env, name: &str) -> PathBuf {
    projects_dir(&env.claude_dir).join(env.project_dir_name.as_deref().unwrap_or(name))
}

/// Returns the path of a transcript; `directory` is the session's project directory.
pub fn transcript_path(directory: &Path, id: &SessionId) -> PathBuf {
    directory.join(format!("{id}.jsonl"))
}

/// Returns the path of a file of a session; `directory` is its project directory.
pub fn file_path(directory: &Path, id: &SessionId, file: &SessionFile) -> PathBuf {
    match file {
        SessionFile::Transcript => transcript_path(directory, id),
        SessionFile::Named(name) => {
            let (base, below) = split_path(directory, id, name);
            join_parts(base, below)
        }
    }
}

/// Lists the directories that hold nothing but files of this session.
pub fn own_directories(directory: &Path, id: &SessionId) -> impl Iterator<Item = PathBuf> + use<> {
    let external = ExternalDir::ALL.map(|external| external.session_directory(directory, id));
    std::iter::once(directory.join(id.as_str())).chain(external)
}

/// Lists the client's directories with files of sessions.
pub fn session_directories(claude_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let external = ExternalDir::ALL.map(|external| claude_dir.join(external.directory()));
    std::iter::once(projects_dir(claude_dir)).chain(external)
}

/// Returns the first link in the path of a file, from the session's own directory on.
///
/// The client did not create what is behind a link, so it is neither read nor written.
pub fn first_link(directory: &Path, id: &SessionId, file: &RelativeName) -> Option<PathBuf> {
    let (base, below) = split_path(directory, id, file);
    first_link_below(base, below)
}

/// Returns the first link among `base` and the parts of `below`, a `/`-separated path.
pub(super) fn first_link_below(base: PathBuf, below: &str) -> Option<PathBuf> {
    let mut path = base;
    let mut parts = below.split('/');
    loop {
        if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
            return Some(path);
        }
        path.push(parts.next()?);
    }
}

/// Appends a `/`-separated path.
pub(super) fn join_parts(mut base: PathBuf, below: &str) -> PathBuf {
    base.extend(below.split('/'));
    base
}

/// Returns the session's directory that contains the file, and the path below it.
fn split_path<'n>(directory: &Path, id: &SessionId, name: &'n RelativeName) -> (PathBuf, &'n str) {
    match ExternalDir::split(name.as_str()) {
        Some((external, file)) => (external.session_directory(directory, id), file),
        None => (directory.join(id.as_str()), name.as_str()),
    }
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
        for (text, external) in [
            ("x@v1", false),
            ("a/@b", false),
            ("@tasks/1.json", true),
            ("@file-history/0a@v1", true),
        ] {
            assert_eq!(
                (is_known(&file(text)), is_external(&file(text))),
                (true, external),
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
            "subagents/._agent-1.jsonl",
            ".DS_Store",
        ] {
            assert!(!is_known(&file(text)), "{text}");
        }
        assert!(is_verbatim(&file("@file-history/x.json")) && !is_verbatim(&file("@tasks/1.json")));
    }
}
