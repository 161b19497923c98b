//! Reading objects.
//!
//! Nearly every object of a store lies in a pack. Such a one is read here, with plain reads and libdeflate: three times as fast
//! as by libgit2, and without mapping the pack, so that memory does not grow with the store. Loose objects are read by `loose`; packs that are not
//! understood are left to libgit2. Either way the content is checked against the object's name. How packs and their indexes are read is `pack`'s, how
//! they are written is `object`'s.

use std::cell::{OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{ObjectType, Oid, Repository};

use super::StoreError;
use super::loose;
use super::object::object_name;
use delta::Delta;
use pack::{Entry, Kind, Pack};

mod delta;
mod pack;

/// Reads the objects of one repository. Packs are opened when they are first asked for something.
pub(super) struct Reader {
    directory: PathBuf,
    packs: RefCell<Packs>,
}

struct Packs {
    /// Of the directory when it was read: another one means that there may be other packs.
    modified: Option<SystemTime>,
    /// The newest first: what is asked for mostly came last.
    list: Vec<Slot>,
    decompressor: RefCell<libdeflater::Decompressor>,
}

/// A pack that is opened when it is asked for something.
struct Slot {
    index: PathBuf,
    modified: SystemTime,
    /// What opening it has given; nothing if it could not be opened.
    pack: OnceCell<Option<Pack>>,
}

/// The objects of a repository that is open.
#[derive(Clone, Copy)]
pub(super) struct Objects<'r> {
    pub(super) repo: &'r Repository,
    pub(super) reader: &'r Reader,
}

/// Objects that are larger are left to libgit2: nothing of this program's is.
const LARGEST: usize = 64 << 20;

/// Longer chains of deltas are left to libgit2; `git gc` makes them of 50.
const DEEPEST: usize = 250;

impl Objects<'_> {
    /// Bytes of an object.
    pub(super) fn size(self, oid: Oid) -> Result<usize, StoreError> {
        if let Some(size) = self.reader.in_packs(|packs| packs.size(oid)) {
            return Ok(size);
        }
        match self.reader.loose(oid)? {
            Some((_, data)) => Ok(data.len()),
            None => Ok(self.repo.odb()?.read_header(oid)?.0),
        }
    }

    /// The content of an object of this kind.
    ///
    /// # Errors
    /// [`StoreError::Object`] if what lies there is not what its name says.
    pub(super) fn read(self, kind: ObjectType, oid: Oid) -> Result<Vec<u8>, StoreError> {
        let is_it =
            |found: &(ObjectType, Vec<u8>)| found.0 == kind && object_name(kind, &found.1) == oid;
        if let Some((_, data)) = self.reader.in_packs(|packs| packs.read(oid)).filter(is_it) {
            return Ok(data);
        }
        if let Some((_, data)) = self.reader.loose(oid)?.filter(|found| found.0 == kind) {
            return Ok(data);
        }
        let odb = self.repo.odb()?;
        let object = odb.read(oid)?;
        let found = Some((object.kind(), object.data().to_vec())).filter(is_it);
        found
            .map(|(_, data)| data)
            .ok_or_else(|| StoreError::Object {
                name: oid.to_string(),
            })
    }
}

impl Reader {
    /// Of the repository whose `.git` directory is `git_dir`.
    pub(super) fn new(git_dir: &Path) -> Self {
        let packs = Packs {
            modified: None,
            list: Vec::new(),
            decompressor: RefCell::new(libdeflater::Decompressor::new()),
        };
        Self {
            directory: git_dir.join("objects/pack"),
            packs: RefCell::new(packs),
        }
    }

    /// The object in a file of its own, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Object`] if the file holds something else, or too much: libgit2 must not meet it.
    fn loose(&self, oid: Oid) -> Result<Option<(ObjectType, Vec<u8>)>, StoreError> {
        let name = oid.to_string();
        let (directory, rest) = name.split_at(2);
        let Ok(compressed) = fs::read(self.directory.with_file_name(directory).join(rest)) else {
            return Ok(None);
        };
        let packs = self.packs.borrow();
        let found = loose::object_named(&mut packs.decompressor.borrow_mut(), &compressed, oid);
        found.map(Some).ok_or(StoreError::Object { name })
    }

    /// Asks the packs, and once more if others have come.
    fn in_packs<T>(&self, ask: impl Fn(&Packs) -> Option<T>) -> Option<T> {
        let packs = &mut *self.packs.borrow_mut();
        ask(packs).or_else(|| {
            if packs.reload(&self.directory) {
                ask(packs)
            } else {
                None
            }
        })
    }
}

impl Packs {
    /// Lists the packs that are there now, unless these are the ones known. Those that are open stay open.
    fn reload(&mut self, directory: &Path) -> bool {
        let modified = fs::metadata(directory).and_then(|m| m.modified()).ok();
        if modified == self.modified {
            return false;
        }
        self.modified = modified;
        let mut known: HashMap<PathBuf, Slot> = self
            .list
            .drain(..)
            .filter(Slot::is_open)
            .map(|slot| (slot.index.clone(), slot))
            .collect();
        let indexes = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let indexes = indexes.filter(|path| path.extension().is_some_and(|e| e == "idx"));
        self.list = indexes
            .map(|path| known.remove(&path).unwrap_or_else(|| Slot::new(path)))
            .collect();
        self.list.sort_by_key(|slot| Reverse(slot.modified));
        true
    }

    fn find(&self, oid: Oid) -> Option<(&Pack, u64)> {
        self.list
            .iter()
            .filter_map(Slot::pack)
            .find_map(|pack| Some((pack, pack.find(oid)?)))
    }

    fn size(&self, oid: Oid) -> Option<usize> {
        let (pack, offset) = self.find(oid)?;
        let entry = pack.entry(offset)?;
        match entry.kind {
            Kind::Whole(_) => Some(entry.size),
            Kind::Delta(_) => Some(Delta::parse(&self.inflate(pack, &entry)?)?.result),
        }
    }

    fn read(&self, oid: Oid) -> Option<(ObjectType, Vec<u8>)> {
        let (pack, mut offset) = self.find(oid)?;
        let mut deltas = Vec::new();
        while deltas.len() < DEEPEST {
            let entry = pack.entry(offset)?;
            let content = self.inflate(pack, &entry)?;
            match entry.kind {
                Kind::Whole(kind) => {
                    let apply = |base: Vec<u8>, delta: &Vec<u8>| Delta::parse(delta)?.apply(&base);
                    return deltas
                        .iter()
                        .rev()
                        .try_fold(content, apply)
                        .map(|content| (kind, content));
                }
                Kind::Delta(base) => {
                    deltas.push(content);
                    offset = base;
                }
            }
        }
        None
    }

    fn inflate(&self, pack: &Pack, entry: &Entry) -> Option<Vec<u8>> {
        if entry.size > LARGEST {
            return None;
        }
        let compressed = pack
            .bytes(entry.content, compressed_at_most(entry.size))
            .ok()?;
        let mut content = vec![0; entry.size];
        let inflated = self
            .decompressor
            .borrow_mut()
            .zlib_decompress(&compressed, &mut content)
            .ok()?;
        (inflated == content.len()).then_some(content)
    }
}

/// The longest zlib stream for `size` bytes: stored, in blocks of 16 KiB at the least.
fn compressed_at_most(size: usize) -> usize {
    size + 5 * (size / (16 << 10) + 1) + 16
}

impl Slot {
    fn new(index: PathBuf) -> Self {
        let modified = fs::metadata(&index)
            .and_then(|m| m.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            index,
            modified,
            pack: OnceCell::new(),
        }
    }

    fn pack(&self) -> Option<&Pack> {
        self.pack
            .get_or_init(|| Pack::open(&self.index).ok())
            .as_ref()
    }

    fn is_open(&self) -> bool {
        self.pack.get().is_some_and(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::ObjectWriter;
    use super::*;

    fn text(n: usize) -> Vec<u8> {
        (0..n * 40)
            .map(|line| format!("line {} of {n}\n", line % 97))
            .collect::<String>()
            .into_bytes()
    }

    fn packed(reader: &Reader, oid: Oid) -> Option<Vec<u8>> {
        reader
            .in_packs(|packs| packs.read(oid))
            .map(|(_, data)| data)
    }

    #[test]
    fn reader_reads_packed_and_loose_objects() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let reader = Reader::new(repo.path());
        let objects = Objects {
            repo: &repo,
            reader: &reader,
        };
        let mut writer = ObjectWriter::new(&repo);
        let oids: Vec<Oid> = (0..100)
            .map(|n| writer.put(ObjectType::Blob, text(n)).unwrap())
            .collect();
        let loose = repo.blob(b"loose").unwrap();
        assert_eq!(objects.read(ObjectType::Blob, loose).unwrap(), b"loose");
        assert!(
            objects.read(ObjectType::Tree, loose).is_err(),
            "it is no tree"
        );
        writer.finish().unwrap();
        for (n, oid) in oids.iter().enumerate() {
            assert_eq!(packed(&reader, *oid), Some(text(n)), "without libgit2");
            assert_eq!(
                Objects {
                    repo: &repo,
                    reader: &reader
                }
                .size(*oid)
                .unwrap(),
                text(n).len()
            );
        }
        assert!(
            objects
                .read(ObjectType::Blob, Oid::from_bytes(&[7; 20]).unwrap())
                .is_err()
        );
    }

    /// A pack as git makes it, of versions of one growing text.
    #[test]
    fn reader_packed_deltas_are_applied() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let whole = (0..9000)
            .map(|n| format!("{n} {}\n", n * n))
            .collect::<String>();
        let versions: Vec<&str> = (1..30).map(|n| &whole[..n * whole.len() / 30]).collect();
        let mut builder = repo.packbuilder().unwrap();
        let oids: Vec<Oid> = versions
            .iter()
            .map(|text| repo.blob(text.as_bytes()).unwrap())
            .collect();
        oids.iter()
            .for_each(|oid| builder.insert_object(*oid, Some("text")).unwrap());
        builder.write(&repo.path().join("objects/pack"), 0).unwrap();
        let reader = Reader::new(repo.path());
        let mut deltas = 0;
        for (oid, text) in oids.iter().zip(&versions) {
            assert_eq!(packed(&reader, *oid).unwrap(), text.as_bytes());
            assert_eq!(
                Objects {
                    repo: &repo,
                    reader: &reader
                }
                .size(*oid)
                .unwrap(),
                text.len()
            );
            let packs = reader.packs.borrow();
            let (pack, offset) = packs.find(*oid).unwrap();
            deltas += u32::from(matches!(pack.entry(offset).unwrap().kind, Kind::Delta(_)));
        }
        assert!(deltas > 20, "{deltas}");
    }
}
