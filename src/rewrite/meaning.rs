//! The meaning of every placeholder of one origin, for one reading machine.

use std::collections::HashMap;

use super::encoding::tag_decoded;
use super::kinds::TextKind;
use super::path::{client_path, dir_name_below};
use super::path_form::{Style, Tag, every_tag, path_form};
use super::translate::Translation;
use crate::domain::{Placeholder, Placeholders, System};

/// A placeholder of the origin, with all that its placeholders stand for.
pub(super) struct OriginPlaceholder {
    pub(super) name: Vec<u8>,
    plain: Option<Meaning>,
    tagged: HashMap<Vec<u8>, Meaning>,
    names: Vec<DirectoryNames>,
}

/// Text that one placeholder stands for.
pub(super) struct Meaning {
    possible_in_json: bool,
    pub(super) exact: Vec<u8>,
    /// `None` if the reading machine writes the same, or has no such placeholder.
    pub(super) translation: Option<Translation>,
    /// The same with links resolved, if that differs on the reading machine.
    pub(super) real: Option<Translation>,
}

/// Directory name of a path below a placeholder: `{{NAME:e/...}}`.
pub(super) struct DirectoryNames {
    tag: Vec<u8>,
    exact: (System, String),
    local: (System, String),
}

impl OriginPlaceholder {
    pub(super) fn new(system: System, root: &Placeholder, target: &Placeholders) -> Self {
        let there = target
            .get(root.name.as_str())
            .filter(|there| target.system != system || *there != root);
        let mut tagged = HashMap::new();
        for tag in every_tag() {
            let Some(exact) = tag.path(root).and_then(|path| path_form(system, path, tag)) else {
                continue;
            };
            let translation =
                there.map(|there| Translation::new(system, tag, target.system, there));
            let real = there
                .filter(|there| there.resolved.is_some() && tag.style == Style::Native)
                .map(|there| {
                    let tag = Tag {
                        resolved: true,
                        ..tag
                    };
                    Translation::new(system, tag, target.system, there)
                });
            let possible_in_json = tag.is_possible_in(TextKind::Json);
            tagged.insert(
                tag.text().into_bytes(),
                Meaning {
                    possible_in_json,
                    exact: exact.into_bytes(),
                    translation,
                    real,
                },
            );
        }
        let plain = tagged.remove(b"".as_slice());
        let names = [false, true].into_iter().filter_map(|resolved| {
            let tag = Tag {
                resolved,
                style: Style::ClientDir,
                ..Tag::PLAIN
            };
            let exact = (system, tag.path(root)?.to_owned());
            let local = there.map_or_else(
                || exact.clone(),
                |there| (target.system, client_path(there).to_owned()),
            );
            Some(DirectoryNames {
                tag: tag.text().into_bytes(),
                exact,
                local,
            })
        });
        let names = names.collect();
        Self {
            name: root.name.as_str().into(),
            plain,
            tagged,
            names,
        }
    }

    pub(super) fn meaning(&self, tag: &[u8], kind: TextKind) -> Option<&Meaning> {
        let meaning = if tag.is_empty() {
            self.plain.as_ref()
        } else {
            self.tagged.get(tag)
        };
        meaning.filter(|meaning| kind == TextKind::Plain || meaning.possible_in_json)
    }

    pub(super) fn name_below(&self, tag: &[u8], tail: &[u8], is_exact: bool) -> Option<String> {
        let names = self.names.iter().find(|names| names.tag == tag)?;
        let (system, path) = if is_exact { &names.exact } else { &names.local };
        Some(dir_name_below(*system, path, &tag_decoded(tail)?))
    }
}
