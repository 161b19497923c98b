//! Objects in files of their own: inflating one, or finding that it is not whole.
//!
//! With libdeflate, because libgit2 (1.9) does not return from one that ends too early. Must not look for them: the caller knows the file.

use git2::{ObjectType, Oid};
use libdeflater::{DecompressionError, Decompressor};

use super::object::object_name;
use super::segment;

/// Larger ones are none of this program's. Kind and size, which stand before the content, have some room.
const LARGEST: usize = segment::LIMIT + segment::CUT + 64;

/// What a file holds.
pub(super) enum Loose {
    /// An object with its kind and content, which may have another name than its file.
    Whole(ObjectType, Vec<u8>),
    /// More than this program reads.
    TooLarge,
    /// Nothing that git wrote, or only a part of it.
    Damaged,
}

/// Reads the content of an object's file.
pub(super) fn inflate(decompressor: &mut Decompressor, compressed: &[u8]) -> Loose {
    let mut room = vec![0; (compressed.len() * 4 + 4096).min(LARGEST)];
    loop {
        match decompressor.zlib_decompress(compressed, &mut room) {
            Ok(len) => {
                room.truncate(len);
                return parse(room).unwrap_or(Loose::Damaged);
            }
            Err(DecompressionError::InsufficientSpace) if room.len() < LARGEST => {
                room.resize((room.len() * 4).min(LARGEST), 0);
            }
            Err(DecompressionError::InsufficientSpace) => return Loose::TooLarge,
            Err(DecompressionError::BadData) => return Loose::Damaged,
        }
    }
}

/// The object in the file, if it is what has this name.
pub(super) fn object_named(
    decompressor: &mut Decompressor,
    compressed: &[u8],
    oid: Oid,
) -> Option<(ObjectType, Vec<u8>)> {
    match inflate(decompressor, compressed) {
        Loose::Whole(kind, content) if object_name(kind, &content) == oid => Some((kind, content)),
        _ => None,
    }
}

/// Kind, a space, the length of the content, a zero byte, the content.
fn parse(mut text: Vec<u8>) -> Option<Loose> {
    let zero = memchr::memchr(0, &text)?;
    let (kind, len) = std::str::from_utf8(&text[..zero]).ok()?.split_once(' ')?;
    let (kind, len) = (ObjectType::from_str(kind)?, len.parse::<usize>().ok()?);
    text.drain(..=zero);
    (text.len() == len).then_some(Loose::Whole(kind, text))
}
