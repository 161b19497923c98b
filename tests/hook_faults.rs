//! Hooks while something is wrong with this machine, the store or the remote: Claude Code does not
//! notice.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ccsync::domain::HookEvent;

use crate::harness::{Machine, ONE, Run, TestEnv};

/// A mount on a directory, which ends when it is dropped.
struct Mount(PathBuf);

impl Mount {
    /// Returns `None`, with the reason printed, if nothing can be mounted.
    #[allow(clippy::print_stderr)]
    fn new(options: &[&str], directory: &Path) -> Option<Self> {
        let mount = Command::new("mount").args(options).arg(directory).output();
        let failure = match mount {
            Ok(output) if output.status.success() => return Some(Self(directory.to_owned())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(e) => e.to_string(),
        };
        eprintln!("skipped: nothing can be mounted: {}", failure.trim());
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Returns a machine with a session, whose hooks are on.
fn machine_with_hooks(env: &TestEnv) -> Machine {
    let a = env.machine("a");
    a.init(&env.bare_remote());
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    a.ccsync(["auto", "on"]).success();
    a
}

/// Returns a hook of a client that resumes the session.
fn hook(machine: &Machine, event: HookEvent) -> Command {
    let mut hook = machine.command(["hook", event.name()]);
    // No client is to be followed: a daemon that could start ends by itself.
    hook.env("CLAUDE_PID", u32::MAX.to_string());
    hook
}

fn event(machine: &Machine) -> String {
    let event = serde_json::json!({
        "session_id": ONE, "source": "resume", "prompt": "a secret prompt",
        "cwd": machine.home.join("work/app"),
        "transcript_path": machine.project_dir("work/app").join(format!("{ONE}.jsonl")),
    });
    event.to_string()
}

#[track_caller]
fn assert_silent(run: &Run) {
    let said = (run.code, run.stdout.as_str(), run.stderr.as_str());
    assert_eq!(said, (Some(0), "", ""), "{run}");
}

/// Runs the hooks of a conversation, none of which may say anything.
#[track_caller]
fn assert_unnoticed(machine: &Machine) {
    for kind in HookEvent::ALL {
        assert_silent(&machine.run_with_input(hook(machine, kind), &event(machine)));
    }
}

fn state(machine: &Machine) -> PathBuf {
    machine.home.join(".local/state/ccsync")
}

#[test]
fn hook_with_read_only_home_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let home = a.home.to_str().unwrap();
    let Some(_mount) = Mount::new(&["--bind", home], &a.home) else {
        return;
    };
    let Some(read_only) = Mount::new(&["-o", "remount,ro,bind"], &a.home) else {
        return;
    };
    assert_unnoticed(&a);
    drop(read_only);
}

#[test]
fn hook_with_full_disk_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let daemon = state(&a).join("daemon");
    fs::create_dir_all(&daemon).unwrap();
    let options = ["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"];
    let Some(_disk) = Mount::new(&options, &daemon) else {
        return;
    };
    let mut filler = fs::File::create(daemon.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    assert_unnoticed(&a);
    a.ccsync(["daemon", "--stop"]);
}

#[test]
fn hook_with_damaged_store_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let git = a.data().join("store/.git");
    for entry in walkdir::WalkDir::new(git) {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            fs::write(path, "damaged").unwrap();
        }
    }
    assert_unnoticed(&a);
    fs::remove_dir_all(a.data().join("store")).unwrap();
    assert_unnoticed(&a);
    a.ccsync(["daemon", "--stop"]).success();
}

#[test]
fn hook_beside_hanging_remote_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    // The daemon hangs in a git that gets no answer.
    let git = a.home.join(".bin/git");
    fs::create_dir_all(git.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\ncase \" $* \" in *\" fetch \"* | *\" push \"*) touch \"$HOME/hangs\"; exec sleep 600;; esac\n\
                  PATH=$(echo \"$PATH\" | sed \"s|$HOME/.bin:||\") exec git \"$@\"\n";
    fs::write(&git, script).unwrap();
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    a.append(ONE, "more");
    let path = format!(
        "{}:{}",
        a.home.join(".bin").display(),
        std::env::var("PATH").unwrap()
    );
    for _ in 0..2 {
        for kind in HookEvent::ALL {
            let mut hook = hook(&a, kind);
            hook.env("PATH", &path).env("CCSYNC_REMOTE_TIMEOUT", "5");
            assert_silent(&a.run_with_input(hook, &event(&a)));
        }
        crate::harness::client::wait_for("git hangs", || a.home.join("hangs").exists());
    }
    a.ccsync(["daemon", "--stop"]).success();
}

#[test]
fn hook_without_home_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    for kind in HookEvent::ALL {
        for (name, value) in [("HOME", None), ("XDG_STATE_HOME", Some("relative"))] {
            let mut hook = hook(&a, kind);
            match value {
                Some(value) => hook.env(name, value),
                None => hook.env_remove(name),
            };
            assert_silent(&a.run_with_input(hook, &event(&a)));
        }
    }
    a.ccsync(["daemon", "--stop"]).success();
}

#[test]
fn hook_whose_program_is_replaced_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let program = a.home.join("ccsync");
    let install = || {
        let new = a.home.join("new");
        fs::copy(env!("CARGO_BIN_EXE_ccsync"), &new).unwrap();
        fs::rename(new, &program).unwrap();
    };
    install();
    for kind in HookEvent::ALL {
        let mut hook = a.program(program.to_str().unwrap());
        hook.args(["hook", kind.name()]);
        let streams = hook.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = streams.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = running.stdin.take().unwrap();
        install();
        let _ = stdin.write_all(event(&a).as_bytes());
        drop(stdin);
        assert_silent(&a.ended(running));
    }
    a.ccsync(["daemon", "--stop"]).success();
}

#[test]
fn hook_with_foreign_spool_directory_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let spool = state(&a).join("daemon/spool");
    fs::create_dir_all(&spool).unwrap();
    if !rustix::process::geteuid().is_root() {
        // One that another user owns is as closed as this one.
        fs::set_permissions(&spool, fs::Permissions::from_mode(0o000)).unwrap();
        assert_unnoticed(&a);
        return;
    }
    let other = 65_534;
    let program = env.root().join("ccsync");
    fs::copy(env!("CARGO_BIN_EXE_ccsync"), &program).unwrap();
    for entry in walkdir::WalkDir::new(env.root()) {
        let path = entry.unwrap().into_path();
        let owner = if path == spool { 0 } else { other };
        std::os::unix::fs::lchown(&path, Some(owner), Some(owner)).unwrap();
    }
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o700)).unwrap();
    for kind in HookEvent::ALL {
        let mut hook = a.program(program.to_str().unwrap());
        hook.args(["hook", kind.name()]).uid(other).gid(other);
        assert_silent(&a.run_with_input(hook, &event(&a)));
    }
    let mut stop = a.program(program.to_str().unwrap());
    a.run(stop.args(["daemon", "--stop"]).uid(other).gid(other));
}

#[test]
fn hook_with_odd_input_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let long = event(&a).replace("a secret prompt", &"a secret prompt ".repeat(500_000));
    let nested = "[".repeat(1_000_000);
    for input in [
        "",
        " ",
        "{}",
        "null",
        "\u{0}\u{1}",
        nested.as_str(),
        long.as_str(),
    ] {
        for kind in HookEvent::ALL {
            assert_silent(&a.run_with_input(hook(&a, kind), input));
        }
    }
    for kind in HookEvent::ALL {
        let mut hook = hook(&a, kind);
        hook.stdin(fs::File::open(env!("CARGO_BIN_EXE_ccsync")).unwrap());
        assert_silent(&a.run(&mut hook));
        // A directory cannot be read.
        hook.stdin(fs::File::open(&a.home).unwrap());
        assert_silent(&a.run(&mut hook));
    }
    a.ccsync(["daemon", "--stop"]).success();
    for entry in walkdir::WalkDir::new(state(&a)) {
        let path = entry.unwrap().into_path();
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains("secret prompt"), "{}", path.display());
    }
}

#[test]
fn hook_with_closed_output_is_not_noticed() {
    let env = TestEnv::new();
    let a = machine_with_hooks(&env);
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    // With a broken configuration, the first hook has something to say.
    fs::write(a.home.join(".config/ccsync/config.toml"), "= broken").unwrap();
    for kind in HookEvent::ALL {
        let mut hook = hook(&a, kind);
        hook.stdin(Stdio::piped()).stdout(closed()).stderr(closed());
        let mut running = hook.spawn().unwrap();
        let _ = running
            .stdin
            .take()
            .unwrap()
            .write_all(event(&a).as_bytes());
        assert!(running.wait().unwrap().success(), "{kind}");
    }
}
