//! Generators of difficult texts.

use ccsync::domain::client_dir::client_dir_name;
use ccsync::domain::placeholder::{Placeholders, System};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::placeholders;

/// Returns machines of every system, some with unreasonable placeholders.
pub(crate) fn machines() -> Vec<Placeholders> {
    vec![
        placeholders(
            System::Linux,
            &[
                ("HOME", "/home/al"),
                ("PROJECTS", "/home/al/projects"),
                ("W", "/srv/w"),
            ],
        ),
        placeholders(
            System::Linux,
            &[
                ("HOME", "/root"),
                ("PROJECTS", "/work/projects=>/mnt/big/projects"),
            ],
        ),
        placeholders(
            System::Macos,
            &[
                ("HOME", "/Users/al=>/Volumes/Big Disk/al"),
                ("PROJECTS", "/Users/al/My \"Projects\""),
            ],
        ),
        placeholders(
            System::Windows,
            &[
                ("HOME", "C:\\Users\\al"),
                ("PROJECTS", "D:\\code"),
                ("W", "n:\\w w"),
            ],
        ),
        placeholders(
            System::Wsl,
            &[
                ("HOME", "/home/al"),
                ("PROJECTS", "/mnt/c/Users/al/code"),
                ("W", "/mnt/c/w"),
            ],
        ),
        placeholders(
            System::Linux,
            &[
                ("HOME", "/home/\u{e9}"),
                ("PROJECTS", "/home/e\u{301}"),
                ("W", "/\u{76ee}\u{5f55}"),
            ],
        ),
        placeholders(
            System::Linux,
            &[("HOME", "/a"), ("PROJECTS", "/a\\"), ("W", "/1")],
        ),
        placeholders(
            System::Linux,
            &[("HOME", "/a{{"), ("PROJECTS", "/a{{HOME}}"), ("W", "/\"")],
        ),
        placeholders(
            System::Linux,
            &[
                ("HOME", "/home/al"),
                ("PROJECTS", "/home/al"),
                ("W", "/home/al~"),
            ],
        ),
    ]
}

pub(crate) fn machine() -> impl Strategy<Value = Placeholders> {
    select(machines())
}

/// Returns working directories for which directory names are known.
pub(crate) fn directories(machine: &Placeholders) -> Vec<String> {
    let separator = machine.system.separator();
    let below = |tail: &str| {
        machine
            .placeholders
            .iter()
            .map(|root| format!("{}{separator}{tail}", root.directory))
            .collect::<Vec<_>>()
    };
    [
        below("demo"),
        below("my_app.x"),
        below("d\u{e9} \"}}"),
        below(&"long".repeat(60)),
    ]
    .concat()
}

/// Returns every form of every placeholder's directory, made without the code under test.
fn spelled(machine: &Placeholders) -> Vec<String> {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut all = Vec::new();
    let paths = machine
        .placeholders
        .iter()
        .flat_map(|root| [Some(root.directory.clone()), root.resolved.clone()])
        .flatten();
    for path in paths.chain(directories(machine)) {
        let forward = path.replace('\\', "/");
        let bash = forward
            .strip_prefix("C:")
            .map_or(forward.clone(), |rest| format!("/c{rest}"));
        all.extend([
            path.clone(),
            escape(&path),
            escape(&escape(&path)),
            escape(&escape(&escape(&path))),
        ]);
        all.extend([
            forward.clone(),
            format!("/mnt{bash}"),
            bash,
            escape(&forward).replace('/', "\\/"),
        ]);
        all.extend([
            forward.replace('/', "\\\\/"),
            path.to_lowercase(),
            client_dir_name(&path),
        ]);
        all.extend([
            path.replace('/', "%2F")
                .replace('\\', "%5C")
                .replace(':', "%3A"),
            path.replace(' ', "%20"),
        ]);
    }
    all
}

const AWKWARD: &[&str] = &[
    "",
    "",
    "/",
    "\\",
    "\\\\",
    "\\\\\\\\",
    "\"",
    "\\\"",
    "\\\\\\\"",
    "'",
    "`",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\\n",
    "\\t",
    "\\\\n",
    "\\r",
    "\\\\\\\\n",
    "\\u0000",
    "\\u001b[0m",
    "\u{1b}[1;32m",
    "\\u00e9",
    "\\ud83d",
    "x",
    "demo",
    "demo-feature",
    "-old",
    ".bak",
    ".",
    "..",
    "-",
    "+",
    "~",
    "_",
    ":",
    "=",
    "@",
    "%",
    "%2F",
    "%20",
    "%3D",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "{{",
    "}}",
    "{{{",
    "{{HOME}}",
    "{{~HOME}}",
    "{{HOME:",
    "{{HOME:1}}",
    "{{HOME:s1}}",
    "{{HOME:e/demo}}",
    "{{~~",
    "{{A",
    "HOME}}",
    "~HOME",
    "file://",
    "file:///",
    "file:\\/\\/",
    "file%3A%2F%2F",
    "\\\\?\\",
    "\\\\\\\\?\\\\",
    "/mnt",
    "/mnt/home/al",
    "/home/alice",
    "/home/al-old",
    "/home/al.bak",
    "C:",
    "c",
    "é",
    "e\u{301}",
    "→",
    "。",
    "🚀",
    "\u{2028}",
    "\u{0}",
    "\u{7f}",
    "null",
    "1",
    "-1",
    ",",
    ":",
    "{\"",
    "\":\"",
    "\":{\"",
    "\"}",
    "\"thinking\":\"",
    "\"thinking\" : \"",
    "\"signature\":\"",
    "\"data\":\"",
    "\"type\":\"base64\"",
    "\"type\":\"redacted_thinking\",",
    "{\"type\":\"base64\",\"data\":\"",
    "\"cwd\":\"",
    "{\"cwd\":\"",
    "\"type\":\"relocated\",",
    "\"base64\":\"",
    ",\"x\":\"",
];

const BYTES: &[&[u8]] = &[
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\xbd",
    b"\xf0\x9f",
    b"\x80",
    b"\x1b",
];

/// Returns any bytes, often paths of the machine between awkward characters.
pub(crate) fn bytes(machine: &Placeholders) -> impl Strategy<Value = Vec<u8>> + use<> {
    let paths: Vec<Vec<u8>> = spelled(machine)
        .into_iter()
        .map(String::into_bytes)
        .collect();
    let awkward: Vec<Vec<u8>> = AWKWARD
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    let odd: Vec<Vec<u8>> = BYTES.iter().map(|bytes| bytes.to_vec()).collect();
    let piece = prop_oneof![
        5 => select(paths),
        9 => select(awkward),
        1 => select(odd),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Returns text as it is in a string: paths between awkward characters, all of it UTF-8.
fn text(machine: &Placeholders) -> impl Strategy<Value = String> + use<> {
    let piece =
        prop_oneof![2 => select(spelled(machine)), 3 => select(AWKWARD).prop_map(str::to_owned)];
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

const KEYS: &[&str] = &[
    "cwd",
    "type",
    "data",
    "thinking",
    "signature",
    "base64",
    "message",
    "content",
    "x",
];
const TYPES: &[&str] = &[
    "base64",
    "redacted_thinking",
    "relocated",
    "user",
    "file-history-snapshot",
    "text",
];

/// Returns a JSON value with the keys that matter, paths in strings and in keys, and JSON
/// inside of strings.
fn value(machine: &Placeholders) -> impl Strategy<Value = Value> + use<> {
    let leaf = prop_oneof![
        6 => text(machine).prop_map(Value::String),
        2 => select(TYPES).prop_map(|name| Value::String(name.to_owned())),
        1 => any::<i32>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let key = prop_oneof![6 => select(KEYS).prop_map(str::to_owned), 1 => text(machine)];
    leaf.prop_recursive(3, 16, 5, move |inner| {
        let object = prop::collection::vec((key.clone(), inner.clone()), 0..5)
            .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()));
        prop_oneof![
            4 => object,
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            1 => inner.prop_map(|value| Value::String(value.to_string())),
        ]
    })
}

/// Returns a line of valid JSON: compact, with blanks, or with escaped slashes.
pub(crate) fn line(machine: &Placeholders) -> impl Strategy<Value = String> + use<> {
    (value(machine), 0..3).prop_map(|(value, writer)| match writer {
        0 => value.to_string(),
        1 => value.to_string().replace('/', "\\/"),
        _ => value.to_string().replace("\":", "\" : "),
    })
}
