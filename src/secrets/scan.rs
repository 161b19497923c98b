//! Finds secrets in text: one search for the beginnings of all forms, then the forms that begin
//! there.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind, packed};

use super::assignment::{self, NAME_PARTS};
use super::forms::{Form, forms};
use super::private_key;
use crate::domain::SecretName;
use crate::rewrite::{MAX_SECRET_BYTES, REDACTION_START, TextKind, redaction_at};

/// Length of the text that is searched for, in bytes.
const ANCHOR: usize = 4;

/// Number of anchors that are searched for in one pass: more of them are slower, because too
/// many places look like one of them.
const ANCHORS_OF_PASS: usize = 16;

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFinding<'f> {
    /// Its place.
    pub range: Range<usize>,
    /// Its kind.
    pub kind: FindingKind<'f>,
}

/// Kind of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingKind<'f> {
    /// A value of this form.
    Value(&'f str),
    /// The redaction of a secret of another machine.
    Redaction(SecretName),
}

/// Searches text for secrets.
pub struct Scanner {
    passes: Vec<Pass>,
}

/// One search for some anchors.
struct Pass {
    searcher: Searcher,
    /// The candidates of each anchor.
    groups: Vec<Vec<Candidate>>,
}

enum Searcher {
    Packed(packed::Searcher),
    /// For processors without vector instructions.
    Automaton(AhoCorasick),
}

impl Searcher {
    fn new(anchors: &[&str]) -> Option<Self> {
        let packed = packed::Searcher::new(anchors).map(Self::Packed);
        packed.or_else(|| {
            let mut builder = AhoCorasick::builder();
            let builder = builder.match_kind(MatchKind::LeftmostFirst);
            builder.build(anchors).ok().map(Self::Automaton)
        })
    }

    /// Returns the offset and the number of the next anchor.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(text, (from..text.len()).into()),
            Self::Automaton(automaton) => automaton.find(Input::new(text).range(from..)),
        }?;
        Some((found.start(), found.pattern().as_usize()))
    }
}

/// Something that begins with known text.
#[derive(Clone)]
struct Candidate {
    start: String,
    kind: CandidateKind,
}

#[derive(Clone, Copy)]
enum CandidateKind {
    Form(&'static Form),
    /// The end of a name such as `API_KEY`.
    Name,
    Url,
    PrivateKey,
    Redaction,
}

impl Scanner {
    /// Builds the search for all forms.
    pub fn new() -> Self {
        let mut candidates: Vec<Candidate> = candidates().collect();
        candidates.sort_by(|a, b| (a.anchor().len(), &a.start).cmp(&(b.anchor().len(), &b.start)));
        let mut groups: Vec<(String, Vec<Candidate>)> = Vec::new();
        for candidate in candidates {
            // A shorter anchor is found in the place of one that begins with it.
            let known = |(anchor, _): &&mut (String, _)| candidate.anchor().starts_with(&**anchor);
            match groups.iter_mut().find(known) {
                Some((_, group)) => group.push(candidate),
                None => groups.push((candidate.anchor().to_owned(), vec![candidate])),
            }
        }
        Self {
            passes: groups
                .chunks(ANCHORS_OF_PASS)
                .filter_map(Pass::new)
                .collect(),
        }
    }

    /// Returns what is found, in ascending order and without overlaps.
    pub fn scan(&self, text: &[u8], kind: TextKind) -> Vec<SecretFinding<'static>> {
        let mut found = Vec::new();
        for pass in &self.passes {
            pass.scan(text, kind, &mut found);
        }
        without_overlaps(found)
    }

    /// Returns the redactions of secrets of other machines.
    pub fn redactions(&self, text: &[u8]) -> Vec<SecretFinding<'static>> {
        let starts = memchr::memmem::find_iter(text, REDACTION_START);
        starts
            .filter_map(|at| redaction_finding(text, at))
            .collect()
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Pass {
    fn new(groups: &[(String, Vec<Candidate>)]) -> Option<Self> {
        let anchors: Vec<&str> = groups.iter().map(|(anchor, _)| anchor.as_str()).collect();
        Some(Self {
            searcher: Searcher::new(&anchors)?,
            groups: groups.iter().map(|(_, group)| group.clone()).collect(),
        })
    }

    fn scan(&self, text: &[u8], kind: TextKind, found: &mut Vec<SecretFinding<'static>>) {
        let mut from = 0;
        while let Some((at, group)) = self.searcher.find(text, from) {
            from = at + 1;
            for candidate in &self.groups[group] {
                if text[at..].starts_with(candidate.start.as_bytes()) {
                    candidate.check(text, at, kind, found);
                }
            }
        }
    }
}

impl Candidate {
    fn new(start: &str, kind: CandidateKind) -> Self {
        let start = start.to_owned();
        Self { start, kind }
    }

    fn anchor(&self) -> &str {
        &self.start[..self.start.len().min(ANCHOR)]
    }

    fn check(
        &self,
        text: &[u8],
        at: usize,
        kind: TextKind,
        found: &mut Vec<SecretFinding<'static>>,
    ) {
        let mut add = |range: Range<usize>, form| {
            for start in range.clone().step_by(MAX_SECRET_BYTES) {
                let range = start..range.end.min(start + MAX_SECRET_BYTES);
                let kind = FindingKind::Value(form);
                found.push(SecretFinding { range, kind });
            }
        };
        match self.kind {
            CandidateKind::Form(form) => {
                if let Some(range) = form.secret_at(text, at) {
                    add(range, &form.id);
                }
            }
            CandidateKind::Name => {
                if let Some(range) = assignment::value_at(text, at, at + self.start.len()) {
                    add(range, assignment::FORM);
                }
            }
            CandidateKind::Url => {
                if let Some(range) = assignment::password_at(text, at + self.start.len()) {
                    add(range, assignment::URL_FORM);
                }
            }
            CandidateKind::PrivateKey => {
                for range in private_key::secrets_at(text, at, kind) {
                    add(range, private_key::FORM);
                }
            }
            CandidateKind::Redaction => found.extend(redaction_finding(text, at)),
        }
    }
}

fn redaction_finding(text: &[u8], at: usize) -> Option<SecretFinding<'static>> {
    let (name, length) = redaction_at(&text[at..])?;
    Some(SecretFinding {
        range: at..at + length,
        kind: FindingKind::Redaction(name),
    })
}

fn candidates() -> impl Iterator<Item = Candidate> {
    let of_forms = forms().iter().flat_map(|form| {
        let starts = form.starts.iter();
        starts.map(|start| Candidate::new(start, CandidateKind::Form(form)))
    });
    let names = NAME_PARTS
        .iter()
        .map(|part| Candidate::new(part, CandidateKind::Name));
    let urls = assignment::URL_STARTS
        .iter()
        .map(|start| Candidate::new(start, CandidateKind::Url));
    let others = [
        Candidate::new(private_key::START, CandidateKind::PrivateKey),
        Candidate::new(REDACTION_START, CandidateKind::Redaction),
    ];
    of_forms.chain(names).chain(urls).chain(others)
}

/// Sorts findings and drops those that begin within another one; of two that begin at the same
/// place, the longer one stays.
fn without_overlaps(mut found: Vec<SecretFinding<'static>>) -> Vec<SecretFinding<'static>> {
    found.sort_by_key(|finding| (finding.range.start, std::cmp::Reverse(finding.range.end)));
    let mut end = 0;
    found.retain(|finding| {
        let is_free = finding.range.start >= end && !finding.range.is_empty();
        if is_free {
            end = finding.range.end;
        }
        is_free
    });
    found
}
