//! The searched text in parts: character sequences, classes, repetitions, alternatives.
//!
//! Owns the parsing of a regular expression for the search of raw store bytes. Drops
//! anchors (`^`, `\b`): the result matches more, never less. Pure.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

/// A part of a regular expression; parts in a list follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A sequence of characters.
    Run { text: String, ignores_case: bool },
    /// One character of a class.
    Class(ClassUnicode),
    /// These parts, any number of times including zero.
    Repeated { parts: Vec<Self>, is_optional: bool },
    /// One of several alternatives.
    OneOf(Vec<Vec<Self>>),
    /// Anything.
    Anything,
}

/// Returns the parts of a regular expression; `None` if it is invalid.
pub(crate) fn parts(pattern: &str, ignores_case: bool) -> Option<Vec<Part>> {
    let hir = regex_syntax::ParserBuilder::new()
        .multi_line(true)
        .build()
        .parse(pattern)
        .ok()?;
    Some(PartsBuilder::build(&hir, ignores_case))
}

/// Returns the character in all its cases, as a case-insensitive regular expression
/// matches them.
pub(crate) fn cases(c: char) -> Vec<char> {
    let class = folded(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        .unwrap_or_else(ClassUnicode::empty);
    let cases = class
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .filter(|case| *case != c);
    std::iter::once(c).chain(cases).collect()
}

fn folded(mut class: ClassUnicode) -> Option<ClassUnicode> {
    class.try_case_fold_simple().ok()?;
    Some(class)
}

/// Parser state of a concatenation.
struct PartsBuilder {
    /// Parts of the whole expression.
    ignores_case: bool,
    /// The current character sequence, and true if it ignores case. One such letter makes
    /// the whole sequence ignore case.
    run: (String, bool),
    parts: Vec<Part>,
}

impl PartsBuilder {
    fn build(hir: &Hir, ignores_case: bool) -> Vec<Part> {
        let mut reading = Self {
            ignores_case,
            run: Default::default(),
            parts: Vec::new(),
        };
        reading.read(hir);
        reading.end_run();
        reading.parts
    }

    fn read(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.run.0.push_str(text),
                Err(_) => self.push(Part::Anything),
            },
            HirKind::Class(class) => self.class(class),
            HirKind::Capture(group) => self.read(&group.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.read(part)),
            HirKind::Repetition(repetition) => {
                let parts = Self::build(&repetition.sub, self.ignores_case);
                self.push(Part::Repeated {
                    parts,
                    is_optional: repetition.min == 0,
                });
            }
            HirKind::Alternation(branches) => {
                let branches = branches
                    .iter()
                    .map(|branch| Self::build(branch, self.ignores_case));
                let branches = branches.collect();
                self.push(Part::OneOf(branches));
            }
        }
    }

    fn class(&mut self, class: &Class) {
        let class = match class {
            Class::Unicode(class) => Some(class.clone()),
            Class::Bytes(class) => class.to_unicode_class(),
        };
        if let Some(letter) = class.as_ref().and_then(letter_of) {
            self.run.0.push(letter);
            self.run.1 = true;
            return;
        }
        let class = if self.ignores_case {
            class.and_then(folded)
        } else {
            class
        };
        self.push(class.map_or(Part::Anything, Part::Class));
    }

    fn push(&mut self, part: Part) {
        self.end_run();
        self.parts.push(part);
    }

    fn end_run(&mut self) {
        let (text, ignores_case) = std::mem::take(&mut self.run);
        if !text.is_empty() {
            self.parts.push(Part::Run {
                text,
                ignores_case: ignores_case || self.ignores_case,
            });
        }
    }
}

/// Returns the lower-case letter if a class consists of its cases (`[Aa]`).
fn letter_of(class: &ClassUnicode) -> Option<char> {
    const MAX_CASES: usize = 4;
    let chars: Vec<char> = class
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .take(MAX_CASES + 1)
        .collect();
    let letter = chars.iter().copied().find(char::is_ascii_lowercase)?;
    let is_case = |c: &char| {
        c.to_lowercase().eq([letter]) || matches!((*c, letter), ('ſ', 's') | ('\u{212a}', 'k'))
    };
    (chars.len() > 1 && chars.len() <= MAX_CASES && chars.iter().all(is_case)).then_some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_regex_is_split_into_parts() {
        let run = |text: &str, ignores_case| Part::Run {
            text: text.to_owned(),
            ignores_case,
        };
        let read = |pattern: &str| parts(pattern, false).unwrap();
        assert_eq!(read(r"^a(?-i:b)(c)\bd$"), [run("abcd", false)]);
        assert_eq!(read("(?i)ask"), [run("ask", true)]);
        assert_eq!(parts("a", true).unwrap(), [run("a", true)]);
        let repeated = Part::Repeated {
            parts: vec![run("b", false)],
            is_optional: false,
        };
        assert_eq!(
            read("ab{2,3}c"),
            [run("a", false), repeated, run("c", false)]
        );
        assert_eq!(
            read("(?:xy|z\\d)")[0],
            Part::OneOf(vec![vec![run("xy", false)], read("z\\d")])
        );
        assert!(matches!(read(r"\s")[..], [Part::Class(_)]));
        assert_eq!(parts("a(", false), None);
    }

    #[test]
    fn search_class_without_case_has_all_cases() {
        let parts = parts("[b-d]", true).unwrap();
        let [Part::Class(class)] = &parts[..] else {
            panic!("one class")
        };
        assert!(
            class
                .iter()
                .any(|range| range.start() == 'B' && range.end() == 'D')
        );
        assert_eq!(cases('ß'), ['ß', 'ẞ']);
        assert_eq!(cases('σ'), ['σ', 'Σ', 'ς']);
        assert_eq!(cases('日'), ['日']);
    }
}
