//! Completion in shells, and `ccsync install-docs`. The program is called as the scripts of
//! the shells call it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Machine, ONE, TestEnv, tree};

/// Completes the last of `words` as zsh does, and returns the candidates with their
/// descriptions.
fn candidates(machine: &Machine, words: &[&str]) -> Vec<String> {
    let mut command = machine.command(["--", "ccsync"].iter().chain(words));
    command
        .env("COMPLETE", "zsh")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n");
    let run = machine.run(&mut command).success();
    assert_eq!(run.stderr, "", "{words:?}");
    run.stdout.lines().map(str::to_owned).collect()
}

/// Completes as bash does after a second TAB.
fn bash_candidates(machine: &Machine, words: &[&str]) -> String {
    let mut command = machine.command(["--", "ccsync"].iter().chain(words));
    command
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "63");
    machine.run(&mut command).success().stdout
}

fn has(candidates: &[String], start: &str) -> bool {
    candidates.iter().any(|line| line.starts_with(start))
}

#[test]
fn completion_sessions_have_titles() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let never_pushed = "22222222-0000-4000-8000-000000000002";
    let session = a.session(never_pushed).turn("not pushed: yet\u{1b}[2J");
    session.write();
    fs::remove_file(b.transcript_path(ONE)).unwrap();

    for command in [
        "resume", "show", "pull", "log", "verify", "repair", "restore",
    ] {
        let found = candidates(&a, &[command, ""]);
        assert!(has(&found, &format!("{ONE}:hello, ~/")), "{found:#?}");
        assert!(
            has(
                &found,
                &format!("{never_pushed}:not pushed: yet\\\\u{{1b}}")
            ),
            "{found:#?}"
        );
        assert!(
            has(&candidates(&b, &[command, "1111"]), ONE),
            "only in the store"
        );
    }
    assert!(has(&candidates(&a, &["lock", "release", "1"]), ONE));
    assert_eq!(candidates(&a, &["show", "33"]), [""; 0]);
    let shown = bash_candidates(&a, &["show", ""]);
    assert!(shown.contains(&format!("{ONE}  (hello, ~/")), "{shown}");
}

#[test]
fn completion_machines_milestones_and_settings_are_described() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["push"]).success();
    a.ccsync(["milestone", "before-the-move"]).success();
    a.add_placeholder("WORK=/srv/work");

    for words in [
        &["list", "--from", ""][..],
        &["resume", "--from", ""],
        &["note", "x", "--for", ""],
        &["machine", "forget", ""],
        &["config", "set-path", "WORK", ""],
    ] {
        let found = candidates(&a, words);
        assert!(has(&found, "a:this machine"), "{words:?} {found:#?}");
        assert!(has(&found, "b:"), "{words:?} {found:#?}");
    }
    let milestones = candidates(&a, &["restore", "--milestone", "b"]);
    assert!(has(&milestones, "before-the-move:"), "{milestones:?}");
    assert!(milestones[0].ends_with(", a"), "{milestones:?}");
    assert!(has(
        &candidates(&a, &["config", "set-path", ""]),
        "WORK:/srv/work"
    ));
    let settings = candidates(&a, &["config", "set", ""]);
    assert!(has(&settings, "max_size:largest session"), "{settings:?}");
}

#[test]
fn completion_commands_and_options_are_described() {
    let env = TestEnv::new();
    let a = env.machine("a");
    assert_eq!(
        candidates(&a, &["res"]),
        [
            "resume:Continue a session, started here or on another machine",
            "restore:Restore sessions to an earlier state"
        ]
    );
    assert!(has(&candidates(&a, &["help", "sta"]), "status:Show what"));
    assert!(has(&candidates(&a, &["man", "sta"]), "status:Show what"));
    assert!(has(&candidates(&a, &["config", ""]), "add-placeholder:"));
    assert!(has(
        &candidates(&a, &["push", "--d"]),
        "--dry-run:Show what would be done"
    ));
    assert!(
        !has(&candidates(&a, &["list", "--f"]), "--format"),
        "it is hidden"
    );
}

#[test]
fn completion_changes_nothing_and_needs_no_setup() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.session(ONE).turn("hello").write();
    let before = a.tree();
    candidates(&a, &["show", ""]);
    assert_eq!(candidates(&a, &["list", "--from", "a"]), [""; 0]);
    assert_eq!(a.tree(), before);

    let (a, _) = env.pair_with_session();
    let before = tree(&a.data());
    candidates(&a, &["show", ""]);
    candidates(&a, &["restore", "--milestone", ""]);
    assert_eq!(tree(&a.data()), before);
}

#[test]
fn completion_script_in_bash_gives_candidates() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    a.ccsync(["install-docs", "bash"]).success();
    let script = a
        .home
        .join(".local/share/bash-completion/completions/ccsync");
    let program = Path::new(env!("CARGO_BIN_EXE_ccsync"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let question = format!(
        "source '{}'; COMP_WORDS=(ccsync show 11); COMP_CWORD=2; COMP_TYPE=9; \
         _clap_complete_ccsync ccsync 11 show; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let mut bash = a.program("bash");
    bash.env("PATH", path).args(["--norc", "-c", &question]);
    assert_eq!(a.run(&mut bash).success().stdout, format!("{ONE}\n"));
}

/// Returns the files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(directory).sort_by_file_name();
    let entries = entries.into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| entry.path().strip_prefix(directory).unwrap().to_owned())
        .collect()
}

#[test]
fn install_docs_writes_shows_and_removes_its_files() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let data = a.home.join(".local/share");
    let all = ["bash", "zsh", "fish", "elvish", "powershell"];
    let planned = a
        .ccsync(["install-docs", "--dry-run"].iter().chain(&all))
        .success();
    assert!(
        planned.stdout.contains("files would be written"),
        "{planned}"
    );
    assert_eq!(files(&data), Vec::<PathBuf>::new());

    let written = a.ccsync(["install-docs"].iter().chain(&all)).success();
    let installed = files(&data);
    for file in [
        "man/man1/ccsync.1",
        "man/man1/ccsync-lock-show.1",
        "bash-completion/completions/ccsync",
        "zsh/site-functions/_ccsync",
        "fish/vendor_completions.d/ccsync.fish",
        "elvish/lib/ccsync.elv",
        "powershell/completions/ccsync.ps1",
    ] {
        assert!(installed.contains(&file.into()), "{file}");
    }
    let total = format!("install-docs: {} files written", installed.len());
    assert!(written.stdout.ends_with(&format!("{total}\n")), "{written}");
    for named in ["man/man1: ", "/_ccsync\n", "/ccsync.fish\n"] {
        assert!(written.stdout.contains(named), "{written}");
    }
    assert!(written.stderr.contains("fpath=('"), "{written}");

    let removed = a.ccsync(["install-docs", "--uninstall"]).success();
    assert_eq!(files(&data), Vec::<PathBuf>::new());
    assert!(
        removed
            .stdout
            .contains(&format!("{} files removed", installed.len())),
        "{removed}"
    );
}

#[test]
fn install_docs_default_shell_is_login_shell() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let mut command = a.command(["install-docs"]);
    command.env("SHELL", "/usr/bin/fish");
    a.run(&mut command).success();
    let installed = files(&a.home.join(".local/share"));
    assert!(installed.contains(&"fish/vendor_completions.d/ccsync.fish".into()));
    assert!(!installed.contains(&"zsh/site-functions/_ccsync".into()));
}
