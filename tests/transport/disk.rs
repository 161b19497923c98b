//! A bare repository on a disk, by path and as `file://`.

use std::thread;

use ccsync::domain::id::CommitId;
use ccsync::transport::remote::{Missing, PushOutcome, RemoteError};

use crate::transport::world::{MAIN, Store, World, is_refused, shown, update};

#[test]
fn transport_path_and_file_url_round_trip() {
    let world = World::new();
    let remote = world.bare("a b.git");
    world.store("one", remote.to_str().unwrap()).round_trip();
    let other = world.bare("other.git");
    world
        .store("two", &format!("file://{}", other.display()))
        .round_trip();
}

#[test]
fn transport_push_refuses_unexpected_old_value() {
    let world = World::new();
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let first = store.round_trip();
    let (second, other) = (
        store.commit(Some(&first), "second"),
        store.commit(None, "other"),
    );
    assert!(is_refused(&store.push(&second, None)), "it exists");
    assert!(
        is_refused(&store.push(&second, Some(&other))),
        "it is not there"
    );
    assert!(
        is_refused(
            &store
                .git
                .push(&[update("refs/heads/x", Some(&second), Some(&first))])
        ),
        "it does not exist"
    );
    assert!(
        is_refused(
            &store
                .git
                .push(&[update("refs/heads/x", None, Some(&first))])
        ),
        "it does not exist"
    );
    assert_eq!(
        store.push(&second, Some(&first)).unwrap(),
        PushOutcome::Done
    );
    assert_eq!(
        store.push(&second, Some(&first)).unwrap(),
        PushOutcome::Done,
        "a repeated push is done"
    );
    assert_eq!(
        store.push(&other, Some(&second)).unwrap(),
        PushOutcome::Done,
        "an exact expectation may replace"
    );
    assert_eq!(
        store.git.fetch("main").unwrap(),
        Some(other),
        "what was replaced is followed"
    );
    let branch = "refs/heads/branch";
    assert_eq!(
        store
            .git
            .push(&[update(branch, Some(&first), None)])
            .unwrap(),
        PushOutcome::Done
    );
    assert_eq!(
        store
            .git
            .push(&[update(branch, None, Some(&first))])
            .unwrap(),
        PushOutcome::Done
    );
    assert_eq!(store.git.refs().unwrap().keys().collect::<Vec<_>>(), [MAIN]);
    assert_eq!(store.git.push(&[]).unwrap(), PushOutcome::Done);
}

#[test]
fn transport_push_of_several_refs_is_atomic() {
    let world = World::new();
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let first = store.round_trip();
    let second = store.commit(Some(&first), "second");
    let lock = "refs/heads/ccsync/lock/x";
    let lost = [
        update(MAIN, Some(&second), Some(&first)),
        update(lock, Some(&second), Some(&first)),
    ];
    assert!(is_refused(&store.git.push(&lost)));
    assert_eq!(store.git.refs().unwrap()[MAIN], first);
    let held = [
        update(MAIN, Some(&second), Some(&first)),
        update(lock, Some(&second), None),
    ];
    assert_eq!(store.git.push(&held).unwrap(), PushOutcome::Done);
    let released = [update(lock, None, Some(&second))];
    assert_eq!(store.git.push(&released).unwrap(), PushOutcome::Done);
    assert_eq!(
        store.git.refs().unwrap().into_iter().collect::<Vec<_>>(),
        [(MAIN.to_owned(), second)]
    );
}

#[test]
fn transport_concurrent_pushes_have_one_winner() {
    const STORES: usize = 4;
    const ROUNDS: usize = 12;
    let world = World::new();
    world.bare("r.git");
    let stores: Vec<_> = (0..STORES)
        .map(|n| world.store(&format!("s{n}"), "r.git"))
        .collect();
    let mut expected = None;
    for round in 0..ROUNDS {
        if expected.is_some() {
            stores
                .iter()
                .for_each(|s| assert_eq!(s.git.fetch("main").unwrap(), expected));
        }
        let commits: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(n, s)| {
                (
                    s.git.clone(),
                    s.commit(expected.as_ref(), &format!("{round} {n}")),
                )
            })
            .collect();
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = commits
                .iter()
                .map(|(git, commit)| {
                    let expected = expected.clone();
                    scope.spawn(move || git.push(&[update(MAIN, Some(commit), expected.as_ref())]))
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let winners: Vec<_> = (0..STORES)
            .filter(|n| matches!(results[*n], Ok(PushOutcome::Done)))
            .collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert_eq!(
            results.iter().filter(|r| is_refused(r)).count(),
            STORES - 1,
            "{results:?}"
        );
        expected = Some(commits[winners[0]].1.clone());
    }
}

#[test]
fn transport_missing_repository_is_named() {
    let world = World::new();
    let store = world.store("s", "usb/r.git");
    let commit = store.commit(None, "x");
    for error in [
        store.git.refs().unwrap_err(),
        store.git.fetch("main").unwrap_err(),
        store.push(&commit, None).unwrap_err(),
    ] {
        assert!(
            matches!(error, RemoteError::Unreachable { .. }) && !error.is_transient(),
            "{error:?}"
        );
        assert_eq!(
            shown(&error, &world),
            "repository not found or access denied: $WORLD/usb/r.git / no directory `$WORLD/usb/r.git`"
        );
    }
    std::fs::create_dir_all(world.path("usb/r.git")).unwrap();
    let error = store.git.refs().unwrap_err();
    assert!(
        error
            .message()
            .unwrap()
            .as_str()
            .contains("does not appear to be a git repository"),
        "{error:?}"
    );
}

#[cfg(unix)]
#[test]
fn transport_hook_message_is_shown_escaped() {
    let world = World::new();
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let commit = store.commit(None, "x");
    world.script(
        "r.git/hooks/pre-receive",
        "printf 'secret found: \\033[2J see the wiki\\n' >&2; exit 1",
    );
    let error = store.push(&commit, None).unwrap_err();
    assert!(matches!(error, RemoteError::Rejected { .. }), "{error:?}");
    assert_eq!(
        error.to_string().replace(world.root(), "$WORLD"),
        "$WORLD/r.git rejected the push: refs/heads/main: pre-receive hook declined (secret found: \u{fffd}[2J see the wiki)"
    );
}

#[test]
fn transport_ref_lock_of_other_push_means_retry() {
    let world = World::new();
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let commit = store.commit(None, "x");
    let lock = world.write("r.git/refs/heads/main.lock", "");
    assert!(is_refused(&store.push(&commit, None)));
    std::fs::remove_file(lock).unwrap();
    assert_eq!(store.push(&commit, None).unwrap(), PushOutcome::Done);
}

#[test]
fn transport_conflicting_ref_name_is_rejected() {
    let world = World::new();
    world.bare("r.git");
    let store = world.store("s", "r.git");
    let first = store.round_trip();
    let error = store
        .git
        .push(&[update("refs/heads/main/x", Some(&first), None)])
        .unwrap_err();
    assert!(matches!(error, RemoteError::Rejected { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn transport_ignores_user_environment_and_config() {
    let mut world = World::new();
    let hook = "touch \"$HOME/ran\"; exit 1";
    for name in ["pre-push", "reference-transaction", "post-checkout"] {
        world.script(&format!("hooks/{name}"), hook);
    }
    world.gitconfig(&format!(
        "[core]\nhooksPath = {}\nfsmonitor = touch {}\n[color]\nui = always\npush = always\n[push]\nfollowTags = true\n\
         recurseSubmodules = on-demand\n[fetch]\nprune = true\npruneTags = true\nrecurseSubmodules = true\n\
         [init]\ndefaultBranch = odd\n[remote \"origin\"]\nurl = /nowhere\n[gc]\nauto = 1\n",
        world.path("hooks").display(),
        world.path("home/ran").display(),
    ));
    // The receiving repository is also the user's, and its hooks are wanted; this one has
    // its own.
    let remote = world.bare("r.git");
    let mut config = git2::Config::open(&remote.join("config")).unwrap();
    config
        .set_str("core.hooksPath", remote.join("hooks").to_str().unwrap())
        .unwrap();
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
    ] {
        world.set(name, "/nowhere");
    }
    world.set("GIT_NAMESPACE", "elsewhere");
    world.set("GIT_CONFIG_PARAMETERS", "'push.default'='broken'");
    world.set("GIT_QUARANTINE_PATH", "/nowhere");
    world.set("LC_ALL", "de_DE.UTF-8");
    world.set("LANGUAGE", "de");
    let store = world.store("s", "r.git");
    let tagged = store.commit(None, "tagged");
    let object = store
        .repo
        .find_object(git2::Oid::from_str(tagged.as_str()).unwrap(), None)
        .unwrap();
    let who = git2::Signature::new("al", "al@example.org", &git2::Time::new(0, 0)).unwrap();
    store
        .repo
        .tag("v1", &object, &who, "annotated", false)
        .unwrap();
    let first = store.round_trip();
    let second = store.commit(Some(&tagged), "second");
    assert_eq!(
        store.push(&second, Some(&first)).unwrap(),
        PushOutcome::Done
    );
    assert_eq!(store.git.refs().unwrap().keys().collect::<Vec<_>>(), [MAIN]);
    assert!(!world.path("home/ran").exists(), "a hook of the user's ran");
}

#[test]
fn transport_invalid_ref_name_is_refused_before_git() {
    let world = World::new();
    let store = world.store("s", "r.git");
    let commit = store.commit(None, "x");
    for name in ["main", "--all", "refs/heads/a:b", "refs/heads/*"] {
        let error = store
            .git
            .push(&[update(name, Some(&commit), None)])
            .unwrap_err();
        assert!(matches!(error, RemoteError::InvalidRef { .. }), "{error:?}");
    }
    assert!(matches!(
        store.git.fetch("*").unwrap_err(),
        RemoteError::InvalidRef { .. }
    ));
}

#[test]
fn fetch_adds_and_prunes_lock_branches() {
    let world = World::new();
    world.bare("r.git");
    let (a, b) = (world.store("a", "r.git"), world.store("b", "r.git"));
    let lock = |n: u32| format!("refs/heads/ccsync/lock/{n}");
    let tracked = |store: &Store| {
        let all = store.repo.references_glob("refs/remotes/*").unwrap();
        let names = all.map(|r| r.unwrap()).map(|r| {
            (
                r.name().unwrap().to_owned(),
                r.target().unwrap().to_string(),
            )
        });
        names
            .map(|(name, id)| (name.replace("refs/remotes/origin/", ""), id))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        b.git.fetch_with("main", "ccsync/lock/").unwrap(),
        None,
        "the remote is empty"
    );
    let [one, two, main] = ["one", "two", "main"].map(|text| a.commit(None, text));
    a.git
        .push(&[
            update(&lock(1), Some(&one), None),
            update(&lock(2), Some(&two), None),
        ])
        .unwrap();
    assert_eq!(
        b.git.fetch_with("main", "ccsync/lock/").unwrap(),
        None,
        "there is no `main` yet"
    );
    let named = |name: &str, id: &CommitId| (name.to_owned(), id.to_string());
    assert_eq!(
        tracked(&b),
        [named("ccsync/lock/1", &one), named("ccsync/lock/2", &two)]
    );
    // One replaced by a commit that does not follow it, one removed, and others of the
    // remote not requested.
    let next = a.commit(None, "next");
    a.git
        .push(&[
            update(&lock(1), Some(&next), Some(&one)),
            update(&lock(2), None, Some(&two)),
            update(MAIN, Some(&main), None),
            update("refs/heads/other", Some(&main), None),
        ])
        .unwrap();
    b.repo
        .reference(
            "refs/remotes/origin/mine",
            b.repo.blob(b"").unwrap(),
            true,
            "",
        )
        .unwrap();
    assert_eq!(
        b.git.fetch_with("main", "ccsync/lock/").unwrap(),
        Some(main.clone())
    );
    b.repo
        .find_reference("refs/remotes/origin/mine")
        .unwrap()
        .delete()
        .unwrap();
    assert_eq!(
        tracked(&b),
        [named("ccsync/lock/1", &next), named("main", &main)]
    );
    a.git.push(&[update(&lock(1), None, Some(&next))]).unwrap();
    assert_eq!(b.git.fetch("main").unwrap(), Some(main.clone()));
    assert_eq!(
        tracked(&b).len(),
        2,
        "a plain fetch leaves the others alone"
    );
    assert_eq!(
        b.git.fetch_with("main", "ccsync/lock/").unwrap(),
        Some(main.clone())
    );
    assert_eq!(tracked(&b), [named("main", &main)]);
}

#[test]
fn fetch_missing_remote_is_not_an_empty_one() {
    let world = World::new();
    let error = world
        .store("s", "nowhere.git")
        .git
        .fetch_with("main", "ccsync/lock/")
        .unwrap_err();
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
}
