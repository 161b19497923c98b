//! Resolving the links in a path one by one.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Maximum number of links followed in one path.
const MAX_LINKS: usize = 40;

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
            && let Ok(target) = fs::read_link(&resolved)
        {
            links += 1;
            resolved.pop();
            rest.extend(parts_reversed(&target));
        }
    }
    resolved
}

fn parts_reversed(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts.map(|part| part.as_os_str().to_owned()).collect()
}
