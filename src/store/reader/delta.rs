//! Objects that are written as their difference to another one (git manual, `gitformat-pack`).
//!
//! Owns the encoding of deltas and of the numbers in them. Must not read files.

use super::LARGEST;

/// How to make an object of another.
pub(super) struct Delta<'a> {
    base: usize,
    /// Bytes of what is made.
    pub(super) result: usize,
    steps: &'a [u8],
}

impl<'a> Delta<'a> {
    pub(super) fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            base: varint(&mut bytes)?,
            result: varint(&mut bytes)?,
            steps: bytes,
        })
    }

    pub(super) fn apply(&self, base: &[u8]) -> Option<Vec<u8>> {
        if base.len() != self.base || self.result > LARGEST {
            return None;
        }
        let mut made = Vec::with_capacity(self.result);
        let mut steps = self.steps;
        while let Some(step) = take(&mut steps) {
            if step & 0x80 == 0 {
                let (text, rest) = steps.split_at_checked(usize::from(step))?;
                made.extend_from_slice(text);
                steps = rest;
            } else {
                let from = scattered(step, 4, &mut steps)?;
                let len = match scattered(step >> 4, 3, &mut steps)? {
                    0 => 0x1_0000,
                    len => len,
                };
                made.extend_from_slice(base.get(from..from.checked_add(len)?)?);
            }
            if made.len() > self.result {
                return None;
            }
        }
        (made.len() == self.result).then_some(made)
    }
}

/// A number of which only those of the `count` lowest bytes follow that are marked in `present`.
fn scattered(present: u8, count: u32, bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for at in 0..count {
        if present >> at & 1 == 1 {
            value |= usize::from(take(bytes)?) << (8 * at);
        }
    }
    Some(value)
}

/// The first byte, which is taken away.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let (mut value, mut shift) = (0_usize, 0);
    loop {
        let byte = take(bytes)?;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_invalid_instruction_is_refused() {
        let base = b"0123456789";
        let make = |steps: &[u8]| {
            Delta::parse(&[&[10, 4], steps].concat())
                .unwrap()
                .apply(base)
        };
        assert_eq!(make(&[0x91, 3, 2, 2, b'x', b'y']).unwrap(), b"34xy");
        for bad in [
            &[][..],
            &[0x91, 9, 4],
            &[0x91, 3],
            &[5, b'x'],
            &[0x90, 5],
            &[0x91, 3, 2, 3, 1, 2, 3],
        ] {
            assert_eq!(make(bad), None, "{bad:?}");
        }
        assert_eq!(
            Delta::parse(&[9, 0]).unwrap().apply(base),
            None,
            "for another base"
        );
        assert!(Delta::parse(&[0x80; 12]).is_none(), "a size without an end");
    }
}
