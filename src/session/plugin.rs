//! The plugin for the client: the same hooks, and two commands, as files of one directory. Pure.
//!
//! The client loads it by itself, as `ccsync@skills-dir` (client 2.1.332). Its SessionEnd is
//! asynchronous: the client kills others of a plugin after 1.5 s, whatever their `timeout` is.

use std::path::{Path, PathBuf};

use super::client_settings::quoted;
use crate::domain::extras::PLUGIN;

/// The name of the plugin in the client's `enabledPlugins`.
pub(super) const PLUGIN_NAME: &str = "ccsync@skills-dir";

/// The file with the hooks.
pub(super) const HOOKS_FILE: &str = "hooks/hooks.json";

/// The file that makes the directory a plugin.
pub(super) const MANIFEST: &str = ".claude-plugin/plugin.json";

/// The files below the plugin's directory. The hooks are last: with them, it begins to work.
const FILES: [(&str, &str); 5] = [
    (MANIFEST, include_str!("plugin/.claude-plugin/plugin.json")),
    ("README.md", include_str!("plugin/README.md")),
    ("commands/note.md", include_str!("plugin/commands/note.md")),
    (
        "commands/status.md",
        include_str!("plugin/commands/status.md"),
    ),
    (HOOKS_FILE, include_str!("plugin/hooks/hooks.json")),
];

/// A file of the plugin.
pub(super) struct PluginFile {
    /// Its path below the directory, with `/`.
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// Returns the directory of the plugin.
pub(super) fn plugin_dir(claude_dir: &Path) -> PathBuf {
    claude_dir.join(PLUGIN)
}

/// Returns the files of the plugin. `program` is the absolute path of this program.
pub(super) fn plugin_files(program: &str) -> Vec<PluginFile> {
    let word = quoted(program);
    let json = serde_json::Value::from(word.as_str()).to_string();
    let text = |template: &str| {
        template
            .replace("{{VERSION}}", env!("CARGO_PKG_VERSION"))
            .replace("{{PROGRAM_IN_JSON}}", json.trim_matches('"'))
            .replace("{{PROGRAM}}", &word)
    };
    let files = FILES.into_iter();
    files
        .map(|(name, template)| PluginFile {
            name,
            text: text(template),
        })
        .collect()
}

/// Returns true if a manifest is of this plugin, whatever its version.
pub(super) fn is_own_manifest(text: &str) -> bool {
    let manifest: Option<serde_json::Value> = serde_json::from_str(text).ok();
    manifest.is_some_and(|manifest| manifest["name"] == "ccsync")
}

#[cfg(test)]
mod tests {
    use super::super::client_settings::{add_hooks, program_of_hooks};
    use super::*;

    #[test]
    fn plugin_has_every_hook_of_settings() {
        let program = "/home/o'hara \"x\"/{{VERSION}}/ccsync";
        let files = plugin_files(program);
        let hooks = &files.last().unwrap().text;
        assert_eq!(add_hooks(hooks, program).unwrap(), *hooks);
        assert_eq!(program_of_hooks(hooks).as_deref(), Some(program));
        for file in files.iter().filter(|file| file.name.ends_with(".json")) {
            serde_json::from_str::<serde_json::Value>(&file.text).unwrap();
        }
    }
}
