//! The structure of one line of JSON, as far as rewriting depends on it.
//!
//! Owns a tokenizer that finds a line's base64 data and the fields only the client reads.
//! It sees no more than brackets, keys and where strings begin and end, stops at the
//! first byte that is not JSON, and therefore finds the same in a line before and after
//! its paths were replaced. Must not copy or change text.

use memchr::memchr;

/// Records that only the client reads; they are localized even where the conversation is
/// not. Client 2.1.329 keeps worktree directories and checkpointed files in them; nothing of
/// them is sent to the model.
const CLIENT_RECORDS: [&[u8]; 4] = [
    b"worktree-state",
    b"relocated",
    b"file-history-snapshot",
    b"file-history-delta",
];

/// Text that occurs in every line of such a record.
pub(super) const CLIENT_RECORD_SIGNS: [&[u8]; 3] =
    [b"\"worktree-state\"", b"\"relocated\"", b"\"file-history-"];

/// Facts about one line that rewriting needs. A string is given by the offset of its opening
/// quote in the line; offsets ascend.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LineOutline {
    /// The `data` strings of objects of `type` `base64` or `redacted_thinking`.
    pub(super) data: Vec<usize>,
    /// The `cwd` strings of the record itself.
    pub(super) cwd: Vec<usize>,
    /// True if the record is of a type that only the client reads.
    pub(super) client_only: bool,
}

/// Returns the outline of `line`, as far as it is JSON.
pub(super) fn outline(line: &[u8]) -> LineOutline {
    let mut reader = Reader {
        line,
        at: 0,
        frames: Vec::new(),
        pending: Vec::new(),
        outline: LineOutline::default(),
    };
    let mut expected = Expected::Value;
    while let Some(next) = reader.step(expected) {
        expected = next;
    }
    while reader.close().is_some() {}
    reader.outline.data.sort_unstable();
    reader.outline
}

struct Reader<'t> {
    line: &'t [u8],
    at: usize,
    frames: Vec<Frame>,
    /// The `data` strings of open objects whose `type` is still unknown.
    pending: Vec<usize>,
    outline: LineOutline,
}

/// An open bracket.
struct Frame {
    is_object: bool,
    is_binary: bool,
    key: Key,
    /// How many of the pending strings are older than this object.
    older: usize,
}

#[derive(Clone, Copy)]
enum Key {
    Type,
    Data,
    Cwd,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

impl<'t> Reader<'t> {
    /// Reads one token; `None` at the end of the line or of what is JSON in it.
    fn step(&mut self, expected: Expected) -> Option<Expected> {
        use Expected as E;
        self.skip_blanks();
        let byte = *self.line.get(self.at)?;
        match (expected, byte) {
            (E::Value | E::ValueOrEnd, b'{') => self.open(true),
            (E::Value | E::ValueOrEnd, b'[') => self.open(false),
            (E::ValueOrEnd | E::CommaOrEnd, b']') => self.end(false),
            (E::KeyOrEnd | E::CommaOrEnd, b'}') => self.end(true),
            (E::Value | E::ValueOrEnd, b'"') => self.string_value(),
            (E::Key | E::KeyOrEnd, b'"') => self.key(),
            (E::Value | E::ValueOrEnd, _) => self.scalar(),
            (E::Colon, b':') => self.pass(E::Value),
            (E::CommaOrEnd, b',') => self.pass(if self.frames.last()?.is_object {
                E::Key
            } else {
                E::Value
            }),
            _ => None,
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn pass(&mut self, next: Expected) -> Option<Expected> {
        self.at += 1;
        Some(next)
    }

    fn open(&mut self, is_object: bool) -> Option<Expected> {
        self.frames.push(Frame {
            is_object,
            is_binary: false,
            key: Key::Other,
            older: self.pending.len(),
        });
        self.pass(if is_object {
            Expected::KeyOrEnd
        } else {
            Expected::ValueOrEnd
        })
    }

    fn end(&mut self, is_object: bool) -> Option<Expected> {
        if self.frames.last()?.is_object != is_object {
            return None;
        }
        self.close();
        self.at += 1;
        Some(self.after_value())
    }

    fn close(&mut self) -> Option<()> {
        let frame = self.frames.pop()?;
        let own = self.pending.drain(frame.older..);
        if frame.is_binary {
            self.outline.data.extend(own);
        }
        Some(())
    }

    fn after_value(&self) -> Expected {
        if self.frames.is_empty() {
            Expected::Nothing
        } else {
            Expected::CommaOrEnd
        }
    }

    fn key(&mut self) -> Option<Expected> {
        let key = match self.string()? {
            b"type" => Key::Type,
            b"data" => Key::Data,
            b"cwd" => Key::Cwd,
            _ => Key::Other,
        };
        self.frames.last_mut()?.key = key;
        Some(Expected::Colon)
    }

    fn string_value(&mut self) -> Option<Expected> {
        let open = self.at;
        let is_top = self.frames.len() == 1;
        let text = self.string();
        // A torn string still is its object's `data`, or the record's `cwd`.
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.is_object) {
            match frame.key {
                Key::Data => self.pending.push(open),
                Key::Cwd if is_top => self.outline.cwd.push(open),
                Key::Type => {
                    frame.is_binary |= matches!(text, Some(b"base64" | b"redacted_thinking"));
                    self.outline.client_only |=
                        is_top && text.is_some_and(|text| CLIENT_RECORDS.contains(&text));
                }
                _ => {}
            }
        }
        text.map(|_| self.after_value())
    }

    /// The text between the quotes at the current place, which moves behind them.
    fn string(&mut self) -> Option<&'t [u8]> {
        let start = self.at + 1;
        let end = string_end(self.line, start)?;
        self.at = end + 1;
        Some(&self.line[start..end])
    }

    fn scalar(&mut self) -> Option<Expected> {
        let rest = &self.line[self.at..];
        let length = rest
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
            .count();
        if !is_scalar(&rest[..length]) {
            return None;
        }
        self.at += length;
        Some(self.after_value())
    }
}

/// Returns true if the string whose quote opens at `quote` is a value of the record
/// itself. `None` if the line ends before that is clear.
///
/// Reads the shorter side of the line: clients have written `cwd` before and after the
/// message.
pub(super) fn is_of_record(line: &[u8], quote: usize) -> Option<bool> {
    if quote < line.len() / 2 {
        Some(open_before(line, quote)? == 1)
    } else {
        ends_with_record(line, string_end(line, quote + 1)? + 1)
    }
}

/// How many brackets are open where `quote` stands; `None` if it stands inside a string.
fn open_before(line: &[u8], quote: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < quote {
        match line[at] {
            b'"' => at = string_end(line, at + 1).filter(|end| *end < quote)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
    Some(depth)
}

/// Returns true if nothing but the record is open from `from` on.
fn ends_with_record(line: &[u8], from: usize) -> Option<bool> {
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(byte) = line.get(at) {
        match byte {
            b'"' => at = string_end(line, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' => return Some(line[at + 1..].iter().all(u8::is_ascii_whitespace)),
            b']' => return Some(false),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the quote that closes the string whose text begins at `start`.
fn string_end(line: &[u8], start: usize) -> Option<usize> {
    let mut from = start;
    loop {
        let quote = from + memchr(b'"', &line[from..])?;
        let escapes = line[start..quote]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        if escapes.is_multiple_of(2) {
            return Some(quote);
        }
        from = quote + 1;
    }
}

fn is_scalar(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null") || is_number(text)
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits
            .iter()
            .all(|b| b.is_ascii_digit() || b"eE+-.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outline_top_level_field_found_from_preceding_text() {
        let judged = |line: &str| open_before(line.as_bytes(), line.find("\"/a").expect("a value"));
        assert_eq!(judged(r#"{"x":["}",{}],"cwd":"/a"}"#), Some(1));
        assert_eq!(judged(r#"{"input":{"cwd":"/a"},"x":1}"#), Some(2));
        assert_eq!(judged(r#"[{"cwd":"/a"}]"#), Some(2));
        assert_eq!(judged(r#"}"cwd":"/a""#), None);
    }

    #[test]
    fn outline_top_level_field_found_from_following_text() {
        let judged =
            |line: &str| ends_with_record(line.as_bytes(), line.find('|').expect("a mark") + 1);
        assert_eq!(
            judged(r#"{"cwd":"/a"|,"m":{"x":["}",{}]},"s":"\"}"}"#),
            Some(true)
        );
        assert_eq!(judged("{\"cwd\":\"/a\"|} \r"), Some(true));
        assert_eq!(judged(r#"{"input":{"cwd":"/a"|},"x":1}"#), Some(false));
        assert_eq!(judged(r#"[{"cwd":"/a"|}]"#), Some(false));
        assert_eq!(judged(r#"{"input":["cwd","/a"|]}"#), Some(false));
        assert_eq!(judged(r#"{"cwd":"/a"|,"torn":"}"#), None);
    }

    #[test]
    fn outline_base64_found_in_any_key_order() {
        for (line, data) in [
            (r#"{"type":"base64","data":"x"}"#, vec![24]),
            (r#"{"data":"x","type":"base64"}"#, vec![8]),
            (
                r#"{"data" : "x", "a":{"b":[1,{"c":null}]},"type":"redacted_thinking"}"#,
                vec![10],
            ),
            (r#"{"data":"x","a":{"type":"base64"}}"#, vec![]),
            (r#"{"type":"base64","a":{"data":"x"}}"#, vec![]),
            (r#"[{"data":"x"},{"type":"base64"}]"#, vec![]),
            (r#"{"type":"base64","data":"torn"#, vec![24]),
            (r#"{"data":"x","type":"base64" torn"#, vec![8]),
            (r#"{"data":"x" torn,"type":"base64"}"#, vec![]),
            (r#"{"x":-1.5e3,"data":"x","type":"base64"}"#, vec![19]),
            (r#"{"x":"\\\"","data":"x","type":"base64"}"#, vec![19]),
        ] {
            assert_eq!(outline(line.as_bytes()).data, data, "{line}");
        }
    }

    #[test]
    fn outline_nested_cwd_is_ignored() {
        let line = br#"{"message":{"cwd":"a"},"cwd":"b","toolUseResult":[{"cwd":"c"}]}"#;
        assert_eq!(outline(line).cwd, [29]);
    }

    #[test]
    fn outline_nested_type_is_ignored() {
        assert!(outline(br#"{"relocatedCwd":"a","type":"relocated"}"#).client_only);
        assert!(!outline(br#"{"message":{"type":"relocated"},"type":"user"}"#).client_only);
    }
}
