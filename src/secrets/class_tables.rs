//! Tables that classify bytes: which ones a token may have, which belong to words, and where one of
//! some short texts may begin. Each question has two tables, one for each half of a byte.

use std::collections::BTreeSet;

use super::words::is_word;

/// Number of bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Length of the texts that are recognised, in bytes.
pub(super) const ANCHOR: usize = 4;

/// Number of token characters that a form has at least.
pub(super) const MIN_TOKEN: usize = 20;

/// Number of groups of anchors: the bits of a byte.
const GROUPS: usize = 8;

/// One bit for each byte of a block, the lowest for the first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BlockBits {
    /// Letters, digits, `_`, `-` and `.`.
    pub(super) token: u64,
    /// Letters, digits and `_`.
    pub(super) word: u64,
    /// Places where an anchor may begin.
    pub(super) anchor: u64,
}

/// Answers for each half of a byte. A byte has the bits that both of its halves have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HalfTables {
    pub(super) low: [u8; 16],
    pub(super) high: [u8; 16],
}

impl HalfTables {
    /// Returns the tables of a class of ASCII characters.
    fn of_class(is_in_class: impl Fn(u8) -> bool) -> Self {
        let mut tables = Self::default();
        for byte in (0..0x80).filter(|byte| is_in_class(*byte)) {
            tables.add(Some(byte), 1 << (byte >> 4));
        }
        // A bit for each high half: every set of ASCII characters is exact.
        tables.high = std::array::from_fn(|half| 1_u8.checked_shl(half as u32).unwrap_or(0));
        tables
    }

    /// Adds a byte; `None`: every ASCII character.
    fn add(&mut self, byte: Option<u8>, bits: u8) {
        let Some(byte) = byte else {
            let halves = self.low.iter_mut().chain(&mut self.high[..8]);
            return halves.for_each(|half| *half |= bits);
        };
        self.low[usize::from(byte & 15)] |= bits;
        self.high[usize::from(byte >> 4)] |= bits;
    }

    fn bits(&self, byte: u8) -> u8 {
        self.low[usize::from(byte & 15)] & self.high[usize::from(byte >> 4)]
    }

    /// Returns a measure of how often bytes in text have the bit.
    fn frequency(&self, bit: u8) -> u32 {
        /// How often bytes with this high half occur: most are lower-case letters.
        const WEIGHTS: [u32; 16] = [1, 1, 4, 2, 1, 1, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1];
        let has_bit = |bits: &u8| *bits & bit != 0;
        let low = self.low.iter().filter(|bits| has_bit(bits)).count() as u32;
        let high = self.high.iter().zip(WEIGHTS);
        low * high
            .filter(|(bits, _)| has_bit(bits))
            .map(|(_, weight)| weight)
            .sum::<u32>()
    }
}

/// Returns true for a character of tokens.
pub(super) fn is_token_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_-.".contains(&b)
}

/// The tables of all questions.
pub(super) struct ClassTables {
    pub(super) token: HalfTables,
    pub(super) word: HalfTables,
    pub(super) anchors: [HalfTables; ANCHOR],
}

impl ClassTables {
    /// Builds the tables for some ASCII texts. Their beginnings are the anchors.
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut tables = [HalfTables::default(); ANCHOR];
        // Similar endings come together.
        let anchors: BTreeSet<_> = texts.map(reversed_anchor).collect();
        for mut anchor in anchors {
            anchor.reverse();
            let bit = best_group(&tables, anchor);
            add_anchor(&mut tables, anchor, bit);
        }
        Self {
            token: HalfTables::of_class(is_token_char),
            word: HalfTables::of_class(is_word),
            anchors: tables,
        }
    }

    /// Classifies blocks, byte by byte; `text` has the rest of an anchor after them.
    pub(super) fn classify(&self, text: &[u8], bits: &mut [BlockBits]) {
        for (block, bits) in bits.iter_mut().enumerate() {
            let start = block * BLOCK;
            *bits = BlockBits::default();
            for at in 0..BLOCK {
                let byte = text[start + at];
                let is_anchor = (self.anchors.iter().zip(&text[start + at..]))
                    .fold(0xff, |bits, (table, byte)| bits & table.bits(*byte));
                bits.token |= u64::from(self.token.bits(byte) != 0) << at;
                bits.word |= u64::from(self.word.bits(byte) != 0) << at;
                bits.anchor |= u64::from(is_anchor != 0) << at;
            }
        }
    }
}

/// The first bytes of a text. After a shorter one any ASCII character may follow.
type Anchor = [Option<u8>; ANCHOR];

fn reversed_anchor(text: &[u8]) -> Anchor {
    std::array::from_fn(|at| text.get(ANCHOR - 1 - at).copied())
}

fn add_anchor(tables: &mut [HalfTables; ANCHOR], anchor: Anchor, bit: u8) {
    for (table, byte) in tables.iter_mut().zip(anchor) {
        table.add(byte, bit);
    }
}

/// Returns the bit of the group that an anchor makes least vague: a group cannot tell which of
/// its anchors' bytes belong together.
fn best_group(tables: &[HalfTables; ANCHOR], anchor: Anchor) -> u8 {
    let vagueness = |tables: &[HalfTables; ANCHOR], bit| -> u32 {
        tables.iter().map(|table| table.frequency(bit)).product()
    };
    let growth = |bit: &u8| {
        let mut with_anchor = *tables;
        add_anchor(&mut with_anchor, anchor, *bit);
        vagueness(&with_anchor, *bit) - vagueness(tables, *bit)
    };
    let bits = (0..GROUPS).map(|group| 1 << group);
    bits.min_by_key(growth).unwrap_or(1)
}
