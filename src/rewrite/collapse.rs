//! Local text to portable text.
//!
//! Owns the replacement of path forms by placeholders and the escape of text that looks
//! like one. Everything else is copied as it is. Must not parse and rewrite JSON.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;

use super::encoding::tag_encoded;
use super::kinds::TextKind;
use super::path::{dir_name_below, under_placeholder};
use super::path_form::{Lead, Separator, Style, Tag, path_forms, placeholder};
use super::patterns::{PathPattern, Patterns};
use super::placeholder::{Braces, braces_at};
use super::secret::{SecretFinder, SecretSpan, is_escaped, replaceable, secret_placeholder};
use super::strings::Strings;
use crate::domain::{Placeholder, Placeholders, client_dir::client_dir_name};

/// The tag of a directory name.
const NAME: Tag = Tag {
    style: Style::ClientDir,
    ..Tag::PLAIN
};

/// Number of bytes searched for braces at a time.
const BRACES_AHEAD: usize = 16 << 10;

/// Number of bytes after a path that decide if it ends there, at most.
const MAX_AFTER_PATH: usize = 256;

/// Replaces the paths of one machine by placeholders.
pub struct Collapser {
    json: Patterns,
    plain: Patterns,
    braces: memmem::Finder<'static>,
    secrets: Option<Arc<dyn SecretFinder>>,
}

impl Collapser {
    /// Creates a collapser for the placeholders of this machine. `directories` are absolute
    /// native paths of working directories, whose directory names under the client's
    /// `projects/` are then recognised as a whole.
    pub fn new(placeholders: &Placeholders, directories: &[String]) -> Self {
        let names = directories
            .iter()
            .filter_map(|directory| whole_name(placeholders, directory))
            .map(|name| (NAME, name));
        let patterns: Vec<_> = names.chain(placeholder_patterns(placeholders)).collect();
        let of_kind = |kind| {
            let possible = patterns.iter().filter(|(tag, _)| tag.is_possible_in(kind));
            Patterns::new(possible.map(|(_, pattern)| pattern.clone()).collect())
        };
        let braces = memmem::Finder::new(b"{{");
        Self {
            json: of_kind(TextKind::Json),
            plain: of_kind(TextKind::Plain),
            braces,
            secrets: None,
        }
    }

    /// Returns the collapser that also replaces the secrets that `finder` finds.
    #[must_use]
    pub fn with_secrets(self, finder: Arc<dyn SecretFinder>) -> Self {
        Self {
            secrets: Some(finder),
            ..self
        }
    }

    /// Appends the portable form of `text` to `out`: whole lines, and perhaps a torn last
    /// one, of any bytes.
    ///
    /// Lines are independent, so a text may be collapsed in pieces that end at line ends.
    pub fn collapse(&self, text: &[u8], kind: TextKind, out: &mut Vec<u8>) {
        self.collapse_with(text, kind, &self.secrets_in(text, kind), out);
    }

    /// Returns the places of the secrets in `text` that become placeholders.
    pub fn secrets_in(&self, text: &[u8], kind: TextKind) -> Vec<SecretSpan> {
        let found = self.secrets.as_ref().map(|finder| finder.find(text, kind));
        match found {
            Some(found) if !found.is_empty() => replaceable(found, text, kind),
            _ => Vec::new(),
        }
    }

    /// Like [`Self::collapse`], with the places of secrets that [`Self::secrets_in`] has found.
    pub fn collapse_with(
        &self,
        text: &[u8],
        kind: TextKind,
        secrets: &[SecretSpan],
        out: &mut Vec<u8>,
    ) {
        out.reserve(text.len() + text.len() / 64);
        let patterns = match kind {
            TextKind::Json => &self.json,
            TextKind::Plain => &self.plain,
        };
        let mut run = Run {
            text,
            copied: 0,
            strings: Strings::new(text, kind),
            finder: &self.braces,
            next_braces: 0,
            out,
        };
        let mut from = 0;
        for span in secrets {
            from = run.replace_paths(patterns, from, span.range.start);
            run.escape_look_alikes(span.range.start, span.range.start);
            run.replace(&span.range, secret_placeholder(&span.name).as_bytes());
            from = from.max(span.range.end);
        }
        run.replace_paths(patterns, from, text.len());
        run.escape_look_alikes(text.len(), text.len());
        run.copy_until(text.len());
    }
}

/// One call's progress through its text.
struct Run<'a> {
    text: &'a [u8],
    /// Length of the text that is already in `out`.
    copied: usize,
    strings: Strings<'a>,
    finder: &'a memmem::Finder<'static>,
    /// Braces before this place are dealt with.
    next_braces: usize,
    out: &'a mut Vec<u8>,
}

impl Run<'_> {
    fn copy_until(&mut self, end: usize) {
        self.out.extend_from_slice(&self.text[self.copied..end]);
        self.copied = end;
    }

    /// Replaces the paths between `from` and `end`; returns the offset after the last one.
    fn replace_paths(&mut self, patterns: &Patterns, mut from: usize, end: usize) -> usize {
        // Enough text for the decision where a path ends.
        let text = &self.text[..self.text.len().min(end + MAX_AFTER_PATH)];
        while let Some((at, pattern)) = patterns.find(text, from) {
            let stop = at + pattern.bytes.len();
            if stop > end {
                break;
            }
            // Braces right before a match are checked only if the match is not replaced:
            // `{{C` is no look-alike once `C:\x` has become a placeholder itself.
            self.escape_look_alikes(at.saturating_sub(2), end);
            from = if self.strings.is_protected(at) {
                at + 1
            } else {
                self.replace(&(at..stop), &pattern.placeholder);
                stop
            };
        }
        from
    }

    fn replace(&mut self, range: &Range<usize>, placeholder: &[u8]) {
        self.copy_until(range.start);
        self.out.extend_from_slice(placeholder);
        self.copied = range.end;
        self.next_braces = self.next_braces.max(self.copied);
    }

    /// Escapes text that looks like a placeholder and begins before `end`. Text from `stop` on
    /// is replaced by a placeholder, and so looks like none.
    fn escape_look_alikes(&mut self, end: usize, stop: usize) {
        while self.next_braces < end {
            // Bounded, so that the search for patterns reads the same bytes from the cache.
            let searched = self
                .text
                .len()
                .min(end.max(self.next_braces + BRACES_AHEAD));
            // One more byte, for a pair of braces that is cut by the bound.
            let window = &self.text[self.next_braces..self.text.len().min(searched + 1)];
            let Some(found) = self.finder.find(window) else {
                self.next_braces = searched;
                continue;
            };
            let at = self.next_braces + found;
            // Not yet: a replacement before it may remove the need for an escape.
            if at >= end {
                self.next_braces = at;
                return;
            }
            self.next_braces = self.escape(at, stop);
        }
    }

    /// Escapes the look-alike at `at`, if it is one; returns where the next may begin.
    fn escape(&mut self, at: usize, stop: usize) -> usize {
        let Braces::LookAlike { letter } = braces_at(&self.text[..stop.max(at + 2)], at) else {
            return at + 1;
        };
        if is_escaped(&mut self.strings, self.text, at, letter, stop) {
            self.copy_until(at + 2);
            self.out.push(b'~');
        }
        letter + 1
    }
}

fn placeholder_patterns(placeholders: &Placeholders) -> impl Iterator<Item = (Tag, PathPattern)> {
    let system = placeholders.system;
    path_forms(placeholders).map(move |(root, tag, written)| {
        let depth = tag.depth.unwrap_or(0);
        let pattern = PathPattern {
            bytes: written.into_bytes(),
            placeholder: placeholder(root, tag).into_bytes(),
            lead: tag.style.lead(system, depth),
            separator: tag.style.separator(system, depth),
            is_whole: false,
        };
        (tag, pattern)
    })
}

/// The client's name for `directory` as a whole, as a pattern, if it lies below a placeholder.
fn whole_name(placeholders: &Placeholders, directory: &str) -> Option<PathPattern> {
    let found = under_placeholder(placeholders, directory)?;
    let bytes = client_dir_name(directory);
    let tag = Tag {
        resolved: found.resolved,
        ..NAME
    };
    let again = dir_name_below(placeholders.system, tag.path(found.root)?, &found.tail);
    (again == bytes && !found.tail.is_empty()).then(|| PathPattern {
        bytes: bytes.into_bytes(),
        placeholder: name_placeholder(found.root, tag, &found.tail).into_bytes(),
        lead: Lead::Name,
        separator: Separator::Hyphen,
        is_whole: true,
    })
}

fn name_placeholder(root: &Placeholder, tag: Tag, tail: &str) -> String {
    format!("{{{{{}:{}/{}}}}}", root.name, tag.text(), tag_encoded(tail))
}

#[cfg(test)]
mod tests {
    use super::super::Expander;
    use super::*;
    use crate::domain::placeholder::System;

    fn placeholders(system: System, placeholders: &[(&str, &str)]) -> Placeholders {
        let root = |(name, path): &(&str, &str)| {
            Placeholder::new(system, name.parse().expect("name"), path, None).expect("root")
        };
        Placeholders::new(system, placeholders.iter().map(root))
    }

    fn linux() -> Placeholders {
        placeholders(
            System::Linux,
            &[("HOME", "/home/al"), ("PROJECTS", "/home/al/projects")],
        )
    }

    fn windows() -> Placeholders {
        placeholders(System::Windows, &[("HOME", "C:\\Users\\al")])
    }

    /// Collapses, and checks that the way back is exact.
    fn collapsed(
        placeholders: &Placeholders,
        directories: &[&str],
        kind: TextKind,
        text: &[u8],
    ) -> String {
        let directories: Vec<_> = directories.iter().map(|d| (*d).to_owned()).collect();
        let (mut portable, mut back) = (Vec::new(), Vec::new());
        Collapser::new(placeholders, &directories).collapse(text, kind, &mut portable);
        Expander::exact(placeholders).expand(&portable, kind, &mut back);
        assert_eq!(back, text, "{}", String::from_utf8_lossy(&portable));
        String::from_utf8_lossy(&portable).into_owned()
    }

    #[test]
    fn collapse_whole_path_becomes_placeholder() {
        for (text, portable) in [
            (r#"{"cwd":"/home/al"}"#, r#"{"cwd":"{{HOME}}"}"#),
            (r#""a\n/home/al/x""#, r#""a\n{{HOME}}/x""#),
            (r#"{"/home/al/k":1}"#, r#"{"{{HOME}}/k":1}"#),
            (
                r#""/home/alice /mnt/home/al /home/al-old /home/al.bak""#,
                r#""/home/alice /mnt/home/al /home/al-old /home/al.bak""#,
            ),
            (r#""in /home/al.""#, r#""in {{HOME}}.""#),
            (
                r#""/home/al/projects/x /home/al/projects-x""#,
                r#""{{PROJECTS}}/x {{HOME}}/projects-x""#,
            ),
            (r#""\/home\/al\/x""#, r#""{{HOME:s1}}\/x""#),
            (r#""file:///home/al/x""#, r#""file://{{HOME}}/x""#),
            (r#""/tmp/-home-al-work/x""#, r#""/tmp/{{HOME:e}}-work/x""#),
        ] {
            assert_eq!(
                collapsed(&linux(), &[], TextKind::Json, text.as_bytes()),
                portable
            );
        }
    }

    #[test]
    fn collapse_windows_path_records_escape_depth() {
        for (text, portable) in [
            (r#""C:\\Users\\al\\x""#, r#""{{HOME:1}}\\x""#),
            (
                r#""{\"a\":\"C:\\\\Users\\\\al\"}""#,
                r#""{\"a\":\"{{HOME:2}}\"}""#,
            ),
            (r#""c:/Users/al""#, r#""{{HOME:lf}}""#),
            (r#""/c/Users/al""#, r#""{{HOME:m}}""#),
        ] {
            assert_eq!(
                collapsed(&windows(), &[], TextKind::Json, text.as_bytes()),
                portable
            );
        }
        assert_eq!(
            collapsed(&windows(), &[], TextKind::Plain, b"{{C:\\Users\\al\\x"),
            "{{{{HOME:0}}\\x"
        );
    }

    #[test]
    fn collapse_placeholder_lookalike_is_escaped() {
        for (text, portable) in [
            ("{{HOME}}", "{{~HOME}}"),
            ("{{~~HOME}}", "{{~~~HOME}}"),
            ("{{{X}}", "{{{~X}}"),
            ("{{home}} {{", "{{home}} {{"),
            ("{{/home/al}}", "{{{{HOME}}}}"),
            ("{/home/al}", "{{{HOME}}}"),
            ("{{A{{B", "{{~A{{~B"),
        ] {
            assert_eq!(
                collapsed(&linux(), &[], TextKind::Plain, text.as_bytes()),
                portable
            );
        }
    }

    #[test]
    fn collapse_protected_string_is_unchanged() {
        for text in [
            r#"{"thinking":"/home/al {{HOME}}"}"#,
            r#"{"signature" : "/home/al"}"#,
            r#"{"source":{"type":"base64","data":"/home/al/{{X"}}"#,
            r#"{"thinking":"/home/al {{HO"#,
        ] {
            assert_eq!(
                collapsed(&linux(), &[], TextKind::Json, text.as_bytes()),
                text
            );
        }
        let nested = r#"{"a":"{\"thinking\":\"/home/al\"}","data":"/home/al"}"#;
        assert_eq!(
            collapsed(&linux(), &[], TextKind::Json, nested.as_bytes()),
            nested.replace("/home/al", "{{HOME}}")
        );
    }

    #[test]
    fn collapse_known_directory_name_includes_its_path() {
        let long = format!("/home/al/{}", "long-name/".repeat(30));
        let name = client_dir_name(&long);
        for (directory, text, portable) in [
            (
                "/home/al/projects/my_app",
                "x/-home-al-projects-my-app/y",
                "x/{{PROJECTS:e/my_app}}/y".to_owned(),
            ),
            (
                "/home/al/projects/my_app",
                "-home-al-projects-my-app-old",
                "{{PROJECTS:e}}-my-app-old".to_owned(),
            ),
            (
                &long,
                &format!("x/{name}/y"),
                format!("x/{{{{HOME:e/{}}}}}/y", "long-name/".repeat(30)),
            ),
        ] {
            assert_eq!(
                collapsed(&linux(), &[directory], TextKind::Json, text.as_bytes()),
                portable
            );
        }
    }

    #[test]
    fn collapse_invalid_utf8_round_trips() {
        let text = b"\xff/home/al\n{\"a\":\"\\ud83d/home/al\xc3\n{{H\n\"/home/al";
        collapsed(&linux(), &[], TextKind::Json, text);
    }

    #[test]
    fn collapse_replacement_keeps_meaning_of_json() {
        let odd = placeholders(System::Linux, &[("A", "/a\\"), ("ONE", "/1")]);
        let drive = placeholders(System::Windows, &[("W", "n:\\w")]);
        for (placeholders, text) in [
            // The backslash of the path would go and leave a quote that ends the string.
            (&odd, r#"{"a":"/a\","type":"base64","data":"{{X}}"}"#),
            // The directory name of `/1` is a number.
            (&odd, r#"{"a":-1,"type":"base64","data":"{{X}}"}"#),
            // The first letter of a directory name is that of an escape.
            (&drive, r#""x\n--w/y""#),
        ] {
            let look_alikes_aside = collapsed(placeholders, &[], TextKind::Json, text.as_bytes())
                .replace("{{~X", "{{X");
            assert_eq!(look_alikes_aside, text);
        }
    }
}
