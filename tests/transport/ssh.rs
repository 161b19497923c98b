//! An ssh server on the loopback, reached by an alias of the user's own ssh configuration.
#![cfg(unix)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ccsync::sys::process::Program;
use ccsync::transport::remote::{Missing, RemoteError};

use crate::transport::world::{World, skip, tool};

struct Sshd {
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that accepts the key `client_key`, and the user's ssh configuration with the
/// alias `store-host`.
fn start(world: &World) -> Option<Sshd> {
    let sshd = tool(
        "sshd",
        &["/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"],
        "openssh-server",
    )?;
    for key in ["host_key", "client_key", "stranger_key"] {
        let keygen = Program::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(world.path(key));
        assert!(keygen.run().unwrap().status.success());
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let public = |key: &str| std::fs::read_to_string(world.path(&format!("{key}.pub"))).unwrap();
    world.write("authorized_keys", &public("client_key"));
    world.write(
        "known_hosts",
        &format!("[127.0.0.1]:{port} {}", public("host_key")),
    );
    let path = String::from_utf8(
        Program::new("sh")
            .args(["-c", "printf %s \"$PATH\""])
            .run()
            .unwrap()
            .stdout,
    )
    .unwrap();
    let config = world.write(
        "sshd_config",
        &format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nSetEnv PATH={path}\n",
            world.path("host_key").display(),
            world.path("authorized_keys").display(),
        ),
    );
    write_client_config(world, port, "client_key", "known_hosts");
    let mut server = Sshd {
        child: spawn(&sshd, &config, &world.path("sshd.log")),
        port,
    };
    if wait_until_up(&mut server) {
        return Some(server);
    }
    let log = std::fs::read_to_string(world.path("sshd.log")).unwrap_or_default();
    skip(&format!(
        "sshd does not start here: {}",
        log.lines().last().unwrap_or_default()
    ));
    None
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server in the background, not a command to wait for"
)]
fn spawn(sshd: &Path, config: &Path, log: &Path) -> Child {
    let log = std::fs::File::create(log).unwrap();
    let mut command = Command::new(sshd);
    command
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "waits for a real server")]
fn wait_until_up(server: &mut Sshd) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok() {
            return true;
        }
        if server.child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn write_client_config(world: &World, port: u16, key: &str, known_hosts: &str) {
    let user = String::from_utf8(Program::new("id").arg("-un").run().unwrap().stdout).unwrap();
    let config = world.write(
        "ssh_config",
        &format!(
            "Host store-host\nHostName 127.0.0.1\nPort {port}\nUser {}\nIdentityFile {}\nIdentitiesOnly yes\n\
             IdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\n\
             BatchMode yes\n",
            user.trim(),
            world.path(key).display(),
            world.path(known_hosts).display(),
        ),
    );
    world.gitconfig(&format!(
        "[core]\nsshCommand = ssh -F {}\n",
        config.display()
    ));
}

#[test]
fn ssh_host_alias_is_honoured() {
    let world = World::new();
    let Some(_server) = start(&world) else { return };
    for (n, prefix) in ["store-host:", "ssh://store-host"].iter().enumerate() {
        let remote = world.bare(&format!("r{n}.git"));
        world
            .store(&format!("s{n}"), &format!("{prefix}{}", remote.display()))
            .round_trip();
    }
}

#[test]
fn ssh_own_command_is_honoured() {
    let mut world = World::new();
    let Some(_server) = start(&world) else { return };
    world.gitconfig("");
    world.set(
        "GIT_SSH_COMMAND",
        format!("ssh -F {}", world.path("ssh_config").display()),
    );
    let remote = world.bare("r.git");
    world
        .store("s", &format!("store-host:{}", remote.display()))
        .round_trip();
}

#[test]
fn ssh_refused_key_is_denied_without_retry() {
    let world = World::new();
    let Some(server) = start(&world) else { return };
    let remote = world.bare("r.git");
    let store = world.store("s", &format!("store-host:{}", remote.display()));
    write_client_config(&world, server.port, "stranger_key", "known_hosts");
    let stranger = store.git.refs().unwrap_err();
    assert!(
        matches!(stranger, RemoteError::Denied { .. }),
        "{stranger:?}"
    );
    write_client_config(&world, server.port, "client_key", "nobody_known");
    let unknown_host = store.git.fetch("main").unwrap_err();
    assert!(
        matches!(unknown_host, RemoteError::Denied { .. }),
        "{unknown_host:?}"
    );
}

#[test]
fn ssh_missing_repository_differs_from_missing_server() {
    let world = World::new();
    let Some(server) = start(&world) else { return };
    let store = world.store("s", "store-host:/nowhere/r.git");
    let missing = store.git.refs().unwrap_err();
    assert!(
        matches!(
            missing,
            RemoteError::Unreachable {
                why: Missing::Repository,
                ..
            }
        ),
        "{missing:?}"
    );
    drop(server);
    let down = store.git.refs().unwrap_err();
    assert!(
        matches!(
            down,
            RemoteError::Unreachable {
                why: Missing::Connection,
                ..
            }
        ),
        "{down:?}"
    );
}
