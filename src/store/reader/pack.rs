//! One pack and its index, as files (git manual, `gitformat-pack`).
//!
//! Says where an object lies and gives its bytes, compressed as they are. Must not inflate them, nor trust what the index promises.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use git2::{ObjectType, Oid};

use super::delta::{take, varint};

/// A pack that is open.
pub(super) struct Pack {
    index: Index,
    file: File,
}

/// A version 2 pack index.
struct Index {
    bytes: Vec<u8>,
    objects: usize,
}

/// One entry of a pack.
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Bytes of its content, or of the delta.
    pub(super) size: usize,
    /// Where the compressed bytes begin.
    pub(super) content: u64,
}

/// How an object is written.
pub(super) enum Kind {
    /// As it is.
    Whole(ObjectType),
    /// A delta to the object at this offset.
    Delta(u64),
}

impl Pack {
    /// The pack that belongs to this file of an index.
    pub(super) fn open(index: &Path) -> io::Result<Self> {
        let file = File::open(index.with_extension("pack"))?;
        Ok(Self {
            index: Index::parse(fs::read(index)?)?,
            file,
        })
    }

    /// At most `len` bytes from `offset` on.
    pub(super) fn bytes(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Where an object begins, if it is in this pack.
    pub(super) fn find(&self, oid: Oid) -> Option<u64> {
        self.index.offset(oid)
    }

    /// What begins at `offset`; nothing if that is not understood.
    pub(super) fn entry(&self, offset: u64) -> Option<Entry> {
        const LONGEST_HEADER: usize = 10 + 20;
        let bytes = self.bytes(offset, LONGEST_HEADER).ok()?;
        let mut rest = bytes.as_slice();
        let first = take(&mut rest)?;
        let size = usize::from(first & 0x0f)
            | if first & 0x80 == 0 {
                0
            } else {
                varint(&mut rest)?.checked_shl(4)?
            };
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
        Some(Entry {
            kind,
            size,
            content: offset + (bytes.len() - rest.len()) as u64,
        })
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
        let from = if first == 0 {
            0
        } else {
            self.word(Self::FANOUT + (first - 1) * 4)? as usize
        };
        let to = (self.word(Self::FANOUT + first * 4)? as usize).min(self.objects);
        let names = self
            .bytes
            .get(Self::NAMES + from * 20..Self::NAMES + to * 20)?;
        let (names, _) = names.as_chunks::<20>();
        self.offset_at(
            from + names
                .binary_search_by(|name| name.as_slice().cmp(oid.as_bytes()))
                .ok()?,
        )
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
    use super::*;

    #[test]
    fn pack_damaged_index_is_refused() {
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
        assert!(
            Index::parse(promising).is_err(),
            "more objects than there is room for"
        );
    }
}
