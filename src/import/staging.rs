//! Writes a copy of a session to a private directory, as its machines had it. There the
//! comparison and the collector find it like any session of this machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::domain::{SessionFile, SessionId, client_dir::client_dir_name};
use crate::import::{
    agents::AgentFile, lines::LineReader, metadata::MAX_TEXT_BYTES, source_machine::SourceMachine,
    text::compact, text::is_json, text::local_line, text::portable_line,
};
use crate::localize::{Localizer, StoredDataError, StoredLineReader, StoredText};
use crate::session::{
    Facts, LocalSession, discover::discover, files::file_path, files::projects_dir,
    files::transcript_path,
};
use crate::store::{Snapshot, manifest::Run};
use crate::sys::{fs::AtomicFile, fs::FileStamp, fs::PathError, fs::create_private_dir_all};
use crate::workspace::{LookupScope, SyncError};

/// A transcript of the source, up to a certain line.
pub(crate) struct SourceTranscript<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) path: &'a Path,
    /// The machines that wrote its lines, in order.
    pub(crate) stretches: &'a [StagedLines<'a>],
    /// All machines of the source: the session may have come to this machine from any of them.
    pub(crate) machines: &'a [SourceMachine],
    /// The directory in the client if no record names a working directory.
    pub(crate) fallback_directory: &'a str,
}

/// Lines by one machine.
#[derive(Clone, Copy)]
pub(crate) struct StagedLines<'a> {
    pub(crate) machine: &'a SourceMachine,
    pub(crate) lines: u64,
}

/// The result of staging a transcript.
pub(crate) enum Staged {
    Session(LocalSession),
    /// The transcript is refused for this reason.
    Refused(&'static str),
}

/// Writes a transcript below `target`, which is emptied first. Lines that `snapshot` has in
/// another spelling are written in that one.
pub(crate) fn stage(
    source: &SourceTranscript<'_>,
    target: &Path,
    localizer: &Localizer,
    snapshot: &Snapshot<'_>,
) -> Result<Staged, SyncError> {
    let _ = fs::remove_dir_all(target);
    create_private_dir_all(target)?;
    let raw = target.join("transcript");
    let mut output = StagedTranscript {
        file: AtomicFile::create(&raw)?,
        facts: Facts::default(),
    };
    let mut lines = LocalLines {
        lines: LineReader::open(source.path)?,
        stretches: source.stretches.iter(),
        current: None,
        peeked: None,
    };
    write_stored_lines(source, localizer, snapshot, &mut lines, &mut output)?;
    while let Some(line) = lines.next()? {
        output.write_line(&line.local)?;
    }

    let StagedTranscript { file, facts } = output;
    if facts.cwds.iter().any(|cwd| is_unsafe(cwd)) {
        return Ok(Staged::Refused("invalid working directory"));
    }
    file.commit_without_sync()?;
    let cwd = facts.cwds.first();
    let directory = cwd.map_or_else(
        || source.fallback_directory.to_owned(),
        |cwd| client_dir_name(cwd),
    );
    let directory = projects_dir(target).join(directory);
    create_private_dir_all(&directory)?;
    let path = transcript_path(&directory, source.session);
    fs::rename(&raw, &path).map_err(|e| PathError::new("write", &path, e))?;
    let session = discover(target)?.sessions.remove(source.session);
    session
        .map(Staged::Session)
        .ok_or_else(|| LookupScope::Here.no_session(source.session).into())
}

/// Copies files of sub-agents below `target`, which is emptied first, as a session without a
/// transcript.
pub(crate) fn stage_agents<'f>(
    session: &SessionId,
    files: impl Iterator<Item = &'f AgentFile>,
    target: &Path,
) -> Result<LocalSession, SyncError> {
    let _ = fs::remove_dir_all(target);
    let directory = projects_dir(target).join("-");
    let mut staged = LocalSession {
        id: session.clone(),
        directory: directory.clone(),
        files: BTreeMap::new(),
        copied_transcript: None,
    };
    for file in files {
        let name = SessionFile::from(file.name.clone());
        let path = file_path(&directory, session, &name);
        create_private_dir_all(path.parent().unwrap_or(target))?;
        copy_file(file, &path)?;
        staged.files.insert(name, FileStamp::read(&path)?);
    }
    Ok(staged)
}

fn copy_file(file: &AgentFile, to: &Path) -> Result<(), PathError> {
    let fail = |source| PathError::new("read", &file.path, source);
    let mut from = File::open(&file.path).map_err(fail)?.take(file.bytes);
    let mut copy = AtomicFile::create(to)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match from.read(&mut piece).map_err(fail)? {
            0 => break,
            read => copy.append(&piece[..read])?,
        }
    }
    copy.commit_without_sync()?;
    Ok(())
}

/// Returns true for a working directory that the store would refuse.
fn is_unsafe(cwd: &str) -> bool {
    cwd.len() > MAX_TEXT_BYTES || cwd.split(['/', '\\']).any(|part| part == "..")
}

/// The transcript that is written.
struct StagedTranscript {
    file: AtomicFile,
    facts: Facts,
}

impl StagedTranscript {
    fn write_line(&mut self, line: &[u8]) -> Result<(), StoredDataError> {
        if self.facts.cwds.is_empty() {
            self.facts.absorb(line);
        }
        self.file.append(line)?;
        Ok(self.file.append(b"\n")?)
    }
}

/// Reads the lines of a transcript of the source.
struct LocalLines<'a> {
    lines: LineReader,
    stretches: std::slice::Iter<'a, StagedLines<'a>>,
    /// The rest of the current stretch.
    current: Option<StagedLines<'a>>,
    peeked: Option<SourceLine>,
}

struct SourceLine {
    /// The line in the source, without white space between tokens.
    portable: Vec<u8>,
    /// The line on the machine that wrote it.
    local: Vec<u8>,
}

impl SourceLine {
    /// Returns true if `text`, a line of this store, is the same record: on the machine that
    /// wrote it, or in the form that the other program would have made of it on one of its
    /// machines. A `{{HOME}}` that the user typed counts as a directory.
    fn is_same(&self, text: &[u8], machines: &[SourceMachine]) -> bool {
        let mut paths = machines.iter().map(|machine| &machine.json_paths);
        compact(text) == self.local || paths.any(|p| portable_line(text, p) == self.portable)
    }
}

impl LocalLines<'_> {
    /// Returns the next line without consuming it.
    fn peek(&mut self) -> Result<Option<&SourceLine>, StoredDataError> {
        if self.peeked.is_none() {
            self.peeked = self.next()?;
        }
        Ok(self.peeked.as_ref())
    }

    fn next(&mut self) -> Result<Option<SourceLine>, StoredDataError> {
        if let Some(line) = self.peeked.take() {
            return Ok(Some(line));
        }
        while self.current.is_none_or(|stretch| stretch.lines == 0) {
            let Some(next) = self.stretches.next() else {
                return Ok(None);
            };
            self.current = Some(*next);
        }
        let Some(stretch) = &mut self.current else {
            return Ok(None);
        };
        stretch.lines -= 1;
        let line = self.lines.next()?;
        Ok(line.map(|raw| SourceLine {
            local: local_line(&raw, &stretch.machine.json_paths),
            portable: compact(&raw),
        }))
    }
}

/// Writes the lines that the store has, in its spelling.
///
/// The other program writes each record with other white space, and drops what is not a record.
/// So its copy of a session that is here differs from it in every byte, though it has the same
/// records.
fn write_stored_lines(
    source: &SourceTranscript<'_>,
    localizer: &Localizer,
    snapshot: &Snapshot<'_>,
    lines: &mut LocalLines<'_>,
    output: &mut StagedTranscript,
) -> Result<(), StoredDataError> {
    // An unreadable manifest is reported by the comparison.
    let Ok(Some(manifest)) = snapshot.manifest(source.session) else {
        return Ok(());
    };
    let stored = StoredText::transcript(snapshot, &manifest);
    let reader = localizer.reader(&manifest, source.session, stored.kind());
    stored.walk(0, &mut |piece| {
        for line in piece.text.split_inclusive(|b| *b == b'\n') {
            let Some(next) = lines.peek()? else {
                return Ok(false);
            };
            let Some(text) = find_reading(&reader, piece.run, line, next, source.machines)? else {
                return Ok(false);
            };
            // The source dropped what is not a record, unless another program added the same
            // text.
            if is_json(&text) || text == next.local {
                lines.next()?;
            }
            if !piece.run.torn {
                output.write_line(&text)?;
            }
        }
        Ok(true)
    })
}

/// Returns the stored line, without its line end, in the reading that equals `next`; or in any
/// reading that is not a record.
fn find_reading(
    reader: &StoredLineReader<'_>,
    run: &Run,
    line: &[u8],
    next: &SourceLine,
    machines: &[SourceMachine],
) -> Result<Option<Vec<u8>>, StoredDataError> {
    for reading in reader.readings(run, line) {
        let text = reader.read(run, reading, line)?;
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        if run.torn || !is_json(text) || next.is_same(text, machines) {
            return Ok(Some(text.to_vec()));
        }
    }
    Ok(None)
}
