//! [`ClassTables`] with the vector instructions of AVX2.

use std::arch::x86_64::__m256i;

use pulp::NullaryFnOnce;
use pulp::x86::V3;

use super::class_tables::{ANCHOR, BLOCK, BlockBits, ClassTables, HalfTables};

/// Number of bytes of a vector.
const VECTOR: usize = 32;

/// The same as [`ClassTables::classify`], half a block at a time.
pub(super) struct Classify<'a> {
    pub(super) simd: V3,
    pub(super) tables: &'a ClassTables,
    pub(super) text: &'a [u8],
    pub(super) bits: &'a mut [BlockBits],
}

impl NullaryFnOnce for Classify<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let simd = self.simd;
        let token = Tables::new(simd, &self.tables.token);
        let word = Tables::new(simd, &self.tables.word);
        let anchors = self.tables.anchors;
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
