//! The text that a placeholder may stand for: paths of all machines in every path form.
//! Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use regex_syntax::hir::ClassUnicode;

use crate::browse::search::parts::cases;

/// All text that placeholders may stand for.
pub(crate) struct Written {
    /// [`folded`].
    paths: Vec<String>,
    chars: BTreeSet<char>,
    converts_separators: bool,
}

impl Written {
    /// Builds it from the path forms of all placeholders.
    pub(crate) fn new(paths: &BTreeSet<String>) -> Self {
        // A directory name covers more than the placeholder's path, and the separators
        // after it are converted.
        let others = (0..=0x7f_u8)
            .map(char::from)
            .filter(|c| c.is_ascii_alphanumeric() || r"-/\%".contains(*c));
        let chars = paths
            .iter()
            .flat_map(|path| path.chars())
            .chain(others)
            .collect();
        // Backslashes before a slash are escapes.
        let has_backslash = |path: &String| {
            path.split('/')
                .any(|part| part.trim_end_matches('\\').contains('\\'))
        };
        let converts_separators = paths.iter().any(has_backslash);
        Self {
            paths: paths.iter().map(|path| folded(path)).collect(),
            chars,
            converts_separators,
        }
    }

    /// Returns true if separators after a placeholder may differ from the stored ones.
    pub(crate) fn converts_separators(&self) -> bool {
        self.converts_separators
    }

    /// Returns true if one of these characters may come from a placeholder.
    pub(crate) fn may_hold(&self, class: &ClassUnicode) -> bool {
        self.chars.iter().any(|c| has(class, *c))
    }

    /// Returns the part of a run that is stored even if text around it comes from a
    /// placeholder; `None` if all of it may.
    pub(crate) fn outside(&self, text: &str, run: Range<usize>) -> Option<Range<usize>> {
        let folded = folded(text);
        let within = folded.get(run.clone())?;
        let (mut start, mut end) = (run.start, run.end);
        for path in &self.paths {
            if path.contains(within) {
                return None;
            }
            let places = || {
                run.clone()
                    .filter(|at| text.is_char_boundary(*at) && folded.is_char_boundary(*at))
            };
            // Offsets at which a path can end and begin.
            let ends = |at: &usize| path.ends_with(&folded[..*at]) || folded[..*at].ends_with(path);
            let begins =
                |at: &usize| path.starts_with(&folded[*at..]) || folded[*at..].starts_with(path);
            start = start.max(places().skip(1).filter(ends).last().unwrap_or(run.start));
            end = end.min(places().find(begins).unwrap_or(run.end));
        }
        (start < end).then_some(start..end)
    }
}

/// Folds the case of each character in place. A case of another length counts as another
/// character.
fn folded(text: &str) -> String {
    let is_as_long = |c: char| move |case: &char| case.len_utf8() == c.len_utf8();
    let fold = |c: char| {
        if c.is_ascii() {
            c.to_ascii_lowercase()
        } else {
            cases(c)
                .into_iter()
                .filter(is_as_long(c))
                .min()
                .unwrap_or(c)
        }
    };
    text.chars().map(fold).collect()
}

/// Returns true if the class contains the character.
pub(crate) fn has(class: &ClassUnicode, c: char) -> bool {
    class
        .iter()
        .any(|range| (range.start()..=range.end()).contains(&c))
}

#[cfg(test)]
impl Written {
    /// On a machine with the home directory of the user `al`.
    pub(crate) fn at_home() -> Self {
        Self::new(
            &["/home/al", "%2Fhome%2Fal", "-home-al", "/srv/My Projects"]
                .map(str::to_owned)
                .into(),
        )
    }
}
