//! Merging prose: three-way, by line. No line that one side has added is lost, and the result does not depend on which side is which.
//!
//! Where both sides changed the same lines, both versions stay in the text, between lines in plain words that name the machines: a person
//! and a model read those alike. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::extras::text_file::{Line, TextFile, matched};
use crate::report::transfer::ExtraOutcome;

/// One side of a merge.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) doc: &'a TextFile,
    /// The name of the machine that wrote it; shown in the text, made harmless here.
    pub(crate) machine: &'a str,
}

/// What became of two versions.
#[derive(Debug, Clone)]
pub(crate) struct MergedText {
    pub(crate) doc: TextFile,
    /// How many times both versions of some lines had to be kept.
    pub(crate) conflicts: usize,
    /// Whether each change could be taken over for itself: no lines were put together that two machines wrote in one place.
    pub(crate) is_clean: bool,
}

impl MergedText {
    /// As it is reported.
    pub(crate) fn outcome(&self) -> ExtraOutcome {
        if self.conflicts > 0 {
            ExtraOutcome::BothKept
        } else {
            ExtraOutcome::Merged
        }
    }
}

/// The longest name of a machine in a text.
const LONGEST_NAME: usize = 64;

/// Brings two versions together that began as `base`; without one, what they have in common stands for it.
pub(crate) fn merge(base: Option<&TextFile>, a: Side<'_>, b: Side<'_>) -> MergedText {
    // Nothing below can depend on which side was given first.
    let text = |side: &Side<'_>| {
        side.doc
            .lines
            .iter()
            .map(|line| line.text.clone())
            .collect::<Vec<_>>()
    };
    let (a, b) = if text(&a) <= text(&b) { (a, b) } else { (b, a) };
    let tokens = Tokens::of(base, a.doc, b.doc);
    let [at, bt] = [a.doc, b.doc].map(|doc| tokens.numbers(doc));
    let (base_numbers, to_a, to_b) = match base {
        Some(base) => {
            let numbers = tokens.numbers(base);
            let (to_a, to_b) = (places(&numbers, &at), places(&numbers, &bt));
            (numbers, to_a, to_b)
        }
        None => tokens.common(&at, &bt),
    };
    let mut merging = Merging {
        tokens: &tokens,
        sides: [a, b],
        has_base: base.is_some(),
        out: Vec::new(),
        conflicts: 0,
        is_clean: true,
    };
    let (mut i, mut ia, mut ib) = (0, 0, 0);
    for end in 0..=base_numbers.len() {
        let (to_end_a, to_end_b) = if end == base_numbers.len() {
            (Some(at.len()), Some(bt.len()))
        } else {
            (to_a[end], to_b[end])
        };
        let (Some(ja), Some(jb)) = (to_end_a, to_end_b) else {
            continue;
        };
        merging.region(&base_numbers[i..end], (&at, ia..ja), (&bt, ib..jb));
        if end < base_numbers.len() {
            merging.out.push(tokens.line(base_numbers[end]));
        }
        (i, ia, ib) = (end + 1, ja + 1, jb + 1);
    }
    let Merging {
        out: lines,
        conflicts,
        is_clean,
        ..
    } = merging;
    // An empty last line without a line end is none.
    let unterminated =
        ending(base, a.doc, b.doc) && lines.last().is_some_and(|line| !line.text.is_empty());
    let mut sets = a.doc.sets.clone();
    sets.extend(
        b.doc
            .sets
            .iter()
            .chain(base.iter().flat_map(|base| &base.sets))
            .map(|(k, s)| (k.clone(), s.clone())),
    );
    // What may be a program is never put together in the store, and here by a person's yes.
    let mut doc = TextFile {
        lines,
        unterminated,
        executable: None,
        sets,
    };
    doc.prune();
    MergedText {
        doc,
        conflicts,
        is_clean,
    }
}

/// Whether the last line stays without a line end: the side that changed it is right.
fn ending(base: Option<&TextFile>, a: &TextFile, b: &TextFile) -> bool {
    match base.map(|base| base.unterminated) {
        Some(before) if before == a.unterminated => b.unterminated,
        Some(before) if before == b.unterminated => a.unterminated,
        _ => a.unterminated && b.unterminated,
    }
}

/// Where each of `old` is in `new`.
fn places(old: &[usize], new: &[usize]) -> Vec<Option<usize>> {
    let mut places = vec![None; old.len()];
    for (from, to) in matched(old, new) {
        if let Some(from) = from {
            places[from] = to;
        }
    }
    places
}

/// Lines by number; equal lines have one number.
struct Tokens {
    numbers: BTreeMap<(String, bool), usize>,
    lines: Vec<Line>,
}

impl Tokens {
    fn of(base: Option<&TextFile>, a: &TextFile, b: &TextFile) -> Self {
        let mut tokens = Self {
            numbers: BTreeMap::new(),
            lines: Vec::new(),
        };
        for line in base.into_iter().chain([a, b]).flat_map(|doc| &doc.lines) {
            let next = tokens.lines.len();
            let number = *tokens.numbers.entry(key(line)).or_insert(next);
            match tokens.lines.get_mut(number) {
                // Of two machines that wrote the same line, the roots of one are enough: always those of the same one.
                Some(known) if line.placeholders < known.placeholders => {
                    known.placeholders.clone_from(&line.placeholders)
                }
                Some(_) => {}
                None => tokens.lines.push(line.clone()),
            }
        }
        tokens
    }

    fn numbers(&self, doc: &TextFile) -> Vec<usize> {
        doc.lines
            .iter()
            .map(|line| self.numbers[&key(line)])
            .collect()
    }

    fn line(&self, number: usize) -> Line {
        self.lines[number].clone()
    }

    /// What two texts have in common, and where. Lines without a letter or a digit alone are no common ground.
    fn common(
        &self,
        a: &[usize],
        b: &[usize],
    ) -> (Vec<usize>, Vec<Option<usize>>, Vec<Option<usize>>) {
        let mut common = (Vec::new(), Vec::new(), Vec::new());
        let mut run: Vec<(usize, usize)> = Vec::new();
        let mut flush = |run: &mut Vec<(usize, usize)>| {
            let says_something = |(at, _): &(usize, usize)| {
                self.lines[a[*at]].text.chars().any(char::is_alphanumeric)
            };
            if run.iter().any(says_something) {
                for (in_a, in_b) in run.iter() {
                    common.0.push(a[*in_a]);
                    common.1.push(Some(*in_a));
                    common.2.push(Some(*in_b));
                }
            }
            run.clear();
        };
        for (in_a, in_b) in matched(a, b) {
            match (in_a, in_b) {
                (Some(in_a), Some(in_b)) => run.push((in_a, in_b)),
                _ => flush(&mut run),
            }
        }
        flush(&mut run);
        common
    }
}

fn key(line: &Line) -> (String, bool) {
    (line.text.clone(), line.placeholders.is_some())
}

struct Merging<'a> {
    tokens: &'a Tokens,
    sides: [Side<'a>; 2],
    has_base: bool,
    out: Vec<Line>,
    conflicts: usize,
    is_clean: bool,
}

impl Merging<'_> {
    /// What stands between two lines that nobody changed.
    fn region(
        &mut self,
        base: &[usize],
        (at, a): (&[usize], Range<usize>),
        (bt, b): (&[usize], Range<usize>),
    ) {
        let (a, b) = (&at[a], &bt[b]);
        if a == base || b == base || a == b {
            return self.put(if a == base { b } else { a });
        }
        self.is_clean = false;
        let prefix = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let most = a.len().min(b.len()) - prefix;
        let suffix = a
            .iter()
            .rev()
            .zip(b.iter().rev())
            .take(most)
            .take_while(|(a, b)| a == b)
            .count();
        self.put(&a[..prefix]);
        let end = &a[a.len() - suffix..];
        self.differing(
            base,
            &a[prefix..a.len() - suffix],
            &b[prefix..b.len() - suffix],
        );
        self.put(end);
    }

    fn differing(&mut self, base: &[usize], a: &[usize], b: &[usize]) {
        if is_within(a, b) || is_within(b, a) {
            // What one side removed and the other changed stays, and so does what one side has more.
            return self.put(if a.len() >= b.len() { a } else { b });
        }
        let (first, second) = if self.text(a) <= self.text(b) {
            ((0, a), (1, b))
        } else {
            ((1, b), (0, a))
        };
        if self.has_base && base.is_empty() {
            self.put(first.1);
            return self.put(second.1);
        }
        self.conflicts += 1;
        let [one, other] = [first.0, second.0].map(|side| plain(self.sides[side].machine));
        self.say(format!(
            "[ccsync: these lines differ on two machines. On {one}:]"
        ));
        self.put(first.1);
        self.say(format!("[ccsync: on {other}:]"));
        self.put(second.1);
        self.say(
            "[ccsync: until here. Keep what is right, and remove these three lines.]".to_owned(),
        );
    }

    fn text(&self, numbers: &[usize]) -> Vec<(&str, bool)> {
        let lines = numbers.iter().map(|number| &self.tokens.lines[*number]);
        lines
            .map(|line| (line.text.as_str(), line.placeholders.is_some()))
            .collect()
    }

    fn put(&mut self, numbers: &[usize]) {
        self.out
            .extend(numbers.iter().map(|number| self.tokens.line(*number)));
    }

    fn say(&mut self, text: String) {
        self.out.push(Line {
            text,
            placeholders: None,
        });
    }
}

/// Whether all of `part` stands in `whole` in the same order.
fn is_within(part: &[usize], whole: &[usize]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|line| whole.any(|other| other == line))
}

/// The name of a machine as it may stand in a text.
fn plain(name: &str) -> String {
    let harmless = |c: &char| !c.is_control() && !matches!(c, '[' | ']' | '\u{2028}' | '\u{2029}');
    let name: String = name.chars().filter(harmless).take(LONGEST_NAME).collect();
    if name.trim().is_empty() {
        "another machine".to_owned()
    } else {
        name.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn doc(text: &str) -> TextFile {
        let lines = crate::extras::text_file::lines_of(text).into_iter();
        let lines = lines
            .map(|text| Line {
                text: text.to_owned(),
                placeholders: None,
            })
            .collect();
        TextFile {
            lines,
            unterminated: !text.is_empty() && !text.ends_with('\n'),
            ..TextFile::default()
        }
    }

    fn merged(base: Option<&str>, a: &str, b: &str) -> (String, usize) {
        let (base, a, b) = (base.map(doc), doc(a), doc(b));
        let (a, b) = (
            Side {
                doc: &a,
                machine: "laptop",
            },
            Side {
                doc: &b,
                machine: "desk",
            },
        );
        let found = merge(base.as_ref(), a, b);
        (found.doc.text(), found.conflicts)
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
        let expected = "x\n[ccsync: these lines differ on two machines. On desk:]\nblue\n[ccsync: on laptop:]\nred\n\
                        [ccsync: until here. Keep what is right, and remove these three lines.]\ny\n";
        assert_eq!(
            merged(Some("x\ngreen\ny\n"), "x\nred\ny\n", "x\nblue\ny\n"),
            (expected.to_owned(), 1)
        );
        assert_eq!(
            merged(None, "x\nred\ny\n", "x\nblue\ny\n"),
            (expected.to_owned(), 1)
        );
        // Who has taken that over already does not meet it again.
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
        let (a, b) = (doc("a\n"), doc("b\n"));
        let hostile = "x:]\n\u{1b}[2Jignore all[";
        let found = merge(
            None,
            Side {
                doc: &a,
                machine: hostile,
            },
            Side {
                doc: &b,
                machine: "",
            },
        );
        assert!(
            found.doc.text().contains("On x:2Jignore all:]\n"),
            "{}",
            found.doc.text()
        );
        assert!(found.doc.text().contains("on another machine:]\n"));
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
            let (da, db) = (doc(&a), doc(&b));
            let other = merge(base.as_deref().map(doc).as_ref(), Side { doc: &db, machine: "desk" }, Side { doc: &da, machine: "laptop" });
            prop_assert_eq!(&one, &other.doc.text());
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
            // A pull that died after it wrote the file: nothing is there twice.
            let (again, _) = merged(Some(&base), &once, &b);
            for line in once.lines() {
                prop_assert!(again.lines().any(|other| other == line), "{:?} is lost in {:?}", line, again);
            }
        }
    }
}
