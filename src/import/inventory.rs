//! Which placeholders a stored transcript uses, and which of its lines were written under which kind of system: read once before anything is staged.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::import::text::{Directories, Family, compact, hints};
use crate::session::facts::Facts;
use crate::sys::fs::PathError;

/// A session moves between systems a few times; what moves more often counts as one from there on.
const MOST_STRETCHES: usize = 64;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Placeholders in it.
    pub(crate) names: BTreeSet<String>,
    /// Kinds of systems, and how many lines follow each other under one; `None` where no line tells.
    pub(crate) stretches: Vec<(Option<Family>, u64)>,
    /// Working directories, as they are spelled there, and the time of the newest record.
    pub(crate) facts: Facts,
}

impl Survey {
    /// Reads the transcript at `path`, looking for the placeholders of `known`.
    pub(crate) fn of(path: &Path, known: &Directories) -> Result<Self, PathError> {
        let mut survey = Self::default();
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.next()? {
            let found = hints(&line, known);
            survey.names.extend(found.names);
            survey.add(found.family);
            survey.facts.absorb(&compact(&line));
        }
        Ok(survey)
    }

    /// A line that does not tell belongs to those before it; the first ones to those after them.
    fn add(&mut self, family: Option<Family>) {
        let full = self.stretches.len() >= MOST_STRETCHES;
        match self.stretches.last_mut() {
            Some((last, lines))
                if full || family.is_none() || last.is_none() || *last == family =>
            {
                *last = last.or(family);
                *lines += 1;
            }
            _ => self.stretches.push((family, 1)),
        }
    }

    /// The same, as if all lines had been written under one kind of system: the first.
    pub(crate) fn as_one(&mut self) {
        let lines = self.stretches.iter().map(|(_, lines)| lines).sum();
        let family = self.stretches.iter().find_map(|(family, _)| *family);
        self.stretches = vec![(family, lines)];
    }
}

/// The lines of a file that may still grow beneath us: only what was there when it was opened is read.
pub(crate) struct Lines {
    path: std::path::PathBuf,
    reader: BufReader<std::io::Take<File>>,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, PathError> {
        let fail = |source| PathError::new("read", path, source);
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file.take(len)),
        })
    }

    /// The next line without its line end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, PathError> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line);
        if read.map_err(|source| PathError::new("read", &self.path, source))? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_line_without_hint_joins_adjacent_stretch() {
        let mut survey = Survey::default();
        let (unix, windows) = (Some(Family::Unix), Some(Family::Windows));
        [None, windows, None, windows, unix, None, windows]
            .into_iter()
            .for_each(|family| survey.add(family));
        assert_eq!(survey.stretches, [(windows, 4), (unix, 2), (windows, 1)]);
        survey.as_one();
        assert_eq!(survey.stretches, [(windows, 7)]);
        let mut many = Survey::default();
        (0..1000).for_each(|n| many.add(if n % 2 == 0 { unix } else { windows }));
        assert_eq!(many.stretches.len(), MOST_STRETCHES);
        assert_eq!(
            many.stretches.iter().map(|(_, lines)| lines).sum::<u64>(),
            1000
        );
    }
}
