//! The path by which other programs start this one later.

use std::path::{Path, PathBuf};

use super::Env;
use super::fs::real_path;

/// Returns the path of this program for hooks and services: a link to it on the PATH, else its own
/// file.
///
/// Some package managers put each version into its own directory and change the link.
pub fn lasting_program(env: &Env) -> Option<PathBuf> {
    let own = env.program.as_deref()?;
    Some(link_to(own, &env.search_path).unwrap_or_else(|| own.to_owned()))
}

fn link_to(own: &Path, search_path: &[PathBuf]) -> Option<PathBuf> {
    let file = real_path(own).ok()?;
    let paths = search_path
        .iter()
        .filter(|directory| directory.is_absolute());
    let mut paths = paths.filter_map(|directory| Some(directory.join(own.file_name()?)));
    paths.find(|path| real_path(path).is_ok_and(|target| target == file))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn own_program_link_on_path_lasts_longer() {
        let dir = tempfile::tempdir().unwrap();
        let [own, other, link] =
            ["0.1.0/ccsync", "other/ccsync", "bin/ccsync"].map(|name| dir.path().join(name));
        for path in [&own, &other] {
            write_atomic(path, b"").unwrap();
        }
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        symlink(&own, &link).unwrap();

        let directories = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().map(|name| dir.path().join(name)).collect()
        };
        let search_path = directories(&["none", "other", "bin"]);
        assert_eq!(link_to(&own, &search_path), Some(link));
        assert_eq!(link_to(&own, &directories(&["other"])), None);
    }
}
