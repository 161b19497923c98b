//! Builds `git` calls: arguments, environment, timeout. `docs/dev/transport.md` gives the
//! reason of every line.
//!
//! Must not read the answers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::domain::Phase;
use crate::sys::{GitEnv, process::Program};

/// Time limit without output, unless the user sets another. With `--progress`, git and the
/// server write at least once a second; longer silence means that the peer is gone or that
/// git waits for an answer that cannot come.
const SILENCE: Duration = Duration::from_secs(60);

/// Overrides of user settings that would change what git does.
const CONFIG: [&str; 13] = [
    "core.fsmonitor=",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.writeCommitGraph=false",
    "fetch.unpackLimit=1",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "color.ui=false",
    "core.packedGitWindowSize=1m",
    "core.packedGitLimit=32m",
    "core.deltaBaseCacheLimit=16m",
    "pack.windowMemory=32m",
];

/// For a clone that the user will own: only the settings that stop the remote from
/// running anything. The user's template hooks stay; `-c` is not written into the clone.
const CLONE_CONFIG: [&str; 6] = [
    "core.fsmonitor=",
    "submodule.recurse=false",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "maintenance.auto=false",
    "color.ui=false",
];

/// Variables that point git at another repository; ccsync may run in a hook. `git
/// rev-parse --local-env-vars` lists most of them. `GIT_CONFIG_COUNT` stays: it is the
/// user's configuration.
const FOREIGN: [&str; 21] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_PROTOCOL",
    "GIT_REDIRECT_STDIN",
    "GIT_REDIRECT_STDOUT",
    "GIT_REDIRECT_STDERR",
];

/// Calls git for one repository.
#[derive(Clone)]
pub(super) struct Caller {
    git_dir: PathBuf,
    env: GitEnv,
    interactive: bool,
    may_use_ssh: bool,
    pub(super) inherited: Vec<(OsString, OsString)>,
    pub(super) silence: Duration,
    own_ssh_command: Arc<OnceLock<bool>>,
}

/// One git command, without the common arguments.
pub(super) struct GitCommand {
    name: &'static str,
    pub(super) phase: Option<Phase>,
    settings: Vec<String>,
    args: Vec<String>,
    operands: Vec<String>,
}

impl GitCommand {
    pub(super) fn new(name: &'static str, phase: Option<Phase>) -> Self {
        Self {
            name,
            phase,
            settings: Vec::new(),
            args: Vec::new(),
            operands: Vec::new(),
        }
    }

    /// Adds configuration for this call. It overrides the common one.
    pub(super) fn settings(mut self, settings: impl IntoIterator<Item = String>) -> Self {
        self.settings = settings.into_iter().collect();
        self
    }

    pub(super) fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn operands(
        mut self,
        operands: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.operands = operands.into_iter().map(Into::into).collect();
        self
    }
}

impl Caller {
    pub(super) fn new(git_dir: &Path, env: GitEnv, interactive: bool, may_use_ssh: bool) -> Self {
        Self {
            // Git runs in this directory, so a relative path would point to another one.
            git_dir: std::path::absolute(git_dir).unwrap_or_else(|_| git_dir.to_owned()),
            silence: env.silence_limit.unwrap_or(SILENCE),
            env,
            interactive,
            may_use_ssh,
            inherited: Vec::new(),
            own_ssh_command: Arc::default(),
        }
    }

    /// Returns the caller for another repository.
    pub(super) fn at(&self, git_dir: &Path) -> Self {
        Self {
            git_dir: git_dir.to_owned(),
            ..self.clone()
        }
    }

    pub(super) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Reads a reference of the repository from its own file. A packed one has none.
    pub(super) fn loose_reference(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.git_dir.join(name)).ok()
    }

    /// Returns the command, ready to run.
    pub(super) fn program(&self, command: &GitCommand) -> Program {
        let mut program = self.git_in_store();
        for setting in CONFIG
            .into_iter()
            .chain(command.settings.iter().map(String::as_str))
        {
            program = program.args(["-c", setting]);
        }
        self.completed(program, command)
    }

    /// Returns a command that creates a repository, started in the directory given to
    /// [`Self::new`].
    pub(super) fn program_outside(&self, command: &GitCommand) -> Program {
        let mut program = self.git().current_dir(&self.git_dir);
        for setting in CLONE_CONFIG {
            program = program.args(["-c", setting]);
        }
        self.completed(program, command)
    }

    fn completed(&self, program: Program, command: &GitCommand) -> Program {
        let program = program
            .arg(command.name)
            .args(&command.args)
            .arg("--")
            .args(&command.operands);
        let mut program = self.limited(program);
        if self.interactive {
            return program.may_ask_user();
        }
        program = program
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GCM_INTERACTIVE", "never");
        if self.may_use_ssh && !self.has_own_ssh_command() {
            program = program.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        program
    }

    /// Asks for git's version.
    pub(super) fn version(&self) -> Program {
        self.limited(self.git().arg("version"))
    }

    fn limited(&self, program: Program) -> Program {
        let hurry_file = self.env.hurry_file.clone();
        program.silence_limit(self.silence).hurry_file(hurry_file)
    }

    fn git_in_store(&self) -> Program {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(&self.git_dir);
        // The current directory may be deleted, and git refuses to run in a deleted one.
        self.git().arg(git_dir).current_dir(&self.git_dir)
    }

    fn git(&self) -> Program {
        git(&self.inherited)
    }

    /// `GIT_SSH_COMMAND` overrides `core.sshCommand`, so this reads the latter, once per
    /// process.
    fn has_own_ssh_command(&self) -> bool {
        self.env.own_ssh_command
            || *self.own_ssh_command.get_or_init(|| {
                let program = self
                    .git_in_store()
                    .args(["config", "--get", "core.sshCommand"]);
                let program = self.limited(program);
                program.run().is_ok_and(|out| out.status.success())
            })
    }
}

/// Returns the git directory of a repository that may have a working tree.
pub(super) fn git_dir_of(path: &Path) -> PathBuf {
    let below = path.join(".git");
    if below.is_dir() {
        below
    } else {
        path.to_owned()
    }
}

/// Returns git with a clean environment. Removals also apply to variables that tests add.
pub(super) fn git(inherited: &[(OsString, OsString)]) -> Program {
    let mut program = Program::new("git");
    for (name, value) in inherited {
        program = program.env(name, value);
    }
    for name in FOREIGN {
        program = program.env_remove(name);
    }
    program
        .env_remove("LC_ALL")
        .env_remove("LANGUAGE")
        .env("LC_MESSAGES", "C")
}
