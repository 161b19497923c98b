//! Makes a repaired copy of a damaged session, as a new session or at a given path. Only
//! reads the damaged files.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::{Phase, SessionFile, SessionId, UserError};
use crate::flows::fork::repaired_id;
use crate::localize::{LocalCopy, StoredDataError, line_reader::rename_session};
use crate::session::{
    LocalSession, files::file_path, files::transcript_path, live::live_sessions, repair::Finding,
    repair::RecordIds, repair::RepairedText, repair::Repairer,
};
use crate::store::segment::count_lines;
use crate::sys::{fs::AtomicFile, fs::PathError, signal};
use crate::workspace::{Context, LookupScope, SyncError, Workspace, lookup::find_session};

/// Input of a repair.
#[derive(Debug, Clone)]
pub struct RepairRequest {
    /// The session: an id or a unique prefix.
    pub session: SessionId,
    /// Path of the repaired transcript; `None`: a new session beside the damaged one.
    pub output: Option<PathBuf>,
}

/// Result of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// The damaged session, unchanged.
    pub session: SessionId,
    /// Process id of a client that has it open; text that it is writing now is not in the
    /// copy.
    pub running: Option<u32>,
    /// Files with findings, the transcript first.
    pub files: Vec<FileFindings>,
    /// The repaired copy; `None` if nothing was damaged.
    pub copy: Option<HealedCopy>,
}

/// Findings in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFindings {
    /// Its path.
    pub path: PathBuf,
    /// The findings, by line.
    pub findings: Vec<Finding>,
}

/// A repaired copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealedCopy {
    /// Its id, if it is a new session.
    pub session: Option<SessionId>,
    /// Path of its transcript.
    pub path: PathBuf,
    /// Number of lines.
    pub lines: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// Path of the removed fragments, if any.
    pub fragments: Option<PathBuf>,
    /// True if an earlier repair made it; nothing was written.
    pub existed: bool,
}

impl RepairReport {
    /// Number of changes.
    pub fn repairs(&self) -> u64 {
        self.files
            .iter()
            .flat_map(|file| &file.findings)
            .filter(|finding| finding.damage.is_repair())
            .count() as u64
    }
}

/// Makes a repaired copy of a session of this machine, if it is damaged.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError); [`NoCompleteRecord`] if no
/// record would be left; [`SyncError::Path`].
pub fn repair(ctx: &Context<'_>, request: &RepairRequest) -> Result<RepairReport, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let found = workspace.discover()?;
    let id = find_session(&request.session, found.sessions.keys())?;
    let here = id.and_then(|id| found.sessions.get(&id));
    let here = here.ok_or_else(|| LookupScope::Here.no_session(&request.session))?;
    let running = live_sessions(&ctx.env.claude_dir)
        .get(&here.id)
        .map(|client| client.pid);
    let local = LocalCopy {
        session: here,
        live: running.is_some(),
    };
    ctx.progress
        .begin(Phase::Check, here.files.len() as u64, here.bytes());
    let report = Repairing { ctx, local: &local }.run(request.output.as_deref());
    ctx.progress.end();
    report.map(|report| RepairReport { running, ..report })
}

struct Repairing<'a> {
    ctx: &'a Context<'a>,
    local: &'a LocalCopy<'a>,
}

/// Result of repairing a file, without its text.
struct PlannedOutcome {
    findings: Vec<Finding>,
    hash: blake3::Hash,
    lines: u64,
    bytes: u64,
    has_fragments: bool,
}

impl Repairing<'_> {
    fn run(&self, output: Option<&Path>) -> Result<RepairReport, SyncError> {
        let session = self.session();
        let mut report = RepairReport {
            session: session.id.clone(),
            running: None,
            files: Vec::new(),
            copy: None,
        };
        let mut transcript = self.preview_outcome(&SessionFile::Transcript)?;
        report.found(
            session.transcript_path(),
            std::mem::take(&mut transcript.findings),
        );
        if output.is_none() {
            let others = session.files.keys().filter(|file| !file.is_transcript());
            for file in others.filter(|file| file.is_append_only()) {
                report.found(session.path(file), self.preview_outcome(file)?.findings);
            }
        }
        if report.repairs() == 0 {
            return Ok(report);
        }
        if transcript.lines == 0 {
            return Err(NoCompleteRecord {
                session: session.id.clone(),
            }
            .into());
        }
        report.copy = Some(match output {
            Some(path) => self.copy_transcript(&transcript, path)?,
            None => self.copy_session(&transcript)?,
        });
        Ok(report)
    }

    fn session(&self) -> &LocalSession {
        self.local.session
    }

    /// Writes the repaired transcript to `path`.
    fn copy_transcript(
        &self,
        transcript: &PlannedOutcome,
        path: &Path,
    ) -> Result<HealedCopy, SyncError> {
        if path.symlink_metadata().is_ok() {
            return Err(
                PathError::new("create", path, std::io::ErrorKind::AlreadyExists.into()).into(),
            );
        }
        self.write_healed(&SessionFile::Transcript, path, None)?;
        Ok(transcript.copied(None, path, false))
    }

    /// Writes the repaired session under a new id to the same project directory, where
    /// the client lists it.
    fn copy_session(&self, transcript: &PlannedOutcome) -> Result<HealedCopy, SyncError> {
        let session = self.session();
        let copy = repaired_id(&session.id, &transcript.hash);
        let path = transcript_path(&session.directory, &copy);
        if path.exists() {
            return Ok(transcript.copied(Some(copy), &path, true));
        }
        // The transcript comes last, so that a session that the client lists is complete.
        for name in session.files.keys().rev() {
            let target = file_path(&session.directory, &copy, name);
            if name.is_append_only() {
                self.write_healed(name, &target, Some(&copy))?;
            } else {
                self.write_as_it_is(name, &target)?;
            }
        }
        Ok(transcript.copied(Some(copy), &path, false))
    }

    fn write_as_it_is(&self, name: &SessionFile, target: &Path) -> Result<(), StoredDataError> {
        let text = self.local.open(name, 0)?;
        let mut file = AtomicFile::create(target)?;
        text.each_piece(|piece| Ok(file.append(piece)?))?;
        file.commit()?;
        Ok(())
    }

    /// Writes the repaired file, and the removed fragments beside it.
    fn write_healed(
        &self,
        name: &SessionFile,
        target: &Path,
        copy: Option<&SessionId>,
    ) -> Result<(), StoredDataError> {
        let mut file = AtomicFile::create(target)?;
        let mut fragments = None;
        self.heal(name, &mut |healed| {
            if !healed.fragments.is_empty() {
                if fragments.is_none() {
                    fragments = Some(AtomicFile::create(&fragments_path(target))?);
                }
                if let Some(fragments) = &mut fragments {
                    fragments.append(&healed.fragments)?;
                }
            }
            match copy {
                Some(copy) => {
                    file.append(&rename_session(&healed.text, &self.session().id, copy))?;
                }
                None => file.append(&healed.text)?,
            }
            Ok(())
        })?;
        fragments.map(AtomicFile::commit).transpose()?;
        file.commit()?;
        Ok(())
    }

    fn preview_outcome(&self, name: &SessionFile) -> Result<PlannedOutcome, StoredDataError> {
        let mut hasher = blake3::Hasher::new();
        let (mut lines, mut bytes, mut has_fragments) = (0, 0, false);
        let findings = self.heal(name, &mut |healed| {
            hasher.update(&healed.text);
            lines += count_lines(&healed.text);
            bytes += healed.text.len() as u64;
            has_fragments |= !healed.fragments.is_empty();
            Ok(())
        })?;
        Ok(PlannedOutcome {
            findings,
            hash: hasher.finalize(),
            lines,
            bytes,
            has_fragments,
        })
    }

    /// Passes on the repaired file piece by piece.
    fn heal(
        &self,
        name: &SessionFile,
        put: &mut dyn FnMut(&RepairedText) -> Result<(), StoredDataError>,
    ) -> Result<Vec<Finding>, StoredDataError> {
        let mut ids = RecordIds::default();
        self.pieces(name, &mut |piece| {
            ids.add_lines(piece);
            Ok(())
        })?;
        let mut repairer = Repairer::new(ids);
        self.pieces(name, &mut |piece| {
            let mut healed = RepairedText::default();
            repairer.repair_lines(piece, &mut healed);
            put(&healed)
        })?;
        Ok(repairer.finish())
    }

    fn pieces(
        &self,
        name: &SessionFile,
        each: &mut dyn FnMut(&[u8]) -> Result<(), StoredDataError>,
    ) -> Result<(), StoredDataError> {
        self.local.open(name, 0)?.each_piece(|piece| {
            signal::check()?;
            each(piece)?;
            self.ctx.progress.advance(0, piece.len() as u64);
            Ok(())
        })
    }
}

impl PlannedOutcome {
    fn copied(&self, session: Option<SessionId>, path: &Path, existed: bool) -> HealedCopy {
        let fragments = self.has_fragments.then(|| fragments_path(path));
        HealedCopy {
            session,
            path: path.to_owned(),
            lines: self.lines,
            bytes: self.bytes,
            fragments,
            existed,
        }
    }
}

impl RepairReport {
    fn found(&mut self, path: PathBuf, findings: Vec<Finding>) {
        if !findings.is_empty() {
            self.files.push(FileFindings { path, findings });
        }
    }
}

/// Returns the path of the removed fragments of the copy at `path`. No client takes this
/// name for a session.
fn fragments_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".fragments");
    path.with_file_name(name)
}

/// A repaired copy would be empty.
#[derive(Debug, thiserror::Error)]
#[error("session {session} has no complete record to copy")]
pub struct NoCompleteRecord {
    pub(crate) session: SessionId,
}

impl UserError for NoCompleteRecord {
    fn hints(&self) -> Vec<String> {
        vec![format!(
            "see its damage with `ccsync verify {}`",
            self.session
        )]
    }
}

impl From<NoCompleteRecord> for SyncError {
    fn from(error: NoCompleteRecord) -> Self {
        Self::Operation(Box::new(error))
    }
}
