//! A text of prose in its portable form, line by line, and how it reads on this machine.
//!
//! Each line says with which roots it was collapsed, because lines of several machines stand in one text. What does not come back
//! exactly is kept as it was written. Must not do I/O.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::domain::id::MachineId;
use crate::domain::placeholder::{Placeholder, Placeholders};
use crate::rewrite::{Collapser, Expander, TextKind, View};
use crate::store::bundle::{ExtraRun, MAX_TEXT_BYTES, StoredExtra};
use crate::store::manifest::PlaceholdersKey;

/// A line without its line end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// Portable text.
    pub(crate) text: String,
    /// The roots it was collapsed with; `None`: it reads like this everywhere.
    pub(crate) placeholders: Option<PlaceholdersKey>,
}

/// A whole text, and whether it is a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextFile {
    pub(crate) lines: Vec<Line>,
    /// The last line has no line end.
    pub(crate) unterminated: bool,
    /// Whether its owner may run it; `None`: nothing says so, because it is no file of a skill, no machine knew, or an older ccsync stored it.
    pub(crate) executable: Option<bool>,
    /// What the lines' roots are.
    pub(crate) sets: BTreeMap<PlaceholdersKey, Placeholders>,
}

/// Why a stored text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadText {
    #[error("its lines are not those that the store describes")]
    Lines,
    #[error("it would become many times longer here than it is in the store")]
    Oversized,
    #[error("it would not be text here")]
    NoText,
}

impl TextFile {
    /// The stored text with what the store says of its lines.
    pub(crate) fn of_stored(
        text: &str,
        runs: &[ExtraRun],
        executable: Option<bool>,
        placeholders: &BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Result<Self, BadText> {
        let mut doc = Self {
            unterminated: is_unterminated(text),
            executable,
            ..Self::default()
        };
        let mut lines = lines_of(text).into_iter();
        for run in runs {
            let count = usize::try_from(run.lines).map_err(|_| BadText::Lines)?;
            let before = doc.lines.len();
            let some = lines.by_ref().take(count);
            doc.lines.extend(some.map(|text| Line {
                text: text.to_owned(),
                placeholders: run.placeholders.clone(),
            }));
            if doc.lines.len() - before != count {
                return Err(BadText::Lines);
            }
            if let Some(key) = &run.placeholders {
                doc.sets.insert(
                    key.clone(),
                    placeholders.get(key).ok_or(BadText::Lines)?.clone(),
                );
            }
        }
        if lines.next().is_none() {
            Ok(doc)
        } else {
            Err(BadText::Lines)
        }
    }

    /// What the store says of its lines; the text itself is [`Self::text`].
    pub(crate) fn described(&self, machine: MachineId) -> StoredExtra {
        let (bytes, executable, runs) = (self.text().len() as u64, self.executable, self.runs());
        StoredExtra {
            machine,
            bytes,
            modified_on: None,
            executable,
            runs,
        }
    }

    /// Which lines read in the same way.
    pub(crate) fn runs(&self) -> Vec<ExtraRun> {
        let mut runs: Vec<ExtraRun> = Vec::new();
        for line in &self.lines {
            match runs.last_mut() {
                Some(run) if run.placeholders == line.placeholders => run.lines += 1,
                _ => runs.push(ExtraRun {
                    lines: 1,
                    placeholders: line.placeholders.clone(),
                }),
            }
        }
        runs
    }

    /// The portable text.
    pub(crate) fn text(&self) -> String {
        joined(
            self.lines.iter().map(|line| line.text.as_str()),
            self.unterminated,
        )
    }

    /// Whether it has nothing new to `before`: the same text, to be read in the same way, and nothing else said of whether it is a program.
    pub(crate) fn is_still(&self, before: &Self) -> bool {
        let pairs = self.lines.iter().zip(&before.lines);
        self.executable.is_none_or(|now| now == before.is_program())
            && self.unterminated == before.unterminated
            && self.lines.len() == before.lines.len()
            && pairs.into_iter().all(|(a, b)| {
                a.text == b.text && a.placeholders.is_some() == b.placeholders.is_some()
            })
    }

    pub(crate) fn is_program(&self) -> bool {
        self.executable == Some(true)
    }

    /// The same text with what this machine says of whether it is a program; `None`: it cannot say. That something is none is said only
    /// where somebody has said otherwise, so that nothing is new to a store in which no machine has said anything.
    pub(crate) fn with_executable(mut self, before: Option<&Self>, here: Option<bool>) -> Self {
        let known = before.and_then(|before| before.executable);
        self.executable = match here {
            Some(here) if here || known.is_some() => Some(here),
            _ => known,
        };
        self
    }

    /// Forgets root sets that no line refers to.
    pub(crate) fn prune(&mut self) {
        let used: std::collections::BTreeSet<_> = self
            .lines
            .iter()
            .filter_map(|line| line.placeholders.clone())
            .collect();
        self.sets.retain(|key, _| used.contains(key));
    }
}

/// First 32 hexadecimal digits of a text's hash.
pub(crate) fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// The lines of a text without their line ends.
pub(crate) fn lines_of(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    text.strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .collect()
}

fn is_unterminated(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('\n')
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>, unterminated: bool) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    if unterminated {
        text.pop();
    }
    text
}

/// How the texts of one owner read on this machine.
pub(crate) struct PathRewriter {
    here: Placeholders,
    key: PlaceholdersKey,
    collapser: Collapser,
    exact: Expander,
    expanders: RefCell<HashMap<PlaceholdersKey, Rc<Expander>>>,
}

/// The root that a project's main checkout has in its memory, so that its files are found in a clone that lies elsewhere.
const REPO: &str = "REPO";

impl PathRewriter {
    /// For texts of the project in `checkout`, which has a root of its own where it `has_identity`; for the user's own files without one.
    pub(crate) fn new(placeholders: &Placeholders, checkout: Option<(&Path, bool)>) -> Self {
        let path = checkout.and_then(|(path, _)| path.to_str());
        let repo = checkout.zip(path).and_then(|((_, has_identity), path)| {
            has_identity.then(|| repo_root(placeholders, path))?
        });
        let here = Placeholders::new(
            placeholders.system,
            placeholders.placeholders.iter().cloned().chain(repo),
        );
        let directories: Vec<String> = path.map(str::to_owned).into_iter().collect();
        Self {
            key: PlaceholdersKey::new(&here),
            collapser: Collapser::new(&here, &directories),
            exact: Expander::exact(&here),
            expanders: RefCell::default(),
            here,
        }
    }

    /// The portable form of a text of this machine.
    pub(crate) fn collapse(&self, local: &str) -> TextFile {
        self.doc(
            lines_of(local)
                .into_iter()
                .map(|line| self.collapse_line(line))
                .collect(),
            local,
        )
    }

    /// The portable form of a text of this machine that began as `base`, which read `base_local` here: lines that are still the same
    /// stay as they are in the store.
    pub(crate) fn collapse_from(&self, base: &TextFile, base_local: &str, local: &str) -> TextFile {
        let (before, now) = (lines_of(base_local), lines_of(local));
        if before.len() != base.lines.len() {
            return self.collapse(local);
        }
        let mut lines = Vec::with_capacity(now.len());
        for (old, new) in matched(&before, &now) {
            match (old, new) {
                (Some(old), Some(_)) => lines.push(base.lines[old].clone()),
                (None, Some(new)) => lines.push(self.collapse_line(now[new])),
                (_, None) => {}
            }
        }
        let mut doc = self.doc(lines, local);
        doc.sets.extend(
            base.sets
                .iter()
                .map(|(key, set)| (key.clone(), set.clone())),
        );
        doc.prune();
        doc
    }

    fn doc(&self, lines: Vec<Line>, local: &str) -> TextFile {
        let sets = BTreeMap::from([(self.key.clone(), self.here.clone())]);
        let mut doc = TextFile {
            lines,
            unterminated: is_unterminated(local),
            executable: None,
            sets,
        };
        doc.prune();
        doc
    }

    /// How many lines are kept as they were written because they would not come back exactly.
    pub(crate) fn verbatim(&self, doc: &TextFile) -> u64 {
        let plain = doc.lines.iter().filter(|line| line.placeholders.is_none());
        plain.filter(|line| !self.portable(&line.text).1).count() as u64
    }

    /// The portable form of a line, and whether it comes back exactly.
    fn portable(&self, line: &str) -> (Vec<u8>, bool) {
        let mut portable = Vec::with_capacity(line.len());
        self.collapser
            .collapse(line.as_bytes(), TextKind::Plain, &mut portable);
        let mut again = Vec::with_capacity(line.len());
        let done = self
            .exact
            .expand_bounded(&portable, TextKind::Plain, &mut again);
        let is_exact = done.is_ok() && again == line.as_bytes() && !portable.contains(&b'\n');
        (portable, is_exact)
    }

    fn collapse_line(&self, line: &str) -> Line {
        let (portable, is_exact) = self.portable(line);
        match String::from_utf8(portable) {
            Ok(text) if is_exact && text != line => Line {
                text,
                placeholders: Some(self.key.clone()),
            },
            // Either nothing in it is a path, or it would not come back: it is kept as it is.
            _ => Line {
                text: line.to_owned(),
                placeholders: None,
            },
        }
    }

    /// The text as it reads here.
    pub(crate) fn expand(&self, doc: &TextFile) -> Result<String, BadText> {
        let mut lines = Vec::with_capacity(doc.lines.len());
        let mut bytes = 0;
        for line in &doc.lines {
            let text = match &line.placeholders {
                None => line.text.clone(),
                Some(key) => self.expand_line(&line.text, key, doc)?,
            };
            bytes += text.len() as u64 + 1;
            if bytes > 2 * MAX_TEXT_BYTES {
                return Err(BadText::Oversized);
            }
            lines.push(text);
        }
        Ok(joined(lines.iter().map(String::as_str), doc.unterminated))
    }

    fn expand_line(
        &self,
        text: &str,
        key: &PlaceholdersKey,
        doc: &TextFile,
    ) -> Result<String, BadText> {
        let mut local = Vec::with_capacity(text.len());
        let expander = self.expander(key, doc)?;
        let done = expander.expand_bounded(text.as_bytes(), TextKind::Plain, &mut local);
        done.map_err(|_| BadText::Oversized)?;
        let local = String::from_utf8(local).map_err(|_| BadText::NoText)?;
        if local.contains('\n') {
            Err(BadText::Lines)
        } else {
            Ok(local)
        }
    }

    fn expander(&self, key: &PlaceholdersKey, doc: &TextFile) -> Result<Rc<Expander>, BadText> {
        if let Some(expander) = self.expanders.borrow().get(key) {
            return Ok(Rc::clone(expander));
        }
        let origin = doc.sets.get(key).ok_or(BadText::Lines)?;
        let expander = if *origin == self.here {
            Expander::exact(origin)
        } else {
            Expander::new(origin, &self.here, View::Local)
        };
        let expander = Rc::new(expander);
        self.expanders
            .borrow_mut()
            .insert(key.clone(), Rc::clone(&expander));
        Ok(expander)
    }
}

/// The root of a main checkout; none where another root is that directory already.
fn repo_root(placeholders: &Placeholders, path: &str) -> Option<Placeholder> {
    let root = Placeholder::new(placeholders.system, REPO.parse().ok()?, path, None).ok()?;
    let is_taken = |other: &Placeholder| {
        other.directory == root.directory || other.resolved.as_ref() == Some(&root.directory)
    };
    let free = placeholders.get(REPO).is_none() && !placeholders.placeholders.iter().any(is_taken);
    free.then_some(root)
}

/// More lines than these, multiplied, are not compared one by one: two texts that large and that different have nothing in common.
const MOST_PAIRS: usize = 16_000_000;

/// Which element of `new` is which of `old`, in order; what only one has stands alone.
pub(crate) fn matched<T: Eq + std::hash::Hash + Ord>(
    old: &[T],
    new: &[T],
) -> Vec<(Option<usize>, Option<usize>)> {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - prefix;
    let suffix = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let (old_end, new_end) = (old.len() - suffix, new.len() - suffix);
    let mut pairs: Vec<_> = (0..prefix).map(|at| (Some(at), Some(at))).collect();
    if (old_end - prefix).saturating_mul(new_end - prefix) > MOST_PAIRS {
        pairs.extend((prefix..old_end).map(|at| (Some(at), None)));
        pairs.extend((prefix..new_end).map(|at| (None, Some(at))));
    } else {
        for op in capture_diff_slices(
            Algorithm::Myers,
            &old[prefix..old_end],
            &new[prefix..new_end],
        ) {
            let (olds, news) = (op.old_range(), op.new_range());
            if let DiffOp::Equal { .. } = op {
                pairs.extend(
                    olds.zip(news)
                        .map(|(a, b)| (Some(prefix + a), Some(prefix + b))),
                );
            } else {
                pairs.extend(olds.map(|at| (Some(prefix + at), None)));
                pairs.extend(news.map(|at| (None, Some(prefix + at))));
            }
        }
    }
    pairs.extend((0..suffix).map(|at| (Some(old_end + at), Some(new_end + at))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::System;

    fn placeholders(list: &[(&str, &str)]) -> Placeholders {
        let root = |(name, path): &(&str, &str)| {
            Placeholder::new(System::Linux, name.parse().unwrap(), path, None).unwrap()
        };
        Placeholders::new(System::Linux, list.iter().map(root))
    }

    #[test]
    fn extras_text_paths_are_local_and_round_trip() {
        let a = PathRewriter::new(
            &placeholders(&[("HOME", "/home/al"), ("WORK", "/srv/work")]),
            Some((Path::new("/home/al/app"), true)),
        );
        let b = PathRewriter::new(
            &placeholders(&[("HOME", "/Users/bo")]),
            Some((Path::new("/Users/bo/code/app"), true)),
        );
        let local =
            "see /home/al/app/src/x.rs\nand ~/x, {{HOME}}\n/srv/work/y and /home/al/z\n\nno path";
        let doc = a.collapse(local);
        assert_eq!(a.expand(&doc).unwrap(), local);
        let there = b.expand(&doc).unwrap();
        assert_eq!(
            there,
            "see /Users/bo/code/app/src/x.rs\nand ~/x, {{HOME}}\n/srv/work/y and /Users/bo/z\n\nno path"
        );
        let more = format!("{there}\n/Users/bo/new\n");
        let edited = b.collapse_from(&doc, &there, &more);
        assert_eq!(
            edited.lines[..5],
            doc.lines[..],
            "what was not changed here is not collapsed again"
        );
        assert_eq!(
            a.expand(&edited).unwrap(),
            format!("{local}\n/home/al/new\n")
        );
        let stored = edited.described("0123456789abcdef".repeat(2).parse().unwrap());
        let again = TextFile::of_stored(&edited.text(), &stored.runs, None, &edited.sets).unwrap();
        assert!(again.is_still(&edited) && again.lines == edited.lines);
    }

    #[test]
    fn extras_unknown_executable_right_is_unchanged() {
        let doc = |executable| TextFile {
            executable,
            ..TextFile::default()
        };
        for known in [None, Some(false), Some(true)] {
            assert_eq!(
                doc(None)
                    .with_executable(Some(&doc(known)), None)
                    .executable,
                known
            );
            assert!(
                doc(None).is_still(&doc(known)),
                "an older ccsync says nothing"
            );
        }
        assert_eq!(
            doc(None).with_executable(None, Some(false)).executable,
            None,
            "nothing new to a store that says nothing"
        );
        assert_eq!(
            doc(None)
                .with_executable(Some(&doc(Some(true))), Some(false))
                .executable,
            Some(false)
        );
        assert!(
            !doc(Some(true)).is_still(&doc(None)) && !doc(Some(false)).is_still(&doc(Some(true)))
        );
        assert!(doc(Some(false)).is_still(&doc(None)));
    }

    #[test]
    fn extras_text_line_ends_round_trip() {
        let path_rewriter = PathRewriter::new(&placeholders(&[("HOME", "/home/al")]), None);
        for text in ["", "\n", "a", "a\n", "a\n\n", "\n\n", "a\r\nb"] {
            assert_eq!(
                path_rewriter.expand(&path_rewriter.collapse(text)).unwrap(),
                text,
                "{text:?}"
            );
            assert_eq!(path_rewriter.collapse(text).text(), text, "{text:?}");
        }
    }

    #[test]
    fn extras_inconsistent_stored_text_is_refused() {
        let run = |lines| ExtraRun {
            lines,
            placeholders: None,
        };
        for runs in [
            vec![],
            vec![run(1)],
            vec![run(3)],
            vec![run(2), run(1)],
            vec![run(u64::MAX)],
        ] {
            assert_eq!(
                TextFile::of_stored("a\nb\n", &runs, None, &BTreeMap::new()).unwrap_err(),
                BadText::Lines
            );
        }
    }
}
