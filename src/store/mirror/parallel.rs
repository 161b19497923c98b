//! Seals or unseals many files on all cores, in bounded memory.

use std::ops::ControlFlow;

use git2::Repository;

use super::error::MirrorError;
use crate::encryption::Sealer;
use crate::store::objects::reader::Objects;
use crate::store::repository::Store;
use crate::sys::{parallel::cores, parallel::in_order, signal};

/// With fewer files, threads cost more than they save.
const MIN_FILES: usize = 16;

/// Files that are in memory at a time. Most have at most 256 KiB.
const FILES_AT_ONCE: usize = 96;

/// Reads and converts one file.
type Convert<'a, T, R> = dyn Fn(Objects<'_>, &mut Sealer, &T) -> Result<R, MirrorError> + Sync + 'a;

/// Converts files that are read from `repository`, and hands them over in their order.
pub(super) fn convert_files<T: Sync, R: Send>(
    repository: &Store,
    sealer: &Sealer,
    files: &[T],
    convert: &Convert<'_, T, R>,
    receive: &mut dyn FnMut(&T, R) -> Result<(), MirrorError>,
) -> Result<(), MirrorError> {
    let mut sealer = sealer.clone();
    for some in files.chunks(FILES_AT_ONCE) {
        signal::check()?;
        if some.len() < MIN_FILES {
            for file in some {
                receive(file, convert(repository.objects(), &mut sealer, file)?)?;
            }
            continue;
        }
        convert_in_parallel(repository, &sealer, some, convert, receive)?;
    }
    Ok(())
}

fn convert_in_parallel<T: Sync, R: Send>(
    repository: &Store,
    sealer: &Sealer,
    files: &[T],
    convert: &Convert<'_, T, R>,
    receive: &mut dyn FnMut(&T, R) -> Result<(), MirrorError>,
) -> Result<(), MirrorError> {
    let git_dir = repository.git_dir();
    let mut result = Ok(());
    let mut received = files.iter();
    in_order(
        files,
        cores(),
        |queue| {
            let mut sealer = sealer.clone();
            // Each thread has its own handle.
            let own = Repository::open(git_dir).map(Store::new);
            queue.each(|file| match &own {
                Ok(own) => convert(own.objects(), &mut sealer, file),
                Err(e) => Err(git2::Error::from_str(e.message()).into()),
            });
        },
        &mut |converted: Result<R, MirrorError>| {
            let file = received.next().expect("each file has one result");
            result = converted.and_then(|converted| receive(file, converted));
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        },
    );
    result
}
