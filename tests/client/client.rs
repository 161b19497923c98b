//! The real client, run on a machine of the test and kept off every network but loopback.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::Api;
use crate::machine::Machine;

/// The user's API key.
pub const KEY: &str = "dummy";

/// The client's program.
#[derive(Debug, Clone)]
pub struct Client(PathBuf);

impl Client {
    /// Finds the program that `CC_CLIENT` names, or returns the reason why there is no client.
    pub fn find() -> Result<Self, String> {
        let Some(path) = std::env::var_os("CC_CLIENT").map(PathBuf::from) else {
            return Err("no client (set CC_CLIENT=…, see docs/dev/testing.md)".into());
        };
        if !path.is_file() {
            return Err(format!(
                "no client (CC_CLIENT names {}, which is no file)",
                path.display()
            ));
        }
        match way_out() {
            Some(name) => Err(format!(
                "the network is in reach ({name}); use .ci/client-tests, see docs/dev/testing.md"
            )),
            None => Ok(Self(path)),
        }
    }

    /// Runs a prompt with `-p` in `directory`, which must succeed, and returns its
    /// answer.
    pub fn print(&self, machine: &Machine, api: &Api, directory: &Path, args: &[&str]) -> Reply {
        let output = self.start(machine, api, directory, args).wait();
        Reply::read(&output)
    }

    /// Returns the whole environment of a client on this machine, and of programs that
    /// start it.
    pub fn env(machine: &Machine, api: &Api) -> Vec<(&'static str, OsString)> {
        let mut env = machine.env();
        env.extend([
            ("ANTHROPIC_BASE_URL", api.url().into()),
            ("ANTHROPIC_API_KEY", KEY.into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ("DISABLE_TELEMETRY", "1".into()),
            ("DISABLE_ERROR_REPORTING", "1".into()),
            ("DISABLE_AUTOUPDATER", "1".into()),
            ("CLAUDE_CODE_TMPDIR", machine.tmp().into()),
            // Any other connection meets a closed port.
            ("HTTP_PROXY", "http://127.0.0.1:9".into()),
            ("HTTPS_PROXY", "http://127.0.0.1:9".into()),
            ("NO_PROXY", "127.0.0.1".into()),
            // Lets root run it without questions.
            ("IS_SANDBOX", "1".into()),
        ]);
        env
    }

    /// Returns the client's program.
    pub fn program(&self) -> &Path {
        &self.0
    }

    /// Starts a `-p` run in `directory`.
    pub fn start(&self, machine: &Machine, api: &Api, directory: &Path, args: &[&str]) -> Running {
        let mut command = Command::new(&self.0);
        command
            .arg("-p")
            .args(args)
            .args(["--output-format", "json", "--dangerously-skip-permissions"])
            .current_dir(directory)
            .env_clear()
            .envs(Self::env(machine, api))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running(Some(command.spawn().expect("start the client")))
    }
}

/// A running client; stopped when dropped.
pub struct Running(Option<Child>);

impl Running {
    /// Waits for its end, two minutes at most.
    pub fn wait(mut self) -> Output {
        let mut child = self.0.take().expect("not waited for yet");
        let end = Instant::now() + Duration::from_secs(120);
        while child.try_wait().expect("wait for the client").is_none() {
            if Instant::now() > end {
                drop(child.kill());
                let output = child.wait_with_output().expect("read the client");
                panic!(
                    "the client did not end within two minutes: {}",
                    shown(&output)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.wait_with_output().expect("read the client")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The answer of a `-p` run.
#[derive(Debug)]
pub struct Reply {
    /// The session of the run.
    pub session: String,
    /// The model's last text.
    pub text: String,
}

impl Reply {
    /// Reads a run that must have succeeded.
    pub fn read(output: &Output) -> Self {
        Self::try_read(output).unwrap_or_else(|| panic!("the client failed: {}", shown(output)))
    }

    /// Reads a run that may have failed.
    pub fn try_read(output: &Output) -> Option<Self> {
        let value: Value = serde_json::from_slice(&output.stdout).ok()?;
        let session = value["session_id"].as_str()?.to_owned();
        Some(Self {
            session,
            text: value["result"].as_str()?.to_owned(),
        })
        .filter(|_| output.status.success())
    }
}

/// Returns a failed run as text for the test's message.
pub fn shown(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n--- stdout\n{out}\n--- stderr\n{err}", output.status)
}

/// Returns an interface other than loopback that has a route, if there is one.
fn way_out() -> Option<String> {
    let table = |name: &str| fs::read_to_string(format!("/proc/net/{name}"));
    let Ok(v4) = table("route") else {
        return Some("unknown: there is no /proc/net/route".into());
    };
    let v6 = table("ipv6_route").unwrap_or_default();
    let v4 = v4
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    let v6 = v6.lines().filter_map(|line| line.split_whitespace().last());
    v4.chain(v6).find(|name| *name != "lo").map(str::to_owned)
}
