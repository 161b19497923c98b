//! Smart http: `git http-backend` behind a small server that wants a login.
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
fn a_credential_helper_of_the_users_logs_in() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    helper(&world, "right");
    let store = world.store("s", &server.url(""));
    let first = store.round_trip();
    // More than http.postBuffer, which git sends in chunks.
    let noise: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(3_000_000)
        .collect();
    let large = store.commit(Some(&first), &noise);
    assert_eq!(store.push(&large, Some(&first)).unwrap(), PushOutcome::Done);
    assert!(is_refused(&store.push(&first, None)));
}

#[test]
fn a_wrong_or_missing_password_is_denied_without_a_question() {
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
fn a_password_in_the_address_works_and_is_never_shown() {
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
        error.said().unwrap()
    );
    assert!(
        everything.contains("***@127.0.0.1") && !everything.contains("incorrect-secret"),
        "{everything}"
    );
}

#[test]
fn a_server_in_trouble_is_asked_again_and_one_without_the_repository_is_not() {
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
fn a_server_that_never_answers_does_not_hold_us() {
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
fn a_server_that_finds_the_push_too_large_rejects_it() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::RefusesPacks(root));
    let store = world.store("s", &server.url("al:right@"));
    let commit = store.commit(None, "x");
    let error = store.push(&commit, None).unwrap_err();
    assert!(matches!(error, RemoteError::Rejected { .. }), "{error:?}");
}

#[test]
fn a_port_where_nobody_listens_is_unreachable() {
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
