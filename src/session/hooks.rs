//! Finds out if the client runs hooks that are passed on its command line (client 2.1.332).
//!
//! Reads the client's settings. Must not change them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sys::Env;

/// Options of the client that turn hooks off.
const OPTIONS: [&str; 2] = ["--bare", "--safe-mode"];

/// Reason why the client runs no such hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoHooks {
    /// The user passes this option to the client.
    Option(&'static str),
    /// This variable of the environment is set.
    Variable(&'static str),
    /// This file has `disableAllHooks`.
    Settings(PathBuf),
    /// This file of the organization forbids them.
    Policy(PathBuf),
}

/// Returns the reason why the client with these arguments runs no hooks in `directory`, if it
/// runs none.
pub fn no_hooks(env: &Env, directory: &Path, args: &[OsString]) -> Option<NoHooks> {
    let mut options = args.iter().take_while(|arg| *arg != "--");
    let option = options.find_map(|arg| OPTIONS.into_iter().find(|option| arg == *option));
    option
        .map(NoHooks::Option)
        .or(env.no_client_hooks.map(NoHooks::Variable))
        .or_else(|| forbidding_policy(&env.claude_dir, &managed_dir()))
        .or_else(|| disabling_settings(&env.claude_dir, directory))
}

/// Returns the file with `disableAllHooks`. The settings of a project count more than those of the
/// user, and local ones most.
fn disabling_settings(claude_dir: &Path, directory: &Path) -> Option<NoHooks> {
    let project = directory.join(".claude");
    let files = [
        project.join("settings.local.json"),
        project.join("settings.json"),
        claude_dir.join("settings.json"),
    ];
    let (file, is_disabled) = files.into_iter().find_map(|file| {
        let is_disabled = read(&file)?.get("disableAllHooks")?.as_bool()?;
        Some((file, is_disabled))
    })?;
    is_disabled.then_some(NoHooks::Settings(file))
}

fn forbidding_policy(claude_dir: &Path, managed: &Path) -> Option<NoHooks> {
    let more = fs::read_dir(managed.join("managed-settings.d"));
    let more = more.into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = more.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
    files.push(managed.join("managed-settings.json"));
    // The policy that the client received from its server.
    files.push(claude_dir.join("remote-settings.json"));
    let forbids = |file: &PathBuf| read(file).is_some_and(|policy| forbids_hooks(&policy));
    files.into_iter().find(forbids).map(NoHooks::Policy)
}

fn forbids_hooks(policy: &Value) -> bool {
    let is_true = |key: &str| policy.get(key) == Some(&Value::Bool(true));
    let only_plugins = match policy.get("strictPluginOnlyCustomization") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "hooks"),
        _ => is_true("strictPluginOnlyCustomization"),
    };
    is_true("disableAllHooks") || is_true("allowManagedHooksOnly") || only_plugins
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The directory of an organization's settings.
fn managed_dir() -> PathBuf {
    let path = if cfg!(target_os = "macos") {
        "/Library/Application Support/ClaudeCode"
    } else if cfg!(windows) {
        r"C:\Program Files\ClaudeCode"
    } else {
        "/etc/claude-code"
    };
    path.into()
}

impl std::fmt::Display for NoHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option(option) => write!(f, "you pass `{option}`"),
            Self::Variable(variable) => write!(f, "{variable} is set"),
            Self::Settings(file) => write!(f, "`disableAllHooks` is set in {}", file.display()),
            Self::Policy(file) => write!(f, "{} forbids hooks", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn hooks_local_settings_count_most() {
        let dir = tempfile::tempdir().unwrap();
        let (claude, project) = (dir.path().join("c"), dir.path().join("p"));
        fs::create_dir_all(&claude).unwrap();
        fs::create_dir_all(project.join(".claude")).unwrap();
        let off = |file: PathBuf| Some(NoHooks::Settings(file));
        assert_eq!(disabling_settings(&claude, &project), None);
        let user = claude.join("settings.json");
        write_atomic(&user, br#"{ "disableAllHooks": true }"#).unwrap();
        assert_eq!(disabling_settings(&claude, &project), off(user));
        let local = project.join(".claude/settings.local.json");
        write_atomic(&local, br#"{"disableAllHooks":false}"#).unwrap();
        assert_eq!(disabling_settings(&claude, &project), None);
        fs::remove_file(local).unwrap();
        let shared = project.join(".claude/settings.json");
        write_atomic(&shared, br#"{"disableAllHooks":true}"#).unwrap();
        assert_eq!(disabling_settings(&claude, &project), off(shared));
    }

    #[test]
    fn hooks_policy_of_organization_is_found() {
        for (file, text) in [
            ("managed-settings.json", r#"{"disableAllHooks":true}"#),
            (
                "managed-settings.d/a.json",
                r#"{"allowManagedHooksOnly":true}"#,
            ),
            (
                "managed-settings.d/b.json",
                r#"{"strictPluginOnlyCustomization":["skills","hooks"]}"#,
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("managed-settings.d")).unwrap();
            let policy = dir.path().join(file);
            write_atomic(&policy, br#"{"model":"opus"}"#).unwrap();
            assert_eq!(forbidding_policy(dir.path(), dir.path()), None);
            write_atomic(&policy, text.as_bytes()).unwrap();
            let found = forbidding_policy(dir.path(), dir.path());
            assert_eq!(found, Some(NoHooks::Policy(policy)));
        }
    }
}
