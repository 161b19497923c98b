//! The whole help text, so that no option changes unseen.

use crate::harness::TestEnv;

/// Every command with a help text of its own.
const COMMANDS: &[&str] = &[
    "",
    "resume",
    "start",
    "init",
    "push",
    "pull",
    "sync",
    "update",
    "status",
    "list",
    "show",
    "search",
    "lock",
    "lock show",
    "lock release",
    "lock cleanup",
    "log",
    "restore",
    "milestone",
    "note",
    "notes",
    "machine",
    "machine list",
    "machine rename",
    "machine forget",
    "apply",
    "undo",
    "verify",
    "repair",
    "import",
    "doctor",
    "config",
    "config show",
    "config get",
    "config set",
    "config include",
    "config exclude",
    "config add-placeholder",
    "config set-path",
    "demo",
    "completions",
    "man",
];

#[test]
fn help_of_every_command_matches_snapshot() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let mut text = String::new();
    for command in COMMANDS {
        let args = command.split_whitespace().chain(["--help"]);
        text.push_str(&format!(
            "$ ccsync {}\n{}\n",
            args.clone().collect::<Vec<_>>().join(" "),
            a.ccsync(args).success().stdout
        ));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn help_snapshot_covers_every_command() {
    let env = TestEnv::new();
    let a = env.machine("a");
    for parent in ["", "config"] {
        let help = a
            .ccsync(parent.split_whitespace().chain(["--help"]))
            .success()
            .stdout;
        let listed = help
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty());
        let names: Vec<&str> = listed
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(!names.is_empty());
        for name in names {
            let command = format!("{parent} {name}");
            assert!(COMMANDS.contains(&command.trim()), "{command}");
        }
    }
}

#[test]
fn man_and_completions_name_every_command() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let man = a.ccsync(["man"]).success().stdout;
    for command in COMMANDS
        .iter()
        .filter(|c| !c.is_empty() && !c.contains(' '))
    {
        assert!(man.contains(&format!("ccsync\\-{command}")), "{command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            a.ccsync(["completions", shell])
                .success()
                .stdout
                .contains("add-placeholder"),
            "{shell}"
        );
    }
}

#[test]
fn demo_runs_to_success() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let before = a.tree();
    let demo = a.ccsync(["demo"]).success();
    assert!(
        demo.stdout.contains("demo: everything came out as told"),
        "{demo}"
    );
    assert!(demo.stdout.contains("laptop $ ccsync push"), "{demo}");
    assert_eq!(a.tree(), before, "the demo touches nothing of the person's");
}
