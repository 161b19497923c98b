//! Moves the files of a session on this machine to the directory of another project.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::session::{
    LocalSession, SessionError, files::file_path, files::is_external, journal::Journal,
};
use crate::sys::fs::{FileStamp, PathError};

/// Bytes copied at a time.
const PIECE: usize = 256 << 10;

/// Moves a session to `directory`, so that it can be undone. Returns it there.
///
/// The transcript comes last and goes first: a session that Claude Code can see has all its other
/// files.
///
/// # Errors
/// As for [`Journal::write`]; a file that is at the destination already is not replaced.
pub(crate) fn move_session(
    journal: &Journal,
    here: &LocalSession,
    directory: &Path,
) -> Result<LocalSession, SessionError> {
    let mut moved = LocalSession {
        directory: directory.to_owned(),
        ..here.clone()
    };
    let own = || here.files.iter().filter(|(file, _)| !is_external(file));
    for (file, stamp) in own().rev() {
        let to = file_path(directory, &here.id, file);
        let stamp = copy(journal, &here.path(file), &to, stamp)?;
        moved.files.insert(file.clone(), stamp);
    }
    for (file, stamp) in own() {
        let path = here.path(file);
        journal.remove(&path, stamp)?;
        remove_empty_directories(&path, &here.directory);
    }
    Ok(moved)
}

/// Removes the directories above a file that are empty now, below `project`.
fn remove_empty_directories(file: &Path, project: &Path) {
    let above = file.ancestors().skip(1);
    let mut below_project = above.take_while(|directory| *directory != project);
    below_project.all(|directory| std::fs::remove_dir(directory).is_ok());
}

fn copy(
    journal: &Journal,
    from: &Path,
    to: &Path,
    stamp: &FileStamp,
) -> Result<FileStamp, SessionError> {
    let failed = |e| SessionError::from(PathError::new("read", from, e));
    let mut file = File::open(from).map_err(failed)?.take(stamp.len);
    journal.write(to, None, None, |write| {
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).map_err(failed)?;
            if read == 0 {
                return Ok(());
            }
            write(&piece[..read])?;
        }
    })
}
