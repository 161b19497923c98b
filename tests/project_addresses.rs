//! One project has many addresses: a session lands in the clone that is here, whatever the form of
//! its remote, and follows patterns for any of them.

use std::fs;

use crate::harness::{Machine, ONE, TestEnv};
use crate::project_repository::git;

/// Creates a repository without a commit, with this remote.
fn clone_of(machine: &Machine, directory: &str, remote: &str, options: &[&str]) {
    fs::create_dir_all(machine.home.join(directory)).unwrap();
    git(
        machine,
        directory,
        &[&["init", "--quiet"], options].concat(),
    );
    git(machine, directory, &["remote", "add", "origin", remote]);
}

/// Returns true if a session of a clone of `there` lands in a clone of `here`.
fn lands(there: &str, here: &str) -> bool {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    clone_of(&a, "work/app", there, &[]);
    clone_of(&b, "code/app", here, &[]);
    is_pulled_into_clone(&a, &b)
}

fn is_pulled_into_clone(a: &Machine, b: &Machine) -> bool {
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.transcript_path(ONE).parent() == Some(&b.project_dir("code/app"))
}

#[test]
fn project_address_case_of_github_path_is_ignored() {
    assert!(lands(
        "git@github.com:acme/app.git",
        "https://github.com/Acme/App"
    ));
}

#[test]
fn project_address_azure_forms_are_one() {
    assert!(lands(
        "git@ssh.dev.azure.com:v3/acme/My%20Project/app",
        "https://acme@dev.azure.com/acme/My%20Project/_git/app"
    ));
}

#[test]
fn project_address_bitbucket_forms_are_one() {
    assert!(lands(
        "ssh://git@bits.example.org:7999/team/app.git",
        "https://al@bits.example.org/scm/TEAM/app.git"
    ));
}

#[cfg(unix)]
#[test]
fn project_address_ssh_alias_is_resolved() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let ssh = a.home.join(".ssh");
    fs::create_dir_all(&ssh).unwrap();
    fs::write(
        ssh.join("config"),
        "Host github.com-work\n  HostName github.com\n  User git\n",
    )
    .unwrap();
    clone_of(&a, "work/app", "git@github.com-work:acme/app.git", &[]);
    clone_of(&b, "code/app", "git@github.com:acme/app.git", &[]);
    assert!(is_pulled_into_clone(&a, &b));
    // Patterns mean the same remote.
    a.ccsync(["config", "exclude", "github.com/acme/*"])
        .success();
    let run = a.ccsync(["push"]).success();
    assert!(run.stdout.contains("1 excluded"), "{run}");
}

#[test]
fn project_address_of_other_repository_formats_is_read() {
    for option in ["--ref-format=reftable", "--object-format=sha256"] {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        let probe = a.home.join("probe");
        let known = a.run(
            a.program("git")
                .args(["init", "--quiet", option])
                .arg(&probe),
        );
        if known.code != Some(0) {
            continue;
        }
        clone_of(&a, "work/app", "git@github.com:acme/app.git", &[option]);
        clone_of(&b, "code/app", "git@github.com:acme/app.git", &[option]);
        git(&b, "code/app", &["config", "user.name", "b"]);
        git(
            &b,
            "code/app",
            &["config", "user.email", "b@example.invalid"],
        );
        git(
            &b,
            "code/app",
            &["commit", "--quiet", "--allow-empty", "--message", "first"],
        );
        git(&b, "code/app", &["worktree", "add", "--quiet", "../side"]);
        assert!(is_pulled_into_clone(&a, &b), "{option}");
        b.ccsync(["config", "exclude", "acme/app"]).success();
        b.session("22222222-0000-4000-8000-000000000002")
            .project("code/side")
            .turn("in a worktree")
            .write();
        let run = b.ccsync(["push"]).success();
        assert!(run.stdout.contains("2 excluded"), "{option} {run}");
    }
}
