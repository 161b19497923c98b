//! Where things lie in the store (`docs/dev/format.md`). Pure: paths in, paths out.

use super::milestone::MilestoneName;
use super::note::NoteId;
use crate::domain::extras::BundleId;
use crate::domain::id::{MachineId, SessionId};
use crate::domain::path::{RelativeName, SEGMENTS_SUFFIX, is_safe_path};
use crate::domain::session_file::SessionFile;

/// The file that holds the format version of the whole store.
pub(super) const FORMAT_FILE: &str = "ccsync.json";

/// The directory with one file per machine.
pub(super) const MACHINES: &str = "machines";

/// How the name of a forgotten machine's file ends.
pub(super) const FORGOTTEN_SUFFIX: &str = ".forgotten.json";

/// The directory with the shards of sessions.
pub(super) const SESSIONS: &str = "sessions";

/// The directory with the notes that machines leave each other.
pub(super) const NOTES: &str = "notes";

/// The directory with names for states of the whole store.
pub(super) const MILESTONES: &str = "milestones";

/// Path of a note.
pub(super) fn note(id: &NoteId) -> String {
    format!("{NOTES}/{id}.json")
}

/// Path of a milestone.
pub(super) fn milestone(name: &MilestoneName) -> String {
    format!("{MILESTONES}/{}.json", name.file_stem())
}

/// The directory with the memory of projects.
pub(super) const MEMORY: &str = "memory";

/// Path of the description of a shelf.
pub(super) fn bundle(id: &BundleId) -> String {
    format!("{id}/shelf.json")
}

/// Path of a file of a shelf.
pub(super) fn extras(id: &BundleId, name: &RelativeName) -> String {
    format!("{id}/files/{name}")
}

/// Whether `path` is a file of a shelf.
pub(super) fn is_in_bundle(path: &str) -> bool {
    let parts: Vec<&str> = path.splitn(4, '/').collect();
    let (bundle, file) = match parts.as_slice() {
        [MEMORY, name, file, ..] => (format!("{MEMORY}/{name}"), *file),
        [user, file, ..] => ((*user).to_owned(), *file),
        _ => return false,
    };
    BundleId::try_from(bundle).is_ok() && matches!(file, "shelf.json" | "files")
}

/// Path of a machine's file.
pub(super) fn machine(id: &MachineId) -> String {
    format!("{MACHINES}/{id}.json")
}

/// Path of the file in which others propose paths to a machine.
pub(super) fn proposed_paths(id: &MachineId) -> String {
    format!("{MACHINES}/{id}.paths.json")
}

/// Path of what is kept of a machine that was forgotten.
pub(super) fn forgotten(id: &MachineId) -> String {
    format!("{MACHINES}/{id}{FORGOTTEN_SUFFIX}")
}

/// Directory of a session.
pub(super) fn session(id: &SessionId) -> String {
    format!("{SESSIONS}/{}/{id}", id.shard())
}

/// Path of a session's manifest.
pub(super) fn manifest(id: &SessionId) -> String {
    format!("{}/manifest.json", session(id))
}

/// Directory of the segments of one file of a session. No file of the session can have the name
/// of such a directory, or a path below one.
pub(super) fn segments(id: &SessionId, file: &SessionFile) -> String {
    match file {
        SessionFile::Transcript => format!("{}/transcript", session(id)),
        SessionFile::Named(name) => format!("{}/files/{name}{SEGMENTS_SUFFIX}", session(id)),
    }
}

/// Path of one segment. It keeps the file's extension, so that editors and `git diff` know what they see.
pub(super) fn segment(id: &SessionId, file: &SessionFile, number: usize) -> String {
    let extension = file.name().map_or("jsonl", |name| extension(name.as_str()));
    let dot = if extension.is_empty() { "" } else { "." };
    format!("{}/{number:06}{dot}{extension}", segments(id, file))
}

fn extension(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
    let plain = extension.len() <= 8 && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain { extension } else { "" }
}

/// The session that `path` (of a file in the store) belongs to.
pub(super) fn session_of(path: &str) -> Option<SessionId> {
    let mut parts = path.split('/');
    let (top, shard, id) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let id: SessionId = id.parse().ok()?;
    (top == SESSIONS && id.shard() == shard).then_some(id)
}

/// Whether `path`, which belongs to no session, is one of this program's files and not somebody else's.
pub(super) fn is_ours(path: &str) -> bool {
    path == FORMAT_FILE || path.split_once('/').is_some_and(|(top, _)| top == MACHINES)
}

/// The longest path that is written into the working tree: that of any segment fits.
const MAX_PATH: usize = 1536;

/// Whether `path` may be written into the working tree: relative, without tricks, and not git's own directory.
pub(super) fn is_safe(path: &str) -> bool {
    let names_git = |part: &str| {
        part.trim_end_matches(['.', ' '])
            .eq_ignore_ascii_case(".git")
    };
    path.len() <= MAX_PATH
        && is_safe_path(path)
        && !path
            .split('/')
            .any(|part| names_git(part) || part.to_ascii_lowercase().starts_with("git~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_session_files_have_distinct_paths() {
        let id: SessionId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let place = |name: &str| segment(&id, &RelativeName::new(name).unwrap().into(), 0);
        // Each was a directory of the other's segments if these lay in `files/<name>/`.
        let names = ["foo", "foo/000000", "foo/bar.txt", "foo/bar.txt/000000.txt"];
        let places = names.map(place);
        for (place, name) in places.iter().zip(names) {
            assert!(is_safe(place), "{place}");
            for other in &places {
                assert!(
                    other == place || !other.starts_with(&format!("{place}/")),
                    "{name}: {other}"
                );
            }
        }
        assert_eq!(
            places[2],
            format!("{}/files/foo/bar.txt.segments/000000.txt", session(&id))
        );
        let longest = format!(
            "{}/{}.txt",
            vec!["x".repeat(246); 4].join("/"),
            "x".repeat(32)
        );
        assert!(is_safe(&place(&longest)), "the longest name fits");
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
