//! Finds the complete JSON objects in damaged text, in linear time.
//!
//! A parse from every brace would read deeply nested text once per level. So a parse also notes
//! the objects inside, which need no parse of their own. At most two parses overlap anywhere: one
//! reads as structure what the other reads as strings.

use std::collections::HashSet;

use memchr::memchr2;

/// The objects of one text. Numbers are not checked.
pub(super) struct CompleteObjects<'a> {
    text: &'a [u8],
    /// True at the first byte of each object that a parse has passed.
    is_passed: Vec<bool>,
    /// Starts of the complete objects that end the text or precede another object.
    complete: HashSet<usize>,
}

/// The next token of a valid parse.
#[derive(Clone, Copy)]
enum Expected {
    KeyOrEnd,
    Key,
    Colon,
    ValueOrEnd,
    Value,
    CommaOrEnd,
}

/// A value that has begun and not ended.
#[derive(Clone, Copy)]
enum Open {
    /// The object at this position.
    Object(usize),
    Array,
}

impl<'a> CompleteObjects<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            is_passed: vec![false; text.len()],
            complete: HashSet::new(),
        }
    }

    /// Returns true if a complete object begins at `start`, and ends the text or precedes another
    /// object.
    pub(super) fn has_complete(&mut self, start: usize) -> bool {
        if !self.is_passed[start] {
            self.parse(start);
        }
        self.complete.contains(&start)
    }

    /// Parses the object at `start` to its end, or to the first error.
    fn parse(&mut self, start: usize) -> Option<()> {
        use Expected::{Colon, CommaOrEnd, Key, KeyOrEnd, Value, ValueOrEnd};
        let mut open = Vec::new();
        let mut expected = Value;
        let mut at = start;
        loop {
            at += blanks(&self.text[at..]);
            let rest = &self.text[at..];
            let mut length = 1;
            expected = match (expected, rest.first()?, open.last()) {
                (Value | ValueOrEnd, b'{', _) => {
                    self.is_passed[at] = true;
                    open.push(Open::Object(at));
                    KeyOrEnd
                }
                (Value | ValueOrEnd, b'[', _) => {
                    open.push(Open::Array);
                    ValueOrEnd
                }
                (KeyOrEnd | CommaOrEnd, b'}', Some(Open::Object(begin))) => {
                    if ends_well(&rest[1..]) {
                        self.complete.insert(*begin);
                    }
                    open.pop();
                    CommaOrEnd
                }
                (ValueOrEnd | CommaOrEnd, b']', Some(Open::Array)) => {
                    open.pop();
                    CommaOrEnd
                }
                (CommaOrEnd, b',', Some(Open::Object(_))) => Key,
                (CommaOrEnd, b',', Some(Open::Array)) => Value,
                (Colon, b':', _) => Value,
                (KeyOrEnd | Key, b'"', _) => {
                    length = string_length(rest)?;
                    Colon
                }
                (Value | ValueOrEnd, b'"', _) => {
                    length = string_length(rest)?;
                    CommaOrEnd
                }
                (Value | ValueOrEnd, _, _) => {
                    length = scalar_length(rest)?;
                    CommaOrEnd
                }
                _ => return None,
            };
            if open.is_empty() {
                return Some(());
            }
            at += length;
        }
    }
}

/// Returns true if nothing follows an object, or another one. After a part of a record comes the
/// rest of that record.
pub(super) fn ends_well(after: &[u8]) -> bool {
    matches!(after.trim_ascii_start().first(), None | Some(b'{'))
}

fn blanks(text: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    text.iter().take_while(is_blank).count()
}

fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Returns the length of a number or a literal.
fn scalar_length(text: &[u8]) -> Option<usize> {
    let literals = ["true", "false", "null"];
    if let Some(literal) = literals.iter().find(|it| text.starts_with(it.as_bytes())) {
        return Some(literal.len());
    }
    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    match text.iter().take_while(is_part).count() {
        0 => None,
        length => Some(length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// Parses from `start` alone.
    fn is_complete(text: &[u8], start: usize) -> bool {
        let text = &text[start..];
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
        text.starts_with(b"{")
            && values.next().is_some_and(|value| value.is_ok())
            && ends_well(&text[values.byte_offset()..])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn repair_objects_have_those_of_separate_parses(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", "\"", ":", ",", "\\", "{\"a\":", "1", "null", "\"b\"",
                    "{\"c\":[]}", " ", "x", "{}",
                ]),
                0..40,
            )
        ) {
            let text = pieces.concat().into_bytes();
            let mut objects = CompleteObjects::new(&text);
            for start in 0..text.len() {
                if text[start] == b'{' && is_complete(&text, start) {
                    prop_assert!(
                        objects.has_complete(start),
                        "{} in {}", start, String::from_utf8_lossy(&text)
                    );
                }
            }
        }
    }

    #[test]
    fn repair_objects_of_both_readings_are_found() {
        let text = br#"{"a":{"b":"torn{"c":{"d":1}}"#;
        let found: Vec<usize> = (0..text.len())
            .filter(|at| text[*at] == b'{' && CompleteObjects::new(text).has_complete(*at))
            .collect();
        assert_eq!(found, [15]);
    }
}
