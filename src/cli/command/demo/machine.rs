//! One of the two invented machines: a home of its own, a project, and this program run as if on it.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::transcript::Transcript;
use crate::cli::error::{CliError, CommandError};
use crate::domain::client_dir::client_dir_name;
use crate::domain::id::SessionId;
use crate::sys::fs;
use crate::sys::process::{Output, Program};

/// What the demo reads of `ccsync status --json`.
#[derive(Deserialize)]
struct Status {
    remote: String,
}

pub(super) struct Machine {
    pub(super) name: &'static str,
    pub(super) home: PathBuf,
    pub(super) project: PathBuf,
}

impl Machine {
    pub(super) fn new(name: &'static str, stage: &Path, home: &str) -> Result<Self, CliError> {
        let home = stage.join(name).join(home);
        let project = home.join("work").join("garden");
        fs::create_private_dir_all(&project)?;
        Ok(Self {
            name,
            home,
            project,
        })
    }

    /// Runs this very program with the machine's home and nothing of our environment.
    pub(super) fn run(&self, args: &[&str]) -> Result<Output, CliError> {
        let program = std::env::current_exe().map_err(CommandError::Stage)?;
        let program = Program::new(program)
            .args(args)
            .bare_env()
            .current_dir(&self.project);
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        Ok(program
            .env(home, &self.home)
            .env("CCSYNC_HOME", self.home.join(".ccsync"))
            .env("COLUMNS", "100")
            .run()?)
    }

    /// Where this machine's sessions go.
    pub(super) fn remote(&self) -> Result<String, CliError> {
        let output = self.run(&["status", "--json"])?;
        let status: Result<Status, _> = serde_json::from_slice(&output.stdout);
        Ok(status
            .map_err(|_| {
                CommandError::Story("`ccsync status --json` is not what it should be".to_owned())
            })?
            .remote)
    }

    /// Where the client looks for the session.
    pub(super) fn transcript(&self, session: &SessionId) -> PathBuf {
        let name = client_dir_name(&self.project.to_string_lossy());
        self.projects().join(name).join(format!("{session}.jsonl"))
    }

    pub(super) fn read(&self, session: &SessionId) -> Result<String, CliError> {
        Ok(fs::read_to_string(&self.transcript(session))?)
    }

    pub(super) fn write(
        &self,
        session: &SessionId,
        transcript: &Transcript,
    ) -> Result<(), CliError> {
        Ok(fs::write_atomic(
            &self.transcript(session),
            transcript.text().as_bytes(),
        )?)
    }

    /// One more turn at the end of what is there, as the client appends it.
    pub(super) fn append(
        &self,
        session: &SessionId,
        question: &str,
        answer: &str,
        now: DateTime<Utc>,
    ) -> Result<(), CliError> {
        let existing = self.read(session)?;
        let mut turn = Transcript::after(&existing, session, &self.project, now);
        turn.turn(question, answer);
        let whole = format!("{existing}{}", turn.text());
        Ok(fs::write_atomic(
            &self.transcript(session),
            whole.as_bytes(),
        )?)
    }

    /// In how many transcripts of this machine `text` stands.
    pub(super) fn transcripts_with(&self, text: &str) -> Result<usize, CliError> {
        let mut count = 0;
        for entry in walkdir::WalkDir::new(self.projects())
            .into_iter()
            .filter_map(Result::ok)
        {
            if entry.path().extension().is_some_and(|e| e == "jsonl") {
                count += usize::from(fs::read_to_string(entry.path())?.contains(text));
            }
        }
        Ok(count)
    }

    fn projects(&self) -> PathBuf {
        self.home.join(".claude").join("projects")
    }
}
