//! Task lists of agent teams: `tasks/<team>/`, shared by all sessions of a team. Such a list
//! belongs to the session that leads the team, or names it.
//!
//! The client removes the team's own files when it ends (client 2.1.332), so the owner of a list
//! is remembered. Must not write.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::discover::Discovery;
use super::files::{is_team_name, tasks_dir};
use super::local::LocalSession;
use super::scan::{ProjectScan, list};
use crate::domain::{SessionFile, SessionId};
use crate::sys::fs::{FileStamp, read_plain_file};

/// Longest transcript that is searched for a team, in bytes.
const MAX_SEARCHED_BYTES: u64 = 256 << 20;

/// Longest file of a team that is read, in bytes.
const MAX_TEAM_BYTES: u64 = 4 << 20;

/// The owners of task lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamOwners {
    /// The session of each team.
    #[serde(default)]
    owners: BTreeMap<String, SessionId>,
    /// Lists without an owner, with the time of their directory: they are not searched again.
    #[serde(default)]
    unowned: BTreeMap<String, i64>,
}

/// The used part of `teams/<team>/config.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TeamFile {
    lead_session_id: String,
}

impl TeamOwners {
    /// Records that a session has the list of a team.
    pub fn record(&mut self, team: &str, session: &SessionId) {
        self.unowned.remove(team);
        self.owners.insert(team.to_owned(), session.clone());
    }

    /// Adds the files of every list to the session that owns it.
    pub fn add_files(&mut self, claude_dir: &Path, found: &mut Discovery) {
        // A missing or unreadable directory has no lists; the scan of sessions names it.
        let entries = list(&tasks_dir(claude_dir)).unwrap_or_default();
        for entry in entries {
            let name = entry.file_name();
            let Some(team) = name.to_str().filter(|name| is_team_name(name)) else {
                continue;
            };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let Some(owner) = self.owner(claude_dir, team, &entry.path(), found) else {
                continue;
            };
            if let Some(session) = found.sessions.get_mut(&owner) {
                let mut scan = ProjectScan::default();
                scan.add_team(session, team);
                found.refused.extend(scan.refused);
            }
        }
    }

    /// Finds the session of a team: its leader, the one that had the list before, or one whose
    /// transcript names the team.
    fn owner(
        &mut self,
        claude_dir: &Path,
        team: &str,
        directory: &Path,
        found: &Discovery,
    ) -> Option<SessionId> {
        let is_here = |id: &SessionId| found.sessions.contains_key(id);
        let known = self.owners.get(team).cloned();
        let lead = || leader(claude_dir, team);
        if let Some(owner) = lead().filter(is_here).or_else(|| known.filter(is_here)) {
            self.record(team, &owner);
            return Some(owner);
        }
        let modified = FileStamp::read(directory).map_or(0, |stamp| stamp.modified_ns);
        if self.unowned.get(team) == Some(&modified) {
            return None;
        }
        let sessions = found.sessions.values();
        let owner = named_after(team, sessions.clone())
            .or_else(|| sessions.clone().find(|session| names_team(session, team)))
            .map(|session| session.id.clone());
        match &owner {
            Some(owner) => self.record(team, owner),
            None => drop(self.unowned.insert(team.to_owned(), modified)),
        }
        owner
    }
}

/// Returns the session that leads a team, by the team's own file.
fn leader(claude_dir: &Path, team: &str) -> Option<SessionId> {
    let path = claude_dir.join("teams").join(team).join("config.json");
    let file: TeamFile = serde_json::from_slice(&read_plain_file(&path, MAX_TEAM_BYTES)?).ok()?;
    file.lead_session_id.parse().ok()
}

/// Returns the session that a team has its name from: `session-` and the first digits of the id.
fn named_after<'s>(
    team: &str,
    mut sessions: impl Iterator<Item = &'s LocalSession>,
) -> Option<&'s LocalSession> {
    let digits = team
        .strip_prefix("session-")
        .filter(|digits| digits.len() >= 8)?;
    sessions.find(|session| session.id.as_str().starts_with(digits))
}

/// Returns true if the transcript of a session names a team.
fn names_team(session: &LocalSession, team: &str) -> bool {
    let transcript = session.files.get(&SessionFile::Transcript);
    if transcript.is_none_or(|stamp| stamp.len > MAX_SEARCHED_BYTES) {
        return false;
    }
    let name = serde_json::to_string(team).unwrap_or_default();
    let needles = [
        format!("\"teamName\":{name}"),
        format!("\"teamName\": {name}"),
    ];
    let text = fs::read(session.transcript_path()).unwrap_or_default();
    let mut needles = needles.iter();
    needles.any(|needle| memmem::find(&text, needle.as_bytes()).is_some())
}
