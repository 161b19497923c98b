//! Updates references of the remote by compare-and-swap.

use super::super::caller::GitCommand;
use super::super::failure;
use super::super::porcelain::{self, PushStatus, PushedRef};
use super::super::remote::{PushOutcome, RefUpdate, RemoteError};
use super::{GitCli, check_name, text};
use crate::domain::{CommitId, Phase};
use crate::sys::process::ProgramOutput;

/// Options of every push.
const OPTIONS: [&str; 5] = [
    "--porcelain",
    "--no-verify",
    "--no-follow-tags",
    "--no-recurse-submodules",
    "--progress",
];

impl GitCli {
    /// Updates references atomically, if each has its expected value.
    ///
    /// # Errors
    /// [`RemoteError`]. If the remote is unreachable, the push may or may not have been
    /// done.
    pub fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        if updates.is_empty() {
            return Ok(PushOutcome::Done);
        }
        updates.iter().try_for_each(|u| check_name(&u.name))?;
        let tries = std::cell::Cell::new(0);
        self.retrying(|| {
            // The answer of the previous try was lost, but maybe not the push.
            let repeated = tries.replace(tries.get() + 1) > 0;
            if repeated && self.is_done(updates) {
                Ok(PushOutcome::Done)
            } else {
                self.push_once(updates)
            }
        })
    }

    /// Returns true if the remote can update several references atomically. Sends nothing:
    /// git asks for the feature before it sends.
    ///
    /// # Errors
    /// [`RemoteError`] if the remote cannot be reached.
    pub fn knows_atomic(&self, update: &RefUpdate) -> Result<bool, RemoteError> {
        check_name(&update.name)?;
        let options = OPTIONS.into_iter().chain(["--atomic", "--dry-run"]);
        let out = self.run(
            &GitCommand::new("push", None)
                .args(options)
                .operands([self.url.as_git_argument().to_owned(), refspec(update)]),
        )?;
        if out.status.success() || !out.stderr.contains("--atomic") {
            return Ok(true);
        }
        Ok(false)
    }

    fn push_once(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        let mut options: Vec<String> = OPTIONS.map(str::to_owned).into();
        if updates.len() > 1 {
            // Not for a single reference: it is atomic anyway, and some servers do not
            // support the option.
            options.push("--atomic".to_owned());
        }
        options.extend(updates.iter().map(lease));
        let operands: Vec<String> = std::iter::once(self.url.as_git_argument().to_owned())
            .chain(updates.iter().map(refspec))
            .collect();
        let out = self.run(
            &GitCommand::new("push", Some(Phase::Send))
                .args(options)
                .operands(operands),
        )?;
        let stdout = text(&out.stdout);
        let refs = match porcelain::parse_push(&stdout) {
            Ok(refs) => refs,
            Err(e) if out.status.success() => return Err(self.garbled(&e, &out)),
            // Git may print anything if it fails before it reaches the remote.
            Err(_) => Vec::new(),
        };
        let bad: Vec<_> = refs.iter().filter(|r| r.status != PushStatus::Ok).collect();
        if !bad.is_empty() {
            return self.refusal(updates, &bad, &out);
        }
        if !out.status.success() {
            return Err(self.failed("push", &out));
        }
        match updates
            .iter()
            .find(|u| !refs.iter().any(|r| r.name == u.name))
        {
            Some(missing) => {
                Err(self.garbled(&format_args!("push did not name {}", missing.name), &out))
            }
            None => Ok(PushOutcome::Done),
        }
    }

    fn refusal(
        &self,
        updates: &[RefUpdate],
        bad: &[&PushedRef],
        out: &ProgramOutput,
    ) -> Result<PushOutcome, RemoteError> {
        // An atomic push also lists the other references, with an empty reason.
        let has_reason = |r: &&&PushedRef| !r.status.reason().starts_with("atomic ");
        let first = bad.iter().find(has_reason).unwrap_or(&bad[0]);
        let reason = self
            .url
            .redact(&format!("{}: {}", first.name, first.status.reason()));
        let by_remote = bad
            .iter()
            .any(|r| matches!(r.status, PushStatus::ByRemote(_)));
        if !by_remote
            || bad
                .iter()
                .any(|r| failure::is_contention(r.status.reason(), &out.stderr))
        {
            return Ok(PushOutcome::Refused { reason });
        }
        // The reason is the remote's own or unknown, so its references decide.
        if let Ok(now) = self.refs_once() {
            if updates.iter().all(|u| now.get(&u.name) == u.new.as_ref()) {
                return Ok(PushOutcome::Done);
            }
            if updates
                .iter()
                .any(|u| now.get(&u.name) != u.expected.as_ref())
            {
                return Ok(PushOutcome::Refused { reason });
            }
        }
        let message = self.message(&out.stderr);
        let reason = message
            .by_server()
            .next()
            .map_or(reason.clone(), |words| format!("{reason} ({words})"));
        Err(RemoteError::Rejected {
            remote: self.url.to_string(),
            reason,
            message,
        })
    }

    /// Returns true if the remote's references already have the requested values.
    fn is_done(&self, updates: &[RefUpdate]) -> bool {
        self.refs_once()
            .is_ok_and(|now| updates.iter().all(|u| now.get(&u.name) == u.new.as_ref()))
    }
}

impl PushStatus {
    fn reason(&self) -> &str {
        match self {
            Self::Ok => "",
            Self::NotSent(reason) | Self::ByRemote(reason) => reason,
        }
    }
}

/// Returns `--force-with-lease` with a value: without one, a background fetch would
/// change the expectation.
fn lease(update: &RefUpdate) -> String {
    let expected = update.expected.as_ref().map_or("", CommitId::as_str);
    format!("--force-with-lease={}:{expected}", update.name)
}

fn refspec(update: &RefUpdate) -> String {
    let new = update.new.as_ref().map_or("", CommitId::as_str);
    format!("{new}:{}", update.name)
}
