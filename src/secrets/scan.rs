//! Finds secrets in text: one search for the places where forms may begin, then the forms that
//! begin there.

use std::ops::Range;

use super::assignment::{self, NAME_PARTS};
use super::forms::{Form, forms};
use super::private_key;
use super::start_search::{Start, StartSearch};
use crate::domain::SecretName;
use crate::rewrite::{MAX_SECRET_BYTES, REDACTION_START, TextKind, redaction_at};

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
    search: StartSearch<Candidate>,
}

/// Something that begins with known text.
#[derive(Clone, Copy)]
enum Candidate {
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
        let search = StartSearch::new(candidates().collect());
        Self { search }
    }

    /// Returns what is found, in ascending order and without overlaps.
    pub fn scan(&self, text: &[u8], kind: TextKind) -> Vec<SecretFinding<'static>> {
        let mut found = Vec::new();
        self.search.each_start(text, |at, start| {
            let end = at + start.text.len();
            start.owner.check(text, at..end, kind, &mut found);
        });
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

impl Candidate {
    /// Checks what begins with the known text at `start`.
    fn check(
        self,
        text: &[u8],
        start: Range<usize>,
        kind: TextKind,
        found: &mut Vec<SecretFinding<'static>>,
    ) {
        let (at, end) = (start.start, start.end);
        let mut add = |range: Range<usize>, form| {
            for start in range.clone().step_by(MAX_SECRET_BYTES) {
                let range = start..range.end.min(start + MAX_SECRET_BYTES);
                let kind = FindingKind::Value(form);
                found.push(SecretFinding { range, kind });
            }
        };
        match self {
            Self::Form(form) => {
                if let Some(range) = form.secret_at(text, at) {
                    add(range, &form.id);
                }
            }
            Self::Name => {
                if let Some(range) = assignment::value_at(text, at, end) {
                    add(range, assignment::FORM);
                }
            }
            Self::Url => {
                if let Some(range) = assignment::password_at(text, end) {
                    add(range, assignment::URL_FORM);
                }
            }
            Self::PrivateKey => {
                for range in private_key::secrets_at(text, at, kind) {
                    add(range, private_key::FORM);
                }
            }
            Self::Redaction => found.extend(redaction_finding(text, at)),
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

fn candidates() -> impl Iterator<Item = Start<Candidate>> {
    let of_forms = forms().iter().flat_map(|form| {
        let start = |start: &String| Start {
            text: start.clone(),
            begins_token: form.begins_token(start),
            owner: Candidate::Form(form),
        };
        form.starts.iter().map(start)
    });
    let names = NAME_PARTS.iter().map(|part| (*part, Candidate::Name));
    let urls = assignment::URL_STARTS.iter();
    let urls = urls.map(|start| (*start, Candidate::Url));
    let others = [
        (private_key::START, Candidate::PrivateKey),
        (REDACTION_START, Candidate::Redaction),
    ];
    let texts = names.chain(urls).chain(others);
    of_forms.chain(texts.map(|(text, owner)| Start {
        text: text.to_owned(),
        begins_token: false,
        owner,
    }))
}

/// Sorts findings and drops those that begin within another one; of two that begin at the same
/// place, the longer one stays.
pub(super) fn without_overlaps<'f>(mut found: Vec<SecretFinding<'f>>) -> Vec<SecretFinding<'f>> {
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
