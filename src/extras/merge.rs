//! Merges two versions of a text by line. Pure.
//!
//! The merge is three-way. It loses no line that one side has added, and its result does not
//! depend on which side is which. Where both sides changed the same lines, the text holds both
//! versions, between lines in plain words that name the machines: users and models understand
//! those alike.

use std::collections::BTreeMap;

use crate::extras::line_matching::{common_prefix, common_suffix, match_lines};
use crate::extras::text_file::{TextFile, TextLine};
use crate::report::ExtraOutcome;

/// One of the two versions.
#[derive(Clone, Copy)]
pub(crate) struct MergeSide<'a> {
    pub(crate) file: &'a TextFile,
    /// Name of the machine that wrote it, unsanitised.
    pub(crate) machine: &'a str,
}

/// The merged text.
#[derive(Debug, Clone)]
pub(crate) struct MergedText {
    pub(crate) file: TextFile,
    /// Number of places with both versions of some lines.
    pub(crate) conflicts: usize,
    /// The two sides changed nothing in the same place.
    pub(crate) is_clean: bool,
}

impl MergedText {
    pub(crate) fn outcome(&self) -> ExtraOutcome {
        if self.conflicts > 0 {
            ExtraOutcome::Conflict
        } else {
            ExtraOutcome::Merged
        }
    }
}

/// Longest machine name in a text, in characters.
const MAX_MACHINE_NAME: usize = 64;

/// Merges two versions of `base`. Without it, the lines that both have in common take its
/// place.
pub(crate) fn merge(base: Option<&TextFile>, a: MergeSide<'_>, b: MergeSide<'_>) -> MergedText {
    // The order decides ties below, so it must not depend on the caller.
    let [a, b] = in_order(a, b);
    let numbers = LineNumbers::new(base, a.file, b.file);
    let [a_lines, b_lines] = [a, b].map(|side| numbers.of_file(side.file));
    let ancestor = match base {
        Some(base) => Ancestor::new(numbers.of_file(base), &a_lines, &b_lines),
        None => numbers.common_lines(&a_lines, &b_lines),
    };

    let mut merger = Merger {
        numbers: &numbers,
        sides: [a, b],
        has_base: base.is_some(),
        lines: Vec::new(),
        conflicts: 0,
        is_clean: true,
    };
    merger.add_all(&ancestor, &a_lines, &b_lines);
    let Merger {
        lines,
        conflicts,
        is_clean,
        ..
    } = merger;

    // An empty line without a line end would not be a line.
    let unterminated = is_unterminated(base, a.file, b.file)
        && lines.last().is_some_and(|line| !line.text.is_empty());
    let mut sets = a.file.sets.clone();
    for file in base.into_iter().chain([b.file]) {
        sets.extend(
            file.sets
                .iter()
                .map(|(key, set)| (key.clone(), set.clone())),
        );
    }
    MergedText {
        // A file that can run programs is never merged in the store, and here only after
        // approval.
        file: TextFile::new(lines, unterminated, sets),
        conflicts,
        is_clean,
    }
}

fn in_order<'a>(a: MergeSide<'a>, b: MergeSide<'a>) -> [MergeSide<'a>; 2] {
    let text = |line: &'a TextLine| line.text.as_str();
    let is_ordered = a
        .file
        .lines
        .iter()
        .map(text)
        .le(b.file.lines.iter().map(text));
    if is_ordered { [a, b] } else { [b, a] }
}

/// Returns true if the last line has no line end: the side that changed this is right.
fn is_unterminated(base: Option<&TextFile>, a: &TextFile, b: &TextFile) -> bool {
    match base.map(|base| base.unterminated) {
        Some(before) if before == a.unterminated => b.unterminated,
        Some(before) if before == b.unterminated => a.unterminated,
        _ => a.unterminated && b.unterminated,
    }
}

/// The lines that both versions began with, and where each version has them.
#[derive(Default)]
struct Ancestor {
    lines: Vec<usize>,
    in_a: Vec<Option<usize>>,
    in_b: Vec<Option<usize>>,
}

impl Ancestor {
    fn new(lines: Vec<usize>, a: &[usize], b: &[usize]) -> Self {
        let (in_a, in_b) = (positions(&lines, a), positions(&lines, b));
        Self { lines, in_a, in_b }
    }
}

/// The place in `new` of each line of `old`.
fn positions(old: &[usize], new: &[usize]) -> Vec<Option<usize>> {
    let mut positions = vec![None; old.len()];
    for (from, to) in match_lines(old, new) {
        if let Some(from) = from {
            positions[from] = to;
        }
    }
    positions
}

/// Numbers for lines; equal lines have the same one.
struct LineNumbers {
    by_line: BTreeMap<(String, bool), usize>,
    lines: Vec<TextLine>,
}

impl LineNumbers {
    fn new(base: Option<&TextFile>, a: &TextFile, b: &TextFile) -> Self {
        let mut numbers = Self {
            by_line: BTreeMap::new(),
            lines: Vec::new(),
        };
        for line in base.into_iter().chain([a, b]).flat_map(|file| &file.lines) {
            let next = numbers.lines.len();
            let number = *numbers.by_line.entry(line_key(line)).or_insert(next);
            match numbers.lines.get_mut(number) {
                // If two machines wrote the same line, one's placeholders do; always the same
                // one's.
                Some(known) if line.placeholders < known.placeholders => {
                    known.placeholders.clone_from(&line.placeholders);
                }
                Some(_) => {}
                None => numbers.lines.push(line.clone()),
            }
        }
        numbers
    }

    fn of_file(&self, file: &TextFile) -> Vec<usize> {
        let lines = file.lines.iter();
        lines.map(|line| self.by_line[&line_key(line)]).collect()
    }

    /// Runs of lines that both texts have. A run in which no line has a letter or a digit does
    /// not count.
    fn common_lines(&self, a: &[usize], b: &[usize]) -> Ancestor {
        let pairs = match_lines(a, b);
        let mut common = Ancestor::default();
        for run in pairs.chunk_by(|x, y| is_common(x) == is_common(y)) {
            let has_words = |(in_a, _): &(Option<usize>, Option<usize>)| {
                in_a.is_some_and(|at| self.lines[a[at]].text.chars().any(char::is_alphanumeric))
            };
            if !is_common(&run[0]) || !run.iter().any(has_words) {
                continue;
            }
            for (in_a, in_b) in run {
                common.lines.extend(in_a.map(|at| a[at]));
                common.in_a.push(*in_a);
                common.in_b.push(*in_b);
            }
        }
        common
    }
}

fn is_common((in_a, in_b): &(Option<usize>, Option<usize>)) -> bool {
    in_a.is_some() && in_b.is_some()
}

fn line_key(line: &TextLine) -> (String, bool) {
    (line.text.clone(), line.placeholders.is_some())
}

struct Merger<'a> {
    numbers: &'a LineNumbers,
    sides: [MergeSide<'a>; 2],
    has_base: bool,
    lines: Vec<TextLine>,
    conflicts: usize,
    is_clean: bool,
}

impl Merger<'_> {
    /// Adds the lines that both sides still have, and between them what changed.
    fn add_all(&mut self, ancestor: &Ancestor, a: &[usize], b: &[usize]) {
        let (mut start, mut a_start, mut b_start) = (0, 0, 0);
        for end in 0..=ancestor.lines.len() {
            let (in_a, in_b) = if end == ancestor.lines.len() {
                (Some(a.len()), Some(b.len()))
            } else {
                (ancestor.in_a[end], ancestor.in_b[end])
            };
            let (Some(a_end), Some(b_end)) = (in_a, in_b) else {
                continue;
            };
            self.add_region(
                &ancestor.lines[start..end],
                &a[a_start..a_end],
                &b[b_start..b_end],
            );
            self.add(ancestor.lines.get(end..=end).unwrap_or_default());
            (start, a_start, b_start) = (end + 1, a_end + 1, b_end + 1);
        }
    }

    /// Adds the lines between two unchanged ones.
    fn add_region(&mut self, base: &[usize], a: &[usize], b: &[usize]) {
        if a == base || b == base || a == b {
            return self.add(if a == base { b } else { a });
        }
        self.is_clean = false;
        let prefix = common_prefix(a, b);
        let suffix = common_suffix(&a[prefix..], &b[prefix..]);
        self.add(&a[..prefix]);
        self.add_differing(
            base,
            &a[prefix..a.len() - suffix],
            &b[prefix..b.len() - suffix],
        );
        self.add(&a[a.len() - suffix..]);
    }

    fn add_differing(&mut self, base: &[usize], a: &[usize], b: &[usize]) {
        if is_subsequence(a, b) || is_subsequence(b, a) {
            // A change wins over a removal, and an addition over nothing.
            return self.add(if a.len() >= b.len() { a } else { b });
        }
        let (first, second) = if self.text(a) <= self.text(b) {
            ((0, a), (1, b))
        } else {
            ((1, b), (0, a))
        };
        if self.has_base && base.is_empty() {
            self.add(first.1);
            return self.add(second.1);
        }
        self.conflicts += 1;
        let [one, other] = [first.0, second.0].map(|side| safe_name(self.sides[side].machine));
        self.add_words(format!(
            "[ccsync: these lines differ on two machines. On {one}:]"
        ));
        self.add(first.1);
        self.add_words(format!("[ccsync: on {other}:]"));
        self.add(second.1);
        self.add_words("[ccsync: until here. Keep what is right, and remove these three lines.]");
    }

    fn text(&self, numbers: &[usize]) -> Vec<(&str, bool)> {
        let lines = numbers.iter().map(|number| &self.numbers.lines[*number]);
        lines
            .map(|line| (line.text.as_str(), line.placeholders.is_some()))
            .collect()
    }

    fn add(&mut self, numbers: &[usize]) {
        let lines = numbers.iter().map(|number| &self.numbers.lines[*number]);
        self.lines.extend(lines.cloned());
    }

    fn add_words(&mut self, text: impl Into<String>) {
        self.lines.push(TextLine::plain(text));
    }
}

/// Returns true if `whole` has all of `part`, in the same order.
fn is_subsequence(part: &[usize], whole: &[usize]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|line| whole.any(|other| other == line))
}

/// A machine's name without anything that could be mistaken for another part of the text.
fn safe_name(name: &str) -> String {
    let is_safe = |c: &char| !c.is_control() && !matches!(c, '[' | ']' | '\u{2028}' | '\u{2029}');
    let name: String = name
        .chars()
        .filter(is_safe)
        .take(MAX_MACHINE_NAME)
        .collect();
    match name.trim() {
        "" => "another machine".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::extras::text_file::{self, lines_of};

    fn file(text: &str) -> TextFile {
        let lines = lines_of(text).into_iter().map(TextLine::plain).collect();
        TextFile::new(lines, text_file::is_unterminated(text), BTreeMap::new())
    }

    fn side<'a>(file: &'a TextFile, machine: &'a str) -> MergeSide<'a> {
        MergeSide { file, machine }
    }

    fn merged(base: Option<&str>, a: &str, b: &str) -> (String, usize) {
        let (base, a, b) = (base.map(file), file(a), file(b));
        let merged = merge(base.as_ref(), side(&a, "laptop"), side(&b, "desk"));
        (merged.file.text(), merged.conflicts)
    }

    #[test]
    fn merge_separate_changes_are_both_applied() {
        assert_eq!(
            merged(Some("1\n2\n3\n4\n"), "0\n1\n2\n3\n4\n", "1\n2\n3\nfour\n"),
            ("0\n1\n2\n3\nfour\n".to_owned(), 0)
        );
        assert_eq!(
            merged(Some("1\n2\n3\n"), "1\n3\n", "1\n2\n3\n4"),
            ("1\n3\n4".to_owned(), 0)
        );
    }

    #[test]
    fn merge_additions_at_one_place_are_both_kept() {
        assert_eq!(
            merged(Some("# i\n"), "# i\n- b\n", "# i\n- a\n"),
            ("# i\n- a\n- b\n".to_owned(), 0)
        );
        assert_eq!(
            merged(Some("# i"), "# i\n- b", "# i\n- a"),
            ("# i\n- a\n- b".to_owned(), 0)
        );
    }

    #[test]
    fn merge_conflicting_lines_are_both_kept_and_labelled() {
        let expected = "x\n[ccsync: these lines differ on two machines. On desk:]\nblue\n\
                        [ccsync: on laptop:]\nred\n\
                        [ccsync: until here. Keep what is right, and remove these three lines.]\n\
                        y\n";
        assert_eq!(
            merged(Some("x\ngreen\ny\n"), "x\nred\ny\n", "x\nblue\ny\n"),
            (expected.to_owned(), 1)
        );
        assert_eq!(
            merged(None, "x\nred\ny\n", "x\nblue\ny\n"),
            (expected.to_owned(), 1)
        );
        // A machine that has the merged text already sees no second conflict.
        assert_eq!(
            merged(Some("x\ngreen\ny\n"), "x\nred\ny\n", expected),
            (expected.to_owned(), 0)
        );
    }

    #[test]
    fn merge_change_wins_over_removal() {
        assert_eq!(
            merged(Some("a\nb\nc\n"), "a\nc\n", "a\nB\nc\n"),
            ("a\nB\nc\n".to_owned(), 0)
        );
    }

    #[test]
    fn merge_hostile_machine_name_is_sanitized() {
        let (a, b) = (file("a\n"), file("b\n"));
        let hostile = "x:]\n\u{1b}[2Jignore all[";
        let text = merge(None, side(&a, hostile), side(&b, "")).file.text();
        assert!(text.contains("On x:2Jignore all:]\n"), "{text}");
        assert!(text.contains("on another machine:]\n"), "{text}");
    }

    fn text() -> impl Strategy<Value = String> {
        (vec("[abcd]{0,2}", 0..8), any::<bool>()).prop_map(|(lines, ends)| {
            let text = lines.join("\n");
            if ends && !text.is_empty() {
                text + "\n"
            } else {
                text
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn merge_is_symmetric_and_keeps_additions(base in proptest::option::of(text()), a in text(), b in text()) {
            let (one, n) = merged(base.as_deref(), &a, &b);
            let (file_a, file_b) = (file(&a), file(&b));
            let base_file = base.as_deref().map(file);
            let other = merge(base_file.as_ref(), side(&file_b, "desk"), side(&file_a, "laptop"));
            prop_assert_eq!(&one, &other.file.text());
            prop_assert_eq!(n, other.conflicts);
            let before: Vec<_> = base.iter().flat_map(|base| base.lines()).collect();
            let after: Vec<_> = one.lines().collect();
            for line in a.lines().chain(b.lines()).filter(|line| !before.contains(line)) {
                prop_assert!(after.contains(&line), "{:?} is lost in {:?}", line, one);
            }
        }

        #[test]
        fn merge_repeated_is_idempotent(base in text(), a in text(), b in text()) {
            let (once, _) = merged(Some(&base), &a, &b);
            prop_assert_eq!(merged(Some(&base), &once, &once).0, once.clone());
            prop_assert_eq!(merged(Some(&base), &a, &a).0, a.clone());
            prop_assert_eq!(merged(Some(&base), &base, &b).0, b.clone());
            prop_assert_eq!(merged(Some(&a), &a, &once).0, once.clone());
            // A pull that was killed after it wrote the file loses nothing that was added.
            let (again, _) = merged(Some(&base), &once, &b);
            for line in once.lines().filter(|line| !base.lines().any(|old| old == *line)) {
                prop_assert!(again.lines().any(|other| other == line), "{:?} is lost in {:?}", line, again);
            }
        }
    }
}
