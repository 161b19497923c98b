//! Single paths: a native path to its portable form and back.
//!
//! Owns the rule that finds the placeholder of a path. Must not touch the file system.

use super::placeholder::placeholder_at;
use crate::domain::{Placeholder, Placeholders, PortablePath, System, client_dir::client_dir_name};

/// Returns the portable form of an absolute native path: the longest placeholder that
/// contains it, then `/`-separated components. A path below no placeholder is returned
/// unchanged.
///
/// A placeholder's resolved path counts as the placeholder, and so do its directory in another case
/// on Windows and macOS, and forward slashes on Windows: all of them are one directory, and one
/// directory has one portable path.
pub fn collapse_path(placeholders: &Placeholders, native: &str) -> PortablePath {
    let Some(found) = under_placeholder(placeholders, native) else {
        return PortablePath::new(native);
    };
    let slash = if found.tail.is_empty() { "" } else { "/" };
    PortablePath::new(format!("{{{{{}}}}}{slash}{}", found.root.name, found.tail))
}

/// Returns the native path on the machine of `target`.
///
/// `None` if the path names a placeholder that this machine does not have, leads out of
/// its placeholder with `..`, or is not absolute in the target's system.
pub fn expand_path(portable: &PortablePath, target: &Placeholders) -> Option<String> {
    let text = portable.as_str();
    if !text.starts_with("{{") {
        return (is_absolute(target.system, text) && stays_below(target.system, text))
            .then(|| text.to_owned());
    }
    let placeholder =
        placeholder_at(text.as_bytes(), 0).filter(|p| p.tag.is_empty() && p.tail.is_none())?;
    let root = target.get(std::str::from_utf8(placeholder.name).ok()?)?;
    let tail = &text[placeholder.end..];
    let fits = tail.is_empty() || tail.starts_with('/');
    let is_native = !(target.system.is_windows() && tail.contains('\\'));
    let native = || format!("{}{}", root.directory, native_tail(target.system, tail));
    (fits && is_native && stays_below(target.system, tail)).then(native)
}

/// A path cut at its placeholder.
#[derive(Debug)]
pub(super) struct UnderPlaceholder<'r> {
    /// The placeholder.
    pub(super) root: &'r Placeholder,
    /// True if the path begins with the placeholder's resolved path.
    pub(super) resolved: bool,
    /// The rest, `/`-separated, without a leading slash.
    pub(super) tail: String,
}

/// The longest placeholder that holds `native`.
pub(super) fn under_placeholder<'r>(
    placeholders: &'r Placeholders,
    native: &str,
) -> Option<UnderPlaceholder<'r>> {
    let of_root = |root: &'r Placeholder| {
        [
            (Some(&root.directory), root, false),
            (root.resolved.as_ref(), root, true),
        ]
    };
    let candidates = placeholders
        .placeholders
        .iter()
        .flat_map(of_root)
        .filter_map(|(path, root, resolved)| {
            let path = path?;
            let tail = tail_below(placeholders.system, native, path)?;
            Some((
                path.len(),
                UnderPlaceholder {
                    root,
                    resolved,
                    tail,
                },
            ))
        });
    // If placeholders share a path, the first one wins, as in running text.
    candidates
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, found)| found)
}

/// The client's directory name for the directory `tail` (`/`-separated) below `placeholder_path`.
pub(super) fn dir_name_below(system: System, placeholder_path: &str, tail: &str) -> String {
    client_dir_name(&format!(
        "{placeholder_path}{}{}",
        system.separator(),
        native_tail(system, tail)
    ))
}

fn tail_below(system: System, native: &str, placeholder_path: &str) -> Option<String> {
    let native = match system.is_windows() {
        true => native.replace('/', "\\"),
        false => native.to_owned(),
    };
    let tail = strip_directory(system, &native, placeholder_path)?;
    if tail.is_empty() {
        return Some(String::new());
    }
    let tail = tail.strip_prefix(system.separator())?;
    Some(if system.is_windows() {
        tail.replace('\\', "/")
    } else {
        tail.to_owned()
    })
}

/// Removes `directory` from the beginning of `path`. Where case does not matter, the user may have
/// typed the path in another one than the placeholder has.
fn strip_directory<'p>(system: System, path: &'p str, directory: &str) -> Option<&'p str> {
    let (start, rest) = path.split_at_checked(directory.len())?;
    let is_same = match system.ignores_case() {
        true => start.eq_ignore_ascii_case(directory),
        false => start == directory,
    };
    is_same.then_some(rest)
}

fn native_tail(system: System, tail: &str) -> String {
    if system.is_windows() {
        tail.replace('/', "\\")
    } else {
        tail.to_owned()
    }
}

fn stays_below(system: System, tail: &str) -> bool {
    let is_separator = |c| c == '/' || system.is_windows() && c == '\\';
    !tail.contains('\0') && tail.split(is_separator).all(|component| component != "..")
}

fn is_absolute(system: System, path: &str) -> bool {
    let bytes = path.as_bytes();
    if system.is_windows() {
        matches!(bytes, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
    } else {
        bytes.first() == Some(&b'/')
    }
}

/// Returns the path from which the client makes directory names: it resolves symbolic links.
pub(super) fn client_path(root: &Placeholder) -> &str {
    root.resolved.as_deref().unwrap_or(&root.directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(system: System, placeholders: &[(&str, &str, Option<&str>)]) -> Placeholders {
        let root = |(name, path, resolved): &(&str, &str, Option<&str>)| {
            Placeholder::new(system, name.parse().expect("name"), path, *resolved).expect("root")
        };
        Placeholders::new(system, placeholders.iter().map(root))
    }

    #[test]
    fn path_collapse_uses_longest_placeholder() {
        let linux = placeholders(
            System::Linux,
            &[
                ("HOME", "/home/al", Some("/data/al")),
                ("PROJECTS", "/home/al/p", None),
            ],
        );
        for (native, portable) in [
            ("/home/al", "{{HOME}}"),
            ("/home/al/p/x", "{{PROJECTS}}/x"),
            ("/home/al/px", "{{HOME}}/px"),
            ("/data/al/x", "{{HOME}}/x"),
            ("/home/alice", "/home/alice"),
        ] {
            assert_eq!(collapse_path(&linux, native).as_str(), portable);
        }
    }

    #[test]
    fn path_windows_forms_share_portable_path() {
        let windows = placeholders(System::Windows, &[("HOME", "C:\\Users\\al", None)]);
        for native in [
            "C:\\Users\\al\\a\\b",
            "c:\\Users\\al\\a\\b",
            "C:/Users/al/a/b",
            "c:/USERS/AL/a/b",
        ] {
            assert_eq!(collapse_path(&windows, native).as_str(), "{{HOME}}/a/b");
        }
    }

    #[test]
    fn path_case_of_placeholder_matters_only_on_linux() {
        for (system, native, portable) in [
            (System::Macos, "/users/Al/App", "{{HOME}}/App"),
            (System::Macos, "/Users/alice", "/Users/alice"),
            (System::Macos, "/Users/ä", "/Users/ä"),
            (System::Linux, "/users/al/App", "/users/al/App"),
            (System::Wsl, "/users/al/App", "/users/al/App"),
        ] {
            let set = placeholders(system, &[("HOME", "/Users/al", None)]);
            assert_eq!(collapse_path(&set, native).as_str(), portable, "{system:?}");
        }
    }

    #[test]
    fn path_expand_returns_native_path_or_none() {
        let windows = placeholders(System::Windows, &[("HOME", "C:\\Users\\al", None)]);
        let linux = placeholders(System::Linux, &[("HOME", "/home/al", None)]);
        for (portable, target, native) in [
            ("{{HOME}}/a/b", &windows, Some("C:\\Users\\al\\a\\b")),
            ("{{HOME}}/a/b", &linux, Some("/home/al/a/b")),
            ("{{HOME}}", &linux, Some("/home/al")),
            ("{{WORK}}/a", &linux, None),
            ("{{HOME}}/../x", &linux, None),
            ("{{HOME}}/..\\x", &windows, None),
            ("{{HOME}}x", &linux, None),
            ("/srv/x", &linux, Some("/srv/x")),
            ("/srv/x", &windows, None),
            ("D:\\x", &windows, Some("D:\\x")),
            ("D:\\x", &linux, None),
        ] {
            assert_eq!(
                expand_path(&PortablePath::new(portable), target).as_deref(),
                native,
                "{portable}"
            );
        }
    }
}
