//! Objects that a pack holds as the difference to another one (git manual, `gitformat-pack`).
//!
//! Owns the encoding of deltas and of the numbers in them. Must not read files.

/// Largest object that is read here. libgit2 reads larger ones: this program writes none.
pub(super) const MAX_OBJECT_BYTES: usize = 64 << 20;

/// Instructions that make an object from its base.
pub(crate) struct Delta<'a> {
    base_size: usize,
    /// Bytes of the object.
    pub(crate) size: usize,
    instructions: &'a [u8],
}

impl<'a> Delta<'a> {
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            base_size: take_size(&mut bytes)?,
            size: take_size(&mut bytes)?,
            instructions: bytes,
        })
    }

    /// Returns the object. Returns `None` for another base, or if an instruction is invalid.
    pub(crate) fn apply(&self, base: &[u8]) -> Option<Vec<u8>> {
        if base.len() != self.base_size || self.size > MAX_OBJECT_BYTES {
            return None;
        }
        let mut object = Vec::with_capacity(self.size);
        let mut rest = self.instructions;
        while let Some(instruction) = take_byte(&mut rest) {
            if instruction & 0x80 == 0 {
                let (text, after) = rest.split_at_checked(usize::from(instruction))?;
                object.extend_from_slice(text);
                rest = after;
            } else {
                let from = take_present_bytes(instruction, 4, &mut rest)?;
                let len = match take_present_bytes(instruction >> 4, 3, &mut rest)? {
                    0 => 0x1_0000,
                    len => len,
                };
                object.extend_from_slice(base.get(from..from.checked_add(len)?)?);
            }
            if object.len() > self.size {
                return None;
            }
        }
        (object.len() == self.size).then_some(object)
    }
}

/// Takes a number of `count` bytes, the lowest first. Bytes that `present` does not mark are zero
/// and not stored.
fn take_present_bytes(present: u8, count: u32, bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for at in 0..count {
        if present >> at & 1 == 1 {
            value |= usize::from(take_byte(bytes)?) << (8 * at);
        }
    }
    Some(value)
}

/// Takes the first byte.
pub(super) fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// Takes a number of any length: seven bits a byte, the lowest first.
pub(super) fn take_size(bytes: &mut &[u8]) -> Option<usize> {
    let (mut value, mut shift) = (0_usize, 0);
    loop {
        let byte = take_byte(bytes)?;
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
        let apply = |instructions: &[u8]| {
            Delta::parse(&[&[10, 4], instructions].concat())
                .unwrap()
                .apply(base)
        };
        assert_eq!(apply(&[0x91, 3, 2, 2, b'x', b'y']).unwrap(), b"34xy");
        for bad in [
            &[][..],
            &[0x91, 9, 4],
            &[0x91, 3],
            &[5, b'x'],
            &[0x90, 5],
            &[0x91, 3, 2, 3, 1, 2, 3],
        ] {
            assert_eq!(apply(bad), None, "{bad:?}");
        }
        let of_another_base = Delta::parse(&[9, 0]).unwrap();
        assert_eq!(of_another_base.apply(base), None);
        assert!(Delta::parse(&[0x80; 12]).is_none(), "a size without an end");
    }
}
