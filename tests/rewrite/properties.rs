//! Properties of the rewriting of any text.

use ccsync::domain::placeholder::{Placeholders, System};
use ccsync::rewrite::{Expander, TextKind, View, collapse_path, expand_path};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::arbitrary::{bytes, directories, line, machine, machines};
use super::{collapse, expand, placeholders, read};

const KINDS: [TextKind; 2] = [TextKind::Json, TextKind::Plain];
const VIEWS: [View; 2] = [View::Local, View::Original];

/// The records that only the client reads.
const CLIENT_RECORDS: [&str; 4] = [
    "worktree-state",
    "relocated",
    "file-history-snapshot",
    "file-history-delta",
];

fn machine_and_bytes() -> impl Strategy<Value = (Placeholders, Vec<u8>)> {
    machine().prop_flat_map(|machine| (Just(machine.clone()), bytes(&machine)))
}

fn machine_and_line() -> impl Strategy<Value = (Placeholders, String)> {
    machine().prop_flat_map(|machine| (Just(machine.clone()), line(&machine)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rewrite_collapse_then_expand_is_exact((origin, text) in machine_and_bytes()) {
        for kind in KINDS {
            let portable = collapse(&origin, &directories(&origin), kind, &text);
            let back = expand(&Expander::exact(&origin), kind, &portable);
            prop_assert_eq!(
                String::from_utf8_lossy(&back), String::from_utf8_lossy(&text),
                "{:?} via {}", kind, String::from_utf8_lossy(&portable)
            );
            prop_assert_eq!(back, text.clone());
            prop_assert_eq!(read(&origin, &origin, View::Local, kind, &portable), text.clone());
        }
    }

    #[test]
    fn rewrite_lines_are_independent((origin, text) in machine_and_bytes(), target in machine()) {
        let lines = || text.split_inclusive(|b| *b == b'\n');
        for kind in KINDS {
            let whole = collapse(&origin, &directories(&origin), kind, &text);
            let pieces: Vec<_> = lines().map(|line| collapse(&origin, &directories(&origin), kind, line)).collect();
            prop_assert_eq!(&whole, &pieces.concat());
            for view in VIEWS {
                let expanded: Vec<_> = pieces.iter().map(|line| read(&origin, &target, view, kind, line)).collect();
                prop_assert_eq!(read(&origin, &target, view, kind, &whole), expanded.concat());
            }
        }
    }

    #[test]
    fn expand_any_bytes_never_panics((origin, text) in machine_and_bytes(), target in machine()) {
        for kind in KINDS {
            for view in VIEWS {
                read(&origin, &target, view, kind, &text);
            }
        }
    }

    #[test]
    fn rewrite_json_stays_valid((origin, line) in machine_and_line(), target in machine()) {
        let portable = collapse(&origin, &directories(&origin), TextKind::Json, line.as_bytes());
        let shown = String::from_utf8_lossy(&portable);
        prop_assert!(serde_json::from_slice::<Value>(&portable).is_ok(), "{}\nfrom {}", shown, line);
        for view in VIEWS {
            let local = read(&origin, &target, view, TextKind::Json, &portable);
            let shown_local = String::from_utf8_lossy(&local);
            prop_assert!(serde_json::from_slice::<Value>(&local).is_ok(), "{}\nvia {}\nfrom {}", shown_local, shown, line);
        }
    }

    #[test]
    fn rewrite_protected_strings_never_change((origin, line) in machine_and_line(), target in machine()) {
        let before = protected(&serde_json::from_str(&line).expect("JSON"));
        let portable = collapse(&origin, &directories(&origin), TextKind::Json, line.as_bytes());
        prop_assert_eq!(&protected(&serde_json::from_slice(&portable).expect("JSON")), &before, "{}", line);
        for view in VIEWS {
            let local = read(&origin, &target, view, TextKind::Json, &portable);
            // Keys that differ here may be one key there, and then the parser drops a
            // value; none may be new.
            let after = protected(&serde_json::from_slice(&local).expect("JSON"));
            prop_assert!(after.iter().all(|text| before.contains(text)), "{}", line);
        }
    }

    #[test]
    fn collapse_leaves_no_placeholder_directory((origin, line) in machine_and_line()) {
        let portable = collapse(&origin, &directories(&origin), TextKind::Json, line.as_bytes());
        let mut left = Vec::new();
        unprotected(&serde_json::from_slice(&portable).expect("JSON"), &mut |text| {
            left.extend(origin.placeholders.iter().filter(|root| stands_alone(text, &root.directory, origin.system)).map(|root| (root.directory.clone(), text.to_owned())));
        });
        prop_assert!(left.is_empty(), "{:?}\nfrom {}\nvia {}", left, line, String::from_utf8_lossy(&portable));
    }

    #[test]
    fn expand_original_paths_differ_in_client_fields_only((origin, line) in machine_and_line(), target in machine()) {
        let portable = collapse(&origin, &directories(&origin), TextKind::Json, line.as_bytes());
        let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("JSON");
        let exact = parse(line.as_bytes());
        let original = parse(&read(&origin, &target, View::Original, TextKind::Json, &portable));
        let local = parse(&read(&origin, &target, View::Local, TextKind::Json, &portable));
        if exact["type"].as_str().is_some_and(|name| CLIENT_RECORDS.contains(&name)) {
            prop_assert_eq!(original, local);
        } else {
            prop_assert_eq!(&original["cwd"].as_str(), &local["cwd"].as_str());
            prop_assert_eq!(without_cwd(original), without_cwd(exact));
        }
    }

    #[test]
    fn expand_paths_have_form_of_reader(parts in prop::collection::vec(part(), 0..5), depth in 1_usize..4) {
        let machines = machines();
        for (from, to) in [(0, 1), (0, 2), (0, 3), (3, 0), (3, 4), (4, 3), (2, 3), (1, 2), (2, 0)] {
            let (origin, target) = (&machines[from], &machines[to]);
            let portable = collapse(origin, &[], TextKind::Json, rendered(origin, &parts, depth).as_bytes());
            let local = read(origin, target, View::Local, TextKind::Json, &portable);
            prop_assert_eq!(
                String::from_utf8_lossy(&local), rendered(target, &parts, depth),
                "{} -> {}", from, to
            );
        }
    }

    #[test]
    fn rewrite_single_path_round_trips(origin in machine(), at in any::<prop::sample::Index>(), tail in tail()) {
        let root = &at.get(&origin.placeholders).directory;
        let separator = origin.system.separator().to_string();
        let native = [vec![root.as_str()], tail].concat().join(&separator);
        let portable = collapse_path(&origin, &native);
        prop_assert!(portable.as_str().starts_with("{{"), "{}", portable);
        prop_assert_eq!(expand_path(&portable, &origin), Some(native));
    }
}

/// A word, or a path below the placeholder at an index.
#[derive(Debug, Clone)]
enum Part {
    Word(&'static str),
    Path(usize, Vec<&'static str>),
}

fn tail() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(
        select(vec![
            "demo",
            "demo-feature",
            "a.rs",
            "\u{e9}",
            "x_y",
            "n",
            "t",
        ]),
        0..4,
    )
}

fn part() -> impl Strategy<Value = Part> {
    let word = select(vec![
        "see", "/usr/bin", "demo", "{{HOME}}", "a/b", "\u{76ee}", "\n", "--", "ls",
    ]);
    prop_oneof![
        word.prop_map(Part::Word),
        (0_usize..2, tail()).prop_map(|(root, tail)| Part::Path(root, tail))
    ]
}

/// Returns the parts as text of a machine, in a string that is `depth` levels of JSON
/// deep.
fn rendered(machine: &Placeholders, parts: &[Part], depth: usize) -> String {
    let separator = machine.system.separator().to_string();
    let words = parts.iter().map(|part| match part {
        Part::Word(word) => (*word).to_owned(),
        Part::Path(root, tail) => [
            vec![machine.placeholders[*root].directory.as_str()],
            tail.clone(),
        ]
        .concat()
        .join(&separator),
    });
    let text = format!("in {}", words.collect::<Vec<_>>().join(" "));
    (0..depth).fold(text, |text, _| serde_json::json!({ "x": text }).to_string())
}

/// Returns all strings that the rule protects, sorted: replacing a path in a key may
/// change the order of fields.
fn protected(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    visit(value, false, &mut |text, is_protected| {
        if is_protected {
            all.push(text.to_owned());
        }
    });
    all.sort_unstable();
    all
}

fn unprotected(value: &Value, found: &mut dyn FnMut(&str)) {
    visit(value, false, &mut |text, is_protected| {
        if !is_protected {
            found(text);
        }
    });
}

/// Visits every string, by the rule of the documentation, on the parsed value.
fn visit(value: &Value, is_protected: bool, found: &mut dyn FnMut(&str, bool)) {
    match value {
        Value::String(text) => found(text, is_protected),
        Value::Array(items) => items.iter().for_each(|item| visit(item, false, found)),
        Value::Object(fields) => {
            let is_binary = matches!(
                fields.get("type").and_then(Value::as_str),
                Some("base64" | "redacted_thinking")
            );
            for (key, field) in fields {
                let is_key = matches!(key.as_str(), "thinking" | "signature" | "base64")
                    || key == "data" && is_binary;
                visit(field, is_key, found);
            }
        }
        _ => {}
    }
}

/// Returns true if `path` is in `text` and cannot be part of another path there.
fn stands_alone(text: &str, path: &str, system: System) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + path.len()..]);
        let begins =
            before.is_empty() || before.ends_with([' ', '"', '\'', '(', ':', '=', ',', '\n', '\t']);
        let ends = after.is_empty()
            || after.starts_with([' ', '"', '\'', ')', ':', ',', '\n', system.separator()]);
        begins && ends
    })
}

fn without_cwd(mut value: Value) -> Value {
    if let Some(fields) = value
        .as_object_mut()
        .filter(|fields| fields.get("cwd").is_some_and(Value::is_string))
    {
        fields.remove("cwd");
    }
    value
}

#[test]
fn collapse_ignores_paths_of_other_machine() {
    let a = placeholders(System::Linux, &[("HOME", "/home/al")]);
    let b = placeholders(System::Linux, &[("HOME", "/home/bo")]);
    let foreign = b"{\"cwd\":\"/home/al/x\"}\n";
    assert_eq!(collapse(&b, &[], TextKind::Json, foreign), foreign);
    let portable = collapse(&a, &[], TextKind::Json, foreign);
    assert_eq!(
        read(&a, &b, View::Local, TextKind::Json, &portable),
        b"{\"cwd\":\"/home/bo/x\"}\n"
    );
}

#[test]
fn collapse_long_line_takes_linear_time() {
    let origin = &machines()[0];
    let line = format!(
        "{{\"x\":\"{}\",\"data\":\"/home/al\"}}",
        "in /home/al/x and \\\"then\\\" {{X ".repeat(200_000)
    );
    let start = std::time::Instant::now();
    let portable = collapse(origin, &[], TextKind::Json, line.as_bytes());
    for target in machines() {
        read(origin, &target, View::Original, TextKind::Json, &portable);
    }
    // Without optimisation this takes about a second; a step that reads back to the
    // line's beginning would take hours.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
