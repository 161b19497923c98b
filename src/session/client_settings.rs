//! The hooks and the status line of this program in the client's `settings.json`. Pure.
//!
//! Owns their form (client 2.1.332). Everything else in the file stays as it is, comments of the
//! user included. Must not read or write the file.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};
use jsonc_parser::json;

use crate::domain::HookEvent;

/// The key of the hooks in the settings.
const HOOKS: &str = "hooks";

/// The key of the command that prints the status line.
const STATUS_LINE: &str = "statusLine";

/// The byte order mark of some editors.
const BOM: &str = "\u{feff}";

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
    /// A key is there twice.
    #[error("`{0}` is there twice")]
    Twice(&'static str),
}

/// Adds the hooks, in place of those that another version has written. `program` is the absolute
/// path of this program. An empty text becomes an object.
///
/// # Errors
/// [`SettingsError`]
pub fn add_hooks(text: &str, program: &str) -> Result<String, SettingsError> {
    if has_exactly_these_hooks(text, program) {
        return Ok(text.to_owned());
    }
    edited(&remove_hooks(text)?, |settings| {
        refuse_twice(settings, HOOKS)?;
        let hooks = settings
            .object_value_or_create(HOOKS)
            .ok_or(SettingsError::Type("`hooks`", "an object"))?;
        for event in HookEvent::ALL {
            refuse_twice(&hooks, event.client_name())?;
            let groups = hooks
                .array_value_or_create(event.client_name())
                .ok_or(SettingsError::Type("a value of `hooks`", "an array"))?;
            groups.ensure_multiline();
            groups.append(hook(program, event));
        }
        Ok(true)
    })
}

/// Removes the hooks of this program, and what is empty without them.
///
/// # Errors
/// [`SettingsError`]
pub fn remove_hooks(text: &str) -> Result<String, SettingsError> {
    edited(text, |settings| {
        let all = settings.properties().into_iter();
        let all = all.filter(|property| has_name(property, HOOKS));
        let mut has_removed = false;
        for property in all {
            let Some(hooks) = property.object_value() else {
                continue;
            };
            if remove_from_events(&hooks) {
                has_removed = true;
                if hooks.properties().is_empty() {
                    property.remove();
                }
            }
        }
        Ok(has_removed)
    })
}

/// Adds the status line, unless there is one.
///
/// # Errors
/// [`SettingsError`]
pub fn add_status_line(text: &str, program: &str) -> Result<String, SettingsError> {
    edited(text, |settings| {
        let is_missing = settings.get(STATUS_LINE).is_none();
        if is_missing {
            let command = format!("{} statusline", quoted(program));
            let line = json!({"type": "command", "command": command, "refreshInterval": REFRESH});
            settings.append(STATUS_LINE, line);
        }
        Ok(is_missing)
    })
}

/// Removes the status line, if it is of this program.
///
/// # Errors
/// [`SettingsError`]
pub fn remove_status_line(text: &str) -> Result<String, SettingsError> {
    edited(text, |settings| {
        let own = settings.properties().into_iter().filter(is_own_status_line);
        let own: Vec<CstObjectProp> = own.collect();
        let has_removed = !own.is_empty();
        own.into_iter().for_each(CstObjectProp::remove);
        Ok(has_removed)
    })
}

/// Returns true if the settings have a status line, of any program.
pub fn has_status_line(text: &str) -> bool {
    read(text).is_some_and(|settings| settings.get(STATUS_LINE).is_some())
}

/// Returns true if the settings have the status line of this program.
pub fn has_own_status_line(text: &str) -> bool {
    let settings = read(text);
    settings.is_some_and(|settings| settings.properties().iter().any(is_own_status_line))
}

/// Returns the events whose hook is in the settings. None in settings that cannot be read.
pub fn installed_hooks(text: &str) -> Vec<HookEvent> {
    let hooks = read(text).and_then(|settings| last(&settings, HOOKS)?.object_value());
    let is_installed = |event: &HookEvent| {
        let groups = last(hooks.as_ref()?, event.client_name())?.array_value()?;
        let mut commands = groups.elements().into_iter().flat_map(|g| commands(&g));
        commands.find(|command| is_own_command(command))
    };
    let events = HookEvent::ALL.into_iter();
    events.filter(|e| is_installed(e).is_some()).collect()
}

/// Returns true if each event has the hook of this program, as this version writes it, and no other
/// one of this program.
fn has_exactly_these_hooks(text: &str, program: &str) -> bool {
    let hooks = read(text).and_then(|settings| last(&settings, HOOKS)?.object_value());
    let own_groups = |event: HookEvent| {
        let groups = last(hooks.as_ref()?, event.client_name())?.array_value()?;
        let is_own = |group: &CstNode| commands(group).iter().any(|c| is_own_command(c));
        let own = groups.elements().into_iter().filter(is_own);
        Some(own.map(|group| group.to_serde_value()).collect::<Vec<_>>())
    };
    let mut events = HookEvent::ALL.into_iter();
    events.all(|event| {
        let written = own_groups(event);
        written.is_some_and(|own| own == [value(hook(program, event))])
    })
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
    let hooks = last(&read(text)?, HOOKS)?.object_value()?;
    let groups = hooks
        .properties()
        .into_iter()
        .filter_map(|p| p.array_value());
    let mut commands = groups
        .flat_map(|groups| groups.elements())
        .flat_map(|g| commands(&g));
    commands.find_map(|command| own_program(command.rsplit_once(" hook ")?.0))
}

fn is_own_status_line(property: &CstObjectProp) -> bool {
    let line = property.value();
    has_name(property, STATUS_LINE) && line.as_ref().and_then(own_program_of_status_line).is_some()
}

fn own_program_of_status_line(line: &CstNode) -> Option<String> {
    own_program(command_of(line)?.strip_suffix(" statusline")?)
}

/// Returns the shell command of a hook.
fn hook_command(program: &str, event: HookEvent) -> String {
    format!("{} hook {}", quoted(program), event.name())
}

/// Returns the path of this program as a word of a shell.
pub(super) fn quoted(program: &str) -> String {
    format!("'{}'", program.replace('\'', r"'\''"))
}

/// The client runs it with `sh -c`: clients before 2.1.332 know no list of arguments. It waits for
/// no asynchronous hook, and does not end it when it ends itself.
fn hook(program: &str, event: HookEvent) -> CstInputValue {
    let command = hook_command(program, event);
    let hook = match event {
        HookEvent::SessionEnd => {
            json!({"type": "command", "command": command, "timeout": TIMEOUT, "async": true})
        }
        _ => json!({"type": "command", "command": command, "timeout": TIMEOUT}),
    };
    json!({"hooks": [hook]})
}

/// Returns a value as it is read from settings.
fn value(input: CstInputValue) -> Option<serde_json::Value> {
    let root = CstRootNode::parse("[]", &ParseOptions::default()).ok()?;
    root.array_value()?.append(input);
    root.to_serde_value()?.get(0).cloned()
}

/// Removes the hooks of this program from all events. Returns true if there were any.
fn remove_from_events(hooks: &CstObject) -> bool {
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
    has_removed
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

/// Applies `edit` to the settings. The text stays as it is if that returns false.
fn edited(
    text: &str,
    edit: impl FnOnce(&CstObject) -> Result<bool, SettingsError>,
) -> Result<String, SettingsError> {
    let root = parse(text)?;
    if !edit(&settings(&root)?)? {
        return Ok(text.to_owned());
    }
    let mark = if text.starts_with(BOM) { BOM } else { "" };
    Ok(format!("{mark}{root}"))
}

/// Returns the settings for reading; `None` if they cannot be read.
fn read(text: &str) -> Option<CstObject> {
    settings(&parse(text).ok()?).ok()
}

/// Parses the settings without their byte order mark, which the client ignores.
fn parse(text: &str) -> Result<CstRootNode, SettingsError> {
    let json = text.strip_prefix(BOM).unwrap_or(text);
    CstRootNode::parse(json, &ParseOptions::default())
        .map_err(|e| SettingsError::Syntax(e.to_string()))
}

/// Returns the property of this name that counts for the client: the last one.
fn last(object: &CstObject, name: &str) -> Option<CstObjectProp> {
    let mut properties = object.properties().into_iter().rev();
    properties.find(|property| has_name(property, name))
}

fn has_name(property: &CstObjectProp, name: &str) -> bool {
    let decoded = property.name().and_then(|name| name.decoded_value().ok());
    decoded.as_deref() == Some(name)
}

/// Refuses to add to one of two properties: only the last one counts for the client.
fn refuse_twice(object: &CstObject, name: &'static str) -> Result<(), SettingsError> {
    let properties = object.properties();
    let named = properties
        .iter()
        .filter(|property| has_name(property, name));
    match named.count() {
        0 | 1 => Ok(()),
        _ => Err(SettingsError::Twice(name)),
    }
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
    fn client_hooks_of_another_version_are_renewed() {
        let written = add_hooks("{}", PROGRAM).unwrap();
        for (present, former) in [
            ("\"timeout\": 10", "\"timeout\": 60"),
            (" hook stop\"", " hook stop --quiet\""),
            (",\n            \"async\": true", ""),
        ] {
            let text = written.replace(present, former);
            assert_ne!(text, written, "{present}");
            assert_eq!(add_hooks(&text, PROGRAM).unwrap(), written);
        }
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
