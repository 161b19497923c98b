//! Reading and writing the JSON files of the store, each with the version of its format.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::{InvalidData, InvalidPlaceholder, parse::from_json};
use crate::encryption::{HeaderError, StoreHeader};

/// The format version that this program writes. It reads older ones and refuses newer ones.
pub const FORMAT: u32 = 2;

/// The format of a store with tombstones: programs that do not know them would send deleted
/// sessions again. Only `ccsync.json` has it.
pub(crate) const TOMBSTONE_FORMAT: u32 = 3;

/// Largest file that is parsed. The manifest of a transcript of 200 MB has about 100 KB.
pub(crate) const MAX_MANIFEST_BYTES: usize = 16 << 20;

/// Why a file of the store was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON of the expected shape.
    #[error(transparent)]
    Malformed(#[from] InvalidData),
    /// Written by a newer version of this program.
    #[error("it has format {0}; this ccsync reads up to {FORMAT}")]
    Newer(u32),
    /// It describes an encrypted store.
    #[error("it is of an encrypted store")]
    Encrypted(Box<StoreHeader>),
    /// It describes an encrypted store that cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its fields contradict each other, or are out of range.
    #[error("{0}")]
    Inconsistent(&'static str),
    /// It holds an invalid placeholder.
    #[error("invalid placeholder")]
    Placeholder(#[from] InvalidPlaceholder),
    /// Larger than such a file may be.
    #[error("it is too large ({bytes} bytes, limit {limit})")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
}

/// The part of every format that names its version.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// Parses `json`. Refuses a newer format before it parses anything else.
pub(crate) fn parse_versioned<T: DeserializeOwned>(json: &[u8]) -> Result<T, ManifestError> {
    parse_up_to(json, FORMAT)
}

/// Parses `json` of at most this format.
pub(crate) fn parse_up_to<T: DeserializeOwned>(
    json: &[u8],
    newest: u32,
) -> Result<T, ManifestError> {
    let (bytes, limit) = (json.len(), MAX_MANIFEST_BYTES);
    if bytes > limit {
        return Err(ManifestError::TooLarge { bytes, limit });
    }
    let version: Versioned = from_json(json)?;
    if version.format > newest {
        return Err(ManifestError::Newer(version.format));
    }
    Ok(from_json(json)?)
}

/// Returns an error that names the `problem` if `holds` is false.
pub(crate) fn require(holds: bool, problem: &'static str) -> Result<(), ManifestError> {
    if holds {
        Ok(())
    } else {
        Err(ManifestError::Inconsistent(problem))
    }
}

/// Returns indented JSON with a final newline, for readers of the store and `git log -p`.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value)
        .expect("maps with text keys and plain values always serialise");
    json.push(b'\n');
    json
}
