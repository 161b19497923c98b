//! Classifies text, 64 bytes at a time, with vector instructions if the processor has them.

use super::class_tables::{ANCHOR, BLOCK, BlockBits, ClassTables};

/// Classifies blocks of text.
pub(super) struct Classifier {
    tables: ClassTables,
    #[cfg(target_arch = "x86_64")]
    simd: Option<pulp::x86::V3>,
}

impl Classifier {
    /// Builds the tables for some ASCII texts, of which it finds the beginnings.
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        Self {
            tables: ClassTables::new(texts),
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
            return simd.vectorize(super::avx2::Classify {
                simd,
                tables: &self.tables,
                text,
                bits,
            });
        }
        self.tables.classify(text, bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::class_tables::is_token_char;
    use crate::secrets::words::is_word;

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
            classifier.tables.classify(&padded, &mut plain);
            assert_eq!(bits, plain, "{length}");
            for (at, byte) in text.iter().enumerate() {
                let is = |bits: u64| bits >> (at % BLOCK) & 1 == 1;
                let bits = bits[at / BLOCK];
                assert_eq!(is(bits.token), is_token_char(*byte));
                assert_eq!(is(bits.word), is_word(*byte));
                let has_anchor = ANCHORS.iter().any(|anchor| text[at..].starts_with(anchor));
                let is_followed = text.get(at + 3).is_none_or(u8::is_ascii);
                assert!(is(bits.anchor) || !has_anchor || !is_followed);
            }
        }
    }
}
