//! A user at a terminal in which `ccsync` runs the real, interactive client.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Answer;
use crate::client::{Client, KEY};
use crate::machine::{Machine, text};
use crate::story::Stage;
use crate::terminal::{DOWN, ENTER, Ended, Terminal};

/// Wide enough that no message of the tests wraps.
const COLUMNS: u16 = 160;
const ROWS: u16 = 45;

/// The selected answer to the question whether a directory is trusted.
const NO: &str = "❯ No, exit";
const YES: &str = "❯ Yes, I trust this folder";

/// A user at work.
pub struct Seat<'a> {
    stage: &'a Stage,
    /// The terminal of the user.
    pub terminal: Terminal,
}

impl<'a> Seat<'a> {
    /// Types `ccsync` with these arguments in `directory`.
    pub fn take(stage: &'a Stage, machine: &Machine, directory: &Path, args: &[&str]) -> Self {
        let command = command(stage, machine, directory, args);
        Self {
            stage,
            terminal: Terminal::start(command, COLUMNS, ROWS),
        }
    }

    /// As [`Self::take`], in a directory for which the client first asks whether it is
    /// trusted.
    pub fn take_untrusted(
        stage: &'a Stage,
        machine: &Machine,
        directory: &Path,
        args: &[&str],
    ) -> Self {
        let mut command = command(stage, machine, &machine.tmp(), args);
        command.current_dir(directory);
        let terminal = Terminal::start(command, COLUMNS, ROWS);
        terminal.wait_for(NO);
        terminal.wait_for_raw();
        // The client ignores an answer that comes too soon, and asks again.
        while terminal.screen().contains(NO) {
            terminal.type_in(DOWN);
            terminal.wait_for(YES);
            terminal.type_in(ENTER);
            terminal.wait_until("the question is answered", |screen| !screen.contains(YES));
        }
        Self { stage, terminal }
    }

    /// As [`Self::take`], from a shell with job control.
    pub fn take_in_shell(
        stage: &'a Stage,
        machine: &Machine,
        directory: &Path,
        args: &[&str],
    ) -> Self {
        const PROMPT: &str = "shell: ";
        let ccsync = command(stage, machine, directory, args);
        let mut shell = Command::new("bash");
        shell
            .args(["--norc", "--noprofile", "-i"])
            .current_dir(directory)
            .env_clear();
        shell
            .envs(
                ccsync
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PS1", PROMPT);
        let terminal = Terminal::start(shell, COLUMNS, ROWS);
        terminal.wait_for(PROMPT);
        let line = [env!("CARGO_BIN_EXE_ccsync")]
            .into_iter()
            .chain(args.iter().copied())
            .collect::<Vec<_>>();
        terminal.type_in(&line.join(" "));
        terminal.type_in(ENTER);
        Self { stage, terminal }
    }

    /// Types `claude` with these arguments in a shell with the function of `ccsync shell-init`.
    pub fn take_client(
        stage: &'a Stage,
        machine: &Machine,
        directory: &Path,
        args: &[&str],
    ) -> Self {
        let ccsync = command(stage, machine, directory, args);
        let line = format!(
            "eval \"$(ccsync shell-init bash)\"\nclaude {}",
            args.join(" ")
        );
        let mut shell = Command::new("bash");
        shell
            .args(["--norc", "--noprofile", "-c", &line])
            .current_dir(directory)
            .env_clear()
            .envs(
                ccsync
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        Self {
            stage,
            terminal: Terminal::start(shell, COLUMNS, ROWS),
        }
    }

    /// Types the prompt of a turn marked `mark`, answered by these steps.
    pub fn ask(&self, mark: &str, steps: &[Answer]) {
        let prompt = self.stage.api.script(mark, steps);
        self.enter(&prompt);
        wait_for("the prompt reaches the model", || {
            !self.stage.api.turns(mark).is_empty()
        });
    }

    /// Runs a turn marked `mark` to its end. Returns the request that reached the model.
    pub fn turn(&self, mark: &str) -> Value {
        let answer = format!("answer to {mark}");
        self.ask(mark, &[Answer::say(&answer)]);
        self.terminal.wait_for(&answer);
        self.stage.api.turns(mark).pop().expect("it was asked")
    }

    /// Types a line to the client, once it is ready for one.
    pub fn enter(&self, line: &str) {
        self.when_ready();
        self.terminal.type_in(line);
        // The client takes keys that arrive together as pasted text, an Enter among them
        // too.
        self.terminal.wait_for(line);
        self.terminal.type_in(ENTER);
    }

    /// Waits until the client takes a prompt and has nothing else to do.
    pub fn when_ready(&self) {
        self.terminal
            .wait_until("the client waits for a prompt", is_ready);
    }

    /// Leaves the client.
    pub fn leave(self) -> Ended {
        self.enter("/exit");
        self.terminal.end()
    }
}

/// Returns true if the client's box for the next prompt is on the screen and the client
/// is idle. An entered prompt and a choice have the same sign, but not below a line.
fn is_ready(screen: &str) -> bool {
    let lines: Vec<&str> = screen.lines().map(str::trim).collect();
    let has_box = lines
        .windows(2)
        .any(|pair| pair[0].starts_with("────") && pair[1].starts_with('❯'));
    has_box && !screen.contains("esc to interrupt")
}

/// Runs `ccsync` with these arguments without a terminal.
pub fn unattended(stage: &Stage, machine: &Machine, directory: &Path, args: &[&str]) -> Output {
    let mut command = command(stage, machine, directory, args);
    command.stdin(Stdio::null()).output().expect("start ccsync")
}

fn command(stage: &Stage, machine: &Machine, directory: &Path, args: &[&str]) -> Command {
    install(&stage.client, machine);
    trust(machine, directory);
    let mut path = machine.home.join(BIN).into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccsync"));
    command
        .args(args)
        .current_dir(directory)
        .env_clear()
        .envs(Client::env(machine, &stage.api))
        .env("PATH", path);
    command
}

/// The directory of the machine's programs, below the home.
const BIN: &str = ".local/bin";

/// Puts the client on the machine's PATH.
fn install(client: &Client, machine: &Machine) {
    let program = machine.home.join(BIN).join("claude");
    if !program.exists() {
        fs::create_dir_all(machine.home.join(BIN)).expect("make a directory for programs");
        symlink(client.program(), program).expect("put the client there");
        let ccsync = machine.home.join(BIN).join("ccsync");
        symlink(env!("CARGO_BIN_EXE_ccsync"), ccsync).expect("put ccsync there");
    }
}

/// Answers the questions of a new client: the theme, the key, whether to trust this
/// directory, and whether a run without questions is intended.
fn trust(machine: &Machine, directory: &Path) {
    let path = machine.home.join(".claude.json");
    let mut state: Value = match fs::read(&path) {
        Ok(known) => serde_json::from_slice(&known).expect("the client's own JSON"),
        Err(_) => json!({}),
    };
    state["hasCompletedOnboarding"] = true.into();
    state["bypassPermissionsModeAccepted"] = true.into();
    state["theme"] = "dark".into();
    state["customApiKeyResponses"] = json!({"approved": [KEY], "rejected": []});
    let real = directory.canonicalize().expect("a directory");
    for directory in [directory, &real] {
        let project = &mut state["projects"][text(directory)];
        project["hasTrustDialogAccepted"] = true.into();
        project["hasCompletedProjectOnboarding"] = true.into();
    }
    fs::write(&path, state.to_string()).expect("write the client's state");
    let settings = machine.home.join(".claude/settings.json");
    if !settings.exists() {
        fs::create_dir_all(machine.home.join(".claude")).expect("make the client's directory");
        fs::write(
            settings,
            json!({"skipDangerousModePermissionPrompt": true}).to_string(),
        )
        .expect("write settings");
    }
}

/// Waits until a condition is true, for a minute at most.
#[track_caller]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
