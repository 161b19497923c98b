//! The user's files beside CLAUDE.md: those that travel, and those that are named as staying.

use std::fs;
use std::path::Path;

use crate::harness::{Machine, ONE, TWO, TestEnv};

fn write(machine: &Machine, name: &str, text: &str) {
    let path = machine.home.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(machine: &Machine, name: &str) -> Option<String> {
    fs::read_to_string(machine.home.join(name)).ok()
}

/// The lines of a push that name what stays here.
fn staying(machine: &Machine) -> Vec<String> {
    let run = machine.ccsync(["push"]).success();
    let lines = run.stdout.lines().map(str::trim);
    let staying = lines.filter(|line| line.starts_with("stays here: "));
    staying
        .map(|line| line.replace(machine.home.to_str().unwrap(), "~"))
        .collect()
}

#[test]
fn agent_memory_rules_and_styles_are_synced() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let note = format!("see {}/work\n", a.home.display());
    write(&a, ".claude/agent-memory/scribe/MEMORY.md", &note);
    write(&a, ".claude/rules/rust/style.md", "short\n");
    write(&a, ".claude/output-styles/terse.md", "terse\n");
    write(&a, ".claude/rules/check.sh", "exit 1\n");
    write(&a, ".claude/rules/.draft.md", "draft\n");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(
        read(&b, ".claude/agent-memory/scribe/MEMORY.md"),
        Some(format!("see {}/work\n", b.home.display()))
    );
    assert_eq!(
        read(&b, ".claude/rules/rust/style.md").as_deref(),
        Some("short\n")
    );
    assert_eq!(
        read(&b, ".claude/output-styles/terse.md").as_deref(),
        Some("terse\n")
    );
    for name in ["check.sh", ".draft.md"] {
        assert_eq!(read(&b, &format!(".claude/rules/{name}")), None, "{name}");
    }

    write(&b, ".claude/agent-memory/scribe/MEMORY.md", "none\n");
    fs::remove_file(b.home.join(".claude/rules/rust/style.md")).unwrap();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(
        read(&a, ".claude/agent-memory/scribe/MEMORY.md").as_deref(),
        Some("none\n")
    );
    assert_eq!(read(&a, ".claude/rules/rust/style.md"), None);
}

#[test]
fn agent_memory_stays_if_projects_are_excluded() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.ccsync(["config", "exclude", "~/secret"]).success();
    write(
        &a,
        ".claude/agent-memory/scribe/MEMORY.md",
        "about ~/secret\n",
    );
    write(&a, ".claude/rules/style.md", "short\n");
    assert_eq!(
        staying(&a),
        [
            "stays here: agent-memory/scribe/MEMORY.md: an agent may have written it in a project \
          that the settings exclude"
        ]
    );
    b.ccsync(["pull"]).success();
    assert_eq!(read(&b, ".claude/agent-memory/scribe/MEMORY.md"), None);
    assert_eq!(
        read(&b, ".claude/rules/style.md").as_deref(),
        Some("short\n")
    );
}

#[test]
fn skill_hidden_files_are_synced_without_secrets() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    for machine in [&a, &b] {
        machine
            .ccsync(["config", "set", "extras", "skills"])
            .success();
    }
    let token = format!("TOKEN=ghp_{}\n", "a1B2".repeat(10));
    for (name, text) in [
        ("SKILL.md", "skill\n"),
        (".env.example", "TOKEN=\n"),
        (".env", "TOKEN=x\n"),
        (".ssh/config", "Host x\n"),
        (".git/config", "[core]\n"),
        ("._SKILL.md", "Mac OS X\n"),
        (".claude-plugin/plugin.json", "{}\n"),
        (".config", &token),
    ] {
        write(&a, &format!(".claude/skills/x/{name}"), text);
    }
    assert_eq!(
        staying(&a),
        [
            "stays here: ~/.claude/skills/x/.env: its name is that of a secret",
            "stays here: ~/.claude/skills/x/.ssh: its name is that of a secret",
            "stays here: skills/x/.config: it holds what looks like a GitHub token",
        ]
    );
    b.ccsync(["pull"]).success();
    b.ccsync(["apply", "--yes"]).success();
    let mut there: Vec<String> = walkdir::WalkDir::new(b.home.join(".claude/skills/x"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.file_name().to_str().unwrap().to_owned())
        .collect();
    there.sort();
    assert_eq!(there, [".env.example", "SKILL.md", "plugin.json"]);
}

#[test]
fn moved_memory_and_plans_are_named_once() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    write(
        &a,
        "work/app/.claude/settings.local.json",
        r#"{"autoMemoryDirectory":"~/notes"}"#,
    );
    write(&a, "work/app/.claude/agent-memory/scribe/MEMORY.md", "x\n");
    write(
        &a,
        ".claude/settings.json",
        r#"{"autoMemoryDirectory":"~/mem","plansDirectory":"docs"}"#,
    );
    a.session(ONE).turn("hello").write();
    let user = [
        "stays here: ~/mem: memory is there because of `autoMemoryDirectory` in \
         ~/.claude/settings.json",
        "stays here: docs: plans are there because of `plansDirectory` in ~/.claude/settings.json",
    ];
    let project = [
        "stays here: ~/notes: memory is there because of `autoMemoryDirectory` in \
         ~/work/app/.claude/settings.local.json",
        "stays here: ~/work/app/.claude/agent-memory: memory of agents that belongs to the \
         project's repository",
    ];
    assert_eq!(staying(&a), [user, project].concat());
    a.append(ONE, "more");
    assert_eq!(staying(&a), [""; 0]);
    let status = a.ccsync(["status"]).success().stdout;
    assert!(
        status.contains("stays here: ~/mem: memory is there"),
        "{status}"
    );

    a.ccsync(["config", "set", "extras", "claude-md"]).success();
    let status = a.ccsync(["status"]).success().stdout;
    assert!(!status.contains("stays here"), "{status}");
}

#[test]
fn imported_files_stay_and_are_named_once() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let text = "@~/notes/private.md, @style.md and `@code.md`; @rules/tests.md mail al@style.md\n";
    write(&a, ".claude/CLAUDE.md", text);
    write(&a, ".claude/style.md", "@deeper.md\n");
    write(&a, ".claude/deeper.md", "deep\n");
    write(&a, ".claude/rules/tests.md", "test\n");
    write(&a, ".claude/code.md", "code\n");
    let reason = "CLAUDE.md imports it; files in ~/.claude/rules are synced";
    let expected = |names: &[&str]| -> Vec<String> {
        let line = |name: &&str| format!("stays here: {name}: {reason}");
        names.iter().map(line).collect()
    };
    let names = [
        "~/.claude/deeper.md",
        "~/.claude/style.md",
        "~/notes/private.md",
    ];
    assert_eq!(staying(&a), expected(&names));
    a.session(TWO).turn("next").write();
    assert_eq!(staying(&a), [""; 0]);
    write(&a, ".claude/CLAUDE.md", "@~/other.md\n");
    assert_eq!(staying(&a), expected(&["~/other.md"]));

    b.ccsync(["pull"]).success();
    assert_eq!(
        read(&b, ".claude/rules/tests.md").as_deref(),
        Some("test\n")
    );
    for name in [".claude/style.md", "notes", ".claude/code.md"] {
        assert!(!Path::new(&b.home.join(name)).exists(), "{name}");
    }
}
