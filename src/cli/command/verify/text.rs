//! The report of `ccsync verify`: totals, differences, and the commands that resolve
//! them.

use super::painted::{attention, hint};
use super::remote_text;
use crate::report::verification::{
    Damage, RemoteStatus, SessionCheck, SyncStatus, Total, Verification,
};
use crate::ui::{
    ATTENTION, Cell, HEADING, HINT, QUIET, Table, format::bytes, format::count, format::short_id,
    report::title, sanitize::one_line, style::paint,
};

/// Returns the report for a terminal of this width.
pub(super) fn lines(found: &Verification, width: usize) -> Vec<String> {
    let mut lines = totals(found).lines(width);
    let differing: Vec<&SessionCheck> = found
        .sessions
        .iter()
        .filter(|s| !s.agrees() || s.damaged_lines > 0)
        .collect();
    lines.extend(sessions(&differing, width));
    for file in &found.skipped_files {
        lines.push(attention(&format!(
            "skipped: {}: {}",
            file.path, file.reason
        )));
    }
    if let Some(extras) = &found.extras {
        if extras.files > 0 {
            lines.push(format!(
                "extras: {} in the store, {}",
                count(extras.files, "file"),
                bytes(extras.bytes)
            ));
        }
        lines.extend(
            extras
                .damage
                .iter()
                .map(|damage| attention(&format!("damaged: {damage}"))),
        );
    }
    if let Some(objects) = &found.objects {
        lines.extend(
            objects
                .damaged
                .iter()
                .map(|o| attention(&format!("damaged object {}: {}", o.id, o.reason))),
        );
        if !objects.damaged.is_empty() {
            lines.push(hint(
                "move the store away (`ccsync status` prints its path), then ccsync sync",
            ));
        }
    }
    if let Some(damage) = &found.remote_damage {
        lines.push(attention(&format!("the remote is damaged: {damage}")));
        lines.push(hint(
            "ccsync init --remote URL with an empty repository, then ccsync push",
        ));
    }
    lines.extend(remote_text::lines(&found.remote));
    lines.push(summary(found));
    lines
}

fn totals(found: &Verification) -> Table {
    let mut table = Table::new(2, 4);
    let heading = |text: &str| Cell::right(text).style(HEADING);
    table.row([
        Cell::new(""),
        heading("sessions"),
        heading("lines"),
        heading("size"),
    ]);
    let mut row = |place: &str, total: Total, note: &str| {
        let number = |n: u64| Cell::right(n.to_string());
        let cells = [
            Cell::new(place),
            number(total.sessions),
            number(total.lines),
            Cell::right(bytes(total.bytes)),
        ];
        table.row(
            cells
                .into_iter()
                .chain((!note.is_empty()).then(|| Cell::new(note).style(QUIET))),
        );
    };
    row("here", found.here, "");
    row("store", found.store, &read(found));
    row("remote", found.remote_total, seen(&found.remote));
    table
}

fn read(found: &Verification) -> String {
    let Some(objects) = &found.objects else {
        return String::new();
    };
    let skipped = if objects.skipped_files > 0 {
        format!(", {} skipped because of their size", objects.skipped_files)
    } else {
        String::new()
    };
    format!("{} read{skipped}", count(objects.intact, "object"))
}

fn seen(remote: &RemoteStatus) -> &'static str {
    match remote {
        RemoteStatus::NotReached { .. } | RemoteStatus::Ahead { .. } => "as last fetched",
        _ => "",
    }
}

fn sessions(differing: &[&SessionCheck], width: usize) -> Vec<String> {
    let mut table = Table::new(2, 1);
    for check in differing {
        let (what, command) = difference(check);
        table.row([
            Cell::new(short_id(check.session.as_str())).style(QUIET),
            Cell::new(title(check.title.as_deref())),
            Cell::new(what).style(ATTENTION),
            Cell::new(command).style(HINT),
        ]);
    }
    let mut lines = Vec::new();
    if !differing.is_empty() {
        lines.push(paint(HEADING, "differences"));
    }
    for (check, line) in differing.iter().zip(table.lines(width)) {
        lines.push(line);
        lines.extend(
            check
                .damage
                .iter()
                .map(|damage| format!("            {}", one_line(&described(damage)))),
        );
        for status in [&check.here_to_store, &check.store_to_remote] {
            if let (SyncStatus::Unknown { reason }, true) = (status, check.damage.is_empty()) {
                lines.push(format!("            {}", one_line(reason)));
            }
        }
    }
    lines
}

fn described(damage: &Damage) -> String {
    let file = damage
        .file
        .as_ref()
        .map_or_else(|| "transcript".to_owned(), ToString::to_string);
    match damage.segment {
        Some(segment) => format!("{file}, segment {segment}: {}", damage.message),
        None => format!("{file}: {}", damage.message),
    }
}

/// Returns the difference of a session, and the command that resolves it.
fn difference(check: &SessionCheck) -> (String, String) {
    let of = |what: &str, command: &str| (what.to_owned(), command.to_owned());
    if !check.damage.is_empty() {
        return of(
            "damaged in the store",
            "ccsync push, on a machine that has it",
        );
    }
    if check.damaged_lines > 0 {
        let repair = format!("ccsync repair {}", short_id(check.session.as_str()));
        return (
            format!("{} here", count(check.damaged_lines, "invalid line")),
            repair,
        );
    }
    match (&check.here_to_store, &check.store_to_remote) {
        (SyncStatus::Diverged, _) => of("diverged: here and the store", "ccsync sync"),
        (SyncStatus::Unknown { .. }, _) => of("could not be compared", ""),
        (SyncStatus::AheadAndBehind, _) => of("here and the store each have more", "ccsync sync"),
        (SyncStatus::Ahead, _) => of("more here than in the store", "ccsync push"),
        (SyncStatus::Behind, _) => of("more in the store than here", &pull(check)),
        (SyncStatus::Same, SyncStatus::Diverged) => {
            of("diverged: the store and the remote", "ccsync sync")
        }
        (SyncStatus::Same, SyncStatus::Ahead) => {
            of("more in the store than on the remote", "ccsync push")
        }
        (SyncStatus::Same, SyncStatus::Behind) => {
            of("more on the remote than in the store", &pull(check))
        }
        (SyncStatus::Same, _) => of("could not be compared with the remote", ""),
    }
}

fn pull(check: &SessionCheck) -> String {
    if check.running {
        "ccsync pull, after you exit Claude Code".to_owned()
    } else {
        "ccsync pull".to_owned()
    }
}

fn summary(found: &Verification) -> String {
    let all = found.sessions.len();
    let differ = found.sessions.iter().filter(|s| !s.agrees()).count();
    let sessions = count(all as u64, "session");
    let what = match (all, differ) {
        (0, _) => "no sessions found".to_owned(),
        (_, 0) => format!("{sessions}, all agree"),
        (_, 1) => format!("1 of {sessions} differs"),
        (..) => format!("{differ} of {sessions} differ"),
    };
    let how = if found.full {
        "every byte read"
    } else {
        "--full reads every byte"
    };
    let what = match found
        .sessions
        .iter()
        .filter(|s| s.excluded.is_some())
        .count()
    {
        0 => what,
        excluded => format!("{what}, {excluded} excluded"),
    };
    let remote = match &found.remote {
        RemoteStatus::UpToDate {
            commit: Some(commit),
        } => format!("on the remote as {}", commit.short()),
        RemoteStatus::SavedOnDisk { commit } => format!("saved on this disk as {}", commit.short()),
        RemoteStatus::UpToDate { commit: None } => "the remote is empty".to_owned(),
        RemoteStatus::NotReached { .. } => "the remote was not reached".to_owned(),
        _ => "the remote differs".to_owned(),
    };
    format!("verify: {what} ({how}); {remote}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::domain::id::CommitId;
    use crate::report::verification::{Amount, ExtrasCheck};
    use crate::store::{DamagedObject, ObjectCheck};

    fn check(id: &str, here_to_store: SyncStatus, store_to_remote: SyncStatus) -> SessionCheck {
        let amount = Some(Amount {
            lines: 12,
            bytes: 3400,
        });
        SessionCheck {
            session: id.parse().unwrap(),
            project: Some("{{HOME}}/work/app".to_owned()),
            title: Some("fix the login form\u{1b}[2J".to_owned()),
            running: false,
            here: amount,
            store: amount,
            remote: amount,
            here_to_store,
            store_to_remote,
            damage: Vec::new(),
            damaged_lines: 0,
            excluded: None,
        }
    }

    fn everything() -> Verification {
        let same = || SyncStatus::Same;
        let what = "it is not what its manifest says".to_owned();
        let damage = vec![Damage {
            file: None,
            segment: Some(3),
            message: what,
        }];
        let commit: CommitId = "0123456789".repeat(4).parse().unwrap();
        Verification {
            extras: Some(ExtrasCheck {
                files: 3,
                bytes: 1200,
                damage: vec!["user/CLAUDE.md: \u{1b}[2Jbad".to_owned()],
            }),
            full: true,
            here: Total {
                sessions: 6,
                lines: 3401,
                bytes: 2_100_000,
            },
            store: Total {
                sessions: 14,
                lines: 13_401,
                bytes: 12_100_000,
            },
            remote_total: Total {
                sessions: 13,
                lines: 9_000,
                bytes: 9_100_000,
            },
            head: Some(commit.clone()),
            remote: RemoteStatus::Behind {
                commit: Some(commit),
                commits: 2,
            },
            objects: Some(ObjectCheck {
                intact: 812,
                bytes: 40_000_000,
                damaged: vec![DamagedObject {
                    id: "9".repeat(40),
                    reason: "hash mismatch".to_owned(),
                }],
                skipped_files: 1,
            }),
            remote_damage: Some("error: bad object".to_owned()),
            sessions: vec![
                check("11111111-a", same(), same()),
                check("22222222-a", SyncStatus::Ahead, same()),
                check("33333333-a", SyncStatus::Diverged, same()),
                check("44444444-a", same(), SyncStatus::Ahead),
                SessionCheck {
                    damage,
                    ..check(
                        "55555555-a",
                        SyncStatus::Unknown {
                            reason: "x".to_owned(),
                        },
                        same(),
                    )
                },
                SessionCheck {
                    damaged_lines: 2,
                    ..check("66666666-a", same(), same())
                },
                check(
                    "77777777-a",
                    SyncStatus::Unknown {
                        reason: "cannot read `x`".to_owned(),
                    },
                    same(),
                ),
                SessionCheck {
                    running: true,
                    ..check("88888888-a", SyncStatus::Behind, same())
                },
            ],
            skipped_files: Vec::new(),
        }
    }

    #[test]
    fn verify_every_difference_has_hint_with_command() {
        let text = lines(&everything(), 110).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn verify_no_difference_is_short() {
        let all = everything();
        let found = Verification {
            remote: RemoteStatus::UpToDate {
                commit: all.head.clone(),
            },
            objects: None,
            remote_damage: None,
            extras: all.extras.clone().map(|extras| ExtrasCheck {
                damage: Vec::new(),
                ..extras
            }),
            sessions: all.sessions[..1].to_vec(),
            ..all
        };
        let text = lines(&found, 110).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn verify_json_has_every_field() {
        let all = everything();
        let found = Verification {
            sessions: all.sessions[4..5].to_vec(),
            ..all
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&found).unwrap());
    }

    #[test]
    fn verify_excluded_session_is_not_a_difference() {
        let excluded = Some("`~/x` is excluded".to_owned());
        let check = |status| SessionCheck {
            excluded: excluded.clone(),
            ..check("11111111-a", status, SyncStatus::Same)
        };
        let sessions = vec![check(SyncStatus::Ahead), check(SyncStatus::Diverged)];
        let found = Verification {
            sessions,
            ..Verification::default()
        };
        assert_eq!(Exit::from_verification(&found), Exit::Done);
        assert!(summary(&found).starts_with("verify: 2 sessions, all agree, 2 excluded ("));
    }

    #[test]
    fn verify_exit_code_is_most_severe() {
        let agreeing = Verification {
            remote: RemoteStatus::default(),
            ..Verification::default()
        };
        let code = |remote: RemoteStatus, sessions: Vec<SessionCheck>| {
            Exit::from_verification(&Verification {
                remote,
                sessions,
                ..agreeing.clone()
            })
            .code()
        };
        let up_to_date = RemoteStatus::default;
        let not_reached = |commits| RemoteStatus::NotReached {
            reason: String::new(),
            commits,
        };
        let lost = RemoteStatus::Lost {
            commit: None,
            commits: 1,
        };
        let session = |status: SyncStatus| vec![check("11111111-a", status, SyncStatus::Same)];
        assert_eq!(code(up_to_date(), session(SyncStatus::Same)), 0);
        for status in [
            SyncStatus::Ahead,
            SyncStatus::Behind,
            SyncStatus::AheadAndBehind,
        ] {
            assert_eq!(code(up_to_date(), session(status)), 3);
        }
        assert_eq!(code(up_to_date(), session(SyncStatus::Diverged)), 5);
        assert_eq!(
            code(
                RemoteStatus::Behind {
                    commit: None,
                    commits: 1
                },
                session(SyncStatus::Diverged)
            ),
            6
        );
        assert_eq!(
            (
                code(not_reached(0), Vec::new()),
                code(not_reached(2), Vec::new())
            ),
            (3, 6)
        );
        assert_eq!(code(lost, Vec::new()), 1);
        let damaged = SessionCheck {
            damage: vec![Damage::for_session(String::new())],
            ..session(SyncStatus::Same).remove(0)
        };
        assert_eq!(code(not_reached(1), vec![damaged]), 1);
    }
}
