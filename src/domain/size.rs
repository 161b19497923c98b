//! Sizes as users write them. Units are powers of a thousand.

use std::fmt;
use std::str::FromStr;

use bytesize::{GB, KB, MB};
use serde::{Deserialize, Serialize};

/// A number of bytes: `200 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

/// The reason why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid size `{}`: give a whole number above 0 and B, kB, MB or GB, for example 200MB", .0.escape_debug())]
pub struct InvalidSize(String);

impl ByteSize {
    /// Returns the number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        // The crate also reads fractions, binary units and numbers without a unit, and saturates.
        let has_unit = text.trim_end().ends_with(|c: char| c.is_ascii_alphabetic());
        let is_whole = has_unit && !text.contains(['.', 'i', 'I']);
        let parsed = text.trim().parse::<bytesize::ByteSize>().ok();
        parsed
            .map(|size| size.as_u64())
            .filter(|bytes| is_whole && (1..u64::MAX).contains(bytes))
            .map(Self)
            .ok_or_else(|| InvalidSize(text.to_owned()))
    }
}

/// Writes the size exactly, in the largest unit that divides it.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = [("GB", GB), ("MB", MB), ("kB", KB)]
            .into_iter()
            .find(|(_, scale)| self.0.is_multiple_of(*scale))
            .unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = InvalidSize;

    fn try_from(text: String) -> Result<Self, InvalidSize> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_text_parses_and_formats() {
        for (text, bytes, shown) in [
            ("200MB", 200_000_000, "200MB"),
            ("5 MB", 5_000_000, "5MB"),
            (" 1500 kb", 1_500_000, "1500kB"),
            ("7 B", 7, "7B"),
            ("1234567B", 1_234_567, "1234567B"),
            ("2000MB", 2_000_000_000, "2GB"),
            ("3 tb", 3_000_000_000_000, "3000GB"),
            (
                "9007199254740993 B",
                9_007_199_254_740_993,
                "9007199254740993B",
            ),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown));
            assert_eq!(shown.parse(), Ok(size), "{shown}");
        }
    }

    #[test]
    fn size_invalid_text_is_refused() {
        for bad in [
            "",
            "MB",
            "0",
            "5",
            "200 ",
            "0 GB",
            "-1MB",
            "1.5GB",
            "1 XB",
            "1 MiB",
            "99999999999GB",
            "1 2 MB",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }
}
