//! The recorded git repository of a session's project: what is recorded, what other
//! machines do with it, and what it must not cause.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccsync::domain::id::SessionId;
use ccsync::domain::progress::Silent;
use ccsync::domain::url::RemoteUrl;
use ccsync::handoff::project_here::{MissingProject, ProjectHere, clone_project, project_here};
use ccsync::project::difference;
use ccsync::sys::clock::{Clock, SystemClock};
use ccsync::sys::env::GitEnv;
use ccsync::transport::clone::{CloneError, clone};
use serde_json::{Value, json};

use crate::harness::library::with_context;
use crate::harness::{Clone, Machine, ONE, TWO, TestEnv, questions};

/// Runs a git command in a directory below the machine's home.
#[track_caller]
pub(crate) fn git(machine: &Machine, directory: &str, args: &[&str]) -> String {
    let mut git = machine.program("git");
    git.arg("-C").arg(machine.home.join(directory)).args(args);
    machine.run(&mut git).success().stdout.trim().to_owned()
}

/// Creates a repository with one commit and this remote; returns the commit.
pub(crate) fn repository(machine: &Machine, directory: &str, remote: &str) -> String {
    fs::create_dir_all(machine.home.join(directory)).unwrap();
    git(machine, directory, &["init", "--quiet"]);
    git(machine, directory, &["remote", "add", "origin", remote]);
    commit(machine, directory, "first")
}

pub(crate) fn commit(machine: &Machine, directory: &str, message: &str) -> String {
    git(
        machine,
        directory,
        &["commit", "--quiet", "--allow-empty", "--message", message],
    );
    git(machine, directory, &["rev-parse", "HEAD"])
}

pub(crate) fn manifest(machine: &Machine, session: &str) -> Value {
    let path = machine
        .data()
        .join("store/sessions")
        .join(&session[..2])
        .join(session)
        .join("manifest.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn recorded(machine: &Machine, session: &str) -> Value {
    manifest(machine, session)["git"].clone()
}

pub(crate) fn here(machine: &Machine, session: &str) -> ProjectHere {
    let session: SessionId = session.parse().unwrap();
    with_context(machine, |ctx| project_here(ctx, &session, None)).unwrap()
}

#[track_caller]
fn missing(machine: &Machine, session: &str) -> MissingProject {
    match here(machine, session) {
        ProjectHere::Missing(missing) => missing,
        other => panic!("{other:?}"),
    }
}

/// Creates a bare repository on the disk with a file in `crates/app`.
pub(crate) fn project_remote(env: &TestEnv, machine: &Machine) -> PathBuf {
    let bare = env.bare_remote();
    let checkout = "seed";
    repository(machine, checkout, bare.to_str().unwrap());
    let file = machine.home.join(checkout).join("crates/app/main.rs");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "fn main() {}\n").unwrap();
    git(machine, checkout, &["add", "."]);
    commit(machine, checkout, "a file");
    git(
        machine,
        checkout,
        &["push", "--quiet", "origin", "trunk:main"],
    );
    bare
}

#[test]
fn push_records_repository_once() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let first = repository(
        &a,
        "work",
        "https://al:hunter2secret@GitHub.com/al/App.git/?token=hunter2secret",
    );
    a.session(ONE)
        .project("work/crates/app")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    let expected = json!({
        "format": 1, "remote": "https://GitHub.com/al/App.git/", "identity": "github.com/al/app", "directory": "crates/app",
        "commit": first, "branch": "trunk",
    });
    assert_eq!(recorded(&a, ONE), expected);

    let head = a.git(&["rev-parse", "HEAD"]);
    let second = commit(&a, "work", "second");
    git(&a, "work", &["checkout", "--quiet", "--detach"]);
    let run = a.ccsync(["push"]).success();
    assert_eq!(
        a.git(&["rev-parse", "HEAD"]),
        head,
        "a commit in the project changes no session\n{run}"
    );
    a.append(ONE, "more");
    a.ccsync(["push"]).success();
    assert_eq!(recorded(&a, ONE)["commit"], second.as_str());
    assert!(
        recorded(&a, ONE).get("branch").is_none(),
        "a detached head is on none"
    );

    // The other machine continues in its own clone, over another protocol.
    b.ccsync(["pull"]).success();
    let third = repository(&b, "work", "git@github.com:al/App");
    fs::create_dir_all(b.home.join("work/crates/app")).unwrap();
    b.append(ONE, "there");
    b.ccsync(["push"]).success();
    assert_eq!(recorded(&b, ONE)["identity"], "github.com/al/app");
    assert_eq!(recorded(&b, ONE)["commit"], third.as_str());

    // The address is only in the project's own git configuration.
    let files = walkdir::WalkDir::new(env.root())
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file());
    let holds =
        |path: &PathBuf| memchr::memmem::find(&fs::read(path).unwrap(), b"hunter2secret").is_some();
    let betrayers: Vec<_> = files
        .map(walkdir::DirEntry::into_path)
        .filter(holds)
        .collect();
    assert_eq!(betrayers, [a.home.join("work/.git/config")]);
    let store = a.data().join("store");
    let text = a
        .run(
            a.program("git")
                .arg("-C")
                .arg(store)
                .args(["log", "-p", "--all"]),
        )
        .success()
        .stdout;
    assert!(
        text.contains("GitHub.com") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn push_remote_alias_and_local_remote_are_portable() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    git(
        &a,
        "",
        &[
            "config",
            "--global",
            "url.https://al:hunter2@example.org/.insteadOf",
            "ex:",
        ],
    );
    repository(&a, "work/app", "ex:al/app");
    a.session(ONE).turn("hello").write();
    let bare = a.home.join("git/app.git");
    git(
        &a,
        "",
        &["init", "--quiet", "--bare", bare.to_str().unwrap()],
    );
    repository(&a, "work/other", "../../git/app.git");
    a.session(TWO).project("work/other").turn("hello").write();
    a.ccsync(["push"]).success();
    assert_eq!(recorded(&a, ONE)["remote"], "https://example.org/al/app");
    assert_eq!(recorded(&a, TWO)["remote"], "{{HOME}}/git/app.git");
    assert_eq!(recorded(&a, TWO)["identity"], Value::Null);
}

#[test]
#[cfg(unix)]
fn push_repository_of_worktree_link_and_nested_match_git() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let first = repository(&a, "work/app", "https://example.org/al/app");
    git(
        &a,
        "work/app",
        &["worktree", "add", "--quiet", "-b", "side", "../tree"],
    );
    let side = commit(&a, "work/tree", "on the side");
    std::os::unix::fs::symlink(a.home.join("work/app"), a.home.join("link")).unwrap();
    fs::create_dir_all(a.home.join("work/app/crates/x")).unwrap();
    let inner = repository(&a, "work/app/inner", "https://example.org/al/inner");
    let id = |n: usize| format!("{n}{n}{n}{n}{n}{n}{n}{n}-0000-4000-8000-000000000000");
    let places = ["work/tree", "link/crates/x", "work/app/inner", "work"];
    places
        .iter()
        .enumerate()
        .for_each(|(n, place)| drop(a.session(&id(n)).project(place).turn("hello").write()));
    a.ccsync(["push"]).success();
    let of = |n: usize| {
        let git = recorded(&a, &id(n));
        ["remote", "directory", "commit", "branch"]
            .map(|field| git[field].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(of(0), ["https://example.org/al/app", "", &side, "side"]);
    assert_eq!(
        of(1),
        ["https://example.org/al/app", "crates/x", &first, "trunk"]
    );
    assert_eq!(of(2), ["https://example.org/al/inner", "", &inner, "trunk"]);
    assert_eq!(recorded(&a, &id(3)), Value::Null, "above all repositories");
}

#[test]
fn push_unreadable_repository_is_ignored() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let broken: [(&str, &str, &[u8]); 7] = [
        ("config", ".git/config", b"[core\n\xff"),
        ("head", ".git/HEAD", b"garbage"),
        ("branch", ".git/refs/heads/trunk", b"garbage"),
        ("packed", ".git/packed-refs", &[0xff; 100]),
        ("file", ".git", b"gitdir: /nowhere"),
        (
            "helper",
            ".git/config",
            b"[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n\turl = ext::sh -c touch% pwned\n",
        ),
        ("newer", ".git/config", b"[core]\n\trepositoryformatversion = 99\n"),
    ];
    let id = |n: usize| format!("{n}{n}{n}{n}{n}{n}{n}{n}-0000-4000-8000-000000000000");
    for (n, (name, path, content)) in broken.iter().enumerate() {
        let project = format!("work/{name}");
        repository(&a, &project, "https://example.org/x");
        let path = a.home.join(&project).join(path);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::write(path, content).unwrap();
        a.session(&id(n)).project(&project).turn("hello").write();
    }
    repository(&a, "work/empty", "https://example.org/x");
    git(&a, "work/empty", &["update-ref", "-d", "HEAD"]);
    a.session(&id(8))
        .project("work/empty")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    assert_eq!(
        a.git(&["ls-files", "sessions/*/manifest.json"])
            .lines()
            .count(),
        broken.len() + 1
    );
    assert_eq!(recorded(&a, &id(4)), Value::Null);
    assert!(
        recorded(&a, &id(5)).get("remote").is_none(),
        "a helper is no address"
    );
    assert_eq!(recorded(&a, &id(8))["branch"], "trunk");
    assert!(recorded(&a, &id(8)).get("commit").is_none());
}

#[test]
fn push_without_repository_keeps_recorded_one() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/app", "https://example.org/al/app");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let there = recorded(&a, ONE);
    b.ccsync(["pull"]).success();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    b.append(ONE, "without git");
    b.ccsync(["push"]).success();
    assert_eq!(recorded(&b, ONE), there);
    // A copy without a remote still belongs to the project.
    git(&b, "work/app", &["init", "--quiet"]);
    let commit = commit(&b, "work/app", "here");
    b.append(ONE, "with git");
    b.ccsync(["push"]).success();
    assert_eq!(recorded(&b, ONE)["commit"], commit.as_str());
    assert_eq!(recorded(&b, ONE)["remote"], there["remote"]);
}

/// Appends a turn with a time in this hour of a future day, so that the order does not
/// depend on the clock.
fn append_at(machine: &Machine, hour: u32, question: &str) {
    let before = machine.transcript(ONE).len();
    machine.append(ONE, question);
    let text = machine.text(ONE);
    let (said, new) = text.split_at(before);
    let time = format!("\"timestamp\":\"2999-01-01T{hour:02}:00:00.000Z\"");
    let new = regex::Regex::new("\"timestamp\":\"[^\"]*\"")
        .unwrap()
        .replace_all(new, time);
    fs::write(machine.transcript_path(ONE), format!("{said}{new}")).unwrap();
}

#[test]
fn merge_later_active_side_sets_checkout() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let [there, here] =
        [&a, &b].map(|machine| repository(machine, "work/app", "https://example.org/al/app"));
    // Both push from the same state of the store; the turns of one are the beginning of
    // the turns of the other.
    let copy = |questions: &[(u32, &str)]| {
        let text = a
            .text(ONE)
            .replace(a.home.to_str().unwrap(), b.home.to_str().unwrap());
        fs::write(b.transcript_path(ONE), text).unwrap();
        questions
            .iter()
            .for_each(|(hour, question)| append_at(&b, *hour, question));
    };
    append_at(&a, 1, "x");
    copy(&[(2, "y")]);
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "x", "y"]);
    assert_eq!(recorded(&b, ONE)["commit"], here.as_str());
    a.ccsync(["pull"]).success();
    append_at(&a, 3, "z");
    copy(&[]);
    append_at(&a, 4, "later");
    a.ccsync(["push"]).success();
    b.ccsync(["push"]);
    assert_eq!(recorded(&b, ONE)["commit"], there.as_str());
    assert_eq!(
        a.ccsync(["list", "--remote", "--json"]).success().json()["sessions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn manifest_with_missing_or_newer_repository_is_read() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let attacker = env.machine("attacker");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&env.remote_of_pair(), &attacker);
    let path = format!("sessions/11/{ONE}/manifest.json");
    let good: Value = serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
    assert!(good.get("git").is_none());
    for (turn, git) in [
        json!({"format": 2, "remote": ["of", "another", "shape"]}),
        json!({"format": 1, "remote": "https://example.org/x", "stash": {"unknown": true}}),
        Value::Null,
    ]
    .into_iter()
    .enumerate()
    {
        clone.pull();
        let mut manifest: Value =
            serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
        manifest["git"] = git;
        clone.write(&path, manifest.to_string());
        clone.push();
        b.ccsync(["pull"]).success();
        b.append(ONE, &format!("turn {turn}"));
        b.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
        assert_eq!(questions(&a.text(ONE)).len(), turn + 2);
    }
}

#[test]
fn resume_compares_checkout_with_recorded_one() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let first = repository(&a, "work/app", "https://example.org/al/app");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let words = || match here(&a, ONE) {
        ProjectHere::Present { directory, git, .. } => {
            difference(&directory, &git.unwrap()).unwrap().describe()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(words(), None);
    fs::write(a.home.join("work/app/new.txt"), "new").unwrap();
    assert_eq!(words().as_deref(), Some("1 file with uncommitted changes"));
    fs::write(a.home.join("work/app/other.txt"), "new").unwrap();
    let second = commit(&a, "work/app", "second");
    let expected = format!(
        "the working tree is at {} (trunk), the session last saw {}; 2 files with uncommitted changes",
        &second[..10],
        &first[..10]
    );
    assert_eq!(words(), Some(expected));
    fs::remove_dir_all(a.home.join("work/app/.git")).unwrap();
    let ProjectHere::Present { directory, git, .. } = here(&a, ONE) else {
        panic!()
    };
    assert_eq!(difference(&directory, &git.unwrap()), None);
}

#[test]
#[cfg(unix)]
fn resume_slow_checkout_comparison_times_out() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let first = repository(&a, "work/app", "https://example.org/al/app");
    fs::write(a.home.join("work/app/x"), "x").unwrap();
    git(&a, "work/app", &["add", "x"]);
    git(&a, "work/app", &["config", "filter.slow.clean", "sleep 5"]);
    fs::write(a.home.join("work/app/.gitattributes"), "x filter=slow\n").unwrap();
    fs::write(a.home.join("work/app/x"), "y").unwrap();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let ProjectHere::Present {
        directory,
        git: Some(git),
        ..
    } = here(&a, ONE)
    else {
        panic!()
    };
    let clock = SystemClock::default();
    let tree = difference(&directory, &git).unwrap();
    assert!(clock.monotonic() < std::time::Duration::from_secs(3));
    assert_eq!(
        (tree.commit.unwrap().as_str(), tree.uncommitted),
        (first.as_str(), None)
    );
}

#[test]
fn resume_missing_project_is_cloned_to_expected_path() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = project_remote(&env, &a);
    let url = remote.to_str().unwrap();
    git(&a, "", &["clone", "--quiet", url, "work/app"]);
    a.session(ONE)
        .project("work/app/crates/app")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let found = missing(&b, ONE);
    assert_eq!(found.directory, Some(b.home.join("work/app/crates/app")));
    let proposed = found.clone.unwrap();
    assert_eq!(
        (proposed.into.clone(), proposed.remote.to_string()),
        (b.home.join("work/app"), url.to_owned())
    );
    with_context(&b, |ctx| clone_project(ctx, &proposed)).unwrap();
    assert!(b.home.join("work/app/crates/app/main.rs").exists());
    assert_eq!(git(&b, "work/app", &["status", "--porcelain"]), "");
    assert_eq!(git(&b, "work/app", &["remote", "get-url", "origin"]), url);
    assert_eq!(entries(&b.home.join("work")), ["app"]);
    let ProjectHere::Present { directory, git, .. } = here(&b, ONE) else {
        panic!()
    };
    assert_eq!(
        difference(&directory, &git.unwrap()).unwrap().describe(),
        None
    );
    // ccsync clones nothing over an existing clone.
    let again = with_context(&b, |ctx| clone_project(ctx, &proposed)).unwrap_err();
    assert!(
        again.to_string().contains("the directory is not empty"),
        "{again}"
    );
}

#[test]
fn resume_missing_placeholder_suggests_directory() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = project_remote(&env, &a);
    fs::create_dir_all(a.home.join("my/work")).unwrap();
    let checkout = a.home.join("my/work");
    a.add_placeholder(&format!("WORK={}", checkout.display()));
    git(
        &a,
        "",
        &["clone", "--quiet", remote.to_str().unwrap(), "my/work/app"],
    );
    a.session(ONE).project("my/work/app").turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]);
    let found = missing(&b, ONE);
    let unmapped = found.unmapped.unwrap();
    assert_eq!(
        (unmapped.name.as_str(), unmapped.directory),
        ("WORK", Some(b.home.join("my/work")))
    );
    assert_eq!(found.clone.unwrap().into, b.home.join("my/work/app"));
    assert!(!b.home.join("my").exists(), "proposing makes nothing");
}

#[test]
fn resume_clone_is_not_proposed_at_unsafe_path() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let attacker = env.machine("attacker");
    repository(&a, "work/app", "https://example.org/al/app");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&env.remote_of_pair(), &attacker);
    let path = format!("sessions/11/{ONE}/manifest.json");
    for (project, directory) in [
        ("{{HOME}}/.ssh", ""),
        ("{{HOME}}/.config/git/x", "x"),
        ("{{HOME}}/a/x", "b/x"),
        ("{{HOME}}/taken/x", "x"),
        ("{{NONE}}/x", ""),
    ] {
        let mut manifest: Value =
            serde_json::from_slice(&fs::read(clone.path.join(&path)).unwrap()).unwrap();
        manifest["project"] = json!(project);
        manifest["git"]["directory"] = json!(directory);
        clone.write(&path, manifest.to_string());
        clone.push();
        fs::create_dir_all(b.home.join("taken/else")).unwrap();
        b.ccsync(["pull"]);
        let found = missing(&b, ONE);
        assert_eq!(found.clone, None, "{project}");
        assert_eq!(
            found.remote.unwrap().to_string(),
            "https://example.org/al/app"
        );
    }
}

#[test]
fn clone_failure_leaves_no_directory() {
    let env = TestEnv::new();
    let machine = env.machine("a");
    let into = machine.home.join("new/deep/app");
    let url = |path: &Path| RemoteUrl::parse(path.to_str().unwrap(), Path::new("/")).unwrap();
    let make = |url: &RemoteUrl, into: &Path| {
        clone(url, into, (GitEnv::default(), false), Arc::new(Silent))
    };
    let error = make(&url(&machine.home.join("nowhere.git")), &into).unwrap_err();
    assert!(matches!(error, CloneError::Remote { .. }), "{error}");
    assert!(!machine.home.join("new").exists());

    let bare = project_remote(&env, &machine);
    let broken = env.root().join("broken.git");
    machine
        .run(machine.program("cp").arg("-r").args([&bare, &broken]))
        .success();
    for entry in walkdir::WalkDir::new(broken.join("objects"))
        .into_iter()
        .map(Result::unwrap)
    {
        if entry.file_type().is_file() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::create_dir_all(&into).unwrap();
    make(&url(&broken), &into).unwrap_err();
    assert_eq!(
        entries(into.parent().unwrap()),
        ["app"],
        "an empty directory that was there stays"
    );
    make(&url(&bare), &into).unwrap();
    assert!(into.join("crates/app/main.rs").exists());
    fs::write(machine.home.join("file"), "").unwrap();
    for taken in [into, machine.home.join("file")] {
        assert!(matches!(
            make(&url(&bare), &taken),
            Err(CloneError::Occupied { .. })
        ));
    }
}

#[test]
#[cfg(unix)]
fn clone_ignores_submodules_and_runs_no_hooks() {
    let env = TestEnv::new();
    let machine = env.machine("a");
    let bare = project_remote(&env, &machine);
    let pwned = env.root().join("pwned");
    let evil = format!(
        "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c touch% {0}\n\tupdate = !touch {0}\n",
        pwned.display()
    );
    fs::write(machine.home.join("seed/.gitmodules"), evil).unwrap();
    fs::write(machine.home.join("seed/.gitattributes"), "* filter=evil\n").unwrap();
    let head = git(&machine, "seed", &["rev-parse", "HEAD"]);
    git(
        &machine,
        "seed",
        &[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{head},x"),
        ],
    );
    git(&machine, "seed", &["add", ".gitmodules", ".gitattributes"]);
    commit(&machine, "seed", "evil");
    git(
        &machine,
        "seed",
        &["push", "--quiet", "origin", "trunk:main"],
    );
    for hook in [
        "post-checkout",
        "post-upload-pack",
        "pre-upload-pack",
        "reference-transaction",
    ] {
        let path = bare.join("hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", pwned.display())).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let into = machine.home.join("app");
    let url = RemoteUrl::parse(bare.to_str().unwrap(), Path::new("/")).unwrap();
    clone(&url, &into, (GitEnv::default(), false), Arc::new(Silent)).unwrap();
    assert!(!pwned.exists());
    assert_eq!(entries(&into.join("x")), Vec::<String>::new());
}

fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
