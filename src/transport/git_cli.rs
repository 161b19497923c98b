//! The real remote: the user's own `git`, so that their ssh configuration, credential helpers and proxies just work.
//!
//! Owns how git is called. Whether something was done is decided by exit status and output for programs, never by prose.
//! `docs/dev/transport.md` gives the reason of every flag and variable below.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::domain::id::CommitId;
use crate::domain::progress::{Phase, Progress};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::env::GitEnv;
use crate::sys::process::{Output, ProcessError, Program};
use crate::sys::signal;

use super::caller::{Caller, Command};
use super::failure::{self, Cause};
use super::porcelain::{self, GitVersion, PushStatus, PushedRef};
use super::remote::{GitSaid, Missing, OLDEST_GIT, PushOutcome, RefUpdate, RemoteError};
use super::url::{Kind, RemoteUrl};

/// Tries of one call, the first included.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(400);

/// A pack of this size is not written anew only to be put together with others.
const LARGE_PACK: &str = "32m";

/// A remote reached with the `git` program.
#[derive(Clone)]
pub struct GitCli {
    url: RemoteUrl,
    caller: Caller,
    progress: Option<Arc<dyn Progress + Send + Sync>>,
    clock: Arc<dyn Clock>,
    version: Arc<OnceLock<GitVersion>>,
}

impl GitCli {
    /// The remote `url` of the repository at `git_dir`. `interactive`: a person is there to answer ssh or git.
    pub fn new(git_dir: &Path, url: RemoteUrl, git: GitEnv, interactive: bool) -> Self {
        Self {
            // `insteadOf` turns https addresses into ssh for many users, but hardly ever a directory.
            caller: Caller::new(
                git_dir,
                git,
                interactive,
                !matches!(url.kind(), Kind::Local(_)),
            ),
            url,
            progress: None,
            clock: Arc::new(SystemClock::default()),
            version: Arc::default(),
        }
    }

    /// Reports objects sent and received.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress + Send + Sync>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// How long git may be silent before it counts as hanging. Not applied to interactive runs: people think.
    #[must_use]
    pub fn with_silence_limit(mut self, silence: Duration) -> Self {
        self.caller.silence = silence;
        self
    }

    /// Waits on another clock between tries.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs git as if this process had been started with a variable: for tests, which cannot set variables of their own
    /// process.
    #[must_use]
    pub fn inheriting(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.caller.inherited.push((name.into(), value.into()));
        self
    }

    /// The address.
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// The version of the `git` found on the PATH; asked once.
    ///
    /// # Errors
    /// [`RemoteError::GitMissing`], or another if git's answer is none.
    pub fn version(&self) -> Result<GitVersion, RemoteError> {
        if let Some(version) = self.version.get() {
            return Ok(*version);
        }
        let out = self.caller.version().run();
        let out = out.map_err(|e| self.process_error(e))?;
        let version =
            porcelain::parse_version(&text(&out.stdout)).map_err(|e| self.garbled(&e, &out))?;
        Ok(*self.version.get_or_init(|| version))
    }

    /// All references of the remote; those whose names break git's rules are left out.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn refs(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        self.retrying(|| self.refs_once())
    }

    /// Brings a branch into `refs/remotes/origin/<branch>` of the local repository and says where it is.
    /// `None`: the remote has no such branch; the local reference is then left as it is.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn fetch(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        check_name(&format!("refs/heads/{branch}"))?;
        self.retrying(|| self.fetch_once(branch))
    }

    /// As [`Self::fetch`], and brings all branches whose names begin with `prefix` (which ends with `/`) too, with one connection.
    /// Local references to such that the remote does not have any more are deleted. `None`: the remote lacks `branch`; the others
    /// are brought all the same.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn fetch_with(&self, branch: &str, prefix: &str) -> Result<Option<CommitId>, RemoteError> {
        check_name(&format!("refs/heads/{branch}"))?;
        check_name(&format!("refs/heads/{prefix}x"))?;
        self.retrying(|| self.fetch_with_once(branch, prefix))
    }

    /// Moves references, all or none, if each is as expected.
    ///
    /// # Errors
    /// [`RemoteError`]. Of an unreachable remote it is unknown whether it has done what was asked.
    pub fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        if updates.is_empty() {
            return Ok(PushOutcome::Done);
        }
        updates.iter().try_for_each(|u| check_name(&u.name))?;
        let tries = std::cell::Cell::new(0);
        self.retrying(|| {
            // The answer of the try before was lost, not necessarily the push.
            let repeated = tries.replace(tries.get() + 1) > 0;
            if repeated && self.is_in_force(updates) {
                Ok(PushOutcome::Done)
            } else {
                self.push_once(updates)
            }
        })
    }

    /// Has git read every object of a remote that is a directory, which no server looks after, and everything that `commit` needs. What is
    /// wrong, if anything; `None`: it is no directory.
    ///
    /// # Errors
    /// [`RemoteError`] if git could not be run.
    pub fn check_objects(
        &self,
        commit: &CommitId,
    ) -> Result<Option<Result<(), String>>, RemoteError> {
        let Kind::Local(path) = self.url.kind() else {
            return Ok(None);
        };
        let git_dir = if path.join(".git").is_dir() {
            path.join(".git")
        } else {
            path.clone()
        };
        let options = ["--full", "--no-dangling", "--no-reflogs", "--progress"];
        let command = Command::new("fsck", Some(Phase::Check))
            .args(options)
            .operands([commit.as_str()]);
        // Its objects as if they were the store's: what else lies in that repository is not obeyed.
        let program = self
            .caller
            .program(&command)
            .env("GIT_OBJECT_DIRECTORY", git_dir.join("objects"));
        let out = self.watch(&program, command.phase)?;
        if out.status.success() {
            return Ok(Some(Ok(())));
        }
        let said = self.said(&format!("{}\n{}", out.stderr, text(&out.stdout)));
        Ok(Some(Err(said
            .as_str()
            .lines()
            .next()
            .unwrap_or("git fsck failed")
            .to_owned())))
    }

    /// Has git put the objects of the local repository together where they lie in more than `packs` packs, or more than about
    /// `loose` files. It goes on in the background; two at a time are prevented by git itself.
    ///
    /// # Errors
    /// [`RemoteError`] if git could not be run, or says that something is wrong.
    pub fn repack_if_needed(&self, packs: usize, loose: usize) -> Result<(), RemoteError> {
        let settings = [
            format!("gc.auto={loose}"),
            format!("gc.autoPackLimit={packs}"),
            "gc.autoDetach=true".to_owned(),
            format!("gc.bigPackThreshold={LARGE_PACK}"),
            "gc.packRefs=false".to_owned(),
            "gc.pruneExpire=never".to_owned(),
            "gc.writeCommitGraph=false".to_owned(),
            "pack.threads=1".to_owned(),
        ];
        let out = self.run(
            &Command::new("gc", None)
                .settings(settings)
                .args(["--auto", "--quiet"]),
        )?;
        if out.status.success() {
            Ok(())
        } else {
            Err(self.failed("gc", &out))
        }
    }

    /// Clones the remote into the new directory `name` of the directory that [`Self::new`] was given, without submodules.
    ///
    /// # Errors
    /// [`RemoteError`]; git then removes what it has made.
    pub(super) fn clone_as(&self, name: &str) -> Result<(), RemoteError> {
        // A repository on this disk is asked like any other: what lies in its files is not taken over unread.
        let options = ["--no-local", "--no-recurse-submodules", "--progress"];
        let operands = [self.url.as_git_argument(), name];
        let command = Command::new("clone", Some(Phase::Fetch))
            .args(options)
            .operands(operands);
        self.retrying(|| {
            let out = self.watch(&self.caller.program_outside(&command), command.phase)?;
            if out.status.success() {
                Ok(())
            } else {
                Err(self.failed("clone", &out))
            }
        })
    }

    /// Runs `call` again while it fails in a way that may pass by itself.
    fn retrying<T>(&self, call: impl Fn() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        let signals_before = signal::count();
        for attempt in 1..TRIES {
            match call() {
                Err(e) if may_pass(&e) && signal::count() == signals_before => self.pause(attempt),
                result => return result,
            }
        }
        call()
    }

    /// Longer each time, and different on every machine, so that those who failed together do not meet again.
    fn pause(&self, attempt: u32) {
        let base = FIRST_PAUSE * 3_u32.saturating_pow(attempt - 1);
        self.clock.sleep(base.mul_f64(0.5 + fastrand::f64()));
    }

    fn refs_once(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        let out = self.run(
            &Command::new("ls-remote", None)
                .args(["--refs"])
                .operands([self.url.as_git_argument()]),
        )?;
        if !out.status.success() {
            return Err(self.failed("ls-remote", &out));
        }
        let stdout = text(&out.stdout);
        if porcelain::is_sha256(&stdout) {
            let what = "it uses the SHA-256 object format, which ccsync cannot read".to_owned();
            return Err(RemoteError::Garbled {
                remote: self.url.to_string(),
                what,
                said: self.said(&out.stderr),
            });
        }
        porcelain::parse_refs(&stdout).map_err(|e| self.garbled(&e, &out))
    }

    fn fetch_once(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        let out = self.fetch_refs("--no-prune", &[tracking(branch)])?;
        if !out.status.success() {
            return self.why_not_fetched(branch, &out);
        }
        self.where_is(&local_name(branch)).map(Some)
    }

    fn fetch_with_once(&self, branch: &str, prefix: &str) -> Result<Option<CommitId>, RemoteError> {
        let others = tracking(&format!("{prefix}*"));
        let out = self.fetch_refs("--prune", &[tracking(branch), others.clone()])?;
        if out.status.success() {
            return self.where_is(&local_name(branch)).map(Some);
        }
        if let Some(commit) = self.why_not_fetched(branch, &out)? {
            return Ok(Some(commit));
        }
        // Git brings nothing if one of the names is missing.
        let out = self.fetch_refs("--prune", &[others])?;
        if out.status.success() {
            Ok(None)
        } else {
            Err(self.failed("fetch", &out))
        }
    }

    fn fetch_refs(&self, prune: &str, refspecs: &[String]) -> Result<Output, RemoteError> {
        let options = [
            "--no-tags",
            "--no-write-fetch-head",
            prune,
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            "--no-auto-maintenance",
            "--progress",
        ];
        let operands =
            std::iter::once(self.url.as_git_argument()).chain(refspecs.iter().map(String::as_str));
        self.run(
            &Command::new("fetch", Some(Phase::Fetch))
                .args(options)
                .operands(operands),
        )
    }

    /// Returns where a local reference is. `fetch` itself says it for programs only since git 2.41;
    /// another process is needed only for a reference without a file of its own.
    fn where_is(&self, local: &str) -> Result<CommitId, RemoteError> {
        let in_file = self.caller.loose_reference(local);
        if let Some(Ok(commit)) = in_file.as_deref().map(porcelain::parse_id) {
            return Ok(commit);
        }
        let out = self.run(
            &Command::new("show-ref", None)
                .args(["--verify", "--hash"])
                .operands([local]),
        )?;
        if !out.status.success() {
            return Err(self.failed("show-ref", &out));
        }
        porcelain::parse_id(&text(&out.stdout)).map_err(|e| self.garbled(&e, &out))
    }

    /// A branch that does not exist is told by asking for the list, not by reading the message: over ssh the message is that of a
    /// connection that broke, because the server misses the rest of the conversation.
    fn why_not_fetched(&self, branch: &str, out: &Output) -> Result<Option<CommitId>, RemoteError> {
        let failed = self.failed("fetch", out);
        let worth_asking = matches!(
            failed,
            RemoteError::Failed { .. }
                | RemoteError::Unreachable {
                    why: Missing::Connection | Missing::Repository,
                    ..
                }
        );
        if !worth_asking {
            return Err(failed);
        }
        match self.refs_once() {
            Ok(refs) if !refs.contains_key(&format!("refs/heads/{branch}")) => Ok(None),
            Ok(_) | Err(_) => Err(failed),
        }
    }

    fn push_once(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        let mut options: Vec<String> = [
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--no-recurse-submodules",
            "--progress",
        ]
        .map(str::to_owned)
        .into();
        if updates.len() > 1 {
            // Not for a single one, which is atomic anyway: a few servers do not know it.
            options.push("--atomic".to_owned());
        }
        options.extend(updates.iter().map(lease));
        let operands: Vec<String> = std::iter::once(self.url.as_git_argument().to_owned())
            .chain(updates.iter().map(refspec))
            .collect();
        let out = self.run(
            &Command::new("push", Some(Phase::Send))
                .args(options)
                .operands(operands),
        )?;
        let stdout = text(&out.stdout);
        let refs = match porcelain::parse_push(&stdout) {
            Ok(refs) => refs,
            Err(e) if out.status.success() => return Err(self.garbled(&e, &out)),
            // Git that fails before it has asked the remote writes what it likes.
            Err(_) => Vec::new(),
        };
        let bad: Vec<_> = refs.iter().filter(|r| r.status != PushStatus::Ok).collect();
        if !bad.is_empty() {
            return self.why_refused(updates, &bad, &out);
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

    fn why_refused(
        &self,
        updates: &[RefUpdate],
        bad: &[&PushedRef],
        out: &Output,
    ) -> Result<PushOutcome, RemoteError> {
        // In an atomic push the innocent references are listed too, with a reason that says nothing.
        let telling = |r: &&&PushedRef| !r.status.reason().starts_with("atomic ");
        let first = bad.iter().find(telling).unwrap_or(&bad[0]);
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
        // The remote gave a reason of its own, or failed to give one. Where its references are tells which it was.
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
        let said = self.said(&out.stderr);
        let reason = said
            .by_server()
            .next()
            .map_or(reason.clone(), |words| format!("{reason} ({words})"));
        Err(RemoteError::Rejected {
            remote: self.url.to_string(),
            reason,
            said,
        })
    }

    /// Whether the remote's references are already as the updates want them.
    fn is_in_force(&self, updates: &[RefUpdate]) -> bool {
        self.refs_once()
            .is_ok_and(|now| updates.iter().all(|u| now.get(&u.name) == u.new.as_ref()))
    }

    fn run(&self, command: &Command) -> Result<Output, RemoteError> {
        self.watch(&self.caller.program(command), command.phase)
    }

    fn watch(&self, program: &Program, phase: Option<Phase>) -> Result<Output, RemoteError> {
        let Some((progress, phase)) = self.progress.as_deref().zip(phase) else {
            return program.run().map_err(|e| self.process_error(e));
        };
        let mut meter = Meter {
            progress,
            phase,
            total: 0,
            done: 0,
        };
        progress.begin(phase, 0, 0);
        let result = program.run_watched(&mut |line| meter.see(line));
        progress.end();
        result.map_err(|e| self.process_error(e))
    }

    fn failed(&self, command: &'static str, out: &Output) -> RemoteError {
        let remote = self.url.to_string();
        let said = self.said(&out.stderr);
        if let Kind::Local(path) = self.url.kind()
            && !path.exists()
            && !self.url.as_git_argument().contains('%')
        {
            return self.no_directory(path);
        }
        match failure::cause(&out.stderr) {
            Cause::Denied => RemoteError::Denied { remote, said },
            Cause::NoRepository => RemoteError::Unreachable {
                remote,
                why: Missing::Repository,
                said,
            },
            Cause::Transient => RemoteError::Unreachable {
                remote,
                why: Missing::Connection,
                said,
            },
            Cause::Rejected => {
                let reason = failure::rejecting_line(said.as_str())
                    .unwrap_or("no reason given")
                    .to_owned();
                RemoteError::Rejected {
                    remote,
                    reason,
                    said,
                }
            }
            Cause::Unknown => self.too_old().unwrap_or_else(|| RemoteError::Failed {
                command,
                status: out.status.to_string(),
                said,
            }),
        }
    }

    fn no_directory(&self, path: &Path) -> RemoteError {
        let said = GitSaid::new(&format!("there is no directory `{}`", path.display()));
        RemoteError::Unreachable {
            remote: self.url.to_string(),
            why: Missing::Repository,
            said,
        }
    }

    /// Asked only after an unexplained failure: an old git does not know our options.
    fn too_old(&self) -> Option<RemoteError> {
        let found = self.version().ok()?;
        (found < OLDEST_GIT).then_some(RemoteError::GitTooOld {
            found,
            need: OLDEST_GIT,
        })
    }

    fn garbled(&self, what: &dyn fmt::Display, out: &Output) -> RemoteError {
        let what = self.url.redact(&what.to_string());
        RemoteError::Garbled {
            remote: self.url.to_string(),
            what,
            said: self.said(&out.stderr),
        }
    }

    fn process_error(&self, error: ProcessError) -> RemoteError {
        let remote = self.url.to_string();
        match error {
            ProcessError::NotFound { .. } => RemoteError::GitMissing,
            ProcessError::Interrupted(e) => e.into(),
            ProcessError::Silent { after, stderr, .. } => {
                let silence = format!(
                    "{stderr}\ngit was stopped after {} seconds of silence",
                    after.as_secs()
                );
                RemoteError::Unreachable {
                    remote,
                    why: Missing::Answer,
                    said: self.said(&silence),
                }
            }
            error @ ProcessError::Failed { .. } => RemoteError::Process(error),
        }
    }

    fn said(&self, stderr: &str) -> GitSaid {
        GitSaid::new(&self.url.redact(stderr))
    }
}

fn local_name(branch: &str) -> String {
    format!("refs/remotes/origin/{branch}")
}

/// Brings a branch, or all that a `*` at the end stands for.
fn tracking(branch: &str) -> String {
    format!("+refs/heads/{branch}:{}", local_name(branch))
}

fn check_name(name: &str) -> Result<(), RemoteError> {
    if porcelain::is_ref_name(name) {
        Ok(())
    } else {
        Err(RemoteError::InvalidRef {
            name: name.to_owned(),
        })
    }
}

/// Turns git's progress lines into ours.
struct Meter<'a> {
    progress: &'a dyn Progress,
    phase: Phase,
    total: u64,
    done: u64,
}

impl Meter<'_> {
    fn see(&mut self, line: &str) {
        let Some(seen) = porcelain::parse_progress(line) else {
            return;
        };
        if !matches!(seen.what, "Writing objects" | "Receiving objects") {
            return;
        }
        if self.total == 0 && seen.total > 0 {
            // Only now git knows how many there are.
            self.total = seen.total;
            self.progress.end();
            self.progress.begin(self.phase, seen.total, 0);
        }
        if seen.done > self.done {
            self.progress.advance(seen.done - self.done, 0);
            self.done = seen.done;
        }
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

/// Whether the same call may succeed in a moment. Silence has been waited for long enough; it is not waited for again. A
/// `git` that outlived the ccsync which started it may still be moving our references.
fn may_pass(error: &RemoteError) -> bool {
    match error {
        RemoteError::Unreachable { why, .. } => *why == Missing::Connection,
        RemoteError::Failed { said, .. } => failure::is_contention("", said.as_str()),
        _ => false,
    }
}

/// `--force-with-lease` always with a value: without, a fetch in the background renews the expectation.
fn lease(update: &RefUpdate) -> String {
    let expected = update.expected.as_ref().map_or("", CommitId::as_str);
    format!("--force-with-lease={}:{expected}", update.name)
}

fn refspec(update: &RefUpdate) -> String {
    let new = update.new.as_ref().map_or("", CommitId::as_str);
    format!("{new}:{}", update.name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl fmt::Debug for GitCli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitCli")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
