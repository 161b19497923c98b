//! One of the two invented machines: a home directory, a project, and programs that run
//! as if on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::client::StageFiles;
use super::transcript::Script;
use crate::cli::error::{CliError, CommandError};
use crate::domain::{SessionId, client_dir::client_dir_name};
use crate::session::{files::projects_dir, files::transcript_path};
use crate::sys::{fs, process::Program, process::ProgramOutput};

/// The part of `ccsync status --json` that the demo reads.
#[derive(Deserialize)]
struct DemoStatus {
    remote: String,
}

pub(super) struct DemoMachine {
    pub(super) name: &'static str,
    pub(super) home: PathBuf,
    pub(super) project: PathBuf,
    /// The `PATH`: first the directory with the stand-in for Claude Code.
    search_path: OsString,
}

impl DemoMachine {
    pub(super) fn new(
        name: &'static str,
        home: &str,
        stage: &Path,
        search_path: &OsString,
    ) -> Result<Self, CliError> {
        // Only native separators: Claude Code and git name the directory so.
        let home = home
            .split('/')
            .fold(stage.join(name), |path, part| path.join(part));
        let project = home.join("work").join("garden");
        fs::create_private_dir_all(&project)?;
        Ok(Self {
            name,
            home,
            project,
            search_path: search_path.clone(),
        })
    }

    /// Runs this program on the machine.
    pub(super) fn ccsync(&self, args: &[&str]) -> Result<ProgramOutput, CliError> {
        let program = std::env::current_exe().map_err(CommandError::Stage)?;
        self.run(Program::new(program), args)
    }

    /// Runs the stand-in for Claude Code directly.
    pub(super) fn claude(&self, args: &[&str]) -> Result<ProgramOutput, CliError> {
        let directories = std::env::split_paths(&self.search_path);
        let first = directories.into_iter().next().unwrap_or_default();
        self.run(Program::new(first.join("claude")), args)
    }

    /// Runs a program with the home directory of the machine and nothing of our
    /// environment.
    fn run(&self, program: Program, args: &[&str]) -> Result<ProgramOutput, CliError> {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let program = program
            .args(args)
            .bare_env()
            .current_dir(&self.project)
            .env("PATH", &self.search_path)
            .env(home, &self.home)
            .env("CCSYNC_HOME", self.home.join(".ccsync"))
            .env("COLUMNS", "100");
        Ok(program.run()?)
    }

    /// Sets the user's next question and the stand-in's answer.
    pub(super) fn prepare(&self, script: &Script) -> Result<(), CliError> {
        let files = self.files();
        if script.stays_open {
            fs::write_atomic(&files.hold(), b"")?;
        }
        let json = serde_json::to_vec(script).map_err(CliError::internal)?;
        Ok(fs::write_atomic(&files.script(), &json)?)
    }

    pub(super) fn files(&self) -> StageFiles {
        StageFiles::new(&self.home)
    }

    /// Returns the remote of this machine.
    pub(super) fn remote(&self) -> Result<String, CliError> {
        let output = self.ccsync(&["status", "--json"])?;
        let status: DemoStatus =
            serde_json::from_slice(&output.stdout).map_err(CliError::internal)?;
        Ok(status.remote)
    }

    /// Returns the id of the only session.
    pub(super) fn only_session(&self) -> Result<SessionId, CliError> {
        let transcripts = self.transcripts();
        let name = transcripts.first().and_then(|path| path.file_stem());
        let id = name.and_then(|name| name.to_str()).unwrap_or_default();
        id.parse().map_err(CliError::internal)
    }

    /// Returns where Claude Code keeps the transcript of a session.
    pub(super) fn transcript(&self, session: &SessionId) -> PathBuf {
        let name = client_dir_name(&self.project.to_string_lossy());
        transcript_path(&self.projects().join(name), session)
    }

    /// Counts the transcripts that contain `text`.
    pub(super) fn transcripts_with(&self, text: &str) -> Result<usize, CliError> {
        let mut count = 0;
        for path in self.transcripts() {
            count += usize::from(fs::read_to_string(&path)?.contains(text));
        }
        Ok(count)
    }

    fn transcripts(&self) -> Vec<PathBuf> {
        let entries = walkdir::WalkDir::new(self.projects()).into_iter();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
            .collect()
    }

    fn projects(&self) -> PathBuf {
        projects_dir(&self.home.join(".claude"))
    }
}
