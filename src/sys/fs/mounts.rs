//! The mounted file systems. Must not touch them: one whose server is gone does not answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Types of file systems of other machines, and of programs. Containers get the user's own
/// directories by other ones.
const REMOTE_TYPES: [&str; 14] = [
    "afs",
    "autofs",
    "ceph",
    "cifs",
    "davfs",
    "fuse",
    "fuse.davfs2",
    "fuse.gvfsd-fuse",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "nfs",
    "nfs4",
    "smb3",
];

/// Lists the directories on which a file system of another machine or of a program is mounted, if
/// the system tells (Linux).
pub fn remote_mounts() -> BTreeSet<PathBuf> {
    mounts_of(|kind| REMOTE_TYPES.contains(&kind))
}

/// Lists the directories on which a file system is mounted that another program serves: it may
/// not answer.
pub(super) fn served_mounts() -> BTreeSet<PathBuf> {
    mounts_of(|kind| {
        let is_served = ["9p", "virtiofs"].contains(&kind) || kind.starts_with("fuse");
        is_served || REMOTE_TYPES.contains(&kind)
    })
}

fn mounts_of(is_wanted: impl Fn(&str) -> bool) -> BTreeSet<PathBuf> {
    let table = std::fs::read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    let mounts = table.split(|byte| *byte == b'\n').filter_map(mount);
    let wanted = mounts.filter(|(_, kind)| is_wanted(kind));
    wanted.map(|(directory, _)| directory).collect()
}

/// Returns the directory and the type of a line such as
/// `36 35 0:40 / /mnt/x rw - nfs4 host:/x rw`.
fn mount(line: &[u8]) -> Option<(PathBuf, &str)> {
    let mut words = line.split(|byte| *byte == b' ');
    let directory = words.nth(4)?;
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    let directory = String::from_utf8(unescaped(directory)).ok()?;
    Some((directory.into(), std::str::from_utf8(kind).ok()?))
}

/// Replaces `\040` and the like.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(|_| *first == b'\\') {
            Some(code) => {
                plain.push(code);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_line_has_directory_and_type() {
        let nfs = b"36 35 0:40 / /home/al/my\\040disk rw,noatime shared:1 - nfs4 host:/x rw";
        assert_eq!(mount(nfs), Some(("/home/al/my disk".into(), "nfs4")));
        for line in ["", "1 2 3"] {
            assert_eq!(mount(line.as_bytes()), None, "{line}");
        }
    }
}
