//! Finds the places where known texts begin.
//!
//! Most forms are one word of at least 20 token characters, so only places count where a word
//! begins and so many follow. Other texts are found by their first three bytes.

use super::block_bits::Classifier;
use super::class_tables::{BLOCK, BlockBits, MIN_TOKEN};

/// Number of blocks that are classified at a time, so that the text stays in the cache.
const BLOCKS: usize = 256;

/// Number of bits of a hash of three bytes.
const HASH_BITS: u32 = 15;
const HASHES: usize = 1 << HASH_BITS;

/// A text that something begins with.
pub(super) struct Start<T> {
    pub(super) text: String,
    /// True if it begins a word, with at least [`MIN_TOKEN`] token characters from here on.
    pub(super) begins_token: bool,
    pub(super) owner: T,
}

/// The search for all starts.
pub(super) struct StartSearch<T> {
    arch: pulp::Arch,
    classifier: Classifier,
    starts: StartTable<T>,
}

impl<T> StartSearch<T> {
    /// Builds the search. Each text has at least three bytes.
    pub(super) fn new(starts: Vec<Start<T>>) -> Self {
        let others = starts.iter().filter(|start| !start.begins_token);
        Self {
            arch: pulp::Arch::new(),
            classifier: Classifier::new(others.map(|start| start.text.as_bytes())),
            starts: StartTable::new(starts),
        }
    }

    /// Calls `found` with each start in the text and its place, in no order.
    pub(super) fn each_start(&self, text: &[u8], mut found: impl FnMut(usize, &Start<T>)) {
        let mut bits = [BlockBits::default(); BLOCKS + 1];
        let mut last_word = 0;
        let mut places = Places::new(text.len());
        for window in (0..text.len()).step_by(BLOCKS * BLOCK) {
            let blocks = (text.len() - window).div_ceil(BLOCK).min(BLOCKS);
            let bits = &mut bits[..=blocks];
            self.classifier.classify(&text[window..], bits);
            last_word = self.arch.dispatch(FindPlaces {
                text,
                window,
                bits,
                last_word,
                known: &self.starts.known,
                places: &mut places,
            });
            for at in places.iter() {
                self.each_at(text, at, &mut found);
            }
        }
    }

    fn each_at(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize, &Start<T>)) {
        self.starts.each_at(text, at, found);
        let escape = escape_len(text, at);
        if escape > 0 {
            self.starts.each_at(text, at + escape, found);
        }
    }
}

/// Finds the places of a window where a start may be, with the bit instructions of the processor.
struct FindPlaces<'a> {
    text: &'a [u8],
    window: usize,
    /// Those of the window, and of one block more.
    bits: &'a [BlockBits],
    /// 1 if the byte before the window belongs to a word, or 0.
    last_word: u64,
    known: &'a KnownHashes,
    places: &'a mut Places,
}

impl pulp::NullaryFnOnce for FindPlaces<'_> {
    /// 1 if the last byte of the window belongs to a word, or 0.
    type Output = u64;

    #[inline(always)]
    fn call(self) -> u64 {
        let mut last_word = self.last_word;
        let places = &mut *self.places.places;
        let mut len = 0;
        for (n, pair) in self.bits.windows(2).enumerate() {
            let (block, next) = (pair[0], pair[1]);
            let follows_word = block.word << 1 | last_word;
            last_word = block.word >> (BLOCK - 1);
            let tokens = long_tokens(block.token, next.token) & !follows_word;
            let base = self.window + n * BLOCK;
            len = write_places(places, len, base, tokens | block.anchor);
        }

        // No branch: the processor would guess it wrong too often.
        let mut kept = 0;
        for n in 0..len {
            let at = places[n];
            places[kept] = at;
            let is_kept = is_known(self.known, self.text, at) | follows_escape(self.text, at);
            kept += usize::from(is_kept);
        }
        self.places.len = kept;
        last_word
    }
}

/// A bit for each hash of three bytes that a start has.
type KnownHashes = [u64; HASHES / 64];

/// Returns true if a start may be at a place.
#[inline(always)]
fn is_known(known: &KnownHashes, text: &[u8], at: usize) -> bool {
    let hash = text.get(at..).and_then(hash).unwrap_or(0);
    known[hash / 64] >> (hash % 64) & 1 == 1
}

/// Starts by their first three bytes.
struct StartTable<T> {
    known: KnownHashes,
    /// For each hash the number of its first start.
    first: Vec<u16>,
    /// In the order of their hashes.
    starts: Vec<(usize, Start<T>)>,
}

impl<T> StartTable<T> {
    fn new(starts: Vec<Start<T>>) -> Self {
        let with_hash = |start: Start<T>| Some((hash(start.text.as_bytes())?, start));
        let mut starts: Vec<_> = starts.into_iter().filter_map(with_hash).collect();
        starts.sort_by_key(|(hash, _)| *hash);
        let (mut known, mut first) = ([0; HASHES / 64], vec![0; HASHES]);
        for (number, (hash, _)) in starts.iter().enumerate().rev() {
            known[hash / 64] |= 1 << (hash % 64);
            first[*hash] = number as u16;
        }
        Self {
            known,
            first,
            starts,
        }
    }

    /// Calls `found` with each start at a place.
    fn each_at(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize, &Start<T>)) {
        let Some(hash) = text.get(at..).and_then(hash) else {
            return;
        };
        let group = self.starts[usize::from(self.first[hash])..].iter();
        for (_, start) in group.take_while(|(known, _)| *known == hash) {
            if text[at..].starts_with(start.text.as_bytes()) {
                found(at, start);
            }
        }
    }
}

#[inline(always)]
fn hash(text: &[u8]) -> Option<usize> {
    let [first, second, third] = text.first_chunk()?.map(u32::from);
    let bytes = first | second << 8 | third << 16;
    Some((bytes.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize)
}

/// Returns the places of a block from where on [`MIN_TOKEN`] token characters follow.
#[inline(always)]
fn long_tokens(block: u64, next: u64) -> u64 {
    const HALF: usize = BLOCK / 2;
    // Half a block at a time, with the half after it: no shift across two words.
    let halves = [block, block >> HALF | next << HALF];
    let [first, second] = halves.map(|mut tokens| {
        for length in [1, 2, 4, 8, MIN_TOKEN - 16] {
            tokens &= tokens >> length;
        }
        tokens & u64::from(u32::MAX)
    });
    first | second << HALF
}

/// Number of places that are written at a time: a loop whose length varies from block to block is
/// slower.
const AT_ONCE: usize = 4;

/// Writes the places of the bits of a block after the first `len` places; returns their number.
#[inline(always)]
fn write_places(places: &mut [usize], len: usize, base: usize, mut bits: u64) -> usize {
    let end = len + bits.count_ones() as usize;
    let mut at = len;
    loop {
        let Some(four) = places[at..].first_chunk_mut::<AT_ONCE>() else {
            return at;
        };
        for place in four {
            *place = base + bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
        }
        at += AT_ONCE;
        if at >= end {
            return end;
        }
    }
}

/// Places in a window, in ascending order.
struct Places {
    /// Those after `len` are invalid.
    places: Box<[usize]>,
    len: usize,
}

impl Places {
    /// Returns space for the places of a window in a text of this length.
    fn new(text_len: usize) -> Self {
        let most = text_len.min(BLOCKS * BLOCK);
        let places = vec![0; most + AT_ONCE].into();
        Self { places, len: 0 }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.places[..self.len].iter().copied()
    }
}

/// Returns true if the word at `at` may begin with the rest of an escape.
#[inline(always)]
fn follows_escape(text: &[u8], at: usize) -> bool {
    let before = text[at.saturating_sub(1)];
    (before == b'\\') | (before == b'[') | (before == b';')
}

/// Returns the length of the rest of an escape that the word at `at` may begin with: `n` of `\n`,
/// `1m` of a colour.
#[inline]
fn escape_len(text: &[u8], at: usize) -> usize {
    match at.checked_sub(1).map(|before| text[before]) {
        Some(b'\\') if text[at] == b'u' => 5,
        Some(b'\\') => 1,
        Some(b'[' | b';') => {
            let digits = text[at..]
                .iter()
                .take(16)
                .take_while(|b| b.is_ascii_digit());
            digits.count() + 1
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tokens_are_those_of_a_slow_search() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let sparse = || u128::from(random.u64(..)) << 64 | u128::from(random.u64(..));
            let mut sparse = sparse;
            let bits = sparse() | sparse() | sparse() | sparse();
            let ones = (1_u128 << MIN_TOKEN) - 1;
            let is_long = |at: &usize| bits >> at & ones == ones;
            let expected = (0..BLOCK)
                .filter(is_long)
                .fold(0, |bits, at| bits | 1 << at);
            assert_eq!(long_tokens(bits as u64, (bits >> 64) as u64), expected);
        }
    }
}
