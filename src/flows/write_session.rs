//! Writes one session where Claude Code looks for it: expand, journal, stamp.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::domain::{SecretName, SessionFile, SessionId};
use crate::flows::{
    compare::SessionComparer, describe::describe_session, differences::FilePull,
    move_session::move_session,
};
use crate::localize::{
    LocalCopy, LocalText, Localizer, StoredDataError, StoredText, compare::completing_reading,
    stored_text::text_kind,
};
use crate::report::{MachineName, Outcome, SessionReport, count::count};
use crate::rewrite::{SecretValues as _, secrets_in};
use crate::session::{
    LocalSession, SessionError, clean_up::CleanUp, discover::files_without_transcript,
    files::file_path, files::first_link, files::is_known, files::team_of, journal::Journal,
    journal::WriteBytes, live::live_sessions, time::parse_time, turns::count_user_turns,
};
use crate::store::{
    Snapshot, manifest::Manifest, manifest::StoredFile, segment::offset_after_lines,
};
use crate::sys::fs::{FileStamp, real_path};
use crate::workspace::{LookupScope, MachineNames, SyncError, Workspace};

/// Input of writing besides the store. Threads may share it.
#[derive(Clone, Copy)]
pub(crate) struct LocalWriter<'a> {
    pub(crate) localizer: &'a Localizer,
    claude_dir: &'a Path,
    journal: &'a Journal,
    names: &'a MachineNames,
    clean_up: CleanUp,
    now: DateTime<Utc>,
}

impl<'a> LocalWriter<'a> {
    pub(crate) fn new(
        workspace: &'a Workspace<'_>,
        journal: &'a Journal,
        names: &'a MachineNames,
    ) -> Self {
        Self {
            localizer: &workspace.localizer,
            claude_dir: &workspace.ctx.env.claude_dir,
            journal,
            names,
            clean_up: CleanUp::read(&workspace.ctx.env.claude_dir),
            now: workspace.ctx.clock.now(),
        }
    }
}

/// Files of one session that are to be written.
pub(crate) struct SessionUpdate {
    pub(crate) directory: PathBuf,
    pub(crate) files: BTreeMap<SessionFile, FilePull>,
    /// The session on this machine, as it was when the update was planned.
    pub(crate) here: Option<LocalSession>,
    /// This machine has more in other files, so the session is not in sync afterwards.
    pub(crate) ahead: bool,
    /// Local lines to be written after the transcript, with what the user chose here.
    pub(crate) choices: Vec<u8>,
    /// For the report.
    pub(crate) note: Option<String>,
}

/// How a session is pulled that has no transcript here.
pub(crate) enum UpdatePlan {
    Write(SessionUpdate),
    /// Another file is in its place.
    Blocked(String),
}

/// A session that was written.
pub(crate) struct WrittenSession {
    pub(crate) report: SessionReport,
    /// The session, if it is in sync now.
    pub(crate) in_sync: Option<LocalSession>,
}

impl SessionUpdate {
    /// Returns the update that writes all of a session that is not here.
    pub(crate) fn new(directory: PathBuf, manifest: &Manifest) -> Self {
        Self {
            directory,
            files: all_files(manifest),
            here: None,
            ahead: false,
            choices: Vec::new(),
            note: None,
        }
    }

    /// Returns true if the transcript here is a link, which stays where it is.
    pub(crate) fn is_linked(&self) -> bool {
        let path = self.here.as_ref().map(LocalSession::transcript_path);
        path.is_some_and(|path| path.is_symlink())
    }

    /// Returns how the update is reported.
    pub(crate) fn outcome(&self, lines: u64, bytes: u64) -> Outcome {
        let here = self.here.as_ref();
        let is_here = |here: &LocalSession| here.files.contains_key(&SessionFile::Transcript);
        if here.is_some_and(is_here) {
            Outcome::Extended { lines, bytes }
        } else {
            Outcome::Added { lines, bytes }
        }
    }

    /// Returns the outcome that [`Self::write`] would report.
    pub(crate) fn preview(&self, manifest: Option<&Manifest>) -> Outcome {
        let stored = |file| manifest.and_then(|manifest| manifest.file(file));
        let files = self.files.keys().filter_map(stored);
        let bytes = files.map(StoredFile::local_bytes).sum();
        let total = manifest.map_or(0, |manifest| manifest.transcript.lines());
        let lines = match self.files.get(&SessionFile::Transcript) {
            None => 0,
            Some(FilePull::Whole) => total,
            Some(FilePull::Extend { lines, .. }) => total - lines,
            Some(FilePull::Remove) => 0,
        };
        self.outcome(lines, bytes)
    }

    /// Writes the files.
    pub(crate) fn write(
        &self,
        writer: &LocalWriter<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
    ) -> Result<WrittenSession, SyncError> {
        let manifest = snapshot.manifest(id)?;
        let manifest = manifest.ok_or_else(|| LookupScope::Store.no_session(id))?;
        refuse_running(writer.claude_dir, id)?;

        let mut all = Count::default();
        let here = self
            .here
            .as_ref()
            .map(|here| match here.directory == self.directory {
                true => Ok(here.clone()),
                false => move_session(writer.journal, here, &self.directory),
            });
        let mut now = here.transpose()?.unwrap_or_else(|| LocalSession {
            id: id.clone(),
            directory: self.directory.clone(),
            files: BTreeMap::new(),
            copied_transcript: None,
        });
        // The transcript comes last: a session that Claude Code can see has all its other files.
        for (file, pull) in self.files.iter().rev() {
            if *pull == FilePull::Remove {
                self.remove(writer, file, &mut now)?;
                continue;
            }
            let stored = StoredText::new(snapshot, &manifest, file);
            let stored = stored.ok_or_else(|| StoredDataError::Inconsistent {
                session: id.clone(),
            })?;
            // A team's list may be that of another session here so far. The journal keeps it.
            let path = file_path(&self.directory, id, file);
            let of_team = team_of(file).and_then(|_| FileStamp::read(&path).ok());
            let expected = now.files.get(file).copied().or(of_team);
            let mut write = FileWrite::new(writer, &stored, &self.directory)?;
            if file.is_transcript() {
                write.after = &self.choices;
            }
            let (stamp, count) = write.write(*pull, expected.as_ref())?;
            now.files.insert(file.clone(), stamp);
            all.bytes += count.bytes;
            all.redacted.extend(count.redacted);
            if file.is_transcript() {
                (all.lines, all.turns) = (count.lines, count.turns);
            }
        }

        let outcome = self.outcome(all.lines, all.bytes);
        let mut report = describe_session(writer.localizer, id, Some(&manifest), outcome);
        if let Some(pull) = self.files.get(&SessionFile::Transcript) {
            report.turns = Some(all.turns);
            report.machines = writers(&manifest.transcript, *pull, writer.names);
        }
        report.warnings.extend(self.note.clone());
        if !all.redacted.is_empty() {
            let secrets = count(all.redacted.len() as u64, "secret");
            let cost = match manifest.bound {
                true => "; the model's earlier thinking is signed and may be dropped here",
                false => "",
            };
            let note = format!("{secrets} redacted: the value stays on another machine{cost}");
            report.warnings.push(note);
        }
        if self.ahead || !self.choices.is_empty() {
            let note = "this machine has more of it: ccsync push";
            report.warnings.push(note.to_owned());
        }
        Ok(WrittenSession {
            report,
            in_sync: (!self.ahead && self.choices.is_empty()).then_some(now),
        })
    }

    /// Removes a file that another machine removed.
    fn remove(
        &self,
        writer: &LocalWriter<'_>,
        file: &SessionFile,
        now: &mut LocalSession,
    ) -> Result<(), SessionError> {
        if let Some(path) = file
            .name()
            .and_then(|name| first_link(&self.directory, &now.id, name))
        {
            return Err(SessionError::Link { path });
        }
        if let Some(stamp) = now.files.remove(file) {
            let path = file_path(&self.directory, &now.id, file);
            writer.journal.remove(&path, &stamp)?;
        }
        Ok(())
    }
}

/// Plans to write a session without a local transcript into `directory`. Other files of it that are
/// there are only replaced by a version that they are a part of.
pub(crate) fn plan_update(
    comparer: &SessionComparer<'_>,
    manifest: &Manifest,
    directory: PathBuf,
) -> Result<UpdatePlan, SyncError> {
    let Some(here) = files_without_transcript(&directory, &manifest.session) else {
        return Ok(UpdatePlan::Write(SessionUpdate::new(directory, manifest)));
    };
    let found = comparer.compare_with(manifest, &LocalCopy::closed(&here), None)?;
    let mut local_files = found.to_push.keys();
    if let Some(other) = local_files.find(|file| manifest.file(file).is_some()) {
        return Ok(UpdatePlan::Blocked(format!(
            "`{}` differs from the store: move it to another directory, then pull again",
            here.path(other).display()
        )));
    }
    Ok(UpdatePlan::Write(SessionUpdate {
        directory,
        files: found.to_pull,
        ahead: !found.to_push.is_empty(),
        here: Some(here),
        choices: Vec::new(),
        note: None,
    }))
}

/// Returns every file of a session that this program knows, to be written whole.
pub(crate) fn all_files(manifest: &Manifest) -> BTreeMap<SessionFile, FilePull> {
    let files = manifest.all_files().map(|(file, _)| file);
    files
        .filter(is_known)
        .map(|file| (file, FilePull::Whole))
        .collect()
}

/// Refuses a running session: Claude Code may have been started since the update was
/// planned.
fn refuse_running(claude_dir: &Path, id: &SessionId) -> Result<(), SessionError> {
    match live_sessions(claude_dir).get(id) {
        Some(client) => Err(SessionError::Running {
            session: id.clone(),
            client: *client,
        }),
        None => Ok(()),
    }
}

/// Returns the machines that wrote the pulled lines of `file`.
fn writers(file: &StoredFile, pull: FilePull, names: &MachineNames) -> Vec<MachineName> {
    let from = match pull {
        FilePull::Extend { lines, .. } => lines,
        FilePull::Whole | FilePull::Remove => 0,
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

/// How much of a file was written.
#[derive(Default)]
struct Count {
    lines: u64,
    bytes: u64,
    /// The user's turns.
    turns: u64,
    /// Secrets whose values this machine does not know.
    redacted: BTreeSet<SecretName>,
}

/// One file that is being written.
struct FileWrite<'a> {
    writer: &'a LocalWriter<'a>,
    stored: &'a StoredText<'a>,
    path: PathBuf,
    /// Local lines that follow the stored ones.
    after: &'a [u8],
}

impl<'a> FileWrite<'a> {
    /// A transcript that is a link stays one, because Claude Code leaves it so; other files may not
    /// be links.
    fn new(
        writer: &'a LocalWriter<'a>,
        stored: &'a StoredText<'a>,
        directory: &Path,
    ) -> Result<Self, SessionError> {
        let (id, file) = (&stored.manifest.session, stored.name);
        let path = file_path(directory, id, file);
        let path = match file {
            SessionFile::Transcript => real_path(&path).unwrap_or(path),
            SessionFile::Named(name) => {
                if !is_known(file) {
                    return Err(SessionError::NoPlace { name: name.clone() });
                }
                if let Some(path) = first_link(directory, id, name) {
                    return Err(SessionError::Link { path });
                }
                path
            }
        };
        Ok(Self {
            writer,
            stored,
            path,
            after: &[],
        })
    }

    /// Writes the file, which has the stamp `expected` now. Returns its new stamp.
    fn write(
        &self,
        pull: FilePull,
        expected: Option<&FileStamp>,
    ) -> Result<(FileStamp, Count), StoredDataError> {
        let modified = self.stored.manifest.last_activity.as_deref();
        let modified = modified.and_then(parse_time);
        let (clean_up, now) = (self.writer.clean_up, self.writer.now);
        let modified = modified.map(|time| clean_up.file_time(time, now));
        let journal = self.writer.journal;
        let mut count = Count::default();
        let stamp = match (pull, expected) {
            (FilePull::Extend { lines, offset }, Some(expected)) => {
                let mut rest = LocalText::open(&self.path, offset, expected.len)?;
                let part = rest.next_lines()?;
                let write = |write: &mut WriteBytes<'_>| {
                    self.expand(lines, &part, &mut Counted::new(write, &mut count))
                };
                journal.extend(&self.path, expected, modified, write)?
            }
            _ => journal.write(&self.path, expected, modified, |write| {
                let out = &mut Counted::new(write, &mut count);
                self.expand(0, &[], out)?;
                out.write(self.after).map_err(StoredDataError::from)
            })?,
        };
        Ok((stamp, count))
    }

    /// Expands the lines after the first `lines`. The local file has `part` of the next one.
    fn expand(
        &self,
        lines: u64,
        mut part: &[u8],
        out: &mut Counted<'_, '_>,
    ) -> Result<(), StoredDataError> {
        let (manifest, file) = (self.stored.manifest, self.stored.name);
        let id = &manifest.session;
        let reader = self.writer.localizer.reader(manifest, id, text_kind(file));
        let lines_only = file.is_append_only();
        let secrets = self.writer.localizer.secrets();
        let is_unknown =
            |name: &SecretName| secrets.is_none_or(|secrets| secrets.value(name).is_none());
        self.stored.walk(lines, &mut |piece| {
            let names = secrets_in(piece.text).map(|(_, name)| name);
            out.count.redacted.extend(names.filter(is_unknown));
            if part.is_empty() && piece.run.torn && lines_only {
                // No Claude Code can use it, and old ones append their next record to it.
                return Ok(true);
            }
            let mut text = piece.text;
            if !part.is_empty() {
                let line = &text[..offset_after_lines(text, 1)];
                // Otherwise Claude Code has written to the file since the update was planned.
                let reading = completing_reading(&reader, piece.run, line, part)?;
                let reading = reading.ok_or_else(|| StoredDataError::Inconsistent {
                    session: id.clone(),
                })?;
                let read = reader.read(piece.run, reading, line)?;
                out.count.turns += count_user_turns(&read);
                out.write(&read[part.len()..])?;
                text = &text[line.len()..];
                part = &[];
            }
            let read = reader.read_preferred(piece.run, text)?;
            if file.is_transcript() {
                out.count.turns += count_user_turns(&read);
            }
            out.write(&read)?;
            if lines_only && piece.text.last() != Some(&b'\n') {
                (out.write)(b"\n")?;
            }
            out.count.lines += piece.lines;
            Ok(true)
        })
    }
}

/// Counts the bytes that are written.
struct Counted<'a, 'w> {
    write: &'a mut WriteBytes<'w>,
    count: &'a mut Count,
}

impl<'a, 'w> Counted<'a, 'w> {
    fn new(write: &'a mut WriteBytes<'w>, count: &'a mut Count) -> Self {
        Self { write, count }
    }

    fn write(&mut self, text: &[u8]) -> Result<(), SessionError> {
        self.count.bytes += text.len() as u64;
        (self.write)(text)
    }
}
