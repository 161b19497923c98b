//! A remote that cannot be one: it holds something else, or git refuses pushes to it.

use std::fs;
use std::path::Path;

use crate::harness::{Clone, Machine, ONE, Run, TestEnv};

fn init(machine: &Machine, remote: &Path, more: &[&str]) -> Run {
    let remote = remote.to_str().unwrap();
    let args = ["init", "--name", &machine.name, "--remote", remote];
    machine.ccsync(args.iter().chain(more))
}

/// Runs git in a directory, which must succeed.
fn git(machine: &Machine, directory: &Path, args: &[&str]) -> String {
    let mut command = machine.program("git");
    let run = machine.run(command.arg("-C").arg(directory).args(args));
    run.success().stdout
}

/// Returns the names of all files on all branches.
fn files(machine: &Machine, remote: &Path) -> String {
    let branches = git(machine, remote, &["branch", "--format=%(refname)"]);
    let list = |branch: &str| git(machine, remote, &["ls-tree", "-r", "--name-only", branch]);
    branches.lines().map(list).collect()
}

/// Puts a project's code on a branch of a bare repository.
fn add_code(env: &TestEnv, remote: &Path, branch: &str) {
    let other = env.machine("other");
    let clone = Clone::new(remote, &other);
    fs::create_dir_all(clone.path.join("src")).unwrap();
    clone.write("src/main.c", "int main;\n");
    clone.write("README.md", "a project\n");
    clone.git(&["add", "--all"]);
    clone.git(&["commit", "--quiet", "--message", "code"]);
    clone.git(&["push", "--quiet", "origin", &format!("HEAD:{branch}")]);
}

#[test]
fn init_remote_of_project_is_refused() {
    for branch in ["main", "trunk"] {
        let env = TestEnv::new();
        let (a, remote) = (env.machine("a"), env.bare_remote());
        add_code(&env, &remote, branch);
        a.session(ONE).turn("private").write();
        let before = files(&a, &remote);
        for more in [&["--yes"][..], &[]] {
            let run = init(&a, &remote, more).code(1);
            assert!(run.stderr.contains("holds something else"), "{run}");
            assert!(run.stderr.contains("ccsync init --remote URL"), "{run}");
        }
        assert_eq!(files(&a, &remote), before);
    }
}

#[test]
fn push_to_remote_that_became_project_is_refused() {
    for branch in ["main", "trunk"] {
        let env = TestEnv::new();
        let (a, _) = env.pair();
        a.session(ONE).turn("private").write();
        // At its address, another repository appears.
        let (project, other) = (env.remote_of_pair(), env.bare_remote());
        add_code(&env, &other, branch);
        fs::remove_dir_all(&project).unwrap();
        fs::rename(&other, &project).unwrap();
        let before = files(&a, &project);
        for command in ["push", "sync", "pull"] {
            let run = a.ccsync([command]).code(1);
            assert!(run.stderr.contains("holds something else"), "{run}");
        }
        assert_eq!(files(&a, &project), before);
        // The way back is a remote for sessions.
        let next = env.bare_remote();
        a.init(&next);
        a.ccsync(["push"]).success();
        assert!(files(&a, &next).contains(ONE));
    }
}

#[test]
fn init_remote_with_working_tree_is_named() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let tree = env.root().join("my sessions");
    fs::create_dir_all(&tree).unwrap();
    git(&a, &tree, &["init", "--quiet"]);
    for remote in [tree.clone(), tree.join(".git")] {
        let run = init(&a, &remote, &["--yes"]).code(1);
        assert!(run.stderr.contains("is not a bare repository"), "{run}");
        assert!(run.stderr.contains("git init --bare '"), "{run}");
    }
    // The user has decided what git does with a pushed branch.
    git(
        &a,
        &tree,
        &["config", "receive.denyCurrentBranch", "ignore"],
    );
    init(&a, &tree, &["--yes"]).success();
}

#[test]
fn doctor_names_remote_with_working_tree() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let tree = env.root().join("tree");
    fs::create_dir_all(&tree).unwrap();
    git(&a, &tree, &["init", "--quiet"]);
    a.ccsync(["config", "set", "remote", tree.to_str().unwrap()])
        .success();
    let run = a.ccsync(["doctor"]);
    assert!(run.stdout.contains("is not a bare repository"), "{run}");
}

#[test]
fn init_empty_directory_becomes_repository_on_request() {
    let env = TestEnv::new();
    let (a, b) = (env.machine("a"), env.machine("b"));
    let remote = env.root().join("disk/sessions");
    fs::create_dir_all(&remote).unwrap();
    let run = init(&a, &remote, &[]).code(1);
    assert!(run.stderr.contains("is an empty directory"), "{run}");
    assert!(run.stderr.contains("git init --bare "), "{run}");
    assert_eq!(fs::read_dir(&remote).unwrap().count(), 0);
    init(&a, &remote, &["--yes"]).success();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    init(&b, &remote, &["--yes"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE]);
}
