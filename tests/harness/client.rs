//! A stand-in for the client: a program `claude` that changes a transcript and
//! `sessions/` as the client does, and nothing else.
//!
//! `tests/client` runs the real one; this one can be stopped in the middle of a run, and
//! needs no installation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Machine, Run};

/// Writes one turn, marks itself as running, and ends when it may. `CLIENT_SAYS` is the
/// turn (empty: the user only reads), `CLIENT_UUID` its id, `CLIENT_EXIT` its exit code. With
/// `CLIENT_LATE` it writes the turn when it ends.
/// After the turn it copies the transcript to the directory `CLIENT_KEEPS`. With `CLIENT_MOVES` it
/// leaves, and the session goes on under that id in the background.
const CLIENT: &str = r#"#!/bin/sh
state="$HOME/.stand-in"
mkdir -p "$state" "$HOME/.claude/sessions"
printf '%s' "$CLAUDE_CODE_DISABLE_AGENT_VIEW" >"$state/no-background"
printf '%s\n' "$*" >>"$state/arguments"
while [ $# -gt 0 ]; do
    case "$1" in
        --resume | --session-id) id="$2"; shift ;;
        --settings)
            printf '%s' "$2" >"$state/settings"
            sh -c "$(sed 's/.*"command":"\([^"]*\)".*/\1/' "$state/settings")" >"$state/notice"
            shift ;;
    esac
    shift
done
start=$(sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 20)
live="$HOME/.claude/sessions/$$.json"
printf '{"pid":%s,"sessionId":"%s","cwd":"%s","procStart":"%s"}' $$ "$id" "$(pwd -P)" "$start" >"$live"
project="$HOME/.claude/projects/$(pwd -P | sed 's/[^A-Za-z0-9]/-/g')"
mkdir -p "$project"
# It finds the session in any project.
for found in "$HOME/.claude/projects"/*/"$id.jsonl" "$project/$id.jsonl"; do
    [ ! -e "$found" ] || project="${found%/*}"
done
# Who looked for running clients before this one said that it runs has finished then: a real one takes longer to start.
[ -z "$CLIENT_KEEPS" ] || flock "$HOME/.local/state/ccsync/lock" true
hold() {
    trap 'rm -f "$live" "$state/runs"; exit 143' TERM HUP
    echo $$ >"$state/runs"
    while [ -e "$state/hold" ]; do sleep 0.02; done
}
[ -z "$CLIENT_LATE" ] || hold
uuid=${CLIENT_UUID:-$(cat /proc/sys/kernel/random/uuid)}
if [ -n "${CLIENT_SAYS-hello}" ]; then
    printf '{"type":"user","uuid":"%s","sessionId":"%s","cwd":"%s","timestamp":"%s","message":{"role":"user","content":"%s"}}
' \
        "$uuid" "$id" "$(pwd -P)" "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "${CLIENT_SAYS-hello}" >>"$project/$id.jsonl"
else
    printf '{"type":"mode","mode":"normal","sessionId":"%s"}
' "$id" >>"$project/$id.jsonl"
fi
[ -z "$CLIENT_KEEPS" ] || cp "$project/$id.jsonl" "$CLIENT_KEEPS/$uuid"
if [ -n "$CLIENT_MOVES" ]; then
    cp "$project/$id.jsonl" "$project/$CLIENT_MOVES.jsonl"
    printf '{"type":"continued-in","sessionId":"%s","continuedInSessionId":"%s"}\n{"type":"cost-state"}\n' \
        "$id" "$CLIENT_MOVES" >>"$project/$id.jsonl"
    rm -f "$live"
    sh -c 'start=$(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20)
        live="$HOME/.claude/sessions/$$.json"
        printf "{\"pid\":%s,\"sessionId\":\"%s\",\"cwd\":\"%s\",\"procStart\":\"%s\",\"kind\":\"bg\"}" $$ "$CLIENT_MOVES" "$(pwd -P)" "$start" >"$live"
        echo $$ >"$1/runs"
        while [ -e "$1/hold" ]; do sleep 0.02; done
        rm -f "$live" "$1/runs"' sh "$state" </dev/null >/dev/null 2>&1 &
    exit 0
fi
hold
rm -f "$live" "$state/runs"
exit "${CLIENT_EXIT:-0}"
"#;

/// The stand-in on one machine.
pub(crate) struct Client<'a> {
    machine: &'a Machine,
    bin: PathBuf,
}

impl<'a> Client<'a> {
    /// Installs it on the machine's PATH, and creates the directory `work/app` to work
    /// in.
    pub(crate) fn install(machine: &'a Machine) -> Self {
        let bin = machine.home.join(".bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(machine.home.join("work/app")).unwrap();
        let program = bin.join("claude");
        fs::write(&program, CLIENT).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { machine, bin }
    }

    /// Returns `ccsync` in the project, with a client that writes the turn `says`.
    pub(crate) fn command(&self, args: &[&str], says: &str) -> Command {
        let mut command = self.machine.command(args);
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        command
            .env("PATH", path)
            .env("CLIENT_SAYS", says)
            .current_dir(self.machine.home.join("work/app"));
        command
    }

    /// Runs [`Self::command`] to its end.
    pub(crate) fn run(&self, args: &[&str], says: &str) -> Run {
        self.machine.run(&mut self.command(args, says))
    }

    /// Starts `ccsync` with a client that writes `says` and runs until [`Self::finish`].
    pub(crate) fn start(&self, args: &[&str], says: &str) -> Child {
        self.start_command(&mut self.command(args, says))
    }

    /// Starts like [`Self::start`] a client that writes `says` when it ends: nothing is backed up
    /// before.
    pub(crate) fn start_late(&self, args: &[&str], says: &str) -> Child {
        self.start_command(self.command(args, says).env("CLIENT_LATE", "1"))
    }

    /// Starts a command of [`Self::command`].
    pub(crate) fn start_command(&self, command: &mut Command) -> Child {
        fs::create_dir_all(self.state()).unwrap();
        fs::write(self.state().join("hold"), "").unwrap();
        let _ = fs::remove_file(self.state().join("runs"));
        // A group of its own, so that one signal reaches all of it.
        let child = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for("the client runs", || self.state().join("runs").exists());
        child
    }

    /// Lets the client end.
    pub(crate) fn finish(&self) {
        fs::remove_file(self.state().join("hold")).unwrap();
    }

    /// Returns the process id of the running client.
    pub(crate) fn pid(&self) -> i32 {
        fs::read_to_string(self.state().join("runs"))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Returns the arguments of every run, one line each.
    pub(crate) fn arguments(&self) -> Vec<String> {
        fs::read_to_string(self.state().join("arguments"))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Returns the settings on the command line of the last run.
    pub(crate) fn settings(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&fs::read_to_string(self.state().join("settings")).ok()?).ok()
    }

    /// Returns the output of the hook in those settings.
    pub(crate) fn notice(&self) -> String {
        fs::read_to_string(self.state().join("notice")).unwrap()
    }

    /// Returns true if the last run could not move its session into the background.
    pub(crate) fn has_no_background(&self) -> bool {
        fs::read(self.state().join("no-background")).unwrap() == b"1"
    }

    fn state(&self) -> PathBuf {
        self.machine.home.join(".stand-in")
    }
}

/// Waits until a condition is true, for a minute at most.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
