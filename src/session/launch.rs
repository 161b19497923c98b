//! The start of the client: its program, its arguments, and the path notice of a run.
//!
//! Owns the client's command line (client 2.1.329, `claude --help`) and the form of its hooks.
//! Must not start it or decide the text of the notice.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde_json::json;

use crate::domain::SessionId;
use crate::sys::process::Program;

/// Options of the client that choose a session.
const SESSION_OPTIONS: [&str; 8] = [
    "--resume",
    "-r",
    "--continue",
    "-c",
    "--session-id",
    "--fork-session",
    "--from-pr",
    "--teleport",
];

/// Options of the client that let it go on elsewhere: it ends at once, and the session does not.
const LEAVING_OPTIONS: [&str; 4] = ["--bg", "--background", "--cloud", "--desktop"];

/// Turns off what moves a session into the background under another id: `/background`, and the
/// left arrow at an empty prompt (client 2.1.332).
const NO_BACKGROUND: (&str, &str) = ("CLAUDE_CODE_DISABLE_AGENT_VIEW", "1");

/// The conversation of a run of the client.
#[derive(Debug, Clone, Copy)]
pub enum Conversation<'a> {
    /// An existing one.
    Resumed(&'a SessionId),
    /// A new one with this id.
    New(&'a SessionId),
}

/// A run of the client, not yet started.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The conversation.
    pub conversation: Conversation<'a>,
    /// The directory to run in.
    pub directory: &'a Path,
    /// A file with text for the model, given to it when the conversation is resumed.
    pub path_notice: Option<&'a Path>,
    /// The user's arguments.
    pub args: &'a [OsString],
}

impl Launch<'_> {
    /// Returns the program with its arguments, for this process's terminal.
    ///
    /// `client` is [`crate::sys::env::Env::client`].
    pub fn program(&self, client: &Path) -> Program {
        let mut program = Program::new(client)
            .current_dir(self.directory)
            .env(NO_BACKGROUND.0, NO_BACKGROUND.1);
        program = match self.conversation {
            Conversation::Resumed(session) => program.args(["--resume", session.as_str()]),
            Conversation::New(session) => program.args(["--session-id", session.as_str()]),
        };
        let path_notice = self.path_notice.filter(|_| !self.has_own_settings());
        if let Some(settings) = path_notice.and_then(settings_with_hook) {
            program = program.args(["--settings", &settings]);
        }
        program.args(self.args)
    }

    /// Returns true if the user passes `--settings`, which the client accepts only once.
    pub fn has_own_settings(&self) -> bool {
        self.args.iter().any(|arg| is_option(arg, "--settings"))
    }
}

/// Returns the first of the user's arguments that chooses a session.
pub fn session_option(args: &[OsString]) -> Option<&OsStr> {
    let chooses = |arg: &&OsString| {
        SESSION_OPTIONS.iter().any(|option| is_option(arg, option)) || is_joined_option(arg)
    };
    args.iter().find(chooses).map(OsString::as_os_str)
}

/// Returns the first of the user's arguments that lets the client go on elsewhere.
pub fn leaving_option(args: &[OsString]) -> Option<&OsStr> {
    let mut options = args.iter().take_while(|arg| *arg != "--");
    let leaves = |arg: &&OsString| LEAVING_OPTIONS.iter().any(|option| is_option(arg, option));
    options.find(leaves).map(OsString::as_os_str)
}

/// Recognises short options in one word: `-rID`, or `-pc`, which is `-p -c`.
fn is_joined_option(arg: &OsStr) -> bool {
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

/// Returns settings with a hook that prints the notice when a conversation is resumed, and again
/// after it was compacted. The client passes the output to the model (client 2.1.329).
///
/// `None` for a path that cannot be passed to a shell.
fn settings_with_hook(path_notice: &Path) -> Option<String> {
    let quoted = format!("'{}'", path_notice.to_str()?.replace('\'', r"'\''"));
    let hook = json!({"type": "command", "command": format!("cat {quoted}")});
    let settings =
        json!({"hooks": {"SessionStart": [{"matcher": "resume|compact", "hooks": [hook]}]}});
    Some(settings.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(path_notice: Option<&str>, args: &[&str]) -> Vec<String> {
        let session = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        let launch = Launch {
            conversation: Conversation::Resumed(&session),
            directory: Path::new("/"),
            path_notice: path_notice.map(Path::new),
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
            session_option(&args).map(|arg| arg.to_string_lossy().into_owned())
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

    #[test]
    fn launch_arguments_that_leave_terminal_are_found() {
        let leaving = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(Into::into).collect();
            leaving_option(&args).map(|arg| arg.to_string_lossy().into_owned())
        };
        assert_eq!(leaving(&["--bgx", "--", "--bg"]), None);
        for option in ["--bg", "--background", "--cloud=task", "--desktop"] {
            assert_eq!(leaving(&["-p", option]).as_deref(), Some(option));
        }
    }
}
