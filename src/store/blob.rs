//! Reading the content of many files.
//!
//! Nearly every blob of a store lies whole in a pack. Such a one is read with one `read` and inflated with libdeflate, three times
//! as fast as libgit2 does it, and without mapping the pack into memory. Everything else (loose objects, deltas) is libgit2's.
//! The content is checked against the object's name in both cases. Owns the reading of packs and their indexes (git manual,
//! `gitformat-pack`); a pack that is not understood is left to libgit2.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{ObjectType, Oid, Repository};

use super::StoreError;
use super::object::object_name;

/// The packs of a repository, opened when they are first asked.
pub(super) struct Blobs {
    directory: PathBuf,
    packs: RefCell<Packs>,
}

struct Packs {
    /// Of the directory when it was read: another one means that there may be other packs.
    modified: Option<SystemTime>,
    list: Vec<Pack>,
    decompressor: libdeflater::Decompressor,
}

struct Pack {
    index: Index,
    file: File,
}

/// A version 2 pack index.
struct Index {
    bytes: Vec<u8>,
    objects: usize,
}

/// What stands before an object in a pack.
struct Header {
    kind: u8,
    size: usize,
    /// Where the compressed content begins.
    content: u64,
}

const BLOB: u8 = 3;

impl Blobs {
    /// Of the repository whose `.git` directory is `git_dir`.
    pub(super) fn new(git_dir: &Path) -> Self {
        let packs = Packs { modified: None, list: Vec::new(), decompressor: libdeflater::Decompressor::new() };
        Self { directory: git_dir.join("objects/pack"), packs: RefCell::new(packs) }
    }

    /// Bytes of a blob.
    pub(super) fn size(&self, repo: &Repository, oid: Oid) -> Result<usize, StoreError> {
        match self.with_pack(|packs| packs.size(oid)) {
            Some(size) => Ok(size),
            None => Ok(repo.odb()?.read_header(oid)?.0),
        }
    }

    /// The content of a blob; `None` if what lies there is not what its name says.
    pub(super) fn read(&self, repo: &Repository, oid: Oid) -> Result<Option<Vec<u8>>, StoreError> {
        let whole = self.with_pack(|packs| packs.read(oid)).filter(|data| object_name(ObjectType::Blob, data) == oid);
        if whole.is_some() {
            return Ok(whole);
        }
        let data = repo.find_blob(oid)?.content().to_vec();
        Ok((object_name(ObjectType::Blob, &data) == oid).then_some(data))
    }

    /// Asks the packs, and once more if others have come.
    fn with_pack<T>(&self, ask: impl Fn(&mut Packs) -> Option<T>) -> Option<T> {
        let packs = &mut *self.packs.borrow_mut();
        ask(packs).or_else(|| if packs.reload(&self.directory) { ask(packs) } else { None })
    }
}

impl Packs {
    /// Opens the packs that are there now, unless these are the ones known.
    fn reload(&mut self, directory: &Path) -> bool {
        let modified = fs::metadata(directory).and_then(|m| m.modified()).ok();
        if modified == self.modified {
            return false;
        }
        self.modified = modified;
        let indexes = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let indexes = indexes.filter(|path| path.extension().is_some_and(|e| e == "idx"));
        self.list = indexes.filter_map(|path| Pack::open(&path).ok()).collect();
        true
    }

    fn size(&mut self, oid: Oid) -> Option<usize> {
        self.find(oid).map(|(_, header)| header.size)
    }

    fn read(&mut self, oid: Oid) -> Option<Vec<u8>> {
        let (at, header) = self.find(oid)?;
        let compressed = self.list[at].read(header.content, compressed_at_most(header.size)).ok()?;
        let mut data = vec![0; header.size];
        let inflated = self.decompressor.zlib_decompress(&compressed, &mut data).ok()?;
        (inflated == data.len()).then_some(data)
    }

    /// The pack that holds the blob whole.
    fn find(&mut self, oid: Oid) -> Option<(usize, Header)> {
        let (at, offset) = self.list.iter().enumerate().find_map(|(at, pack)| Some((at, pack.index.offset(oid)?)))?;
        let header = self.list[at].header(offset).ok()?;
        (header.kind == BLOB).then_some((at, header))
    }
}

impl Pack {
    fn open(index: &Path) -> io::Result<Self> {
        Ok(Self { index: Index::parse(fs::read(index)?)?, file: File::open(index.with_extension("pack"))? })
    }

    /// At most `len` bytes from `offset` on.
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn header(&self, offset: u64) -> io::Result<Header> {
        let bytes = self.read(offset, 16)?;
        let mut kind = 0;
        let mut size: usize = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let (bits, shift) = if at == 0 { (byte & 0x0f, 0) } else { (byte & 0x7f, 4 + 7 * (at - 1)) };
            kind = if at == 0 { (byte >> 4) & 7 } else { kind };
            size |= usize::from(bits).checked_shl(shift as u32).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(Header { kind, size, content: offset + at as u64 + 1 });
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
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
        let at = from + names.binary_search_by(|name| name.as_slice().cmp(oid.as_bytes())).ok()?;
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

/// The longest zlib stream for `size` bytes: stored, in blocks of 16 KiB at the least.
fn compressed_at_most(size: usize) -> usize {
    size + 5 * (size / (16 << 10) + 1) + 16
}

#[cfg(test)]
mod tests {
    use super::super::object::ObjectWriter;
    use super::*;

    fn text(n: usize) -> Vec<u8> {
        format!("{n} ").repeat(n * 40).into_bytes()
    }

    #[test]
    fn blobs_are_read_from_packs_and_loose() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let blobs = Blobs::new(repo.path());
        let mut writer = ObjectWriter::new(&repo);
        let packed: Vec<Oid> = (0..100).map(|n| writer.put(ObjectType::Blob, text(n)).unwrap()).collect();
        let loose = repo.blob(b"loose").unwrap();
        assert_eq!(blobs.read(&repo, loose).unwrap().unwrap(), b"loose");
        writer.finish().unwrap();
        for (n, oid) in packed.iter().enumerate() {
            assert_eq!(blobs.with_pack(|packs| packs.read(*oid)), Some(text(n)), "without libgit2");
            assert_eq!(blobs.size(&repo, *oid).unwrap(), text(n).len());
        }
        assert!(blobs.read(&repo, Oid::from_bytes(&[7; 20]).unwrap()).is_err());
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
