//! The filter: finds its words in the columns of a row, and says which letters matched. Pure.
//!
//! A word matches a column if its letters occur there in order and near each other. The first words
//! of a session, the end of a long title and the id are not shown: there, a word must occur as it
//! is. So a match that the user cannot see is never a guess.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32Str, Utf32String};
use unicode_segmentation::UnicodeSegmentation;

/// Minimum score of a match for each letter of the word. A consecutive letter has 20 or more; less
/// means letters that are scattered over a long text.
const MIN_SCORE_PER_LETTER: usize = 18;
/// The first letter may be inside a word, where it has less.
const FIRST_LETTER: usize = 2;

/// Length of the part of a title that the list may show, in characters.
const MAX_TITLE_CHARS: usize = 80;
/// Added to the score of a word that occurs as it is: better than any scattered letters.
const AS_IT_IS: u32 = 1000;

/// Text of one column, prepared for matching.
#[derive(Debug)]
struct SearchedText {
    text: Utf32String,
    letters: Letters,
}

/// A text that many rows have, such as a project. It is matched once.
#[derive(Debug)]
struct SharedText {
    /// Distinct among the texts of a list.
    number: usize,
    text: SearchedText,
}

/// The shared texts of a list.
#[derive(Default)]
pub(super) struct SharedTexts(Mutex<HashMap<String, Arc<SharedText>>>);

/// A row, prepared for matching.
#[derive(Debug)]
pub(super) struct SearchedRow {
    title: SearchedText,
    /// The other columns.
    shared: Vec<Arc<SharedText>>,
    /// The texts that the user does not see.
    hidden: Vec<SearchedText>,
    /// Matched at its beginning only: three letters occur in many an id.
    id: SearchedText,
}

/// The words of a filter.
#[derive(Debug, Default)]
pub(super) struct Filter(Vec<Word>);

#[derive(Debug)]
struct Word {
    text: String,
    fuzzy: Atom,
    exact: Atom,
    start: Atom,
    letters: Letters,
    min_score: usize,
}

/// Scores rows on one thread.
pub(super) struct Scorer<'a> {
    filter: &'a Filter,
    matcher: Matcher,
    /// By word, then by number of a shared text: its score, if it was asked for.
    known: Vec<Vec<Option<Option<u32>>>>,
}

/// The set of letters of a text, with the few that share a bit. Rejects most texts at once.
#[derive(Debug, Clone, Copy)]
struct Letters(u64);

/// Returns what does the matching. It is large, so that it is made once.
pub(super) fn matcher() -> Matcher {
    Matcher::new(Config::DEFAULT)
}

impl SearchedText {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            letters: Letters::of(text),
        }
    }

    fn score(&self, atom: &Atom, word: &Word, matcher: &mut Matcher) -> Option<u16> {
        if !self.letters.contain(word.letters) {
            return None;
        }
        atom.score(self.text.slice(..), matcher)
    }
}

impl Filter {
    /// The words of `text` are separated by space; case and accents do not count.
    pub(super) fn new(text: &str) -> Self {
        Self(text.split_whitespace().map(Word::new).collect())
    }

    /// Returns true if both have the same words.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let words = self.0.iter().map(|word| &word.text);
        words.eq(other.0.iter().map(|word| &word.text))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what scores rows.
    pub(super) fn scorer(&self) -> Scorer<'_> {
        Scorer {
            filter: self,
            matcher: matcher(),
            known: vec![Vec::new(); self.0.len()],
        }
    }

    /// Returns the ranges of bytes of `text` that match, in order.
    pub(super) fn marks(&self, text: &str, matcher: &mut Matcher) -> Vec<Range<usize>> {
        let mut buffer = Vec::new();
        let searched = Utf32Str::new(text, &mut buffer);
        let (mut matched, mut found) = (Vec::new(), Vec::new());
        for word in &self.0 {
            found.clear();
            let score = word.fuzzy.indices(searched, matcher, &mut found);
            if score.is_some_and(|score| word.is_near(score)) {
                matched.extend_from_slice(&found);
            }
        }
        matched.sort_unstable();
        matched.dedup();
        ranges(text, &matched)
    }
}

impl Word {
    fn new(word: &str) -> Self {
        let atom = |kind| {
            Atom::new(
                word,
                CaseMatching::Ignore,
                Normalization::Smart,
                kind,
                false,
            )
        };
        let fuzzy = atom(AtomKind::Fuzzy);
        Self {
            text: word.to_owned(),
            min_score: (fuzzy.needle_text().len() * MIN_SCORE_PER_LETTER)
                .saturating_sub(FIRST_LETTER),
            fuzzy,
            exact: atom(AtomKind::Substring),
            start: atom(AtomKind::Prefix),
            letters: Letters::of(word),
        }
    }

    /// Returns how well the text of a column matches.
    fn score(&self, text: &SearchedText, matcher: &mut Matcher) -> Option<u32> {
        let score = text.score(&self.fuzzy, self, matcher)?;
        let score = self.is_near(score).then_some(u32::from(score))?;
        let is_as_it_is = text.score(&self.exact, self, matcher).is_some();
        Some(score + if is_as_it_is { AS_IT_IS } else { 0 })
    }

    fn is_in_hidden(&self, row: &SearchedRow, matcher: &mut Matcher) -> bool {
        let mut hidden = row.hidden.iter();
        hidden.any(|text| text.score(&self.exact, self, matcher).is_some())
            || row.id.score(&self.start, self, matcher).is_some()
    }

    fn is_near(&self, score: u16) -> bool {
        usize::from(score) >= self.min_score
    }
}

impl SharedTexts {
    fn get(&self, text: &str) -> Arc<SharedText> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(text) {
            return Arc::clone(known);
        }
        let shared = Arc::new(SharedText {
            number: texts.len(),
            text: SearchedText::new(text),
        });
        texts.insert(text.to_owned(), Arc::clone(&shared));
        shared
    }
}

impl SearchedRow {
    /// `columns`: the texts of the other columns; `first_words` and `id` are not shown.
    pub(super) fn new(
        title: &str,
        columns: &[&str],
        first_words: &str,
        id: &str,
        texts: &SharedTexts,
    ) -> Self {
        let columns = columns.iter().filter(|text| !text.is_empty());
        let mut row = Self {
            title: SearchedText::new(""),
            shared: columns.map(|text| texts.get(text)).collect(),
            hidden: Vec::new(),
            id: SearchedText::new(id),
        };
        row.set_title(title, first_words);
        row
    }

    pub(super) fn set_title(&mut self, title: &str, first_words: &str) {
        let end = title.char_indices().nth(MAX_TITLE_CHARS);
        let end = end.map_or(title.len(), |(at, _)| at);
        self.title = SearchedText::new(&title[..end]);
        let cut = (end < title.len()).then_some(title);
        let words = Some(first_words).filter(|words| !words.is_empty() && *words != title);
        let hidden = cut.into_iter().chain(words);
        self.hidden = hidden.map(SearchedText::new).collect();
    }
}

impl Scorer<'_> {
    /// Returns how well a row matches all words, or `None`.
    pub(super) fn score(&mut self, row: &SearchedRow) -> Option<u32> {
        (0..self.filter.0.len())
            .map(|word| self.score_word(word, row))
            .sum()
    }

    fn score_word(&mut self, number: usize, row: &SearchedRow) -> Option<u32> {
        let word = &self.filter.0[number];
        let mut best = word.score(&row.title, &mut self.matcher);
        for text in &row.shared {
            best = best.max(self.score_shared(number, text));
        }
        // A match that is not shown comes last.
        best.or_else(|| word.is_in_hidden(row, &mut self.matcher).then_some(0))
    }

    fn score_shared(&mut self, number: usize, shared: &SharedText) -> Option<u32> {
        let known = &mut self.known[number];
        if known.len() <= shared.number {
            known.resize(shared.number + 1, None);
        }
        let word = &self.filter.0[number];
        *known[shared.number].get_or_insert_with(|| word.score(&shared.text, &mut self.matcher))
    }
}

impl Letters {
    fn of(text: &str) -> Self {
        let bits = text.chars().map(|c| match c.to_ascii_lowercase() {
            c @ 'a'..='z' => 1 << (c as u32 - u32::from(b'a')),
            c @ '0'..='9' => 1 << (26 + c as u32 - u32::from(b'0')),
            // It may match a letter without its accent.
            c if !c.is_ascii() => u64::MAX,
            c => 1 << (36 + c as u32 % 28),
        });
        Self(bits.fold(0, |set, bit| set | bit))
    }

    fn contain(self, word: Self) -> bool {
        // A word with other than ASCII letters is compared with everything.
        word.0 == u64::MAX || self.0 & word.0 == word.0
    }
}

/// Returns the bytes of these characters, numbered as the matcher sees them; those in a row are
/// joined.
fn ranges(text: &str, characters: &[u32]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut wanted = characters.iter().copied().peekable();
    for (number, (at, character)) in (0..).zip(text.grapheme_indices(true)) {
        if wanted.next_if_eq(&number).is_none() {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += character.len(),
            _ => ranges.push(at..at + character.len()),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &'static str, filter: &str) -> Vec<&'static str> {
        let marks = Filter::new(filter).marks(text, &mut matcher());
        marks.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn filter_marks_the_letters_that_match() {
        assert_eq!(marked("Fix the FORM", "form fi"), ["Fi", "FORM"]);
        assert_eq!(marked("repair the roof", "rtr"), ["r", "t", "r"]);
        assert_eq!(marked("aaa", "aa a"), ["aa"]);
        assert_eq!(marked("le café", "cafe"), ["café"]);
        assert_eq!(marked("le cafe\u{301}!", "cafe"), ["cafe\u{301}"]);
        assert_eq!(marked("目 wide 🚀 rocket", "目 rock"), ["目", "rock"]);
        assert_eq!(marked("👩‍🔧 שלום", "שלו"), ["שלו"]);
        assert_eq!(marked("fix the login form", "xyz"), [""; 0]);
    }

    #[test]
    fn filter_letters_far_apart_do_not_match() {
        let text = "please write a short answer that is easy to read";
        assert_eq!(marked(text, "parser"), [""; 0]);
        assert_eq!(marked(text, "answr"), ["answ", "r"]);
    }

    #[test]
    fn filter_hidden_text_needs_the_whole_word() {
        let row = SearchedRow::new(
            "paint the fence",
            &["~/work"],
            "please look at the parser",
            "0fade000-cafe",
            &SharedTexts::default(),
        );
        let score = |filter| Filter::new(filter).scorer().score(&row);
        assert!(score("parser").is_some() && score("FENCE arse").is_some());
        assert!(score("prsr").is_none() && score("pnt").is_some());
        assert!(score("0fade").is_some() && score("cafe").is_none());
        assert!(score("pnt") > score("parser"), "shown matches come first");
        assert!(score("aint") > score("ptf"), "then words as they are");
    }
}
