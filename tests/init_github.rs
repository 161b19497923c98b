//! `ccsync init` with the real `gh`, signed in to a server on the loopback.

use std::fs;

use serde_json::json;

use crate::harness::{
    CTRL_C, DOWN, ENTER, GitHub, Machine, ONE, Run, Terminal, TestEnv, questions,
};

/// Creates a repository with the session [`ONE`] of another machine, with the turn
/// `hello`.
fn store(github: &GitHub, env: &TestEnv, name: &str, visibility: &'static str) {
    let path = github.repository(name, visibility);
    let machine = env.machine(&format!("writer-of-{}", name.replace('/', "-")));
    machine.init(&path);
    machine.session(ONE).turn("hello").write();
    machine.ccsync(["push"]).success();
}

fn remote_of(machine: &Machine) -> String {
    machine
        .ccsync(["config", "get", "remote"])
        .success()
        .stdout
        .trim()
        .to_owned()
}

/// Asserts that the run failed, set nothing up, and printed each of `words`.
#[track_caller]
fn assert_refused(machine: &Machine, run: &Run, words: &[&str]) {
    assert_eq!(run.code, Some(1), "{run}");
    for word in words {
        assert!(run.stderr.contains(word), "`{word}` is missing\n{run}");
    }
    assert!(
        !machine.home.join(".config/ccsync/config.toml").exists(),
        "{run}"
    );
}

#[test]
fn github_first_init_creates_repository_second_finds_it() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let (a, b) = (env.machine("a"), env.machine("b"));
    github.sign_in(&a, "ssh");
    github.sign_in(&b, "https");
    insta::assert_snapshot!(github.ccsync(&a, &["init", "--github", "--name", "a"]), @r"
      machine  a
      remote   git@github.localhost:al/claude-sessions.git
               al/claude-sessions on github.localhost, private, created now
      HOME     $ROOT/a/home/al
    init: this machine is set up
    --- stderr
    hint: next: `ccsync push`
    --- exit 0
    ");
    assert_eq!(
        github.repositories(),
        [("al/claude-sessions".to_owned(), "PRIVATE".to_owned())]
    );
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    insta::assert_snapshot!(github.ccsync(&b, &["init", "--github", "--name", "b"]), @r"
      machine  b
      remote   https://github.localhost/al/claude-sessions.git
               al/claude-sessions on github.localhost, private
      others   a
      HOME     $ROOT/b/Users/alex/deep.er
    init: this machine is set up
    --- stderr
    hint: next: `ccsync resume`
    --- exit 0
    ");
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    github.assert_no_unknown_request();
}

#[test]
fn github_plain_init_needs_only_enter() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let (a, b) = (env.machine("a"), env.machine("b"));
    for (machine, offered) in [
        (
            &a,
            "> a new private repository on GitHub: al/claude-sessions",
        ),
        (
            &b,
            "> al/claude-sessions on github.localhost, private, has sessions",
        ),
    ] {
        github.sign_in(machine, "ssh");
        if machine.name == "b" {
            a.give_key(machine);
        }
        let terminal = Terminal::start(github.command(machine, &["init", "--no-auto"]), 120, 20);
        terminal.wait_for("Where your sessions go:");
        terminal.wait_for(offered);
        terminal.wait_for_raw();
        terminal.type_in(ENTER);
        if machine.name == "a" {
            terminal.wait_for("Encrypt your sessions");
            terminal.wait_for_raw();
            terminal.type_in(ENTER);
        }
        terminal.wait_for("init: this machine is set up");
        terminal.end().assert_restored().code(0);
        assert_eq!(
            remote_of(machine),
            "git@github.localhost:al/claude-sessions.git"
        );
    }
    assert_eq!(
        github.repositories(),
        [("al/claude-sessions".to_owned(), "PRIVATE".to_owned())]
    );
    github.assert_no_unknown_request();
}

#[test]
fn github_init_asks_until_remote_is_set() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    github.sign_in(&a, "ssh");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let without = ["init", "--no-auto", "--no-encrypt"];
    let terminal = Terminal::start(github.command(&a, &without), 120, 20);
    terminal.wait_for("> a new private repository on GitHub: al/claude-sessions");
    terminal.wait_for_raw();
    terminal.type_in(ENTER);
    terminal.wait_for("1 session sent from this disk");
    terminal.end().assert_restored().code(0);
    assert_eq!(remote_of(&a), "git@github.localhost:al/claude-sessions.git");
    let terminal = Terminal::start(github.command(&a, &["init", "--no-auto"]), 120, 20);
    terminal.wait_for("init: this machine is up to date");
    terminal.end().assert_restored().code(0);
    github.assert_no_unknown_request();
}

#[test]
fn github_doctor_checks_visibility_on_any_host() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    github.sign_in(&a, "ssh");
    github.repository("al/open", "PUBLIC");
    for (name, said) in [
        ("mine", "ok       visibility"),
        ("open", "error    visibility"),
    ] {
        github
            .ccsync(&a, &["init", "--github", name, "--allow-public", "--yes"])
            .success();
        let run = github.ccsync(&a, &["doctor"]);
        assert!(run.stdout.contains(said), "{run}");
    }
    github.assert_no_unknown_request();
}

#[test]
fn github_init_other_address_creates_no_repository() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let (a, b) = (env.machine("a"), env.machine("b"));
    let elsewhere = env.bare_remote();
    for machine in [&a, &b] {
        github.sign_in(machine, "ssh");
    }
    let terminal = Terminal::start(github.command(&a, &["init", "--no-auto"]), 120, 20);
    terminal.wait_for("> a new private repository");
    terminal.wait_for_raw();
    terminal.type_in(DOWN);
    terminal.wait_for("> another git repository");
    terminal.type_in(ENTER);
    terminal.wait_for("Private git repository for your sessions");
    terminal.type_in(elsewhere.to_str().unwrap());
    terminal.type_in(ENTER);
    terminal.wait_for("init: this machine is set up");
    terminal.end().assert_restored().code(0);
    let terminal = Terminal::start(github.command(&b, &["init", "--no-auto"]), 120, 20);
    terminal.wait_for("> a new private repository");
    terminal.wait_for_raw();
    terminal.type_in(CTRL_C);
    terminal.end().assert_restored().code(130);
    assert_eq!(
        (remote_of(&a).as_str(), github.repositories().len()),
        (elsewhere.to_str().unwrap(), 0)
    );
}

#[test]
fn github_init_finds_store_of_any_name() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let (a, b) = (env.machine("a"), env.machine("b"));
    store(&github, &env, "al/talks", "PRIVATE");
    store(&github, &env, "other/claude-sessions", "PRIVATE");
    github.used_repository("al/project", &a);
    github.sign_in(&a, "ssh");
    github.ccsync(&a, &["init", "--github"]).success();
    assert_eq!(remote_of(&a), "git@github.localhost:al/talks.git");
    // A given name is used, also one with an owner.
    github.sign_in(&b, "ssh");
    github.ccsync(&b, &["init", "--github", "mine"]).success();
    assert_eq!(remote_of(&b), "git@github.localhost:al/mine.git");
    github
        .ccsync(&b, &["init", "--github", "other/claude-sessions"])
        .success();
    assert_eq!(
        remote_of(&b),
        "git@github.localhost:other/claude-sessions.git"
    );
    github
        .ccsync(&b, &["init", "--github", "github.localhost/al/talks"])
        .success();
    assert_eq!(remote_of(&b), "git@github.localhost:al/talks.git");
    github.assert_no_unknown_request();
}

#[test]
fn github_init_several_stores_needs_choice() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    store(&github, &env, "al/one", "PRIVATE");
    store(&github, &env, "al/two", "PRIVATE");
    github.sign_in(&a, "ssh");
    let run = github.ccsync(&a, &["init", "--github"]);
    assert_refused(&a, &run, &["al/one, al/two", "ccsync init --github al/one"]);
    github.ccsync(&a, &["init", "--github", "two"]).success();
    assert_eq!(remote_of(&a), "git@github.localhost:al/two.git");
}

#[test]
fn github_init_public_repository_needs_two_flags() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    store(&github, &env, "al/claude-sessions", "PUBLIC");
    let by_hand = "git@github.localhost:al/claude-sessions.git";
    for (n, choice) in [&["--github"][..], &["--remote", by_hand]]
        .into_iter()
        .enumerate()
    {
        let machine = env.machine(&format!("m{n}"));
        github.sign_in(&machine, "ssh");
        let with = |more: &[&str]| github.ccsync(&machine, &[&["init"], choice, more].concat());
        for more in [&[][..], &["--allow-public"], &["--yes"]] {
            let words = [
                "al/claude-sessions is public",
                "gh api --method PATCH repos/al/claude-sessions -f visibility=private",
            ];
            assert_refused(&machine, &with(more), &words);
        }
        let terminal = Terminal::start(
            github.command(
                &machine,
                &[&["init", "--no-auto"], choice, &["--allow-public"]].concat(),
            ),
            120,
            20,
        );
        terminal.wait_for("others can read every session in it");
        terminal.wait_for_raw();
        terminal.type_in(&format!("no{ENTER}"));
        let ended = terminal.end().assert_restored().code(0);
        assert!(
            ended.text().contains("nothing was set up"),
            "{}",
            ended.text()
        );
        let run = with(&["--allow-public", "--yes"]).success();
        assert!(
            run.stdout
                .contains("al/claude-sessions on github.localhost, public"),
            "{run}"
        );
    }
    let late = env.machine("late");
    github.sign_in(&late, "ssh");
    late.ccsync(["init", "--yes"]).success();
    let run = github.ccsync(&late, &["config", "set", "remote", by_hand]);
    assert!(
        run.code == Some(1) && run.stderr.contains("is public"),
        "{run}"
    );
    let asked = github.asked();
    let machine = env.machine("m9");
    github.sign_in(&machine, "ssh");
    github
        .ccsync(&machine, &["init", "--no-github", "--remote", by_hand])
        .success();
    assert_eq!(github.asked(), asked, "GitHub was asked nevertheless");
    store(&github, &env, "al/firm", "INTERNAL");
    let run = github.ccsync(&env.machine("m1"), &["init", "--github", "firm"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("al/firm is internal"),
        "{run}"
    );
}

#[test]
fn github_init_repository_with_other_content_is_refused() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    github.used_repository("al/claude-sessions", &a);
    github.sign_in(&a, "ssh");
    for args in [
        &["init", "--github"][..],
        &["init", "--github", "claude-sessions"],
    ] {
        let words = [
            "al/claude-sessions is not empty",
            "ccsync init --github ANOTHER-NAME",
        ];
        assert_refused(&a, &github.ccsync(&a, args), &words);
    }
    // In a terminal, init asks for another name.
    let without = ["init", "--no-auto", "--no-encrypt"];
    let terminal = Terminal::start(github.command(&a, &without), 120, 20);
    terminal.wait_for("> a new private repository on GitHub");
    terminal.wait_for_raw();
    terminal.type_in(ENTER);
    terminal.wait_for("Name of the repository");
    terminal.type_in(&format!("talks{ENTER}"));
    terminal.wait_for("init: this machine is set up");
    terminal.end().assert_restored().code(0);
    assert_eq!(remote_of(&a), "git@github.localhost:al/talks.git");
}

#[test]
fn github_init_uses_empty_repository_if_writable() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let (a, b) = (env.machine("a"), env.machine("b"));
    github.repository("al/claude-sessions", "PRIVATE");
    github.sign_in(&a, "ssh");
    github.sign_in(&b, "ssh");
    github.ccsync(&a, &["init", "--github"]).success();
    for (permission, archived) in [("ADMIN", true), ("READ", false)] {
        github.permit("al/claude-sessions", permission, archived);
        let words = [
            "cannot write to al/claude-sessions",
            "gh repo view al/claude-sessions",
        ];
        assert_refused(&b, &github.ccsync(&b, &["init", "--github"]), &words);
    }
}

#[test]
fn github_init_without_git_access_names_command() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    for (name, protocol, command) in [
        ("a", "https", "gh auth setup-git"),
        ("b", "ssh", "ssh -T git@github.localhost"),
    ] {
        let machine = env.machine(name);
        let path = github.repository(&format!("al/{name}"), "PRIVATE");
        fs::remove_dir_all(path).unwrap();
        github.sign_in(&machine, protocol);
        let run = github.ccsync(&machine, &["init", "--github", name]);
        assert_refused(
            &machine,
            &run,
            &[
                command,
                &format!("then run `ccsync init --github github.localhost/al/{name}`"),
            ],
        );
    }
}

#[test]
fn github_every_refusal_shows_message_and_command() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    github.sign_in(&a, "https");
    github.refuse_creation(
        "FORBIDDEN",
        "al does not have the correct permissions to execute `CreateRepository`",
    );
    let run = github.ccsync(&a, &["init", "--github"]);
    assert_refused(
        &a,
        &run,
        &[
            "denied the request",
            "correct permissions",
            "gh auth refresh -s repo",
        ],
    );
    github.refuse_creation("UNPROCESSABLE", "Name already exists on this account");
    let run = github.ccsync(&a, &["init", "--github"]);
    assert_refused(
        &a,
        &run,
        &[
            "already exists on GitHub",
            "ccsync init --github ANOTHER-NAME",
        ],
    );
    let saml = "Resource protected by organization SAML enforcement. You must grant your OAuth token access";
    let of_graphql =
        |kind: &str, message: &str| json!({"errors": [{"type": kind, "message": message}]});
    for (status, body, words) in [
        (
            401,
            json!({"message": "Bad credentials"}),
            ["not signed in", "Bad credentials", "gh auth login"],
        ),
        (
            200,
            of_graphql("RATE_LIMITED", "API rate limit exceeded for user ID 1."),
            ["rate limit exceeded", "user ID 1", "gh api rate_limit"],
        ),
        (
            200,
            of_graphql("FORBIDDEN", saml),
            ["single sign-on", "SAML", "gh auth refresh"],
        ),
        (
            502,
            json!({"message": "Bad\u{1b}[2J Gateway"}),
            ["cannot reach GitHub", "Bad", "gh api user"],
        ),
        (
            200,
            json!({"data": 5}),
            ["cannot parse", "unknown form", "gh api user"],
        ),
    ] {
        github.answer_everything_with(status, &body);
        let run = github.ccsync(&a, &["init", "--github"]);
        assert_refused(&a, &run, &words);
        assert!(
            !run.stderr.contains('\u{1b}') && run.stderr.contains("ccsync init --remote URL"),
            "{run}"
        );
    }
    // In a terminal, init asks for an address.
    let terminal = Terminal::start(github.command(&a, &["init", "--no-auto"]), 120, 20);
    terminal.wait_for("GitHub skipped");
    terminal.wait_for("Private git repository for your sessions");
}

#[test]
fn github_without_gh_login_hints_at_remote_url() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    let run = github.ccsync(&a, &["init", "--github"]);
    assert_refused(
        &a,
        &run,
        &[
            "`gh` is not signed in",
            "gh auth login",
            "ccsync init --remote URL",
        ],
    );
    let terminal = Terminal::start(github.command(&a, &["init", "--no-auto"]), 120, 20);
    terminal.wait_for("gh auth login");
    terminal.wait_for("Private git repository for your sessions");
    drop(terminal);
    let run = a.run(
        github
            .command(&a, &["init", "--github"])
            .env("PATH", "/nowhere"),
    );
    assert_refused(&a, &run, &["`gh`", "on the PATH", "https://cli.github.com"]);
    assert_eq!(github.asked(), 0);
    // The repeat does not choose this disk in place of GitHub.
    github.ccsync(&a, &["init"]).code(1);
    a.ccsync(["init", "--no-github"]).success();
}

#[test]
fn github_without_terminal_needs_explicit_flag() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    github.sign_in(&a, "ssh");
    let run = github.ccsync(&a, &["init"]).success();
    assert!(run.stderr.contains("saved on this disk only"), "{run}");
    github.ccsync(&a, &["init", "--yes"]).success();
    github
        .ccsync(
            &a,
            &[
                "init",
                "--yes",
                "--remote",
                env.bare_remote().to_str().unwrap(),
            ],
        )
        .success();
    assert_eq!((github.asked(), github.repositories().len()), (0, 0));
}

#[test]
fn github_token_is_never_shown_and_json_is_complete() {
    let env = TestEnv::new();
    let Some(github) = GitHub::start(&env) else {
        return;
    };
    let a = env.machine("a");
    github.sign_in(&a, "https");
    let run = a.run(
        github
            .command(&a, &["init", "--github", "--json"])
            .env("GH_DEBUG", "api")
            .env("CLICOLOR_FORCE", "1"),
    );
    let run = run.success();
    assert!(
        !format!("{}{}", run.stdout, run.stderr).contains("gho_hush"),
        "{run}"
    );
    let found = json!({"host": "github.localhost", "name": "al/claude-sessions", "visibility": "private", "created": true});
    assert_eq!(run.json()["github"], found);
    assert_eq!(
        a.ccsync(["init", "--yes", "--json"]).success().json()["github"],
        json!(null)
    );
    for wrong in [
        &["init", "--github", "a b"][..],
        &["init", "--github", "x", "--remote", "y"],
        &["init", "--github", "--no-github"],
    ] {
        github.ccsync(&a, wrong).code(2);
    }
}
