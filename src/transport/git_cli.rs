//! A remote, reached with the user's own `git`, so that their ssh configuration,
//! credential helpers and proxies work.
//!
//! Success is decided by exit status and porcelain output, never by messages.
//! `docs/dev/transport.md` gives the reason of every flag and variable.

mod drop_objects;
mod fetch;
mod push;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::domain::{CommitId, Phase, Progress, url::RemoteKind, url::RemoteUrl};
use crate::sys::{
    Clock, GitEnv, SystemClock, process::ProcessError, process::Program, process::ProgramOutput,
    signal,
};

use super::caller::{Caller, GitCommand, git_dir_of};
use super::failure::{self, Cause};
use super::porcelain::{self, GitVersion};
use super::remote::{GitMessage, Missing, OLDEST_GIT, RemoteError};

/// Maximum tries of one call.
const MAX_TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(400);

/// Packs of this size are not repacked.
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
    /// Creates the remote `url` of the repository at `git_dir`. `interactive`: the user
    /// can answer ssh and git.
    pub fn new(git_dir: &Path, url: RemoteUrl, git: GitEnv, interactive: bool) -> Self {
        Self {
            // Many users rewrite https to ssh with `insteadOf`, but hardly ever a
            // directory.
            caller: Caller::new(
                git_dir,
                git,
                interactive,
                !matches!(url.kind(), RemoteKind::Local(_)),
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

    /// Sets the time without output after which git counts as hanging. In interactive runs,
    /// the time in which git waits for the user does not count.
    #[must_use]
    pub fn with_silence_limit(mut self, silence: Duration) -> Self {
        self.caller.silence = silence;
        self
    }

    /// Uses another clock for the pauses between tries.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a variable to the inherited environment, for tests.
    #[must_use]
    pub fn inheriting(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.caller.inherited.push((name.into(), value.into()));
        self
    }

    /// Returns the version of the `git` on the PATH; runs it once.
    ///
    /// # Errors
    /// [`RemoteError::GitMissing`], or another error if the answer cannot be parsed.
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

    /// Lists the references of the remote, without invalid names.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn refs(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        self.retrying(|| self.refs_once())
    }

    /// Runs `git fsck` on a remote that is a directory and on all objects of `commit`.
    /// Returns the errors; `None` if the remote is no directory.
    ///
    /// # Errors
    /// [`RemoteError`] if git could not be run.
    pub fn check_objects(
        &self,
        commit: &CommitId,
    ) -> Result<Option<Result<(), String>>, RemoteError> {
        let RemoteKind::Local(path) = self.url.kind() else {
            return Ok(None);
        };
        let git_dir = git_dir_of(path);
        let options = ["--full", "--no-dangling", "--no-reflogs", "--progress"];
        let command = GitCommand::new("fsck", Some(Phase::Check))
            .args(options)
            .operands([commit.as_str()]);
        // Reads its objects through the store's repository, so that its configuration and
        // hooks are ignored.
        let program = self
            .caller
            .program(&command)
            .env("GIT_OBJECT_DIRECTORY", git_dir.join("objects"));
        let out = self.watch(&program, command.phase)?;
        if out.status.success() {
            return Ok(Some(Ok(())));
        }
        let message = self.message(&format!("{}\n{}", out.stderr, text(&out.stdout)));
        Ok(Some(Err(message
            .as_str()
            .lines()
            .next()
            .unwrap_or("git fsck failed")
            .to_owned())))
    }

    /// Repacks the local repository if it has more than `packs` packs or about `loose`
    /// loose objects. Runs in the background; git prevents two at a time.
    ///
    /// # Errors
    /// [`RemoteError`] if git cannot run or reports an error.
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
            &GitCommand::new("gc", None)
                .settings(settings)
                .args(["--auto", "--quiet"]),
        )?;
        if out.status.success() {
            Ok(())
        } else {
            Err(self.failed("gc", &out))
        }
    }

    /// Clones the remote into the new directory `name` below the directory given to
    /// [`Self::new`], without submodules.
    ///
    /// # Errors
    /// [`RemoteError`]; git then removes the partial clone.
    pub(super) fn clone_as(&self, name: &str) -> Result<(), RemoteError> {
        // A local repository is cloned through git's transport, not by linking its files.
        let options = ["--no-local", "--no-recurse-submodules", "--progress"];
        let operands = [self.url.as_git_argument(), name];
        let command = GitCommand::new("clone", Some(Phase::Fetch))
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

    /// Retries `call` while its failure is transient.
    fn retrying<T>(&self, call: impl Fn() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        let signals_before = signal::count();
        for attempt in 1..MAX_TRIES {
            match call() {
                Err(e) if may_pass(&e) && signal::count() == signals_before => self.pause(attempt),
                result => return result,
            }
        }
        call()
    }

    /// Returns a growing pause with jitter, so that machines that failed together do not
    /// collide again.
    fn pause(&self, attempt: u32) {
        let base = FIRST_PAUSE * 3_u32.saturating_pow(attempt - 1);
        self.clock.sleep(base.mul_f64(0.5 + fastrand::f64()));
    }

    fn refs_once(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        let out = self.run(
            &GitCommand::new("ls-remote", None)
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
                message: self.message(&out.stderr),
            });
        }
        porcelain::parse_refs(&stdout).map_err(|e| self.garbled(&e, &out))
    }

    fn run(&self, command: &GitCommand) -> Result<ProgramOutput, RemoteError> {
        self.watch(&self.caller.program(command), command.phase)
    }

    fn watch(&self, program: &Program, phase: Option<Phase>) -> Result<ProgramOutput, RemoteError> {
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

    fn failed(&self, command: &'static str, out: &ProgramOutput) -> RemoteError {
        let remote = self.url.to_string();
        let message = self.message(&out.stderr);
        if let RemoteKind::Local(path) = self.url.kind()
            && !path.exists()
            && !self.url.as_git_argument().contains('%')
        {
            return self.no_directory(path);
        }
        match failure::cause(&out.stderr) {
            Cause::Denied => RemoteError::Denied { remote, message },
            Cause::NoRepository => RemoteError::Unreachable {
                remote,
                why: Missing::Repository,
                message,
            },
            Cause::Transient => RemoteError::Unreachable {
                remote,
                why: Missing::Connection,
                message,
            },
            Cause::Rejected => {
                let reason = failure::rejecting_line(message.as_str())
                    .unwrap_or("no reason given")
                    .to_owned();
                RemoteError::Rejected {
                    remote,
                    reason,
                    message,
                }
            }
            Cause::Unknown => self.too_old().unwrap_or_else(|| RemoteError::Failed {
                command,
                status: out.status.to_string(),
                message,
            }),
        }
    }

    fn no_directory(&self, path: &Path) -> RemoteError {
        let message = GitMessage::new(&format!("no directory `{}`", path.display()));
        RemoteError::Unreachable {
            remote: self.url.to_string(),
            why: Missing::Repository,
            message,
        }
    }

    /// Checks git's version after an unexplained failure: an old git does not know the
    /// options.
    fn too_old(&self) -> Option<RemoteError> {
        let found = self.version().ok()?;
        (found < OLDEST_GIT).then_some(RemoteError::GitTooOld {
            found,
            need: OLDEST_GIT,
        })
    }

    fn garbled(&self, what: &dyn fmt::Display, out: &ProgramOutput) -> RemoteError {
        let what = self.url.redact(&what.to_string());
        RemoteError::Garbled {
            remote: self.url.to_string(),
            what,
            message: self.message(&out.stderr),
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
                    message: self.message(&silence),
                }
            }
            error @ ProcessError::Failed { .. } => RemoteError::Process(error),
        }
    }

    fn message(&self, stderr: &str) -> GitMessage {
        GitMessage::new(&self.url.redact(stderr))
    }
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

/// Converts git's progress lines.
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
            // Git knows the total only now.
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

/// Returns true if a retry may succeed. A timeout is not retried. A `git` that outlived
/// its ccsync may still be updating our references.
fn may_pass(error: &RemoteError) -> bool {
    match error {
        RemoteError::Unreachable { why, .. } => *why == Missing::Connection,
        RemoteError::Failed { message, .. } => failure::is_contention("", message.as_str()),
        _ => false,
    }
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
