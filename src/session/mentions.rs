//! The working directories and plans that the records of a session name. They tell which project
//! the session and the plans belong to.
//!
//! Collected from pieces of whole lines, so that an append costs what was appended. Must not
//! decide anything.

use std::collections::BTreeSet;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::fields::{line_at, string_at, values};

/// Maximum number of working directories, and of plans, of one session.
const MAX_MENTIONS: usize = 1000;

/// Longest name of a plan, in bytes.
const MAX_PLAN_NAME: usize = 200;

/// Fields that name a working directory of the session.
const DIRECTORY_FIELDS: [&str; 2] = ["cwd", "relocatedCwd"];

/// The directories and plans in the lines read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mentions {
    /// Working directories in the order in which they first appear.
    pub directories: Vec<String>,
    /// Names of files in the client's directory of plans.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub plans: BTreeSet<String>,
}

/// The fields of a record that name its working directory.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directories {
    cwd: Option<String>,
    relocated_cwd: Option<String>,
}

impl Mentions {
    /// Adds more of a transcript, as whole lines; the last one may be torn.
    pub fn absorb(&mut self, lines: &[u8]) {
        for field in DIRECTORY_FIELDS {
            self.absorb_directories(lines, field);
        }
        self.absorb_slugs(lines);
        self.absorb_plan_paths(lines);
    }

    fn absorb_directories(&mut self, lines: &[u8], field: &str) {
        let mut last: &[u8] = b"";
        let mut nested: BTreeSet<String> = BTreeSet::new();
        for at in values(lines, field) {
            let Some(text) = string_at(lines, at).filter(|text| *text != last) else {
                continue;
            };
            last = text;
            let Ok(directory) = serde_json::from_slice::<String>(text) else {
                continue;
            };
            if self.directories.contains(&directory) || nested.contains(&directory) {
                continue;
            }
            if is_of_record(line_at(lines, at), &directory) {
                if self.directories.len() < MAX_MENTIONS {
                    self.directories.push(directory);
                }
            } else if nested.len() < MAX_MENTIONS {
                nested.insert(directory);
            }
        }
    }

    /// Adds the plans that the client names after a session's `slug`.
    fn absorb_slugs(&mut self, lines: &[u8]) {
        let mut last: &[u8] = b"";
        for text in values(lines, "slug").filter_map(|at| string_at(lines, at)) {
            if text != last {
                last = text;
                let slug = std::str::from_utf8(text).unwrap_or_default();
                self.add_plan(&format!("{}.md", slug.trim_matches('"')));
            }
        }
    }

    /// Adds the plans whose paths occur: `/plans/NAME.md`, on Windows with escaped separators.
    fn absorb_plan_paths(&mut self, lines: &[u8]) {
        for at in memmem::find_iter(lines, b"plans") {
            let rest = &lines[at + b"plans".len()..];
            let name = rest
                .strip_prefix(b"/")
                .or_else(|| rest.strip_prefix(b"\\\\"));
            let name = name.unwrap_or_default();
            let name = &name[..name.len().min(MAX_PLAN_NAME)];
            let is_part = |byte: &&u8| !br#"/\"'` "#.contains(byte) && !byte.is_ascii_control();
            let len = name.iter().take_while(is_part).count();
            let Some(end) = memmem::rfind(&name[..len], b".md") else {
                continue;
            };
            if let Ok(name) = std::str::from_utf8(&name[..end + 3]) {
                self.add_plan(name);
            }
        }
    }

    fn add_plan(&mut self, name: &str) {
        let is_name = name.len() > ".md".len() && !name.contains(['/', '\\']);
        if is_name && self.plans.len() < MAX_MENTIONS && !self.plans.contains(name) {
            self.plans.insert(name.to_owned());
        }
    }
}

/// Returns true if `directory` is the record's own, not that of an object in it. In a line that
/// is not JSON it counts.
fn is_of_record(line: &[u8], directory: &str) -> bool {
    let Ok(record) = serde_json::from_slice::<Directories>(line.trim_ascii()) else {
        return true;
    };
    [record.cwd, record.relocated_cwd]
        .iter()
        .flatten()
        .any(|own| own == directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(text: &str) -> Mentions {
        let mut mentions = Mentions::default();
        mentions.absorb(text.as_bytes());
        mentions
    }

    #[test]
    fn mentions_directories_of_records_only() {
        let text = r#"{"type":"user","cwd": "/a","message":{"content":[{"input":{"cwd":"/x"}}]}}
{"type":"relocated","relocatedCwd":"/b"}
{"cwd":"/a","x":{"cwd":"/y"}}
{"cwd":"/torn","mess"#;
        assert_eq!(mentions(text).directories, ["/a", "/torn", "/b"]);
    }

    #[test]
    fn mentions_plans_by_slug_and_path() {
        let text = r#"{"slug":"calm-fox","x":"/home/al/.claude/plans/red-owl.md`"}
{"x":"C:\\Users\\al\\.claude\\plans\\big-cat.md and plans/ or plans/none.txt"}"#;
        assert_eq!(
            mentions(text).plans.into_iter().collect::<Vec<_>>(),
            ["big-cat.md", "calm-fox.md", "red-owl.md"]
        );
    }
}
