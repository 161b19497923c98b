//! Status of a lock, and its changes.

use chrono::TimeDelta;

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn identity(machine: &str) -> Identity {
    Identity {
        machine: machine.parse().unwrap(),
        host: machine[..1].to_owned(),
        pid: 1,
    }
}

fn stamp(seconds: i64) -> Stamp {
    Stamp {
        now: at(seconds),
        nonce: format!("n{}", seconds.unsigned_abs()),
    }
}

fn commit(n: u32) -> CommitId {
    format!("{n:040}").parse().unwrap()
}

/// A lock of `A`, renewed at 0 by its clock and first seen by `B` at `first_seen`.
fn seen(first_seen: i64) -> ObservedLock {
    let record = LockRecord::first("s".parse().unwrap(), &identity(A), stamp(0));
    ObservedLock {
        commit: commit(1),
        record,
        first_seen: at(first_seen),
    }
}

/// The status as `B` sees it.
fn kind(first_seen: i64, now: i64) -> &'static str {
    match lock_status(
        Some(&seen(first_seen)),
        at(now),
        &LockObserver::new(identity(B), None),
    ) {
        LockStatus::Held { expires, .. } => {
            assert!(expires > at(now), "what has not expired expires later");
            "held"
        }
        LockStatus::Expired {
            why: Expiry::NoHeartbeat,
            ..
        } => "no heartbeat",
        LockStatus::Expired {
            why: Expiry::ByClock,
            ..
        } => "by clock",
        LockStatus::Free | LockStatus::Mine => panic!("it is another machine's"),
    }
}

#[test]
fn lock_expires_without_heartbeat_or_by_clock() {
    assert_eq!(
        [kind(0, 0), kind(0, 599), kind(0, 600)],
        ["held", "held", "no heartbeat"]
    );
    // First seen late: the clock decides, with what clocks may differ by.
    assert_eq!([kind(500, 719), kind(500, 720)], ["held", "by clock"]);
    // Its holder's clock is far ahead: what this machine sees decides.
    assert_eq!(
        [kind(-9000, -9000), kind(-9000, -8401), kind(-9000, -8400)],
        ["held", "held", "no heartbeat"]
    );
    // This machine's clock was set back.
    assert_eq!(kind(300, -300), "held");
}

#[test]
fn lock_of_other_holder_needs_take_over() {
    let me = LockObserver::new(identity(B), None);
    let session = "s".parse().unwrap();
    let first = acquire(&session, None, &me, TakeOver::No, stamp(0)).unwrap();
    assert_eq!((first.expected, first.new.unwrap().generation), (None, 1));
    let take = |take_over, now| acquire(&session, Some(&seen(0)), &me, take_over, stamp(now));
    assert!(matches!(
        take(TakeOver::No, 0),
        Err(LockStatus::Held { .. })
    ));
    assert!(matches!(
        take(TakeOver::Expired, 0),
        Err(LockStatus::Held { .. })
    ));
    assert!(matches!(
        take(TakeOver::No, 600),
        Err(LockStatus::Expired { .. })
    ));
    for taken in [take(TakeOver::Live, 0), take(TakeOver::Expired, 600)] {
        let taken = taken.unwrap();
        assert_eq!(
            (taken.expected, taken.new.unwrap().generation),
            (Some(commit(1)), 2)
        );
    }
}

#[test]
fn lock_ownership_follows_commits() {
    let mut held = HeldLock::new_unconfirmed(commit(1), seen(0).record);
    let is_mine = |held: &HeldLock, n| {
        let seen = ObservedLock {
            commit: commit(n),
            ..seen(0)
        };
        lock_status(
            Some(&seen),
            at(90_000),
            &LockObserver::new(identity(B), Some(held)),
        ) == LockStatus::Mine
    };
    assert!(is_mine(&held, 1) && !is_mine(&held, 2));
    held.confirm();
    let renewed = held.renewal_change(stamp(9)).unwrap();
    assert_eq!(renewed.expected, Some(commit(1)));
    held.begin_renewal(commit(2), renewed.new.unwrap());
    assert!(is_mine(&held, 1) && is_mine(&held, 2) && !is_mine(&held, 3));
}

#[test]
fn lock_unanswered_push_is_settled_by_branch() {
    let settle = |pending: Option<PendingChange>, branch: Option<u32>| {
        let mut held = HeldLock {
            pending,
            ..HeldLock::new_unconfirmed(commit(1), seen(0).record)
        };
        let settlement = held.settle(branch.map(commit).as_ref());
        (settlement, held.commit == commit(2), held.pending.is_some())
    };
    let renew = || {
        Some(PendingChange::Renew {
            commit: commit(2),
            record: seen(0).record,
        })
    };
    use Settlement::{Held, Lost, Released, Unanswered};
    for (pending, branch, expected) in [
        (None, Some(1), (Held, false, false)),
        (None, Some(3), (Lost, false, false)),
        (None, None, (Lost, false, false)),
        (Some(PendingChange::Acquire), Some(1), (Held, false, false)),
        (Some(PendingChange::Acquire), None, (Lost, false, true)),
        (renew(), Some(1), (Unanswered, false, true)),
        (renew(), Some(2), (Held, true, false)),
        (renew(), Some(3), (Lost, false, true)),
        (
            Some(PendingChange::Release),
            Some(1),
            (Unanswered, false, true),
        ),
        (
            Some(PendingChange::Release),
            Some(3),
            (Released, false, true),
        ),
        (Some(PendingChange::Release), None, (Released, false, true)),
    ] {
        assert_eq!(
            settle(pending.clone(), branch),
            expected,
            "{pending:?} {branch:?}"
        );
    }
}

#[test]
fn lock_unanswered_change_is_sent_again_unchanged() {
    let mut held = HeldLock::new_unconfirmed(commit(1), seen(0).record);
    assert_eq!(
        (held.renewal_change(stamp(1)), held.release_change()),
        (None, None)
    );
    held.confirm();
    let first = held.renewal_change(stamp(1)).unwrap();
    held.begin_renewal(commit(2), first.new.clone().unwrap());
    assert_eq!(
        (held.renewal_change(stamp(2)), held.release_change()),
        (Some(first), None)
    );
    held.confirm();
    held.begin_release();
    assert_eq!(held.renewal_change(stamp(3)), None);
    assert_eq!(
        held.release_change(),
        Some(LockChange {
            expected: Some(commit(2)),
            new: None
        })
    );
    assert_eq!(held.confirm(), Settlement::Released);
}
