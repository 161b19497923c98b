//! Sealed files: a text is cut into frames, and each frame is compressed and sealed by itself.
//!
//! The cuts look only backwards, and a nonce depends on nothing but the frame and its place. So
//! equal beginnings of a file are equal bytes, and an append changes the last frame only.

use std::ops::Range;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::header::StoreHeader;
use super::key::{Purpose, StoreKey, Subkey};
use super::token::Token;

/// A frame ends with the first line end from here on, in bytes of text.
const MIN_FRAME_BYTES: usize = 8 << 10;

/// A frame ends here if there is no line end.
const MAX_FRAME_BYTES: usize = 32 << 10;

/// The label is filled up to a multiple of this, so that its length says little.
const LABEL_BLOCK_BYTES: usize = 128;

/// Text is compressed fast: what was sealed is small beside what a connection takes.
const COMPRESSION_LEVEL: i32 = 3;

const NONCE_BYTES: usize = 24;
const LENGTH_BYTES: usize = 4;

/// First byte of a frame whose text is stored as it is, and of a compressed one.
const STORED: u8 = 0;
const COMPRESSED: u8 = 1;

/// A file that was sealed: its label, and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// A text before that of the file, such as its path.
    pub label: Vec<u8>,
    /// The text.
    pub text: Vec<u8>,
}

/// Error: sealed bytes are not what was sealed in this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Damaged, moved here, of another store, or sealed with another key.
    #[error("frame {0} is damaged or does not belong here")]
    Frame(u32),
    /// The last frame is missing.
    #[error("frames are missing after {0}")]
    Truncated(u32),
}

/// Seals and unseals the files of one store with one key.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    nonces: Subkey,
    names: Subkey,
    /// Beginning of the associated data of every frame.
    context: Vec<u8>,
    compressor: Compressors,
}

/// State of the compression, which every clone of a [`Sealer`] makes for itself.
struct Compressors {
    compressor: Compressor,
    decompressor: Decompressor,
}

impl Sealer {
    /// Creates the sealer of the store and epoch that `header` names.
    pub fn new(header: &StoreHeader, key: &StoreKey) -> Self {
        let mut context = b"ccsync\x01".to_vec();
        context.extend(header.store.as_bytes());
        context.extend(header.epoch.to_be_bytes());
        Self {
            cipher: XChaCha20Poly1305::new(key.subkey(Purpose::Frames).as_bytes().into()),
            nonces: key.subkey(Purpose::Nonces),
            names: key.subkey(Purpose::Names),
            context,
            compressor: Compressors::new(),
        }
    }

    /// Returns the name that stands for a file in the remote.
    pub fn file(&self, path: &str) -> Token {
        Token::new(&self.names, "file", path)
    }

    /// Returns the name that stands for a branch in the remote.
    pub fn branch(&self, name: &str) -> Token {
        Token::new(&self.names, "branch", name)
    }

    /// Returns the place of the commits of the history, which belong to no branch.
    pub fn history(&self) -> Token {
        Token::new(&self.names, "history", "")
    }

    /// Seals a text for the place `token`. The same text is sealed as the same bytes.
    pub fn seal(&mut self, token: Token, label: &[u8], text: &[u8]) -> Vec<u8> {
        let mut place = Place::new(&self.context, token);
        let mut sealed = Vec::with_capacity(text.len() / 3 + 512);
        let frames = cut(text);
        let last = frames.len();
        self.seal_frame(place.frame(0, last == 0), &fill_up(label), &mut sealed);
        for (n, range) in (1..).zip(frames) {
            let frame = self.compressor.compress(&text[range]);
            self.seal_frame(place.frame(n, n as usize == last), &frame, &mut sealed);
        }
        sealed
    }

    /// Unseals what was sealed for the place `token`.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn unseal(&mut self, token: Token, sealed: &[u8]) -> Result<Unsealed, UnsealError> {
        let mut place = Place::new(&self.context, token);
        let mut frames = SealedFrames { rest: sealed, n: 0 };
        let mut unsealed = Unsealed {
            label: Vec::new(),
            text: Vec::new(),
        };
        while let Some((n, frame)) = frames.next()? {
            let is_last = frames.rest.is_empty();
            let frame = self.unseal_frame(place.frame(n, is_last), frame);
            let frame = frame.ok_or(UnsealError::Frame(n))?;
            if n == 0 {
                unsealed.label = without_filling(frame).ok_or(UnsealError::Frame(n))?;
            } else {
                let text = &mut unsealed.text;
                let is_whole = self.compressor.decompress(&frame, text);
                is_whole.ok_or(UnsealError::Frame(n))?;
            }
        }
        match frames.n {
            0 => Err(UnsealError::Truncated(0)),
            _ => Ok(unsealed),
        }
    }

    /// Unseals the label alone, which is in the first frame.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn unseal_label(&self, token: Token, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let mut frames = SealedFrames { rest: sealed, n: 0 };
        let (n, frame) = frames.next()?.ok_or(UnsealError::Truncated(0))?;
        let mut place = Place::new(&self.context, token);
        let frame = self.unseal_frame(place.frame(n, frames.rest.is_empty()), frame);
        let label = frame.and_then(without_filling);
        label.ok_or(UnsealError::Frame(n))
    }

    fn seal_frame(&self, place: &[u8], frame: &[u8], sealed: &mut Vec<u8>) {
        let nonce = self.nonce(place, frame);
        let payload = Payload {
            msg: frame,
            aad: place,
        };
        let text = self.cipher.encrypt(&nonce, payload);
        let text = text.expect("a frame is shorter than the cipher's limit");
        let length = u32::try_from(NONCE_BYTES + text.len()).expect("a frame is short");
        sealed.extend(length.to_be_bytes());
        sealed.extend(nonce);
        sealed.extend(text);
    }

    fn unseal_frame(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: text,
            aad: place,
        };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }

    /// Returns the nonce: two frames have the same one only if they are the same.
    fn nonce(&self, place: &[u8], frame: &[u8]) -> XNonce {
        let mut hasher = blake3::Hasher::new_keyed(self.nonces.as_bytes());
        hasher.update(place);
        hasher.update(frame);
        let mut nonce = [0; NONCE_BYTES];
        hasher.finalize_xof().fill(&mut nonce);
        nonce.into()
    }
}

/// The associated data of the frames of one file.
struct Place {
    data: Vec<u8>,
    /// Length of what all frames of the file have in common.
    common: usize,
}

impl Place {
    fn new(context: &[u8], token: Token) -> Self {
        let data = [context, token.as_bytes().as_slice()].concat();
        let common = data.len();
        Self { data, common }
    }

    fn frame(&mut self, n: u32, is_last: bool) -> &[u8] {
        self.data.truncate(self.common);
        self.data.extend(n.to_be_bytes());
        self.data.push(u8::from(is_last));
        &self.data
    }
}

/// Sealed frames, each after its length.
struct SealedFrames<'s> {
    rest: &'s [u8],
    n: u32,
}

impl<'s> SealedFrames<'s> {
    fn next(&mut self) -> Result<Option<(u32, &'s [u8])>, UnsealError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let n = self.n;
        let frame = self
            .rest
            .split_first_chunk::<LENGTH_BYTES>()
            .and_then(|(length, rest)| rest.split_at_checked(u32::from_be_bytes(*length) as usize));
        let (frame, rest) = frame.ok_or(UnsealError::Truncated(n))?;
        self.rest = rest;
        self.n += 1;
        Ok(Some((n, frame)))
    }
}

/// Returns the ranges of the frames of a text.
fn cut(text: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::with_capacity(text.len() / MIN_FRAME_BYTES + 1);
    let mut start = 0;
    while start < text.len() {
        let longest = &text[start..text.len().min(start + MAX_FRAME_BYTES)];
        let tail = longest.get(MIN_FRAME_BYTES - 1..).unwrap_or_default();
        let line_end = memchr::memchr(b'\n', tail);
        let length = line_end.map_or(longest.len(), |at| MIN_FRAME_BYTES + at);
        frames.push(start..start + length);
        start += length;
    }
    frames
}

/// Ends a label with a zero byte, and fills it up with more of them.
fn fill_up(label: &[u8]) -> Vec<u8> {
    let mut filled = label.to_vec();
    filled.resize((label.len() + 1).next_multiple_of(LABEL_BLOCK_BYTES), 0);
    filled
}

fn without_filling(mut label: Vec<u8>) -> Option<Vec<u8>> {
    label.truncate(memchr::memchr(0, &label)?);
    Some(label)
}

impl Compressors {
    fn new() -> Self {
        let level = CompressionLvl::new(COMPRESSION_LEVEL).expect("the level is valid");
        Self {
            compressor: Compressor::new(level),
            decompressor: Decompressor::new(),
        }
    }

    fn compress(&mut self, text: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 1 + text.len()];
        match self.compressor.deflate_compress(text, &mut frame[1..]) {
            Ok(length) if length < text.len() => {
                frame[0] = COMPRESSED;
                frame.truncate(1 + length);
            }
            _ => {
                frame[0] = STORED;
                frame[1..].copy_from_slice(text);
            }
        }
        frame
    }

    /// Appends the text of a frame.
    fn decompress(&mut self, frame: &[u8], text: &mut Vec<u8>) -> Option<()> {
        let (kind, content) = frame.split_first()?;
        if *kind == STORED {
            text.extend_from_slice(content);
            return Some(());
        }
        let start = text.len();
        text.resize(start + MAX_FRAME_BYTES, 0);
        let into = &mut text[start..];
        let length = self.decompressor.deflate_decompress(content, into).ok()?;
        text.truncate(start + length);
        (*kind == COMPRESSED).then_some(())
    }
}

impl Clone for Compressors {
    fn clone(&self) -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::header::StoreId;
    use super::*;

    fn sealer(key: u8, store: u8, epoch: u32) -> Sealer {
        let store: StoreId = format!("{store:032x}").parse().unwrap();
        let key = StoreKey::from_bytes([key; StoreKey::LEN]);
        Sealer::new(&StoreHeader::new(store, epoch, &key), &key)
    }

    fn seal(text: &[u8]) -> Vec<u8> {
        let mut sealer = sealer(1, 1, 1);
        sealer.seal(sealer.file("a"), b"a", text)
    }

    fn unseal(sealed: &[u8]) -> Result<Unsealed, UnsealError> {
        let mut sealer = sealer(1, 1, 1);
        sealer.unseal(sealer.file("a"), sealed)
    }

    /// Returns the sealed frames, each with its length.
    fn frames(sealed: &[u8]) -> Vec<&[u8]> {
        let mut found = Vec::new();
        let mut rest = sealed;
        while let Some((length, _)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let (frame, after) = rest.split_at(4 + u32::from_be_bytes(*length) as usize);
            found.push(frame);
            rest = after;
        }
        found
    }

    /// Texts of some frames, with and without line ends, compressible and not.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let piece = (any::<u64>(), 0..6000_usize, 0..4_u8).prop_map(|(seed, length, kind)| {
            let mut random = fastrand::Rng::with_seed(seed);
            let letters = std::iter::repeat_with(move || match kind {
                0 => random.u8(..),
                1 => b'x',
                _ => random.choice(*b"abcdefgh \n").unwrap(),
            });
            letters.take(length).collect::<Vec<u8>>()
        });
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn frames_of_long_line_end_at_limit() {
        let text = vec![b'x'; 3 * MAX_FRAME_BYTES + 1];
        assert_eq!(cut(&text).len(), 4);
        assert_eq!(unseal(&seal(&text)).unwrap().text, text);
    }

    #[test]
    fn frames_of_other_place_store_key_or_epoch_are_refused() {
        let sealed = seal(b"text\n");
        for mut other in [sealer(2, 1, 1), sealer(1, 2, 1), sealer(1, 1, 2)] {
            let token = other.file("a");
            assert_eq!(other.unseal(token, &sealed), Err(UnsealError::Frame(0)));
        }
        let mut same = sealer(1, 1, 1);
        for token in [same.file("b"), same.branch("a"), same.history()] {
            assert_eq!(same.unseal(token, &sealed), Err(UnsealError::Frame(0)));
        }
    }

    #[test]
    fn frames_hide_length_of_label() {
        let mut sealer = sealer(1, 1, 1);
        let lengths = [b"a".as_slice(), b"a/much/longer/path"].map(|label| {
            let token = sealer.file("a");
            sealer.seal(token, label, b"").len()
        });
        assert_eq!(lengths[0], lengths[1]);
    }

    proptest! {
        #[test]
        fn frames_any_text_comes_back(text in texts(), label in "[a-z/]{0,300}") {
            let mut sealer = sealer(1, 1, 1);
            let token = sealer.file(&label);
            let sealed = sealer.seal(token, label.as_bytes(), &text);
            let unsealed = Unsealed { label: label.into_bytes(), text };
            prop_assert_eq!(sealer.unseal(token, &sealed), Ok(unsealed));
        }

        #[test]
        fn frames_append_changes_last_frame_only(text in texts(), tail in texts()) {
            let longer = [text.clone(), tail].concat();
            let (before, after) = (seal(&text), seal(&longer));
            let (before, after) = (frames(&before), frames(&after));
            let kept = before.len() - 1;
            prop_assert_eq!(&before[..kept], &after[..kept]);
        }

        #[test]
        fn frames_flipped_byte_is_refused(text in texts(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut sealed = seal(&text);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(unseal(&sealed).is_err());
        }

        #[test]
        fn frames_truncated_text_is_refused(text in texts(), at in any::<prop::sample::Index>()) {
            let sealed = seal(&text);
            let at = at.index(sealed.len());
            prop_assert!(unseal(&sealed[..at]).is_err());
            let frames = frames(&sealed);
            prop_assert!(unseal(&frames[..frames.len() - 1].concat()).is_err());
        }

        #[test]
        fn frames_moved_frame_is_refused(text in texts(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let sealed = seal(&text);
            let mut frames = frames(&sealed);
            let (a, b) = (a.index(frames.len()), b.index(frames.len()));
            let doubled = [frames[..a].concat(), frames[a].to_vec(), frames[a..].concat()].concat();
            prop_assert!(unseal(&doubled).is_err());
            frames.swap(a, b);
            prop_assert!(a == b || unseal(&frames.concat()).is_err());
        }
    }
}
