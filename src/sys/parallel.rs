//! Independent pieces of work on all cores: the one worker pool of this program.
//!
//! Owns the threads. Must not know what the work is.
//!
//! Each thread runs a worker once. The worker opens what it needs for itself (a handle on the
//! store) and then calls [`Queue::each`], which takes items that no other thread has taken. The
//! caller's thread receives the results in the order of the items.
//!
//! Work stops early if the receiver returns `Break`, or at the first error of [`try_map`]. Then
//! no further item is begun, items that are being worked on are finished and their results
//! dropped, and the call returns when every thread has ended. An interruption stops it in the
//! same way: the receiver looks at [`super::signal`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Returns the number of threads that the machine runs at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the number of threads worth starting for `items`: each gets at least `per_thread`.
pub fn useful_threads(items: usize, per_thread: usize) -> usize {
    cores().min(items / per_thread)
}

/// The items of one call, as a worker sees them.
pub struct Queue<'q, 'i, T, R> {
    items: &'i [T],
    next: &'q AtomicUsize,
    results: Sender<(usize, R)>,
}

impl<'i, T, R> Queue<'_, 'i, T, R> {
    /// Calls `step` for each item that this worker gets, until none is left or the work stops.
    pub fn each(&self, mut step: impl FnMut(&'i T) -> R) {
        while let Some((n, item)) = self.take() {
            if self.results.send((n, step(item))).is_err() {
                return;
            }
        }
    }

    /// Calls `step` like [`Self::each`]; an error stops this worker and all others.
    ///
    /// # Errors
    /// The error of `step`.
    pub fn try_each<E>(&self, mut step: impl FnMut(&'i T) -> Result<R, E>) -> Result<(), E> {
        while let Some((n, item)) = self.take() {
            let result = step(item).inspect_err(|_| self.stop())?;
            if self.results.send((n, result)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn take(&self) -> Option<(usize, &'i T)> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Some((n, self.items.get(n)?))
    }

    fn stop(&self) {
        self.next.store(self.items.len(), Ordering::Relaxed);
    }
}

/// Runs `worker` in `threads` threads (at least one) over `items`.
///
/// `receive` gets each result as soon as it and all before it are there, until it breaks.
pub fn in_order<'i, T: Sync, R: Send>(
    items: &'i [T],
    threads: usize,
    worker: impl Fn(&Queue<'_, 'i, T, R>) + Sync,
    receive: &mut dyn FnMut(R) -> ControlFlow<()>,
) {
    let next = &AtomicUsize::new(0);
    let worker = &worker;
    let (sender, received) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let results = sender.clone();
            scope.spawn(move || {
                worker(&Queue {
                    items,
                    next,
                    results,
                });
            });
        }
        drop(sender);

        let mut waiting = BTreeMap::new();
        let mut wanted = 0;
        for (n, result) in received {
            waiting.insert(n, result);
            while let Some(result) = waiting.remove(&wanted) {
                wanted += 1;
                if receive(result).is_break() {
                    return;
                }
            }
        }
    });
}

/// Runs `worker` like [`in_order`] and collects the results in the order of the items.
///
/// # Errors
/// The first error of a worker; it stops all of them.
pub fn try_map<'i, T: Sync, R: Send, E: Send>(
    items: &'i [T],
    threads: usize,
    worker: impl Fn(&Queue<'_, 'i, T, R>) -> Result<(), E> + Sync,
) -> Result<Vec<R>, E> {
    let mut results = Vec::with_capacity(items.len());
    let failure = Mutex::new(None);
    let worker = |queue: &Queue<'_, 'i, T, R>| {
        if let Err(e) = worker(queue) {
            queue.stop();
            let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(e);
        }
    };
    in_order(items, threads, worker, &mut |result| {
        results.push(result);
        ControlFlow::Continue(())
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(results), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_results_keep_order_until_break() {
        let items: Vec<usize> = (0..500).collect();
        let mut received = Vec::new();
        in_order(
            &items,
            4,
            |queue| queue.each(|item| item * 2),
            &mut |result| {
                received.push(result);
                match received.len() {
                    300 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            },
        );
        assert_eq!(received, (0..300).map(|item| item * 2).collect::<Vec<_>>());
        in_order(&[], 4, |queue| queue.each(|(): &()| ()), &mut |()| {
            panic!("there is no item")
        });
    }

    #[test]
    fn parallel_error_stops_all_workers() {
        let items: Vec<u32> = (0..500).collect();
        let doubled = try_map(&items, 4, |queue| {
            queue.try_each(|item| Ok::<_, u32>(item * 2))
        });
        assert_eq!(doubled, Ok(items.iter().map(|item| item * 2).collect()));

        let begun = AtomicUsize::new(0);
        let failed = try_map(&items, 4, |queue| {
            queue.try_each(|item| {
                begun.fetch_add(1, Ordering::Relaxed);
                if *item == 7 { Err(*item) } else { Ok(()) }
            })
        });
        assert_eq!(failed, Err(7));
        assert!(begun.into_inner() < items.len());
        let unopened = try_map(&items, 4, |_: &Queue<'_, '_, u32, ()>| Err("cannot open"));
        assert_eq!(unopened, Err("cannot open"));
    }
}
