//! Independent pieces of work on all cores.
//!
//! Owns the threads. Must not know what is done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

/// How many threads are worth starting for so many items, if one for fewer than `per_thread` costs more than it saves.
pub fn worth(items: usize, per_thread: usize) -> usize {
    cores().min(items / per_thread)
}

/// What one thread of [`in_order`] does with each item that is its own.
type Step<'s, 'i, T, R> = dyn FnMut(&'i T) -> R + 's;

/// Calls `work` in as many threads, each with a function that calls the given step for the next items that no other thread has taken. The
/// results go to `take` in the order of the items, each as soon as it and those before it are done, until it returns `false`.
pub fn in_order<'i, T: Sync, R: Send>(
    items: &'i [T],
    threads: usize,
    workspace: impl Fn(&mut dyn FnMut(&mut Step<'_, 'i, T, R>)) + Sync,
    take: &mut dyn FnMut(R) -> bool,
) {
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    let one_thread = |done: mpsc::Sender<(usize, R)>| {
        workspace(&mut |step| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else { return };
                // Nobody takes any more.
                if done.send((at, step(item))).is_err() {
                    return;
                }
            }
        });
    };
    let one_thread = &one_thread;
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let done = done.clone();
            scope.spawn(move || one_thread(done));
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut wanted = 0;
        for (at, result) in results {
            waiting.insert(at, result);
            while let Some(result) = waiting.remove(&wanted) {
                wanted += 1;
                if !take(result) {
                    return;
                }
            }
        }
    });
}

/// How many threads the machine runs at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Calls `work` in as many threads, each with an iterator that takes the next item that no other has taken. The results come in no order.
///
/// # Errors
/// The first failure; after one, no other item is taken.
pub fn spread<'i, T: Sync, R: Send, E: Send>(
    items: &'i [T],
    threads: usize,
    workspace: impl Fn(&mut dyn Iterator<Item = &'i T>) -> Result<Vec<R>, E> + Sync,
) -> Result<Vec<R>, E> {
    let waiting = Mutex::new(items.iter());
    let take = || {
        waiting
            .lock()
            .expect("nobody panics while taking an item")
            .next()
    };
    let one_thread = || {
        let done = workspace(&mut std::iter::from_fn(take));
        if done.is_err() {
            while take().is_some() {}
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().expect("the work does not panic"));
        Ok(done
            .collect::<Result<Vec<_>, E>>()?
            .into_iter()
            .flatten()
            .collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_results_keep_order_until_dropped() {
        let items: Vec<usize> = (0..500).collect();
        let mut taken = Vec::new();
        in_order(
            &items,
            4,
            |each| each(&mut |item| item * 2),
            &mut |result| {
                taken.push(result);
                taken.len() < 300
            },
        );
        assert_eq!(taken, (0..300).map(|item| item * 2).collect::<Vec<_>>());
        in_order(&[], 4, |each| each(&mut |(): &()| ()), &mut |()| {
            panic!("there is none")
        });
    }
}
