//! Paths in the store. They are types of their own, so that they cannot be opened by mistake; a
//! path on this machine is a [`std::path::Path`].

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checked::{checked_text, ensure};

/// An absolute path with a placeholder: `{{HOME}}/work/app`; always `/`-separated below it.
///
/// A path below no placeholder's directory stays as its machine wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortablePath(String);

/// The name of a file in a session, relative to the session's directory:
/// `subagents/agent-1.jsonl`.
///
/// It is `/`-separated and has at most 1024 bytes. No component is empty, `.`, `..`, longer than
/// 246 bytes or a Windows device, has one of `\ : * ? " < > |` or a control character, or ends with
/// a dot, a space or `.segments` in any case. It can be joined to a directory on every system, and
/// so can the name followed by `.segments`, which no other file can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativeName(String);

/// Suffix of the directory in the store with the segments of a file.
pub const SEGMENTS_SUFFIX: &str = ".segments";

/// Longest file name of every system, in bytes.
const MAX_COMPONENT: usize = 255;

/// Longest name of a file in a session, in bytes.
const MAX_NAME: usize = 1024;

/// The reason why a text is not a [`RelativeName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsafe file name `{}`", .0.escape_debug())]
pub struct UnsafeName(String);

impl PortablePath {
    /// Wraps a portable text (see `rewrite::collapse_path`).
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortablePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the way from `directory` to `path`, `/`-separated on every system. `None` if the path is
/// not below the directory, or not UTF-8.
pub fn path_below(directory: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(directory).ok()?;
    let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}

/// Removes `.` and `..` from an absolute local path, without following links. `None` if something
/// that reads like `..` on another system is left.
pub fn without_dots(path: &str, is_windows: bool) -> Option<String> {
    let has_dots = |text: &str| {
        text.split(['/', '\\'])
            .any(|part| part == "." || part == "..")
    };
    if !has_dots(path) {
        return Some(path.to_owned());
    }
    let separators: &[char] = if is_windows { &['/', '\\'] } else { &['/'] };
    let separator = match is_windows && path.contains('\\') {
        true => "\\",
        false => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(separators) {
        match part {
            "." => {}
            // The first part is the root or the drive.
            ".." => parts.truncate(parts.len().saturating_sub(1).max(1)),
            _ => parts.push(part),
        }
    }
    let path = parts.join(separator);
    (!has_dots(&path)).then_some(path)
}

fn check_relative_name(text: &str) -> Result<(), UnsafeName> {
    let fits = |component: &str| {
        component.len() <= MAX_COMPONENT - SEGMENTS_SUFFIX.len()
            && !is_segments_directory(component)
    };
    let is_safe = text.len() <= MAX_NAME && is_safe_path(text) && text.split('/').all(fits);
    ensure(is_safe, || UnsafeName(text.to_owned()))
}

/// Returns true if joining `path` to a directory stays below it on every system.
///
/// It may have names that [`RelativeName`] does not allow: longer or reserved ones.
pub fn is_safe_path(path: &str) -> bool {
    path.split('/').all(is_safe_component)
}

fn is_segments_directory(component: &str) -> bool {
    let start = component.len().checked_sub(SEGMENTS_SUFFIX.len());
    start.is_some_and(|start| {
        component.as_bytes()[start..].eq_ignore_ascii_case(SEGMENTS_SUFFIX.as_bytes())
    })
}

fn is_safe_component(component: &str) -> bool {
    let bad_char =
        |c: char| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    !component.is_empty()
        && component.len() <= MAX_COMPONENT
        && !component.ends_with(['.', ' '])
        && !component.contains(bad_char)
        && !super::id::is_reserved_device_name(component)
}

checked_text!(RelativeName, UnsafeName, check_relative_name);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_below_directory_has_slashes() {
        let directory = Path::new("a").join("b");
        let below = |path: &Path| path_below(&directory, path);
        let file = directory.join("c").join("d.md");
        assert_eq!(below(&file).as_deref(), Some("c/d.md"));
        assert_eq!(below(&directory).as_deref(), Some(""));
        assert_eq!(below(Path::new("a")), None);
    }

    #[test]
    fn path_without_dots_is_lexical() {
        for (path, is_windows, expected) in [
            ("/home/al/app", false, Some("/home/al/app")),
            ("/home/al/work/../app/.", false, Some("/home/al/app")),
            ("/../a/./b", false, Some("/a/b")),
            ("/a/../../b", false, Some("/b")),
            (r"C:\Users\al\..\x", true, Some(r"C:\Users\x")),
            ("C:/Users/../x", true, Some("C:/x")),
            (r"/home/a\..\b", false, None),
        ] {
            assert_eq!(
                without_dots(path, is_windows).as_deref(),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn path_relative_name_cannot_leave_directory() {
        for good in [
            "custom-title.json",
            "subagents/workflows/wf_1/agent-2.jsonl",
            "tool-results/a b.txt",
        ] {
            assert!(RelativeName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "C:x",
            "a\\b",
            "aux.txt",
            "a\nb",
            "x.",
            "x ",
        ] {
            assert!(RelativeName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn path_segments_directory_is_not_a_relative_name() {
        for good in ["segments", "a.segments.txt", &"x".repeat(246)] {
            assert!(RelativeName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "a.segments",
            "a.Segments",
            ".segments",
            "a.segments/000000.txt",
            &"x".repeat(247),
        ] {
            assert!(RelativeName::new(bad).is_err(), "{bad}");
            assert!(is_safe_path(bad), "{bad}");
        }
    }
}
