//! Reads a file line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use crate::sys::fs::PathError;

/// Reads the lines that a file had when it was opened; it may still grow.
pub(crate) struct LineReader {
    path: PathBuf,
    reader: BufReader<Take<File>>,
}

impl LineReader {
    pub(crate) fn open(path: &Path) -> Result<Self, PathError> {
        let fail = |source| PathError::new("read", path, source);
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file.take(len)),
        })
    }

    /// Reads the next line, without its line end.
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
