//! Every word of the program that these tests depend on: commands, keys of JSON
//! documents, and the fixture's settings as the present program shows them.

use serde_json::{Value, json};

pub(super) const MILESTONES: [&str; 3] = ["milestone", "--list", "--json"];
pub(super) const NOTES: [&str; 2] = ["notes", "--json"];
pub(super) const LOCKS: [&str; 3] = ["lock", "show", "--json"];
pub(super) const MACHINES: [&str; 3] = ["machine", "list", "--json"];
pub(super) const SETTINGS: [&str; 3] = ["config", "show", "--json"];
pub(super) const WAITING: [&str; 3] = ["apply", "--dry-run", "--json"];

pub(super) const COMMIT: &str = "commit";
pub(super) const EXCLUDED: &str = "excluded";
pub(super) const ENTRIES: &str = "entries";
pub(super) const FORK_OF: &str = "fork_of";
pub(super) const HERE: &str = "here";
pub(super) const HOST: &str = "host";
pub(super) const IN_STORE: &str = "in_store";
pub(super) const LOCKS_KEY: &str = "locks";
pub(super) const MACHINE: &str = "machine";
pub(super) const MACHINES_KEY: &str = "machines";
pub(super) const MILESTONES_KEY: &str = "milestones";
pub(super) const NAME: &str = "name";
pub(super) const NOTES_KEY: &str = "notes";
pub(super) const PLACEHOLDERS: &str = "placeholders";
/// The setting that says how old a session may be that is pulled.
pub(super) const PULL_DAYS: &str = "pull_max_age";
pub(super) const QUEUED_COMMITS: &str = "queued_commits";
pub(super) const SEEN: &str = "seen";
pub(super) const SESSION: &str = "session";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const TEXT: &str = "text";
pub(super) const TO_PULL: &str = "to_pull";
pub(super) const TO_PUSH: &str = "to_push";
pub(super) const TURNS: &str = "turns";
pub(super) const WAITING_KEY: &str = "pending";

/// The settings of a machine without its id.
pub(super) fn settings(machine: &str) -> Value {
    if machine == "laptop" {
        json!({
            "name": "laptop", "remote": "/tmp/ccsync-fixture/remote.git",
            "localize": "always", "pull_max_age": 36500,
            "extras": ["memory", "claude-md", "plans", "settings", "commands"],
            "include": [], "exclude": ["~/private"], "max_size": null, "push_max_age": null,
            "placeholders": {
                "NOTES": "~/notes", "WORK": "/tmp/ccsync-fixture/laptop/home/al/projects/clients",
            },
        })
    } else {
        json!({
            "name": "desk", "remote": "/tmp/ccsync-fixture/remote.git",
            "localize": "never", "pull_max_age": 36000,
            "extras": ["memory", "claude-md", "plans", "settings", "commands", "agents", "skills"],
            "include": ["~", "{{DATA}}"], "exclude": [], "max_size": 200_000_000, "push_max_age": 35000,
            "placeholders": {
                "DATA": "/tmp/ccsync-fixture/desk/data",
                "NOTES": "/tmp/ccsync-fixture/desk/home/alex/papers",
                "WORK": "/tmp/ccsync-fixture/desk/home/alex/src/customers",
            },
        })
    }
}
