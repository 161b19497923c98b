//! Turns the texts of one owner into their portable form and back. Must not do I/O.
//!
//! A line that would not come back exactly is kept as it was written.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::{Placeholder, Placeholders, ProjectKey};
use crate::extras::line_matching::match_lines;
use crate::extras::text_file::{
    InvalidText, TextFile, TextLine, is_unterminated, join_lines, lines_of,
};
use crate::localize::values_in;
use crate::rewrite::{
    Collapser, Expander, SecretSpan, SecretValues as _, SecretView, TextKind, View, redaction,
    replace_spans, secrets_in, spans_within,
};
use crate::secrets::{FoundSecrets, SecretSource, Secrets};
use crate::store::{bundle::MAX_TEXT_BYTES, manifest::PlaceholdersKey};

/// Name of the placeholder for a project's main checkout, which may differ between machines.
const REPO: &str = "REPO";

/// Collapses and expands the texts of one owner with the placeholders of this machine.
pub(crate) struct PathRewriter {
    here: Placeholders,
    key: PlaceholdersKey,
    collapser: Collapser,
    exact: Expander,
    expanders: RefCell<HashMap<PlaceholdersKey, Rc<Expander>>>,
    secrets: Option<Arc<Secrets>>,
    /// Replaces secrets only.
    secret_collapser: Collapser,
}

impl PathRewriter {
    /// For the memory of the project in `checkout`; for the user's own files without one.
    ///
    /// A checkout of a project with a git remote has a placeholder of its own.
    pub(crate) fn new(
        placeholders: &Placeholders,
        checkout: Option<(&Path, &ProjectKey)>,
        secrets: Option<&Arc<Secrets>>,
    ) -> Self {
        let checkout = checkout.and_then(|(path, key)| Some((path.to_str()?, key)));
        let repo = checkout
            .filter(|(_, key)| matches!(key, ProjectKey::Identity(_)))
            .and_then(|(path, _)| repo_placeholder(placeholders, path));
        let here = Placeholders::new(
            placeholders.system,
            placeholders.placeholders.iter().cloned().chain(repo),
        );
        let directories: Vec<String> = checkout
            .map(|(path, _)| path.to_owned())
            .into_iter()
            .collect();
        let with_secrets = |collapser: Collapser| match secrets {
            Some(secrets) => collapser.with_secrets(Arc::clone(secrets) as _),
            None => collapser,
        };
        let none = Placeholders::new(here.system, []);
        Self {
            key: PlaceholdersKey::new(&here),
            collapser: with_secrets(Collapser::new(&here, &directories)),
            secret_collapser: with_secrets(Collapser::new(&none, &[])),
            secrets: secrets.cloned(),
            exact: Expander::exact(&here),
            expanders: RefCell::default(),
            here,
        }
    }

    /// Returns the portable form of a text of this machine.
    pub(crate) fn collapse(&self, local: &str) -> TextFile {
        let secrets = self.secrets_of_lines(local);
        let lines = lines_of(local).into_iter().zip(&secrets);
        let lines = lines
            .map(|(line, secrets)| self.collapse_line(line, secrets))
            .collect();
        let sets = BTreeMap::from([(self.key.clone(), self.here.clone())]);
        TextFile::new(lines, is_unterminated(local), sets)
    }

    /// Returns the portable form of `local`, a later version of the text `base_local`.
    ///
    /// Unchanged lines keep their form in `base`, the portable form of `base_local`.
    pub(crate) fn collapse_from(&self, base: &TextFile, base_local: &str, local: &str) -> TextFile {
        let (before, now) = (lines_of(base_local), lines_of(local));
        if before.len() != base.lines.len() {
            return self.collapse(local);
        }
        let secrets = self.secrets_of_lines(local);
        let mut lines = Vec::with_capacity(now.len());
        for pair in match_lines(&before, &now) {
            match pair {
                (Some(old), Some(_)) => lines.push(base.lines[old].clone()),
                (None, Some(new)) => lines.push(self.collapse_line(now[new], &secrets[new])),
                (_, None) => {}
            }
        }
        let mut sets = base.sets.clone();
        sets.insert(self.key.clone(), self.here.clone());
        TextFile::new(lines, is_unterminated(local), sets)
    }

    /// Number of lines that are kept as they were written, because they would not come back
    /// exactly.
    pub(crate) fn count_verbatim(&self, file: &TextFile) -> u64 {
        let plain = file.lines.iter().filter(|line| line.placeholders.is_none());
        plain
            .filter(|line| {
                self.try_collapse(&self.collapser, &line.text, &[])
                    .is_none()
            })
            .count() as u64
    }

    /// Returns the secrets in the text of a file that are not in `before`, and remembers where they
    /// are.
    pub(crate) fn find_new_secrets(&self, name: &str, local: &str, before: &str) -> FoundSecrets {
        let Some(secrets) = &self.secrets else {
            return FoundSecrets::default();
        };
        let (text, before) = (local.as_bytes(), before.as_bytes());
        let found = secrets.search_new(text, before, TextKind::Plain);
        let source = SecretSource {
            session: None,
            file: name,
            first_line: 1,
        };
        secrets.record_places(text, &found, &source);
        found
    }

    /// Learns the values of secrets that this machine has lost, from the same lines here.
    pub(crate) fn learn_secrets(&self, stored: &TextFile, local: &str) {
        let Some(secrets) = &self.secrets else {
            return;
        };
        for (line, local) in stored.lines.iter().zip(lines_of(local)) {
            let names = secrets_in(line.text.as_bytes()).map(|(_, name)| name);
            let lost: Vec<_> = names.filter(|name| secrets.value(name).is_none()).collect();
            let key = line.placeholders.as_ref().filter(|_| !lost.is_empty());
            let expected = key.and_then(|key| self.expand_line(&line.text, key, stored).ok());
            let values = expected.and_then(|expected| {
                let values = values_in(expected.as_bytes(), local.as_bytes(), &lost)?;
                Some(
                    values
                        .into_iter()
                        .map(|(name, value)| (name, value.to_vec())),
                )
            });
            for (name, value) in values.into_iter().flatten() {
                secrets.vault().insert(&name, &value);
            }
        }
    }

    /// Returns the secrets of each line. They are searched for in the whole text: a private key
    /// has many lines.
    fn secrets_of_lines(&self, local: &str) -> Vec<Vec<SecretSpan>> {
        let spans = self.collapser.secrets_in(local.as_bytes(), TextKind::Plain);
        let mut at = 0;
        let lines = lines_of(local).into_iter();
        lines
            .map(|line| {
                let start = at;
                at += line.len() + 1;
                spans_within(&spans, start..start + line.len())
            })
            .collect()
    }

    /// Returns the portable form of a line, if it comes back exactly.
    fn try_collapse(
        &self,
        collapser: &Collapser,
        line: &str,
        secrets: &[SecretSpan],
    ) -> Option<String> {
        let mut portable = Vec::with_capacity(line.len());
        collapser.collapse_with(line.as_bytes(), TextKind::Plain, secrets, &mut portable);
        let mut again = Vec::with_capacity(line.len());
        let done =
            self.exact
                .expand_bounded(&portable, TextKind::Plain, self.secret_view(), &mut again);
        let is_exact = done.is_ok() && again == line.as_bytes() && !portable.contains(&b'\n');
        String::from_utf8(portable).ok().filter(|_| is_exact)
    }

    fn collapse_line(&self, line: &str, secrets: &[SecretSpan]) -> TextLine {
        let portable = self
            .try_collapse(&self.collapser, line, secrets)
            .or_else(|| {
                // Without paths, a line with secrets is exact, too.
                let portable = self.try_collapse(&self.secret_collapser, line, secrets);
                portable.filter(|_| !secrets.is_empty())
            });
        match portable {
            Some(text) if text != line => TextLine {
                text,
                placeholders: Some(self.key.clone()),
            },
            None if !secrets.is_empty() => {
                let redacted = replace_spans(line.as_bytes(), secrets, redaction);
                TextLine::plain(&*String::from_utf8_lossy(&redacted))
            }
            _ => TextLine::plain(line),
        }
    }

    fn secret_view(&self) -> SecretView<'_> {
        match &self.secrets {
            Some(secrets) => SecretView::Value(secrets.as_ref()),
            None => SecretView::Redaction,
        }
    }

    /// Returns the text for this machine.
    pub(crate) fn expand(&self, file: &TextFile) -> Result<String, InvalidText> {
        let mut lines = Vec::with_capacity(file.lines.len());
        let mut bytes = 0;
        for line in &file.lines {
            let text = match &line.placeholders {
                None => line.text.clone(),
                Some(key) => self.expand_line(&line.text, key, file)?,
            };
            bytes += text.len() as u64 + 1;
            if bytes > 2 * MAX_TEXT_BYTES {
                return Err(InvalidText::Oversized);
            }
            lines.push(text);
        }
        Ok(join_lines(
            lines.iter().map(String::as_str),
            file.unterminated,
        ))
    }

    fn expand_line(
        &self,
        text: &str,
        key: &PlaceholdersKey,
        file: &TextFile,
    ) -> Result<String, InvalidText> {
        let mut local = Vec::with_capacity(text.len());
        self.expander(key, file)?
            .expand_bounded(
                text.as_bytes(),
                TextKind::Plain,
                self.secret_view(),
                &mut local,
            )
            .map_err(|_| InvalidText::Oversized)?;
        let local = String::from_utf8(local).map_err(|_| InvalidText::NoText)?;
        if local.contains('\n') {
            return Err(InvalidText::Lines);
        }
        Ok(local)
    }

    fn expander(
        &self,
        key: &PlaceholdersKey,
        file: &TextFile,
    ) -> Result<Rc<Expander>, InvalidText> {
        if let Some(expander) = self.expanders.borrow().get(key) {
            return Ok(Rc::clone(expander));
        }
        let origin = file.sets.get(key).ok_or(InvalidText::Lines)?;
        let expander = Rc::new(if *origin == self.here {
            Expander::exact(origin)
        } else {
            Expander::new(origin, &self.here, View::Local)
        });
        let mut expanders = self.expanders.borrow_mut();
        expanders.insert(key.clone(), Rc::clone(&expander));
        Ok(expander)
    }
}

/// Placeholder for the main checkout at `path`; `None` if another one is that directory
/// already.
fn repo_placeholder(placeholders: &Placeholders, path: &str) -> Option<Placeholder> {
    let repo = Placeholder::new(placeholders.system, REPO.parse().ok()?, path, None).ok()?;
    let is_taken = placeholders.get(REPO).is_some()
        || placeholders.placeholders.iter().any(|other| {
            other.directory == repo.directory || other.resolved.as_ref() == Some(&repo.directory)
        });
    (!is_taken).then_some(repo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::System;
    use crate::domain::project::ProjectIdentity;

    fn placeholders(list: &[(&str, &str)]) -> Placeholders {
        let placeholder = |(name, path): &(&str, &str)| {
            Placeholder::new(System::Linux, name.parse().unwrap(), path, None).unwrap()
        };
        Placeholders::new(System::Linux, list.iter().map(placeholder))
    }

    #[test]
    fn extras_text_paths_are_local_and_round_trip() {
        let key = ProjectKey::Identity(ProjectIdentity::new("github.com/al/app").unwrap());
        let a = PathRewriter::new(
            &placeholders(&[("HOME", "/home/al"), ("WORK", "/srv/work")]),
            Some((Path::new("/home/al/app"), &key)),
            None,
        );
        let b = PathRewriter::new(
            &placeholders(&[("HOME", "/Users/bo")]),
            Some((Path::new("/Users/bo/code/app"), &key)),
            None,
        );
        let local =
            "see /home/al/app/src/x.rs\nand ~/x, {{HOME}}\n/srv/work/y and /home/al/z\n\nno path";
        let file = a.collapse(local);
        assert_eq!(a.expand(&file).unwrap(), local);
        let there = b.expand(&file).unwrap();
        assert_eq!(
            there,
            "see /Users/bo/code/app/src/x.rs\nand ~/x, {{HOME}}\n/srv/work/y and /Users/bo/z\n\nno path"
        );
        let more = format!("{there}\n/Users/bo/new\n");
        let edited = b.collapse_from(&file, &there, &more);
        assert_eq!(
            edited.lines[..5],
            file.lines[..],
            "unchanged lines are not collapsed again"
        );
        assert_eq!(
            a.expand(&edited).unwrap(),
            format!("{local}\n/home/al/new\n")
        );
        let stored = edited.to_stored("0123456789abcdef".repeat(2).parse().unwrap());
        let again =
            TextFile::from_stored(&edited.text(), &stored.runs, None, &edited.sets).unwrap();
        assert!(again.adds_nothing_to(&edited) && again.lines == edited.lines);
    }

    #[test]
    fn extras_text_line_ends_round_trip() {
        let rewriter = PathRewriter::new(&placeholders(&[("HOME", "/home/al")]), None, None);
        for text in ["", "\n", "a", "a\n", "a\n\n", "\n\n", "a\r\nb"] {
            let file = rewriter.collapse(text);
            assert_eq!(rewriter.expand(&file).unwrap(), text, "{text:?}");
            assert_eq!(file.text(), text, "{text:?}");
        }
    }
}
