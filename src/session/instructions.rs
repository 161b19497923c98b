//! The files that the user's instructions import: `@path` in `CLAUDE.md`, and again in those files.
//!
//! Must not open files outside the client's directory.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::extras::MAX_EXTRA_BYTES;
use crate::sys::fs::read_plain_file;

/// The client follows imports of imported files so many times (client 2.1.332).
const MAX_IMPORTS: usize = 5;

/// Maximum number of imported files.
const MAX_FILES: usize = 1000;

/// Lists the files that `CLAUDE.md` in the client's directory imports. Of files below that
/// directory, only existing ones; the disk of others may be away, so they are not read.
pub fn imported_files(claude_dir: &Path, home: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut unread = vec![claude_dir.join("CLAUDE.md")];
    for _ in 0..MAX_IMPORTS {
        let mut imported = Vec::new();
        for path in std::mem::take(&mut unread) {
            let text = read_plain_file(&path, MAX_EXTRA_BYTES).unwrap_or_default();
            let directory = path.parent().unwrap_or(claude_dir);
            let imports = imports(&String::from_utf8_lossy(&text));
            imported.extend(
                imports
                    .iter()
                    .filter_map(|import| resolve(import, directory, home)),
            );
        }
        for path in imported {
            let is_below = path.starts_with(claude_dir);
            let is_new = found.len() < MAX_FILES && (!is_below || path.is_file());
            if is_new && found.insert(path.clone()) && is_below {
                unread.push(path);
            }
        }
    }
    found
}

/// Returns the path of an import, without `.` and `..`.
fn resolve(import: &str, directory: &Path, home: &Path) -> Option<PathBuf> {
    let import = import.split('#').next().filter(|path| !path.is_empty())?;
    let path = match import.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => directory.join(import),
    };
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    Some(plain)
}

/// Lists the imports in a text, which are not in code.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        let start = line.trim_start();
        if start.starts_with("```") || start.starts_with("~~~") {
            is_code = !is_code;
        } else if !is_code {
            let plain = line.split('`').step_by(2);
            found.extend(plain.flat_map(imports_in_words));
        }
    }
    found
}

/// Lists the imports in a part of a line. A backslash keeps a blank in a path.
fn imports_in_words(text: &str) -> Vec<String> {
    let kept = text.replace("\\ ", "\0");
    let words = kept.split_whitespace();
    let paths = words.filter_map(|word| word.strip_prefix('@'));
    let paths = paths.map(|path| path.trim_end_matches([',', '.', ';', ':', ')']));
    paths.map(|path| path.replace('\0', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_in_code_and_inside_words_are_ignored() {
        let text =
            "See @~/a.md, and @b/c\\ d.md#part\n`@no.md` al@x.org\n```\n@no.md\n```\n- @/e.md\n";
        assert_eq!(imports(text), ["~/a.md", "b/c d.md#part", "/e.md"]);
    }

    #[test]
    fn imports_are_followed_below_client_directory() {
        let home = tempfile::tempdir().unwrap();
        let claude = home.path().join(".claude");
        std::fs::create_dir(&claude).unwrap();
        let write = |name: &str, text: &str| {
            crate::sys::fs::write_atomic(&claude.join(name), text.as_bytes()).unwrap();
        };
        write("CLAUDE.md", "@a.md @missing.md @../outside.md");
        write("a.md", "@~/.claude/b.md @CLAUDE.md");
        write("b.md", "@a.md");
        let found = imported_files(&claude, home.path());
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(home.path()).unwrap())
            .collect();
        assert_eq!(
            names,
            [
                ".claude/CLAUDE.md",
                ".claude/a.md",
                ".claude/b.md",
                "outside.md"
            ]
            .map(Path::new)
        );
    }
}
