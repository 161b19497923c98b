//! Writing one session where the client looks for it: expand, journal, stamp.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SyncError;
use super::compare::completing_reading;
use super::plan::{FilePull, described};
use super::report::{Outcome, SessionReport};
use super::text::{LocalText, StoredText, text_kind};
use super::views::Views;
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::session::SessionError;
use crate::session::discover::LocalSession;
use crate::session::facts::parse_time;
use crate::session::files::{file_path, has_place, link_on_the_way};
use crate::session::live::live_sessions;
use crate::session::materialise::{Journal, Put};
use crate::store::Snapshot;
use crate::store::manifest::Manifest;
use crate::store::segment::offset_after_lines;
use crate::sys::fs::FileStamp;

/// What writing needs besides the store; may be shared by threads.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) views: &'a Views,
    pub(super) claude_dir: &'a Path,
    pub(super) journal: &'a Journal,
}

/// Files of one session to be written.
pub(super) struct Writing {
    pub(super) directory: PathBuf,
    pub(super) files: BTreeMap<Option<RelativeName>, FilePull>,
    /// What of the session lies here, as it was when the plan was made.
    pub(super) here: Option<LocalSession>,
    /// This machine has more of other files, so the session is not in step afterwards.
    pub(super) ahead: bool,
}

impl Writing {
    /// All of a session that is not here.
    pub(super) fn new(directory: PathBuf, manifest: &Manifest) -> Self {
        Self { directory, files: all_files(manifest), here: None, ahead: false }
    }

    /// How it is reported.
    pub(super) fn outcome(&self, lines: u64, bytes: u64) -> Outcome {
        let was_here = self.here.as_ref().is_some_and(|here| here.files.contains_key(&None));
        if was_here { Outcome::Extended { lines, bytes } } else { Outcome::Added { lines, bytes } }
    }

    /// Writes the files. Returns the report, and the session if it is in step now.
    pub(super) fn carry_out(
        &self,
        writer: &Writer<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
    ) -> Result<(SessionReport, Option<LocalSession>), SyncError> {
        let manifest = snapshot.manifest(id)?.ok_or_else(|| SyncError::NoSuchSession { session: id.clone() })?;
        // The plan may be seconds old: a client may have been started since.
        if let Some(pid) = live_sessions(writer.claude_dir).get(id) {
            return Err(SessionError::Running { session: id.clone(), pid: *pid }.into());
        }
        let (mut lines, mut bytes) = (0, 0);
        let mut now = self.here.clone().unwrap_or_else(|| LocalSession {
            id: id.clone(),
            directory: self.directory.clone(),
            files: BTreeMap::new(),
        });
        // The transcript comes last: a session that the client can see has everything beside it.
        for (name, pull) in self.files.iter().rev() {
            let expected = now.files.get(name).copied();
            let stored = StoredText::of(snapshot, &manifest, name.as_ref());
            let stored = stored.ok_or_else(|| SyncError::Inconsistent { session: id.clone() })?;
            let (stamp, count) = write_file(writer, &stored, &self.directory, *pull, expected.as_ref())?;
            now.files.insert(name.clone(), stamp);
            bytes += count.1;
            if name.is_none() {
                lines = count.0;
            }
        }
        let mut report = described(writer.views, id, Some(&manifest), self.outcome(lines, bytes));
        if self.ahead {
            report.notes.push("this machine has more of it: ccsync push".to_owned());
        }
        Ok((report, (!self.ahead).then_some(now)))
    }
}

/// Every file of a session that has a place here, to be written whole.
pub(super) fn all_files(manifest: &Manifest) -> BTreeMap<Option<RelativeName>, FilePull> {
    let files = manifest.all_files().filter(|(name, _)| has_place(*name));
    files.map(|(name, _)| (name.cloned(), FilePull::Whole)).collect()
}

/// Writes one file; returns it as written, and how many lines and bytes were.
fn write_file(
    writer: &Writer<'_>,
    stored: &StoredText<'_>,
    directory: &Path,
    pull: FilePull,
    expected: Option<&FileStamp>,
) -> Result<(FileStamp, (u64, u64)), SyncError> {
    let path = target(directory, &stored.manifest.session, stored.name)?;
    let modified = stored.manifest.last_activity.as_deref().and_then(parse_time);
    let mut count = (0, 0);
    let stamp = match (pull, expected) {
        (FilePull::Extend { lines, offset }, Some(expected)) => {
            let part = LocalText::open(&path, offset, expected.len)?.next_lines()?;
            let put = |put: &mut Put<'_>| expand(writer.views, stored, lines, &part, put, &mut count);
            writer.journal.extend(&path, expected, modified, put)?
        }
        _ => writer
            .journal
            .write(&path, expected, modified, |put| expand(writer.views, stored, 0, &[], put, &mut count))?,
    };
    Ok((stamp, count))
}

/// Where a file is written. A transcript that is a link stays one, as the client leaves it; what lies beside it may be none.
fn target(directory: &Path, id: &SessionId, name: Option<&RelativeName>) -> Result<PathBuf, SessionError> {
    let path = file_path(directory, id, name);
    match name {
        None => Ok(std::fs::canonicalize(&path).unwrap_or(path)),
        Some(name) if !has_place(Some(name)) => Err(SessionError::NoPlace { name: name.clone() }),
        Some(name) => match link_on_the_way(directory, id, name) {
            Some(path) => Err(SessionError::Link { path }),
            None => Ok(path),
        },
    }
}

/// Expands the lines after the first `lines` into `put`; `part` is what the local file has of the next one.
fn expand(
    views: &Views,
    stored: &StoredText<'_>,
    lines: u64,
    part: &[u8],
    put: &mut Put<'_>,
    count: &mut (u64, u64),
) -> Result<(), SyncError> {
    let reader = views.reader(stored.manifest, &stored.manifest.session, text_kind(stored.name));
    let lines_only = stored.name.is_none_or(RelativeName::is_json_lines);
    let mut part = part;
    let changed = || SyncError::Inconsistent { session: stored.manifest.session.clone() };
    stored.walk(lines, &mut |piece| {
        if part.is_empty() && piece.run.torn && lines_only {
            // Of no use to any client, and old ones glue their next record to it.
            return Ok(true);
        }
        let mut text = piece.text;
        if !part.is_empty() {
            let line = &text[..offset_after_lines(text, 1)];
            // The part was of this line when the plan was made; if it is not, a client has written since.
            let reading = completing_reading(&reader, piece.run, line, part)?.ok_or_else(changed)?;
            put_counted(&reader.read(piece.run, reading, line)?[part.len()..], put, count)?;
            text = &text[line.len()..];
            part = &[];
        }
        put_counted(&reader.read_preferred(piece.run, text)?, put, count)?;
        if lines_only && piece.text.last() != Some(&b'\n') {
            put(b"\n")?;
        }
        count.0 += piece.lines;
        Ok(true)
    })
}

fn put_counted(text: &[u8], put: &mut Put<'_>, count: &mut (u64, u64)) -> Result<(), SyncError> {
    count.1 += text.len() as u64;
    Ok(put(text)?)
}
