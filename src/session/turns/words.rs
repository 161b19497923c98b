//! The user's words without the wrappers of the client, and short descriptions of tool calls.

use serde_json::Value;

/// Longest argument of a tool that is shown, in characters.
const MAX_ARGUMENT_CHARS: usize = 100;

/// Arguments that describe a tool call, the best first.
const ARGUMENTS: [&str; 11] = [
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "path",
    "url",
    "query",
    "description",
    "skill",
    "name",
    "prompt",
];

/// Beginnings of texts that the client sends to the model.
const CLIENT_TEXTS: [&str; 7] = [
    "<system-reminder>",
    "<local-command-caveat>",
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<task-notification>",
];

/// Returns the typed part of the text of a user's record, if any.
pub(super) fn typed(text: &str) -> Option<String> {
    let mut pieces = typed_pieces(text)?;
    if text.trim_start().starts_with("<bash-input>") {
        pieces.insert(0, "!".to_owned());
    }
    Some(pieces.join(" "))
}

/// Returns the typed part in pieces as in the record: a command's name, then its arguments.
pub(in crate::session) fn typed_pieces(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.is_empty() || CLIENT_TEXTS.iter().any(|tag| text.starts_with(tag)) {
        return None;
    }
    let piece = |piece: &str| Some(piece.trim().to_owned()).filter(|piece| !piece.is_empty());
    if let Some(command) = between(text, "<bash-input>", "</bash-input>") {
        return Some(vec![command.trim().to_owned()]);
    }
    if text.starts_with("<command-") {
        let name = between(text, "<command-name>", "</command-name>")?;
        let arguments = between(text, "<command-args>", "</command-args>").and_then(piece);
        return Some(piece(name).into_iter().chain(arguments).collect());
    }
    let is_wrapping =
        |line: &&str| line.starts_with("<pasted_content ") || line.starts_with("</pasted_content");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !is_wrapping(&line.trim()))
        .collect();
    Some(vec![piece(&lines.join("\n"))?])
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = text.find(start)? + start.len();
    Some(&text[from..from + text[from..].find(end)?])
}

/// Describes a tool call: `Bash: cargo test`, `Edit src/x.rs`. Paths are relative to `cwd`.
pub(super) fn tool(name: &str, input: &Value, cwd: Option<&str>) -> String {
    let Some((key, argument)) = ARGUMENTS
        .iter()
        .find_map(|key| Some((*key, input[*key].as_str()?)))
    else {
        return name.to_owned();
    };
    let argument = match key {
        "file_path" | "notebook_path" | "path" => below(argument, cwd),
        _ => argument,
    };
    let line = argument.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(MAX_ARGUMENT_CHARS).collect();
    let dots = if short.len() < argument.trim().len() {
        "…"
    } else {
        ""
    };
    let separator = if key == "command" { ": " } else { " " };
    format!("{name}{separator}{short}{dots}")
}

fn below<'a>(path: &'a str, cwd: Option<&str>) -> &'a str {
    let rest = cwd.and_then(|cwd| path.strip_prefix(cwd));
    rest.and_then(|rest| rest.strip_prefix(['/', '\\']))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(path)
}
