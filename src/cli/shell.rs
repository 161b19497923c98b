//! The scripts that connect a shell with the completion of this program, and its answers.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap_complete::Shell;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::{Bash, CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

/// Variable by which a shell asks for completions.
const VARIABLE: &str = "COMPLETE";

const PROGRAM: &str = "ccsync";

/// The supported shells.
const SHELLS: Shells<'static> = Shells(&[&DescribingBash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers a shell that asks for completions. Returns false if no shell asks.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn answer_shell(
    command_line: impl Fn() -> clap::Command,
    args: impl IntoIterator<Item = OsString>,
) -> Result<bool, clap::Error> {
    let directory = std::env::current_dir().ok();
    CompleteEnv::with_factory(command_line)
        .var(VARIABLE)
        .completer(PROGRAM)
        .shells(SHELLS)
        .try_complete(args, directory.as_deref())
}

/// Returns the shell with this name or path.
pub(super) fn shell_named(name: &Path) -> Option<Shell> {
    Shell::from_shell_path(name)
}

/// Returns the script that registers the completion in `shell`.
pub(super) fn registration(shell: Shell) -> Vec<u8> {
    let completer = SHELLS.completer(&shell.to_string());
    let mut script = Vec::new();
    completer
        .expect("every shell of clap_complete is supported")
        .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .expect("a vector can be written to");
    script
}

/// Bash with descriptions. Bash has no field for them, so they are part of the shown
/// candidates.
struct DescribingBash;

impl EnvCompleter for DescribingBash {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        Bash.write_registration(variable, name, bin, completer, script)
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        args: Vec<OsString>,
        directory: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        let index = variable("_CLAP_COMPLETE_INDEX").and_then(|n| n.parse().ok());
        let separator = variable("_CLAP_IFS").unwrap_or_else(|| "\n".to_owned());
        let candidates = complete(command, args, index.unwrap_or_default(), directory)?;

        // TAB (9) and a second TAB (63) show a list and insert only the common prefix.
        // Other kinds of completion insert a candidate unchanged.
        let kind = variable("_CLAP_COMPLETE_COMP_TYPE");
        let is_list = matches!(kind.as_deref(), Some("9" | "63")) && candidates.len() > 1;
        let texts = if is_list {
            described(&candidates)
        } else {
            values(&candidates)
        };
        write!(answer, "{}", texts.join(&separator))
    }
}

fn values(candidates: &[CompletionCandidate]) -> Vec<String> {
    let values = candidates
        .iter()
        .map(|c| c.get_value().to_string_lossy().into_owned());
    values.collect()
}

/// Returns each value with its description, in columns.
fn described(candidates: &[CompletionCandidate]) -> Vec<String> {
    let values = values(candidates);
    let width = values
        .iter()
        .map(|v| v.chars().count())
        .max()
        .unwrap_or_default();
    let line = |(value, candidate): (String, &CompletionCandidate)| match candidate.get_help() {
        Some(help) => {
            let help = help.to_string();
            let first = help.lines().next().unwrap_or_default();
            format!("{value:width$}  ({first})")
        }
        None => value,
    };
    values.into_iter().zip(candidates).map(line).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the script of the shell passes its question in variables"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
