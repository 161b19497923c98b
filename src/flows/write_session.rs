//! Writing one session where the client looks for it: expand, journal, stamp.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::id::{MachineId, SessionId};
use crate::domain::session_file::SessionFile;
use crate::flows::plan::{FilePull, described};
use crate::localize::compare::completing_reading;
use crate::localize::error::StoredDataError;
use crate::localize::localizer::Localizer;
use crate::localize::stored_text::{LocalText, StoredText, text_kind};
use crate::report::transfer::{MachineName, Outcome, SessionReport};
use crate::session::LocalSession;
use crate::session::SessionError;
use crate::session::files::{file_path, first_link, is_known};
use crate::session::journal::{Journal, WriteBytes};
use crate::session::live::live_sessions;
use crate::session::time::parse_time;
use crate::session::turns::count_user_turns;
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, StoredFile};
use crate::store::segment::offset_after_lines;
use crate::sys::fs::FileStamp;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::LookupScope;

/// What writing needs besides the store; may be shared by threads.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) localizer: &'a Localizer,
    pub(crate) claude_dir: &'a Path,
    pub(crate) journal: &'a Journal,
    /// How machines are called.
    pub(crate) names: &'a BTreeMap<MachineId, String>,
}

/// Files of one session to be written.
pub(crate) struct Writing {
    pub(crate) directory: PathBuf,
    pub(crate) files: BTreeMap<SessionFile, FilePull>,
    /// What of the session lies here, as it was when the plan was made.
    pub(crate) here: Option<LocalSession>,
    /// This machine has more of other files, so the session is not in step afterwards.
    pub(crate) ahead: bool,
    /// What a person should know besides.
    pub(crate) note: Option<String>,
}

impl Writing {
    /// All of a session that is not here.
    pub(crate) fn new(directory: PathBuf, manifest: &Manifest) -> Self {
        Self {
            directory,
            files: all_files(manifest),
            here: None,
            ahead: false,
            note: None,
        }
    }

    /// How it is reported.
    pub(crate) fn outcome(&self, lines: u64, bytes: u64) -> Outcome {
        let was_here = self
            .here
            .as_ref()
            .is_some_and(|here| here.files.contains_key(&SessionFile::Transcript));
        if was_here {
            Outcome::Extended { lines, bytes }
        } else {
            Outcome::Added { lines, bytes }
        }
    }

    /// Writes the files. Returns the report, and the session if it is in step now.
    pub(crate) fn carry_out(
        &self,
        writer: &Writer<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
    ) -> Result<(SessionReport, Option<LocalSession>), SyncError> {
        let manifest = snapshot
            .manifest(id)?
            .ok_or_else(|| LookupScope::Store.no_session(id))?;
        // The plan may be seconds old: a client may have been started since.
        if let Some(pid) = live_sessions(writer.claude_dir).get(id) {
            return Err(SessionError::Running {
                session: id.clone(),
                pid: *pid,
            }
            .into());
        }
        let mut all = Count::default();
        let mut now = self.here.clone().unwrap_or_else(|| LocalSession {
            id: id.clone(),
            directory: self.directory.clone(),
            files: BTreeMap::new(),
        });
        // The transcript comes last: a session that the client can see has everything beside it.
        for (name, pull) in self.files.iter().rev() {
            let expected = now.files.get(name).copied();
            let stored = StoredText::of(snapshot, &manifest, name);
            let stored = stored.ok_or_else(|| StoredDataError::Inconsistent {
                session: id.clone(),
            })?;
            let (stamp, count) =
                write_file(writer, &stored, &self.directory, *pull, expected.as_ref())?;
            now.files.insert(name.clone(), stamp);
            all.bytes += count.bytes;
            if name.is_transcript() {
                (all.lines, all.turns) = (count.lines, count.turns);
            }
        }
        let mut report = described(
            writer.localizer,
            id,
            Some(&manifest),
            self.outcome(all.lines, all.bytes),
        );
        if let Some(pull) = self.files.get(&SessionFile::Transcript) {
            report.turns = Some(all.turns);
            report.machines = writers(&manifest.transcript, *pull, writer.names);
        }
        report.notes.extend(self.note.clone());
        if self.ahead {
            report
                .notes
                .push("this machine has more of it: ccsync push".to_owned());
        }
        Ok((report, (!self.ahead).then_some(now)))
    }
}

/// Every file of a session that has a place here, to be written whole.
pub(crate) fn all_files(manifest: &Manifest) -> BTreeMap<SessionFile, FilePull> {
    let files = manifest.all_files().map(|(file, _)| file);
    files
        .filter(is_known)
        .map(|file| (file, FilePull::Whole))
        .collect()
}

/// What was written of a file.
#[derive(Default)]
struct Count {
    lines: u64,
    bytes: u64,
    /// Turns of a person.
    turns: u64,
}

/// Who wrote the lines of `file` that are brought here.
fn writers(
    file: &StoredFile,
    pull: FilePull,
    names: &BTreeMap<MachineId, String>,
) -> Vec<MachineName> {
    let from = if let FilePull::Extend { lines, .. } = pull {
        lines
    } else {
        0
    };
    let (mut end, mut writers) = (0, Vec::new());
    for run in &file.runs {
        end += run.lines;
        let writer = MachineName {
            id: run.machine.clone(),
            name: names.get(&run.machine).cloned(),
        };
        if end > from && !writers.contains(&writer) {
            writers.push(writer);
        }
    }
    writers
}

/// Writes one file; returns it as written, and how much was.
fn write_file(
    writer: &Writer<'_>,
    stored: &StoredText<'_>,
    directory: &Path,
    pull: FilePull,
    expected: Option<&FileStamp>,
) -> Result<(FileStamp, Count), StoredDataError> {
    let path = target(directory, &stored.manifest.session, stored.name)?;
    let modified = stored
        .manifest
        .last_activity
        .as_deref()
        .and_then(parse_time);
    let mut count = Count::default();
    let stamp = match (pull, expected) {
        (FilePull::Extend { lines, offset }, Some(expected)) => {
            let part = LocalText::open(&path, offset, expected.len)?.next_lines()?;
            let put = |put: &mut WriteBytes<'_>| {
                expand(writer.localizer, stored, lines, &part, put, &mut count)
            };
            writer.journal.extend(&path, expected, modified, put)?
        }
        _ => writer.journal.write(&path, expected, modified, |put| {
            expand(writer.localizer, stored, 0, &[], put, &mut count)
        })?,
    };
    Ok((stamp, count))
}

/// Where a file is written. A transcript that is a link stays one, as the client leaves it; what lies beside it may be none.
fn target(directory: &Path, id: &SessionId, file: &SessionFile) -> Result<PathBuf, SessionError> {
    let path = file_path(directory, id, file);
    match file {
        SessionFile::Transcript => Ok(std::fs::canonicalize(&path).unwrap_or(path)),
        SessionFile::Named(name) if !is_known(file) => {
            Err(SessionError::NoPlace { name: name.clone() })
        }
        SessionFile::Named(name) => match first_link(directory, id, name) {
            Some(path) => Err(SessionError::Link { path }),
            None => Ok(path),
        },
    }
}

/// Expands the lines after the first `lines` into `put`; `part` is what the local file has of the next one.
fn expand(
    localizer: &Localizer,
    stored: &StoredText<'_>,
    lines: u64,
    part: &[u8],
    put: &mut WriteBytes<'_>,
    count: &mut Count,
) -> Result<(), StoredDataError> {
    let reader = localizer.reader(
        stored.manifest,
        &stored.manifest.session,
        text_kind(stored.name),
    );
    let lines_only = stored.name.is_append_only();
    let mut part = part;
    let changed = || StoredDataError::Inconsistent {
        session: stored.manifest.session.clone(),
    };
    stored.walk(lines, &mut |piece| {
        if part.is_empty() && piece.run.torn && lines_only {
            // Of no use to any client, and old ones glue their next record to it.
            return Ok(true);
        }
        let mut text = piece.text;
        if !part.is_empty() {
            let line = &text[..offset_after_lines(text, 1)];
            // The part was of this line when the plan was made; if it is not, a client has written since.
            let reading =
                completing_reading(&reader, piece.run, line, part)?.ok_or_else(changed)?;
            let read = reader.read(piece.run, reading, line)?;
            count.turns += count_user_turns(&read);
            put_counted(&read[part.len()..], put, count)?;
            text = &text[line.len()..];
            part = &[];
        }
        let read = reader.read_preferred(piece.run, text)?;
        if stored.name.is_transcript() {
            count.turns += count_user_turns(&read);
        }
        put_counted(&read, put, count)?;
        if lines_only && piece.text.last() != Some(&b'\n') {
            put(b"\n")?;
        }
        count.lines += piece.lines;
        Ok(true)
    })
}

fn put_counted(
    text: &[u8],
    put: &mut WriteBytes<'_>,
    count: &mut Count,
) -> Result<(), StoredDataError> {
    count.bytes += text.len() as u64;
    Ok(put(text)?)
}
