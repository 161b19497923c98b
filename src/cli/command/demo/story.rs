//! The story of the demo. Checks that every step has the described effect.

use std::io;
use std::path::{Path, PathBuf};

use super::client::POLL;
use super::machine::DemoMachine;
use super::transcript::Script;
use crate::cli::{app::App, error::CliError, error::CommandError, exit::Exit};
use crate::domain::{SessionId, shell::shell_word};
use crate::sys::clock::Clock;
use crate::sys::fs::{create_private_dir_all, read_to_string, real_path, remove_file_if_exists};
use crate::sys::process::ProgramOutput;
use crate::ui::{HEADING, QUIET, format::short_id, style::paint};

const FIRST: &str = "Fix the watering plan.";
const SECOND: &str = "Print the plan as a table.";
const THIRD: &str = "Thank you.";
const ON_LAPTOP: &str = "Add a test for leap years.";
const ON_DESK: &str = "Water the roses twice.";

/// Run a demo with two machines in a temporary directory
///
/// Two invented machines with different paths share a session through a repository in the
/// same directory. One starts it, the other continues it under its lock, and in the end both
/// continue it at once, which makes a fork. A stand-in for Claude Code answers; everything else
/// is done by this program. Nothing of yours is read or written. It takes half a minute at most.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {}

pub(in crate::cli) fn run(_: &DemoArgs, app: &mut App) -> Result<Exit, CliError> {
    let directory = create_stage()?;
    let mut stage = Stage::new(directory, app)?;
    stage.play()?;
    Ok(Exit::Done)
}

/// Creates a directory that stays, so that the user can look into it.
fn create_stage() -> Result<PathBuf, CliError> {
    let created = tempfile::Builder::new().prefix("ccsync-demo-").tempdir();
    let directory = created.map_err(CommandError::Stage)?.keep();
    // Claude Code resolves links, too.
    Ok(real_path(&directory).map_err(CommandError::Stage)?)
}

#[derive(Clone, Copy)]
enum Name {
    Laptop,
    Desk,
}

struct Stage<'a> {
    app: &'a mut App,
    directory: PathBuf,
    laptop: DemoMachine,
    desk: DemoMachine,
}

impl<'a> Stage<'a> {
    fn new(directory: PathBuf, app: &'a mut App) -> Result<Self, CliError> {
        let bin = directory.join("bin");
        create_private_dir_all(&bin)?;
        install_stand_in(&bin).map_err(CommandError::Stage)?;
        let search_path = [bin].into_iter().chain(app.env.search_path.iter().cloned());
        let search_path = std::env::join_paths(search_path).map_err(CliError::internal)?;
        Ok(Self {
            laptop: DemoMachine::new("laptop", "home/alex", &directory, &search_path)?,
            desk: DemoMachine::new("desk", "Users/alex", &directory, &search_path)?,
            directory,
            app,
        })
    }

    fn play(&mut self) -> Result<(), CliError> {
        self.say(
            "Two invented machines, a laptop and a desk computer, share a session. A stand-in",
        )?;
        self.say(
            "for Claude Code answers; everything else is real. This takes half a minute at most.",
        )?;
        let session = self.start_on_laptop()?;
        self.continue_on_desk(&session)?;
        self.return_to_laptop(&session)?;
        self.continue_on_both(&session)?;
        let directory = self.directory.clone();
        self.act("Everything worked")?;
        self.say(&format!(
            "the files of both machines: {}",
            directory.display()
        ))?;
        self.say(&format!("to remove them: rm -r {}", shell_word(&directory)))
    }

    fn start_on_laptop(&mut self) -> Result<SessionId, CliError> {
        self.act("A session starts on the laptop")?;
        self.ccsync(
            Name::Laptop,
            &["init", "--name", "laptop", "--yes"],
            Exit::Done,
        )?;
        self.explain("no remote was given, so a bare repository on this disk stands in")?;
        self.converse(
            Name::Laptop,
            &["start"],
            FIRST,
            "It skipped Sundays; fixed.",
        )?;
        self.laptop.only_session()
    }

    fn continue_on_desk(&mut self, session: &SessionId) -> Result<(), CliError> {
        self.act("The desk computer, with other paths, continues it under a lock")?;
        let remote = self.laptop.remote()?;
        let init = ["init", "--name", "desk", "--remote", &remote, "--yes"];
        self.ccsync(Name::Desk, &init, Exit::Done)?;
        self.converse_while_laptop_looks(&["resume", "--latest"], SECOND, "One row per bed.")?;

        let text = read_to_string(&self.desk.transcript(session))?;
        check(
            text.contains(FIRST),
            "the turn of the laptop is missing on the desk",
        )?;
        check(
            text.contains(&json_text(&self.desk.project)),
            "the transcript does not name the directory of the desk",
        )?;
        check(
            !text.contains(&json_text(&self.laptop.home)),
            "the transcript still names the directory of the laptop",
        )?;
        let directory = self.desk.project.display().to_string();
        self.explain(&format!("the transcript on the desk names {directory}"))
    }

    fn return_to_laptop(&mut self, session: &SessionId) -> Result<(), CliError> {
        self.act("Back on the laptop, both turns are there")?;
        self.converse(
            Name::Laptop,
            &["resume", "--latest"],
            THIRD,
            "You are welcome.",
        )?;
        self.ccsync(
            Name::Laptop,
            &["show", short_id(session.as_str())],
            Exit::Done,
        )?;
        let turns = self.laptop.transcripts_with(SECOND)?;
        check(turns == 1, "the turn of the desk is missing on the laptop")
    }

    fn continue_on_both(&mut self, session: &SessionId) -> Result<(), CliError> {
        self.act("Both continue it at once, without ccsync: a fork")?;
        self.ccsync(Name::Desk, &["pull"], Exit::Done)?;
        let resume = ["--resume", session.as_str()];
        self.claude(
            Name::Laptop,
            &resume,
            ON_LAPTOP,
            "Done, in `tests/leap.rs`.",
        )?;
        self.ccsync(Name::Laptop, &["push"], Exit::Done)?;
        self.claude(Name::Desk, &resume, ON_DESK, "Done.")?;
        self.ccsync(Name::Desk, &["sync"], Exit::Diverged)?;
        self.explain("exit code 5: both versions are kept, one under a new id")?;
        self.ccsync(Name::Desk, &["list"], Exit::Done)?;
        self.ccsync(Name::Laptop, &["pull"], Exit::Done)?;
        for machine in [&self.laptop, &self.desk] {
            for turn in [ON_LAPTOP, ON_DESK] {
                let message = format!(
                    "`{turn}` does not occur exactly once on the {}",
                    machine.name
                );
                check(machine.transcripts_with(turn)? == 1, &message)?;
            }
        }
        self.explain("both machines have both sessions now, and you can continue either")
    }

    fn machine(&self, name: Name) -> &DemoMachine {
        match name {
            Name::Laptop => &self.laptop,
            Name::Desk => &self.desk,
        }
    }

    /// Shows a command of ccsync and what it prints.
    fn ccsync(&mut self, name: Name, args: &[&str], expected: Exit) -> Result<(), CliError> {
        self.show_command(name, "ccsync", args)?;
        let output = self.machine(name).ccsync(args)?;
        self.show_output(&output, expected)
    }

    /// Shows a command that runs Claude Code, with the user's question.
    fn converse(
        &mut self,
        name: Name,
        args: &[&str],
        question: &str,
        answer: &str,
    ) -> Result<(), CliError> {
        self.prepare(name, question, answer, false)?;
        self.show_command(name, "ccsync", args)?;
        self.say(&format!("(you ask: {question})"))?;
        let output = self.machine(name).ccsync(args)?;
        self.show_output(&output, Exit::Done)
    }

    /// Shows a conversation on the desk, and `status` on the laptop while it is open.
    fn converse_while_laptop_looks(
        &mut self,
        args: &[&str],
        question: &str,
        answer: &str,
    ) -> Result<(), CliError> {
        self.prepare(Name::Desk, question, answer, true)?;
        self.show_command(Name::Desk, "ccsync", args)?;
        self.say(&format!("(you ask: {question})"))?;
        self.say("(Claude Code stays open)")?;

        let files = self.desk.files();
        let (looked, ended) = std::thread::scope(|scope| {
            let conversation = scope.spawn(|| self.desk.ccsync(args));
            while !files.opened().exists() && !conversation.is_finished() {
                self.app.clock.sleep(POLL);
            }
            let looked = self.laptop.ccsync(&["lock", "show"]);
            let released = remove_file_if_exists(&files.hold());
            let ended = conversation
                .join()
                .expect("running a program does not panic");
            (released.map_err(CliError::from).and(looked), ended)
        });

        self.show_command(Name::Laptop, "ccsync", &["lock", "show"])?;
        self.show_output(&looked?, Exit::Done)?;
        self.explain("on the desk, you leave Claude Code")?;
        self.show_output(&ended?, Exit::Done)
    }

    /// Shows a conversation without ccsync.
    fn claude(
        &mut self,
        name: Name,
        args: &[&str],
        question: &str,
        answer: &str,
    ) -> Result<(), CliError> {
        self.prepare(name, question, answer, false)?;
        self.show_command(name, "claude", args)?;
        self.say(&format!("(you ask: {question})"))?;
        let output = self.machine(name).claude(args)?;
        self.show_output(&output, Exit::Done)
    }

    fn prepare(
        &self,
        name: Name,
        question: &str,
        answer: &str,
        stays_open: bool,
    ) -> Result<(), CliError> {
        self.machine(name).prepare(&Script {
            question: question.to_owned(),
            answer: answer.to_owned(),
            stays_open,
        })
    }

    fn show_command(&mut self, name: Name, program: &str, args: &[&str]) -> Result<(), CliError> {
        let prompt = paint(QUIET, &format!("{} $", self.machine(name).name));
        self.say("")?;
        self.say(&format!("{prompt} {program} {}", args.join(" ")))
    }

    /// Shows both streams, as a terminal does, and checks the exit code.
    fn show_output(&mut self, output: &ProgramOutput, expected: Exit) -> Result<(), CliError> {
        let printed = String::from_utf8_lossy(&output.stdout);
        for line in printed.lines().chain(output.stderr.lines()) {
            self.say(line)?;
        }
        let (code, expected) = (output.status.code(), expected.code());
        let message = format!("the command ended with {code:?}, not {expected}");
        check(code == Some(i32::from(expected)), &message)
    }

    fn act(&mut self, title: &str) -> Result<(), CliError> {
        self.say("")?;
        self.say(&paint(HEADING, title))
    }

    fn explain(&mut self, text: &str) -> Result<(), CliError> {
        self.say(&format!("-> {text}"))
    }

    fn say(&mut self, line: &str) -> Result<(), CliError> {
        self.app.print(&[line.to_owned()])
    }
}

/// Puts this program into a directory under the name of Claude Code.
fn install_stand_in(directory: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(program, directory.join("claude"))?;
    #[cfg(not(unix))]
    std::fs::copy(program, directory.join("claude.exe"))?;
    Ok(())
}

/// Returns a path as it is written in a JSON string.
fn json_text(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\")
}

fn check(holds: bool, otherwise: &str) -> Result<(), CliError> {
    if holds {
        Ok(())
    } else {
        Err(CommandError::Story(otherwise.to_owned()).into())
    }
}
