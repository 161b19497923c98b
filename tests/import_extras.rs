//! Import of extras and sub-agents of claude-session-sync: idempotent and without loss.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Machine, TestEnv, questions, tree};
use crate::import::{BUILD, SITE, here, import, import_json, place, store, written};

const AGENT: &str = "subagents/agent-a1b2c3.jsonl";

fn not_imported(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["not_imported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (text(&file["path"]), text(&file["reason"])))
        .collect()
}

/// Returns the outcome of each extra, by `<project>/<name>`.
fn extras(report: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for bundle in report["extras"].as_array().unwrap() {
        for file in bundle["files"].as_array().unwrap() {
            let project = bundle["project"].as_str().unwrap_or("user");
            let name = format!("{project}/{}", file["name"].as_str().unwrap());
            found.push((name, file["outcome"].as_str().unwrap().to_owned()));
        }
    }
    found
}

/// Unpacks the store of the fixture, with sub-agents.
fn store_with_agents(env: &TestEnv, machine: &Machine) -> PathBuf {
    let (source, agents) = (store(env, machine, "shared"), store(env, machine, "agents"));
    fs::rename(agents.join("subagents"), source.join("subagents")).unwrap();
    source
}

/// Writes the project of the fixture's memory to a machine.
fn with_project(machine: &Machine) {
    fs::create_dir_all(machine.home.join("code/app")).unwrap();
    let code = machine.home.join("code");
    machine
        .ccsync([
            "config",
            "set-path",
            "PROJECTS",
            "this",
            code.to_str().unwrap(),
        ])
        .success();
}

fn note(machine: &Machine, name: &str) -> PathBuf {
    machine.project_dir("code/app").join("memory").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Asserts that a second import commits nothing.
#[track_caller]
fn assert_nothing_new(machine: &Machine, source: &Path) {
    let head = machine.git(&["rev-parse", "HEAD"]);
    let report = import_json(machine, source);
    assert_eq!(
        (extras(&report), &report["sessions"]),
        (Vec::new(), &serde_json::json!([])),
        "{report}"
    );
    assert_eq!(
        machine.git(&["rev-parse", "HEAD"]),
        head,
        "nothing is committed"
    );
}

#[test]
fn import_extras_have_local_paths_on_every_machine() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    let before = tree(&source);
    with_project(&here);
    let report = import_json(&here, &source);
    let sent = |name: &str| (name.to_owned(), "pushed".to_owned());
    let user = ["user/CLAUDE.md", "user/plans/calm-fox.md"].map(sent);
    assert_eq!(
        extras(&report),
        [&user[..], &[sent("{{PROJECTS}}/app/MEMORY.md")]].concat(),
        "{report}"
    );
    assert!(
        !note(&here, "MEMORY.md").exists(),
        "an import writes nothing where the client looks"
    );
    here.ccsync(["pull"]).success();
    let home = here.home.display();
    assert_eq!(
        read(&note(&here, "MEMORY.md")),
        format!("The build needs make 4.\nSee {home}/code/app/Makefile.\n"),
        "what the laptop wrote"
    );
    let instructions =
        |code: &str| format!("# mine\nThe code is in {code}.\nOn the desk it is in {code}.\n");
    let claude_md = |machine: &Machine| read(&machine.home.join(".claude/CLAUDE.md"));
    assert_eq!(
        claude_md(&here),
        instructions(&format!("{home}/code")),
        "a line of either machine"
    );
    assert_eq!(
        read(&here.home.join(".claude/plans/calm-fox.md")),
        "First the parser.\n"
    );
    assert_nothing_new(&here, &source);
    let b = env.machine("b");
    b.init(&env.remote_of_pair());
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    b.add_placeholder("PROJECTS=~/work");
    b.ccsync(["pull"]).success();
    let there = b.project_dir("work/app").join("memory/MEMORY.md");
    assert_eq!(
        read(&there),
        format!(
            "The build needs make 4.\nSee {}/work/app/Makefile.\n",
            b.home.display()
        )
    );
    assert_eq!(
        claude_md(&b),
        instructions(&format!("{}/work", b.home.display()))
    );
    assert_eq!(tree(&source), before, "nothing at the source is touched");
}

#[test]
fn import_again_keeps_later_edits_of_extras() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    with_project(&here);
    import(&here, &source).success();
    here.ccsync(["pull"]).success();
    write(&note(&here, "MEMORY.md"), "The build needs make 5.\n");
    fs::remove_file(here.home.join(".claude/CLAUDE.md")).unwrap();
    here.ccsync(["sync"]).success();
    assert_nothing_new(&here, &source);
    let b = env.machine("b");
    b.init(&env.remote_of_pair());
    assert_nothing_new(&b, &source);
    here.ccsync(["pull"]).success();
    assert_eq!(read(&note(&here, "MEMORY.md")), "The build needs make 5.\n");
    assert!(!here.home.join(".claude/CLAUDE.md").exists());
    // The other program is still in use, and new text there is imported.
    let memory = source.join("shared_config/memory/--PROJECTS---app");
    fs::write(memory.join("more.md"), "Mondays only.\n").unwrap();
    import(&b, &source).success();
    here.ccsync(["pull"]).success();
    assert_eq!(read(&note(&here, "more.md")), "Mondays only.\n");
    assert_eq!(read(&note(&here, "MEMORY.md")), "The build needs make 5.\n");
}

#[test]
fn import_extras_merge_with_existing_ones() {
    // The text in the store, and the expected merge.
    for (n, (own, expected)) in [
        (
            "The build needs make 4.\nSee @/code/app/Makefile.\n",
            &[][..],
        ),
        (
            "The build needs make 4.\nSee @/code/app/Makefile.\nand more\n",
            &["merged"][..],
        ),
        (
            "The build needs make 3.\nSee @/code/app/Makefile.\n",
            &["conflict"][..],
        ),
        ("", &["pushed"][..]),
    ]
    .into_iter()
    .enumerate()
    {
        let env = TestEnv::new();
        let here = here(&env);
        let source = store(&env, &here, "shared");
        with_project(&here);
        place(&here, "code/app", BUILD, &written(&here, BUILD));
        let own = own.replace('@', here.home.to_str().unwrap());
        if !own.is_empty() {
            write(&note(&here, "MEMORY.md"), &own);
        }
        here.ccsync(["push"]).success();
        let report = import_json(&here, &source);
        let of_memory: Vec<_> = extras(&report)
            .into_iter()
            .filter(|(name, _)| name.ends_with("MEMORY.md"))
            .collect();
        let outcomes: Vec<&str> = of_memory
            .iter()
            .map(|(_, outcome)| outcome.as_str())
            .collect();
        assert_eq!(outcomes, expected, "case {n}: {report}");
        if !own.is_empty() {
            assert_eq!(
                read(&note(&here, "MEMORY.md")),
                own,
                "case {n}: an import writes nothing here"
            );
        }
        here.ccsync(["pull"]);
        let kept = read(&note(&here, "MEMORY.md"));
        let come = format!(
            "The build needs make 4.\nSee {}/code/app/Makefile.\n",
            here.home.display()
        );
        for line in own.lines().chain(come.lines()) {
            assert_eq!(
                kept.lines().filter(|kept| *kept == line).count(),
                1,
                "case {n}: {line} in {kept}"
            );
        }
        assert_eq!(
            kept.contains("laptop (imported):]"),
            expected == ["conflict"],
            "case {n}: {kept}"
        );
        assert_nothing_new(&here, &source);
    }
}

#[test]
fn import_memory_over_size_limit_is_skipped_and_named() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    with_project(&here);
    place(&here, "code/app", BUILD, &written(&here, BUILD));
    let lines = |word: &str| {
        (0..40_000)
            .map(|n| format!("{word} {n} {word}\n"))
            .collect::<String>()
    };
    write(&note(&here, "MEMORY.md"), &lines("ours"));
    here.ccsync(["push"]).success();
    fs::write(
        source.join("shared_config/memory/--PROJECTS---app/MEMORY.md"),
        lines("theirs"),
    )
    .unwrap();
    let report = here
        .ccsync(["import", "--json", source.to_str().unwrap()])
        .code(3)
        .json();
    assert!(
        extras(&report).contains(&(
            "{{PROJECTS}}/app/MEMORY.md".to_owned(),
            "skipped".to_owned()
        )),
        "{report}"
    );
    here.ccsync(["pull"]).success();
    assert_eq!(read(&note(&here, "MEMORY.md")), lines("ours"));
}

#[test]
fn import_keeps_unpushed_memory() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    with_project(&here);
    place(&here, "code/app", BUILD, &written(&here, BUILD));
    write(&note(&here, "MEMORY.md"), "never pushed\n");
    import(&here, &source).success();
    here.ccsync(["sync"]).code(5);
    let kept = read(&note(&here, "MEMORY.md"));
    assert!(
        kept.contains("never pushed\n") && kept.contains("The build needs make 4.\n"),
        "{kept}"
    );
    assert_nothing_new(&here, &source);
}

#[test]
fn import_memory_is_matched_to_known_project() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    with_project(&here);
    let shared = source.join("shared_config/memory");
    // The other program derived paths from directory names, in which a `-` is a `-` or a
    // `/`.
    for name in [
        "--PROJECTS---my-lib",
        "--PROJECTS---my-tool",
        "--PROJECTS---my-site",
    ] {
        write(
            &shared.join(name).join("MEMORY.md"),
            &format!("of {name}\n"),
        );
    }
    let paths = "{\"--PROJECTS---my-lib\": \"{{PROJECTS}}/my/lib\", \"--PROJECTS---my-tool\": \"{{PROJECTS}}/my/tool\"}";
    fs::write(shared.join("_paths.json"), paths).unwrap();
    // A session names the directory of one of them; the other one is here as a clone of a
    // remote.
    let sessions = source.join("sessions/_paths.json");
    let known = serde_json::json!({ "--PROJECTS---my-lib-src": "{{PROJECTS}}/my-lib/src" });
    fs::write(&sessions, known.to_string()).unwrap();
    let tool = here.home.join("code/my-tool");
    fs::create_dir_all(&tool).unwrap();
    let git = |args: &[&str]| {
        assert!(
            here.run(here.program("git").args(args).current_dir(&tool))
                .code
                == Some(0)
        );
    };
    git(&["init", "--quiet"]);
    git(&["remote", "add", "origin", "git@github.com:al/my-tool.git"]);
    let known = serde_json::json!({ "projects": { tool.to_str().unwrap(): {} } });
    fs::write(here.home.join(".claude.json"), known.to_string()).unwrap();
    let report = import_json(&here, &source);
    let projects: Vec<String> = extras(&report).into_iter().map(|(name, _)| name).collect();
    for name in [
        "{{PROJECTS}}/my-lib/MEMORY.md",
        "github.com/al/my-tool/MEMORY.md",
    ] {
        assert!(projects.contains(&name.to_owned()), "{name}: {projects:?}");
    }
    let unknown = (
        "shared_config/memory/--PROJECTS---my-site/MEMORY.md".to_owned(),
        "nothing says which project it belongs to".to_owned(),
    );
    assert!(not_imported(&report).contains(&unknown), "{report}");
    here.ccsync(["pull"]).success();
    assert_eq!(
        read(&here.project_dir("code/my-tool").join("memory/MEMORY.md")),
        "of --PROJECTS---my-tool\n"
    );
}

#[test]
fn import_excluded_extras_are_named() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    here.ccsync(["config", "set", "extras", "memory"]).success();
    let report = import_json(&here, &source);
    let expected = [
        ("user/CLAUDE.md", "excluded"),
        ("user/plans/calm-fox.md", "excluded"),
        ("{{PROJECTS}}/app/MEMORY.md", "pushed"),
    ];
    assert_eq!(
        extras(&report),
        expected.map(|(name, outcome)| (name.to_owned(), outcome.to_owned()))
    );
    here.ccsync(["config", "set", "extras", "claude-md"])
        .success();
    let report = import_json(&here, &source);
    assert_eq!(
        extras(&report)[0],
        ("user/CLAUDE.md".to_owned(), "pushed".to_owned()),
        "once it may be synced, it is imported"
    );
}

#[test]
fn import_sub_agents_join_their_session() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store_with_agents(&env, &here);
    with_project(&here);
    let report = import_json(&here, &source);
    let unknown = (
        "subagents/agent-unknown.jsonl".to_owned(),
        "it does not say which session it belongs to".to_owned(),
    );
    assert_eq!(
        not_imported(&report)
            .into_iter()
            .filter(|(name, _)| name.starts_with("subagents"))
            .collect::<Vec<_>>(),
        [unknown]
    );
    assert_nothing_new(&here, &source);
    here.ccsync(["pull", "--days", "36500"]).success();
    let agents = here.project_dir("code/app").join(BUILD);
    let raw = read(&source.join(AGENT));
    let code = here.home.join("code");
    assert_eq!(
        read(&agents.join(AGENT)),
        raw.replace("/Users/alice/projects", code.to_str().unwrap())
    );
    assert_eq!(
        read(&agents.join(AGENT.replace(".jsonl", ".meta.json"))),
        read(&source.join(AGENT.replace(".jsonl", ".meta.json")))
    );
    assert_eq!(here.text(BUILD), written(&here, BUILD));
    assert_nothing_new(&here, &source);
    here.ccsync(["verify", "--full"]).success();
    // A text that grew at the source grows here.
    fs::write(
        source.join(AGENT),
        format!(
            "{raw}{}",
            raw.lines().last().unwrap().replace("a2", "a3") + "\n"
        ),
    )
    .unwrap();
    assert!(
        import(&here, &source)
            .success()
            .summary()
            .contains("1 extended")
    );
    assert_nothing_new(&here, &source);
    here.ccsync(["pull"]).success();
    assert_eq!(read(&agents.join(AGENT)).lines().count(), 3);
    assert_eq!(here.sessions(), [BUILD, SITE], "no fork");
}

#[test]
fn import_sub_agents_join_session_in_store_only() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store_with_agents(&env, &here);
    with_project(&here);
    place(&here, "code/app", BUILD, &written(&here, BUILD));
    here.ccsync(["push"]).success();
    fs::remove_dir_all(source.join("sessions/--PROJECTS---app")).unwrap();
    let other = read(&source.join(AGENT))
        .replace(BUILD, "99999999-0000-4000-8000-000000000009")
        .replace("a1b2c3", "d4");
    fs::write(source.join("subagents/agent-d4.jsonl"), other).unwrap();
    let mixed = read(&source.join(AGENT))
        .replace("a1b2c3", "e5")
        .replacen(BUILD, SITE, 1);
    fs::write(source.join("subagents/agent-e5.jsonl"), mixed).unwrap();
    let report = import_json(&here, &source);
    assert_eq!(report["found"], 3, "{report}");
    let reasons = not_imported(&report);
    let reason = |name: &str| {
        reasons
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .map(|(_, reason)| reason.clone())
    };
    assert!(
        reason("agent-d4.jsonl")
            .unwrap()
            .contains("neither at the source nor in the store"),
        "{reasons:?}"
    );
    assert!(
        reason("agent-e5.jsonl")
            .unwrap()
            .contains("several sessions"),
        "{reasons:?}"
    );
    here.ccsync(["pull"]).success();
    assert!(
        here.project_dir("code/app")
            .join(BUILD)
            .join(AGENT)
            .is_file()
    );
    assert_eq!(here.text(BUILD), written(&here, BUILD));
    assert_nothing_new(&here, &source);
}

#[test]
fn import_dry_run_matches_import() {
    for layout in ["shared", "per-machine"] {
        let env = TestEnv::new();
        let here = here(&env);
        let source = if layout == "shared" {
            store_with_agents(&env, &here)
        } else {
            store(&env, &here, layout)
        };
        let own = written(&here, BUILD).replace("thanks", "no, thanks");
        place(&here, "code/app", BUILD, &own);
        write(&here.home.join(".claude/CLAUDE.md"), "# mine, here\n");
        here.ccsync(["push"]).success();
        let (head, objects) = (here.git(&["rev-parse", "HEAD"]), tree(&here.store()));
        let args = ["import", "--json", source.to_str().unwrap()];
        let mut plan = here.ccsync(args.into_iter().chain(["--dry-run"])).json();
        assert_eq!(
            (here.git(&["rev-parse", "HEAD"]), tree(&here.store())),
            (head, objects),
            "nothing was done"
        );
        let mut done = here.ccsync(args).json();
        for report in [&mut plan, &mut done] {
            let report = report.as_object_mut().unwrap();
            report.remove("dry_run");
            report.remove("remote");
        }
        assert_eq!(plan, done);
        assert!(
            done["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .all(|session| session["title"].is_string()),
            "{done}"
        );
    }
}

#[test]
fn import_obeys_exclude_settings() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store_with_agents(&env, &here);
    with_project(&here);
    for (setting, reason, count) in [
        (
            &["config", "exclude", "~/code/app"][..],
            "`~/code/app` is excluded",
            1,
        ),
        (&["config", "exclude", "--remove", "~/code/app"][..], "", 0),
        (
            &["config", "set", "max_size", "1kB"][..],
            "larger than 1",
            2,
        ),
        (&["config", "set", "max_size", "none"][..], "", 0),
        (
            &["config", "set", "push_max_age", "30"][..],
            "not active for 30 days",
            3,
        ),
        (&["config", "set", "push_max_age", "none"][..], "", 0),
        (
            &["config", "include", "{{NOTES}}/**"][..],
            "not included",
            2,
        ),
    ] {
        here.ccsync(setting).success();
        if count == 0 {
            continue;
        }
        let report = here
            .ccsync(["import", "--json", "--dry-run", source.to_str().unwrap()])
            .json();
        let sessions = report["sessions"].as_array().unwrap();
        let out: Vec<&Value> = sessions
            .iter()
            .filter(|session| session["outcome"] == "excluded")
            .collect();
        assert_eq!(
            (out.len(), sessions.len()),
            (count, 3),
            "{setting:?}: {report}"
        );
        assert!(
            out.iter()
                .all(|session| session["reason"].as_str().unwrap().contains(reason)),
            "{setting:?}: {report}"
        );
    }
    let report = import_json(&here, &source);
    assert!(
        not_imported(&report)
            .iter()
            .any(|(name, reason)| name == AGENT && reason == "its session is excluded"),
        "{report}"
    );
    let rows = here.ccsync(["list", "--json", "--remote"]).success().json();
    assert_eq!(rows["sessions"].as_array().unwrap().len(), 1, "{rows}");
    here.ccsync(["config", "include", "--remove", "{{NOTES}}/**"])
        .success();
    assert!(
        import(&here, &source)
            .success()
            .summary()
            .contains("2 added"),
        "an excluded session is imported later"
    );
    here.ccsync(["pull", "--days", "36500"]).success();
    assert_eq!(questions(&here.text(BUILD)).len(), 2);
    assert!(
        here.project_dir("code/app")
            .join(BUILD)
            .join(AGENT)
            .is_file()
    );
}

#[test]
fn import_session_age_is_that_of_newest_record() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.ccsync(["config", "set", "push_max_age", "30"]).success();
    let copy = env.root().join("backup");
    let directory = copy.join("projects/-x");
    fs::create_dir_all(&directory).unwrap();
    fs::write(
        directory.join(format!("{BUILD}.jsonl")),
        written(&a, BUILD).replace("2026-03", "2020-03"),
    )
    .unwrap();
    let report = import_json(&a, &copy);
    assert_eq!(report["sessions"][0]["outcome"], "excluded", "{report}");
    a.ccsync(["config", "set", "push_max_age", "none"])
        .success();
    assert_eq!(import_json(&a, &copy)["sessions"][0]["outcome"], "added");
}

#[cfg(unix)]
#[test]
fn import_hostile_extras_are_refused_one_by_one() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store_with_agents(&env, &here);
    let secret = env.root().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("MEMORY.md"), "hunter2\n").unwrap();
    fs::write(
        secret.join("agent-a1.jsonl"),
        format!("{{\"sessionId\":\"{BUILD}\",\"x\":\"hunter2\"}}\n"),
    )
    .unwrap();
    let link = |to: &Path, at: PathBuf| std::os::unix::fs::symlink(to, at).unwrap();
    let memory = source.join("shared_config/memory");
    link(&secret, memory.join("--PROJECTS---linked"));
    link(
        &secret.join("MEMORY.md"),
        memory.join("--PROJECTS---app/linked.md"),
    );
    link(&secret, source.join("subagents/linked"));
    link(
        &secret.join("agent-a1.jsonl"),
        source.join("subagents/agent-a1.jsonl"),
    );
    fs::write(memory.join("--PROJECTS---app/binary.md"), b"\0\xff").unwrap();
    fs::write(
        memory.join("--PROJECTS---app/large.md"),
        vec![b'x'; 2 << 20],
    )
    .unwrap();
    fs::write(memory.join("_paths.json"), "[".repeat(100_000)).unwrap();
    fs::write(
        source.join("shared_config/claude_md_meta.json"),
        "{\"last_editor\": 7}",
    )
    .unwrap();
    fs::write(
        source.join("shared_config/memory_meta/--PROJECTS---app.json"),
        "{",
    )
    .unwrap();
    fs::write(
        source.join("subagents/agent-b2.jsonl"),
        "{\"sessionId\":\"../../etc\"}\n",
    )
    .unwrap();
    fs::write(
        source.join("subagents/agent-c3.jsonl"),
        "null\n[]\n{\"sessionId\":7}\nno json\n",
    )
    .unwrap();
    let run = here.run(
        here.command(["import", source.to_str().unwrap()])
            .env("LINES", "500"),
    );
    assert!(run.stdout.contains("3 added"), "{run}");
    for named in [
        "linked.md",
        "binary.md",
        "large.md",
        "_paths.json",
        "agent-b2",
        "agent-c3",
        "subagents/linked",
    ] {
        assert!(run.stdout.contains(named), "{named}: {run}");
    }
    let stored = tree(&here.store());
    assert!(
        !stored
            .values()
            .any(|(_, text)| text.windows(6).any(|w| w == b"hunter")),
        "nothing behind a link is read"
    );
    assert!(
        stored
            .values()
            .any(|(_, text)| text.windows(14).any(|w| w == b"build needs ma")),
        "the rest is taken"
    );
    here.ccsync(["verify", "--full"]).success();
}

#[test]
fn import_concurrent_is_lossless_and_idempotent() {
    let env = TestEnv::new();
    let here = here(&env);
    let b = env.machine("b");
    b.init(&env.remote_of_pair());
    let (one, other) = (store(&env, &here, "shared"), env.root().join("other"));
    fs::create_dir(&other).unwrap();
    for (path, (_, content)) in tree(&one) {
        let to = other.join(path);
        if content.is_empty() {
            fs::create_dir_all(to).unwrap();
        } else {
            fs::write(to, content).unwrap();
        }
    }
    fs::write(
        other.join("shared_config/memory/--PROJECTS---app/MEMORY.md"),
        "The build needs make 6.\n",
    )
    .unwrap();
    let away = env.root().join("away.git");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    import(&here, &one).code(6);
    import(&b, &other).code(6);
    fs::rename(&away, env.remote_of_pair()).unwrap();
    here.ccsync(["push"]).success();
    b.ccsync(["push"]).code(5);
    with_project(&here);
    here.ccsync(["pull"]).success();
    let kept = read(&note(&here, "MEMORY.md"));
    for line in [
        "The build needs make 4.",
        "The build needs make 6.",
        "Makefile.",
    ] {
        assert_eq!(kept.matches(line).count(), 1, "{line}: {kept}");
    }
    for machine in [&here, &b] {
        machine.ccsync(["sync"]);
        for source in [&one, &other] {
            assert_nothing_new(machine, source);
        }
    }
}

#[test]
fn import_plans_over_limit_keeps_newest_and_lists_rest() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    let mut meta = serde_json::Map::new();
    for n in 0..260_i64 {
        write(
            &source.join(format!("shared_config/plans/p{n:03}.md")),
            &format!("{n}\n"),
        );
        // A plan from the future counts as one of today.
        let seconds = if n == 0 {
            99_000_000_000
        } else {
            1_600_000_000 + n * 86_400
        };
        meta.insert(
            format!("p{n:03}.md"),
            serde_json::json!({ "last_modified": seconds, "last_editor": "laptop" }),
        );
    }
    write(
        &source.join("shared_config/plans_meta.json"),
        &serde_json::json!({ "files": meta }).to_string(),
    );
    let report = import_json(&here, &source);
    let outcomes = extras(&report);
    let left: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| outcome == "excluded")
        .map(|(name, _)| name.as_str())
        .collect();
    let old = [
        "user/plans/calm-fox.md",
        "user/plans/p001.md",
        "user/plans/p002.md",
        "user/plans/p003.md",
        "user/plans/p004.md",
    ];
    assert_eq!(left, old);
    assert!(
        outcomes.contains(&("user/plans/p000.md".to_owned(), "pushed".to_owned())),
        "{report}"
    );
}
