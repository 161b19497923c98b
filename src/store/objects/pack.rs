//! Reading the files of a pack (git manual, `gitformat-pack`).
//!
//! Finds objects and returns their compressed bytes. Must not inflate them.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use git2::{ObjectType, Oid};

use super::delta::{take_byte, take_size};
use super::pack_index::PackIndex;

/// Longest header of an entry: kind and size, then the offset or the name of a base.
const MAX_HEADER_BYTES: usize = 10 + 20;

/// Bytes that are read at once: most objects are shorter, and their headers are read again.
const WINDOW_BYTES: usize = 4096;

/// An open pack.
pub(crate) struct Pack {
    index: PackIndex,
    file: File,
    window: RefCell<Window>,
}

/// The bytes that were read last, from this offset on.
#[derive(Default)]
struct Window {
    offset: u64,
    bytes: Vec<u8>,
}

/// Header of one entry of a pack.
pub(crate) struct PackEntry {
    pub(crate) encoding: Encoding,
    /// Bytes of the object or, for a delta, of the delta.
    pub(crate) size: usize,
    /// Offset of the compressed bytes.
    pub(crate) content: u64,
}

/// Form in which a pack holds an object.
pub(crate) enum Encoding {
    /// The whole object.
    Whole(ObjectType),
    /// A delta to the object at this offset.
    Delta(u64),
}

impl Pack {
    /// Opens the pack to which the index at `index` belongs.
    pub(crate) fn open(index: &Path) -> io::Result<Self> {
        let file = File::open(index.with_extension("pack"))?;
        let index = PackIndex::parse(fs::read(index)?)?;
        let window = RefCell::default();
        Ok(Self {
            index,
            file,
            window,
        })
    }

    /// Returns at most `len` bytes from `offset` on.
    pub(crate) fn bytes(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        if len > WINDOW_BYTES {
            return self.read(offset, len);
        }
        let mut window = self.window.borrow_mut();
        if window.bytes_at(offset, len).is_none() {
            *window = Window {
                bytes: self.read(offset, WINDOW_BYTES)?,
                offset,
            };
        }
        let found = window.bytes_at(offset, len);
        // The pack ends before.
        Ok(found.unwrap_or(&window.bytes).to_vec())
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns the offset of an object, if the pack has it.
    pub(crate) fn find(&self, oid: Oid) -> Option<u64> {
        self.index.offset(oid)
    }

    /// Reads the header of the entry at `offset`. Returns `None` for one that is not understood.
    pub(crate) fn entry(&self, offset: u64) -> Option<PackEntry> {
        let bytes = self.bytes(offset, MAX_HEADER_BYTES).ok()?;
        let mut rest = bytes.as_slice();
        let first = take_byte(&mut rest)?;
        let high = match first & 0x80 {
            0 => 0,
            _ => take_size(&mut rest)?.checked_shl(4)?,
        };
        let encoding = match (first >> 4) & 7 {
            1 => Encoding::Whole(ObjectType::Commit),
            2 => Encoding::Whole(ObjectType::Tree),
            3 => Encoding::Whole(ObjectType::Blob),
            6 => Encoding::Delta(offset.checked_sub(take_distance(&mut rest)?)?),
            7 => {
                let (base, after) = rest.split_at_checked(20)?;
                rest = after;
                Encoding::Delta(self.index.offset(Oid::from_bytes(base).ok()?)?)
            }
            _ => return None,
        };
        Some(PackEntry {
            encoding,
            size: usize::from(first & 0x0f) | high,
            content: offset + (bytes.len() - rest.len()) as u64,
        })
    }
}

impl Window {
    fn bytes_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let begin = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(begin..begin.checked_add(len)?)
    }
}

/// Takes the distance of a delta to its base: seven bits a byte, the highest first, plus one at
/// each step.
fn take_distance(bytes: &mut &[u8]) -> Option<u64> {
    let mut byte = take_byte(bytes)?;
    let mut value = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = take_byte(bytes)?;
        value = value.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
    }
    Some(value)
}
