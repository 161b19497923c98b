//! Reads the sub-agents that claude-session-sync keeps outside of sessions, and finds the
//! session of each.
//!
//! That program copies the client's directory `subagents/`. The records of a transcript there
//! name their session, and its file name is that of the agent. Must not assign a file that
//! tells neither.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::{RelativeName, SessionId};
use crate::import::directory::SourceDirectory;
use crate::import::lines::LineReader;
use crate::import::session_list::MAX_TRANSCRIPT_BYTES;

const DIRECTORY: &str = "subagents";
const TRANSCRIPT: &str = ".jsonl";
const DESCRIPTION: &str = ".meta.json";

const NO_SESSION: &str = "it does not say which session it belongs to";

/// A file of a sub-agent.
#[derive(Debug, Clone)]
pub(crate) struct AgentFile {
    pub(crate) path: PathBuf,
    /// Its name in the directory of the session.
    pub(crate) name: RelativeName,
    pub(crate) bytes: u64,
    /// The first working directory that its records name.
    pub(crate) cwd: Option<String>,
}

/// Files of sub-agents by session.
pub(crate) type AgentFiles = BTreeMap<SessionId, Vec<AgentFile>>;

/// The fields of a record that tell its owner.
#[derive(Deserialize)]
struct AgentRecord {
    #[serde(rename = "sessionId")]
    session: Option<String>,
    #[serde(rename = "agentId")]
    agent: Option<String>,
    cwd: Option<String>,
}

/// The session of a sub-agent.
#[derive(Debug, Clone)]
struct AgentOwner {
    session: SessionId,
    /// The first working directory that the records name.
    cwd: Option<String>,
}

/// Reads the sub-agents of `source`. Leaves those without a session.
pub(crate) fn read(source: &mut SourceDirectory) -> AgentFiles {
    let mut agents = AgentFiles::new();
    if source.kind(DIRECTORY).is_none() {
        return agents;
    }
    let files = source.plain_files_below(&source.root().join(DIRECTORY));
    let is_transcript = |(path, _): &(PathBuf, u64)| path.to_string_lossy().ends_with(TRANSCRIPT);
    let (transcripts, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_transcript);

    // The description of an agent belongs to the session of its transcript.
    let mut owners: BTreeMap<String, AgentOwner> = BTreeMap::new();
    for (path, bytes) in transcripts {
        let owner = find_owner(&path, bytes);
        let added = owner.and_then(|owner| {
            add(&mut agents, &owner, &path, bytes)?;
            Ok(owner)
        });
        match (added, stem_of(&path, TRANSCRIPT)) {
            (Ok(owner), Some(stem)) => drop(owners.insert(stem, owner)),
            (Ok(_), None) => {}
            (Err(reason), _) => source.leave(&path, reason),
        }
    }
    for (path, bytes) in others {
        let owner = stem_of(&path, DESCRIPTION).and_then(|stem| owners.get(&stem));
        let added = owner
            .ok_or(NO_SESSION)
            .and_then(|owner| add(&mut agents, owner, &path, bytes));
        if let Err(reason) = added {
            source.leave(&path, reason);
        }
    }
    agents
}

/// Returns the path without `suffix`.
fn stem_of(path: &Path, suffix: &str) -> Option<String> {
    path.to_str()?.strip_suffix(suffix).map(str::to_owned)
}

fn file_name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

fn add(
    agents: &mut AgentFiles,
    owner: &AgentOwner,
    path: &Path,
    bytes: u64,
) -> Result<(), &'static str> {
    let name = format!("{DIRECTORY}/{}", file_name(path));
    let name = RelativeName::new(name).map_err(|_| NO_SESSION)?;
    let files = agents.entry(owner.session.clone()).or_default();
    if files.iter().any(|file| file.name == name) {
        return Err("another file of this name belongs to the same session");
    }
    files.push(AgentFile {
        path: path.to_owned(),
        name,
        bytes,
        cwd: owner.cwd.clone(),
    });
    Ok(())
}

/// Returns the session that the records of a transcript name.
fn find_owner(path: &Path, bytes: u64) -> Result<AgentOwner, &'static str> {
    const UNREADABLE: &str = "it cannot be read";
    if bytes > MAX_TRANSCRIPT_BYTES {
        return Err("too large for a transcript");
    }
    let agent = file_name(path).strip_prefix("agent-");
    let agent = agent.and_then(|rest| rest.strip_suffix(TRANSCRIPT));
    let agent = agent.ok_or(NO_SESSION)?;

    let mut lines = LineReader::open(path).map_err(|_| UNREADABLE)?;
    let (mut session, mut cwd) = (None, None);
    while let Some(line) = lines.next().map_err(|_| UNREADABLE)? {
        let Ok(record) = serde_json::from_slice::<AgentRecord>(&line) else {
            continue;
        };
        if record.agent.is_some_and(|named| named != agent) {
            return Err("its records name another sub-agent than its file name");
        }
        if record.session.is_some() && session.is_some() && record.session != session {
            return Err("its records name several sessions");
        }
        session = session.or(record.session);
        cwd = cwd.or(record.cwd);
    }
    let session = session.and_then(|session| session.parse().ok());
    let session = session.ok_or(NO_SESSION)?;
    Ok(AgentOwner { session, cwd })
}
