//! State of one run: the environment, a clock, the streams, and on request the settings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::args::{GlobalArgs, wants_json};
use super::error::{CliError, CommandError};
use super::exit::Exit;
use crate::config::{Config, FILE_NAME, Settings};
use crate::domain::Progress;
use crate::report::{RemoteState, Report};
use crate::sys::{Clock, Env, SystemClock};
use crate::ui::{
    Output, json, notes, output::OutputOptions, output::Screen, progress::progress, report,
    style::is_colored,
};
use crate::workspace::{
    Context, HistoryChoice, SetupError, received_notes::mark_as_shown,
    shown_notices::record_shown_notices, shown_notices::shown_notices,
};

/// One run of the program.
pub(crate) struct App {
    pub(crate) env: Env,
    pub(crate) clock: SystemClock,
    pub(crate) out: Output,
    /// The picker may use colours.
    pub(crate) stderr_colors: bool,
    /// No remote may be contacted.
    pub(crate) offline: bool,
    /// The user's decision about a replaced history of the remote.
    pub(crate) history_choice: Option<HistoryChoice>,
    progress: Arc<dyn Progress + Send + Sync>,
}

impl App {
    pub(crate) fn new(env: Env, global: &GlobalArgs) -> Self {
        let color = global.color;
        let stderr_colors = is_colored(color, env.no_color, env.stderr_is_terminal);
        let out = Output::new(OutputOptions {
            stdout_colors: is_colored(color, env.no_color, env.stdout_is_terminal),
            stderr_colors,
            columns: env.columns,
            rows: env.rows,
            quiet: global.quiet,
            json: wants_json(std::env::args_os()),
        });
        let progress = progress(env.stderr_is_terminal && !global.quiet);
        Self {
            env,
            clock: SystemClock::default(),
            out,
            stderr_colors,
            offline: false,
            history_choice: None,
            progress,
        }
    }

    /// Returns true if there is a terminal to ask on.
    pub(crate) fn is_interactive(&self) -> bool {
        self.env.stdin_is_terminal && self.env.stderr_is_terminal
    }

    /// Refuses an action that needs a confirmation if there is no terminal to ask on.
    pub(crate) fn require_terminal(&self, action: impl Into<String>) -> Result<(), CliError> {
        if self.is_interactive() {
            return Ok(());
        }
        Err(CommandError::ConfirmationNeeded {
            action: action.into(),
            flag: "--yes",
        }
        .into())
    }

    /// Returns a second handle to the streams, for a command that prints while it holds
    /// the context.
    pub(crate) fn secondary_output(&self) -> Output {
        self.out.secondary()
    }

    /// Returns the progress bar.
    pub(crate) fn progress(&self) -> Arc<dyn Progress + Send + Sync> {
        Arc::clone(&self.progress)
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    /// Returns the path of the configuration file.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.env.dirs.config.join(FILE_NAME)
    }

    /// Returns the configuration of this machine.
    ///
    /// # Errors
    /// Also if `ccsync init` has not been run here.
    pub(crate) fn config(&self) -> Result<Config, CliError> {
        Ok(self.load()?.ok_or(SetupError::NotSetUp)?)
    }

    /// Returns the context that the folders below work with.
    ///
    /// # Errors
    /// As for [`App::config`].
    pub(crate) fn context(&self) -> Result<Context<'_>, CliError> {
        let settings = Settings::resolve(&self.config()?, &self.env)?;
        Ok(Context {
            env: &self.env,
            settings,
            clock: self.clock(),
            progress: self.progress(),
            interactive: self.is_interactive(),
            offline: self.offline,
            by_itself: false,
            history_choice: self.history_choice,
        })
    }

    /// Returns true if `ccsync init` has been run on this machine.
    ///
    /// # Errors
    /// If there is a configuration that cannot be read.
    pub(crate) fn is_set_up(&self) -> Result<bool, CliError> {
        Ok(self.load()?.is_some())
    }

    fn load(&self) -> Result<Option<Config>, CliError> {
        let path = self.config_path();
        Ok(Config::load(&path)?)
    }

    /// Prints lines of data.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn print(&mut self, lines: &[String]) -> Result<(), CliError> {
        for line in lines {
            self.out.data(line).map_err(CommandError::Stdout)?;
        }
        Ok(())
    }

    /// Prints a text that another library generated.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn print_text(&mut self, text: &[u8]) -> Result<(), CliError> {
        let text = String::from_utf8_lossy(text);
        self.out
            .data(text.trim_end())
            .map_err(CommandError::Stdout)?;
        Ok(())
    }

    /// Prints the document of a command.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn print_json(
        &mut self,
        command: &str,
        body: &impl Serialize,
    ) -> Result<(), CliError> {
        let text = json::document(command, body).map_err(CliError::internal)?;
        Ok(self.out.data(&text).map_err(CommandError::Stdout)?)
    }

    /// Prints the report of a push or a pull, and returns the exit code.
    ///
    /// JSON document: the fields of [`Report`].
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn print_report(
        &mut self,
        command: &str,
        report: &Report,
        json: bool,
    ) -> Result<Exit, CliError> {
        self.print_report_within(command, report, json, self.out.screen())
    }

    /// Like [`Self::print_report`], in a given part of the screen.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(crate) fn print_report_within(
        &mut self,
        command: &str,
        report: &Report,
        json: bool,
        screen: Screen,
    ) -> Result<Exit, CliError> {
        if json {
            self.print_json(command, report)?;
        } else {
            let notes = notes::arrived(&report.notes, self.clock.now(), screen);
            let rest = Screen {
                height: screen.height.saturating_sub(notes.len()),
                ..screen
            };
            self.print(&notes)?;
            let quiet = self.out.is_quiet();
            let is_whole = !report.is_selection && !report.dry_run && !quiet;
            let shown = if is_whole {
                shown_notices(&self.env, command)
            } else {
                BTreeSet::new()
            };
            self.print(&report::lines(command, report, rest, quiet, &shown))?;
            if is_whole {
                record_shown_notices(&self.env, command, report::notices(report));
            }
            self.remember_notes(report);
        }
        Ok(Exit::from_report(report))
    }

    /// Prints the notes of a pull whose report is not printed.
    pub(crate) fn show_notes(&mut self, report: &Report) {
        let lines = notes::arrived(&report.notes, self.clock.now(), self.out.screen());
        lines.iter().for_each(|line| self.out.message(line));
        self.remember_notes(report);
    }

    /// Marks notes as shown. With `--json` they stay unread, because the user has not
    /// seen them.
    fn remember_notes(&self, report: &Report) {
        if !report.notes.is_empty() {
            mark_as_shown(&self.env, &report.notes);
        }
    }

    /// Prints the reason why commits are not on the remote yet, if any.
    pub(crate) fn explain_queued(&mut self, remote: &RemoteState) {
        if let Some(line) = report::queue_reason(remote) {
            self.out.message(&line);
        }
    }
}

/// Returns the directory that relative paths on the command line are based on.
pub(crate) fn current_dir() -> Result<PathBuf, CliError> {
    Ok(std::env::current_dir().map_err(CommandError::CurrentDir)?)
}
