//! Repairing a damaged transcript: bytes in, bytes and findings out. Pure.
//!
//! Lines are read one by one, in two passes: [`RecordIds`] collects the records, a [`Repairer`]
//! writes the repaired text. A line of JSON stays byte for byte, except for a parent that is not in
//! the file. Bytes that are no record are passed to the caller, never discarded. The client's
//! handling of each kind of damage is in `docs/dev/claude-code.md`.

mod objects;

use std::collections::{HashMap, HashSet};

use memchr::{memchr, memchr_iter, memmem};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use self::objects::{CompleteObjects, ends_well};
use super::fields::with_value;

/// A finding on one line of the damaged text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line, counted from 1.
    pub line: u64,
    /// The damage, and its repair.
    #[serde(flatten)]
    pub damage: LineDamage,
}

/// The damage of a line, and its repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LineDamage {
    /// Bytes that are not part of a record were removed.
    Fragment {
        /// The number of bytes.
        bytes: u64,
        /// The first of them, as text.
        text: String,
    },
    /// Several records were on one line; now each has its own line.
    Glued {
        /// The number of records.
        records: u64,
    },
    /// Zero bytes, which a crash leaves at the end of a growing file, were removed.
    Zeros {
        /// The number of bytes.
        bytes: u64,
    },
    /// The last line was a complete record without a line end; now it has one.
    Unterminated,
    /// The parent of a record is missing; now its parent is the previous record of its chain.
    Relinked {
        /// The record.
        record: String,
        /// The missing parent.
        from: String,
        /// The new parent.
        to: String,
    },
    /// A record that is byte for byte the same as an earlier one was removed.
    Duplicate {
        /// The record.
        record: String,
        /// The line of the earlier one.
        first: u64,
    },
    /// A record has the id of an earlier one and another content. Both stay: the client uses the
    /// later one.
    Conflicting {
        /// The id.
        record: String,
        /// The line of the earlier one.
        first: u64,
    },
    /// The parent of a record is missing, and its chain has no previous record. It stays.
    Parentless {
        /// The record.
        record: String,
    },
    /// Bytes in strings that are not UTF-8. They stay: the client reads each as a replacement
    /// character.
    NoUtf8,
}

impl LineDamage {
    /// Returns true if the text was changed.
    pub fn is_repair(&self) -> bool {
        !matches!(
            self,
            Self::Conflicting { .. } | Self::Parentless { .. } | Self::NoUtf8
        )
    }
}

/// Maximum number of bytes shown of a fragment.
const MAX_SHOWN: usize = 80;

/// The ids of all complete records.
#[derive(Debug, Default)]
pub struct RecordIds {
    ids: HashSet<String>,
}

impl RecordIds {
    /// Adds the next lines; the last one may have no line end.
    pub fn add_lines(&mut self, text: &[u8]) {
        for line in lines(text) {
            for record in split_line(body(line)).records {
                self.ids
                    .extend(Shape::parse(record).and_then(|shape| shape.uuid));
            }
        }
    }
}

/// Writes the repaired text, front to back.
#[derive(Debug)]
pub struct Repairer {
    ids: RecordIds,
    line: u64,
    /// The latest record of each id.
    seen: HashMap<String, Seen>,
    /// The latest record of each chain.
    last: HashMap<Chain, String>,
    findings: Vec<Finding>,
}

/// A written record: its line, and its hash before and after the repair.
#[derive(Debug)]
struct Seen {
    line: u64,
    before: blake3::Hash,
    after: blake3::Hash,
}

/// The parent of a record.
enum Parent {
    /// The parent is in the file, or the record has no parent.
    Valid,
    /// The parent is missing, and the chain has no previous record.
    Missing,
    /// The parent is missing; `text` is the record with the previous record as its parent.
    Replaced {
        text: Vec<u8>,
        from: String,
        to: String,
    },
}

/// The main conversation, or that of one sub-agent.
type Chain = (bool, Option<String>);

/// The repaired text, and the fragments that are excluded from it.
#[derive(Debug, Default)]
pub struct RepairedText {
    /// Repaired lines.
    pub text: Vec<u8>,
    /// Fragments, each on its own line.
    pub fragments: Vec<u8>,
}

impl Repairer {
    /// Creates a repairer for the text with these records.
    pub fn new(ids: RecordIds) -> Self {
        Self {
            ids,
            line: 0,
            seen: HashMap::new(),
            last: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Repairs the next lines; the last one may have no line end.
    pub fn repair_lines(&mut self, text: &[u8], repaired: &mut RepairedText) {
        for line in lines(text) {
            self.line += 1;
            self.repair_line(line, repaired);
        }
    }

    /// Returns the findings.
    pub fn finish(self) -> Vec<Finding> {
        self.findings
    }

    fn repair_line(&mut self, line: &[u8], repaired: &mut RepairedText) {
        let text = body(line);
        if is_blank(text) {
            return repaired.text.extend_from_slice(line);
        }
        let parts = split_line(text);
        if parts.zeros > 0 {
            self.found(LineDamage::Zeros { bytes: parts.zeros });
        }
        for fragment in parts.fragments {
            let shown = &fragment[..fragment.len().min(MAX_SHOWN)];
            let text = String::from_utf8_lossy(shown).into_owned();
            self.found(LineDamage::Fragment {
                bytes: fragment.len() as u64,
                text,
            });
            repaired.fragments.extend_from_slice(fragment);
            repaired.fragments.push(b'\n');
        }
        if parts.records.len() > 1 {
            self.found(LineDamage::Glued {
                records: parts.records.len() as u64,
            });
        }
        if line.len() == text.len() && !parts.records.is_empty() {
            self.found(LineDamage::Unterminated);
        }
        for record in parts.records {
            self.repair_record(record, &mut repaired.text);
        }
    }

    fn repair_record(&mut self, record: &[u8], repaired: &mut Vec<u8>) {
        if std::str::from_utf8(record).is_err() {
            self.found(LineDamage::NoUtf8);
        }
        let shape = Shape::parse(record).unwrap_or_default();
        let Some(uuid) = shape.uuid.clone() else {
            return push_line(repaired, record);
        };
        let parent = self.new_parent(record, &shape, &uuid);
        let text = match &parent {
            Parent::Replaced { text, .. } => text,
            Parent::Valid | Parent::Missing => record,
        };
        let now = Seen {
            line: self.line,
            before: blake3::hash(record),
            after: blake3::hash(text),
        };
        if let Some(earlier) = self.seen.get(&uuid) {
            let first = earlier.line;
            if earlier.before == now.before || earlier.after == now.after {
                return self.found(LineDamage::Duplicate {
                    record: uuid,
                    first,
                });
            }
            self.found(LineDamage::Conflicting {
                record: uuid.clone(),
                first,
            });
        }
        push_line(repaired, text);
        match parent {
            Parent::Valid => {}
            Parent::Missing => self.found(LineDamage::Parentless {
                record: uuid.clone(),
            }),
            Parent::Replaced { from, to, .. } => self.found(LineDamage::Relinked {
                record: uuid.clone(),
                from,
                to,
            }),
        }
        self.seen.insert(uuid.clone(), now);
        self.last.insert(shape.chain(), uuid);
    }

    /// Checks the parent of a record, and replaces a missing one.
    fn new_parent(&self, record: &[u8], shape: &Shape, uuid: &str) -> Parent {
        let missing = shape
            .parent
            .clone()
            .flatten()
            .filter(|parent| !self.ids.ids.contains(parent));
        let Some(from) = missing else {
            return Parent::Valid;
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
            (Some(text), Some(to)) => Parent::Replaced { text, from, to },
            _ => Parent::Missing,
        }
    }

    fn found(&mut self, damage: LineDamage) {
        self.findings.push(Finding {
            line: self.line,
            damage,
        });
    }
}

/// Counts the terminated lines of `text` that are not JSON. Parses only lines that look damaged.
pub fn damaged_lines(text: &[u8]) -> u64 {
    let damaged =
        |line: &&[u8]| line.ends_with(b"\n") && looks_damaged(body(line)) && !is_json(body(line));
    lines(text).filter(damaged).count() as u64
}

/// Returns true if a line may not be a record.
///
/// A record of the client begins and ends with a brace, has no zero byte, and has a brace before a
/// quote only at the start of a value.
fn looks_damaged(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let begins_inside = |at: usize| at > 0 && !matches!(line[at - 1], b':' | b',' | b'[');
    !line.is_empty()
        && (!(line.starts_with(b"{") && line.ends_with(b"}"))
            || memchr(0, line).is_some()
            || memmem::find_iter(line, b"{\"").any(begins_inside))
}

/// The fields that identify a record.
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
    fn parse(record: &[u8]) -> Option<Self> {
        serde_json::from_slice(without_mark(record)).ok()
    }

    /// Returns true for a record, false for a part of one.
    ///
    /// A part with a type has neither the parent of a record in the tree nor the references of a
    /// state record.
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

/// The parts of a line.
#[derive(Debug, Default)]
struct Parts<'a> {
    records: Vec<&'a [u8]>,
    fragments: Vec<&'a [u8]>,
    zeros: u64,
}

fn split_line(line: &[u8]) -> Parts<'_> {
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

/// Splits a piece without zero bytes. At the beginning of a line any complete object is a record;
/// elsewhere it must look like one.
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
                let mut objects = CompleteObjects::new(rest);
                let next = memmem::find_iter(&rest[1..], b"{\"")
                    .map(|at| at + 1)
                    .find(|at| {
                        objects.has_complete(*at) && record_at(&rest[*at..], false).is_some()
                    });
                let (fragment, after) = rest.split_at(next.unwrap_or(rest.len()));
                parts.fragments.push(fragment);
                rest = after;
            }
        }
    }
}

/// Returns the length of the record at the beginning of `text`.
fn record_at(text: &[u8], trusted: bool) -> Option<usize> {
    if !text.starts_with(b"{") {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let end = values.byte_offset();
    let ends_well = ends_well(&text[end..]);
    let is_record = || Shape::parse(&text[..end]).is_some_and(|shape| shape.is_record());
    let found = if trusted {
        ends_well || is_record()
    } else {
        ends_well && is_record()
    };
    found.then_some(end)
}

/// Replaces the parent of a record; `None` if it is written in an unusual form.
fn with_parent(record: &[u8], from: &str, to: &str) -> Option<Vec<u8>> {
    let (from, new) = (format!("{from}\""), format!("{to}\""));
    let quote = with_value(record, "parentUuid", &from).next()?;
    let rest = &record[quote + 1 + from.len()..];
    let text = [&record[..=quote], new.as_bytes(), rest].concat();
    let parent = Shape::parse(&text)?.parent.flatten();
    (parent.as_deref() == Some(to)).then_some(text)
}

fn is_blank(line: &[u8]) -> bool {
    without_mark(line).trim_ascii().is_empty()
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(without_mark(line)).is_ok()
}

/// Returns a line without the byte order mark, which the client ignores.
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
