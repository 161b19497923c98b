//! Reads what a store of claude-session-sync has in addition to sessions and texts: machines
//! with their directories, last edits and locks.
//!
//! The fields are those of versions 0.1.0 to 0.3.0 (`docs/dev/import.md`). Unknown fields are
//! ignored; an invalid file is skipped as a whole.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::SessionId;
use crate::import::directory::{
    EntryKind, NOT_A_DIRECTORY, NOT_PLAIN, SourceDirectory, UNKNOWN_FILE,
};
use crate::report::{import::ForeignEdit, import::ForeignLock};
use crate::session::time::parse_time;

/// Maximum number of machines, and of placeholders of one machine.
const MAX_ITEMS: usize = 1000;
/// Longest path, name or time, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 4096;
/// Longest name of a placeholder, in bytes.
const MAX_PLACEHOLDER_BYTES: usize = 64;

/// A machine of that program.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForeignMachine {
    /// Directories by placeholder, without its braces.
    pub(crate) paths: BTreeMap<String, String>,
    pub(crate) updated_at: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct SourceMetadata {
    pub(crate) machines: BTreeMap<String, ForeignMachine>,
    pub(crate) edits: BTreeMap<SessionId, ForeignEdit>,
    pub(crate) locks: Vec<ForeignLock>,
    /// Working directories, with placeholders, by directory below `sessions/`.
    pub(crate) projects: BTreeMap<String, String>,
}

impl SourceMetadata {
    pub(crate) fn read(source: &mut SourceDirectory, now: DateTime<Utc>) -> Self {
        let mut metadata = Self::default();
        metadata.read_machines(source);
        metadata.read_shared(source);
        metadata.read_projects(source);
        metadata.read_edits(source);
        metadata.read_locks(source, now);
        metadata
    }

    /// Returns the machine that edited a session last.
    pub(crate) fn editor(&self, session: &SessionId) -> Option<&str> {
        self.edits.get(session).map(|edit| edit.machine.as_str())
    }

    /// Reads `machines/<machine>.json`, which has precedence over [`Self::read_shared`].
    fn read_machines(&mut self, source: &mut SourceDirectory) {
        read_each(source, "machines", ".json", |stem, json| {
            let name = text(&json["machine_id"]).unwrap_or_else(|| stem.to_owned());
            let placeholders = json["placeholders"].as_object().ok_or(NO_PLACEHOLDERS)?;
            let machine = self.machine(&name).ok_or("too many machines")?;
            machine.updated_at = text(&json["updated_at"]);
            for (name, path) in placeholders.iter().take(MAX_ITEMS) {
                let plain = name.strip_prefix("{{").and_then(|n| n.strip_suffix("}}"));
                machine.add(plain.unwrap_or(name), path);
            }
            Ok(())
        });
    }

    /// Reads `shared_placeholders.json`: `{"placeholders": {NAME: {machine: path}}}`.
    fn read_shared(&mut self, source: &mut SourceDirectory) {
        const NAME: &str = "shared_placeholders.json";
        let Some(json) = source.read_optional_json(NAME) else {
            return;
        };
        let path = source.root().join(NAME);
        let Some(placeholders) = json["placeholders"].as_object() else {
            return source.skip(&path, NO_PLACEHOLDERS);
        };
        for (name, machines) in placeholders.iter().take(MAX_ITEMS) {
            let Some(machines) = machines.as_object() else {
                source.skip(&path, format!("no machines for `{name}`"));
                continue;
            };
            for (machine, path) in machines {
                if let Some(machine) = self.machine(machine) {
                    machine.add(name, path);
                }
            }
        }
    }

    /// Reads `sessions/_paths.json`: `{directory: path with placeholders}`.
    fn read_projects(&mut self, source: &mut SourceDirectory) {
        const NAME: &str = "sessions/_paths.json";
        let Some(json) = source.read_optional_json(NAME) else {
            return;
        };
        let Some(projects) = json.as_object() else {
            return source.skip(&source.root().join(NAME), "not a JSON object");
        };
        for (directory, path) in projects {
            if let Some(path) = text(path) {
                self.projects.insert(directory.clone(), path);
            }
        }
    }

    /// Reads `session_meta/<session>.json`.
    fn read_edits(&mut self, source: &mut SourceDirectory) {
        read_each(source, "session_meta", ".json", |stem, json| {
            let session: SessionId = stem.parse().map_err(|_| NOT_A_SESSION)?;
            let edit = ForeignEdit {
                session: session.clone(),
                machine: text(&json["last_editor"]).ok_or(NO_MACHINE)?,
                time: text(&json["last_edited_at"]),
            };
            self.edits.insert(session, edit);
            Ok(())
        });
    }

    /// Reads `locks/<session>.lock.json`.
    fn read_locks(&mut self, source: &mut SourceDirectory, now: DateTime<Utc>) {
        read_each(source, "locks", ".lock.json", |stem, json| {
            let session = stem.parse().map_err(|_| NOT_A_SESSION)?;
            let until = text(&json["expires_at"]);
            // As in that program, a time that cannot be read has passed.
            let expires = until.as_deref().and_then(parse_time);
            self.locks.push(ForeignLock {
                session,
                machine: text(&json["machine_id"]).ok_or(NO_MACHINE)?,
                since: text(&json["locked_at"]),
                until,
                expired: expires.is_none_or(|expires| expires <= now),
            });
            Ok(())
        });
    }

    /// Returns the machine `name`, or `None` if there are too many.
    fn machine(&mut self, name: &str) -> Option<&mut ForeignMachine> {
        let is_full = self.machines.len() >= MAX_ITEMS && !self.machines.contains_key(name);
        if is_full || name.len() > MAX_TEXT_BYTES {
            return None;
        }
        Some(self.machines.entry(name.to_owned()).or_default())
    }
}

/// Reason to skip a transcript or a file about a session.
pub(crate) const NOT_A_SESSION: &str = "its name is not a session id";
const NO_MACHINE: &str = "it names no machine";
const NO_PLACEHOLDERS: &str = "it has no placeholders";

impl ForeignMachine {
    /// Adds a placeholder, unless it is known already or its path is invalid on every system.
    fn add(&mut self, name: &str, path: &Value) {
        let path = text(path).filter(|p| !p.is_empty() && !p.chars().any(char::is_control));
        if let Some(path) = path
            && (1..=MAX_PLACEHOLDER_BYTES).contains(&name.len())
            && self.paths.len() < MAX_ITEMS
        {
            self.paths.entry(name.to_owned()).or_insert(path);
        }
    }
}

/// Returns a text that is not too long.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| text.len() <= MAX_TEXT_BYTES);
    text.map(str::to_owned)
}

/// Calls `read` with the stem and the JSON of each `<stem><suffix>` in the directory `name`.
fn read_each(
    source: &mut SourceDirectory,
    name: &str,
    suffix: &str,
    mut read: impl FnMut(&str, &Value) -> Result<(), &'static str>,
) {
    let path = source.root().join(name);
    if source.kind(name).is_none() {
        return;
    }
    if !source.is_directory(name) {
        return source.skip(&path, NOT_A_DIRECTORY);
    }
    for entry in source.entries(&path) {
        let Some(stem) = entry.name.strip_suffix(suffix) else {
            source.skip(&entry.path, UNKNOWN_FILE);
            continue;
        };
        if !matches!(entry.kind, EntryKind::File(_)) {
            source.skip(&entry.path, NOT_PLAIN);
        } else if let Some(json) = source.read_json(&entry.path)
            && let Err(reason) = read(stem, &json)
        {
            source.skip(&entry.path, reason);
        }
    }
}
