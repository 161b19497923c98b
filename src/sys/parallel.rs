//! Independent pieces of work on all cores.
//!
//! Owns the threads. Must not know what is done.

use std::sync::Mutex;
use std::thread;

/// How many threads are worth starting for so many items, if one for fewer than `per_thread` costs more than it saves.
pub fn worth(items: usize, per_thread: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(items / per_thread)
}

/// Calls `work` in as many threads, each with an iterator that takes the next item that no other has taken. The results come in no order.
///
/// # Errors
/// The first failure; after one, no other item is taken.
pub fn spread<'i, T: Sync, R: Send, E: Send>(
    items: &'i [T],
    threads: usize,
    work: impl Fn(&mut dyn Iterator<Item = &'i T>) -> Result<Vec<R>, E> + Sync,
) -> Result<Vec<R>, E> {
    let waiting = Mutex::new(items.iter());
    let take = || waiting.lock().expect("nobody panics while taking an item").next();
    let one_thread = || {
        let done = work(&mut std::iter::from_fn(take));
        if done.is_err() {
            while take().is_some() {}
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("the work does not panic"));
        Ok(done.collect::<Result<Vec<_>, E>>()?.into_iter().flatten().collect())
    })
}
