//! Finds path forms in text, fast.
//!
//! Owns the search. Hundreds of path forms share a few beginnings, so it searches for these
//! anchors only, with vector instructions if the machine has them. At each hit it tries the
//! path forms with that beginning, longest first. Leading backslashes come before the anchor:
//! JSON in JSON is full of them. The result is the leftmost-longest match of an automaton over
//! all path forms, except that a shorter form still matches where a longer one does not end at
//! a boundary. Must not decide which strings are protected.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, Input, MatchKind, Span, packed};

use super::boundary::{begins, ends, ends_name};
use super::path_form::{Lead, Separator};

/// Length of an anchor, in bytes: longer ones are slower, shorter ones find too much.
const ANCHOR: usize = 3;

/// A path form with its placeholder and its boundaries.
#[derive(Debug, Clone)]
pub(super) struct PathPattern {
    /// The text searched for.
    pub(super) bytes: Vec<u8>,
    /// The replacement.
    pub(super) placeholder: Vec<u8>,
    /// Kind of its first character.
    pub(super) lead: Lead,
    /// Separator of the path components that may follow.
    pub(super) separator: Separator,
    /// True if it is a whole directory name, not the beginning of one.
    pub(super) is_whole: bool,
}

/// All patterns for one kind of text.
pub(super) struct Patterns {
    finder: Finder,
    /// For each anchor the patterns that begin with it, longest first.
    groups: Vec<Vec<PathPattern>>,
}

enum Finder {
    Nothing,
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Patterns {
    /// Builds the search. If patterns have the same bytes, the first one wins.
    pub(super) fn new(mut patterns: Vec<PathPattern>) -> Self {
        patterns.retain(|pattern| !pattern.anchor().is_empty());
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.bytes.len()));
        let anchors = anchors(&patterns);
        let begin_with = |anchor: &&[u8]| {
            patterns
                .iter()
                .filter(|p| p.anchor().starts_with(anchor))
                .cloned()
                .collect()
        };
        Self {
            finder: Finder::new(&anchors),
            groups: anchors.iter().map(begin_with).collect(),
        }
    }

    /// The first place at or after `from` where a pattern matches between its boundaries.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<(usize, &PathPattern)> {
        let mut searched = from;
        while let Some((anchor, group)) = self.finder.find(text, searched) {
            let mut candidates = self.groups[group]
                .iter()
                .filter_map(|p| Some((anchor.checked_sub(p.escapes())?, p)));
            let found = candidates.find(|(at, pattern)| *at >= from && pattern.matches(text, *at));
            if found.is_some() {
                return found;
            }
            searched = anchor + 1;
        }
        None
    }
}

impl PathPattern {
    /// How many backslashes it begins with.
    fn escapes(&self) -> usize {
        self.bytes.iter().take_while(|b| **b == b'\\').count()
    }

    fn anchor(&self) -> &[u8] {
        let rest = &self.bytes[self.escapes()..];
        &rest[..rest.len().min(ANCHOR)]
    }

    fn matches(&self, text: &[u8], at: usize) -> bool {
        let end = at + self.bytes.len();
        text[at..].starts_with(&self.bytes)
            && begins(text, at, self.lead)
            && if self.is_whole {
                ends_name(text, end)
            } else {
                ends(text, end, self.separator)
            }
    }
}

impl Finder {
    fn new(anchors: &[&[u8]]) -> Self {
        if anchors.is_empty() {
            return Self::Nothing;
        }
        if let Some(searcher) = packed::Searcher::new(anchors) {
            return Self::Packed(searcher);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(anchors);
        Self::Automaton(
            automaton.expect("a few short anchors are within every limit of an automaton"),
        )
    }

    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = match self {
            Self::Nothing => None,
            Self::Packed(searcher) => searcher.find_in(text, Span::from(from..text.len())),
            Self::Automaton(automaton) => automaton.find(Input::new(text).range(from..)),
        }?;
        Some((found.start(), found.pattern().as_usize()))
    }
}

/// The anchors of all patterns, without those that begin with another.
fn anchors(patterns: &[PathPattern]) -> Vec<&[u8]> {
    let beginnings: BTreeSet<&[u8]> = patterns.iter().map(PathPattern::anchor).collect();
    let mut anchors: Vec<&[u8]> = Vec::new();
    for beginning in beginnings {
        // Sorted, a text comes right after its own beginnings.
        if !anchors
            .last()
            .is_some_and(|last| beginning.starts_with(last))
        {
            anchors.push(beginning);
        }
    }
    anchors
}
