//! Checks the remote: access, lock branches, visibility.

use std::collections::BTreeMap;

use crate::check::doctor::check::{Check, CheckStatus, DoctorContext, TIMEOUT};
use crate::domain::{CommitId, error::error_chain, url::RemoteKind, url::RemoteUrl};
use crate::flows::{lock_trial::LockTrial, lock_trial::TrialResult, lock_trial::trial_session};
use crate::remote::Remote;
use crate::store::{
    BRANCH, LOCK_BRANCHES, RepositoryKind, Store, lock_ref, machine::Machine, repository_kind,
};
use crate::transport::git_cli::GitCli;
use crate::transport::github::{GitHub, Repository, Visibility};
use crate::transport::remote::{Missing, RemoteError};
use crate::workspace::{RemoteStep, store_remote::open_remote};

const REMOTE: &str = "remote";
const ENCRYPTION: &str = "encryption";
const LOCKS: &str = "lock branches";
const ATOMIC: &str = "atomic pushes";
const MERGES: &str = "merge commits";
const AUTHOR: &str = "author";
const VISIBILITY: &str = "visibility";

const ALLOW: &str = "on the remote, allow to create, move and delete branches below ccsync/lock/";

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
    let settings = context.set_up().expect("only settings name a remote");
    let mirror = scratch.path().join("sealed.git");
    let remote = open_remote(context.env, settings, &store, &mirror, |git_dir| {
        GitCli::new(git_dir, url.clone(), context.env.git.clone(), false)
            .with_silence_limit(TIMEOUT)
    });
    let remote = match remote {
        Ok(remote) => remote,
        Err(e) => return vec![Check::error(ENCRYPTION, error_chain(&e), "ccsync init")],
    };
    let mut checks = match remote.refs() {
        Ok(refs) => vec![reached(context, &url, &refs), encryption(&remote)]
            .into_iter()
            .chain(rules(context, &store, &remote, &refs))
            .collect(),
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

fn encryption(remote: &Remote) -> Check {
    let message = match remote {
        Remote::Encrypted(_) => "the remote sees no text, name or path",
        Remote::Plain(_) => "off: everyone who can read the remote can read your sessions",
    };
    Check::ok(ENCRYPTION, message)
}

fn unreached(url: &RemoteUrl, error: &RemoteError) -> Check {
    let message = error.in_one_line();
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

/// Tries on the remote what locks and pushes need.
fn rules(
    context: &DoctorContext<'_>,
    store: &Store,
    remote: &Remote,
    refs: &BTreeMap<String, CommitId>,
) -> Vec<Check> {
    let settings = context.set_up().expect("only settings name a remote");
    let me = &settings.machine;
    let machine = Machine::renewed(None, me.id.clone(), &me.name, settings.placeholders.clone());
    let branch = remote.remote_name(&lock_ref(&trial_session(&machine)));
    let kept = refs.get(&branch).cloned();
    let trial = |author| LockTrial {
        store,
        remote,
        machine: &machine,
        author,
        clock: context.clock,
        kept: kept.clone(),
        thorough: true,
    };
    let result = match trial(settings.author.as_ref()).run() {
        Ok(result) => result,
        Err(e) => return vec![Check::error(LOCKS, error_chain(&e), "df -h")],
    };
    let users_author = store.users_author().filter(|_| settings.author.is_none());
    if result.refusal(RemoteStep::CreateLock).is_some()
        && let Some(author) = users_author
        && let Ok(again) = trial(Some(&author)).run()
        && again.refusal(RemoteStep::CreateLock).is_none()
    {
        let fix = format!("ccsync config set author '{author}'");
        let message = "the remote accepts only commits of known authors, and you have set none";
        let mut checks = rule_checks(&again, &machine);
        checks.push(Check::error(AUTHOR, message, fix));
        return checks;
    }
    rule_checks(&result, &machine)
}

fn rule_checks(result: &TrialResult, machine: &Machine) -> Vec<Check> {
    let refusal = |step| result.refusal(step);
    let create = refusal(RemoteStep::CreateLock);
    let (moved, deleted) = (
        refusal(RemoteStep::MoveLock),
        refusal(RemoteStep::DeleteLock),
    );
    let left = format!("{LOCK_BRANCHES}{}", trial_session(machine));
    let locks = match (create, moved, deleted) {
        (Some(why), ..) => Check::error(
            LOCKS,
            format!("cannot create one: {why}; sessions are synced without locks"),
            ALLOW,
        ),
        (_, None, None) => Check::ok(LOCKS, "can be created, moved and deleted"),
        (_, Some(_), Some(why)) => Check::error(
            LOCKS,
            format!(
                "cannot move or delete one: {why}; sessions are synced without locks; \
                 `{left}` stays there"
            ),
            ALLOW,
        ),
        (_, None, Some(why)) => Check::warning(
            LOCKS,
            format!("cannot delete one: {why}; `{left}` stays there, marked as free, as all do"),
            ALLOW,
        ),
        (_, Some(why), None) => Check::warning(
            LOCKS,
            format!("cannot move one: {why}; locks are not renewed, and expire after 10 minutes"),
            ALLOW,
        ),
    };
    let mut checks = vec![locks];
    if create.is_none() {
        let atomic = refusal(RemoteStep::Together).map_or(
            "accepted",
            |_| "not supported; sessions and locks are pushed one after the other",
        );
        checks.push(Check::ok(ATOMIC, atomic));
    }
    if create.is_none() && moved.is_none() {
        let merges = refusal(RemoteStep::Merge)
            .map_or("accepted", |_| "not accepted; the history is kept linear");
        checks.push(Check::ok(MERGES, merges));
    }
    checks
}
