//! The two kinds of path: a portable path (in the store) is not a local path (on this machine).
//!
//! Local paths are [`std::path::Path`]. The types here are those of the store and cannot be opened by mistake.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::checked::checked_text;

/// An absolute path with its root replaced by a placeholder: `{{HOME}}/work/app`. Always `/`-separated below the root.
/// A path under no root stays as its machine wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortablePath(String);

/// The name of a file inside a session, relative to the session's directory: `subagents/agent-1.jsonl`.
///
/// `/`-separated; no component is empty, `.`, `..`, longer than 246 bytes, a Windows device, or holds one of
/// `\ : * ? " < > |` or a control character; none ends with a dot, a space or `.segments` in any case; at most 1024 bytes in
/// all. Safe to join to a directory on every system, and so is the name with `.segments` after it, which no other file can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativeName(String);

/// What follows the name of a file in the name of the directory that holds its pieces in the store.
pub const SEGMENTS_SUFFIX: &str = ".segments";

/// The longest file name that every system takes.
const MAX_COMPONENT: usize = 255;

/// Why a text is not a [`RelativeName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a safe file name", .0.escape_debug())]
pub struct UnsafeName(String);

impl PortablePath {
    /// Wraps text that is known to be portable (see `rewrite::collapse_path`).
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortablePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RelativeName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`UnsafeName`] if joining the name to a directory could lead elsewhere or fail on some system.
    pub fn new(text: impl Into<String>) -> Result<Self, UnsafeName> {
        let text = text.into();
        let fits = |component: &str| {
            component.len() <= MAX_COMPONENT - SEGMENTS_SUFFIX.len()
                && !is_segments_directory(component)
        };
        let safe = text.len() <= 1024 && is_safe_path(&text) && text.split('/').all(fits);
        if safe {
            Ok(Self(text))
        } else {
            Err(UnsafeName(text))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether joining `path` to a directory leads to a place below it on every system; a longer or reserved name than
/// [`RelativeName`] allows may be in it.
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

checked_text!(RelativeName, UnsafeName, Self::new);

#[cfg(test)]
mod tests {
    use super::*;

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
