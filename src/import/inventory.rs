//! Reads a stored transcript before it is staged: the placeholders in it, and the kind of
//! system on which each line was written.

use std::collections::BTreeSet;
use std::path::Path;

use crate::import::lines::LineReader;
use crate::import::text::{PathStyle, PlaceholderPaths, compact, find_hints};
use crate::session::Facts;
use crate::sys::fs::PathError;

/// Maximum number of stretches. A session moves between systems a few times; the rest counts as
/// one stretch.
const MAX_STRETCHES: usize = 64;

/// Consecutive lines that were written on one kind of system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// `None`: no line tells.
    pub(crate) style: Option<PathStyle>,
    pub(crate) lines: u64,
}

/// The content of a transcript.
#[derive(Debug, Default)]
pub(crate) struct ImportInventory {
    /// Placeholders in it.
    pub(crate) names: BTreeSet<String>,
    pub(crate) stretches: Vec<Stretch>,
    /// Working directories with the placeholders of the source, and the time of the newest
    /// record.
    pub(crate) facts: Facts,
}

impl ImportInventory {
    /// Reads the transcript at `path`, and searches it for the placeholders of `known`.
    pub(crate) fn read(path: &Path, known: &PlaceholderPaths) -> Result<Self, PathError> {
        let mut inventory = Self::default();
        let mut lines = LineReader::open(path)?;
        while let Some(line) = lines.next()? {
            let hints = find_hints(&line, known);
            inventory.names.extend(hints.names);
            inventory.add_line(hints.style);
            inventory.facts.absorb(&compact(&line));
        }
        Ok(inventory)
    }

    /// Adds a line. One that does not tell belongs to the line before it; the first lines
    /// belong to the one after them.
    fn add_line(&mut self, style: Option<PathStyle>) {
        let is_full = self.stretches.len() >= MAX_STRETCHES;
        match self.stretches.last_mut() {
            Some(last)
                if is_full || style.is_none() || last.style.is_none() || last.style == style =>
            {
                last.style = last.style.or(style);
                last.lines += 1;
            }
            _ => self.stretches.push(Stretch { style, lines: 1 }),
        }
    }

    /// Joins all stretches to one of the first known style.
    pub(crate) fn join_stretches(&mut self) {
        let lines = self.stretches.iter().map(|stretch| stretch.lines).sum();
        let style = self.stretches.iter().find_map(|stretch| stretch.style);
        self.stretches = vec![Stretch { style, lines }];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_line_without_hint_joins_adjacent_stretch() {
        let mut inventory = ImportInventory::default();
        let (unix, windows) = (Some(PathStyle::Unix), Some(PathStyle::Windows));
        for style in [None, windows, None, windows, unix, None, windows] {
            inventory.add_line(style);
        }
        let stretch = |style, lines| Stretch { style, lines };
        assert_eq!(
            inventory.stretches,
            [stretch(windows, 4), stretch(unix, 2), stretch(windows, 1)]
        );
        inventory.join_stretches();
        assert_eq!(inventory.stretches, [stretch(windows, 7)]);

        let mut many = ImportInventory::default();
        (0..1000).for_each(|n| many.add_line(if n % 2 == 0 { unix } else { windows }));
        assert_eq!(many.stretches.len(), MAX_STRETCHES);
        assert_eq!(many.stretches.iter().map(|s| s.lines).sum::<u64>(), 1000);
    }
}
