//! Sub-agents that claude-session-sync keeps outside of sessions: which session each belongs to.
//!
//! That program copies a directory `subagents/` of the client's as it is. A file of it says itself whose it is: its records name their
//! session, and its name is that of the agent. What does not say so stays where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::import::directory::{Directory, Named};
use crate::import::inventory::Lines;
use crate::import::listing::MAX_TRANSCRIPT_BYTES;

const DIRECTORY: &str = "subagents";
const TRANSCRIPT: &str = ".jsonl";
const DESCRIPTION: &str = ".meta.json";

/// Why a file is left where it is.
const NOBODYS: &str = "it does not say which session it belongs to";

/// A file of a sub-agent.
#[derive(Debug, Clone)]
pub(crate) struct AgentFile {
    pub(crate) path: PathBuf,
    /// Its name beside the session's transcript, as the client has it.
    pub(crate) name: RelativeName,
    pub(crate) bytes: u64,
    /// The first working directory that its records name.
    pub(crate) cwd: Option<String>,
}

/// Files of sub-agents by the session that their records name.
pub(crate) type Agents = BTreeMap<SessionId, Vec<AgentFile>>;

/// What of a record says whose it is.
#[derive(Deserialize)]
struct Record {
    #[serde(rename = "sessionId")]
    session: Option<String>,
    #[serde(rename = "agentId")]
    agent: Option<String>,
    cwd: Option<String>,
}

/// Reads the sub-agents of `directory`; what does not say whose it is is noted in `left`, what cannot be read in `refused`.
pub(crate) fn read(directory: &Directory, left: &mut Named, refused: &mut Named) -> Agents {
    let mut agents = Agents::new();
    if directory.kind(DIRECTORY).is_none() {
        return agents;
    }
    let files = directory.plain_files_below(&directory.root().join(DIRECTORY), refused);
    // What describes an agent belongs to whom its transcript belongs.
    let (transcripts, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|(path, _)| path.to_string_lossy().ends_with(TRANSCRIPT));
    let mut owners: BTreeMap<String, (SessionId, Option<String>)> = BTreeMap::new();
    for (path, bytes) in transcripts {
        match owner(&path, bytes) {
            Ok((session, cwd)) => {
                let stem = stem_of(&path, TRANSCRIPT);
                match add(&mut agents, &session, (&path, bytes), cwd.clone()) {
                    Ok(()) => drop(stem.map(|stem| owners.insert(stem, (session, cwd)))),
                    Err(reason) => left.note(directory.name_of(&path), reason),
                }
            }
            Err(reason) => left.note(directory.name_of(&path), reason),
        }
    }
    for (path, bytes) in others {
        let owner = stem_of(&path, DESCRIPTION).and_then(|stem| owners.get(&stem).cloned());
        let added = owner
            .ok_or(NOBODYS)
            .and_then(|(session, cwd)| add(&mut agents, &session, (&path, bytes), cwd));
        if let Err(reason) = added {
            left.note(directory.name_of(&path), reason);
        }
    }
    agents
}

/// The path without this end.
fn stem_of(path: &Path, end: &str) -> Option<String> {
    path.to_str()?.strip_suffix(end).map(str::to_owned)
}

fn add(
    agents: &mut Agents,
    session: &SessionId,
    (path, bytes): (&Path, u64),
    cwd: Option<String>,
) -> Result<(), &'static str> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = RelativeName::new(format!("{DIRECTORY}/{name}")).map_err(|_| NOBODYS)?;
    let files = agents.entry(session.clone()).or_default();
    if files.iter().any(|file| file.name == name) {
        return Err("another file of this name belongs to the same session");
    }
    files.push(AgentFile {
        path: path.to_owned(),
        name,
        bytes,
        cwd,
    });
    Ok(())
}

/// The session that the records of the transcript at `path` name, and their first working directory.
fn owner(path: &Path, bytes: u64) -> Result<(SessionId, Option<String>), &'static str> {
    if bytes > MAX_TRANSCRIPT_BYTES {
        return Err("too many bytes for a transcript");
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let agent = name
        .strip_prefix("agent-")
        .and_then(|rest| rest.strip_suffix(TRANSCRIPT))
        .ok_or(NOBODYS)?;
    let mut lines = Lines::open(path).map_err(|_| "it cannot be read")?;
    let (mut session, mut cwd) = (None, None);
    while let Some(line) = lines.next().map_err(|_| "it cannot be read")? {
        let Ok(record) = serde_json::from_slice::<Record>(&line) else {
            continue;
        };
        if record.agent.is_some_and(|named| named != agent) {
            return Err("its records name another sub-agent than its name does");
        }
        if record.session.is_some() && session.is_some() && record.session != session {
            return Err("its records name several sessions");
        }
        session = session.or(record.session);
        cwd = cwd.or(record.cwd);
    }
    let session = session
        .and_then(|session| session.parse().ok())
        .ok_or(NOBODYS)?;
    Ok((session, cwd))
}
