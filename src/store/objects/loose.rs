//! Content of a loose object, and whether it is complete.
//!
//! Inflates with libdeflate, because libgit2 1.9 never returns from a loose object that ends too
//! early. Must not open files.

use git2::{ObjectType, Oid};
use libdeflater::{DecompressionError, Decompressor};

use super::name::object_name;
use crate::store::format::segment::MAX_FILE_BYTES;

/// Largest file of this program, with room for the kind and size before the content.
const MAX_INFLATED_BYTES: usize = MAX_FILE_BYTES + 64;

/// Content of a loose object's file.
pub(crate) enum LooseObject {
    /// An object. Its name may differ from that of its file.
    Whole(ObjectType, Vec<u8>),
    /// Content that is larger than this program reads.
    TooLarge,
    /// Not an object, or only a part of one.
    Damaged,
}

/// Inflates the bytes of a loose object's file.
pub(crate) fn inflate(decompressor: &mut Decompressor, compressed: &[u8]) -> LooseObject {
    let mut room = vec![0; (compressed.len() * 4 + 4096).min(MAX_INFLATED_BYTES)];
    loop {
        match decompressor.zlib_decompress(compressed, &mut room) {
            Ok(len) => {
                room.truncate(len);
                return parse(room).unwrap_or(LooseObject::Damaged);
            }
            Err(DecompressionError::InsufficientSpace) if room.len() < MAX_INFLATED_BYTES => {
                room.resize((room.len() * 4).min(MAX_INFLATED_BYTES), 0);
            }
            Err(DecompressionError::InsufficientSpace) => return LooseObject::TooLarge,
            Err(DecompressionError::BadData) => return LooseObject::Damaged,
        }
    }
}

/// Inflates the bytes of a loose object's file, if they are the object of this name.
pub(crate) fn inflate_named(
    decompressor: &mut Decompressor,
    compressed: &[u8],
    oid: Oid,
) -> Option<(ObjectType, Vec<u8>)> {
    match inflate(decompressor, compressed) {
        LooseObject::Whole(kind, content) if object_name(kind, &content) == oid => {
            Some((kind, content))
        }
        _ => None,
    }
}

/// Parses kind, a space, the length of the content, a zero byte, the content.
fn parse(mut text: Vec<u8>) -> Option<LooseObject> {
    let zero = memchr::memchr(0, &text)?;
    let (kind, len) = std::str::from_utf8(&text[..zero]).ok()?.split_once(' ')?;
    let (kind, len) = (ObjectType::from_str(kind)?, len.parse::<usize>().ok()?);
    text.drain(..=zero);
    (text.len() == len).then_some(LooseObject::Whole(kind, text))
}
