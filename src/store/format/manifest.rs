//! The manifest of a session: everything the store knows about it except its text.
//!
//! Owns the format of `manifest.json` (`docs/dev/format.md`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::json::{FORMAT, ManifestError, parse_versioned, require, to_json};
use crate::domain::{
    MachineId, Placeholder, PlaceholderName, Placeholders, PortablePath, ProjectGit,
    ProjectIdentity, RelativeName, SessionFile, SessionId, System,
};

/// Longest path of any system.
pub(super) const MAX_PATH_BYTES: usize = 32 << 10;

/// The manifest of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version: that of the file is replaced by [`FORMAT`] when the file is read.
    pub format: u32,
    /// The session. Equals the name of the manifest's directory.
    pub session: SessionId,
    /// The working directory in which the session was started. Absent if no record names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PortablePath>,
    /// The client's directory under `projects/`, collapsed. Locates a session without `project`.
    pub directory: String,
    /// Titles of the session, by source.
    #[serde(default)]
    pub titles: Titles,
    /// Tag and other properties, for lists.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Time of the newest record: RFC 3339 in UTC, as the client wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<String>,
    /// Number of turns in the transcript. Absent if they were not counted from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// True if the transcript holds signed thinking, prompt snapshots or request digests. They
    /// are bound to its exact text.
    #[serde(default)]
    pub bound: bool,
    /// The session from which this one forked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_of: Option<ForkOf>,
    /// The session in which the conversation goes on under another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_in: Option<SessionId>,
    /// State of the project's git repository on the machine that last stored the session. Helps
    /// `resume` and is not a part of the session.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "ProjectGit::deserialize_known_format"
    )]
    pub git: Option<ProjectGit>,
    /// Identities of the projects that the session has left, by the placeholders of the lines that
    /// were written there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub former_projects: BTreeMap<PlaceholdersKey, ProjectIdentity>,
    /// The placeholders that runs refer to.
    #[serde(alias = "roots")]
    pub placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
    /// The transcript.
    pub transcript: StoredFile,
    /// The files under `<session id>/`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<RelativeName, StoredFile>,
    /// Files that the client removed because they are finished, with the hashes of their contents:
    /// a machine with one of these contents removes it, too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<RelativeName, Vec<String>>,
}

/// Titles by source, in the order in which the client prefers them (client 2.1.329).
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

/// Properties for lists, besides the titles (client 2.1.332). Earlier programs wrote none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The user's tag: `tag` of the last `tag` record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The session was continued last without a terminal (`claude -p`, SDK).
    #[serde(default, skip_serializing_if = "is_false")]
    pub headless: bool,
    /// `archived` of `archived.json`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub archived: bool,
}

impl Labels {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Origin of a fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkOf {
    /// The session that kept its id.
    pub session: SessionId,
    /// Number of transcript lines that both have in common.
    pub lines: u64,
}

/// Key of placeholders inside one manifest: first 16 hexadecimal digits of their BLAKE3 hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlaceholdersKey(String);

/// One file of a session: its segments, and which machine wrote which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The segments in order.
    pub segments: Vec<Segment>,
    /// The runs in order. Their lines add up to those of the segments.
    pub runs: Vec<Run>,
    /// The last line has no line end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unterminated: bool,
    /// Hashes of earlier portable contents of a file that the client rewrites in place: oldest
    /// first, as in [`Segment::local_hash`].
    #[serde(default, alias = "superseded", skip_serializing_if = "Vec::is_empty")]
    pub previous_hashes: Vec<String>,
}

/// Maximum number of previous hashes of one file.
const MAX_PREVIOUS_HASHES: usize = 128;

/// A bounded, line-aligned piece of portable text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Bytes of portable text.
    pub bytes: u64,
    /// Lines that end in this segment, including an unterminated last line of the file.
    pub lines: u64,
    /// Bytes of these lines as their machines wrote them.
    pub local_bytes: u64,
    /// First 32 hexadecimal digits of the BLAKE3 hash of these lines as their machines wrote them.
    pub local_hash: String,
}

/// Consecutive lines that one machine wrote with the same placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The machine that wrote the lines.
    pub machine: MachineId,
    /// The placeholders that they were collapsed with.
    #[serde(alias = "roots")]
    pub placeholders: PlaceholdersKey,
    /// Number of lines.
    pub lines: u64,
    /// The lines are stored unchanged, because collapsing them could not be undone exactly.
    #[serde(default, skip_serializing_if = "is_false")]
    pub verbatim: bool,
    /// One line that its machine never finished. It is not pulled to other machines.
    #[serde(default, skip_serializing_if = "is_false")]
    pub torn: bool,
    /// The session under whose id the lines were written, if it is another one (forks).
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

impl Manifest {
    /// Parses and checks the manifest of `session`. Indices in an accepted one are valid.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(session: &SessionId, json: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest: Self = parse_versioned(json)?;
        manifest.format = FORMAT;
        require(manifest.session == *session, "it names another session")?;
        let project = manifest.project.as_ref().map_or("", PortablePath::as_str);
        let longest = project.len().max(manifest.directory.len());
        require(longest <= MAX_PATH_BYTES, "its path is too long")?;
        let leads_upwards = project.split(['/', '\\']).any(|part| part == "..");
        require(!leads_upwards, "its project path contains `..`")?;
        for (_, file) in manifest.all_files() {
            file.check(&manifest.placeholders)?;
        }

        // A transcript cannot have more turns than lines. Nothing depends on the number.
        let lines = manifest.transcript.lines();
        manifest.turns = manifest.turns.filter(|turns| *turns <= lines);
        manifest.placeholders = validated(manifest.placeholders)?;
        Ok(manifest)
    }

    /// Returns the bytes of `manifest.json`.
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

    /// Returns the machine that wrote the last line of the transcript.
    pub fn last_writer(&self) -> Option<&MachineId> {
        self.transcript.runs.last().map(|run| &run.machine)
    }

    /// Returns the bytes of all files as their machines wrote them.
    pub fn local_bytes(&self) -> u64 {
        self.all_files().map(|(_, file)| file.local_bytes()).sum()
    }

    /// Returns true if the first lines of the transcript belong to the runs of `earlier`, with the
    /// same placeholders, and no line of either is unfinished.
    pub fn continues_runs(&self, earlier: &Self) -> bool {
        let (now, then) = (&self.transcript, &earlier.transcript);
        let is_unfinished = now.unterminated || then.unterminated;
        let is_unfinished = is_unfinished || now.runs.iter().any(|run| run.torn);
        let is_read_alike = |run: &Run| {
            let key = &run.placeholders;
            self.placeholders.get(key) == earlier.placeholders.get(key)
        };
        let Some((last, before)) = then.runs.split_last() else {
            return !is_unfinished;
        };
        let next = now.runs.get(before.len());
        !is_unfinished
            && now.runs.starts_with(before)
            && next.is_some_and(|run| run.continues(last))
            && then.runs.iter().all(is_read_alike)
    }

    /// Adds placeholders and returns the key by which runs refer to them.
    pub fn intern_placeholders(&mut self, placeholders: &Placeholders) -> PlaceholdersKey {
        let key = PlaceholdersKey::new(placeholders);
        self.placeholders
            .entry(key.clone())
            .or_insert_with(|| placeholders.clone());
        key
    }

    /// Takes the project from a version of the session that was moved to another one.
    pub fn follow_move(&mut self, moved: &Self) {
        if moved.former_projects == self.former_projects {
            return;
        }
        self.project.clone_from(&moved.project);
        self.directory.clone_from(&moved.directory);
        self.git.clone_from(&moved.git);
        self.former_projects.clone_from(&moved.former_projects);
    }

    /// Removes placeholders that no run refers to.
    pub fn prune_placeholders(&mut self) {
        let runs = self.all_files().flat_map(|(_, file)| &file.runs);
        let used: BTreeSet<_> = runs.map(|run| run.placeholders.clone()).collect();
        self.placeholders.retain(|key, _| used.contains(key));
        self.former_projects.retain(|key, _| used.contains(key));
    }
}

impl Titles {
    /// Returns the title that the client's own picker shows.
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
    /// Returns the key of `placeholders`.
    pub fn new(placeholders: &Placeholders) -> Self {
        let hashed = HashedPlaceholders::from(placeholders);
        let json = serde_json::to_vec(&hashed).expect("plain data always serialises");
        Self(blake3::hash(&json).to_hex()[..16].to_owned())
    }
}

/// Placeholders as they are hashed. The field names are those of format 1: with others, equal
/// placeholders in older and newer manifests would have different keys.
#[derive(Serialize)]
struct HashedPlaceholders<'a> {
    system: System,
    roots: Vec<HashedPlaceholder<'a>>,
}

#[derive(Serialize)]
struct HashedPlaceholder<'a> {
    name: &'a PlaceholderName,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<&'a str>,
}

impl<'a> From<&'a Placeholders> for HashedPlaceholders<'a> {
    fn from(placeholders: &'a Placeholders) -> Self {
        let hashed = |placeholder: &'a Placeholder| HashedPlaceholder {
            name: &placeholder.name,
            path: &placeholder.directory,
            resolved: placeholder.resolved.as_deref(),
        };
        Self {
            system: placeholders.system,
            roots: placeholders.placeholders.iter().map(hashed).collect(),
        }
    }
}

impl Run {
    /// Returns true if it is `earlier`, perhaps with more lines.
    fn continues(&self, earlier: &Self) -> bool {
        let lines = self.lines.min(earlier.lines);
        let shortened = Self {
            lines,
            ..self.clone()
        };
        shortened == *earlier
    }
}

impl StoredFile {
    /// Returns the lines in all segments.
    pub fn lines(&self) -> u64 {
        self.segments.iter().map(|s| s.lines).sum()
    }

    /// Returns the bytes of all segments as their machines wrote them.
    pub fn local_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.local_bytes).sum()
    }

    /// Returns an id of the content: files with equal ids are equal, whatever came before.
    pub fn version(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for segment in &self.segments {
            hasher.update(format!("{} {}\n", segment.bytes, segment.local_hash).as_bytes());
        }
        short_hash(&hasher)
    }

    /// Records that this file replaces `earlier`, whose portable text has this hash.
    pub fn record_replaced(&mut self, earlier: &Self, portable_hash: String) {
        self.previous_hashes.clone_from(&earlier.previous_hashes);
        self.previous_hashes.push(portable_hash);
        let excess = self
            .previous_hashes
            .len()
            .saturating_sub(MAX_PREVIOUS_HASHES);
        self.previous_hashes.drain(..excess);
    }

    fn check(
        &self,
        placeholders: &BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Result<(), ManifestError> {
        let (segments, runs) = (&self.segments, &self.runs);
        let in_segments = checked_sum(segments.iter().map(|segment| segment.lines));
        let in_runs = checked_sum(runs.iter().map(|run| run.lines));
        require(
            in_segments.is_some() && in_segments == in_runs,
            "runs and segments have different numbers of lines",
        )?;
        require(
            checked_sum(segments.iter().map(|segment| segment.bytes)).is_some()
                && checked_sum(segments.iter().map(|segment| segment.local_bytes)).is_some(),
            "its sizes are too large",
        )?;
        require(
            runs.iter()
                .all(|run| placeholders.contains_key(&run.placeholders)),
            "a run names unknown placeholders",
        )?;
        require(
            runs.iter().all(|run| !run.torn || run.lines == 1),
            "a torn run has more than one line",
        )
    }
}

/// Checks the placeholders of a description.
pub(super) fn validated(
    placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
) -> Result<BTreeMap<PlaceholdersKey, Placeholders>, ManifestError> {
    placeholders
        .into_iter()
        .map(|(key, placeholders)| Ok((key, placeholders.validated()?)))
        .collect()
}

fn checked_sum(mut counts: impl Iterator<Item = u64>) -> Option<u64> {
    counts.try_fold(0, u64::checked_add)
}

/// Returns the first 32 hexadecimal digits of a BLAKE3 hash.
///
/// 128 bits are enough against accidents. Git's own hashes protect the store.
pub fn short_hash(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_key_is_that_of_format_1() {
        let home = Placeholder::new(System::Linux, PlaceholderName::home(), "/home/al", None);
        let placeholders = Placeholders::new(System::Linux, [home.unwrap()]);
        let json = br#"{"system":"linux","roots":[{"name":"HOME","path":"/home/al"}]}"#;
        assert_eq!(
            PlaceholdersKey::new(&placeholders).0,
            blake3::hash(json).to_hex()[..16]
        );
    }

    #[test]
    fn manifest_of_format_1_becomes_one_of_format_2() {
        let former = r#"{"format":1,"session":"11111111-a","directory":"-x","roots":{"k":
            {"system":"linux","roots":[{"name":"HOME","path":"/home/al"}]}},"transcript":
            {"segments":[],"runs":[{"machine":"0123456789abcdef0123456789abcdef","roots":"k",
            "lines":0}],"superseded":["0f"]}}"#;
        let present = former
            .replace(r#""format":1"#, r#""format":2"#)
            .replace("roots", "placeholders")
            .replace("path", "directory")
            .replace("superseded", "previous_hashes");
        let id = "11111111-a".parse().unwrap();
        let [former, present] =
            [former, &present].map(|json| Manifest::parse(&id, json.as_bytes()).unwrap());
        assert_eq!(former, present);
        assert_eq!(present.transcript.previous_hashes, ["0f"]);
    }
}
