//! Smart http: `git http-backend` behind a small server that requires a login.
#![cfg(unix)]

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use ccsync::transport::remote::{Missing, PushOutcome, RemoteError};

use crate::servers::http::{Manner, Server};
use crate::transport::world::{World, is_refused};

fn world_with_remote() -> (World, PathBuf) {
    let world = World::new();
    let remote = world.bare("srv/r.git");
    (world, remote.parent().unwrap().to_owned())
}

fn helper(world: &World, password: &str) {
    world.gitconfig(&format!(
        "[credential]\nhelper = \"!f() {{ test \\\"$1\\\" = get && echo username=al && echo password={password}; }}; f\"\n"
    ));
}

#[test]
fn http_credential_helper_is_used() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    helper(&world, "right");
    let store = world.store("s", &server.url(""));
    let first = store.round_trip();
    // Larger than http.postBuffer, which git sends in chunks.
    let noise: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(3_000_000)
        .collect();
    let large = store.commit(Some(&first), &noise);
    assert_eq!(store.push(&large, Some(&first)).unwrap(), PushOutcome::Done);
    assert!(is_refused(&store.push(&first, None)));
}

#[test]
fn http_wrong_password_is_denied_without_prompt() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    let missing = world.store("a", &server.url("")).git.refs().unwrap_err();
    assert!(matches!(missing, RemoteError::Denied { .. }), "{missing:?}");
    helper(&world, "wrong-password");
    let store = world.store("b", &server.url(""));
    let commit = store.commit(None, "x");
    for error in [
        store.git.fetch("main").unwrap_err(),
        store.push(&commit, None).unwrap_err(),
    ] {
        assert!(matches!(error, RemoteError::Denied { .. }), "{error:?}");
        assert!(!error.is_transient());
    }
}

#[test]
fn http_url_password_works_and_is_never_shown() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    let store = world.store("s", &server.url("al:right@"));
    store.round_trip();
    let error = world
        .store("t", &server.url("al:incorrect-secret@"))
        .git
        .refs()
        .unwrap_err();
    let everything = format!(
        "{error} {error:?} {:?} {}",
        store.git,
        error.message().unwrap()
    );
    assert!(
        everything.contains("***@127.0.0.1") && !everything.contains("incorrect-secret"),
        "{everything}"
    );
}

#[test]
fn http_busy_server_is_retried_but_missing_repository_is_not() {
    let world = World::new();
    let busy = Server::start(Manner::Answers("503 Service Unavailable"));
    let error = world.store("a", &busy.url("")).git.refs().unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Connection,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(busy.requests(), 3);
    let empty = Server::start(Manner::Answers("404 Not Found"));
    let error = world.store("b", &empty.url("")).git.refs().unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Repository,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(empty.requests(), 1);
}

#[test]
fn http_silent_server_times_out() {
    let world = World::new();
    let server = Server::start(Manner::Silent);
    let store = world.store("s", &server.url(""));
    let git = store
        .git
        .clone()
        .with_silence_limit(Duration::from_millis(500));
    let error = git.refs().unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Answer,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn http_too_large_push_is_rejected() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::RefusesPacks(root));
    let store = world.store("s", &server.url("al:right@"));
    let commit = store.commit(None, "x");
    let error = store.push(&commit, None).unwrap_err();
    assert!(matches!(error, RemoteError::Rejected { .. }), "{error:?}");
}

#[test]
fn http_closed_port_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = World::new()
        .store("s", &format!("http://127.0.0.1:{port}/r.git"))
        .git
        .refs()
        .unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Connection,
                ..
            }
        ),
        "{error:?}"
    );
}
