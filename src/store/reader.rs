//! Reading objects.
//!
//! Nearly every object of a store lies in a pack. Such a one is read here, with plain reads and libdeflate: three times as fast
//! as by libgit2, and without mapping the pack, so that memory does not grow with the store. Loose objects are read by `loose`; packs that are not
//! understood are left to libgit2. Either way the content is checked against the object's name. Owns how packs and their indexes are read (git manual,
//! `gitformat-pack`); how they are written is `object`'s.

use std::cell::{OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{ObjectType, Oid, Repository};

use super::StoreError;
use super::loose;
use super::object::object_name;

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

struct Pack {
    index: Index,
    file: File,
    /// Where its entries begin, in their order; listed when it is asked for.
    entries: OnceCell<Vec<u64>>,
}

/// A version 2 pack index.
struct Index {
    bytes: Vec<u8>,
    objects: usize,
}

/// One entry of a pack.
struct Entry {
    kind: Kind,
    /// Bytes of its content, or of the delta.
    size: usize,
    /// Where the compressed bytes begin.
    content: u64,
}

enum Kind {
    Whole(ObjectType),
    /// A delta to the object at this offset.
    Delta(u64),
}

/// An object that a pack has whole, and how it is compressed there.
struct Whole {
    kind: ObjectType,
    content: Vec<u8>,
    /// A zlib stream.
    stream: Vec<u8>,
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

    /// Whether a pack has the object itself, and not its difference to another.
    pub(super) fn is_whole_in_pack(self, oid: Oid) -> bool {
        self.reader.in_packs(|packs| packs.is_whole(oid)).unwrap_or(false)
    }

    /// The content of an object of this kind.
    ///
    /// # Errors
    /// [`StoreError::Object`] if what lies there is not what its name says.
    pub(super) fn read(self, kind: ObjectType, oid: Oid) -> Result<Vec<u8>, StoreError> {
        let is_it = |found: &(ObjectType, Vec<u8>)| found.0 == kind && object_name(kind, &found.1) == oid;
        if let Some((_, data)) = self.reader.in_packs(|packs| packs.read(oid)).filter(is_it) {
            return Ok(data);
        }
        if let Some((_, data)) = self.reader.loose(oid)?.filter(|found| found.0 == kind) {
            return Ok(data);
        }
        let odb = self.repo.odb()?;
        let object = odb.read(oid)?;
        let found = Some((object.kind(), object.data().to_vec())).filter(is_it);
        found.map(|(_, data)| data).ok_or_else(|| StoreError::Object { name: oid.to_string() })
    }

    /// As [`Self::read`], to be written elsewhere: with its zlib stream if a pack has it whole.
    pub(super) fn read_to_copy(self, kind: ObjectType, oid: Oid) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
        let is_it = |found: &Whole| found.kind == kind && object_name(kind, &found.content) == oid;
        match self.reader.in_packs(|packs| packs.read_whole(oid)).filter(is_it) {
            Some(whole) => Ok((whole.content, Some(whole.stream))),
            None => Ok((self.read(kind, oid)?, None)),
        }
    }
}

impl Reader {
    /// Of the repository whose `.git` directory is `git_dir`.
    pub(super) fn new(git_dir: &Path) -> Self {
        let packs =
            Packs { modified: None, list: Vec::new(), decompressor: RefCell::new(libdeflater::Decompressor::new()) };
        Self { directory: git_dir.join("objects/pack"), packs: RefCell::new(packs) }
    }

    /// The object in a file of its own, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Object`] if the file holds something else, or too much: libgit2 must not meet it.
    fn loose(&self, oid: Oid) -> Result<Option<(ObjectType, Vec<u8>)>, StoreError> {
        let name = oid.to_string();
        let (directory, rest) = name.split_at(2);
        let Ok(compressed) = fs::read(self.directory.with_file_name(directory).join(rest)) else { return Ok(None) };
        let packs = self.packs.borrow();
        let found = loose::object_named(&mut packs.decompressor.borrow_mut(), &compressed, oid);
        found.map(Some).ok_or(StoreError::Object { name })
    }

    /// Asks the packs, and once more if others have come.
    fn in_packs<T>(&self, ask: impl Fn(&Packs) -> Option<T>) -> Option<T> {
        let packs = &mut *self.packs.borrow_mut();
        ask(packs).or_else(|| if packs.reload(&self.directory) { ask(packs) } else { None })
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
        let mut known: HashMap<PathBuf, Slot> =
            self.list.drain(..).filter(Slot::is_open).map(|slot| (slot.index.clone(), slot)).collect();
        let indexes = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let indexes = indexes.filter(|path| path.extension().is_some_and(|e| e == "idx"));
        self.list = indexes.map(|path| known.remove(&path).unwrap_or_else(|| Slot::new(path))).collect();
        self.list.sort_by_key(|slot| Reverse(slot.modified));
        true
    }

    fn find(&self, oid: Oid) -> Option<(&Pack, u64)> {
        self.list.iter().filter_map(Slot::pack).find_map(|pack| Some((pack, pack.index.offset(oid)?)))
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
                    return deltas.iter().rev().try_fold(content, apply).map(|content| (kind, content));
                }
                Kind::Delta(base) => {
                    deltas.push(content);
                    offset = base;
                }
            }
        }
        None
    }

    fn is_whole(&self, oid: Oid) -> Option<bool> {
        let (pack, offset) = self.find(oid)?;
        Some(matches!(pack.entry(offset)?.kind, Kind::Whole(_)))
    }

    fn read_whole(&self, oid: Oid) -> Option<Whole> {
        let (pack, offset) = self.find(oid)?;
        let entry = pack.entry(offset)?;
        let Kind::Whole(kind) = entry.kind else { return None };
        let content = self.inflate(pack, &entry)?;
        let length = pack.end_of(offset)?.checked_sub(entry.content)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= compressed_at_most(entry.size))?;
        let stream = pack.bytes(entry.content, length).ok()?;
        // Inflating does not say where the stream has ended; it ends with this (RFC 1950).
        let sum = libdeflater::adler32(&content).to_be_bytes();
        (stream.len() == length && stream.ends_with(&sum)).then_some(Whole { kind, content, stream })
    }

    fn inflate(&self, pack: &Pack, entry: &Entry) -> Option<Vec<u8>> {
        if entry.size > LARGEST {
            return None;
        }
        let compressed = pack.bytes(entry.content, compressed_at_most(entry.size)).ok()?;
        let mut content = vec![0; entry.size];
        let inflated = self.decompressor.borrow_mut().zlib_decompress(&compressed, &mut content).ok()?;
        (inflated == content.len()).then_some(content)
    }
}

/// The longest zlib stream for `size` bytes: stored, in blocks of 16 KiB at the least.
fn compressed_at_most(size: usize) -> usize {
    size + 5 * (size / (16 << 10) + 1) + 16
}

impl Slot {
    fn new(index: PathBuf) -> Self {
        let modified = fs::metadata(&index).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { index, modified, pack: OnceCell::new() }
    }

    fn pack(&self) -> Option<&Pack> {
        self.pack.get_or_init(|| Pack::open(&self.index).ok()).as_ref()
    }

    fn is_open(&self) -> bool {
        self.pack.get().is_some_and(Option::is_some)
    }
}

impl Pack {
    fn open(index: &Path) -> io::Result<Self> {
        let file = File::open(index.with_extension("pack"))?;
        Ok(Self { index: Index::parse(fs::read(index)?)?, file, entries: OnceCell::new() })
    }

    /// Where the entry at `offset` ends: at the next one, or at the checksum of everything.
    fn end_of(&self, offset: u64) -> Option<u64> {
        let entries = self.entries.get_or_init(|| self.index.offsets());
        let next = entries.partition_point(|entry| *entry <= offset);
        match entries.get(next) {
            Some(next) => Some(*next),
            None => self.file.metadata().ok()?.len().checked_sub(20),
        }
    }

    /// At most `len` bytes from `offset` on.
    fn bytes(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn entry(&self, offset: u64) -> Option<Entry> {
        const LONGEST_HEADER: usize = 10 + 20;
        let bytes = self.bytes(offset, LONGEST_HEADER).ok()?;
        let mut rest = bytes.as_slice();
        let first = take(&mut rest)?;
        let size = usize::from(first & 0x0f) | if first & 0x80 == 0 { 0 } else { varint(&mut rest)?.checked_shl(4)? };
        let kind = match (first >> 4) & 7 {
            1 => Kind::Whole(ObjectType::Commit),
            2 => Kind::Whole(ObjectType::Tree),
            3 => Kind::Whole(ObjectType::Blob),
            6 => Kind::Delta(offset.checked_sub(distance(&mut rest)?)?),
            7 => {
                let (base, after) = rest.split_at_checked(20)?;
                rest = after;
                Kind::Delta(self.index.offset(Oid::from_bytes(base).ok()?)?)
            }
            _ => return None,
        };
        Some(Entry { kind, size, content: offset + (bytes.len() - rest.len()) as u64 })
    }
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// Seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let (mut value, mut shift) = (0_usize, 0);
    loop {
        let byte = take(bytes)?;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

/// How far before a delta its base lies: seven bits a byte, the highest first, and one is added at each step.
fn distance(bytes: &mut &[u8]) -> Option<u64> {
    let mut byte = take(bytes)?;
    let mut value = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = take(bytes)?;
        value = value.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
    }
    Some(value)
}

/// How to make an object of another.
struct Delta<'a> {
    base: usize,
    result: usize,
    steps: &'a [u8],
}

impl<'a> Delta<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        Some(Self { base: varint(&mut bytes)?, result: varint(&mut bytes)?, steps: bytes })
    }

    fn apply(&self, base: &[u8]) -> Option<Vec<u8>> {
        if base.len() != self.base || self.result > LARGEST {
            return None;
        }
        let mut made = Vec::with_capacity(self.result);
        let mut steps = self.steps;
        while let Some(step) = take(&mut steps) {
            if step & 0x80 == 0 {
                let (text, rest) = steps.split_at_checked(usize::from(step))?;
                made.extend_from_slice(text);
                steps = rest;
            } else {
                let from = scattered(step, 4, &mut steps)?;
                let len = match scattered(step >> 4, 3, &mut steps)? {
                    0 => 0x1_0000,
                    len => len,
                };
                made.extend_from_slice(base.get(from..from.checked_add(len)?)?);
            }
            if made.len() > self.result {
                return None;
            }
        }
        (made.len() == self.result).then_some(made)
    }
}

/// A number of which only those of the `count` lowest bytes follow that are marked in `present`.
fn scattered(present: u8, count: u32, bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for at in 0..count {
        if present >> at & 1 == 1 {
            value |= usize::from(take(bytes)?) << (8 * at);
        }
    }
    Some(value)
}

impl Index {
    /// Where the tables begin: after magic number and version.
    const FANOUT: usize = 8;
    const NAMES: usize = Self::FANOUT + 256 * 4;

    fn parse(bytes: Vec<u8>) -> io::Result<Self> {
        let mut index = Self { bytes, objects: 0 };
        index.objects = index.word(Self::FANOUT + 255 * 4).unwrap_or(0) as usize;
        let complete = index.bytes.len() >= Self::NAMES + index.objects * (20 + 4 + 4) + 40;
        if index.bytes.starts_with(b"\xfftOc\0\0\0\x02") && complete {
            Ok(index)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Where in the pack the object begins.
    fn offset(&self, oid: Oid) -> Option<u64> {
        let first = usize::from(oid.as_bytes()[0]);
        let from = if first == 0 { 0 } else { self.word(Self::FANOUT + (first - 1) * 4)? as usize };
        let to = (self.word(Self::FANOUT + first * 4)? as usize).min(self.objects);
        let names = self.bytes.get(Self::NAMES + from * 20..Self::NAMES + to * 20)?;
        let (names, _) = names.as_chunks::<20>();
        self.offset_at(from + names.binary_search_by(|name| name.as_slice().cmp(oid.as_bytes())).ok()?)
    }

    /// Where the entries of the pack begin, in their order.
    fn offsets(&self) -> Vec<u64> {
        let mut offsets: Vec<u64> = (0..self.objects).filter_map(|at| self.offset_at(at)).collect();
        offsets.sort_unstable();
        offsets
    }

    /// Where the object of this number begins, as the names are sorted.
    fn offset_at(&self, at: usize) -> Option<u64> {
        let offsets = Self::NAMES + self.objects * (20 + 4);
        let offset = self.word(offsets + at * 4)?;
        if offset >> 31 == 0 {
            return Some(u64::from(offset));
        }
        let far = offsets + self.objects * 4 + (offset & 0x7fff_ffff) as usize * 8;
        Some(u64::from(self.word(far)?) << 32 | u64::from(self.word(far + 4)?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::ObjectWriter;
    use super::*;

    fn text(n: usize) -> Vec<u8> {
        (0..n * 40).map(|line| format!("line {} of {n}\n", line % 97)).collect::<String>().into_bytes()
    }

    fn packed(reader: &Reader, oid: Oid) -> Option<Vec<u8>> {
        reader.in_packs(|packs| packs.read(oid)).map(|(_, data)| data)
    }

    #[test]
    fn objects_are_read_in_packs_and_loose() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let reader = Reader::new(repo.path());
        let objects = Objects { repo: &repo, reader: &reader };
        let mut writer = ObjectWriter::new(&repo);
        let oids: Vec<Oid> = (0..100).map(|n| writer.put(ObjectType::Blob, text(n)).unwrap()).collect();
        let loose = repo.blob(b"loose").unwrap();
        assert_eq!(objects.read(ObjectType::Blob, loose).unwrap(), b"loose");
        assert!(objects.read(ObjectType::Tree, loose).is_err(), "it is no tree");
        writer.finish().unwrap();
        for (n, oid) in oids.iter().enumerate() {
            assert_eq!(packed(&reader, *oid), Some(text(n)), "without libgit2");
            let (content, stream) = objects.read_to_copy(ObjectType::Blob, *oid).unwrap();
            let mut inflated = vec![0; content.len()];
            let mut decompressor = libdeflater::Decompressor::new();
            decompressor.zlib_decompress(&stream.expect("it is whole"), &mut inflated).unwrap();
            assert_eq!((&inflated, &content), (&text(n), &text(n)));
            assert_eq!(Objects { repo: &repo, reader: &reader }.size(*oid).unwrap(), text(n).len());
        }
        assert!(objects.read(ObjectType::Blob, Oid::from_bytes(&[7; 20]).unwrap()).is_err());
    }

    /// A pack as git makes it, of versions of one growing text.
    #[test]
    fn deltas_are_applied() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let whole = (0..9000).map(|n| format!("{n} {}\n", n * n)).collect::<String>();
        let versions: Vec<&str> = (1..30).map(|n| &whole[..n * whole.len() / 30]).collect();
        let mut builder = repo.packbuilder().unwrap();
        let oids: Vec<Oid> = versions.iter().map(|text| repo.blob(text.as_bytes()).unwrap()).collect();
        oids.iter().for_each(|oid| builder.insert_object(*oid, Some("text")).unwrap());
        builder.write(&repo.path().join("objects/pack"), 0).unwrap();
        let reader = Reader::new(repo.path());
        let mut deltas = 0;
        for (oid, text) in oids.iter().zip(&versions) {
            assert_eq!(packed(&reader, *oid).unwrap(), text.as_bytes());
            assert_eq!(Objects { repo: &repo, reader: &reader }.size(*oid).unwrap(), text.len());
            let packs = reader.packs.borrow();
            let (pack, offset) = packs.find(*oid).unwrap();
            deltas += u32::from(matches!(pack.entry(offset).unwrap().kind, Kind::Delta(_)));
        }
        assert!(deltas > 20, "{deltas}");
    }

    #[test]
    fn a_bad_delta_makes_nothing() {
        let base = b"0123456789";
        let make = |steps: &[u8]| Delta::parse(&[&[10, 4], steps].concat()).unwrap().apply(base);
        assert_eq!(make(&[0x91, 3, 2, 2, b'x', b'y']).unwrap(), b"34xy");
        for bad in [&[][..], &[0x91, 9, 4], &[0x91, 3], &[5, b'x'], &[0x90, 5], &[0x91, 3, 2, 3, 1, 2, 3]] {
            assert_eq!(make(bad), None, "{bad:?}");
        }
        assert_eq!(Delta::parse(&[9, 0]).unwrap().apply(base), None, "for another base");
        assert!(Delta::parse(&[0x80; 12]).is_none(), "a size without an end");
    }

    #[test]
    fn a_damaged_index_is_left_to_libgit2() {
        let good = {
            let mut bytes = b"\xfftOc\0\0\0\x02".to_vec();
            bytes.resize(Index::NAMES + 40, 0);
            bytes
        };
        assert!(Index::parse(good.clone()).is_ok());
        for len in 0..good.len() {
            assert!(Index::parse(good[..len].to_vec()).is_err());
        }
        let mut promising = good;
        promising[Index::FANOUT + 255 * 4] = 0xff;
        assert!(Index::parse(promising).is_err(), "more objects than there is room for");
    }
}
