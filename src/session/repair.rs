//! Healing a damaged transcript: bytes in, bytes and findings out. Pure.
//!
//! Lines are looked at one by one, in two passes: a [`Survey`] learns which records there are, a [`Healer`] writes the healed text. A line
//! that is JSON stays byte for byte, but for a parent that is nowhere in the file. What is no record is handed to the caller, never
//! thrown away. What the client does with each kind of damage is in `docs/dev/claude-code.md`.

use std::collections::{HashMap, HashSet};

use memchr::{memchr, memchr_iter, memmem};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

/// Something about one line of the damaged text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line, counted from 1.
    pub line: u64,
    /// What was found, and done.
    #[serde(flatten)]
    pub what: What,
}

/// What was found on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// Bytes that are no record, and belong to none, were taken out.
    Fragment {
        /// How many.
        bytes: u64,
        /// The first of them, as text.
        text: String,
    },
    /// Several records stood on one line; each has one of its own now.
    Glued {
        /// How many.
        records: u64,
    },
    /// Zero bytes, as a crash leaves them where a file had grown, were taken out.
    Zeros {
        /// How many.
        bytes: u64,
    },
    /// The last line was a whole record without a line end; it has one now.
    Unterminated,
    /// A record named a parent that is nowhere in the file; its parent is now the record before it in its chain.
    Relinked {
        /// The record.
        record: String,
        /// The parent that is missing.
        from: String,
        /// Its parent now.
        to: String,
    },
    /// A record stood there before, byte for byte the same; it was taken out.
    Doubled {
        /// The record.
        record: String,
        /// The line on which it stays.
        first: u64,
    },
    /// A record has the id of an earlier one and says something else. Both stay: the client goes by the later one.
    Conflicting {
        /// The id.
        record: String,
        /// The line of the earlier one.
        first: u64,
    },
    /// A record names a parent that is nowhere in the file, and nothing of its chain comes before it. It stays.
    Rootless {
        /// The record.
        record: String,
    },
    /// Bytes that are no UTF-8, inside of strings. They stay: the client reads each as a replacement character.
    NoUtf8,
}

impl What {
    /// Whether the text was changed for it.
    pub fn is_repair(&self) -> bool {
        !matches!(
            self,
            Self::Conflicting { .. } | Self::Rootless { .. } | Self::NoUtf8
        )
    }
}

/// Of a fragment, this many bytes are shown.
const SHOWN: usize = 80;

/// The ids of all whole records.
#[derive(Debug, Default)]
pub struct Survey {
    records: HashSet<String>,
}

impl Survey {
    /// Takes in the next lines, the last of which may have no end.
    pub fn lines(&mut self, text: &[u8]) {
        for line in lines(text) {
            for record in take_apart(body(line)).records {
                self.records
                    .extend(Shape::of(record).and_then(|shape| shape.uuid));
            }
        }
    }
}

/// Writes the healed text, front to back.
#[derive(Debug)]
pub struct Healer {
    survey: Survey,
    line: u64,
    /// The latest record of each id.
    seen: HashMap<String, Seen>,
    /// The latest record of each chain.
    last: HashMap<Chain, String>,
    findings: Vec<Finding>,
}

/// A record that was written: its line, and its hash before and after healing.
#[derive(Debug)]
struct Seen {
    line: u64,
    was: blake3::Hash,
    is: blake3::Hash,
}

/// The parent of a record.
enum Parent {
    /// It is in the file, or there is none.
    There,
    /// It is missing, and no record of the chain comes before.
    Nowhere,
    /// It is missing; `text` is the record with the one before in its place.
    Other {
        text: Vec<u8>,
        from: String,
        to: String,
    },
}

/// The main conversation, or that of one sub-agent.
type Chain = (bool, Option<String>);

/// What takes the healed text, and what takes the fragments that are left out of it.
#[derive(Debug, Default)]
pub struct Healed {
    /// Healed lines.
    pub text: Vec<u8>,
    /// Fragments, each on a line of its own.
    pub fragments: Vec<u8>,
}

impl Healer {
    /// Heals the text that `survey` has seen.
    pub fn new(survey: Survey) -> Self {
        Self {
            survey,
            line: 0,
            seen: HashMap::new(),
            last: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Heals the next lines, the last of which may have no end.
    pub fn lines(&mut self, text: &[u8], healed: &mut Healed) {
        for line in lines(text) {
            self.line += 1;
            self.heal(line, healed);
        }
    }

    /// What was found.
    pub fn finish(self) -> Vec<Finding> {
        self.findings
    }

    fn heal(&mut self, line: &[u8], healed: &mut Healed) {
        let text = body(line);
        if is_blank(text) {
            return healed.text.extend_from_slice(line);
        }
        let parts = take_apart(text);
        if parts.zeros > 0 {
            self.found(What::Zeros { bytes: parts.zeros });
        }
        for fragment in parts.fragments {
            let shown = &fragment[..fragment.len().min(SHOWN)];
            let text = String::from_utf8_lossy(shown).into_owned();
            self.found(What::Fragment {
                bytes: fragment.len() as u64,
                text,
            });
            healed.fragments.extend_from_slice(fragment);
            healed.fragments.push(b'\n');
        }
        if parts.records.len() > 1 {
            self.found(What::Glued {
                records: parts.records.len() as u64,
            });
        }
        if line.len() == text.len() && !parts.records.is_empty() {
            self.found(What::Unterminated);
        }
        for record in parts.records {
            self.record(record, &mut healed.text);
        }
    }

    fn record(&mut self, record: &[u8], healed: &mut Vec<u8>) {
        if std::str::from_utf8(record).is_err() {
            self.found(What::NoUtf8);
        }
        let shape = Shape::of(record).unwrap_or_default();
        let Some(uuid) = shape.uuid.clone() else {
            return push_line(healed, record);
        };
        let parent = self.new_parent(record, &shape, &uuid);
        let text = match &parent {
            Parent::Other { text, .. } => text,
            Parent::There | Parent::Nowhere => record,
        };
        let now = Seen {
            line: self.line,
            was: blake3::hash(record),
            is: blake3::hash(text),
        };
        if let Some(earlier) = self.seen.get(&uuid) {
            let first = earlier.line;
            if earlier.was == now.was || earlier.is == now.is {
                return self.found(What::Doubled {
                    record: uuid,
                    first,
                });
            }
            self.found(What::Conflicting {
                record: uuid.clone(),
                first,
            });
        }
        push_line(healed, text);
        match parent {
            Parent::There => {}
            Parent::Nowhere => self.found(What::Rootless {
                record: uuid.clone(),
            }),
            Parent::Other { from, to, .. } => self.found(What::Relinked {
                record: uuid.clone(),
                from,
                to,
            }),
        }
        self.seen.insert(uuid.clone(), now);
        self.last.insert(shape.chain(), uuid);
    }

    /// What becomes of the parent of a record.
    fn new_parent(&self, record: &[u8], shape: &Shape, uuid: &str) -> Parent {
        let missing = shape
            .parent
            .clone()
            .flatten()
            .filter(|parent| !self.survey.records.contains(parent));
        let Some(from) = missing else {
            return Parent::There;
        };
        let before = self
            .last
            .get(&shape.chain())
            .filter(|before| *before != uuid)
            .cloned();
        let text = before
            .as_deref()
            .and_then(|to| with_parent(record, &from, to));
        match (text, before) {
            (Some(text), Some(to)) => Parent::Other { text, from, to },
            _ => Parent::Nowhere,
        }
    }

    fn found(&mut self, what: What) {
        self.findings.push(Finding {
            line: self.line,
            what,
        });
    }
}

/// How many lines of `text` end without being JSON. Cheap: only lines that look odd are parsed.
pub fn damaged_lines(text: &[u8]) -> u64 {
    let damaged =
        |line: &&[u8]| line.ends_with(b"\n") && looks_odd(body(line)) && !is_json(body(line));
    lines(text).filter(damaged).count() as u64
}

/// Whether a line may be no record. A record that the client wrote begins and ends with a brace, has no zero byte, and a brace before a
/// quote stands in it only where a value may.
fn looks_odd(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let begins_inside = |at: usize| at > 0 && !matches!(line[at - 1], b':' | b',' | b'[');
    !line.is_empty()
        && (!(line.starts_with(b"{") && line.ends_with(b"}"))
            || memchr(0, line).is_some()
            || memmem::find_iter(line, b"{\"").any(begins_inside))
}

/// The fields by which a record is known.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Shape {
    #[serde(rename = "type")]
    kind: Option<String>,
    uuid: Option<String>,
    /// Absent, null, or an id.
    #[serde(rename = "parentUuid", deserialize_with = "present")]
    parent: Option<Option<String>>,
    session_id: Option<IgnoredAny>,
    message_id: Option<IgnoredAny>,
    leaf_uuid: Option<IgnoredAny>,
    is_sidechain: Option<bool>,
    agent_id: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Shape {
    fn of(record: &[u8]) -> Option<Self> {
        serde_json::from_slice(without_mark(record)).ok()
    }

    /// Whether it is a record of its own and not a part of one: a part that says its type has neither the place in the conversation of a
    /// tree record nor what state records refer to.
    fn is_record(&self) -> bool {
        let in_tree = self.uuid.is_some() && self.parent.is_some();
        let state =
            self.session_id.is_some() || self.message_id.is_some() || self.leaf_uuid.is_some();
        self.kind.is_some() && (in_tree || self.uuid.is_none() && state)
    }

    fn chain(&self) -> Chain {
        (self.is_sidechain.unwrap_or(false), self.agent_id.clone())
    }
}

/// What a line is made of.
#[derive(Debug, Default)]
struct Parts<'a> {
    records: Vec<&'a [u8]>,
    fragments: Vec<&'a [u8]>,
    zeros: u64,
}

fn take_apart(line: &[u8]) -> Parts<'_> {
    let mut parts = Parts::default();
    if is_blank(line) {
        return parts;
    }
    if is_json(line) {
        parts.records.push(line);
        return parts;
    }
    parts.zeros = memchr_iter(0, line).count() as u64;
    for (at, piece) in line.split(|byte| *byte == 0).enumerate() {
        split_records(piece, at == 0, &mut parts);
    }
    parts
}

/// Divides a piece without zero bytes. At the beginning of a line a whole object is a record; elsewhere it must look like one.
fn split_records<'a>(piece: &'a [u8], begins_line: bool, parts: &mut Parts<'a>) {
    let mut rest = piece.trim_ascii();
    let mut trusted = begins_line;
    while !rest.is_empty() {
        match record_at(rest, trusted) {
            Some(end) => {
                parts.records.push(&rest[..end]);
                rest = rest[end..].trim_ascii();
            }
            None => {
                trusted = false;
                let inside = memmem::find_iter(&rest[1..], b"{\"").map(|at| at + 1);
                let next = inside
                    .into_iter()
                    .find(|at| record_at(&rest[*at..], false).is_some());
                let (fragment, after) = rest.split_at(next.unwrap_or(rest.len()));
                parts.fragments.push(fragment);
                rest = after;
            }
        }
    }
}

/// The length of the record at the beginning of `text`.
fn record_at(text: &[u8], trusted: bool) -> Option<usize> {
    if !text.starts_with(b"{") {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let end = values.byte_offset();
    // A part of a record is followed by more of that record.
    let ends_well = matches!(text[end..].trim_ascii_start().first(), None | Some(b'{'));
    let is_record = || Shape::of(&text[..end]).is_some_and(|shape| shape.is_record());
    let found = if trusted {
        ends_well || is_record()
    } else {
        ends_well && is_record()
    };
    found.then_some(end)
}

/// The record with another parent; `None` if the field is not written as the client does, without white space.
fn with_parent(record: &[u8], from: &str, to: &str) -> Option<Vec<u8>> {
    let field = |id: &str| format!("\"parentUuid\":\"{id}\"").into_bytes();
    let at = memmem::find(record, &field(from))?;
    let text = [&record[..at], &field(to), &record[at + field(from).len()..]].concat();
    let parent = Shape::of(&text)?.parent.flatten();
    (parent.as_deref() == Some(to)).then_some(text)
}

fn is_blank(line: &[u8]) -> bool {
    without_mark(line).trim_ascii().is_empty()
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(without_mark(line)).is_ok()
}

/// A line without the byte order mark, which the client passes over.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn body(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

fn push_line(text: &mut Vec<u8>, record: &[u8]) {
    text.extend_from_slice(record);
    text.push(b'\n');
}
