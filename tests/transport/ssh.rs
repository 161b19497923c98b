//! An ssh server on the loopback, reached by an alias of the user's own ssh
//! configuration.
#![cfg(unix)]

use std::path::Path;

use ccsync::transport::remote::{Missing, RemoteError};

use crate::servers::sshd::Sshd;
use crate::transport::world::{World, skip};

/// A server that accepts the key `client_key`, and the user's ssh configuration with the alias
/// `store-host`.
fn start(world: &World) -> Option<Sshd> {
    match Sshd::start(Path::new(world.root())) {
        Ok(server) => {
            write_client_config(world, &server, "client_key", "known_hosts");
            Some(server)
        }
        Err(reason) => {
            skip(&reason);
            None
        }
    }
}

fn write_client_config(world: &World, server: &Sshd, key: &str, known_hosts: &str) {
    let text = server.client_config("store-host", key, known_hosts);
    let config = world.write("ssh_config", &text);
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
    write_client_config(&world, &server, "refused_key", "known_hosts");
    let refused = store.git.refs().unwrap_err();
    assert!(matches!(refused, RemoteError::Denied { .. }), "{refused:?}");
    write_client_config(&world, &server, "client_key", "no_known_hosts");
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

#[test]
fn ssh_push_and_fetch_make_one_connection_each() {
    let world = World::new();
    let Some(server) = start(&world) else { return };
    let remote = world.bare("r.git");
    let store = world.store("s", &format!("store-host:{}", remote.display()));
    let first = store.commit(None, "first");
    store.push(&first, None).unwrap();
    assert_eq!(server.connections(), 1);
    store.git.fetch("main").unwrap();
    store.git.fetch("main").unwrap();
    assert_eq!(server.connections(), 3);
}
