//! The forms in which a placeholder's directory is written, and the tag of each form.
//!
//! Owns the table of path forms: from a tag and a placeholder to exact bytes. Must not
//! look at any session text.

use std::collections::HashSet;

use super::encoding::{MAX_DEPTH, component_encoded, json_escaped, percent_encoded, slash_escaped};
use super::kinds::TextKind;
use crate::domain::{Placeholder, Placeholders, System, client_dir::client_dir_name};

/// One way of writing a path. If two forms have the same bytes, the earlier one is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Style {
    /// As the machine's own system writes it.
    Native,
    /// A Windows path with forward slashes: `C:/Users/al`.
    Forward,
    /// A Windows path in Git Bash: `/c/Users/al`.
    GitBash,
    /// A Windows path as WSL mounts it: `/mnt/c/Users/al`.
    Mount,
    /// A path of WSL below a mounted drive, as Windows writes it: `C:\Users\al`.
    Drive,
    /// With escaped slashes, as some JSON encoders write them: `\/home\/al`.
    Slashes,
    /// Percent-encoded, slashes kept: `/home/al%20b`.
    Percent,
    /// A Windows path in the URIs of VS Code, where the colon is encoded too: `c%3A/Users/al`.
    Colon,
    /// Percent-encoded as one component: `%2Fhome%2Fal`.
    Component,
    /// The client's directory name: `-home-al`.
    ClientDir,
}

/// One form of one of a placeholder's two paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag {
    /// The symlink-free path instead of the path.
    pub(super) resolved: bool,
    /// The drive letter in the other case than the placeholder has it.
    pub(super) other_case: bool,
    /// How the path is written.
    pub(super) style: Style,
    /// Levels of JSON strings around the text, where the bytes depend on it.
    pub(super) depth: Option<u8>,
}

/// Separator of path components in a path form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// `/`
    Slash,
    /// `/` in a path of Windows, where a backslash separates too.
    AnySlash,
    /// This many backslashes.
    Backslashes(usize),
    /// This many backslashes, then `/`.
    EscapedSlash(usize),
    /// `%2F`
    PercentSlash,
    /// `%5C`
    PercentBackslash,
    /// `-`, which cannot be distinguished from a hyphen in a name.
    Hyphen,
}

/// First character of a path form; it decides which text may precede the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// A slash, perhaps escaped.
    Slash,
    /// A drive letter, in text that writes a separator as this many backslashes (none: as slashes).
    Drive(usize),
    /// A percent-encoded slash.
    PercentSlash,
    /// A drive letter, in text that is percent-encoded as one component.
    PercentDrive,
    /// A directory name.
    Name,
}

impl Style {
    pub(super) const ALL: [Self; 10] = [
        Self::Native,
        Self::Forward,
        Self::GitBash,
        Self::Mount,
        Self::Drive,
        Self::Slashes,
        Self::Percent,
        Self::Colon,
        Self::Component,
        Self::ClientDir,
    ];

    fn letter(self) -> &'static str {
        match self {
            Self::Native => "",
            Self::Forward => "f",
            Self::GitBash => "m",
            Self::Mount => "w",
            Self::Drive => "b",
            Self::Slashes => "s",
            Self::Percent => "u",
            Self::Colon => "v",
            Self::Component => "c",
            Self::ClientDir => "e",
        }
    }

    /// Returns true if a tag of this style can have this depth. For most styles the path
    /// decides further.
    fn can_have(self, depth: Option<u8>) -> bool {
        match self {
            Self::Slashes => depth.is_some_and(|depth| (1..=MAX_DEPTH).contains(&depth)),
            Self::Percent | Self::Colon | Self::Component | Self::ClientDir => depth.is_none(),
            _ => depth.is_none_or(|depth| depth <= MAX_DEPTH),
        }
    }

    /// Returns the separator of components in this style; `depth` as in the tag.
    pub(super) fn separator(self, system: System, depth: u8) -> Separator {
        match self {
            Self::Native if system.is_windows() => Separator::Backslashes(1 << depth),
            Self::Drive => Separator::Backslashes(1 << depth),
            Self::Slashes => Separator::EscapedSlash(1 << depth.saturating_sub(1)),
            Self::Component if system.is_windows() => Separator::PercentBackslash,
            Self::Component => Separator::PercentSlash,
            Self::ClientDir => Separator::Hyphen,
            Self::Forward => Separator::AnySlash,
            _ => Separator::Slash,
        }
    }

    /// Returns the kind of first character in this style; `depth` as in the tag.
    pub(super) fn lead(self, system: System, depth: u8) -> Lead {
        match self {
            Self::ClientDir => Lead::Name,
            Self::Component if system.is_windows() => Lead::PercentDrive,
            Self::Component => Lead::PercentSlash,
            Self::GitBash | Self::Mount => Lead::Slash,
            Self::Drive => Lead::Drive(1 << depth),
            Self::Native if system.is_windows() => Lead::Drive(1 << depth),
            _ if system.is_windows() => Lead::Drive(0),
            _ => Lead::Slash,
        }
    }
}

impl Tag {
    /// The plain path form.
    pub(super) const PLAIN: Self = Self {
        resolved: false,
        other_case: false,
        style: Style::Native,
        depth: None,
    };

    /// The tag as it stands in a placeholder after the colon; empty for the plain path form.
    pub(super) fn text(self) -> String {
        let flag = |on, letter| if on { letter } else { "" };
        let depth = self.depth.map(|d| d.to_string()).unwrap_or_default();
        format!(
            "{}{}{}{depth}",
            flag(self.resolved, "r"),
            flag(self.other_case, "l"),
            self.style.letter()
        )
    }

    /// Returns true if the path form is looked for in text of this kind: in JSON all text
    /// is inside a string, one level deep.
    pub(super) fn is_possible_in(self, kind: TextKind) -> bool {
        kind == TextKind::Plain || self.depth != Some(0)
    }

    /// The path of `placeholder` that the tag speaks of, if the placeholder has it.
    pub(super) fn path(self, root: &Placeholder) -> Option<&str> {
        if self.resolved {
            root.resolved.as_deref()
        } else {
            Some(&root.directory)
        }
    }
}

/// Returns the placeholder text of one path form: `{{HOME}}`, `{{HOME:f}}`.
pub(super) fn placeholder(root: &Placeholder, tag: Tag) -> String {
    let tag = tag.text();
    let colon = if tag.is_empty() { "" } else { ":" };
    format!("{{{{{}{colon}{tag}}}}}", root.name)
}

/// Returns `path` in the form `tag`. `None` if the path has no such form, if the tag has a
/// depth that makes no difference, or if it misses one that does.
pub(super) fn path_form(system: System, path: &str, tag: Tag) -> Option<String> {
    if !tag.style.can_have(tag.depth) {
        return None;
    }
    let text = if tag.other_case {
        in_other_case(system, path, tag.style)?
    } else {
        unescaped(system, path, tag.style)?
    };
    if tag.style == Style::Slashes {
        return Some(slash_escaped(&text, tag.depth?));
    }
    let depends = text.contains(['"', '\\']);
    match tag.depth {
        Some(depth) if depends => Some(json_escaped(&text, depth)),
        None if !depends => Some(text),
        _ => None,
    }
}

/// Every path form of every placeholder, in order of precedence, without those whose
/// bytes an earlier one has.
pub(super) fn path_forms(
    placeholders: &Placeholders,
) -> impl Iterator<Item = (&Placeholder, Tag, String)> {
    let mut seen = HashSet::new();
    every_tag()
        .flat_map(|tag| {
            placeholders
                .placeholders
                .iter()
                .map(move |root| (root, tag))
        })
        .filter_map(|(root, tag)| {
            Some((
                root,
                tag,
                path_form(placeholders.system, tag.path(root)?, tag)?,
            ))
        })
        .filter(move |(_, tag, bytes)| seen.insert((tag.depth == Some(0), bytes.clone())))
}

/// Returns every text that a path of `placeholders` may have in a session.
pub fn every_path_form(placeholders: &Placeholders) -> impl Iterator<Item = String> {
    path_forms(placeholders).map(|(_, _, text)| text)
}

/// Every tag there can be: by style first, so that a native path form goes before any other.
pub(super) fn every_tag() -> impl Iterator<Item = Tag> {
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    let depths = || [None].into_iter().chain((0..=MAX_DEPTH).map(Some));
    Style::ALL.into_iter().flat_map(move |style| {
        flags.into_iter().flat_map(move |(resolved, other_case)| {
            depths().map(move |depth| Tag {
                resolved,
                other_case,
                style,
                depth,
            })
        })
    })
}

fn unescaped(system: System, path: &str, style: Style) -> Option<String> {
    let windows = system.is_windows();
    let forward = || path.replace('\\', "/");
    let below_drive = || {
        Some((
            path.get(..1)?.to_ascii_lowercase(),
            path.get(2..)?.replace('\\', "/"),
        ))
    };
    match style {
        Style::Native => Some(path.to_owned()),
        Style::Forward => windows.then(forward),
        Style::GitBash | Style::Mount if !windows => None,
        Style::GitBash => below_drive().map(|(drive, rest)| format!("/{drive}{rest}")),
        Style::Mount => below_drive().map(|(drive, rest)| format!("/mnt/{drive}{rest}")),
        Style::Drive => (system == System::Wsl).then(|| of_mount(path)).flatten(),
        Style::Slashes => Some(if windows { forward() } else { path.to_owned() }),
        Style::Percent => Some(percent_encoded(&if windows {
            forward()
        } else {
            path.to_owned()
        })),
        Style::Colon => windows.then(|| percent_encoded(&forward()).replacen(':', "%3A", 1)),
        Style::Component => Some(component_encoded(path)),
        Style::ClientDir => Some(client_dir_name(path)).filter(|name| !is_number(name)),
    }
}

/// `/mnt/c/x` as Windows writes it: `C:\x`.
fn of_mount(path: &str) -> Option<String> {
    let (drive, rest) = path.strip_prefix("/mnt/")?.split_once('/')?;
    let is_drive = drive.len() == 1 && drive.bytes().all(|b| b.is_ascii_lowercase());
    is_drive.then(|| {
        format!(
            "{}:\\{}",
            drive.to_ascii_uppercase(),
            rest.replace('/', "\\")
        )
    })
}

fn in_other_case(system: System, path: &str, style: Style) -> Option<String> {
    match style {
        Style::Drive => unescaped(system, path, style).and_then(|text| with_other_case(&text)),
        Style::GitBash | Style::Mount => None,
        _ if system.is_windows() => unescaped(system, &with_other_case(path)?, style),
        _ => None,
    }
}

fn with_other_case(text: &str) -> Option<String> {
    let drive = text.chars().next().filter(char::is_ascii_alphabetic)?;
    let other = if drive.is_ascii_uppercase() {
        drive.to_ascii_lowercase()
    } else {
        drive.to_ascii_uppercase()
    };
    Some(format!("{other}{}", &text[1..]))
}

/// `-1`, the directory name of `/1`, is also a JSON number. A replacement outside of strings
/// would change the JSON, so it is no path form.
fn is_number(name: &str) -> bool {
    name.strip_prefix('-')
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(system: System, path: &str) -> Vec<(String, String)> {
        let root = Placeholder::new(system, "R".parse().expect("name"), path, None).expect("root");
        let placeholders = Placeholders::new(system, [root]);
        path_forms(&placeholders)
            .map(|(_, tag, bytes)| (tag.text(), bytes))
            .collect()
    }

    fn expect(system: System, path: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(t, b)| ((*t).to_owned(), (*b).to_owned()))
            .collect();
        assert_eq!(all(system, path), expected);
    }

    #[test]
    fn path_form_plain_unix_path_has_few_forms() {
        let written = [
            ("", "/home/al"),
            ("s1", "\\/home\\/al"),
            ("s2", "\\\\/home\\\\/al"),
            ("s3", "\\\\\\\\/home\\\\\\\\/al"),
            ("c", "%2Fhome%2Fal"),
            ("e", "-home-al"),
        ];
        expect(System::Linux, "/home/al", &written);
    }

    #[test]
    fn path_form_special_characters_add_forms() {
        let written = all(System::Macos, "/a \"b");
        for expected in [
            ("0", "/a \"b"),
            ("2", "/a \\\\\\\"b"),
            ("u", "/a%20%22b"),
            ("c", "%2Fa%20%22b"),
            ("e", "-a--b"),
        ] {
            assert!(
                written.contains(&(expected.0.to_owned(), expected.1.to_owned())),
                "{expected:?} in {written:?}"
            );
        }
    }

    #[test]
    fn path_form_windows_path_has_many_forms() {
        let written = all(System::Windows, "C:\\Users\\al");
        for expected in [
            ("0", "C:\\Users\\al"),
            ("1", "C:\\\\Users\\\\al"),
            ("l1", "c:\\\\Users\\\\al"),
            ("f", "C:/Users/al"),
            ("m", "/c/Users/al"),
            ("w", "/mnt/c/Users/al"),
            ("s1", "C:\\/Users\\/al"),
            ("v", "C%3A/Users/al"),
            ("lv", "c%3A/Users/al"),
            ("c", "C%3A%5CUsers%5Cal"),
            ("e", "C--Users-al"),
            ("le", "c--Users-al"),
        ] {
            assert!(
                written.contains(&(expected.0.to_owned(), expected.1.to_owned())),
                "{expected:?} in {written:?}"
            );
        }
    }

    #[test]
    fn path_form_wsl_drive_has_windows_form() {
        let written = all(System::Wsl, "/mnt/c/Users/al");
        assert!(
            written.contains(&("b1".to_owned(), "C:\\\\Users\\\\al".to_owned())),
            "{written:?}"
        );
        assert!(
            !all(System::Wsl, "/home/al")
                .iter()
                .any(|(tag, _)| tag.contains('b'))
        );
    }

    #[test]
    fn path_form_resolved_path_has_own_tag() {
        let root = Placeholder::new(
            System::Linux,
            "R".parse().expect("name"),
            "/home/al",
            Some("/data/al"),
        )
        .expect("root");
        let placeholders = Placeholders::new(System::Linux, [root]);
        let tags: Vec<_> = path_forms(&placeholders)
            .map(|(root, tag, _)| placeholder(root, tag))
            .collect();
        assert_eq!(tags[..2], ["{{R}}", "{{R:r}}"]);
    }
}
