//! One line of a transcript, from the form in which claude-session-sync stores it to that in which the client wrote it. Pure.
//!
//! That program reads each line as JSON, replaces in every string that is a value (not in names) a directory by `{{NAME}}`, and writes the
//! record anew with a blank after each `,` and `:`. Both are undone on the bytes: the white space between tokens is left out, which is
//! how the client writes, and `{{NAME}}` becomes the directory again. A line that is no JSON stays as it is.

use std::collections::BTreeMap;

use memchr::memmem;

/// No placeholder's name is longer.
const LONGEST_NAME: usize = 64;

/// Which separators a machine's paths have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Unix,
    Windows,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// Whatever is outside of strings.
    Between(&'a [u8]),
    /// A string that names a member, quotes included.
    Name(&'a [u8]),
    /// Any other string, quotes included.
    Value(&'a [u8]),
}

/// The directories of one machine, as they stand inside a JSON string.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directories(BTreeMap<Vec<u8>, Directory>);

#[derive(Debug, Clone)]
struct Directory {
    native: Vec<u8>,
    /// With `/` for separators, where the native form has others.
    slashed: Option<Vec<u8>>,
}

impl Directories {
    /// From placeholder names (without braces) and paths.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let directory = |path: &str| Directory {
            native: in_json(path),
            slashed: path
                .contains('\\')
                .then(|| in_json(&path.replace('\\', "/"))),
        };
        Self(
            paths
                .into_iter()
                .map(|(name, path)| (name.as_bytes().to_vec(), directory(path)))
                .collect(),
        )
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.contains_key(name)
    }
}

/// What a line says of where it was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// The names in it that are among those asked for.
    pub(crate) names: Vec<String>,
    /// The kind of separators that follow its placeholders; those of its working directory decide.
    pub(crate) family: Option<Family>,
}

/// `line`, without its line end, as the machine with these directories had it.
pub(crate) fn local_line(line: &[u8], directories: &Directories) -> Vec<u8> {
    if !is_json(line) {
        return line.to_vec();
    }
    let mut local = Vec::with_capacity(line.len() + line.len() / 8);
    for piece in pieces(line) {
        match piece {
            Piece::Between(text) => local.extend(text.iter().filter(|b| !is_blank(**b))),
            Piece::Name(text) => local.extend_from_slice(text),
            Piece::Value(text) => expand(text, directories, &mut local),
        }
    }
    local
}

/// `line` as that program would store it, without the white space between its tokens: in every value, longer directories first.
pub(crate) fn portable_line(line: &[u8], directories: &Directories) -> Vec<u8> {
    if !is_json(line) {
        return line.to_vec();
    }
    let mut spellings: Vec<(&[u8], &[u8])> = Vec::new();
    for (name, directory) in &directories.0 {
        let all = std::iter::once(&directory.native).chain(&directory.slashed);
        spellings.extend(all.map(|path| (path.as_slice(), name.as_slice())));
    }
    spellings.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    let mut portable = Vec::with_capacity(line.len());
    for piece in pieces(line) {
        match piece {
            Piece::Between(text) => portable.extend(text.iter().filter(|b| !is_blank(**b))),
            Piece::Name(text) => portable.extend_from_slice(text),
            Piece::Value(text) => {
                let replace = |text, (path, name): &(&[u8], &[u8])| replaced(text, path, name);
                portable.extend(spellings.iter().fold(text.to_vec(), replace));
            }
        }
    }
    portable
}

fn replaced(text: Vec<u8>, path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() || memmem::find(&text, path).is_none() {
        return text;
    }
    let mut replaced = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memmem::find_iter(&text, path) {
        replaced.extend_from_slice(&text[from..at]);
        replaced.extend([b"{{", name, b"}}"].concat());
        from = at + path.len();
    }
    replaced.extend_from_slice(&text[from..]);
    replaced
}

/// `line` without the white space between its tokens, by which two spellings of one record are known to be the same.
pub(crate) fn compact(line: &[u8]) -> Vec<u8> {
    local_line(line, &Directories::default())
}

/// Looks for placeholders of `known` in `line`.
pub(crate) fn hints(line: &[u8], known: &Directories) -> Hints {
    let mut found = Hints::default();
    if memmem::find(line, b"{{").is_none() || !is_json(line) {
        return found;
    }
    let (mut of_cwd, mut of_any) = (None, None);
    let mut name: &[u8] = b"";
    for piece in pieces(line) {
        match piece {
            Piece::Between(_) => {}
            Piece::Name(text) => name = text,
            Piece::Value(text) => each_placeholder(text, &mut |placeholder, after| {
                if !known.has(placeholder) {
                    return;
                }
                found
                    .names
                    .push(String::from_utf8_lossy(placeholder).into_owned());
                let family = family_of(after);
                if name == b"\"cwd\"" {
                    of_cwd = of_cwd.or(family);
                }
                of_any = of_any.max(family);
            }),
        }
    }
    found.family = of_cwd.or(of_any);
    found
}

fn family_of(after: &[u8]) -> Option<Family> {
    match after {
        // In a JSON string, one backslash is two.
        [b'\\', b'\\', ..] => Some(Family::Windows),
        [b'/', ..] => Some(Family::Unix),
        _ => None,
    }
}

/// A value with the directories in place of their placeholders.
fn expand(text: &[u8], directories: &Directories, local: &mut Vec<u8>) {
    let mut from = 0;
    each_placeholder(text, &mut |name, after| {
        let Some(directory) = directories.0.get(name) else {
            return;
        };
        let end = text.len() - after.len();
        let start = end - name.len() - 4;
        local.extend_from_slice(&text[from..start]);
        // That program has one placeholder for `C:\x` and `C:/x`; what follows tells which it was.
        let slashed = directory
            .slashed
            .as_ref()
            .filter(|_| family_of(after) == Some(Family::Unix));
        local.extend_from_slice(slashed.unwrap_or(&directory.native));
        from = end;
    });
    local.extend_from_slice(&text[from..]);
}

/// Calls `each` with the name of every `{{NAME}}` in `text`, and what follows it.
fn each_placeholder<'a>(text: &'a [u8], each: &mut dyn FnMut(&'a [u8], &'a [u8])) {
    let mut at = 0;
    while let Some(found) = memmem::find(&text[at..], b"{{") {
        let start = at + found + 2;
        let window = &text[start..text.len().min(start + LONGEST_NAME + 2)];
        match memmem::find(window, b"}}") {
            // Of `{{{{X}}`, the inner ones.
            Some(end) if memmem::find(&window[..end], b"{").is_none() => {
                each(&text[start..start + end], &text[start + end + 2..]);
                at = start + end + 2;
            }
            _ => at = start - 1,
        }
    }
}

fn in_json(path: &str) -> Vec<u8> {
    let quoted = serde_json::to_string(path).expect("a text can be written as JSON");
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

/// Whether a line is a record, or at least JSON.
pub(crate) fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The pieces of a line that is JSON.
fn pieces(line: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest[0] != b'"' {
            let (between, after) = rest.split_at(memchr::memchr(b'"', rest).unwrap_or(rest.len()));
            rest = after;
            return Some(Piece::Between(between));
        }
        let (string, after) = rest.split_at(string_end(rest));
        rest = after;
        let is_name = after.iter().find(|b| !is_blank(**b)) == Some(&b':');
        Some(if is_name {
            Piece::Name(string)
        } else {
            Piece::Value(string)
        })
    })
}

/// Length of the string at the start of `text`, quotes included.
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

    fn al() -> Directories {
        Directories::new([("HOME", "/home/al"), ("PROJECTS", "/home/al/projects")])
    }

    fn local(line: &str, directories: &Directories) -> String {
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
        let windows = Directories::new([("HOME", r"C:\Users\al")]);
        let stored = r#"{"cwd": "{{HOME}}\\app", "f": "{{HOME}}/app", "h": "{{HOME}}"}"#;
        let written = r#"{"cwd":"C:\\Users\\al\\app","f":"C:/Users/al/app","h":"C:\\Users\\al"}"#;
        assert_eq!(local(stored, &windows), written);
    }

    #[test]
    fn import_line_family_follows_working_directory() {
        let of = |line: &str| hints(line.as_bytes(), &al()).family;
        assert_eq!(
            of(r#"{"cwd": "{{HOME}}\\app", "f": "{{HOME}}/app"}"#),
            Some(Family::Windows)
        );
        assert_eq!(
            of(r#"{"cwd": "{{HOME}}/app", "f": "{{HOME}}\\app"}"#),
            Some(Family::Unix)
        );
        assert_eq!(of(r#"{"cwd": "{{HOME}}", "f": "{{HOME}}\nx"}"#), None);
        assert_eq!(of(r#"{"cwd": "{{NOBODY}}\\app"}"#), None);
        assert_eq!(
            hints(br#"["{{HOME}}","{{PROJECTS}}"]"#, &al()).names,
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
            prop_assert_eq!(local(&spaced(&value), &Directories::default()), written.clone(), "white space");
            // What looks like a placeholder before is all that cannot come back.
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
            hints(line, &al());
        }
    }
}
