//! What a store of claude-session-sync says beside its sessions: machines and their directories, who edited what, locks.
//!
//! Fields as of versions 0.1.0 to 0.3.0 of that program (`docs/dev/import.md`). Unknown fields are passed over; a file that is not what it should
//! be is named and passed over whole.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::id::SessionId;
use crate::import::directory::{Directory, Kind, Named};
use crate::import::types::{Edit, ForeignLock};
use crate::session::time::parse_time;

/// Nobody has more machines, or more placeholders on one.
const MOST: usize = 1000;
/// No path, name or time is longer.
pub(crate) const LONGEST: usize = 4096;

/// A machine of that program.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForeignMachine {
    /// Directory by placeholder, without its braces.
    pub(crate) paths: BTreeMap<String, String>,
    pub(crate) updated_at: Option<String>,
}

/// Everything beside the sessions.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    pub(crate) machines: BTreeMap<String, ForeignMachine>,
    pub(crate) edits: BTreeMap<SessionId, Edit>,
    pub(crate) locks: Vec<ForeignLock>,
    /// The working directory, with placeholders, of each directory below `sessions/`.
    pub(crate) projects: BTreeMap<String, String>,
}

impl Foreign {
    /// Reads what `directory` holds; what cannot be understood is noted in `refused`.
    pub(crate) fn read(directory: &Directory, now: DateTime<Utc>, refused: &mut Named) -> Self {
        let mut foreign = Self::default();
        foreign.read_machines(directory, refused);
        foreign.read_shared(directory, refused);
        foreign.read_projects(directory, refused);
        foreign.read_edits(directory, refused);
        foreign.read_locks(directory, now, refused);
        foreign
    }

    /// `machines/<machine>.json`: its own view of its placeholders, which comes first.
    fn read_machines(&mut self, directory: &Directory, refused: &mut Named) {
        each_json(directory, "machines", ".json", refused, |stem, json, _| {
            let name = text(&json["machine_id"]).unwrap_or_else(|| stem.to_owned());
            let paths = json["placeholders"]
                .as_object()
                .ok_or("it names no placeholders")?;
            let machine = self.machine(&name).ok_or("too many machines")?;
            machine.updated_at = text(&json["updated_at"]);
            for (name, path) in paths.iter().take(MOST) {
                let name = name
                    .strip_prefix("{{")
                    .and_then(|name| name.strip_suffix("}}"))
                    .unwrap_or(name);
                machine.add(name, path);
            }
            Ok(())
        });
    }

    /// `shared_placeholders.json`: `{"placeholders": {NAME: {machine: path}}}`.
    fn read_shared(&mut self, directory: &Directory, refused: &mut Named) {
        const NAME: &str = "shared_placeholders.json";
        let Some(json) = optional(directory, NAME, refused) else {
            return;
        };
        let Some(placeholders) = json["placeholders"].as_object() else {
            return refused.note(NAME, "it names no placeholders");
        };
        for (name, machines) in placeholders.iter().take(MOST) {
            let Some(machines) = machines.as_object() else {
                refused.note(NAME, format!("`{name}` names no machines"));
                continue;
            };
            for (machine, path) in machines {
                if let Some(machine) = self.machine(machine) {
                    machine.add(name, path);
                }
            }
        }
    }

    /// `sessions/_paths.json`: `{directory: path with placeholders}`.
    fn read_projects(&mut self, directory: &Directory, refused: &mut Named) {
        const NAME: &str = "sessions/_paths.json";
        let Some(json) = optional(directory, NAME, refused) else {
            return;
        };
        let Some(projects) = json.as_object() else {
            return refused.note(NAME, "it is no JSON object");
        };
        let paths = projects
            .iter()
            .filter_map(|(directory, path)| Some((directory.clone(), text(path)?)));
        self.projects = paths.collect();
    }

    /// `session_meta/<session>.json`.
    fn read_edits(&mut self, directory: &Directory, refused: &mut Named) {
        each_json(
            directory,
            "session_meta",
            ".json",
            refused,
            |stem, json, _| {
                let session: SessionId = stem.parse().map_err(|_| "its name is no session's")?;
                let machine = text(&json["last_editor"]).ok_or("it names no machine")?;
                let edit = Edit {
                    session: session.clone(),
                    machine,
                    at: text(&json["last_edited_at"]),
                };
                self.edits.insert(session, edit);
                Ok(())
            },
        );
    }

    /// `locks/<session>.lock.json`.
    fn read_locks(&mut self, directory: &Directory, now: DateTime<Utc>, refused: &mut Named) {
        each_json(
            directory,
            "locks",
            ".lock.json",
            refused,
            |stem, json, _| {
                let session: SessionId = stem.parse().map_err(|_| "its name is no session's")?;
                let machine = text(&json["machine_id"]).ok_or("it names no machine")?;
                let until = text(&json["expires_at"]);
                // As that program decides: a time that cannot be read has passed.
                let expired = until
                    .as_deref()
                    .and_then(parse_time)
                    .is_none_or(|until| until <= now);
                self.locks.push(ForeignLock {
                    session,
                    machine,
                    since: text(&json["locked_at"]),
                    until,
                    expired,
                });
                Ok(())
            },
        );
    }

    fn machine(&mut self, name: &str) -> Option<&mut ForeignMachine> {
        if name.len() > LONGEST || self.machines.len() >= MOST && !self.machines.contains_key(name)
        {
            return None;
        }
        Some(self.machines.entry(name.to_owned()).or_default())
    }
}

impl ForeignMachine {
    /// What is known of a placeholder already stays; a path that no system has is as good as none.
    fn add(&mut self, name: &str, path: &Value) {
        let Some(path) =
            text(path).filter(|path| !path.is_empty() && !path.chars().any(char::is_control))
        else {
            return;
        };
        if !name.is_empty() && name.len() <= 64 && self.paths.len() < MOST {
            self.paths.entry(name.to_owned()).or_insert(path);
        }
    }
}

/// A text of bearable length.
fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| text.len() <= LONGEST)
        .map(str::to_owned)
}

/// The JSON of a file that need not be there.
fn optional(directory: &Directory, name: &str, refused: &mut Named) -> Option<Value> {
    directory.kind(name)?;
    directory.json(&directory.root().join(name), refused)
}

/// Calls `take` with each `<stem><suffix>` in the directory `name`, and its JSON.
fn each_json(
    directory: &Directory,
    name: &str,
    suffix: &str,
    refused: &mut Named,
    mut take: impl FnMut(&str, &Value, &Directory) -> Result<(), &'static str>,
) {
    if directory.kind(name).is_none() {
        return;
    }
    if !directory.is_directory(name) {
        return refused.note(name, "it is no directory (links are not followed)");
    }
    for entry in directory.entries(&directory.root().join(name), refused) {
        let shown = directory.name_of(&entry.path);
        let Some(stem) = entry.name.strip_suffix(suffix) else {
            refused.note(shown, "not one of that program's files");
            continue;
        };
        if !matches!(entry.kind, Kind::File(_)) {
            refused.note(shown, "not a plain file (links are not followed)");
        } else if let Some(json) = directory.json(&entry.path, refused)
            && let Err(reason) = take(stem, &json, directory)
        {
            refused.note(shown, reason);
        }
    }
}
