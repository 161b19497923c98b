//! Which module may use which: reads every `use crate::…` and every path `crate::…` in `src/`, and fails on an edge that the
//! map in `src/lib.rs` does not have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// From the bottom up: a module, and everything of this crate that it may use.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("sys", &["domain"]),
    ("rewrite", &["domain"]),
    ("config", &["domain", "sys"]),
    ("session", &["domain", "sys"]),
    ("store", &["domain", "sys"]),
    ("transport", &["domain", "sys"]),
    ("lock", &["domain", "sys", "store", "transport"]),
    ("project", &["domain", "sys", "transport"]),
    (
        "sync",
        &[
            "domain",
            "sys",
            "rewrite",
            "config",
            "session",
            "store",
            "transport",
            "lock",
            "project",
        ],
    ),
    ("ui", &["domain", "sys", "sync::report"]),
    // Its list of errors names those of every module.
    (
        "cli",
        &[
            "domain",
            "sys",
            "rewrite",
            "config",
            "session",
            "store",
            "transport",
            "lock",
            "project",
            "sync",
            "ui",
        ],
    ),
    (
        "lib",
        &[
            "domain",
            "sys",
            "rewrite",
            "config",
            "session",
            "store",
            "transport",
            "lock",
            "project",
            "sync",
            "ui",
            "cli",
        ],
    ),
];

/// What only one place may do: a pattern, the modules that may, and why.
const RESERVED: [(&str, &[&str], &str); 4] = [
    // `project` reads the user's repositories with it: a process for each session that is stored would cost more than storing it.
    (
        r"\bgit2::",
        &["store", "project"],
        "the library behind the store must be replaceable",
    ),
    (
        r"\bstd::process::(Command|Child|Stdio)\b",
        &["sys"],
        "processes are started by `sys::process`",
    ),
    (
        r"\be?print(ln)?!|\bio::std(out|err)\b|\bstd(out|err)\(\)",
        &["ui", "cli", "sys/env.rs"],
        "only `ui` and `cli` print",
    ),
    (
        r"\bdialoguer::(Input|Confirm|Select|MultiSelect)\b",
        &["ui"],
        "only `ui` asks",
    ),
];

struct Source {
    path: PathBuf,
    /// The module at the top: `sync`, or `lib` for `src/lib.rs`.
    module: String,
    /// Without comments and without test modules, which may use what they like.
    code: String,
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(may) = allowed.get(source.module.as_str()) else {
            wrong.push(format!(
                "{}: module `{}` has no place in the map",
                source.path.display(),
                source.module
            ));
            continue;
        };
        for used in used_paths(&source.code) {
            let top = used.split("::").next().unwrap_or_default();
            let fine = top == source.module
                || may
                    .iter()
                    .any(|m| used == *m || used.starts_with(&format!("{m}::")));
            if !fine {
                wrong.push(format!(
                    "{}: `{}` must not use `{used}`",
                    source.path.display(),
                    source.module
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_reserved_for_one_place_stays_there() {
    let mut wrong = Vec::new();
    for (pattern, places, why) in RESERVED {
        let pattern = Regex::new(pattern).unwrap();
        for source in sources() {
            let may = |place: &&str| source.module == **place || source.path == Path::new(place);
            if !places.iter().any(may) && pattern.is_match(&source.code) {
                wrong.push(format!("{}: {why}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn main_only_calls_the_library() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.contains("ccsync::cli::main()"), "{main}");
    assert!(main.lines().count() < 10, "{main}");
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    for source in sources() {
        let text = fs::read_to_string(root().join("src").join(&source.path)).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not",
            source.path.display()
        );
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests"))
        .unwrap()
        .map(|e| e.unwrap().path())
    {
        let stem = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module =
            entry.extension().is_some_and(|e| e == "rs") || entry.join("mod.rs").exists();
        if is_module && stem != "main" {
            assert!(
                main.contains(&format!("\nmod {stem};")),
                "tests/main.rs does not name {stem}"
            );
        }
    }
}

#[test]
fn paths_are_found_in_every_form() {
    let code = "use crate::sys::{env::Env, fs};\nuse crate::{domain::id::SessionId, store};\nfn f() { crate::config::x() }\n\
                use crate::sync::{self, Context};";
    let mut used = used_paths(code);
    used.sort();
    let expected = [
        "config::x",
        "domain::id::SessionId",
        "store",
        "sync",
        "sync::Context",
        "sys::env::Env",
        "sys::fs",
    ];
    assert_eq!(used, expected);
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let files = walkdir::WalkDir::new(&src)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let rust = files.filter(|e| {
        e.path().extension().is_some_and(|x| x == "rs") && !e.path().ends_with("main.rs")
    });
    rust.map(|entry| {
        let path = entry.path().strip_prefix(&src).unwrap().to_owned();
        let module = path
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        Source {
            code: code_of(&fs::read_to_string(entry.path()).unwrap()),
            path,
            module,
        }
    })
    .collect()
}

/// The file without comments and without what follows its first test module (they stand last).
fn code_of(text: &str) -> String {
    let tests = Regex::new(r"(?m)^#\[cfg\((all\()?test").unwrap();
    let code = tests
        .find(text)
        .map_or(text, |found| &text[..found.start()]);
    Regex::new(r"(?m)//.*$")
        .unwrap()
        .replace_all(code, "")
        .into_owned()
}

/// Every path below `crate::` that the code names, groups in braces taken apart.
fn used_paths(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        expand(&code[at + start.len()..], "", &mut used);
    }
    used
}

/// Reads one path or group at the start of `code`; gives how many bytes it took.
fn expand(code: &str, prefix: &str, used: &mut Vec<String>) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let name_end = code.find(|c| !is_name(c)).unwrap_or(code.len());
    let name = &code[..name_end];
    if !code[name_end..].starts_with('{') {
        let whole = format!("{prefix}{name}");
        used.push(
            whole
                .strip_suffix("::self")
                .unwrap_or(&whole)
                .trim_end_matches(':')
                .to_owned(),
        );
        return name_end;
    }
    let mut at = name_end + 1;
    let prefix = format!("{prefix}{name}");
    while at < code.len() && !code[at..].starts_with('}') {
        let skipped = code[at..].len() - code[at..].trim_start_matches([' ', '\n', ',']).len();
        at += skipped;
        if code[at..].starts_with('}') {
            break;
        }
        at += expand(&code[at..], &prefix, used).max(1);
    }
    at + 1
}
