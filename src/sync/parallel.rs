//! Many sessions at once: each thread reads the store through a handle of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::SyncError;
use crate::store::{Snapshot, Store};

/// A thread for fewer sessions costs more than it saves.
const ITEMS_PER_THREAD: usize = 8;

/// Does `step` for each item, at the store's head. After the first failure no other item is begun.
pub(super) fn on_all_cores<T: Sync, R: Send>(
    store: &Store,
    items: &[T],
    step: &(dyn Fn(&Snapshot<'_>, &T) -> Result<R, SyncError> + Sync),
) -> Result<Vec<R>, SyncError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len() / ITEMS_PER_THREAD);
    if threads < 2 {
        let snapshot = store.head_snapshot()?;
        return items.iter().map(|item| step(&snapshot, item)).collect();
    }
    let (path, next, failure) = (store.path(), AtomicUsize::new(0), Mutex::new(None));
    let fail = |e| {
        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
    };
    let work = || {
        let mut done = Vec::new();
        let result = Store::open_another(path).map_err(SyncError::from).and_then(|store| {
            let snapshot = store.head_snapshot()?;
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(step(&snapshot, item)?);
            }
            Ok(())
        });
        if let Err(e) = result {
            next.store(items.len(), Ordering::Relaxed);
            fail(e);
        }
        done
    };
    let done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a step does not panic")).collect()
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(done), Err)
}
