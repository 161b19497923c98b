//! A stored copy written out as its machine had it, in a private place, where the comparison and the collector find it like any session.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::domain::client_dir::client_dir_name;
use crate::domain::id::SessionId;
use crate::domain::session_file::SessionFile;
use crate::import::agents::AgentFile;
use crate::import::inventory::Lines;
use crate::import::origin::Origin;
use crate::import::text::{compact, is_json, local_line, portable_line};
use crate::localize::error::StoredDataError;
use crate::localize::localizer::{Localizer, Reader};
use crate::localize::stored_text::StoredText;
use crate::session::LocalSession;
use crate::session::discover::discover;
use crate::session::facts::Facts;
use crate::session::files::projects_dir;
use crate::session::files::{file_path, transcript_path};
use crate::store::Snapshot;
use crate::store::manifest::Run;
use crate::sys::fs::{AtomicFile, FileStamp, PathError, create_private_dir_all};
use crate::workspace::error::SyncError;
use crate::workspace::lookup::LookupScope;

/// One copy, and how far it is to be written out.
pub(crate) struct Copy<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) path: &'a Path,
    /// Who wrote how many lines, in order.
    pub(crate) writers: &'a [(&'a Origin, u64)],
    /// Every machine of the source: any of them may have brought the session here.
    pub(crate) origins: &'a [Origin],
    /// The client's directory if no record names a working directory.
    pub(crate) otherwise: &'a str,
}

/// Writes `copy` below `place`, which is emptied first, or says why it is refused. What `snapshot` has of the session in another spelling
/// is written in that.
pub(crate) fn stage(
    copy: &Copy<'_>,
    place: &Path,
    localizer: &Localizer,
    snapshot: &Snapshot<'_>,
) -> Result<Result<LocalSession, String>, SyncError> {
    let _ = std::fs::remove_dir_all(place);
    create_private_dir_all(place)?;
    let raw = place.join("transcript");
    let mut staged = Staged {
        file: AtomicFile::create(&raw)?,
        facts: Facts::default(),
    };
    let mut lines = LocalLines {
        lines: Lines::open(copy.path)?,
        writers: copy.writers,
        left: 0,
        waiting: None,
    };
    adopt(copy, localizer, snapshot, &mut lines, &mut staged)?;
    while let Some(line) = lines.next()? {
        staged.put(&line.local)?;
    }
    let Staged { file, facts } = staged;
    if facts.cwds.iter().any(|cwd| leads_astray(cwd)) {
        return Ok(Err(
            "its working directory is not one that the client has".to_owned()
        ));
    }
    file.commit_without_sync()?;
    let directory = facts
        .cwds
        .first()
        .map_or_else(|| copy.otherwise.to_owned(), |cwd| client_dir_name(cwd));
    let directory = projects_dir(place).join(directory);
    create_private_dir_all(&directory)?;
    let path = transcript_path(&directory, copy.session);
    std::fs::rename(&raw, &path).map_err(|e| PathError::new("write", &path, e))?;
    let found = discover(place)?.sessions.remove(copy.session);
    found
        .map(Ok)
        .ok_or_else(|| LookupScope::Here.no_session(&copy.session).into())
}

/// Copies files of sub-agents below `place`, which is emptied first, to where the client has them: a session without its transcript.
pub(crate) fn stage_agents<'f>(
    session: &SessionId,
    files: impl Iterator<Item = &'f AgentFile>,
    place: &Path,
) -> Result<LocalSession, SyncError> {
    let _ = std::fs::remove_dir_all(place);
    let directory = projects_dir(place).join("-");
    let mut staged = LocalSession {
        id: session.clone(),
        directory: directory.clone(),
        files: BTreeMap::new(),
    };
    for file in files {
        let name = SessionFile::from(file.name.clone());
        let path = file_path(&directory, session, &name);
        create_private_dir_all(path.parent().unwrap_or(place))?;
        let mut copy = AtomicFile::create(&path)?;
        let fail = |source| PathError::new("read", &file.path, source);
        let mut from = File::open(&file.path).map_err(fail)?.take(file.bytes);
        let mut piece = vec![0; 1 << 20];
        loop {
            match from.read(&mut piece).map_err(fail)? {
                0 => break,
                read => copy.append(&piece[..read])?,
            }
        }
        copy.commit_without_sync()?;
        staged.files.insert(name, FileStamp::read(&path)?);
    }
    Ok(staged)
}

/// The store refuses such a place, too.
fn leads_astray(cwd: &str) -> bool {
    const LONGEST: usize = 4096;
    cwd.len() > LONGEST || cwd.split(['/', '\\']).any(|part| part == "..")
}

/// The transcript being written out.
struct Staged {
    file: AtomicFile,
    facts: Facts,
}

impl Staged {
    fn put(&mut self, line: &[u8]) -> Result<(), StoredDataError> {
        if self.facts.cwds.is_empty() {
            self.facts.absorb(line);
        }
        self.file.append(line)?;
        Ok(self.file.append(b"\n")?)
    }
}

/// The lines of a copy as their machines had them.
struct LocalLines<'a> {
    lines: Lines,
    writers: &'a [(&'a Origin, u64)],
    /// Lines of the first writer that are left, once it has begun.
    left: u64,
    waiting: Option<Line>,
}

/// A line of a copy.
struct Line {
    /// As it lies there, without white space between its tokens.
    portable: Vec<u8>,
    /// As its machine had it.
    local: Vec<u8>,
}

impl Line {
    /// Whether `text`, a line of this store, is the same record: as its machine had it, or such that the other program would have made of it,
    /// on one of its machines, what lies there. It does not tell `{{HOME}}` that somebody typed from a directory.
    fn is(&self, text: &[u8], origins: &[Origin]) -> bool {
        compact(text) == self.local
            || origins
                .iter()
                .any(|origin| portable_line(text, &origin.directories) == self.portable)
    }
}

impl LocalLines<'_> {
    /// The next line, which stays the next one.
    fn peek(&mut self) -> Result<Option<&Line>, StoredDataError> {
        if self.waiting.is_none() {
            self.waiting = self.next()?;
        }
        Ok(self.waiting.as_ref())
    }

    fn next(&mut self) -> Result<Option<Line>, StoredDataError> {
        if let Some(line) = self.waiting.take() {
            return Ok(Some(line));
        }
        while self.left == 0 {
            let Some((_, lines)) = self.writers.first() else {
                return Ok(None);
            };
            self.left = *lines;
            if self.left == 0 {
                self.writers = &self.writers[1..];
            }
        }
        let Some((origin, _)) = self.writers.first() else {
            return Ok(None);
        };
        let line = self.lines.next()?;
        let line = line.map(|raw| Line {
            local: local_line(&raw, &origin.directories),
            portable: compact(&raw),
        });
        self.left -= 1;
        if self.left == 0 {
            self.writers = &self.writers[1..];
        }
        Ok(line)
    }
}

/// Writes the lines that the store has, as it has them: the other program writes each record anew, with other white space, and leaves out
/// what is no record, so that its copy of a session that is here differs from it in every byte and says the same.
fn adopt(
    copy: &Copy<'_>,
    localizer: &Localizer,
    snapshot: &Snapshot<'_>,
    lines: &mut LocalLines<'_>,
    staged: &mut Staged,
) -> Result<(), StoredDataError> {
    // What cannot be read decides nothing here; the comparison names it.
    let Ok(Some(manifest)) = snapshot.manifest(copy.session) else {
        return Ok(());
    };
    let stored = StoredText::transcript(snapshot, &manifest);
    let reader = localizer.reader(&manifest, copy.session, stored.kind());
    stored.walk(0, &mut |piece| {
        for line in piece.text.split_inclusive(|b| *b == b'\n') {
            let Some(next) = lines.peek()? else {
                return Ok(false);
            };
            let Some(text) = as_stored((&reader, piece.run, line), next, copy.origins)? else {
                return Ok(false);
            };
            // What is no record was left out there, unless somebody else has put it in.
            if is_json(&text) || text == next.local {
                lines.next()?;
            }
            if !piece.run.torn {
                staged.put(&text)?;
            }
        }
        Ok(true)
    })
}

/// The stored line, if it says the same as `next` under some reading, or is no record. Without its line end.
fn as_stored(
    (reader, run, line): (&Reader<'_>, &Run, &[u8]),
    next: &Line,
    origins: &[Origin],
) -> Result<Option<Vec<u8>>, StoredDataError> {
    for reading in reader.readings(run) {
        let text = reader.read(run, reading, line)?;
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        if run.torn || !is_json(text) || next.is(text, origins) {
            return Ok(Some(text.to_vec()));
        }
    }
    Ok(None)
}
