//! Portable text to local text.
//!
//! Owns the way back: exactly as the origin wrote it, or as another machine reads it.
//! Must not need anything but the portable text and the two machines' placeholders.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use memchr::memmem;

use super::kinds::{TextKind, View};
use super::meaning::OriginPlaceholder;
use super::placeholder::{Braces, PlaceholderToken, braces_at, placeholder_at};
use super::secret::{SecretView, is_escaped, secret_of};
use super::strings::{Protection, Strings};
use super::translate::PlaceholderContext;
use crate::domain::{Placeholders, SecretName};

/// Replaces placeholders by paths.
pub struct Expander {
    placeholders: Vec<OriginPlaceholder>,
    reading: Reading,
    /// Paths that the client compares with resolved ones are written with links resolved.
    resolves_links: bool,
    braces: memmem::Finder<'static>,
}

/// Error: the text would become far longer than ordinary text of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text would become far longer than it is in the store")]
pub struct Oversized;

/// Returns the maximum length, in bytes, of the expansion of `len` bytes. Text that consists
/// of placeholders for paths of 500 bytes fits; the factor is lower for long pieces, so that
/// a few of them fit into memory.
fn max_expansion(len: usize) -> usize {
    const SMALL: usize = 64 << 10;
    const MUCH: usize = 28 << 20;
    len.saturating_mul(4) + len.saturating_mul(60).min(MUCH) + SMALL
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Exact,
    Local,
    Original,
}

impl Expander {
    /// Creates an expander for text that was collapsed with the placeholders `origin`. It
    /// writes paths of the machine with the placeholders `target`.
    pub fn new(origin: &Placeholders, target: &Placeholders, view: View) -> Self {
        let reading = match view {
            View::Local | View::FormerLocal => Reading::Local,
            View::Original | View::FormerOriginal => Reading::Original,
        };
        Self {
            resolves_links: matches!(view, View::Local | View::Original),
            ..Self::with(origin, target, reading)
        }
    }

    /// Creates the exact inverse of [`super::Collapser`].
    pub fn exact(origin: &Placeholders) -> Self {
        Self::with(origin, origin, Reading::Exact)
    }

    fn with(origin: &Placeholders, target: &Placeholders, reading: Reading) -> Self {
        let placeholders = origin
            .placeholders
            .iter()
            .map(|root| OriginPlaceholder::new(origin.system, root, target))
            .collect();
        Self {
            placeholders,
            reading,
            resolves_links: false,
            braces: memmem::Finder::new(b"{{"),
        }
    }

    /// Appends the local form of `portable` to `out`: whole lines, and perhaps a torn last one.
    ///
    /// A placeholder that the origin does not have, or in a form that no collapser writes,
    /// is copied, and so are those of secrets.
    pub fn expand(&self, portable: &[u8], kind: TextKind, out: &mut Vec<u8>) {
        // The bound is larger than any text can be.
        let _ = self.expand_within(usize::MAX, portable, kind, SecretView::Placeholder, out);
    }

    /// Like [`Self::expand`], but bounded, for text from an untrusted store: a placeholder
    /// of seven bytes may stand for thousands.
    ///
    /// # Errors
    /// [`Oversized`] if `out` would become longer than `max_expansion` allows.
    pub fn expand_bounded(
        &self,
        portable: &[u8],
        kind: TextKind,
        secrets: SecretView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Oversized> {
        let limit = out.len() + max_expansion(portable.len());
        self.expand_within(limit, portable, kind, secrets, out)
    }

    fn expand_within(
        &self,
        limit: usize,
        portable: &[u8],
        kind: TextKind,
        secrets: SecretView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Oversized> {
        out.reserve(portable.len() + portable.len() / 16);
        let mut run = Run {
            expander: self,
            text: portable,
            kind,
            secrets,
            copied: 0,
            strings: Strings::new(portable, kind),
            surroundings: PlaceholderContext::new(portable, kind),
            names: HashMap::new(),
            out,
        };
        let mut from = 0;
        while let Some(found) = self.braces.find(&portable[from..]) {
            from = run.at_braces(from + found);
            if run.out.len() > limit {
                return Err(Oversized);
            }
        }
        run.copy_until(portable.len());
        Ok(())
    }

    fn root(&self, name: &[u8]) -> Option<&OriginPlaceholder> {
        self.placeholders.iter().find(|root| root.name == name)
    }
}

/// One call's progress through its text.
struct Run<'a> {
    expander: &'a Expander,
    text: &'a [u8],
    kind: TextKind,
    secrets: SecretView<'a>,
    /// Length of the text that is already in `out`.
    copied: usize,
    strings: Strings<'a>,
    surroundings: PlaceholderContext<'a>,
    /// Directory names computed so far, by placeholder and exactness.
    names: HashMap<(&'a [u8], bool), String>,
    out: &'a mut Vec<u8>,
}

impl<'a> Run<'a> {
    fn copy_until(&mut self, end: usize) {
        self.out.extend_from_slice(&self.text[self.copied..end]);
        self.copied = end;
    }

    /// Handles the braces at `at`; returns where the search goes on.
    fn at_braces(&mut self, at: usize) -> usize {
        let Braces::LookAlike { letter } = braces_at(self.text, at) else {
            return at + 1;
        };
        if letter > at + 2 {
            self.remove_escape(at, letter);
            return letter + 1;
        }
        let Some(placeholder) = placeholder_at(self.text, at) else {
            return letter + 1;
        };
        if let Some(secret) = secret_of(&placeholder) {
            return self.expand_secret(at, placeholder.end, &secret);
        }
        let expanded = match placeholder.tail {
            None => self.expand_placeholder(at, &placeholder),
            Some(tail) => self.expand_name(at, &placeholder, tail),
        };
        if expanded.is_some() {
            self.copied
        } else {
            letter + 1
        }
    }

    fn remove_escape(&mut self, at: usize, letter: usize) {
        if is_escaped(&mut self.strings, self.text, at, letter, self.text.len()) {
            self.copy_until(at + 2);
            self.copied += 1;
        }
    }

    fn expand_secret(&mut self, at: usize, end: usize, secret: &SecretName) -> usize {
        if self.strings.protection(at) != Protection::Bytes {
            self.copy_until(at);
            self.secrets.write(secret, &self.text[at..end], self.out);
            self.copied = end;
        }
        end
    }

    fn expand_placeholder(&mut self, at: usize, placeholder: &PlaceholderToken<'_>) -> Option<()> {
        let meaning = self
            .expander
            .root(placeholder.name)?
            .meaning(placeholder.tag, self.kind)?;
        let is_exact = self.is_exact(at)?;
        let real = meaning.real.as_ref();
        let real = real.filter(|_| self.expander.resolves_links && self.strings.is_real_path(at));
        let translation = real.or(meaning.translation.as_ref());
        self.copy_until(at);
        self.copied = placeholder.end;
        match translation.filter(|_| !is_exact) {
            None => self.out.extend_from_slice(&meaning.exact),
            Some(translation) => {
                self.copied =
                    translation.write(&mut self.surroundings, at, placeholder.end, self.out);
            }
        }
        Some(())
    }

    fn expand_name(
        &mut self,
        at: usize,
        placeholder: &PlaceholderToken<'a>,
        tail: &[u8],
    ) -> Option<()> {
        let root = self.expander.root(placeholder.name)?;
        let is_exact = self.is_exact(at)?;
        let name = match self
            .names
            .entry((&self.text[at..placeholder.end], is_exact))
        {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(root.name_below(placeholder.tag, tail, is_exact)?),
        };
        self.out.extend_from_slice(&self.text[self.copied..at]);
        self.out.extend_from_slice(name.as_bytes());
        self.copied = match is_exact {
            true => placeholder.end,
            false => self
                .surroundings
                .continue_tail(at, placeholder.end, self.out),
        };
        Some(())
    }

    /// Returns true if the placeholder at `at` is expanded to the origin's path; `None` if
    /// there is no placeholder.
    fn is_exact(&mut self, at: usize) -> Option<bool> {
        if self.strings.is_protected(at) {
            return None;
        }
        Some(match self.expander.reading {
            Reading::Exact => true,
            Reading::Local => false,
            Reading::Original => !self.strings.is_clients_own(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::{Placeholder, PlaceholderName, System};

    #[test]
    fn expand_output_over_limit_is_refused() {
        let path = format!("/{}", "x".repeat(4000));
        let expander = Expander::exact(&root(System::Linux, &path));
        let mut out = Vec::new();
        assert_eq!(
            expander.expand_bounded(
                b"at {{HOME}}.",
                TextKind::Plain,
                SecretView::Placeholder,
                &mut out
            ),
            Ok(())
        );
        let bomb = b"{{HOME}} ".repeat(100_000);
        assert_eq!(
            expander.expand_bounded(&bomb, TextKind::Plain, SecretView::Placeholder, &mut out),
            Err(Oversized)
        );
        assert!(out.len() < 64 << 20);
        let ordinary = Expander::exact(&root(System::Linux, &path[..500]));
        assert_eq!(
            ordinary.expand_bounded(
                &bomb[..256 << 10],
                TextKind::Plain,
                SecretView::Placeholder,
                &mut out
            ),
            Ok(())
        );
    }

    fn root(system: System, path: &str) -> Placeholders {
        Placeholders::new(
            system,
            [Placeholder::new(system, "HOME".parse().expect("name"), path, None).expect("root")],
        )
    }

    fn expanded(expander: &Expander, kind: TextKind, portable: &str) -> String {
        let mut out = Vec::new();
        expander.expand(portable.as_bytes(), kind, &mut out);
        String::from_utf8(out).expect("utf-8")
    }

    fn read(origin: &Placeholders, target: &Placeholders, view: View, portable: &str) -> String {
        expanded(
            &Expander::new(origin, target, view),
            TextKind::Json,
            portable,
        )
    }

    #[test]
    fn expand_linux_path_on_windows_is_escaped_at_depth() {
        let (linux, windows) = (
            root(System::Linux, "/home/al"),
            root(System::Windows, "C:\\Users\\bo"),
        );
        for (portable, local) in [
            (
                r#"{"cwd":"{{HOME}}/a b/c"}"#,
                r#"{"cwd":"C:\\Users\\bo\\a b\\c"}"#,
            ),
            (
                r#"{"x":"in {{HOME}}/a b/c\n"}"#,
                r#"{"x":"in C:\\Users\\bo\\a b/c\n"}"#,
            ),
            (
                r#"{"x":"{\"p\":\"{{HOME}}/a\"}"}"#,
                r#"{"x":"{\"p\":\"C:\\\\Users\\\\bo\\\\a\"}"}"#,
            ),
            (
                r#"{"x":"file://{{HOME}}/a"}"#,
                r#"{"x":"file:///C:/Users/bo/a"}"#,
            ),
            (r#"{"x":"{{HOME:s1}}\/a"}"#, r#"{"x":"C:\/Users\/bo\/a"}"#),
            (
                r#"{"x":"{{HOME:e/a/b}} {{HOME:e}}-x"}"#,
                r#"{"x":"C--Users-bo-a-b C--Users-bo-x"}"#,
            ),
            (
                r#"{"x":"{{HOME:c}}%2Fa"}"#,
                r#"{"x":"C%3A%5CUsers%5Cbo%5Ca"}"#,
            ),
        ] {
            assert_eq!(read(&linux, &windows, View::Local, portable), local);
        }
    }

    #[test]
    fn expand_windows_path_reads_as_linux_path() {
        let (linux, windows) = (
            root(System::Linux, "/home/al"),
            root(System::Windows, "C:\\Users\\bo"),
        );
        for (portable, local) in [
            (
                r#"{"cwd":"{{HOME:1}}\\a b\\c"}"#,
                r#"{"cwd":"/home/al/a b/c"}"#,
            ),
            (r#"{"x":"{{HOME:1}}\\new\n"}"#, r#"{"x":"/home/al/new\n"}"#),
            (
                r#"{"x":"{\"p\":\"{{HOME:2}}\\\\a\\n\"}"}"#,
                r#"{"x":"{\"p\":\"/home/al/a\\n\"}"}"#,
            ),
            (
                r#"{"x":"{{HOME:1}}\\a/b {{HOME:lf}}/a {{HOME:m}}/b {{HOME:w}}"}"#,
                r#"{"x":"/home/al/a/b /home/al/a /home/al/b /home/al"}"#,
            ),
            (
                r#"{"x":"in {{HOME:1}}\\p\\{{HOME:e/a}}\\m.md {{HOME:e/a}}\\n"}"#,
                r#"{"x":"in /home/al/p/-home-al-a/m.md -home-al-a\\n"}"#,
            ),
            (
                r#"{"x":"file:///{{HOME:f}}/a file:///{{HOME:lv}}/b"}"#,
                r#"{"x":"file:///home/al/a file:///home/al/b"}"#,
            ),
        ] {
            assert_eq!(read(&windows, &linux, View::Local, portable), local);
        }
    }

    #[test]
    fn expand_original_paths_localize_client_fields_only() {
        let (a, b) = (
            root(System::Linux, "/home/al"),
            root(System::Macos, "/Users/bo"),
        );
        for (portable, local) in [
            (
                r#"{"m":"{{HOME}}","cwd":"{{HOME}}/x"}"#,
                r#"{"m":"/home/al","cwd":"/Users/bo/x"}"#,
            ),
            (
                r#"{"m":{"cwd":"{{HOME}}"},"cwd":"{{HOME}}/x"}"#,
                r#"{"m":{"cwd":"/home/al"},"cwd":"/Users/bo/x"}"#,
            ),
            (
                r#"{"relocatedCwd":"{{HOME}}","type":"relocated"}"#,
                r#"{"relocatedCwd":"/Users/bo","type":"relocated"}"#,
            ),
        ] {
            assert_eq!(read(&a, &b, View::Original, portable), local);
        }
    }

    #[test]
    fn expand_directory_compared_with_real_one_has_links_resolved() {
        let home = |path: &str, resolved| {
            let home = Placeholder::new(System::Linux, PlaceholderName::home(), path, resolved);
            Placeholders::new(System::Linux, [home.unwrap()])
        };
        let (a, b) = (home("/home/al", None), home("/home/bo", Some("/data/bo")));
        let record = |directory: &str| {
            format!(
                r#"{{"type":"file-history-delta","backup":{{"realParentDir":"{directory}/x"}},"p":"{{{{HOME}}}}"}}"#
            )
        };
        for view in [View::Local, View::Original] {
            let of_b = record("/data/bo").replace("{{HOME}}", "/home/bo");
            assert_eq!(read(&a, &b, view, &record("{{HOME}}")), of_b);
            let of_a = record("/home/al").replace("{{HOME}}", "/home/al");
            assert_eq!(read(&b, &a, view, &record("{{HOME:r}}")), of_a);
        }
        let spelled = record("{{HOME}}").replace("{{HOME}}", "/home/bo");
        assert_eq!(
            read(&a, &b, View::FormerOriginal, &record("{{HOME}}")),
            spelled
        );
        let said = r#"{"type":"user","input":{"realParentDir":"{{HOME}}"}}"#;
        assert_eq!(
            read(&a, &b, View::Local, said),
            said.replace("{{HOME}}", "/home/bo")
        );
    }

    #[test]
    fn expand_unknown_placeholder_is_copied() {
        let origin = root(System::Linux, "/home/al");
        for (portable, local) in [
            (
                "{{WORK}} {{HOME:f}} {{HOME:x}} {{HOME",
                "{{WORK}} {{HOME:f}} {{HOME:x}} {{HOME",
            ),
            ("{{~HOME}} {{~~X {{~ {{home}}", "{{HOME}} {{~X {{~ {{home}}"),
            ("{{HOME:e/%zz}} {{HOME:q/a}}", "{{HOME:e/%zz}} {{HOME:q/a}}"),
            (
                r#"{"thinking":"{{HOME}} {{~HOME}}"}"#,
                r#"{"thinking":"{{HOME}} {{~HOME}}"}"#,
            ),
        ] {
            assert_eq!(
                expanded(&Expander::exact(&origin), TextKind::Json, portable),
                local
            );
        }
    }

    #[test]
    fn expand_missing_placeholder_keeps_origin_path() {
        let (origin, nothing) = (
            root(System::Linux, "/home/al"),
            Placeholders::new(System::Windows, []),
        );
        assert_eq!(
            read(&origin, &nothing, View::Local, r#""{{HOME}}/x""#),
            r#""/home/al/x""#
        );
    }
}
