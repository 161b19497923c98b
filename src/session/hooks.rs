//! Finds out if the client runs hooks (client 2.1.332).
//!
//! Reads the client's settings as the client does: strictly JSON, and of two equal keys the last
//! one. Must not change them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::plugin::PLUGIN_NAME;
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
    /// This file turns the plugin off.
    Plugin(PathBuf),
    /// The client ignores this file, for this reason.
    Unreadable(PathBuf, String),
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
        .or_else(|| policy(&env.claude_dir, &managed_dir(), forbids_hooks))
        .or_else(|| disabling_settings(&env.claude_dir, directory))
}

/// Returns the reason why the client does not run the hooks of its settings in `directory`, or of
/// the plugin.
pub(super) fn no_installed_hooks(env: &Env, directory: &Path, is_plugin: bool) -> Option<NoHooks> {
    no_hooks(env, directory, &[]).or_else(|| match is_plugin {
        true => policy(&env.claude_dir, &managed_dir(), forbids_plugins)
            .or_else(|| plugin_off(&env.claude_dir, directory)),
        false => unreadable_settings(&env.claude_dir),
    })
}

/// Returns the file with `disableAllHooks`.
fn disabling_settings(claude_dir: &Path, directory: &Path) -> Option<NoHooks> {
    let value = |settings: &Value| settings.get("disableAllHooks")?.as_bool();
    let (file, is_disabled) = first_value(claude_dir, directory, value)?;
    is_disabled.then_some(NoHooks::Settings(file))
}

fn plugin_off(claude_dir: &Path, directory: &Path) -> Option<NoHooks> {
    let value = |settings: &Value| settings.get("enabledPlugins")?.get(PLUGIN_NAME)?.as_bool();
    let (file, is_enabled) = first_value(claude_dir, directory, value)?;
    (!is_enabled).then_some(NoHooks::Plugin(file))
}

/// Returns the value that counts, and its file. The settings of a project count more than those of
/// the user, and local ones most.
fn first_value<T>(
    claude_dir: &Path,
    directory: &Path,
    value: impl Fn(&Value) -> Option<T>,
) -> Option<(PathBuf, T)> {
    let project = directory.join(".claude");
    let files = [
        project.join("settings.local.json"),
        project.join("settings.json"),
        claude_dir.join("settings.json"),
    ];
    files.into_iter().find_map(|file| {
        let value = value(&read(&file)?)?;
        Some((file, value))
    })
}

/// Comments make the client ignore the whole file.
fn unreadable_settings(claude_dir: &Path) -> Option<NoHooks> {
    let file = claude_dir.join("settings.json");
    let e = parse(&fs::read(&file).ok()?).err()?;
    Some(NoHooks::Unreadable(file, e.to_string()))
}

/// Returns the first policy that forbids something.
fn policy(claude_dir: &Path, managed: &Path, forbids: fn(&Value) -> bool) -> Option<NoHooks> {
    let more = fs::read_dir(managed.join("managed-settings.d"));
    let more = more.into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = more.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
    files.push(managed.join("managed-settings.json"));
    // The policy that the client received from its server.
    files.push(claude_dir.join("remote-settings.json"));
    let forbids = |file: &PathBuf| read(file).is_some_and(|policy| forbids(&policy));
    files.into_iter().find(forbids).map(NoHooks::Policy)
}

fn forbids_hooks(policy: &Value) -> bool {
    let is_true = |key: &str| policy.get(key) == Some(&Value::Bool(true));
    is_true("disableAllHooks")
        || is_true("allowManagedHooksOnly")
        || is_plugin_only(policy, "hooks")
}

/// A plugin in the directory of skills comes from no marketplace.
fn forbids_plugins(policy: &Value) -> bool {
    policy.get("strictKnownMarketplaces").is_some() || is_plugin_only(policy, "skills")
}

fn is_plugin_only(policy: &Value, kind: &str) -> bool {
    match policy.get("strictPluginOnlyCustomization") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        only => only == Some(&Value::Bool(true)),
    }
}

fn read(file: &Path) -> Option<Value> {
    parse(&fs::read(file).ok()?).ok()
}

fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let mark = "\u{feff}".as_bytes();
    let json = bytes.strip_prefix(mark).unwrap_or(bytes);
    match json.trim_ascii() {
        [] => Ok(Value::Null),
        json => serde_json::from_slice(json),
    }
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
            Self::Plugin(file) => {
                write!(
                    f,
                    "`enabledPlugins` turns the plugin off in {}",
                    file.display()
                )
            }
            Self::Unreadable(file, reason) => write!(
                f,
                "Claude Code ignores {}, which is not JSON: {reason}",
                file.display()
            ),
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
            let found = || super::policy(dir.path(), dir.path(), forbids_hooks);
            assert_eq!(found(), None);
            write_atomic(&policy, text.as_bytes()).unwrap();
            assert_eq!(found(), Some(NoHooks::Policy(policy)));
        }
    }

    #[test]
    fn hooks_of_plugin_have_rules_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        let off = |text: &str| {
            write_atomic(&file, text.as_bytes()).unwrap();
            plugin_off(dir.path(), dir.path())
        };
        assert_eq!(off(r#"{"enabledPlugins":{"other@x":false}}"#), None);
        let disabled = r#"{"enabledPlugins":{"ccsync@skills-dir":false}}"#;
        assert_eq!(off(disabled), Some(NoHooks::Plugin(file.clone())));
        for policy in [
            r#"{"strictKnownMarketplaces":[]}"#,
            r#"{"strictPluginOnlyCustomization":["skills"]}"#,
            r#"{"strictPluginOnlyCustomization":true}"#,
        ] {
            let policy = parse(policy.as_bytes()).unwrap();
            assert!(forbids_plugins(&policy), "{policy}");
        }
        assert!(!forbids_plugins(&Value::Null));
    }

    #[test]
    fn hooks_settings_with_comments_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        for (text, is_read) in [
            ("\u{feff}{}", true),
            ("", true),
            ("{} // mine", false),
            ("{\"a\":1,}", false),
        ] {
            write_atomic(&file, text.as_bytes()).unwrap();
            assert_eq!(unreadable_settings(dir.path()).is_none(), is_read, "{text}");
        }
    }
}
