//! An `init` that fails: its answers are kept, and nothing goes to this disk in place of
//! the remote.

use std::fs;

use crate::harness::{Machine, ONE, TestEnv};

/// Runs `init` with a remote that does not exist yet. Returns the remote.
fn failed_init(env: &TestEnv, machine: &Machine, more: &[&str]) -> std::path::PathBuf {
    let remote = env.root().join("gone.git");
    let mut args = vec!["init", "--remote", remote.to_str().unwrap()];
    args.extend(more);
    let run = machine.ccsync(&args).code(1);
    assert!(run.stderr.contains("to try again: `ccsync init`"), "{run}");
    remote
}

#[test]
fn init_failed_refuses_default_repository() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").write();
    let remote = failed_init(&env, &a, &[]);
    for args in [
        &["push"][..],
        &["sync"],
        &["push", "--json"],
        &["resume", "--latest"],
        &["start"],
        &["note", "hello"],
        &["milestone", "m"],
        &["import", "."],
    ] {
        let run = a.ccsync(args).code(1);
        assert!(
            run.stderr.contains("repeat `ccsync init`"),
            "{args:?}\n{run}"
        );
        assert!(
            run.stderr.contains(remote.to_str().unwrap()),
            "{args:?}\n{run}"
        );
    }
    for args in [&["pull"][..], &["status"], &["list"]] {
        let run = a.ccsync(args).code(1);
        assert!(run.stderr.contains("`ccsync init`"), "{args:?}\n{run}");
    }
    assert!(!a.data().join("remote.git").exists());
}

#[test]
fn init_repeated_uses_kept_answers() {
    let env = TestEnv::new();
    let a = env.machine("a");
    fs::create_dir_all(a.home.join("work")).unwrap();
    let remote = failed_init(
        &env,
        &a,
        &["--name", "tower", "--add-placeholder", "WORK=~/work"],
    );
    fs::rename(env.bare_remote(), &remote).unwrap();
    let run = a.ccsync(["init"]).success();
    assert!(run.stderr.contains("as given before"), "{run}");
    let config = a.ccsync(["config", "show", "--json"]).success().json();
    assert_eq!(
        (&config["name"], &config["remote"]),
        (&"tower".into(), &remote.to_str().unwrap().into())
    );
    assert_eq!(
        config["placeholders"]["WORK"],
        a.home.join("work").to_str().unwrap()
    );
    a.session(ONE).turn("hello").write();
    let run = a.ccsync(["push"]).success();
    assert!(run.summary().contains("on the remote as"), "{run}");
    let again = a.ccsync(["init"]).success();
    assert!(!again.stderr.contains("as given before"), "{again}");
}

#[test]
fn init_repeated_with_other_remote_forgets_kept_one() {
    let env = TestEnv::new();
    let a = env.machine("a");
    failed_init(&env, &a, &["--name", "tower"]);
    let remote = env.bare_remote();
    let run = a
        .ccsync(["init", "--remote", remote.to_str().unwrap()])
        .success();
    assert!(!run.stderr.contains("as given before"), "{run}");
    let config = a.ccsync(["config", "show", "--json"]).success().json();
    assert_eq!(config["name"], "tower");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
}

#[test]
fn init_with_unusable_remote_never_falls_back_to_disk() {
    let env = TestEnv::new();
    let empty = env.root().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let checkout = env.root().join("checkout");
    git2::Repository::init(&checkout).unwrap();
    let occupied = env.bare_remote();
    let repository = git2::Repository::open(&occupied).unwrap();
    let tree = repository.treebuilder(None).unwrap().write().unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let author = git2::Signature::now("al", "al@host").unwrap();
    repository
        .commit(
            Some("refs/heads/feature"),
            &author,
            &author,
            "x",
            &tree,
            &[],
        )
        .unwrap();
    for (n, remote) in [
        empty.to_str().unwrap(),
        checkout.to_str().unwrap(),
        occupied.to_str().unwrap(),
        "ext::sh -c evil",
        "https://127.0.0.1:1/s.git",
    ]
    .into_iter()
    .enumerate()
    {
        let machine = env.machine(&format!("m{n}"));
        machine.session(ONE).turn("hello").write();
        let run = machine.ccsync(["init", "--remote", remote]);
        assert!(matches!(run.code, Some(1 | 2)), "{remote}\n{run}");
        // The repeat fails in the same way, and does not choose this disk.
        let again = machine.ccsync(["init"]);
        assert_eq!(again.code, run.code, "{remote}\n{again}");
        let push = machine.ccsync(["push"]).code(1);
        assert!(push.stderr.contains("`ccsync init`"), "{remote}\n{push}");
        assert!(!machine.data().join("remote.git").exists(), "{remote}");
    }
}

#[test]
fn init_failed_after_default_set_up_is_named() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").write();
    let first = a.ccsync(["push"]).success();
    assert!(!first.stdout.contains("on the remote"), "{first}");
    failed_init(&env, &a, &[]);
    let run = a.ccsync(["push"]).success();
    assert!(run.stderr.contains("saved on this disk only"), "{run}");
    assert!(run.stderr.contains("to repeat it: `ccsync init`"), "{run}");
}

#[test]
fn init_kept_password_is_private_and_never_shown() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let remote = "https://al:hunter2@127.0.0.1:1/s.git";
    for args in [&["init", "--remote", remote][..], &["init"], &["push"]] {
        let run = a.ccsync(args).code(1);
        let shown = format!("{}{}", run.stdout, run.stderr);
        assert!(!shown.contains("hunter2"), "{args:?}\n{run}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let kept = a.home.join(".config/ccsync/unfinished-init.json");
        assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o77, 0);
    }
}

#[test]
fn init_default_repository_is_never_called_remote() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").write();
    for args in [
        &["push"][..],
        &["push"],
        &["pull"],
        &["sync"],
        &["verify"],
        &["status"],
        &["note", "hello"],
        &["milestone", "m"],
        &["recover"],
    ] {
        let run = a.ccsync(args).success();
        let shown = format!("{}{}", run.stdout, run.stderr);
        assert!(!shown.contains("on the remote"), "{args:?}\n{run}");
    }
}

#[test]
fn init_without_lost_configuration_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let remote = env.remote_of_pair();
    fs::remove_file(a.home.join(".config/ccsync/config.toml")).unwrap();
    for args in [
        &["init"][..],
        &["init", "--yes"],
        &["init", "--name", "x"],
        &["push"],
    ] {
        let run = a.ccsync(args).code(1);
        let command = format!("ccsync init --remote {}", remote.display());
        assert!(run.stderr.contains(&command), "{args:?}\n{run}");
    }
    // Its store is gone, too; what is known of the remote is not.
    fs::remove_dir_all(a.data().join("store")).unwrap();
    let run = a.ccsync(["init"]).code(1);
    assert!(run.stderr.contains(remote.to_str().unwrap()), "{run}");
    a.ccsync(["init", "--remote", remote.to_str().unwrap()])
        .success();
    a.ccsync(["push"]).success();
}
