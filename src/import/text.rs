//! Converts one line of a transcript between the form in which claude-session-sync stores it
//! and the form in which the client wrote it. Pure.
//!
//! That program reads each line as JSON, replaces directories by `{{NAME}}` in every string
//! that is a value (not in names), and writes the record again with a space after each `,` and
//! `:`. The import reverses both on bytes: it removes the white space between tokens, as the
//! client writes, and replaces `{{NAME}}` by the directory. A line that is not JSON stays
//! unchanged.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use memchr::memmem;

/// Longest name of a placeholder, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The separators in a machine's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathStyle {
    Unix,
    Windows,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// Anything outside of strings.
    Other(&'a [u8]),
    /// The name of a member, with its quotes.
    Name(&'a [u8]),
    /// Any other string, with its quotes.
    Value(&'a [u8]),
}

/// Directories of one machine by placeholder, as they are written in a JSON string.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlaceholderPaths(BTreeMap<Vec<u8>, JsonPath>);

#[derive(Debug, Clone)]
struct JsonPath {
    native: Vec<u8>,
    /// The path with `/` for `\`, if it has any.
    slashed: Option<Vec<u8>>,
}

impl PlaceholderPaths {
    /// Takes names of placeholders, without braces, with their paths.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut by_name = BTreeMap::new();
        for (name, path) in paths {
            let slashed = path.replace('\\', "/");
            let path = JsonPath {
                native: to_json(path),
                slashed: (slashed != path).then(|| to_json(&slashed)),
            };
            by_name.insert(name.as_bytes().to_vec(), path);
        }
        Self(by_name)
    }
}

/// Hints in a line about the machine that wrote it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LineHints {
    /// The known placeholders in it.
    pub(crate) names: Vec<String>,
    /// The separators after its placeholders; those of the working directory come first.
    pub(crate) style: Option<PathStyle>,
}

/// Converts a line of the source, without its line end, to what the machine with these paths
/// wrote.
pub(crate) fn local_line(line: &[u8], paths: &PlaceholderPaths) -> Vec<u8> {
    convert(line, |value, local| expand(value, paths, local))
}

/// Converts a line of that machine to what that program stores, without the white space between
/// tokens. Longer paths are replaced first.
pub(crate) fn portable_line(line: &[u8], paths: &PlaceholderPaths) -> Vec<u8> {
    let mut replacements: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for (name, path) in &paths.0 {
        for path in std::iter::once(&path.native).chain(&path.slashed) {
            replacements.push((path, [b"{{", name.as_slice(), b"}}"].concat()));
        }
    }
    replacements.sort_by_key(|(path, _)| Reverse(path.len()));
    convert(line, |value, portable| {
        let mut value = value.to_vec();
        for (path, name) in &replacements {
            value = replace_all(value, path, name);
        }
        portable.extend(value);
    })
}

/// Removes the white space between tokens, so that two spellings of one record become equal.
pub(crate) fn compact(line: &[u8]) -> Vec<u8> {
    local_line(line, &PlaceholderPaths::default())
}

/// Removes the white space between the tokens of a line that is JSON, and writes each value
/// with `write`.
fn convert(line: &[u8], write: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    if !is_json(line) {
        return line.to_vec();
    }
    let mut converted = Vec::with_capacity(line.len() + line.len() / 8);
    for token in tokens(line) {
        match token {
            Token::Other(text) => converted.extend(text.iter().filter(|b| !is_blank(**b))),
            Token::Name(text) => converted.extend_from_slice(text),
            Token::Value(text) => write(text, &mut converted),
        }
    }
    converted
}

fn replace_all(text: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    if from.is_empty() || memmem::find(&text, from).is_none() {
        return text;
    }
    let mut replaced = Vec::with_capacity(text.len());
    let mut end = 0;
    for start in memmem::find_iter(&text, from) {
        replaced.extend_from_slice(&text[end..start]);
        replaced.extend_from_slice(to);
        end = start + from.len();
    }
    replaced.extend_from_slice(&text[end..]);
    replaced
}

/// Searches a line for the placeholders of `known`.
pub(crate) fn find_hints(line: &[u8], known: &PlaceholderPaths) -> LineHints {
    let mut hints = LineHints::default();
    if memmem::find(line, b"{{").is_none() || !is_json(line) {
        return hints;
    }
    let (mut of_cwd, mut of_any) = (None, None);
    let mut member: &[u8] = b"";
    for token in tokens(line) {
        match token {
            Token::Other(_) => {}
            Token::Name(text) => member = text,
            Token::Value(text) => {
                for found in placeholders(text).filter(|found| known.0.contains_key(found.name)) {
                    let name = String::from_utf8_lossy(found.name).into_owned();
                    hints.names.push(name);
                    let style = style_of(found.after);
                    if member == b"\"cwd\"" {
                        of_cwd = of_cwd.or(style);
                    }
                    of_any = of_any.max(style);
                }
            }
        }
    }
    hints.style = of_cwd.or(of_any);
    hints
}

/// Returns the style of a path that continues with `after`.
fn style_of(after: &[u8]) -> Option<PathStyle> {
    match after {
        // JSON writes one backslash as two.
        [b'\\', b'\\', ..] => Some(PathStyle::Windows),
        [b'/', ..] => Some(PathStyle::Unix),
        _ => None,
    }
}

/// Writes a value with directories for placeholders.
fn expand(text: &[u8], paths: &PlaceholderPaths, local: &mut Vec<u8>) {
    let mut written = 0;
    for found in placeholders(text) {
        let Some(path) = paths.0.get(found.name) else {
            continue;
        };
        let end = text.len() - found.after.len();
        let start = end - found.name.len() - 4;
        local.extend_from_slice(&text[written..start]);
        // One placeholder stands for `C:\x` and `C:/x`; the text after it tells them apart.
        let slashed = path.slashed.as_ref();
        let slashed = slashed.filter(|_| style_of(found.after) == Some(PathStyle::Unix));
        local.extend_from_slice(slashed.unwrap_or(&path.native));
        written = end;
    }
    local.extend_from_slice(&text[written..]);
}

/// A `{{NAME}}` in a text.
struct FoundPlaceholder<'a> {
    name: &'a [u8],
    /// The text that follows.
    after: &'a [u8],
}

fn placeholders(text: &[u8]) -> impl Iterator<Item = FoundPlaceholder<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = memmem::find(rest, b"{{")? + 2;
            let window = &rest[start..rest.len().min(start + MAX_NAME_BYTES + 2)];
            match memmem::find(window, b"}}") {
                // In `{{{{X}}`, the inner braces count.
                Some(end) if !window[..end].contains(&b'{') => {
                    let (name, after) = (&rest[start..start + end], &rest[start + end + 2..]);
                    rest = after;
                    return Some(FoundPlaceholder { name, after });
                }
                _ => rest = &rest[start - 1..],
            }
        }
    })
}

/// Returns `path` as it is written in a JSON string.
fn to_json(path: &str) -> Vec<u8> {
    let quoted = serde_json::to_string(path).expect("a text can be written as JSON");
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

pub(crate) fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Splits a line that is JSON.
fn tokens(line: &[u8]) -> impl Iterator<Item = Token<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest[0] != b'"' {
            let (other, after) = rest.split_at(memchr::memchr(b'"', rest).unwrap_or(rest.len()));
            rest = after;
            return Some(Token::Other(other));
        }
        let (string, after) = rest.split_at(string_end(rest));
        rest = after;
        let is_name = after.iter().find(|b| !is_blank(**b)) == Some(&b':');
        Some(if is_name {
            Token::Name(string)
        } else {
            Token::Value(string)
        })
    })
}

/// Returns the length of the string at the start of `text`, with its quotes.
fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn al() -> PlaceholderPaths {
        PlaceholderPaths::new([("HOME", "/home/al"), ("PROJECTS", "/home/al/projects")])
    }

    fn local(line: &str, directories: &PlaceholderPaths) -> String {
        String::from_utf8(local_line(line.as_bytes(), directories)).expect("text stays text")
    }

    #[test]
    fn import_record_is_restored_as_client_wrote_it() {
        let stored = r#"{"cwd": "{{PROJECTS}}/app", "n": [1, 2.5, null], "t": "a: b, \"c\" \\ {{HOME}}\n", "e": {}}"#;
        let written = r#"{"cwd":"/home/al/projects/app","n":[1,2.5,null],"t":"a: b, \"c\" \\ /home/al\n","e":{}}"#;
        assert_eq!(local(stored, &al()), written);
        assert_eq!(
            local("{\"a\": 1}\r", &al()),
            "{\"a\":1}",
            "a line end of Windows"
        );
        assert_eq!(local("not {{HOME}} json ", &al()), "not {{HOME}} json ");
    }

    #[test]
    fn import_stored_form_of_line_is_reproduced() {
        let written = r#"{"cwd":"/home/al/projects/app","/home/al":"{{HOME}} and /home/al"}"#;
        let stored = r#"{"cwd":"{{PROJECTS}}/app","/home/al":"{{HOME}} and {{HOME}}"}"#;
        assert_eq!(
            String::from_utf8(portable_line(written.as_bytes(), &al())).as_deref(),
            Ok(stored)
        );
        assert_eq!(portable_line(stored.as_bytes(), &al()), stored.as_bytes());
    }

    #[test]
    fn import_member_names_and_unknown_placeholders_stay() {
        let stored = r#"{"{{HOME}}/x": "{{OTHER}} {{}} {{HOME} {{{{HOME}}}}"}"#;
        assert_eq!(
            local(stored, &al()),
            r#"{"{{HOME}}/x":"{{OTHER}} {{}} {{HOME} {{/home/al}}"}"#
        );
    }

    #[test]
    fn import_placeholder_expands_to_either_windows_separator() {
        let windows = PlaceholderPaths::new([("HOME", r"C:\Users\al")]);
        let stored = r#"{"cwd": "{{HOME}}\\app", "f": "{{HOME}}/app", "h": "{{HOME}}"}"#;
        let written = r#"{"cwd":"C:\\Users\\al\\app","f":"C:/Users/al/app","h":"C:\\Users\\al"}"#;
        assert_eq!(local(stored, &windows), written);
    }

    #[test]
    fn import_path_style_follows_working_directory() {
        let of = |line: &str| find_hints(line.as_bytes(), &al()).style;
        assert_eq!(
            of(r#"{"cwd": "{{HOME}}\\app", "f": "{{HOME}}/app"}"#),
            Some(PathStyle::Windows)
        );
        assert_eq!(
            of(r#"{"cwd": "{{HOME}}/app", "f": "{{HOME}}\\app"}"#),
            Some(PathStyle::Unix)
        );
        assert_eq!(of(r#"{"cwd": "{{HOME}}", "f": "{{HOME}}\nx"}"#), None);
        assert_eq!(of(r#"{"cwd": "{{UNKNOWN}}\\app"}"#), None);
        assert_eq!(
            find_hints(br#"["{{HOME}}","{{PROJECTS}}"]"#, &al()).names,
            ["HOME", "PROJECTS"]
        );
    }

    /// As Python's `json.dumps` writes it, without its escapes for other alphabets.
    fn spaced(value: &serde_json::Value) -> String {
        use serde_json::Value;
        match value {
            Value::Array(items) => format!(
                "[{}]",
                items.iter().map(spaced).collect::<Vec<_>>().join(", ")
            ),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    format!("{}: {}", Value::from(name.as_str()), spaced(value))
                };
                format!(
                    "{{{}}}",
                    members.iter().map(member).collect::<Vec<_>>().join(", ")
                )
            }
            plain => plain.to_string(),
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ ,:\"\\\\{}a/]{0,12}",
            Just("/home/al/projects/x, /home/al: y".to_owned())
        ];
        let leaf = prop_oneof![
            text.clone().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                proptest::collection::hash_map(text.clone(), inner, 0..4).prop_map(|members| {
                    members
                        .into_iter()
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn import_line_round_trips_through_other_program(value in any_value()) {
            let written = value.to_string();
            prop_assert_eq!(local(&spaced(&value), &PlaceholderPaths::default()), written.clone(), "white space");
            // A text that looks like a placeholder from the beginning cannot come back.
            prop_assume!(!written.contains("{{"));
            let stored = portable_line(spaced(&value).as_bytes(), &al());
            prop_assert_eq!(String::from_utf8(local_line(&stored, &al())).expect("text"), written);
        }
    }

    #[test]
    fn import_any_bytes_never_panic() {
        for line in [
            &b"\""[..],
            b"\"\\",
            b"{{",
            b"{{\xff}}",
            b"\"{{HOME}}",
            b"",
            b"{\"a\":\"\xff{{HOME}}\"}",
        ] {
            local_line(line, &al());
            find_hints(line, &al());
        }
    }
}
