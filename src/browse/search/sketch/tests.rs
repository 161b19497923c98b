//! Every message of a record is in the sketch, however the record was written, stored and
//! read.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use crate::browse::search::sketch::*;
use crate::browse::{search::parts::parts, search::pattern::Case, search::pattern::Pattern};
use crate::domain::{Placeholder, Placeholders, System};
use crate::rewrite::{Collapser, Expander, TextKind, View, every_path_form};
use crate::session::messages::messages;

/// Returns true if the sketch of an expression lets a stored line pass; `None` without a sketch.
fn passes(pattern: &str, line: &str) -> Option<bool> {
    let written = Written::new(&["/home/al", "/srv/p,w"].map(str::to_owned).into());
    let sketch = sketch(&parts(pattern, true).unwrap(), &written)?;
    Some(
        regex::bytes::Regex::new(&sketch)
            .unwrap()
            .is_match(line.as_bytes()),
    )
}

#[test]
fn sketch_rejects_line_without_match() {
    for (pattern, line, expected) in [
        (r"fn \w+_token\w*\(", r#""pub fn get_token(x)""#, Some(true)),
        (
            r"fn \w+_token\w*\(",
            r#""fn {{HOME}}_token\u00e9(x)""#,
            Some(true),
        ),
        (
            r"fn (a|b)",
            r#""{{HOME:e/fn}} a {{HOME:e/long}} b""#,
            Some(true),
        ),
        (
            "-my-app_old (a|b)",
            r#""{{HOME:e/my_app}}_old b""#,
            Some(true),
        ),
        ("fn[ ;]a", r#""{{HOME:e/fn}};a""#, Some(true)),
        (
            r"fn \w+_token\w*\(",
            r#""let get_token = f(x); fn y()""#,
            Some(false),
        ),
        (r"login\s+form", r#""login\n\tform""#, Some(true)),
        (
            r"login\s+form",
            r#""login\r\n<pasted_content id=\"1\">\r\n form""#,
            Some(true),
        ),
        (r"login\s+form", r#""login the form""#, Some(false)),
        (r#"say "no""#, r#""say \"no\"""#, Some(true)),
        (r#"say "no""#, r#""say","no""#, Some(false)),
        ("say.*no", r#""say","no""#, Some(false)),
        ("say.*no", r#""say\nno""#, Some(false)),
        ("say.*no", r#""say\\no""#, Some(true)),
        (r"say\W+no", r#""say\nno""#, Some(true)),
        ("[;]x[=]", r#"";x=""#, None),
        ("[;]+x[=]", r#"";x\\t=""#, Some(false)),
        (
            r"see /srv/p,w, (there|here)",
            r#""see {{W}}, here""#,
            Some(true),
        ),
        (
            r"see /srv/p,w, (there|here)",
            r#""see /srv/p,w, here""#,
            Some(true),
        ),
        (
            r"see /srv/p,w, (there|here)",
            r#""see, w; there""#,
            Some(false),
        ),
        (r"\w+_token\w*", "", None),
        (r"\d{4}-\d\d", "", None),
        ("x?", "", None),
    ] {
        assert_eq!(passes(pattern, line), expected, "{pattern} in {line}");
    }
}

fn placeholders(system: System, paths: &[(&str, &str, Option<&str>)]) -> Placeholders {
    let root = |&(name, path, resolved): &(&str, _, _)| {
        Placeholder::new(system, name.parse().unwrap(), path, resolved).unwrap()
    };
    Placeholders::new(system, paths.iter().map(root))
}

fn machines() -> Vec<Placeholders> {
    vec![
        placeholders(
            System::Linux,
            &[
                ("HOME", "/home/al", None),
                ("REPO", "/home/al/src/app", Some("/disk/app")),
            ],
        ),
        placeholders(
            System::Macos,
            &[
                ("HOME", "/Users/bo", None),
                ("REPO", "/Users/bo/My Projects (old)/app", None),
            ],
        ),
        placeholders(
            System::Windows,
            &[
                ("HOME", "C:\\Users\\cy", None),
                ("REPO", "D:\\code\\app", None),
            ],
        ),
        placeholders(System::Linux, &[("HOME", "/home/é", None)]),
    ]
}

/// Characters that are written in another form than they are read.
fn words(machine: &Placeholders) -> Vec<String> {
    let fixed = [
        "login",
        "Form",
        "x",
        "größer",
        "ファイル",
        "🚀",
        "\"quoted\"",
        "back\\slash",
        "a\tb",
        "\n",
        "\r\n",
        "\u{7}",
        "\u{7f}",
        "/",
        "//",
        "C:\\Users\\cy",
        "{{HOME}}",
        "{{~HOME}}",
        "{{ name }}",
        "%2F",
        "~/",
        "-",
        "\\u00e9",
        "\\n",
        "é",
        "e\u{301}",
        "ẞ",
        "ς",
        "(x)",
        "a, b",
        "\n<pasted_content id=\"1\">\n",
        "\n  </pasted_content>\r\n",
        "\u{fffd}",
        "fn get_token(",
        "\u{2028}",
    ];
    let paths = machine.placeholders.iter().flat_map(|root| {
        let (path, separator) = (&root.directory, machine.system.separator());
        [
            path.clone(),
            format!("{path}{separator}my_app{separator}main.rs"),
            path.replace('/', "\\/"),
            path.replace(['/', '\\'], "%2F"),
            path.replace('\\', "/"),
            format!("{path}-old"),
            crate::domain::client_dir::client_dir_name(&format!("{path}{separator}my_app")),
            format!("file://{path}/x"),
        ]
    });
    fixed.map(str::to_owned).into_iter().chain(paths).collect()
}

/// A record as one of several writers of JSON would write it; the last cuts a character in half.
fn written(text: &str, writer: u8) -> String {
    let line = json!({"type": "user", "message": {"content": text}}).to_string();
    let escape = |c: char| {
        c.encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect::<String>()
    };
    let ascii = |c: char| {
        if c.is_ascii() {
            c.to_string()
        } else {
            escape(c).to_string()
        }
    };
    match writer {
        0 => line,
        1 => line.chars().map(ascii).collect(),
        2 => line.replace('/', "\\/"),
        3 => line.replace(['<', '>', '&', '\''], "\\u003c"),
        _ => line.replace('🚀', "\\ud83d"),
    }
}

/// A regular expression that matches `text`, or nearly: each character, or several, as `how` says.
fn expression(text: &[char], how: &[Index]) -> String {
    let mut pattern = String::new();
    let mut hows = how.iter().cycle();
    let mut rest = text;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        let one = regex::escape(&c.to_string());
        let class =
            |has: bool, yes: &str, no: &str| if has { yes.to_owned() } else { no.to_owned() };
        let way = hows.next().map_or(0, |how| how.index(40));
        pattern += &match way {
            0 => class(c == '\n', r"\n", "."),
            1 => class(c.is_alphanumeric() || c == '_', r"\w", r"\W"),
            2 => class(c.is_whitespace(), r"\s", r"\S"),
            3 => class(c.is_numeric(), r"\pN", r"\D"),
            4 => class(c == 'z', "z", "[^z]"),
            5 => class(c == '"', r#"["x]"#, r#"[^"]"#),
            6 => format!("[Q{one}]"),
            7 => format!("(?:{one}|zz+)"),
            8 => format!("(?:{one}){{1,3}}"),
            9 => format!("z*{one}"),
            10 => format!("(?i:{one})"),
            11 => format!(r"\b?{one}"),
            12 => format!("(q|()){one}"),
            13..20 => {
                let skipped = rest.len().min(way - 12);
                let gap = if rest[..skipped].contains(&'\n') {
                    r"[\s\S]*"
                } else {
                    [".*", ".*?", r"[^\n]*"][way % 3]
                };
                rest = &rest[skipped..];
                format!("{one}{gap}")
            }
            20 => {
                let skipped = rest.iter().take_while(|c| c.is_alphanumeric()).count();
                rest = &rest[skipped..];
                format!(r"{one}\w*")
            }
            21 => {
                let skipped = rest.iter().take_while(|c| c.is_whitespace()).count();
                rest = &rest[skipped..];
                format!(r"{one}\s*")
            }
            _ => one,
        };
    }
    pattern
}

fn record() -> impl Strategy<Value = (Placeholders, String, String)> {
    select(machines()).prop_flat_map(|machine| {
        let texts = proptest::collection::vec(
            (select(words(&machine)), select(vec!["", " ", "_", "\n"])),
            1..7,
        );
        let text = texts.prop_map(|words| {
            words
                .into_iter()
                .map(|(word, end)| word + end)
                .collect::<String>()
        });
        (Just(machine), text, 0..5_u8).prop_map(|(machine, text, writer)| {
            let line = written(&text, writer);
            (machine, text, line)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sketch_accepts_every_line_with_match(
        (origin, _, line) in record(),
        here in select(machines()),
        which in any::<Index>(),
        (start, length) in (any::<Index>(), 1..30_usize),
        how in proptest::collection::vec(any::<Index>(), 1..30),
        case in select(vec![Case::Ignore, Case::Exact]),
    ) {
        let directories = origin.placeholders.iter().map(|root| format!("{}{}my_app", root.directory, origin.system.separator()));
        let (mut stored, mut read) = (Vec::new(), Vec::new());
        Collapser::new(&origin, &directories.collect::<Vec<_>>()).collapse(line.as_bytes(), TextKind::Json, &mut stored);
        Expander::new(&origin, &here, View::Local).expand(&stored, TextKind::Json, &mut read);
        let texts: Vec<String> = messages(&read).messages.into_iter().map(|message| message.text).collect();
        prop_assume!(!texts.is_empty());
        let text: Vec<char> = which.get(&texts).chars().collect();
        let start = start.index(text.len());
        let end = text.len().min(start + length);
        let pattern = Pattern::new(&expression(&text[start..end], &how), true, case).unwrap();
        prop_assume!(texts.iter().any(|text| pattern.regex.is_match(text)));
        let written = Written::new(&every_path_form(&origin).chain(every_path_form(&here)).collect());
        let candidates = pattern.candidates(&written);
        for line in [&stored, &read] {
            let shown = String::from_utf8_lossy(line);
            prop_assert!(candidates.find_in_records(line, 0).is_some(), "no fragment of {:?} in {shown}", pattern.regex);
            prop_assert!(candidates.may_match(line), "{:?} not in {shown}", pattern.regex);
        }
    }
}
