//! The manifest of a session: what the store knows of it without reading its text.
//!
//! Owns the format of `manifest.json` (`docs/dev/format.md`) and the checks on what comes from outside. Must not do I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::{MachineId, SessionId};
use crate::domain::path::{PortablePath, RelativeName};
use crate::domain::placeholder::{InvalidPlaceholder, Placeholders};
use crate::domain::project::ProjectGit;
use crate::domain::session_file::SessionFile;

/// The format version this program writes. A newer one is refused, an older one is read.
pub const FORMAT: u32 = 1;

/// A manifest larger than this is refused unread (a 200 MB transcript needs about 100 KB).
pub const MAX_MANIFEST_BYTES: usize = 16 << 20;

/// No system has longer paths.
const MAX_PATH_BYTES: usize = 32 << 10;

/// The manifest of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of this manifest.
    pub format: u32,
    /// The session, equal to the directory's name.
    pub session: SessionId,
    /// Where the session belongs: the working directory it was started in. Absent if no record names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PortablePath>,
    /// The client's directory under `projects/`, collapsed; decides the place of a session without `project`.
    pub directory: String,
    /// What the session may be called, by source.
    #[serde(default)]
    pub titles: Titles,
    /// Time of the newest record, RFC 3339 in UTC as the client wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<String>,
    /// How many turns of a person the transcript holds, where that was counted from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// Whether the transcript holds signed thinking, prompt snapshots or request digests, which are bound to its exact text.
    #[serde(default)]
    pub bound: bool,
    /// Set if this session began as the tail that diverged from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_of: Option<ForkOf>,
    /// What git says of the project, as the machine saw it that stored the session last. A help for `resume`, no part of the session.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "ProjectGit::of_known_format"
    )]
    pub git: Option<ProjectGit>,
    /// The root sets that runs refer to.
    #[serde(rename = "roots")]
    pub placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
    /// The transcript.
    pub transcript: StoredFile,
    /// The files under `<session id>/`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<RelativeName, StoredFile>,
}

/// Titles by source; the client prefers them in this order (client 2.1.329).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Titles {
    /// `customTitle` of `custom-title.json` or of the last `custom-title` record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<String>,
    /// `aiTitle` of the last `ai-title` record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<String>,
    /// The last prompt, cut to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_prompt: Option<String>,
    /// The first prompt, cut to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_prompt: Option<String>,
}

/// From where a fork comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkOf {
    /// The session whose id stayed with the other tail.
    pub session: SessionId,
    /// How many transcript lines both have in common.
    pub lines: u64,
}

/// Names a root set inside one manifest: the first 16 hexadecimal digits of its BLAKE3 hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlaceholdersKey(String);

/// One file of a session: its segments, and who wrote which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The segments in order.
    pub segments: Vec<Segment>,
    /// The runs in order; their lines add up to those of the segments.
    pub runs: Vec<Run>,
    /// The last line has no line end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unterminated: bool,
    /// BLAKE3 (as in [`Segment::local_hash`]) of portable contents that this file replaced, oldest first, at most
    /// [`MAX_SUPERSEDED`]; only for files that the client rewrites in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<String>,
}

/// How many replaced contents a file remembers.
pub const MAX_SUPERSEDED: usize = 32;

/// A bounded, line-aligned piece of portable text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Bytes of portable text.
    pub bytes: u64,
    /// Lines that end in this segment, an unterminated last line of the file included.
    pub lines: u64,
    /// Bytes of those lines as their machines wrote them.
    pub local_bytes: u64,
    /// First 32 hexadecimal digits of the BLAKE3 hash of those lines as their machines wrote them.
    pub local_hash: String,
}

/// Consecutive lines written by one machine under one set of roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Who wrote the lines.
    pub machine: MachineId,
    /// Which roots they were collapsed with.
    #[serde(rename = "roots")]
    pub placeholders: PlaceholdersKey,
    /// How many lines.
    pub lines: u64,
    /// The lines are stored as they were, because collapsing them could not be undone exactly.
    #[serde(default, skip_serializing_if = "is_false")]
    pub verbatim: bool,
    /// One line that its machine never finished: it stays in the store and on its origin.
    #[serde(default, skip_serializing_if = "is_false")]
    pub torn: bool,
    /// The id of the session these lines were written under, where that is not this session's (forks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_as: Option<SessionId>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(b: &bool) -> bool {
    !b
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON of the expected shape.
    #[error("the manifest is malformed")]
    Malformed(#[source] serde_json::Error),
    /// Written by a newer version of this program.
    #[error("the manifest has format {0}, this ccsync reads up to {FORMAT}; update ccsync")]
    Newer(u32),
    /// The numbers in it contradict each other or point nowhere.
    #[error("the manifest is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// A root in it is not one.
    #[error("the manifest holds a bad root")]
    Placeholder(#[from] InvalidPlaceholder),
    /// Larger than any honest one.
    #[error("the manifest has {0} bytes, the limit is {MAX_MANIFEST_BYTES}")]
    TooLarge(usize),
}

/// A file format that only says which version it is.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// Reads `json`, refusing a newer format before looking at anything else in it.
pub(super) fn parse_versioned<T: serde::de::DeserializeOwned>(
    json: &[u8],
) -> Result<T, ManifestError> {
    if json.len() > MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge(json.len()));
    }
    let version: Versioned = serde_json::from_slice(json).map_err(ManifestError::Malformed)?;
    if version.format > FORMAT {
        return Err(ManifestError::Newer(version.format));
    }
    serde_json::from_slice(json).map_err(ManifestError::Malformed)
}

/// Pretty JSON with a final newline: the store is meant to be read, and `git log -p` to be useful.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value)
        .expect("maps with text keys and plain values always serialise");
    json.push(b'\n');
    json
}

impl Manifest {
    /// Reads and checks the manifest of `session`.
    ///
    /// # Errors
    /// See [`ManifestError`]; a manifest that is accepted can be trusted not to index outside its own lists.
    pub fn parse(session: &SessionId, json: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest: Self = parse_versioned(json)?;
        if manifest.session != *session {
            return Err(ManifestError::Inconsistent("it names another session"));
        }
        let project = manifest.project.as_ref().map_or("", PortablePath::as_str);
        if project.len() > MAX_PATH_BYTES || manifest.directory.len() > MAX_PATH_BYTES {
            return Err(ManifestError::Inconsistent(
                "its place is longer than any path",
            ));
        }
        if project.split(['/', '\\']).any(|part| part == "..") {
            return Err(ManifestError::Inconsistent("its project leads upwards"));
        }
        // No line is two turns. Nothing depends on the number.
        manifest.turns = manifest.turns.filter(|turns| {
            *turns
                <= manifest
                    .transcript
                    .runs
                    .iter()
                    .fold(0, |sum: u64, run| sum.saturating_add(run.lines))
        });
        for (_, file) in manifest.all_files() {
            file.check(&manifest.placeholders)?;
        }
        let placeholders = std::mem::take(&mut manifest.placeholders);
        for (key, set) in placeholders {
            manifest.placeholders.insert(key, set.validated()?);
        }
        Ok(manifest)
    }

    /// The bytes of `manifest.json`.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// Lists the transcript, then the other files.
    pub fn all_files(&self) -> impl Iterator<Item = (SessionFile, &StoredFile)> {
        let named = self.files.iter();
        std::iter::once((SessionFile::Transcript, &self.transcript))
            .chain(named.map(|(name, file)| (name.clone().into(), file)))
    }

    /// Returns a file of the session.
    pub fn file(&self, file: &SessionFile) -> Option<&StoredFile> {
        match file {
            SessionFile::Transcript => Some(&self.transcript),
            SessionFile::Named(name) => self.files.get(name),
        }
    }

    /// Returns a file of the session for a change.
    pub fn file_mut(&mut self, file: &SessionFile) -> Option<&mut StoredFile> {
        match file {
            SessionFile::Transcript => Some(&mut self.transcript),
            SessionFile::Named(name) => self.files.get_mut(name),
        }
    }

    /// The machine that wrote the last line.
    pub fn last_writer(&self) -> Option<&MachineId> {
        self.transcript.runs.last().map(|run| &run.machine)
    }

    /// Bytes of all files as their machines wrote them.
    pub fn local_bytes(&self) -> u64 {
        self.all_files().map(|(_, file)| file.local_bytes()).sum()
    }

    /// Adds `set` and returns the key that runs refer to it by.
    pub fn intern_placeholders(&mut self, set: &Placeholders) -> PlaceholdersKey {
        let key = PlaceholdersKey::of(set);
        self.placeholders
            .entry(key.clone())
            .or_insert_with(|| set.clone());
        key
    }

    /// Drops root sets that no run refers to.
    pub fn prune_placeholders(&mut self) {
        let used: std::collections::BTreeSet<_> = self
            .all_files()
            .flat_map(|(_, f)| f.runs.iter().map(|r| r.placeholders.clone()))
            .collect();
        self.placeholders.retain(|key, _| used.contains(key));
    }
}

impl Titles {
    /// The title the client's picker would show.
    pub fn shown(&self) -> Option<&str> {
        [
            &self.custom,
            &self.ai,
            &self.last_prompt,
            &self.first_prompt,
        ]
        .into_iter()
        .find_map(|t| t.as_deref())
    }
}

impl PlaceholdersKey {
    /// The key of `set`.
    pub fn of(set: &Placeholders) -> Self {
        let json = serde_json::to_vec(set).expect("plain data always serialises");
        Self(blake3::hash(&json).to_hex()[..16].to_owned())
    }
}

impl StoredFile {
    /// Lines in all segments.
    pub fn lines(&self) -> u64 {
        self.segments.iter().map(|s| s.lines).sum()
    }

    /// Bytes of portable text in all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    /// Bytes as the machines wrote them.
    pub fn local_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.local_bytes).sum()
    }

    /// Remembers `earlier`, which this file replaces, by the hash of its portable text.
    pub fn supersede(&mut self, earlier: &Self, portable_hash: String) {
        self.superseded.clone_from(&earlier.superseded);
        self.superseded.push(portable_hash);
        let excess = self.superseded.len().saturating_sub(MAX_SUPERSEDED);
        self.superseded.drain(..excess);
    }

    fn check(
        &self,
        placeholders: &BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Result<(), ManifestError> {
        let in_segments = checked_sum(self.segments.iter().map(|s| s.lines));
        let in_runs = checked_sum(self.runs.iter().map(|r| r.lines));
        if in_segments.is_none() || in_segments != in_runs {
            return Err(ManifestError::Inconsistent(
                "its runs and segments count different lines",
            ));
        }
        if checked_sum(self.segments.iter().map(|s| s.bytes)).is_none()
            || checked_sum(self.segments.iter().map(|s| s.local_bytes)).is_none()
        {
            return Err(ManifestError::Inconsistent("its sizes are impossible"));
        }
        if self
            .runs
            .iter()
            .any(|run| !placeholders.contains_key(&run.placeholders))
        {
            return Err(ManifestError::Inconsistent(
                "a run names roots that are not listed",
            ));
        }
        if self.runs.iter().any(|run| run.torn && run.lines != 1) {
            return Err(ManifestError::Inconsistent(
                "a torn run has more than one line",
            ));
        }
        Ok(())
    }
}

fn checked_sum(mut counts: impl Iterator<Item = u64>) -> Option<u64> {
    counts.try_fold(0, u64::checked_add)
}

/// First 32 hexadecimal digits of the BLAKE3 hash: 128 bits, against accidents; git's own hashes guard the store.
pub fn short_hash(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..32].to_owned()
}
