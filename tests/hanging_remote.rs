//! A remote that does not answer is given up; one that is slow or asks for a password is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use ccsync::sys::process::pid_is_alive;

use crate::harness::client::{Client, wait_for};
use crate::harness::{CTRL_C, ENTER, Machine, ONE, TWO, Terminal, TestEnv, questions};

/// An `ssh` that runs the command on this machine. Files in the home directory make it hang, ask
/// for a password, or send slowly.
const SSH: &str = r#"#!/bin/sh
while [ $# -gt 1 ]; do shift; done
if [ -e "$HOME/hangs" ]; then
    sleep 600 &
    echo $! $$ >>"$HOME/ssh-pids"
    wait
fi
if [ -e "$HOME/asks" ]; then
    printf 'Password: ' >/dev/tty
    read -r answer </dev/tty
    echo "$answer" >"$HOME/answer"
fi
slowly() {
    while dd bs=32768 count=1 2>/dev/null >"$HOME/part" && [ -s "$HOME/part" ]; do
        cat "$HOME/part"
        sleep 0.1
    done
}
if [ -e "$HOME/slow" ]; then
    slowly | sh -c "$1"
else
    exec sh -c "$1"
fi
"#;

/// Gives up a silent remote after one second, and reaches it with [`SSH`].
fn with_ssh<'c>(machine: &Machine, command: &'c mut Command) -> &'c mut Command {
    command
        .env("GIT_ALLOW_PROTOCOL", "file:ssh")
        .env("GIT_SSH_COMMAND", machine.home.join("ssh"))
        .env("CCSYNC_REMOTE_TIMEOUT", "1")
}

/// Sets a machine up with the remote of a pair, over ssh.
fn init_over_ssh(env: &TestEnv) -> Machine {
    let remote = env.bare_remote();
    let machine = env.machine("a");
    let ssh = machine.home.join("ssh");
    fs::write(&ssh, SSH).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let url = format!("ssh://git@host.invalid{}", remote.display());
    let args = ["init", "--yes", "--name", "a", "--remote", &url];
    let mut init = machine.command(args);
    machine.run(with_ssh(&machine, &mut init)).success();
    machine
}

fn switch(machine: &Machine, name: &str, on: bool) {
    let path = machine.home.join(name);
    if on {
        fs::write(path, "").unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn assert_no_ssh_left(machine: &Machine) {
    let pids = fs::read_to_string(machine.home.join("ssh-pids")).unwrap();
    for pid in pids.split_whitespace() {
        let pid = pid.parse().unwrap();
        wait_for("ssh has ended", || !pid_is_alive(pid));
    }
}

#[test]
fn hanging_remote_is_given_up_and_its_ssh_ends() {
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    a.session(ONE).turn("hello").write();
    switch(&a, "hangs", true);
    let push = |code| {
        let mut push = a.command(["push"]);
        a.run(with_ssh(&a, &mut push)).code(code)
    };
    let run = push(6);
    assert!(
        run.stdout
            .contains("git was stopped after 1 seconds of silence"),
        "{run}"
    );
    assert_no_ssh_left(&a);
    switch(&a, "hangs", false);
    push(0);
}

#[test]
fn init_killed_in_its_first_fetch_is_repeated() {
    let env = TestEnv::new();
    let (a, b) = (init_over_ssh(&env), env.machine("b"));
    a.session(ONE).turn("hello").write();
    let mut push = a.command(["push"]);
    a.run(with_ssh(&a, &mut push)).success();
    fs::copy(a.home.join("ssh"), b.home.join("ssh")).unwrap();
    switch(&b, "hangs", true);
    let url = format!("ssh://git@host.invalid{}", env.remote_of_pair().display());
    let args = ["init", "--yes", "--name", "b", "--remote", &url];
    let mut init = b.command(args);
    with_ssh(&b, &mut init).env("CCSYNC_REMOTE_TIMEOUT", "60");
    let terminal = Terminal::start(init, 120, 20);
    wait_for("ssh hangs", || b.home.join("ssh-pids").exists());
    terminal.kill_all();
    switch(&b, "hangs", false);

    let refused = b.ccsync(["pull"]).code(1);
    assert!(refused.stderr.contains("`ccsync init`"), "{refused}");
    for args in [&args[..], &["pull"]] {
        let mut next = b.command(args);
        b.run(with_ssh(&b, &mut next)).success();
    }
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    b.assert_in_order("after a killed fetch");
}

#[test]
fn hanging_remote_is_given_up_in_terminal() {
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    switch(&a, "hangs", true);
    let mut pull = a.command(["pull"]);
    with_ssh(&a, &mut pull);
    let terminal = Terminal::start(pull, 120, 20);
    terminal.wait_for("no answer from");
    terminal.end().code(1);
    assert_no_ssh_left(&a);
}

#[test]
fn hanging_is_not_said_of_password_prompt() {
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    a.session(ONE).turn("hello").write();
    switch(&a, "asks", true);
    let mut push = a.command(["push"]);
    with_ssh(&a, &mut push);
    let terminal = Terminal::start(push, 120, 20);
    terminal.wait_for("Password:");
    // The user looks the password up, for longer than a silent remote may take.
    thread::sleep(Duration::from_millis(2500));
    terminal.type_in(&format!("secret{ENTER}"));
    wait_for("the password was read", || a.home.join("answer").exists());
    switch(&a, "asks", false);
    terminal.end().code(0);
}

#[test]
fn hanging_is_not_said_of_slow_upload() {
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    let mut random = fastrand::Rng::with_seed(7);
    let noise: String = (0..600_000).map(|_| random.alphanumeric()).collect();
    a.session(ONE).turn(&noise).write();
    switch(&a, "slow", true);
    let mut push = a.command(["push"]);
    // Git itself writes its progress once a second, or later.
    a.run(with_ssh(&a, &mut push)).success();
}

#[test]
fn hanging_end_of_session_is_interrupted_with_advice() {
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    let client = Client::install(&a);
    fs::create_dir_all(a.home.join(".stand-in")).unwrap();
    fs::write(a.home.join(".stand-in/hold"), "").unwrap();
    let mut start = client.command(&["start"], "last turn");
    with_ssh(&a, &mut start).env("CCSYNC_REMOTE_TIMEOUT", "60");
    let terminal = Terminal::start(start, 120, 20);
    wait_for("the client runs", || a.home.join(".stand-in/runs").exists());
    switch(&a, "hangs", true);
    client.finish();
    wait_for("ssh hangs", || a.home.join("ssh-pids").exists());
    terminal.type_in(CTRL_C);
    let ended = terminal.end();
    let text = ended.text();
    assert!(text.contains("interrupted"), "{text}");
    assert!(
        text.contains(
            "nothing is lost; to push the last turns and release the lock, run `ccsync recover`"
        ),
        "{text}"
    );
    assert_no_ssh_left(&a);
    switch(&a, "hangs", false);
    let mut recover = a.command(["recover"]);
    a.run(with_ssh(&a, &mut recover)).success();
    let b = env.machine("b");
    b.init(&env.remote_of_pair());
    b.ccsync(["pull"]).success();
    assert_eq!(b.all_questions(), [["last turn"]]);
}

/// Logs the arguments of each `git` before it runs.
fn log_git(machine: &Machine) {
    let script = "#!/bin/sh\necho \"$*\" >>\"$HOME/git-log\"\n\
                  PATH=$(echo \"$PATH\" | sed \"s|$HOME/.bin:||\") exec git \"$@\"\n";
    let path = machine.home.join(".bin/git");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn offline_commands_ask_no_remote() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let client = Client::install(&a);
    b.append(ONE, "by b");
    b.ccsync(["push"]).success();
    a.session(TWO).turn("of a").write();
    log_git(&a);
    let run = client
        .run(&["resume", ONE, "--offline"], "offline")
        .success();
    assert!(run.stderr.contains("not sent yet"), "{run}");
    client.run(&["start", "--offline"], "new").success();
    let log = fs::read_to_string(a.home.join("git-log")).unwrap_or_default();
    for asking in ["fetch", "push", "ls-remote", "clone"] {
        assert!(!log.contains(&format!(" {asking} ")), "{log}");
    }
    assert_eq!(questions(&a.text(ONE)), ["hello", "offline"]);
    // Both machines have gone on.
    a.ccsync(["recover"]).code(5);
    b.ccsync(["pull"]).success();
    assert!(b.all_questions().contains(&vec!["new".to_owned()]));
}

/// Starts a daemon that has the lock of an open session, and hangs in a push of its next turn.
fn hanging_daemon(machine: &Machine, client: u32) -> std::process::Child {
    machine.session(ONE).turn("hello").write();
    machine.mark_running(ONE, client);
    let mut daemon = machine.command(["daemon"]);
    with_ssh(machine, &mut daemon).env("CCSYNC_REMOTE_TIMEOUT", "600");
    let daemon = daemon.spawn().unwrap();
    let status = machine.home.join(".local/state/ccsync/daemon/status.json");
    let status = || fs::read_to_string(&status).unwrap_or_default();
    wait_for("the session is locked and pushed", || {
        status().contains("locked_since\": \"") && status().contains("synced\": \"")
    });
    switch(machine, "hangs", true);
    machine.append(ONE, "more");
    wait_for("ssh hangs", || machine.home.join("ssh-pids").exists());
    daemon
}

/// Checks that what was not sent is sent later, and the lock is released.
fn assert_rest_is_sent(env: &TestEnv, machine: &Machine) {
    assert_no_ssh_left(machine);
    switch(machine, "hangs", false);
    let remote = env.remote_of_pair();
    let locks = || {
        let mut git = Command::new("git");
        git.arg("-C")
            .arg(&remote)
            .args(["for-each-ref", "refs/heads/ccsync/lock"]);
        String::from_utf8(git.output().unwrap().stdout).unwrap()
    };
    assert!(locks().contains(ONE), "the lock could not be released");
    let mut daemon = machine.command(["daemon", "--on-demand"]);
    machine.run(with_ssh(machine, &mut daemon)).success();
    assert_eq!(locks(), "");
    let b = env.machine("b");
    b.init(&remote);
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);
}

/// `daemon --stop` waits for a minute at most.
#[test]
fn daemon_asked_to_end_gives_up_silent_remote() {
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    let mut client = Command::new("sleep").arg("300").spawn().unwrap();
    let mut daemon = hanging_daemon(&a, client.id());
    a.ccsync(["daemon", "--stop"]).success();
    assert!(daemon.wait().unwrap().success());
    client.kill().unwrap();
    client.wait().unwrap();
    assert_rest_is_sent(&env, &a);
}

#[test]
fn daemon_that_is_terminated_gives_up_silent_remote() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = TestEnv::new();
    let a = init_over_ssh(&env);
    let mut client = Command::new("sleep").arg("300").spawn().unwrap();
    let mut daemon = hanging_daemon(&a, client.id());
    kill_process(
        Pid::from_raw(daemon.id().cast_signed()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert!(daemon.wait().unwrap().success());
    client.kill().unwrap();
    client.wait().unwrap();
    assert_rest_is_sent(&env, &a);
}
