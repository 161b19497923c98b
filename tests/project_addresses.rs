//! One project has many addresses: a session lands in the clone that is here, whatever the form of
//! its remote, and follows patterns for any of them.

use std::fs;
use std::path::PathBuf;

use ccsync::domain::{BundleId, ProjectIdentity, ProjectKey};

use crate::harness::{Machine, ONE, TWO, TestEnv};
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

/// Turns the memory of `from` in the store into that of `to`, as earlier programs named it.
fn rename_memory(env: &TestEnv, machine: &Machine, from: &str, to: &str) {
    let id = |address: &str| {
        BundleId::from_project(&ProjectKey::Identity(
            ProjectIdentity::new(address).unwrap(),
        ))
    };
    let (old, new) = (id(from).to_string(), id(to).to_string());
    let copy = machine.home.join("copy");
    let run = |args: &[&str]| {
        let mut git = machine.program("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"]);
        machine.run(git.args(args)).success();
    };
    let copy_text = copy.to_str().unwrap().to_owned();
    run(&[
        "clone",
        "--quiet",
        env.remote_of_pair().to_str().unwrap(),
        &copy_text,
    ]);
    fs::rename(copy.join(&old), copy.join(&new)).unwrap();
    let description = copy.join(&new).join("bundle.json");
    let text = fs::read_to_string(&description).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&description, text.replace(from, to)).unwrap();
    run(&["-C", &copy_text, "add", "--all"]);
    run(&["-C", &copy_text, "commit", "--quiet", "--message", "older"]);
    run(&["-C", &copy_text, "push", "--quiet"]);
}

#[test]
fn memory_under_address_in_another_case_is_merged() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let note = |machine: &Machine, project: &str| -> PathBuf {
        machine.project_dir(project).join("memory/MEMORY.md")
    };
    let write = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    clone_of(&a, "work/app", "https://github.com/Acme/App", &[]);
    a.session(ONE).turn("hello").write();
    write(note(&a, "work/app"), "- from a\n");
    write(note(&a, "work/app").with_file_name("more.md"), "- more\n");
    a.ccsync(["push"]).success();
    rename_memory(&env, &a, "github.com/acme/app", "github.com/Acme/App");
    fs::remove_dir_all(a.home.join(".local")).unwrap();
    fs::remove_dir_all(a.home.join(".claude")).unwrap();

    clone_of(&b, "code/app", "git@github.com:acme/app", &[]);
    b.session(TWO).project("code/app").turn("hello").write();
    write(note(&b, "code/app"), "- from b\n");
    // Without a common version, both are kept, as a conflict.
    b.ccsync(["sync"]).code(5);
    let both = fs::read_to_string(note(&b, "code/app")).unwrap();
    assert!(
        both.contains("- from a") && both.contains("- from b"),
        "{both}"
    );
    assert!(note(&b, "code/app").with_file_name("more.md").exists());

    // A file that is deleted afterwards does not come back, and nothing is left to do.
    fs::remove_file(note(&b, "code/app").with_file_name("more.md")).unwrap();
    write(note(&b, "code/app"), "- from b\n");
    b.ccsync(["sync"]).success();
    let run = b.ccsync(["sync"]).success();
    assert!(run.stdout.contains("nothing to push"), "{run}");
    assert!(!note(&b, "code/app").with_file_name("more.md").exists());
    assert_eq!(
        fs::read_to_string(note(&b, "code/app")).unwrap(),
        "- from b\n"
    );
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    clone_of(&c, "src/app", "https://github.com/ACME/app", &[]);
    c.ccsync(["pull"]).success();
    assert_eq!(
        fs::read_to_string(note(&c, "src/app")).unwrap(),
        "- from b\n"
    );
}
