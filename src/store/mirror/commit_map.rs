//! The file with the sealed commit of each plain one.
//!
//! It can be lost: the sealed commits have all that it says.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use git2::Oid;

use crate::store::error::StoreError;
use crate::sys::fs::write_cache;

/// File with the pairs of commits.
pub(super) const MAP_FILE: &str = "ccsync-commits";

/// Pairs of commits that belong together.
pub(super) struct CommitMap {
    path: PathBuf,
    sealed: HashMap<Oid, Oid>,
    plain: HashMap<Oid, Oid>,
    /// Lines that the file does not have yet.
    unsaved: String,
}

impl CommitMap {
    /// Creates a map that replaces the file at `path` when it is saved.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            sealed: HashMap::new(),
            plain: HashMap::new(),
            unsaved: String::new(),
        }
    }

    /// Reads the file; `None` if it is missing or damaged.
    pub(super) fn load(path: PathBuf) -> Option<Self> {
        let text = std::fs::read_to_string(&path).ok()?;
        let mut map = Self::new(path);
        if !text.is_empty() && !text.ends_with('\n') {
            return None;
        }
        for line in text.lines() {
            let (pair, sum) = line.rsplit_once(' ')?;
            let (plain, sealed) = pair.split_once(' ')?;
            let is_whole = check_sum(pair) == sum;
            let (plain, sealed) = (Oid::from_str(plain).ok()?, Oid::from_str(sealed).ok()?);
            is_whole.then(|| map.set(plain, sealed))?;
        }
        Some(map)
    }

    /// Returns the sealed commit of a plain one.
    pub(super) fn sealed(&self, plain: Oid) -> Option<Oid> {
        self.sealed.get(&plain).copied()
    }

    /// Returns the plain commit of a sealed one.
    pub(super) fn plain(&self, sealed: Oid) -> Option<Oid> {
        self.plain.get(&sealed).copied()
    }

    pub(super) fn insert(&mut self, plain: Oid, sealed: Oid) {
        if self.sealed(plain) != Some(sealed) || self.plain(sealed) != Some(plain) {
            self.set(plain, sealed);
            self.unsaved += &line(plain, sealed);
        }
    }

    fn set(&mut self, plain: Oid, sealed: Oid) {
        self.sealed.insert(plain, sealed);
        self.plain.insert(sealed, plain);
    }

    /// Adds the new pairs to the file.
    pub(super) fn save(&mut self) -> Result<(), StoreError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let added = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(self.unsaved.as_bytes()));
        added.map_err(|e| StoreError::io("write", &self.path, e))?;
        self.unsaved.clear();
        Ok(())
    }

    /// Replaces the file.
    pub(super) fn replace(&mut self) -> Result<(), StoreError> {
        let lines = self.sealed.iter();
        let text: String = lines.map(|(plain, sealed)| line(*plain, *sealed)).collect();
        write_cache(&self.path, text.as_bytes())?;
        self.unsaved.clear();
        Ok(())
    }
}

fn line(plain: Oid, sealed: Oid) -> String {
    let pair = format!("{plain} {sealed}");
    let sum = check_sum(&pair);
    format!("{pair} {sum}\n")
}

fn check_sum(pair: &str) -> String {
    format!("{:08x}", crc32fast::hash(pair.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(n: u8) -> Oid {
        Oid::from_bytes(&[n; 20]).unwrap()
    }

    #[test]
    fn commit_map_grows_and_refuses_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("commits");
        assert!(CommitMap::load(path.clone()).is_none());
        let mut map = CommitMap::new(path.clone());
        map.insert(oid(1), oid(2));
        map.save().unwrap();
        map.insert(oid(3), oid(4));
        map.save().unwrap();

        let whole = std::fs::read(&path).unwrap();
        let map = CommitMap::load(path.clone()).unwrap();
        assert_eq!(
            (map.sealed(oid(1)), map.plain(oid(4))),
            (Some(oid(2)), Some(oid(3)))
        );
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            write_cache(&path, &damaged).unwrap();
            assert!(CommitMap::load(path.clone()).is_none(), "byte {at}");
        }
        write_cache(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(CommitMap::load(path).is_none(), "a line is cut");
    }
}
