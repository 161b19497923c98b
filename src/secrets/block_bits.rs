//! Classifies text, 64 bytes at a time: which bytes a token may have, which belong to words, and
//! where one of some short texts may begin. Uses vector instructions if the processor has them.
//!
//! Each question is answered by two tables, one for each half of a byte.

use std::collections::BTreeSet;

/// Number of bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Length of the texts that are recognised, in bytes.
pub(super) const ANCHOR: usize = 4;

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
struct HalfTables {
    low: [u8; 16],
    high: [u8; 16],
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
pub(super) struct Classifier {
    token: HalfTables,
    word: HalfTables,
    anchors: [HalfTables; ANCHOR],
    #[cfg(target_arch = "x86_64")]
    simd: Option<pulp::x86::V3>,
}

impl Classifier {
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
            word: HalfTables::of_class(super::words::is_word),
            anchors: tables,
            #[cfg(target_arch = "x86_64")]
            simd: pulp::x86::V3::try_new(),
        }
    }

    /// Classifies the blocks that `text` begins with. After its end there are zeros.
    pub(super) fn classify(&self, text: &[u8], bits: &mut [BlockBits]) {
        let whole = text.len().saturating_sub(ANCHOR - 1) / BLOCK;
        let (first, rest) = bits.split_at_mut(whole.min(bits.len()));
        let tail = &text[first.len() * BLOCK..];
        self.classify_whole(text, first);

        let (last, empty) = rest.split_at_mut(rest.len().min(2));
        let mut padded = [0; 3 * BLOCK];
        let length = tail.len().min(2 * BLOCK);
        padded[..length].copy_from_slice(&tail[..length]);
        self.classify_whole(&padded, last);
        empty.fill(BlockBits::default());
    }

    /// Classifies blocks; `text` has the rest of an anchor after them.
    fn classify_whole(&self, text: &[u8], bits: &mut [BlockBits]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            return simd.vectorize(avx2::Classify {
                simd,
                classifier: self,
                text,
                bits,
            });
        }
        self.classify_plainly(text, bits);
    }

    fn classify_plainly(&self, text: &[u8], bits: &mut [BlockBits]) {
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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::__m256i;

    use pulp::NullaryFnOnce;
    use pulp::x86::V3;

    use super::{ANCHOR, BLOCK, BlockBits, Classifier, HalfTables};

    /// Number of bytes of a vector.
    const VECTOR: usize = 32;

    /// The same as [`Classifier::classify_plainly`], half a block at a time.
    pub(super) struct Classify<'a> {
        pub(super) simd: V3,
        pub(super) classifier: &'a Classifier,
        pub(super) text: &'a [u8],
        pub(super) bits: &'a mut [BlockBits],
    }

    impl NullaryFnOnce for Classify<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let simd = self.simd;
            let token = Tables::new(simd, &self.classifier.token);
            let word = Tables::new(simd, &self.classifier.word);
            let anchors = self.classifier.anchors;
            let anchors = [
                Tables::new(simd, &anchors[0]),
                Tables::new(simd, &anchors[1]),
                Tables::new(simd, &anchors[2]),
                Tables::new(simd, &anchors[3]),
            ];
            for (block, bits) in self.bits.iter_mut().enumerate() {
                let text = &self.text[block * BLOCK..];
                let Some(text) = text.first_chunk::<{ BLOCK + ANCHOR - 1 }>() else {
                    return;
                };
                *bits = BlockBits::default();
                for start in [0, VECTOR] {
                    let first = Halves::new(simd, text, start);
                    let second = Halves::new(simd, text, start + 1);
                    let third = Halves::new(simd, text, start + 2);
                    let fourth = Halves::new(simd, text, start + 3);
                    let found = simd.avx2._mm256_and_si256(
                        simd.avx2._mm256_and_si256(
                            anchors[0].bits(simd, first),
                            anchors[1].bits(simd, second),
                        ),
                        simd.avx2._mm256_and_si256(
                            anchors[2].bits(simd, third),
                            anchors[3].bits(simd, fourth),
                        ),
                    );
                    bits.token |= mask(simd, token.bits(simd, first)) << start;
                    bits.word |= mask(simd, word.bits(simd, first)) << start;
                    bits.anchor |= mask(simd, found) << start;
                }
            }
        }
    }

    /// [`HalfTables`] in registers.
    #[derive(Clone, Copy)]
    struct Tables {
        low: __m256i,
        high: __m256i,
    }

    impl Tables {
        #[inline(always)]
        fn new(simd: V3, tables: &HalfTables) -> Self {
            let twice = |half: [u8; 16]| simd.avx2._mm256_broadcastsi128_si256(pulp::cast(half));
            Self {
                low: twice(tables.low),
                high: twice(tables.high),
            }
        }

        #[inline(always)]
        fn bits(self, simd: V3, bytes: Halves) -> __m256i {
            let low = simd.avx2._mm256_shuffle_epi8(self.low, bytes.low);
            let high = simd.avx2._mm256_shuffle_epi8(self.high, bytes.high);
            simd.avx2._mm256_and_si256(low, high)
        }
    }

    /// The halves of some bytes. That of a byte beyond ASCII selects nothing in a table.
    #[derive(Clone, Copy)]
    struct Halves {
        low: __m256i,
        high: __m256i,
    }

    impl Halves {
        #[inline(always)]
        fn new(simd: V3, text: &[u8; BLOCK + ANCHOR - 1], start: usize) -> Self {
            let mut bytes = [0; VECTOR];
            bytes.copy_from_slice(&text[start..start + VECTOR]);
            let low = pulp::cast(bytes);
            let nibble = simd.avx._mm256_set1_epi8(15);
            let high = simd.avx2._mm256_srli_epi16::<4>(low);
            Self {
                low,
                high: simd.avx2._mm256_and_si256(high, nibble),
            }
        }
    }

    /// Returns a bit for each byte that is not zero.
    #[inline(always)]
    fn mask(simd: V3, bytes: __m256i) -> u64 {
        let zero = simd
            .avx2
            ._mm256_cmpeq_epi8(bytes, simd.avx._mm256_setzero_si256());
        u64::from(!(simd.avx2._mm256_movemask_epi8(zero) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHORS: [&[u8]; 3] = [b"pass", b"Toke", b"://"];

    #[test]
    fn block_bits_are_the_same_with_and_without_vectors() {
        let classifier = Classifier::new(ANCHORS.into_iter());
        let mut random = fastrand::Rng::with_seed(7);
        for length in (0..300).chain([4096, 4097]) {
            let text: Vec<u8> = (0..length)
                .map(|_| match random.u8(0..4) {
                    0 => random.u8(..),
                    _ => *random.choice(b"pasTok:/-_. \n\"").unwrap_or(&0),
                })
                .collect();
            let mut bits = vec![BlockBits::default(); length / BLOCK + 2];
            classifier.classify(&text, &mut bits);
            let mut plain = vec![BlockBits::default(); bits.len()];
            let padded = [&text[..], &[0; 3 * BLOCK]].concat();
            classifier.classify_plainly(&padded, &mut plain);
            assert_eq!(bits, plain, "{length}");
            for (at, byte) in text.iter().enumerate() {
                let is = |bits: u64| bits >> (at % BLOCK) & 1 == 1;
                let bits = bits[at / BLOCK];
                assert_eq!(is(bits.token), is_token_char(*byte));
                assert_eq!(is(bits.word), super::super::words::is_word(*byte));
                let has_anchor = ANCHORS.iter().any(|anchor| text[at..].starts_with(anchor));
                let is_followed = text.get(at + 3).is_none_or(u8::is_ascii);
                assert!(is(bits.anchor) || !has_anchor || !is_followed);
            }
        }
    }
}
