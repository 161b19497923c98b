//! A text in its portable form, line by line. Must not do I/O.
//!
//! Each line names the placeholders that it was collapsed with, because a merged text holds
//! lines of several machines.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{MachineId, Placeholders};
use crate::store::{bundle::ExtraRun, bundle::StoredExtra, manifest::PlaceholdersKey};

/// A line without its line end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TextLine {
    /// Portable text.
    pub(crate) text: String,
    /// The placeholders it was collapsed with; `None`: it is the same text on every machine.
    pub(crate) placeholders: Option<PlaceholdersKey>,
}

impl TextLine {
    /// A line that is the same text on every machine.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            placeholders: None,
        }
    }
}

/// A whole text, and its right to be executed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TextFile {
    pub(crate) lines: Vec<TextLine>,
    /// The last line has no line end.
    pub(crate) unterminated: bool,
    /// Its owner may execute it. `None`: unknown, because it is not a file of a skill, no
    /// machine could tell, or an older ccsync stored it.
    pub(crate) executable: Option<bool>,
    /// The placeholders that its lines name.
    pub(crate) sets: BTreeMap<PlaceholdersKey, Placeholders>,
}

/// Why a stored text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidText {
    #[error("its lines differ from their description in the store")]
    Lines,
    #[error("its text would become far longer than it is in the store")]
    Oversized,
    #[error("it would not be text on this machine")]
    NoText,
}

impl TextFile {
    /// A text that is not executable as far as is known. Forgets the `sets` that no line names.
    pub(crate) fn new(
        lines: Vec<TextLine>,
        unterminated: bool,
        mut sets: BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Self {
        let used: BTreeSet<_> = lines
            .iter()
            .filter_map(|line| line.placeholders.as_ref())
            .collect();
        sets.retain(|key, _| used.contains(key));
        Self {
            lines,
            unterminated,
            executable: None,
            sets,
        }
    }

    /// The stored `text`, with the description of its lines that the bundle holds.
    pub(crate) fn from_stored(
        text: &str,
        runs: &[ExtraRun],
        executable: Option<bool>,
        placeholders: &BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Result<Self, InvalidText> {
        let mut file = Self {
            unterminated: is_unterminated(text),
            executable,
            ..Self::default()
        };
        let mut lines = lines_of(text).into_iter();
        for run in runs {
            for _ in 0..run.lines {
                file.lines.push(TextLine {
                    text: lines.next().ok_or(InvalidText::Lines)?.to_owned(),
                    placeholders: run.placeholders.clone(),
                });
            }
            if let Some(key) = &run.placeholders {
                let set = placeholders.get(key).ok_or(InvalidText::Lines)?;
                file.sets.insert(key.clone(), set.clone());
            }
        }
        match lines.next() {
            None => Ok(file),
            Some(_) => Err(InvalidText::Lines),
        }
    }

    /// The description of its lines for the bundle; the text itself is [`Self::text`].
    pub(crate) fn to_stored(&self, machine: MachineId) -> StoredExtra {
        StoredExtra {
            machine,
            bytes: self.text().len() as u64,
            modified_on: None,
            executable: self.executable,
            runs: self.runs(),
        }
    }

    /// Groups its lines by the placeholders that they name.
    pub(crate) fn runs(&self) -> Vec<ExtraRun> {
        let mut runs: Vec<ExtraRun> = Vec::new();
        for line in &self.lines {
            match runs.last_mut() {
                Some(run) if run.placeholders == line.placeholders => run.lines += 1,
                _ => runs.push(ExtraRun {
                    lines: 1,
                    placeholders: line.placeholders.clone(),
                }),
            }
        }
        runs
    }

    /// The portable text.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.iter().map(|line| line.text.as_str());
        join_lines(lines, self.unterminated)
    }

    /// Returns true if `before` has the same text, expands in the same way, and its right to be
    /// executed is the same or unknown here.
    pub(crate) fn adds_nothing_to(&self, before: &Self) -> bool {
        let mut pairs = self.lines.iter().zip(&before.lines);
        self.executable.is_none_or(|now| now == before.is_program())
            && self.unterminated == before.unterminated
            && self.lines.len() == before.lines.len()
            && pairs.all(|(a, b)| {
                a.text == b.text && a.placeholders.is_some() == b.placeholders.is_some()
            })
    }

    pub(crate) fn is_program(&self) -> bool {
        self.executable == Some(true)
    }

    /// The same text with the right to be executed that the file has here; `None`: unknown.
    ///
    /// `false` is stored only if `before` states the right, so that existing bundles do not
    /// change.
    pub(crate) fn with_executable(mut self, before: Option<&Self>, here: Option<bool>) -> Self {
        let known = before.and_then(|before| before.executable);
        self.executable = match here {
            Some(here) if here || known.is_some() => Some(here),
            _ => known,
        };
        self
    }
}

/// First 32 hexadecimal digits of a text's hash.
pub(crate) fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// The lines of a text without their line ends.
pub(crate) fn lines_of(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').collect()
}

pub(crate) fn is_unterminated(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('\n')
}

/// Puts a line end after each of `lines`, except after the last one of an `unterminated` text.
pub(crate) fn join_lines<'a>(lines: impl Iterator<Item = &'a str>, unterminated: bool) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    if unterminated {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_unknown_executable_right_is_unchanged() {
        let file = |executable| TextFile {
            executable,
            ..TextFile::default()
        };
        for known in [None, Some(false), Some(true)] {
            let renewed = file(None).with_executable(Some(&file(known)), None);
            assert_eq!(renewed.executable, known);
            assert!(
                file(None).adds_nothing_to(&file(known)),
                "an older ccsync states nothing"
            );
        }
        assert_eq!(
            file(None).with_executable(None, Some(false)).executable,
            None,
            "nothing new to a store that states nothing"
        );
        let taken = file(None).with_executable(Some(&file(Some(true))), Some(false));
        assert_eq!(taken.executable, Some(false));
        assert!(!file(Some(true)).adds_nothing_to(&file(None)));
        assert!(!file(Some(false)).adds_nothing_to(&file(Some(true))));
        assert!(file(Some(false)).adds_nothing_to(&file(None)));
    }

    #[test]
    fn extras_inconsistent_stored_text_is_refused() {
        let run = |lines| ExtraRun {
            lines,
            placeholders: None,
        };
        for runs in [
            vec![],
            vec![run(1)],
            vec![run(3)],
            vec![run(2), run(1)],
            vec![run(u64::MAX)],
        ] {
            assert_eq!(
                TextFile::from_stored("a\nb\n", &runs, None, &BTreeMap::new()).unwrap_err(),
                InvalidText::Lines
            );
        }
    }
}
