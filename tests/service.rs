//! `ccsync service`: the daemon, or a timer, run by systemd.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::harness::client::wait_for;
use crate::harness::{Machine, ONE, Run, TestEnv};

/// Starts the user's service manager, also where the system was not booted with it.
const MANAGER: &str = "[ -d /run/systemd/system ] || \
    { mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system; } || exit 1
for manager in /usr/lib/systemd/systemd /lib/systemd/systemd; do
    [ -x $manager ] && exec $manager --user
done";

fn units(machine: &Machine) -> PathBuf {
    machine.home.join(".config/systemd/user")
}

/// A machine whose `systemctl` only writes down its arguments.
fn machine_without_manager(env: &TestEnv) -> (Machine, String) {
    use std::os::unix::fs::PermissionsExt;
    let a = env.machine("a");
    a.init(&env.bare_remote());
    let bin = a.home.join(".bin");
    fs::create_dir_all(&bin).unwrap();
    let systemctl = bin.join("systemctl");
    fs::write(&systemctl, "#!/bin/sh\necho \"$*\" >>\"$HOME/systemctl\"\n").unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    (a, path)
}

fn service(machine: &Machine, path: &str, args: &[&str]) -> Run {
    let mut command = machine.command(["service"]);
    machine.run(command.args(args).env("PATH", path)).success()
}

fn assert_systemd_accepts(unit: &Path) {
    let mut verify = Command::new("systemd-analyze");
    if let Ok(verified) = verify.args(["verify", "--user"]).arg(unit).output() {
        let message = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(!message.contains("ccsync."), "{message}");
    }
}

#[test]
fn service_install_writes_unit_that_systemd_accepts() {
    let env = TestEnv::new();
    let (a, path) = machine_without_manager(&env);
    service(&a, &path, &["install"]);
    let unit = units(&a).join("ccsync.service");
    assert_systemd_accepts(&unit);
    let status = || service(&a, &path, &["status"]).stdout;
    assert!(status().contains("service: installed"));
    let off = a.ccsync(["auto", "off"]).success();
    assert!(off.stderr.contains("ccsync service remove"), "{off}");
    service(&a, &path, &["remove"]);
    assert!(!unit.exists());
    assert!(status().contains("not installed"));
    let asked = fs::read_to_string(a.home.join("systemctl")).unwrap();
    assert_eq!(
        asked,
        "--user daemon-reload\n--user enable --now ccsync.service\n--user disable --now ccsync.service\n"
    );
}

#[test]
fn service_timer_and_daemon_replace_each_other() {
    let env = TestEnv::new();
    let (a, path) = machine_without_manager(&env);
    let (unit, timer) = ("ccsync.service", "ccsync.timer");
    service(&a, &path, &["install"]);
    service(&a, &path, &["install", "--timer"]);
    for name in [unit, timer] {
        assert_systemd_accepts(&units(&a).join(name));
    }
    assert!(service(&a, &path, &["status"]).stdout.contains(timer));
    service(&a, &path, &["install"]);
    assert!(!units(&a).join(timer).exists());
    let text = fs::read_to_string(units(&a).join(unit)).unwrap();
    assert!(
        text.contains(" daemon\n") && !text.contains("oneshot"),
        "{text}"
    );
    let asked = fs::read_to_string(a.home.join("systemctl")).unwrap();
    let asked: Vec<&str> = asked.lines().filter(|line| line.contains("now")).collect();
    assert_eq!(
        asked,
        [
            "--user enable --now ccsync.service",
            "--user disable --now ccsync.service",
            "--user enable --now ccsync.timer",
            "--user disable --now ccsync.timer",
            "--user enable --now ccsync.service",
        ]
    );
}

/// The user's own service manager, with the home of a machine.
struct UserManager {
    process: Child,
    /// Its directory for sockets.
    runtime: tempfile::TempDir,
}

impl UserManager {
    /// Starts it, or returns the reason why none can be started.
    fn start(machine: &Machine) -> Result<Self, String> {
        use std::os::unix::fs::PermissionsExt;
        // The path of a socket is short.
        let runtime = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = match Path::new("/run/systemd/system").is_dir() {
            true => machine.program("sh"),
            false => {
                let mut command = machine.program("unshare");
                command.args(["--mount", "--propagation", "private", "sh"]);
                command
            }
        };
        let log = fs::File::create(runtime.path().join("log")).unwrap();
        command
            .args(["-c", MANAGER])
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("SYSTEMD_LOG_TARGET", "console")
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = command.spawn().map_err(|e| e.to_string())?;
        let mut manager = Self { process, runtime };
        let began = Instant::now();
        while !manager.runtime.path().join("systemd/private").exists() {
            let has_ended = manager
                .process
                .try_wait()
                .is_ok_and(|ended| ended.is_some());
            if has_ended || began.elapsed() > Duration::from_secs(10) {
                let log = fs::read_to_string(manager.runtime.path().join("log"));
                return Err(format!("no `systemd --user`: {}", log.unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(manager)
    }
}

impl Drop for UserManager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn service_of_real_systemd_syncs() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let manager = match UserManager::start(&a) {
        Ok(manager) => manager,
        Err(reason) => {
            // Past the test harness, which hides the output of a test that passes.
            let _ = writeln!(std::io::stderr(), "skipped: {reason}");
            return;
        }
    };
    let service = |args: &[&str]| {
        let mut command = a.command(["service"]);
        command.env("XDG_RUNTIME_DIR", manager.runtime.path());
        a.run(command.args(args)).success()
    };
    let is_running = || service(&["status", "--json"]).json()["daemon_is_running"] == true;
    let has = |question: &str| {
        b.ccsync(["pull"]);
        b.all_questions().concat().contains(&question.to_owned())
    };

    a.session(ONE).turn("first").write();
    service(&["install", "--timer"]);
    wait_for("the timer has pushed", || has("first"));
    assert!(!is_running());
    service(&["install"]);
    wait_for("the daemon runs", is_running);
    a.append(ONE, "second");
    wait_for("the daemon has pushed", || has("second"));
    service(&["remove"]);
    assert!(!is_running());
}
