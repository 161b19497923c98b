//! A healed copy of a damaged session, beside the damaged one or where the person wants it. The damaged files are only read.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::id::SessionId;
use crate::domain::progress::Phase;
use crate::domain::session_file::SessionFile;
use crate::flows::fork::repaired_id;
use crate::flows::plan::Local;
use crate::localize::localizer::renamed;
use crate::session::discover::LocalSession;
use crate::session::files::{file_path, transcript_path};
use crate::session::live::live_sessions;
use crate::session::repair::{Finding, Healed, Healer, Survey};
use crate::store::segment::count_lines;
use crate::sys::fs::{AtomicFile, PathError};
use crate::sys::signal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::session_named;
use crate::workspace::open::Workspace;

/// What is to be repaired.
#[derive(Debug, Clone)]
pub struct RepairRequest {
    /// The session: a whole id, or a beginning that only one has.
    pub session: SessionId,
    /// Where the healed transcript goes; none: it becomes a session of its own beside the damaged one.
    pub output: Option<PathBuf>,
}

/// What was found, and made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// The damaged session, which is as it was.
    pub session: SessionId,
    /// The process of a client that has it open: what it is writing just now is not in the copy.
    pub running: Option<u32>,
    /// The files in which something was found, the transcript first.
    pub files: Vec<FileFindings>,
    /// The healed copy; none if there was nothing to repair.
    pub copy: Option<HealedCopy>,
}

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFindings {
    /// Where it lies.
    pub path: PathBuf,
    /// What was found, in order of lines.
    pub findings: Vec<Finding>,
}

/// A healed copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealedCopy {
    /// Its own id, if it is a session of its own.
    pub session: Option<SessionId>,
    /// Its transcript.
    pub path: PathBuf,
    /// Lines of it.
    pub lines: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// The fragments that are no part of it, if there are any.
    pub fragments: Option<PathBuf>,
    /// An earlier repair had made it; nothing was written now.
    pub was_there: bool,
}

impl RepairReport {
    /// How many changes the copy differs by.
    pub fn repairs(&self) -> u64 {
        self.files
            .iter()
            .flat_map(|file| &file.findings)
            .filter(|finding| finding.what.is_repair())
            .count() as u64
    }
}

/// Makes a healed copy of a session of this machine, if it is damaged.
///
/// # Errors
/// [`SyncError::NotHere`], [`SyncError::AmbiguousName`]; [`SyncError::NothingWhole`] if no record would be left; [`SyncError::Path`].
pub fn repair(ctx: &Context<'_>, request: &RepairRequest) -> Result<RepairReport, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let found = workspace.discover()?;
    let id = session_named(&request.session, found.sessions.keys())?;
    let here = id.and_then(|id| found.sessions.get(&id));
    let here = here.ok_or_else(|| SyncError::NotHere {
        session: request.session.clone(),
    })?;
    let running = live_sessions(&ctx.env.claude_dir).get(&here.id).copied();
    let local = Local {
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
    local: &'a Local<'a>,
}

/// What healing a file gives, without its text.
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
            return Err(SyncError::NothingWhole {
                session: session.id.clone(),
            });
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

    /// The healed transcript, as it is, at `path`.
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

    /// The healed session under an id of its own, in the same project directory, where the client lists it.
    fn copy_session(&self, transcript: &PlannedOutcome) -> Result<HealedCopy, SyncError> {
        let session = self.session();
        let copy = repaired_id(&session.id, &transcript.hash);
        let path = transcript_path(&session.directory, &copy);
        if path.exists() {
            return Ok(transcript.copied(Some(copy), &path, true));
        }
        // The transcript comes last: a session that the client can see has everything beside it.
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

    fn write_as_it_is(&self, name: &SessionFile, target: &Path) -> Result<(), SyncError> {
        let text = self.local.open(name, 0)?;
        let mut file = AtomicFile::create(target)?;
        text.each_piece(|piece| Ok(file.put(piece)?))?;
        file.commit()?;
        Ok(())
    }

    /// Writes the healed file, and what is no part of it beside it.
    fn write_healed(
        &self,
        name: &SessionFile,
        target: &Path,
        copy: Option<&SessionId>,
    ) -> Result<(), SyncError> {
        let mut file = AtomicFile::create(target)?;
        let mut fragments = None;
        self.heal(name, &mut |healed| {
            if !healed.fragments.is_empty() {
                if fragments.is_none() {
                    fragments = Some(AtomicFile::create(&fragments_path(target))?);
                }
                if let Some(fragments) = &mut fragments {
                    fragments.put(&healed.fragments)?;
                }
            }
            match copy {
                Some(copy) => file.put(&renamed(&healed.text, &self.session().id, copy))?,
                None => file.put(&healed.text)?,
            }
            Ok(())
        })?;
        fragments.map(AtomicFile::commit).transpose()?;
        file.commit()?;
        Ok(())
    }

    fn preview_outcome(&self, name: &SessionFile) -> Result<PlannedOutcome, SyncError> {
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

    /// Hands over the healed file piece by piece.
    fn heal(
        &self,
        name: &SessionFile,
        put: &mut dyn FnMut(&Healed) -> Result<(), SyncError>,
    ) -> Result<Vec<Finding>, SyncError> {
        let mut survey = Survey::default();
        self.pieces(name, &mut |piece| {
            survey.lines(piece);
            Ok(())
        })?;
        let mut healer = Healer::new(survey);
        self.pieces(name, &mut |piece| {
            let mut healed = Healed::default();
            healer.lines(piece, &mut healed);
            put(&healed)
        })?;
        Ok(healer.finish())
    }

    fn pieces(
        &self,
        name: &SessionFile,
        each: &mut dyn FnMut(&[u8]) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        self.local.open(name, 0)?.each_piece(|piece| {
            signal::check()?;
            each(piece)?;
            self.ctx.progress.advance(0, piece.len() as u64);
            Ok(())
        })
    }
}

impl PlannedOutcome {
    fn copied(&self, session: Option<SessionId>, path: &Path, was_there: bool) -> HealedCopy {
        let fragments = self.has_fragments.then(|| fragments_path(path));
        HealedCopy {
            session,
            path: path.to_owned(),
            lines: self.lines,
            bytes: self.bytes,
            fragments,
            was_there,
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

/// Where the fragments lie that are no part of the copy at `path`. No client takes a file of this name for a session.
fn fragments_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".fragments");
    path.with_file_name(name)
}
