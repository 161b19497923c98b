//! Fake programs on the PATH.
#![cfg(unix)]

use std::time::Duration;

use ccsync::sys::clock::{Clock, SystemClock};
use ccsync::transport::remote::{Missing, PushOutcome, RemoteError};

use crate::transport::world::{World, shown, update};

/// Returns a world in which `name` is this script; the real programs follow on the PATH.
fn world_with(name: &str, script: &str) -> World {
    let mut world = World::new();
    world.script(&format!("bin/{name}"), script);
    let real = std::env::var("PATH").unwrap();
    world.set("PATH", format!("{}:{real}", world.path("bin").display()));
    world.set("REAL_PATH", real);
    world
}

fn each_call(world: &World) -> [RemoteError; 3] {
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let git = store
        .git
        .clone()
        .with_silence_limit(Duration::from_millis(300));
    let commit = store.commit(None, "x");
    let update = update("refs/heads/main", Some(&commit), None);
    [
        git.refs().unwrap_err(),
        git.fetch("main").unwrap_err(),
        git.push(&[update]).unwrap_err(),
    ]
}

#[test]
fn transport_hanging_git_is_stopped() {
    let clock = SystemClock::default();
    for error in each_call(&world_with(
        "git",
        "echo waiting for a card >&2; exec sleep 600",
    )) {
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
        assert!(error.is_transient());
        assert!(
            error
                .message()
                .unwrap()
                .as_str()
                .starts_with("waiting for a card\n"),
            "{error:?}"
        );
    }
    assert!(clock.monotonic() < Duration::from_secs(10));
}

#[test]
fn transport_nonsense_output_counts_as_failure() {
    for script in ["echo hello", "exit 0", "printf '\\377\\0\\t:\\t'"] {
        let world = world_with("git", script);
        world.bare("r.git");
        let store = world.store("s", "r.git");
        let commit = store.commit(None, "x");
        assert!(
            matches!(store.git.fetch("main"), Err(RemoteError::Garbled { .. })),
            "{script}"
        );
        assert!(
            matches!(store.push(&commit, None), Err(RemoteError::Garbled { .. })),
            "{script}"
        );
    }
}

#[test]
fn transport_old_or_missing_git_is_named() {
    let old = "case \"$*\" in *version*) echo git version 2.30.2;; *) echo usage: git fetch >&2; exit 129;; esac";
    let world = world_with("git", old);
    for error in each_call(&world) {
        assert_eq!(
            shown(&error, &world),
            "git 2.30 is too old: ccsync needs 2.34 or later"
        );
    }
    let mut world = World::new();
    world.set("PATH", world.path("empty"));
    for error in each_call(&world) {
        assert!(matches!(error, RemoteError::GitMissing), "{error:?}");
    }
}

#[test]
fn transport_push_with_lost_answer_is_not_repeated() {
    let script = "PATH=$REAL_PATH git \"$@\" || exit\n\
                  case \"$*\" in *' push '*) echo push >> $HOME/log; echo fatal: early EOF >&2; exit 128;; esac";
    let world = world_with("git", script);
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let commit = store.commit(None, "x");
    // The fake's standard output is complete, so the first try must be recognised by its
    // status alone.
    assert_eq!(store.push(&commit, None).unwrap(), PushOutcome::Done);
    assert_eq!(
        std::fs::read_to_string(world.path("home/log")).unwrap(),
        "push\n"
    );
}

#[test]
fn transport_failing_network_is_tried_three_times() {
    let world = world_with(
        "git",
        "echo x >> $HOME/log; echo fatal: early EOF >&2; exit 128",
    );
    world.bare("r.git");
    let error = world.store("s", "r.git").git.refs().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(
        std::fs::read_to_string(world.path("home/log"))
            .unwrap()
            .lines()
            .count(),
        3
    );
}

#[test]
fn transport_ssh_is_non_interactive_without_own_command() {
    let script =
        "echo \"$@\" > $HOME/log; echo 'al@h: Permission denied (publickey).' >&2; exit 255";
    let log = |world: &World| {
        let error = world.store("s", "ssh://al@h/x").git.refs().unwrap_err();
        assert!(matches!(error, RemoteError::Denied { .. }), "{error:?}");
        std::fs::read_to_string(world.path("home/log")).unwrap()
    };
    let world = world_with("ssh", script);
    assert!(log(&world).starts_with("-o BatchMode=yes "));
    world.gitconfig("[core]\nsshCommand = ssh -v\n");
    assert!(log(&world).starts_with("-v "));
    let mut world = world_with("ssh", script);
    world.set("GIT_SSH_COMMAND", "ssh -4");
    assert!(log(&world).starts_with("-4 "));
}

/// Every flag and variable that git gets; `docs/dev/transport.md` gives the reason of
/// each.
#[test]
fn transport_git_command_lines_are_exact() {
    let script = "echo \"$@\" >> $HOME/log\n\
                  env | grep -E '^(GIT_(TERM|SSH_|CONFIG_C|DIR)|GCM_|LC_(A|M)|LANGUAGE)' | sort > $HOME/env.$#\n\
                  exit 1";
    let mut world = world_with("git", script);
    world.set("GIT_CONFIG_COUNT", "0");
    world.set("GIT_DIR", "/nowhere");
    world.set("LC_ALL", "C.UTF-8");
    let store = world.store("s", "ssh://h/r.git");
    let read = |name: &str| {
        std::fs::read_to_string(world.path(name))
            .unwrap()
            .replace(world.root(), "$WORLD")
    };
    let id = "50c52306449f4dec4b8cd1345520ff3714161527".parse().unwrap();
    let _ = store.git.refs();
    let _ = store.git.fetch("main");
    let _ = store.git.fetch_with("main", "ccsync/lock/");
    let _ = store.git.push(&[
        update("refs/heads/main", Some(&id), Some(&id)),
        update("refs/heads/l", None, Some(&id)),
        update("refs/heads/m", Some(&id), None),
    ]);
    let _ = world.store("d", "/srv/r.git").git.check_objects(&id);
    let _ = store.git.repack_if_needed(50, 2000);
    let settings = "--git-dir=$WORLD/s/.git/ -c core.fsmonitor= -c submodule.recurse=false -c gc.auto=0 \
                    -c maintenance.auto=false -c fetch.writeCommitGraph=false -c fetch.unpackLimit=1 \
                    -c protocol.ext.allow=never \
                    -c core.hooksPath=/dev/null -c color.ui=false -c core.packedGitWindowSize=1m \
                    -c core.packedGitLimit=32m -c core.deltaBaseCacheLimit=16m -c pack.windowMemory=32m ";
    let log = read("home/log").replace("$WORLD/d/", "$WORLD/s/");
    let commands: Vec<_> = log
        .lines()
        .filter_map(|line| line.strip_prefix(settings))
        .collect();
    insta::assert_snapshot!(commands.join("\n").replace(" -", "\n    -"), @r"
    ls-remote
        --refs
        -- ssh://h/r.git
    fetch
        --no-tags
        --no-write-fetch-head
        --no-prune
        --no-recurse-submodules
        --no-show-forced-updates
        --no-auto-maintenance
        --progress
        -- ssh://h/r.git +refs/heads/main:refs/remotes/origin/main
    ls-remote
        --refs
        -- ssh://h/r.git
    fetch
        --no-tags
        --no-write-fetch-head
        --prune
        --no-recurse-submodules
        --no-show-forced-updates
        --no-auto-maintenance
        --progress
        -- ssh://h/r.git +refs/heads/main:refs/remotes/origin/main +refs/heads/ccsync/lock/*:refs/remotes/origin/ccsync/lock/*
    ls-remote
        --refs
        -- ssh://h/r.git
    push
        --porcelain
        --no-verify
        --no-follow-tags
        --no-recurse-submodules
        --progress
        --atomic
        --force-with-lease=refs/heads/main:50c52306449f4dec4b8cd1345520ff3714161527
        --force-with-lease=refs/heads/l:50c52306449f4dec4b8cd1345520ff3714161527
        --force-with-lease=refs/heads/m:
        -- ssh://h/r.git 50c52306449f4dec4b8cd1345520ff3714161527:refs/heads/main :refs/heads/l 50c52306449f4dec4b8cd1345520ff3714161527:refs/heads/m
    fsck
        --full
        --no-dangling
        --no-reflogs
        --progress
        -- 50c52306449f4dec4b8cd1345520ff3714161527
    -c gc.auto=2000
        -c gc.autoPackLimit=50
        -c gc.autoDetach=true
        -c gc.bigPackThreshold=32m
        -c gc.packRefs=false
        -c gc.pruneExpire=never
        -c gc.writeCommitGraph=false
        -c pack.threads=1 gc
        --auto
        --quiet
        --
    ");
    // The file is named after the number of arguments: of `ls-remote`, 31.
    insta::assert_snapshot!(read("home/env.31"), @r"
    GCM_INTERACTIVE=never
    GIT_CONFIG_COUNT=0
    GIT_SSH_COMMAND=ssh -o BatchMode=yes
    GIT_TERMINAL_PROMPT=0
    LC_MESSAGES=C
    ");
}
