//! Resolving the links in a path: all at once by the system, or one by one.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use crate::domain::url::has_drive;

/// Maximum number of links followed in one path.
const MAX_LINKS: usize = 40;

/// Resolves the links in `path`, and spells the result as users and Claude Code do.
///
/// # Errors
/// If there is nothing at the path, or a directory on the way is closed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that resolves links"
)]
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(path)?;
    if !cfg!(windows) {
        return Ok(real);
    }
    let given = std::path::absolute(path)?;
    Ok(match (given.to_str(), real.to_str()) {
        (Some(given), Some(real)) => usual_form(given, real).into(),
        _ => real,
    })
}

/// Returns the usual spelling of `real`, the verbatim form in which Windows resolves `given`.
///
/// A drive that stands for a share stays a drive: programs know the share by it.
fn usual_form(given: &str, real: &str) -> String {
    let (given, real) = (
        without_verbatim_prefix(given),
        without_verbatim_prefix(real),
    );
    match has_drive(&given) && !has_drive(&real) {
        true => given,
        false => real,
    }
}

/// Turns `\\?\C:\x` into `C:\x`, and `\\?\UNC\server\share` into `\\server\share`.
fn without_verbatim_prefix(path: &str) -> String {
    match path.strip_prefix(r"\\?\") {
        Some(rest) if has_drive(rest) => rest.to_owned(),
        Some(rest) => match rest.strip_prefix(r"UNC\") {
            Some(share) => format!(r"\\{share}"),
            None => path.to_owned(),
        },
        None => path.to_owned(),
    }
}

/// Resolves the links in `path`, also those that lead to nothing, up to the first directory for
/// which `is_end` is true.
pub(super) fn resolve_until(path: &Path, is_end: impl Fn(&Path) -> bool) -> PathBuf {
    let mut resolved = PathBuf::new();
    let mut is_at_end = false;
    let mut rest: Vec<OsString> = parts_reversed(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => drop(resolved.pop()),
            Some(Component::CurDir) | None => {}
            Some(_) => resolved.push(&part),
        }
        is_at_end = is_at_end || is_end(&resolved);
        if !is_at_end
            && links < MAX_LINKS
            && let Some(target) = link_target(&resolved)
        {
            links += 1;
            resolved.pop();
            rest.extend(parts_reversed(&target));
        }
    }
    resolved
}

fn link_target(link: &Path) -> Option<PathBuf> {
    let target = fs::read_link(link).ok()?;
    Some(match target.to_str() {
        Some(verbatim) if cfg!(windows) => without_verbatim_prefix(verbatim).into(),
        _ => target,
    })
}

fn parts_reversed(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_path_has_usual_form_on_windows() {
        for (given, real, expected) in [
            (r"c:\Work\app", r"\\?\C:\work\App", r"C:\work\App"),
            (r"Z:\app", r"\\?\UNC\server\share\app", r"Z:\app"),
            (r"\\?\Z:\app", r"\\?\UNC\server\share\app", r"Z:\app"),
            (
                r"\\server\share",
                r"\\?\UNC\server\share",
                r"\\server\share",
            ),
            (r"\\?\Volume{1}\x", r"\\?\Volume{1}\x", r"\\?\Volume{1}\x"),
        ] {
            assert_eq!(usual_form(given, real), expected, "{given}");
        }
    }

    #[test]
    fn real_path_is_absolute_and_plain() {
        let dir = tempfile::tempdir().unwrap();
        let real = real_path(dir.path()).unwrap();
        assert!(real.is_absolute() && !real.to_string_lossy().starts_with(r"\\?\"));
        assert!(real_path(&real.join("none")).is_err());
    }
}
