//! The hooks and the status line of this program in the client's `settings.json`. Pure.
//!
//! Owns their form (client 2.1.332). Everything else in the file stays as it is, comments of the
//! user included. Must not read or write the file.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use jsonc_parser::json;

use crate::domain::HookEvent;

/// The key of the hooks in the settings.
const HOOKS: &str = "hooks";

/// The key of the command that prints the status line.
const STATUS_LINE: &str = "statusLine";

/// Time between two runs of the status line while nothing happens, in seconds.
const REFRESH: u64 = 5;

/// Time that the client waits for a hook, in seconds. It needs a twentieth of one.
const TIMEOUT: u64 = 10;

/// Error: the settings are not what the client reads.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not JSON, comments aside.
    #[error("it is not valid JSON: {0}")]
    Syntax(String),
    /// A value has another type than the client expects.
    #[error("{0} is not {1}")]
    Type(&'static str, &'static str),
}

/// Adds the hooks that are missing. `program` is the absolute path of this program. An empty text
/// becomes an object.
///
/// # Errors
/// [`SettingsError`]
pub fn add_hooks(text: &str, program: &str) -> Result<String, SettingsError> {
    if installed_hooks(text) == HookEvent::ALL && program_of_hooks(text).as_deref() == Some(program)
    {
        return Ok(text.to_owned());
    }
    let root = parse(&remove_hooks(text)?)?;
    let settings = settings(&root)?;
    let hooks = settings
        .object_value_or_create(HOOKS)
        .ok_or(SettingsError::Type("`hooks`", "an object"))?;
    for event in HookEvent::ALL {
        let groups = hooks
            .array_value_or_create(event.client_name())
            .ok_or(SettingsError::Type("a value of `hooks`", "an array"))?;
        groups.ensure_multiline();
        groups.append(hook(&hook_command(program, event)));
    }
    Ok(root.to_string())
}

/// Removes the hooks of this program, and what is empty without them.
///
/// # Errors
/// [`SettingsError`]
pub fn remove_hooks(text: &str) -> Result<String, SettingsError> {
    let root = parse(text)?;
    let settings = settings(&root)?;
    let Some(hooks) = settings.object_value(HOOKS) else {
        return Ok(text.to_owned());
    };
    let mut has_removed = false;
    for property in hooks.properties() {
        let Some(groups) = property.array_value() else {
            continue;
        };
        if remove_from_groups(&groups) {
            has_removed = true;
            if groups.elements().is_empty() {
                property.remove();
            }
        }
    }
    if !has_removed {
        return Ok(text.to_owned());
    }
    if hooks.properties().is_empty()
        && let Some(property) = settings.get(HOOKS)
    {
        property.remove();
    }
    Ok(root.to_string())
}

/// Adds the status line, unless there is one.
///
/// # Errors
/// [`SettingsError`]
pub fn add_status_line(text: &str, program: &str) -> Result<String, SettingsError> {
    let root = parse(text)?;
    let settings = settings(&root)?;
    if settings.get(STATUS_LINE).is_none() {
        let command = format!("{} statusline", quoted(program));
        let line = json!({"type": "command", "command": command, "refreshInterval": REFRESH});
        settings.append(STATUS_LINE, line);
    }
    Ok(root.to_string())
}

/// Removes the status line, if it is of this program.
///
/// # Errors
/// [`SettingsError`]
pub fn remove_status_line(text: &str) -> Result<String, SettingsError> {
    let root = parse(text)?;
    if let Some(property) = settings(&root)?.get(STATUS_LINE)
        && property
            .value()
            .as_ref()
            .and_then(own_program_of_status_line)
            .is_some()
    {
        property.remove();
        return Ok(root.to_string());
    }
    Ok(text.to_owned())
}

/// Returns true if the settings have a status line, of any program.
pub fn has_status_line(text: &str) -> bool {
    let root = parse(text).ok();
    let settings = root.and_then(|root| settings(&root).ok());
    settings.is_some_and(|settings| settings.get(STATUS_LINE).is_some())
}

/// Returns the events whose hook is in the settings. None in settings that cannot be read.
pub fn installed_hooks(text: &str) -> Vec<HookEvent> {
    let Ok(root) = parse(text) else {
        return Vec::new();
    };
    let hooks = settings(&root).ok().and_then(|s| s.object_value(HOOKS));
    let is_installed = |event: &HookEvent| {
        let groups = hooks.as_ref()?.array_value(event.client_name())?;
        let mut commands = groups.elements().into_iter().flat_map(|g| commands(&g));
        commands.find(|command| is_own_command(command))
    };
    let events = HookEvent::ALL.into_iter();
    events.filter(|e| is_installed(e).is_some()).collect()
}

/// Returns settings without the hooks and the status line of this program.
///
/// # Errors
/// [`SettingsError`]
pub fn without_own_parts(text: &str) -> Result<String, SettingsError> {
    remove_status_line(&remove_hooks(text)?)
}

/// Returns `text` with the hooks and the status line of this program that `present` has.
///
/// # Errors
/// [`SettingsError`]
pub(super) fn with_own_parts_of(present: &str, text: &str) -> Result<String, SettingsError> {
    let settings = settings(&parse(present)?)?;
    let mut text = text.to_owned();
    if let Some(program) = program_of_hooks(present) {
        text = add_hooks(&text, &program)?;
    }
    let line = settings.get(STATUS_LINE).and_then(|line| line.value());
    if let Some(program) = line.as_ref().and_then(own_program_of_status_line) {
        text = add_status_line(&text, &program)?;
    }
    Ok(text)
}

/// Returns the path of this program in its hooks.
pub fn program_of_hooks(text: &str) -> Option<String> {
    let hooks = settings(&parse(text).ok()?).ok()?.object_value(HOOKS)?;
    let groups = hooks
        .properties()
        .into_iter()
        .filter_map(|p| p.array_value());
    let mut commands = groups
        .flat_map(|groups| groups.elements())
        .flat_map(|g| commands(&g));
    commands.find_map(|command| own_program(command.rsplit_once(" hook ")?.0))
}

fn own_program_of_status_line(line: &CstNode) -> Option<String> {
    own_program(command_of(line)?.strip_suffix(" statusline")?)
}

/// Returns true if the settings turn all hooks off.
pub fn are_hooks_off(text: &str) -> bool {
    let value = parse(text).ok().and_then(|root| root.to_serde_value());
    value.is_some_and(|settings| settings["disableAllHooks"] == true)
}

/// Returns the shell command of a hook.
fn hook_command(program: &str, event: HookEvent) -> String {
    format!("{} hook {}", quoted(program), event.name())
}

fn quoted(program: &str) -> String {
    format!("'{}'", program.replace('\'', r"'\''"))
}

/// The client runs it with `sh -c`: clients before 2.1.332 know no list of arguments.
fn hook(command: &str) -> CstInputValue {
    json!({
        "hooks": [{"type": "command", "command": command, "timeout": TIMEOUT}]
    })
}

/// Removes the hooks of this program from the groups of one event. Returns true if there were any.
fn remove_from_groups(groups: &CstArray) -> bool {
    let mut has_removed = false;
    for group in groups.elements() {
        let Some(hooks) = group.as_object().and_then(|g| g.array_value(HOOKS)) else {
            continue;
        };
        let is_own = |hook: &CstNode| command_of(hook).is_some_and(|c| is_own_command(&c));
        let own: Vec<CstNode> = hooks.elements().into_iter().filter(is_own).collect();
        if own.is_empty() {
            continue;
        }
        has_removed = true;
        own.into_iter().for_each(CstNode::remove);
        if hooks.elements().is_empty() {
            group.remove();
        }
    }
    has_removed
}

/// Returns the commands of a group of hooks.
fn commands(group: &CstNode) -> Vec<String> {
    let hooks = group.as_object().and_then(|g| g.array_value(HOOKS));
    let hooks = hooks.map(|hooks| hooks.elements()).unwrap_or_default();
    hooks.iter().filter_map(command_of).collect()
}

fn command_of(hook: &CstNode) -> Option<String> {
    let command = hook.as_object()?.get("command")?.value()?;
    command.as_string_lit()?.decoded_value().ok()
}

/// Recognises the commands of [`hook_command`], of any path, also if the user has edited them.
fn is_own_command(command: &str) -> bool {
    let parts = command.rsplit_once(" hook ");
    parts.is_some_and(|(program, rest)| {
        let event = rest.split_whitespace().next().unwrap_or_default();
        own_program(program).is_some() && event.parse::<HookEvent>().is_ok()
    })
}

/// Returns the path in a command, if it is of this program.
fn own_program(word: &str) -> Option<String> {
    let quoted = word
        .strip_prefix('\'')
        .and_then(|word| word.strip_suffix('\''));
    let path = quoted.unwrap_or(word).replace(r"'\''", "'");
    let name = path.rsplit(['/', '\\']).next()?;
    name.starts_with("ccsync").then_some(path)
}

fn parse(text: &str) -> Result<CstRootNode, SettingsError> {
    CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|e| SettingsError::Syntax(e.to_string()))
}

/// The object of all settings; made if the text is empty.
fn settings(root: &CstRootNode) -> Result<CstObject, SettingsError> {
    root.object_value_or_create()
        .ok_or(SettingsError::Type("the file", "an object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/home/o'hara/bin/ccsync";

    fn without(text: &str) -> String {
        remove_hooks(&add_hooks(text, PROGRAM).unwrap()).unwrap()
    }

    #[test]
    fn client_hooks_are_added_once_and_removed() {
        let text = add_hooks("", PROGRAM).unwrap();
        assert_eq!(installed_hooks(&text), HookEvent::ALL);
        assert_eq!(add_hooks(&text, PROGRAM).unwrap(), text);
        let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            settings["hooks"]["Stop"][0]["hooks"][0]["command"],
            r"'/home/o'\''hara/bin/ccsync' hook stop"
        );
        assert!(installed_hooks(&remove_hooks(&text).unwrap()).is_empty());
    }

    #[test]
    fn client_hooks_of_another_path_are_replaced() {
        let text = add_hooks("{}", "/old/ccsync").unwrap();
        let text = add_hooks(&text, PROGRAM).unwrap();
        assert!(!text.contains("/old/"), "{text}");
    }

    #[test]
    fn client_hooks_leave_other_hooks_and_comments() {
        let text = r#"{
  // my theme
  "theme": "dark",
  "hooks": {
    "Stop": [
      {"hooks": [{"type": "command", "command": "say done"}]} // mine
    ]
  },
  "model": "opus" /* for now */
}
"#;
        let added = add_hooks(text, PROGRAM).unwrap();
        for kept in ["// my theme", "// mine", "say done", "/* for now */"] {
            assert!(added.contains(kept), "{kept}: {added}");
        }
        assert_eq!(without(text), text);
    }

    #[test]
    fn client_status_line_of_another_program_stays() {
        let other = r#"{"statusLine": {"type": "command", "command": "starship"}}"#;
        assert_eq!(add_status_line(other, PROGRAM).unwrap(), other);
        assert_eq!(remove_status_line(other).unwrap(), other);
        let own = add_status_line("{}", PROGRAM).unwrap();
        assert!(has_status_line(&own));
        assert!(!has_status_line(&remove_status_line(&own).unwrap()));
    }

    #[test]
    fn client_hooks_refuse_settings_of_other_types() {
        for text in ["[]", "{\"hooks\": []}", "{\"hooks\": {\"Stop\": 1}}", "{"] {
            assert!(add_hooks(text, PROGRAM).is_err(), "{text}");
        }
    }

    #[test]
    fn client_hooks_do_not_take_other_commands_for_own() {
        assert!(is_own_command("'/a b/ccsync' hook session-start"));
        assert!(!is_own_command("ccsync push"));
        assert!(!is_own_command("/bin/other hook stop"));
    }
}
