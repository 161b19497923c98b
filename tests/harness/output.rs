//! The result of a command, and its form in a snapshot: one block without the parts that
//! differ between runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::{Captures, Regex};

/// A command that has ended.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// `None`: killed by a signal.
    pub(crate) code: Option<i32>,
    root: PathBuf,
}

impl Run {
    pub(super) fn from_command(command: &mut Command, root: &Path) -> Self {
        Self::from_output(command.output().unwrap(), root)
    }

    pub(super) fn from_output(output: std::process::Output, root: &Path) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
            code: output.status.code(),
            root: root.to_owned(),
        }
    }

    /// Asserts that the command ended with 0.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    /// Asserts that the command ended with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{self}");
        self
    }

    /// Returns standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON: {e}\n{self}"))
    }

    /// Returns the last line of standard output, which has the counts.
    #[track_caller]
    pub(crate) fn summary(&self) -> String {
        self.normal(
            self.stdout
                .lines()
                .last()
                .unwrap_or_else(|| panic!("no output\n{self}")),
        )
    }

    fn normal(&self, text: &str) -> String {
        normalised(text, &self.root)
    }
}

/// Writes both streams and the status, normalised.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal(&self.stdout))?;
        if !self.stderr.is_empty() {
            write!(f, "--- stderr\n{}", self.normal(&self.stderr))?;
        }
        match self.code {
            Some(code) => write!(f, "--- exit {code}"),
            None => write!(f, "--- killed"),
        }
    }
}

/// Returns `text` without the totals of a report, and with `$ROOT`, `$COMMIT`, `$MACHINE`,
/// `$AGE` and `$FORK1`, `$FORK2`… in place of the parts that differ between runs. Ids that
/// tests choose begin with eight equal digits and stay.
pub(super) fn normalised(text: &str, root: &Path) -> String {
    let text = text.replace(root.to_str().unwrap(), "$ROOT");
    let text = Regex::new(r"\b[0-9a-f]{40}\b")
        .unwrap()
        .replace_all(&text, "$$COMMIT")
        .into_owned();
    let text = Regex::new(r"\b[0-9a-f]{32}\b")
        .unwrap()
        .replace_all(&text, "$$MACHINE")
        .into_owned();
    let text = Regex::new(
        r"(on the remote as|saved on this disk as|the remote|commit) ( *\(?)[0-9a-f]{10}\b",
    )
    .unwrap()
    .replace_all(&text, "$1 $2$$COMMIT")
    .into_owned();
    let text = Regex::new(r" \(\d+ turns?, [\d.]+ k?B in [\d.]+ (s|min)\)")
        .unwrap()
        .replace_all(&text, "")
        .into_owned();
    let text = Regex::new(r"just now|\d+ (min|h|days?) ago")
        .unwrap()
        .replace_all(&text, "$$AGE")
        .into_owned();
    name_forks(&text)
}

fn name_forks(text: &str) -> String {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let id = Regex::new(r"\b([0-9a-f]{8})(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?\b")
        .unwrap();
    let rename = |found: &Captures<'_>| {
        let short = &found[1];
        if short.bytes().all(|b| b == short.as_bytes()[0]) {
            return found[0].to_owned();
        }
        let next = format!("$FORK{}", names.len() + 1);
        names.entry(short.to_owned()).or_insert(next).clone()
    };
    id.replace_all(text, rename).into_owned()
}

#[test]
fn output_normalized_hides_run_specific_values() {
    let text = "/t/x 0123456789012345678901234567890123456789 as 4b825dc6-0000-4000-8000-000000000001, 4b825dc6 \
                11111111-0000-4000-8000-000000000001 on the remote as 1a2b3c4d5e, 3 min ago";
    assert_eq!(
        normalised(text, Path::new("/t")),
        "$ROOT/x $COMMIT as $FORK1, $FORK1 11111111-0000-4000-8000-000000000001 on the remote as $COMMIT, $AGE"
    );
}
