//! Tests of the text and the document of `ccsync status`.

use super::document::document;
use super::show::lines;
use super::summary::summary;
use crate::browse::status::{PendingSessions, Status};
use crate::cli::command::lock::one_of_each;
use crate::domain::SessionId;
use crate::report::{Outcome, SessionReport, SkippedFile};

fn session(id: &str, outcome: Outcome) -> SessionReport {
    SessionReport {
        project: Some("{{HOME}}/work/app".to_owned()),
        title: Some("fix the login form".to_owned()),
        ..SessionReport::new(id.parse().unwrap(), outcome)
    }
}

fn status() -> Status {
    let (lines, bytes) = (2, 70);
    let reason = || "a reason".to_owned();
    let mut refused = session("11111111-a", Outcome::Extended { lines, bytes });
    refused.warnings.push("refused by the remote".to_owned());
    Status {
        machine: "laptop".to_owned(),
        remote: "git@host:al/s.git".to_owned(),
        embedded: false,
        encrypted: true,
        fetched: Some("2026-03-10T10:00:00Z".parse().unwrap()),
        unreached: Some("no route to host".to_owned()),
        store: "/data/store".into(),
        head: Some("0123456789".repeat(4).parse().unwrap()),
        queued_commits: 1,
        unmerged_commits: 3,
        last_push: Some("2026-03-10T11:00:00Z".parse().unwrap()),
        sessions_here: 4,
        sessions_in_store: 9,
        sessions_not_here: 5,
        deleted: 2,
        pending: PendingSessions {
            to_push: vec![refused],
            to_pull: vec![session("22222222-a", Outcome::Added { lines, bytes })],
            not_pulled: vec![session(
                "55555555-a",
                Outcome::NotPulled { reason: reason() },
            )],
            excluded: vec![session(
                "44444444-a",
                Outcome::Excluded {
                    reason: "larger than 200MB".to_owned(),
                    stored: true,
                },
            )],
            skipped: vec![session("66666666-a", Outcome::Skipped { reason: reason() })],
        },
        copies: vec![session(
            "77777777-a",
            Outcome::Forked {
                fork: "88888888-a".parse().unwrap(),
                lines,
            },
        )],
        skipped_files: vec![SkippedFile {
            path: "/x".to_owned(),
            reason: reason(),
        }],
        extras_to_push: Vec::new(),
        extras_to_pull: Vec::new(),
        locks: one_of_each(),
        lost_locks: vec![(
            "99999999-a".parse().unwrap(),
            "its lock was taken over by desk".to_owned(),
        )],
        damaged_locks: vec![reason()],
        unread_notes: 1,
        running: vec!["33333333-a".parse::<SessionId>().unwrap()],
        machines: vec![("desktop".to_owned(), None)],
    }
}

fn quiet() -> Status {
    Status {
        unreached: None,
        queued_commits: 0,
        unmerged_commits: 0,
        sessions_not_here: 0,
        deleted: 0,
        pending: PendingSessions::default(),
        copies: Vec::new(),
        skipped_files: Vec::new(),
        locks: Vec::new(),
        lost_locks: Vec::new(),
        damaged_locks: Vec::new(),
        unread_notes: 0,
        ..status()
    }
}

fn summary_at_noon(status: &Status) -> String {
    summary(status, "2026-03-10T12:00:00Z".parse().unwrap())
}

#[test]
fn status_text_names_everything_pending() {
    let text = lines(&status(), "2026-03-10T12:00:00Z".parse().unwrap(), 100).join("\n");
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
}

#[test]
fn status_nothing_pending_says_as_of_when() {
    let nothing = "status: nothing to push or pull";
    let quiet = quiet();
    assert_eq!(
        summary_at_noon(&quiet),
        format!("{nothing}; remote as of 2 h ago")
    );
    let never = Status {
        fetched: None,
        ..quiet.clone()
    };
    assert_eq!(
        summary_at_noon(&never),
        format!("{nothing}; remote not fetched yet")
    );
    let embedded = Status {
        embedded: true,
        ..quiet
    };
    assert_eq!(summary_at_noon(&embedded), nothing);
}

#[test]
fn status_never_says_nothing_beside_something() {
    let one: [fn(&mut Status, Status); 14] = [
        |to, from| to.queued_commits = from.queued_commits,
        |to, from| to.unmerged_commits = from.unmerged_commits,
        |to, from| to.deleted = from.deleted,
        |to, from| to.pending.to_push = from.pending.to_push,
        |to, from| to.pending.to_pull = from.pending.to_pull,
        |to, from| to.pending.not_pulled = from.pending.not_pulled,
        |to, from| to.pending.excluded = from.pending.excluded,
        |to, from| to.pending.skipped = from.pending.skipped,
        |to, from| to.copies = from.copies,
        |to, from| to.skipped_files = from.skipped_files,
        |to, from| to.locks = from.locks,
        |to, from| to.lost_locks = from.lost_locks,
        |to, from| to.damaged_locks = from.damaged_locks,
        |to, from| to.unread_notes = from.unread_notes,
    ];
    for take in one {
        let mut shown = quiet();
        take(&mut shown, status());
        let line = summary_at_noon(&shown);
        assert!(!line.contains("nothing"), "{line}");
    }
}

#[test]
fn status_json_has_every_field() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&document(&status())).unwrap());
}
