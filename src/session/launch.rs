//! How the client is started: its program, its arguments, and what it is told at the start of a run.
//!
//! Owns the client's command line (client 2.1.329, `claude --help`) and the form of its hooks. Must not start it or decide what it is told.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde_json::json;

use crate::domain::id::SessionId;
use crate::sys::process::Program;

/// Options of the client that choose a session themselves.
const CHOOSE_SESSION: [&str; 7] = [
    "--resume",
    "-r",
    "--continue",
    "-c",
    "--session-id",
    "--fork-session",
    "--from-pr",
];

/// Which conversation a run of the client is about.
#[derive(Debug, Clone, Copy)]
pub enum Conversation<'a> {
    /// One that is there.
    Resumed(&'a SessionId),
    /// A new one, under an id that was chosen for it.
    New(&'a SessionId),
}

/// A run of the client, not yet started.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The conversation.
    pub conversation: Conversation<'a>,
    /// The directory to run in.
    pub directory: &'a Path,
    /// A file whose text the model is told when the conversation is taken up.
    pub note: Option<&'a Path>,
    /// More arguments, as the user gave them.
    pub args: &'a [OsString],
}

impl Launch<'_> {
    /// The program with its arguments, for this process's terminal. `client` is [`crate::sys::env::Env::client`].
    pub fn program(&self, client: &Path) -> Program {
        let mut program = Program::new(client).current_dir(self.directory);
        program = match self.conversation {
            Conversation::Resumed(session) => program.args(["--resume", session.as_str()]),
            Conversation::New(session) => program.args(["--session-id", session.as_str()]),
        };
        if let Some(settings) = self
            .note
            .filter(|_| !self.has_own_settings())
            .and_then(telling)
        {
            program = program.args(["--settings", &settings]);
        }
        program.args(self.args)
    }

    /// Whether the user gives settings of their own, in whose place ours cannot be put: the client takes one `--settings`.
    pub fn has_own_settings(&self) -> bool {
        self.args.iter().any(|arg| is_option(arg, "--settings"))
    }
}

/// The first of the user's arguments that chooses a session itself.
pub fn chooses_session(args: &[OsString]) -> Option<&OsStr> {
    let chooses = |arg: &&OsString| {
        CHOOSE_SESSION.iter().any(|option| is_option(arg, option)) || is_joined(arg)
    };
    args.iter().find(chooses).map(OsString::as_os_str)
}

/// Short options in one word: `-rID`, or `-pc`, which is `-p -c`.
fn is_joined(arg: &OsStr) -> bool {
    let arg = arg.to_string_lossy();
    let Some(letters) = arg
        .strip_prefix('-')
        .filter(|letters| !letters.starts_with('-'))
    else {
        return false;
    };
    letters.starts_with('r')
        || letters.contains(['c', 'r']) && letters.chars().all(|letter| "cpr".contains(letter))
}

fn is_option(arg: &OsStr, option: &str) -> bool {
    let arg = arg.to_string_lossy();
    arg.strip_prefix(option)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Settings with a hook that prints a file when a conversation is taken up, and again after it was compacted: what such a hook prints is added
/// to what the model is told (client 2.1.329). `None` for a path that no shell could be given.
fn telling(note: &Path) -> Option<String> {
    let quoted = format!("'{}'", note.to_str()?.replace('\'', r"'\''"));
    let hook = json!({"type": "command", "command": format!("cat {quoted}")});
    let settings =
        json!({"hooks": {"SessionStart": [{"matcher": "resume|compact", "hooks": [hook]}]}});
    Some(settings.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(note: Option<&str>, args: &[&str]) -> Vec<String> {
        let session = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        let launch = Launch {
            conversation: Conversation::Resumed(&session),
            directory: Path::new("/"),
            note: note.map(Path::new),
            args: &args,
        };
        let program = launch.program(Path::new("claude"));
        program
            .argv()
            .skip(1)
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn launch_hook_prints_notice_from_any_path() {
        let argv = argv(Some("/home/o'hara/a b/note"), &["--model", "opus"]);
        assert_eq!(
            argv[..2],
            ["--resume", "11111111-0000-4000-8000-000000000001"]
        );
        assert_eq!(argv[4..], ["--model", "opus"]);
        let settings: serde_json::Value = serde_json::from_str(&argv[3]).unwrap();
        let command = &settings["hooks"]["SessionStart"][0]["hooks"][0]["command"];
        assert_eq!(command, r"cat '/home/o'\''hara/a b/note'");
    }

    #[test]
    fn launch_user_settings_flag_replaces_hook() {
        assert_eq!(
            argv(Some("/note"), &["--settings=x.json"])[2..],
            ["--settings=x.json"]
        );
    }

    #[test]
    fn launch_arguments_that_select_a_session_are_found() {
        let chosen = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(Into::into).collect();
            chooses_session(&args).map(|arg| arg.to_string_lossy().into_owned())
        };
        assert_eq!(chosen(&["--model", "opus", "hello"]), None);
        assert_eq!(
            chosen(&["--model", "opus", "--resume=x"]).as_deref(),
            Some("--resume=x")
        );
        for joined in ["-c", "-pc", "-r1111", "-r"] {
            assert_eq!(chosen(&[joined]).as_deref(), Some(joined));
        }
        assert_eq!(chosen(&["-p", "--", "-d", "api"]), None);
    }
}
