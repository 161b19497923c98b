//! An independent rewriter, if it is available: `CCSYNC_REWRITE_REF` names a Python
//! program with the functions `make_rule(pairs)` and `rewrite_bytes(line, rule)`, which
//! parses each string, replaces paths and writes it again. The two differ where the
//! reference is less exact, so only lines in which both rules agree are compared.

use std::io::Write;
use std::process::{Command, Stdio};

use ccsync::domain::placeholder::System;
use ccsync::rewrite::{TextKind, View};

use super::{collapse, placeholders, read};

const PROGRAM: &str = r#"
import importlib.util, sys
spec = importlib.util.spec_from_file_location("reference", sys.argv[1])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)
rule = reference.make_rule([tuple(pair.split("=", 1)) for pair in sys.argv[2:]])
lines = sys.stdin.buffer.read().split(b"\n")
sys.stdout.buffer.write(b"\n".join(reference.rewrite_bytes(line, rule) for line in lines))
"#;

const BEFORE: &[&str] = &[
    "", " ", "(", "'", "`", "=", ":", "\\n", "\\t", "\\\"", "cd ", "-I ", "\\u0000", "→ ", "a,",
    "x", "_", ".", "é",
];
const PATHS: &[&str] = &[
    "/home/al",
    "/home/al/projects",
    "/home/al/projects/demo",
    "-home-al",
    "-home-al-projects",
];
const AFTER: &[&str] = &[
    "", " ", "/", "/x.rs", "/x y", ")", "'", "`", ":12", ",", ";", "\\n", "\\\"", ".", ". Then",
    ".bak", "ice", "_old", "-old", "- x",
];
const AROUND: &[(&str, &str)] = &[
    ("{\"cwd\":\"", "\"}"),
    ("{\"a\":[{\"text\":\"", "\"}]}"),
    ("{\"", "\":1}"),
    ("{\"thinking\":\"", "\"}"),
    ("{\"a\":\"{\\\"b\\\":\\\"", "\\\"}\"}"),
];

#[test]
#[allow(clippy::print_stderr)]
fn rewrite_agrees_with_reference() {
    let Some(reference) = std::env::var_os("CCSYNC_REWRITE_REF") else {
        eprintln!("skipped: CCSYNC_REWRITE_REF is not set");
        return;
    };
    let origin = placeholders(
        System::Linux,
        &[("HOME", "/home/al"), ("PROJECTS", "/home/al/projects")],
    );
    let target = placeholders(
        System::Linux,
        &[("HOME", "/Users/bo"), ("PROJECTS", "/work/code")],
    );
    let text = lines().join("\n");
    let portable = collapse(&origin, &[], TextKind::Json, text.as_bytes());
    let ours = read(&origin, &target, View::Local, TextKind::Json, &portable);
    let child = Command::new("python3")
        .args(["-c", PROGRAM])
        .arg(reference)
        .args(["/home/al=/Users/bo", "/home/al/projects=/work/code"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.expect("python3");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(text.as_bytes())
        .expect("written");
    let finished = child.wait_with_output().expect("output");
    assert!(finished.status.success());
    let theirs = finished.stdout;
    let pairs = ours
        .split(|b| *b == b'\n')
        .zip(theirs.split(|b| *b == b'\n'))
        .zip(lines());
    let differences: Vec<_> = pairs
        .filter(|((ours, theirs), _)| ours != theirs)
        .map(|((ours, theirs), line)| {
            format!(
                "{line}\n  {}\n  {}",
                String::from_utf8_lossy(ours),
                String::from_utf8_lossy(theirs)
            )
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    for (open, close) in AROUND {
        // The reference decodes one level only: in JSON inside a string it reads the
        // letter of an escape as a letter.
        let nested = open.contains('\\');
        for before in BEFORE
            .iter()
            .filter(|before| !nested || !ends_an_escape(before))
        {
            for path in PATHS {
                lines.extend(
                    AFTER
                        .iter()
                        .filter(|after| agree(path, after))
                        .map(|after| {
                            let text = format!("{before}{path}{after}");
                            let text = if nested {
                                text.replace('\\', "\\\\").replace("\\\\\"", "\\\\\\\"")
                            } else {
                                text
                            };
                            format!("{open}{text}{close}")
                        }),
                );
            }
        }
    }
    lines
}

fn ends_an_escape(before: &str) -> bool {
    matches!(before, "\\n" | "\\t" | "\\u0000")
}

/// Returns true if both rules agree. If a longer placeholder's directory is not whole,
/// the shorter one is; and a directory name may go on after a hyphen.
fn agree(path: &str, after: &str) -> bool {
    !(path.starts_with('-') && after.starts_with(['-', '.', '_']))
}

#[test]
fn rewrite_reference_lines_are_json() {
    assert!(
        lines()
            .iter()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}
