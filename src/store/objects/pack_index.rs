//! Version 2 of a pack's index (git manual, `gitformat-pack`): reading and writing it.
//!
//! An index that is read may be damaged: every position in it is checked.

use std::io::{self, ErrorKind};

use git2::Oid;
use sha1::{Digest, Sha1};

const MAGIC_AND_VERSION: &[u8; 8] = b"\xfftOc\0\0\0\x02";

/// Offsets of the tables.
const FANOUT: usize = MAGIC_AND_VERSION.len();
const NAMES: usize = FANOUT + 256 * 4;

/// Index of a pack, as read from its file.
pub(crate) struct PackIndex {
    bytes: Vec<u8>,
    objects: usize,
}

impl PackIndex {
    pub(crate) fn parse(bytes: Vec<u8>) -> io::Result<Self> {
        let mut index = Self { bytes, objects: 0 };
        index.objects = index.word(FANOUT + 255 * 4).unwrap_or(0) as usize;
        let is_complete = index.bytes.len() >= NAMES + index.objects * (20 + 4 + 4) + 40;
        if index.bytes.starts_with(MAGIC_AND_VERSION) && is_complete {
            Ok(index)
        } else {
            Err(ErrorKind::InvalidData.into())
        }
    }

    /// Returns the offset of an object in the pack.
    pub(crate) fn offset(&self, oid: Oid) -> Option<u64> {
        let first = usize::from(oid.as_bytes()[0]);
        let from = match first {
            0 => 0,
            _ => self.word(FANOUT + (first - 1) * 4)? as usize,
        };
        let to = (self.word(FANOUT + first * 4)? as usize).min(self.objects);

        let names = self.bytes.get(NAMES + from * 20..NAMES + to * 20)?;
        let (names, _) = names.as_chunks::<20>();
        let at = names.binary_search_by(|name| name.as_slice().cmp(oid.as_bytes()));
        self.offset_at(from + at.ok()?)
    }

    /// Returns the offset of the object at this position of the sorted names.
    fn offset_at(&self, at: usize) -> Option<u64> {
        let offsets = NAMES + self.objects * (20 + 4);
        let offset = self.word(offsets + at * 4)?;
        if offset >> 31 == 0 {
            return Some(u64::from(offset));
        }
        let large = offsets + self.objects * 4 + (offset & 0x7fff_ffff) as usize * 8;
        Some(u64::from(self.word(large)?) << 32 | u64::from(self.word(large + 4)?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// One object of a new pack.
pub(crate) struct PackedObject {
    pub(crate) oid: Oid,
    pub(crate) offset: u64,
    pub(crate) crc: u32,
}

/// Returns the file content of the index of a new pack. `objects` are sorted by name.
pub(crate) fn encode_pack_index(objects: &[PackedObject], pack_checksum: &[u8; 20]) -> Vec<u8> {
    let mut index = MAGIC_AND_VERSION.to_vec();
    let mut upto = 0;
    for first in 0..=255u8 {
        while upto < objects.len() && objects[upto].oid.as_bytes()[0] <= first {
            upto += 1;
        }
        index.extend_from_slice(&(upto as u32).to_be_bytes());
    }
    for object in objects {
        index.extend_from_slice(object.oid.as_bytes());
    }
    for object in objects {
        index.extend_from_slice(&object.crc.to_be_bytes());
    }

    let mut large = Vec::new();
    for object in objects {
        // The highest bit marks a position in the table of offsets past 2 GiB.
        let small = u32::try_from(object.offset).ok();
        let word = small.filter(|offset| offset >> 31 == 0).unwrap_or_else(|| {
            large.push(object.offset);
            (1 << 31) | (large.len() - 1) as u32
        });
        index.extend_from_slice(&word.to_be_bytes());
    }
    for offset in large {
        index.extend_from_slice(&offset.to_be_bytes());
    }

    index.extend_from_slice(pack_checksum);
    let checksum = Sha1::digest(&index);
    index.extend_from_slice(&checksum);
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_damaged_index_is_refused() {
        let mut good = MAGIC_AND_VERSION.to_vec();
        good.resize(NAMES + 40, 0);
        assert!(PackIndex::parse(good.clone()).is_ok());
        for len in 0..good.len() {
            assert!(PackIndex::parse(good[..len].to_vec()).is_err());
        }
        let mut too_many = good;
        too_many[FANOUT + 255 * 4] = 0xff;
        assert!(
            PackIndex::parse(too_many).is_err(),
            "more objects than there is room for"
        );
    }
}
