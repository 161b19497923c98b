//! The help, the manual pages and the completions name every command.

use crate::harness::TestEnv;

/// Every command with a help text of its own, in the order of the help.
const COMMANDS: &[&str] = &[
    "",
    "resume",
    "start",
    "push",
    "pull",
    "sync",
    "status",
    "note",
    "list",
    "show",
    "search",
    "notes",
    "secrets",
    "lock",
    "lock show",
    "lock release",
    "lock cleanup",
    "log",
    "stats",
    "undo",
    "restore",
    "milestone",
    "delete",
    "purge",
    "auto",
    "auto on",
    "auto off",
    "auto status",
    "daemon",
    "service",
    "service install",
    "service remove",
    "service status",
    "statusline",
    "shell-init",
    "catch-up",
    "doctor",
    "recover",
    "verify",
    "repair",
    "init",
    "config",
    "config show",
    "config get",
    "config set",
    "config include",
    "config exclude",
    "config add-placeholder",
    "config set-path",
    "machine",
    "machine list",
    "machine rename",
    "machine forget",
    "key",
    "key check",
    "key words",
    "key show",
    "key passphrase",
    "key rotate",
    "encrypt",
    "apply",
    "import",
    "completions",
    "man",
    "install-docs",
    "self-update",
    "demo",
    "help",
];

/// Titles of the groups in the help, in their order.
const GROUPS: &[&str] = &[
    "Daily use:",
    "Look:",
    "History:",
    "By itself:",
    "Check and repair:",
    "Set up:",
];

#[test]
fn help_lists_every_command_in_a_group() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let help = a.ccsync(["--help"]).success().stdout;
    let titles: Vec<&str> = help.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!(titles[..GROUPS.len()], *GROUPS);

    let commands = help.lines().skip_while(|line| *line != GROUPS[0]);
    let names: Vec<&str> = commands
        .take_while(|line| *line != "Options:")
        .filter(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = COMMANDS
        .iter()
        .filter(|c| !c.is_empty() && !c.contains(' '));
    assert_eq!(names, expected.copied().collect::<Vec<_>>());
}

#[test]
fn help_of_command_equals_its_help_option() {
    let env = TestEnv::new();
    let a = env.machine("a");
    for command in COMMANDS {
        let words = || command.split_whitespace();
        let help = a.ccsync(["help"].into_iter().chain(words())).success();
        let option = a.ccsync(words().chain(["--help"])).success();
        assert_eq!(help.stdout, option.stdout, "{command}");
    }
    let unknown = a.ccsync(["help", "psh"]).code(2);
    assert!(unknown.stderr.contains("'push'"), "{unknown}");
}

#[test]
fn help_former_command_name_is_hidden_and_works() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let help = a.ccsync(["--help"]).success().stdout;
    assert!(!help.contains("  update"));
    assert_eq!(
        a.ccsync(["update", "--help"]).success().stdout,
        a.ccsync(["recover", "--help"]).success().stdout
    );
}

#[test]
fn man_pages_name_every_command_and_have_all_sections() {
    let env = TestEnv::new();
    let a = env.machine("a");
    for command in COMMANDS {
        let words = command.split_whitespace();
        let page = a.ccsync(["man"].into_iter().chain(words)).success().stdout;
        let name = format!("ccsync {command}");
        let name = name.trim_end().replace(' ', "-").replace('-', "\\-");
        assert!(page.contains(&format!("\n{name} \\- ")), "{command}");
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXAMPLES",
            "FILES",
            "ENVIRONMENT",
            "EXIT STATUS",
        ] {
            let heading = format!("\n.SH {section}\n").replace("EXIT STATUS", "\"EXIT STATUS\"");
            assert!(page.contains(&heading), "{command}: {section}");
        }
    }
    let unknown = a.ccsync(["man", "psh"]).code(2);
    assert!(unknown.stderr.contains("'push'"), "{unknown}");
}

#[test]
fn completions_scripts_register_every_shell() {
    let env = TestEnv::new();
    let a = env.machine("a");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = a.ccsync(["completions", shell]).success().stdout;
        assert!(
            script.contains("COMPLETE") && script.contains(shell),
            "{script}"
        );
    }
}

#[test]
fn demo_plays_its_story_and_says_how_to_remove_it() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let before = a.tree();
    let demo = a.ccsync(["demo"]).success();
    for shown in [
        "laptop $ ccsync start\n",
        "desk $ ccsync resume --latest\n",
        "laptop $ ccsync lock show\n",
        "desk $ ccsync sync\n",
        "(fork of ",
        "\nEverything worked\n",
    ] {
        assert!(demo.stdout.contains(shown), "{shown}\n{demo}");
    }
    let last = demo.stdout.lines().last().unwrap();
    let directory = last.strip_prefix("to remove them: rm -r ").unwrap();
    assert!(std::path::Path::new(directory).is_dir(), "{last}");
    assert_eq!(a.tree(), before, "the demo touches nothing of the user's");
}
