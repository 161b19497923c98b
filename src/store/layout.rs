//! Names in the store: branches, and paths of files (`docs/dev/format.md`). Must not do I/O.

use super::format::milestone::MilestoneName;
use super::format::note::NoteId;
use crate::domain::{
    BundleId, MachineId, RelativeName, SessionFile, SessionId, path::SEGMENTS_SUFFIX,
    path::is_safe_path,
};

/// The branch that holds the sessions.
pub const BRANCH: &str = "main";

/// Ref of [`BRANCH`] in this clone.
pub(super) const HEAD_REF: &str = "refs/heads/main";

/// Ref of [`BRANCH`] on the remote, as last fetched or pushed.
pub(super) const REMOTE_REF: &str = "refs/remotes/origin/main";

/// File with the format version of the whole store.
pub(super) const FORMAT_FILE: &str = "ccsync.json";

/// Directory of the machines' files.
pub(super) const MACHINES: &str = "machines";

/// End of the name of a forgotten machine's file.
pub(super) const FORGOTTEN_SUFFIX: &str = ".forgotten.json";

/// Directory of the shards of sessions.
pub(super) const SESSIONS: &str = "sessions";

/// Name of a session's manifest.
pub(super) const MANIFEST: &str = "manifest.json";

/// Name of the directory of the segments of a session's transcript.
pub(super) const TRANSCRIPT: &str = "transcript";

/// Directory of the shards of tombstones.
pub(super) const DELETED: &str = "deleted";

/// Directory of the notes for other machines.
pub(super) const NOTES: &str = "notes";

/// Directory of the names for states of the whole store.
pub(super) const MILESTONES: &str = "milestones";

/// Directory of the memory of projects.
pub(super) const MEMORY: &str = "memory";

/// Name of the description of a bundle.
const BUNDLE_FILE: &str = "bundle.json";

/// Name of the description of a bundle in format 1.
const FORMER_BUNDLE_FILE: &str = "shelf.json";

/// Directory of the files of a bundle.
const BUNDLE_FILES: &str = "files";

/// Longest path that is written to the working tree. That of any segment fits.
const MAX_PATH_BYTES: usize = 1536;

/// Returns the path of a note.
pub(super) fn note(id: &NoteId) -> String {
    format!("{NOTES}/{id}.json")
}

/// Returns the path of a milestone.
pub(super) fn milestone(name: &MilestoneName) -> String {
    format!("{MILESTONES}/{}.json", name.file_stem())
}

/// Returns the path of the description of a bundle.
pub(super) fn bundle(id: &BundleId) -> String {
    format!("{id}/{BUNDLE_FILE}")
}

/// Returns the path of the description of a bundle in format 1.
pub(super) fn former_bundle(id: &BundleId) -> String {
    format!("{id}/{FORMER_BUNDLE_FILE}")
}

/// Returns the path of a file of a bundle.
pub(super) fn extra(id: &BundleId, name: &RelativeName) -> String {
    format!("{id}/{BUNDLE_FILES}/{name}")
}

/// Returns true if `path` belongs to a bundle.
pub(super) fn is_in_bundle(path: &str) -> bool {
    let parts: Vec<&str> = path.splitn(4, '/').collect();
    let (bundle, file) = match parts.as_slice() {
        [MEMORY, name, file, ..] => (format!("{MEMORY}/{name}"), *file),
        [user, file, ..] => ((*user).to_owned(), *file),
        _ => return false,
    };
    BundleId::try_from(bundle).is_ok()
        && matches!(file, BUNDLE_FILE | FORMER_BUNDLE_FILE | BUNDLE_FILES)
}

/// Returns the path of a machine's file.
pub(super) fn machine(id: &MachineId) -> String {
    format!("{MACHINES}/{id}.json")
}

/// Returns the path of the file in which other machines propose paths to a machine.
pub(super) fn proposed_paths(id: &MachineId) -> String {
    format!("{MACHINES}/{id}.placeholders.json")
}

/// Returns the path of that file in format 1.
pub(super) fn former_proposed_paths(id: &MachineId) -> String {
    format!("{MACHINES}/{id}.paths.json")
}

/// Returns the path of a forgotten machine's file.
pub(super) fn forgotten(id: &MachineId) -> String {
    format!("{MACHINES}/{id}{FORGOTTEN_SUFFIX}")
}

/// Returns the directory of a session.
pub(super) fn session(id: &SessionId) -> String {
    format!("{SESSIONS}/{}/{id}", id.shard())
}

/// Returns the path of a session's manifest.
pub(super) fn manifest(id: &SessionId) -> String {
    format!("{}/{MANIFEST}", session(id))
}

/// Returns the path of the tombstone of a session.
pub(super) fn tombstone(id: &SessionId) -> String {
    format!("{DELETED}/{}/{id}.json", id.shard())
}

/// Returns the directory of the segments of a session's file.
///
/// No file of the session can have the name of such a directory, or be in one.
fn segments(id: &SessionId, file: &SessionFile) -> String {
    match file {
        SessionFile::Transcript => format!("{}/{TRANSCRIPT}", session(id)),
        SessionFile::Named(name) => format!("{}/files/{name}{SEGMENTS_SUFFIX}", session(id)),
    }
}

/// Returns the path of a segment. It has the file's extension, which editors and `git diff` use.
pub(super) fn segment(id: &SessionId, file: &SessionFile, number: usize) -> String {
    let extension = file.name().map_or("jsonl", |name| extension(name.as_str()));
    let dot = if extension.is_empty() { "" } else { "." };
    format!("{}/{number:06}{dot}{extension}", segments(id, file))
}

fn extension(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_plain = extension.len() <= 8 && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_plain { extension } else { "" }
}

/// Returns the session that the file at `path` belongs to.
pub(super) fn session_of(path: &str) -> Option<SessionId> {
    let mut parts = path.split('/');
    let (top, shard, id) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let id: SessionId = id.parse().ok()?;
    (top == SESSIONS && id.shard() == shard).then_some(id)
}

/// Returns true if `path` is a file about a machine.
pub(super) fn is_machine_file(path: &str) -> bool {
    path.split_once('/').is_some_and(|(top, _)| top == MACHINES)
}

/// Returns true if `path` is a note, a milestone or a tombstone, which any machine may remove.
pub(super) fn is_removable(path: &str) -> bool {
    path.split_once('/')
        .is_some_and(|(top, _)| [NOTES, MILESTONES, DELETED].contains(&top))
}

/// Returns true if `path` may be written to the working tree: relative and not in `.git`.
pub(super) fn is_safe(path: &str) -> bool {
    let is_git = |part: &str| {
        let name = part.trim_end_matches(['.', ' ']).to_ascii_lowercase();
        name == ".git" || part.to_ascii_lowercase().starts_with("git~")
    };
    path.len() <= MAX_PATH_BYTES && is_safe_path(path) && !path.split('/').any(is_git)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_session_files_have_distinct_paths() {
        let id: SessionId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let path = |name: &str| segment(&id, &RelativeName::new(name).unwrap().into(), 0);
        // With segments in `files/<name>/`, each would be in a directory of another.
        let names = ["foo", "foo/000000", "foo/bar.txt", "foo/bar.txt/000000.txt"];
        let paths = names.map(path);
        for (path, name) in paths.iter().zip(names) {
            assert!(is_safe(path), "{path}");
            for other in &paths {
                assert!(
                    other == path || !other.starts_with(&format!("{path}/")),
                    "{name}: {other}"
                );
            }
        }
        assert_eq!(
            paths[2],
            format!("{}/files/foo/bar.txt.segments/000000.txt", session(&id))
        );
        let longest = format!(
            "{}/{}.txt",
            vec!["x".repeat(246); 4].join("/"),
            "x".repeat(32)
        );
        assert!(is_safe(&path(&longest)), "the longest name fits");
    }

    #[test]
    fn layout_unsafe_path_is_refused() {
        for bad in [
            ".git/config",
            "a/.GIT/x",
            ".git./x",
            "git~1/x",
            "../x",
            "/x",
            "a//b",
            "a\\b",
            &"x/".repeat(999),
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
        assert!(is_safe(".gitattributes"));
    }
}
