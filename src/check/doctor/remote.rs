//! Checks the remote: access, lock branches, visibility.

use std::collections::BTreeMap;

use crate::check::doctor::check::{Check, CheckStatus, DoctorContext, TIMEOUT};
use crate::domain::error::error_chain;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::url::{RemoteKind, RemoteUrl};
use crate::flows::remote_sync::in_one_line;
use crate::lock::record::{Identity, LockRecord, Stamp};
use crate::store::machine::Machine;
use crate::store::{Author, BRANCH, LOCK_BRANCHES, Store, StoreError, lock_ref};
use crate::store::{RepositoryKind, repository_kind};
use crate::transport::git_cli::GitCli;
use crate::transport::github::{GitHub, Repository, Visibility};
use crate::transport::remote::{Missing, PushOutcome, RefUpdate, RemoteError};

const REMOTE: &str = "remote";
const LOCKS: &str = "lock branches";
const VISIBILITY: &str = "visibility";

pub(crate) fn checks(context: &DoctorContext<'_>) -> Vec<Check> {
    let url = match context.remote() {
        None if context.settings.is_err() => {
            let message = "unknown: cannot read the configuration";
            return vec![Check {
                name: REMOTE,
                status: CheckStatus::Warning,
                message: message.to_owned(),
                fix: None,
            }];
        }
        None => return Vec::new(),
        Some(Err(e)) => {
            return vec![Check::error(
                REMOTE,
                error_chain(&e),
                "ccsync init --remote URL",
            )];
        }
        Some(Ok(url)) => url,
    };
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(e) => {
            return vec![Check::error(
                REMOTE,
                format!("cannot create a temporary directory: {e}"),
                "df -h",
            )];
        }
    };
    let store = match Store::open_or_create(&scratch.path().join("store")) {
        Ok(store) => store,
        Err(e) => return vec![Check::error(REMOTE, error_chain(&e), "df -h")],
    };
    let git = GitCli::new(store.git_dir(), url.clone(), context.env.git, false)
        .with_silence_limit(TIMEOUT);
    let mut checks = match git.refs() {
        Ok(refs) => vec![
            reached(context, &url, &refs),
            lock_branches(context, &store, &git),
        ],
        Err(e) => vec![unreached(&url, &e), not_checked()],
    };
    checks.extend(visibility(&url));
    checks
}

/// Checks with the user's `gh` that the repository is private. Skipped without an
/// account.
fn visibility(url: &RemoteUrl) -> Option<Check> {
    let Some(Repository {
        host,
        name,
        visibility,
        ..
    }) = GitHub::look_up(url)
    else {
        let unknown = "unknown: `gh` cannot look it up; it should be private";
        return crate::check::doctor::check::is_on_github(url)
            .then(|| Check::ok(VISIBILITY, unknown));
    };
    // Not `gh repo edit`: newer versions refuse it without an option that older ones
    // (2.23) do not have.
    let fix = format!("gh api --hostname {host} --method PATCH repos/{name} -f visibility=private");
    Some(match visibility {
        Visibility::Private => Check::ok(VISIBILITY, "the repository is private"),
        Visibility::Internal => Check::warning(
            VISIBILITY,
            "all members of the organisation can read your sessions",
            fix,
        ),
        Visibility::Public => Check::error(
            VISIBILITY,
            "the repository is public: anyone can read your sessions",
            fix,
        ),
    })
}

fn reached(
    context: &DoctorContext<'_>,
    url: &RemoteUrl,
    refs: &BTreeMap<String, CommitId>,
) -> Check {
    let locks = refs
        .keys()
        .filter(|name| name.starts_with(&format!("refs/heads/{LOCK_BRANCHES}")))
        .count();
    let has = match (refs.contains_key(&format!("refs/heads/{BRANCH}")), locks) {
        (false, _) => "nothing is stored there yet".to_owned(),
        (true, 0) => "no session is locked".to_owned(),
        (true, 1) => "1 session is locked".to_owned(),
        (true, n) => format!("{n} sessions are locked"),
    };
    if let RemoteKind::Local(path) = url.kind()
        && repository_kind(path) == RepositoryKind::RefusesPushes
    {
        return Check::error(
            REMOTE,
            format!("{url} is not a bare repository: git refuses pushes to it"),
            "git init --bare PATH, then ccsync init --remote PATH",
        );
    }
    let embedded = context
        .set_up()
        .is_some_and(|settings| settings.remote.is_none());
    let message = format!("{url} answers; {has}");
    match embedded {
        true => Check::warning(
            REMOTE,
            format!("{message}; it is on this disk only"),
            "ccsync init",
        ),
        false => Check::ok(REMOTE, message),
    }
}

fn unreached(url: &RemoteUrl, error: &RemoteError) -> Check {
    let message = in_one_line(error);
    // The address without secrets; a directory needs no shell.
    let ask = format!("git ls-remote {url}");
    match error {
        RemoteError::Unreachable {
            why: Missing::Connection,
            ..
        } => Check::warning(
            REMOTE,
            format!("{message}; commits stay queued here until it answers"),
            ask,
        ),
        RemoteError::Unreachable { .. } if matches!(url.kind(), RemoteKind::Local(path) if !path.exists()) => {
            Check::error(
                REMOTE,
                message,
                "if it has moved: ccsync init --remote PATH",
            )
        }
        _ => Check::error(REMOTE, message, ask),
    }
}

fn not_checked() -> Check {
    let message = "not checked: the remote does not answer".to_owned();
    Check {
        name: LOCKS,
        status: CheckStatus::Warning,
        message,
        fix: None,
    }
}

/// Creates a branch like that of a lock, and removes it.
fn lock_branches(context: &DoctorContext<'_>, store: &Store, git: &GitCli) -> Check {
    const ALLOW: &str =
        "on the remote, allow to create, move and delete branches below ccsync/lock/";
    let session: SessionId = uuid::Uuid::new_v4()
        .to_string()
        .parse()
        .expect("a UUID is a session id");
    let commit = match throwaway(context, store, &session) {
        Ok(commit) => commit,
        Err(e) => return Check::error(LOCKS, error_chain(&e), "df -h"),
    };
    let name = lock_ref(&session);
    let change = |new: Option<&CommitId>, expected: Option<&CommitId>| {
        git.push(&[RefUpdate {
            name: name.clone(),
            new: new.cloned(),
            expected: expected.cloned(),
        }])
    };
    if let Some(why) = refusal(change(Some(&commit), None)) {
        return Check::error(LOCKS, format!("cannot create one: {why}"), ALLOW);
    }
    match refusal(change(None, Some(&commit))) {
        None => Check::ok(LOCKS, "can be created and deleted"),
        Some(why) => {
            let left = name.trim_start_matches("refs/heads/");
            let message = format!("cannot delete one: {why}; `{left}` stays there and expires");
            Check::error(LOCKS, message, ALLOW)
        }
    }
}

fn refusal(outcome: Result<PushOutcome, RemoteError>) -> Option<String> {
    match outcome {
        Ok(PushOutcome::Done) => None,
        Ok(PushOutcome::Refused { reason }) => Some(reason),
        Err(e) => Some(in_one_line(&e)),
    }
}

/// A valid lock record: if it is left behind, it expires like any other.
fn throwaway(
    context: &DoctorContext<'_>,
    store: &Store,
    session: &SessionId,
) -> Result<CommitId, StoreError> {
    let settings = context.set_up().expect("only settings name a remote");
    let now = context.clock.now();
    let me = &settings.machine;
    let by = Identity {
        machine: me.id.clone(),
        host: me.name.clone(),
        pid: std::process::id(),
    };
    let record = LockRecord::first(session.clone(), &by, Stamp::new(now));
    let machine = Machine::renewed(None, me.id.clone(), &me.name, settings.placeholders.clone());
    store.write_lock(
        &record.to_json(),
        &Author {
            machine: &machine,
            time: now,
        },
    )
}
