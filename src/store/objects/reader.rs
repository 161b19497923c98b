//! Reading objects by name.
//!
//! Nearly every object of a store is in a pack. It is read here with plain reads and libdeflate,
//! three times as fast as by libgit2, and without mapping the pack, so that memory does not grow
//! with the store. libgit2 reads what is not understood here. Every object is checked against its
//! name.

use std::cell::{OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{ObjectType, Oid, Repository};
use libdeflater::Decompressor;

use super::delta::{Delta, MAX_OBJECT_BYTES};
use super::loose::inflate_named;
use super::name::object_name;
use super::pack::{Encoding, Pack, PackEntry};
use crate::store::error::StoreError;

/// Longest chain of deltas that is read here. `git gc` makes chains of 50, libgit2 reads longer
/// ones.
const MAX_DELTAS: usize = 250;

/// Kind and content of an object.
type Object = (ObjectType, Vec<u8>);

/// The objects of an open repository.
#[derive(Clone, Copy)]
pub(crate) struct Objects<'r> {
    pub(crate) repo: &'r Repository,
    pub(crate) reader: &'r ObjectReader,
}

/// Reads the packs and loose objects of one repository. A pack is opened when it is first needed.
pub(crate) struct ObjectReader {
    packs_dir: PathBuf,
    packs: RefCell<Packs>,
}

struct Packs {
    /// Time of the directory when it was listed. Another time means that packs may have changed.
    listed: Option<SystemTime>,
    /// The newest first: objects that are read are mostly new.
    slots: Vec<Slot>,
    decompressor: RefCell<Decompressor>,
}

struct Slot {
    index: PathBuf,
    modified: SystemTime,
    /// Empty until the pack is needed; `None` if it cannot be opened.
    pack: OnceCell<Option<Pack>>,
}

impl Objects<'_> {
    /// Returns the bytes of an object's content.
    pub(crate) fn size(self, oid: Oid) -> Result<usize, StoreError> {
        if let Some(size) = self.reader.in_packs(|packs| packs.size(oid)) {
            return Ok(size);
        }
        match self.reader.read_loose(oid)? {
            Some((_, data)) => Ok(data.len()),
            None => Ok(self.repo.odb()?.read_header(oid)?.0),
        }
    }

    /// Returns the content of an object of this kind.
    ///
    /// # Errors
    /// [`StoreError::Object`] if the object is damaged or of another kind, [`StoreError::Git`] if
    /// it is missing.
    pub(crate) fn read(self, kind: ObjectType, oid: Oid) -> Result<Vec<u8>, StoreError> {
        let is_wanted = |found: &Object| found.0 == kind && object_name(kind, &found.1) == oid;
        let packed = self.reader.in_packs(|packs| packs.read(oid));
        if let Some((_, data)) = packed.filter(is_wanted) {
            return Ok(data);
        }
        if let Some((_, data)) = self.reader.read_loose(oid)?.filter(|found| found.0 == kind) {
            return Ok(data);
        }
        let odb = self.repo.odb()?;
        let object = odb.read(oid)?;
        match Some((object.kind(), object.data().to_vec())).filter(is_wanted) {
            Some((_, data)) => Ok(data),
            None => Err(StoreError::Object {
                name: oid.to_string(),
            }),
        }
    }
}

impl ObjectReader {
    /// Returns the reader of the repository whose `.git` directory is `git_dir`.
    pub(crate) fn new(git_dir: &Path) -> Self {
        Self {
            packs_dir: git_dir.join("objects/pack"),
            packs: RefCell::new(Packs {
                listed: None,
                slots: Vec::new(),
                decompressor: RefCell::new(Decompressor::new()),
            }),
        }
    }

    /// Reads a loose object, if there is one of this name.
    ///
    /// # Errors
    /// [`StoreError::Object`] if its file is damaged or too large: libgit2 must not meet it.
    fn read_loose(&self, oid: Oid) -> Result<Option<Object>, StoreError> {
        let name = oid.to_string();
        let (directory, rest) = name.split_at(2);
        let path = self.packs_dir.with_file_name(directory).join(rest);
        let Ok(compressed) = fs::read(path) else {
            return Ok(None);
        };
        let packs = self.packs.borrow();
        let object = inflate_named(&mut packs.decompressor.borrow_mut(), &compressed, oid);
        object.map(Some).ok_or(StoreError::Object { name })
    }

    /// Asks the packs, and asks again if new packs have come.
    fn in_packs<T>(&self, ask: impl Fn(&Packs) -> Option<T>) -> Option<T> {
        let packs = &mut *self.packs.borrow_mut();
        let found = ask(packs);
        if found.is_none() && packs.reload(&self.packs_dir) {
            return ask(packs);
        }
        found
    }
}

impl Packs {
    /// Lists the packs again if the directory has changed. Open packs stay open.
    fn reload(&mut self, directory: &Path) -> bool {
        let modified = fs::metadata(directory).and_then(|m| m.modified()).ok();
        if modified == self.listed {
            return false;
        }
        self.listed = modified;
        let mut open: HashMap<PathBuf, Slot> = self
            .slots
            .drain(..)
            .filter(Slot::is_open)
            .map(|slot| (slot.index.clone(), slot))
            .collect();
        self.slots = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "idx"))
            .map(|path| open.remove(&path).unwrap_or_else(|| Slot::new(path)))
            .collect();
        self.slots.sort_by_key(|slot| Reverse(slot.modified));
        true
    }

    fn find(&self, oid: Oid) -> Option<(&Pack, u64)> {
        let mut packs = self.slots.iter().filter_map(Slot::pack);
        packs.find_map(|pack| Some((pack, pack.find(oid)?)))
    }

    fn size(&self, oid: Oid) -> Option<usize> {
        let (pack, offset) = self.find(oid)?;
        let entry = pack.entry(offset)?;
        match entry.encoding {
            Encoding::Whole(_) => Some(entry.size),
            Encoding::Delta(_) => Some(Delta::parse(&self.inflate(pack, &entry)?)?.size),
        }
    }

    fn read(&self, oid: Oid) -> Option<Object> {
        let (pack, mut offset) = self.find(oid)?;
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        while deltas.len() < MAX_DELTAS {
            let entry = pack.entry(offset)?;
            let mut content = self.inflate(pack, &entry)?;
            match entry.encoding {
                Encoding::Whole(kind) => {
                    for delta in deltas.iter().rev() {
                        content = Delta::parse(delta)?.apply(&content)?;
                    }
                    return Some((kind, content));
                }
                Encoding::Delta(base) => {
                    deltas.push(content);
                    offset = base;
                }
            }
        }
        None
    }

    fn inflate(&self, pack: &Pack, entry: &PackEntry) -> Option<Vec<u8>> {
        if entry.size > MAX_OBJECT_BYTES {
            return None;
        }
        let max_bytes = max_compressed_bytes(entry.size);
        let compressed = pack.bytes(entry.content, max_bytes).ok()?;
        let mut content = vec![0; entry.size];
        let inflated = self
            .decompressor
            .borrow_mut()
            .zlib_decompress(&compressed, &mut content)
            .ok()?;
        (inflated == content.len()).then_some(content)
    }
}

/// Returns the length of the longest zlib stream for `size` bytes: stored blocks of 16 KiB.
fn max_compressed_bytes(size: usize) -> usize {
    size + 5 * (size / (16 << 10) + 1) + 16
}

impl Slot {
    fn new(index: PathBuf) -> Self {
        let modified = fs::metadata(&index).and_then(|m| m.modified());
        Self {
            index,
            modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
            pack: OnceCell::new(),
        }
    }

    fn pack(&self) -> Option<&Pack> {
        let open = || Pack::open(&self.index).ok();
        self.pack.get_or_init(open).as_ref()
    }

    fn is_open(&self) -> bool {
        self.pack.get().is_some_and(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::ObjectWriter;
    use super::*;

    fn text(n: usize) -> Vec<u8> {
        (0..n * 40)
            .map(|line| format!("line {} of {n}\n", line % 97))
            .collect::<String>()
            .into_bytes()
    }

    fn read_packed(reader: &ObjectReader, oid: Oid) -> Option<Vec<u8>> {
        let object = reader.in_packs(|packs| packs.read(oid));
        object.map(|(_, data)| data)
    }

    #[test]
    fn reader_reads_packed_and_loose_objects() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let reader = ObjectReader::new(repo.path());
        let objects = Objects {
            repo: &repo,
            reader: &reader,
        };
        let mut writer = ObjectWriter::new(&repo);
        let oids: Vec<Oid> = (0..100)
            .map(|n| writer.write(ObjectType::Blob, text(n)).unwrap())
            .collect();
        let loose = repo.blob(b"loose").unwrap();
        assert_eq!(objects.read(ObjectType::Blob, loose).unwrap(), b"loose");
        let as_tree = objects.read(ObjectType::Tree, loose);
        assert!(as_tree.is_err(), "it is a blob");
        writer.finish().unwrap();
        for (n, oid) in oids.iter().enumerate() {
            assert_eq!(read_packed(&reader, *oid), Some(text(n)), "without libgit2");
            assert_eq!(objects.size(*oid).unwrap(), text(n).len());
        }
        let missing = Oid::from_bytes(&[7; 20]).unwrap();
        assert!(objects.read(ObjectType::Blob, missing).is_err());
    }

    /// The pack is one that git makes, of versions of a growing text.
    #[test]
    fn reader_packed_deltas_are_applied() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let whole = (0..9000)
            .map(|n| format!("{n} {}\n", n * n))
            .collect::<String>();
        let versions: Vec<&str> = (1..30).map(|n| &whole[..n * whole.len() / 30]).collect();
        let oids: Vec<Oid> = versions
            .iter()
            .map(|text| repo.blob(text.as_bytes()).unwrap())
            .collect();
        let mut builder = repo.packbuilder().unwrap();
        for oid in &oids {
            builder.insert_object(*oid, Some("text")).unwrap();
        }
        builder.write(&repo.path().join("objects/pack"), 0).unwrap();

        let reader = ObjectReader::new(repo.path());
        let objects = Objects {
            repo: &repo,
            reader: &reader,
        };
        let mut deltas = 0;
        for (oid, text) in oids.iter().zip(&versions) {
            assert_eq!(read_packed(&reader, *oid).unwrap(), text.as_bytes());
            assert_eq!(objects.size(*oid).unwrap(), text.len());
            let packs = reader.packs.borrow();
            let (pack, offset) = packs.find(*oid).unwrap();
            let encoding = pack.entry(offset).unwrap().encoding;
            deltas += u32::from(matches!(encoding, Encoding::Delta(_)));
        }
        assert!(deltas > 20, "{deltas}");
    }
}
