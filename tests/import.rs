//! Import of a store of claude-session-sync or a copy of the client's directory: exact, idempotent,
//! and without a change of the source.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::harness::{Clone, Machine, ONE, TWO, TestEnv, questions, tree};

pub(crate) const BUILD: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
pub(crate) const SITE: &str = "bbbbbbbb-0000-4000-8000-00000000000b";
const PLAN: &str = "cccccccc-0000-4000-8000-00000000000c";
const LIB: &str = "dddddddd-0000-4000-8000-00000000000d";
const DESK: &str = "eeeeeeee-0000-4000-8000-00000000000e";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/claude-session-sync")
        .join(name)
}

/// Unpacks the store `name` of claude-session-sync, in which the machine `here` is
/// `machine`.
pub(crate) fn store(env: &TestEnv, machine: &Machine, name: &str) -> PathBuf {
    let place = env.root().join(format!("source-{name}"));
    for entry in walkdir::WalkDir::new(fixture(name))
        .into_iter()
        .map(Result::unwrap)
    {
        let to = place.join(entry.path().strip_prefix(fixture(name)).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(to).unwrap();
        } else {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(
                to,
                text.replace("@HOME@", machine.home.to_str().unwrap())
                    .replace("\"here\"", &format!("\"{}\"", machine.name)),
            )
            .unwrap();
        }
    }
    place
}

/// Returns a session as the client wrote it on `machine`.
pub(crate) fn written(machine: &Machine, id: &str) -> String {
    let text = fs::read_to_string(fixture("client").join(format!("{id}.jsonl"))).unwrap();
    text.replace("@HOME@", machine.home.to_str().unwrap())
}

/// Sets up a machine with its own remote and with the name that the source has for it.
pub(crate) fn here(env: &TestEnv) -> Machine {
    let here = env.machine("here");
    here.init(&env.bare_remote());
    here
}

/// Returns all paths below a directory, with their modification times.
fn with_times(path: &Path) -> Vec<(PathBuf, Option<SystemTime>)> {
    let all = walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    all.map(|entry| {
        (
            entry.path().to_owned(),
            entry.metadata().unwrap().modified().ok(),
        )
    })
    .collect()
}

pub(crate) fn import(machine: &Machine, source: &Path) -> crate::harness::Run {
    machine.ccsync(["import", source.to_str().unwrap()])
}

pub(crate) fn import_json(machine: &Machine, source: &Path) -> Value {
    machine
        .ccsync(["import", "--json", source.to_str().unwrap()])
        .json()
}

fn outcome<'a>(report: &'a Value, id: &str) -> &'a Value {
    let sessions = report["sessions"].as_array().unwrap();
    sessions
        .iter()
        .find(|session| session["session"] == id)
        .unwrap_or(&Value::Null)
}

/// Writes a session to where the client would have it.
pub(crate) fn place(machine: &Machine, project: &str, id: &str, text: &str) {
    let directory = machine.project_dir(project);
    fs::create_dir_all(&directory).unwrap();
    fs::create_dir_all(machine.home.join(project)).unwrap();
    fs::write(directory.join(format!("{id}.jsonl")), text).unwrap();
}

#[test]
fn import_store_is_exact_and_idempotent() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    let before = (tree(&source), with_times(&source));
    let plan = here
        .ccsync(["import", "--dry-run", source.to_str().unwrap()])
        .success();
    assert!(
        plan.stdout
            .contains("import (dry run, nothing was done): 3 sessions: 3 added"),
        "{plan}"
    );
    assert_eq!(
        here.ccsync(["list", "--json", "--remote"]).success().json()["sessions"],
        serde_json::json!([])
    );
    let run = import(&here, &source).success();
    // The length of the temporary directory's path decides how much of a title fits.
    insta::with_settings!({filters => vec![("Look at .*…", "Look at …")]}, { insta::assert_snapshot!(run) });
    let head = here.git(&["rev-parse", "HEAD"]);
    let again = import(&here, &source).success();
    assert!(
        again
            .summary()
            .starts_with("import: up to date (3 sessions)"),
        "{again}"
    );
    assert_eq!(
        here.git(&["rev-parse", "HEAD"]),
        head,
        "nothing is committed"
    );
    assert_eq!(
        (tree(&source), with_times(&source)),
        before,
        "nothing at the source is touched"
    );
    here.ccsync([
        "config",
        "set-path",
        "PROJECTS",
        "this",
        here.home.join("code").to_str().unwrap(),
        "--yes",
    ])
    .success();
    here.ccsync(["pull", "--days", "36500"]).success();
    for id in [BUILD, SITE] {
        assert_eq!(
            here.text(id),
            written(&here, id),
            "as the client would have written it here"
        );
    }
    assert!(
        here.transcript_path(BUILD)
            .starts_with(here.project_dir("code/app"))
    );
    here.ccsync(["verify", "--full"]).success();
    here.assert_in_order("after an import");
}

#[test]
fn import_sessions_have_local_paths_on_other_machine() {
    let env = TestEnv::new();
    let here = here(&env);
    let b = env.machine("b");
    import(&here, &store(&env, &here, "shared")).success();
    b.init(&env.remote_of_pair());
    b.add_placeholder("PROJECTS=~/Projekte");
    b.add_placeholder("NOTES=~/notes");
    b.ccsync(["pull", "--days", "36500"]).success();
    let expected = written(&b, SITE).replace("/code/", "/Projekte/");
    assert_eq!(
        b.text(SITE),
        expected,
        "what Windows wrote, and what Linux added, read as this machine's"
    );
    assert!(
        b.text(PLAN).contains(&format!(
            "{}/notes/plan/x.md, {{{{LOST}}}}/y",
            b.home.display()
        )),
        "{}",
        b.text(PLAN)
    );
    let rows = b.ccsync(["list", "--json"]).success().json();
    let machine = |id: &str| {
        let rows = rows["sessions"].as_array().unwrap();
        rows.iter().find(|row| row["session"] == id).unwrap()["machine"].clone()
    };
    assert_eq!(
        (machine(BUILD), machine(SITE)),
        ("laptop (imported)".into(), "here".into())
    );
}

#[test]
fn import_report_names_what_is_not_imported() {
    let env = TestEnv::new();
    let here = here(&env);
    let laptop = env.machine("laptop");
    laptop.init(&env.remote_of_pair());
    let report = import_json(&here, &store(&env, &here, "shared"));
    assert_eq!(
        (report["layout"].as_str(), report["found"].as_u64()),
        (Some("shared"), Some(3))
    );
    let lock = &report["locks"][0];
    assert_eq!(
        (lock["session"].as_str(), lock["machine"].as_str()),
        (Some(BUILD), Some("laptop"))
    );
    assert_eq!(lock["expired"], true);
    let edits = report["edits"].as_array().unwrap();
    assert!(
        edits
            .iter()
            .any(|edit| edit["session"] == SITE && edit["machine"] == "win"),
        "{report}"
    );
    let left: Vec<&str> = report["not_imported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert_eq!(left, Vec::<&str>::new());
    let home = here.home.display();
    fs::create_dir(here.home.join("code")).unwrap();
    let commands = report["commands"].as_array().unwrap();
    for command in [
        format!("ccsync config set-path PROJECTS this {home}/code"),
        "ccsync config set-path PROJECTS laptop /Users/alice/projects".to_owned(),
        "ccsync config set-path NOTES laptop /Users/alice/notes".to_owned(),
    ] {
        assert!(
            commands.contains(&command.clone().into()),
            "{command}: {commands:?}"
        );
        here.ccsync(command.split(' ').skip(1)).success();
    }
    let lists = |report: &Value| {
        report["sessions"].as_array().unwrap().len() as u64 + report["unchanged"].as_u64().unwrap()
    };
    assert_eq!(lists(&report), 3, "the counts add up");
}

#[test]
fn import_identical_copies_become_one_session() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "per-machine");
    let report = import_json(&here, &source);
    assert_eq!(
        (report["layout"].as_str(), report["found"].as_u64()),
        (Some("per-machine"), Some(3))
    );
    assert_eq!(
        report["unchanged"], 1,
        "the copy of the desk is the beginning of the laptop's"
    );
    assert!(
        import(&here, &source)
            .success()
            .summary()
            .contains("up to date (3 sessions)")
    );
    here.ccsync(["pull", "--days", "36500"]).success();
    let text = here.text(LIB);
    assert!(
        text.contains(&format!("one: {}/work/lib/a", here.home.display())),
        "{text}"
    );
    assert!(
        text.contains("two alice") && text.contains("three, on the laptop"),
        "{text}"
    );
    assert_eq!(questions(&here.text(DESK)), ["only on the desk"]);
}

#[test]
fn import_diverged_copies_are_both_kept() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "per-machine");
    let desk = source.join(format!("sessions/desk/--HOME---work-lib/{LIB}.jsonl"));
    let text = fs::read_to_string(&desk).unwrap();
    let last = text.lines().last().unwrap();
    let other = last
        .replace("two {{USERNAME}}", "else")
        .replace("00000002", "00000009");
    fs::write(&desk, format!("{text}{other}\n")).unwrap();
    let report = import(&here, &source).code(5);
    assert!(report.summary().contains("1 forked"), "{report}");
    let again = import(&here, &source).success();
    assert!(
        again.summary().contains("up to date (3 sessions)"),
        "{again}"
    );
    here.ccsync(["pull", "--days", "36500"]);
    let texts: Vec<String> = here.sessions().iter().map(|id| here.text(id)).collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("three, on the laptop")),
        "{texts:?}"
    );
    assert!(texts.iter().any(|text| text.contains("else")), "{texts:?}");
}

#[test]
fn import_existing_session_is_recognized() {
    let env = TestEnv::new();
    let source_of = |machine: &Machine| store(&env, machine, "shared");
    // The same turns, a part of them, and more of them; in the form of the client and of
    // the other program.
    let spaced = |text: &str| text.replace("\":", "\": ").replace(",\"", ", \"");
    for (n, (text, expected)) in [
        (
            Box::new(|text: &str| text.to_owned()) as Box<dyn Fn(&str) -> String>,
            "unchanged",
        ),
        (
            Box::new(|text: &str| {
                text.lines()
                    .take(1)
                    .map(|line| format!("{line}\n"))
                    .collect()
            }),
            "extended",
        ),
        (
            Box::new(|text: &str| {
                format!("{text}{{\"type\":\"last-prompt\",\"lastPrompt\":\"x\"}}\n")
            }),
            "unchanged",
        ),
        (
            Box::new(move |text: &str| format!("{}\n", spaced(text.lines().next().unwrap()))),
            "extended",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let here = env.machine(&format!("here{n}"));
        here.init(&env.bare_remote());
        let own = text(&written(&here, BUILD));
        place(&here, "code/app", BUILD, &own);
        here.ccsync(["push"]).success();
        let report = import_json(&here, &source_of(&here));
        let found = outcome(&report, BUILD)["outcome"]
            .as_str()
            .unwrap_or("unchanged")
            .to_owned();
        assert_eq!(found, expected, "case {n}: {report}");
        assert_eq!(
            here.text(BUILD),
            own,
            "an import writes nothing where the client looks"
        );
        here.ccsync(["pull"]);
        assert!(here.text(BUILD).starts_with(&own), "case {n}");
        let again = import(&here, &source_of(&here)).success();
        assert!(again.summary().contains("up to date"), "case {n}: {again}");
        assert_eq!(here.sessions(), [BUILD], "case {n}: no fork");
    }
}

#[test]
fn import_typed_placeholder_makes_no_fork() {
    let env = TestEnv::new();
    let here = here(&env);
    let own = written(&here, BUILD).replace("thanks", "what does {{HOME}} stand for?");
    place(&here, "code/app", BUILD, &own);
    here.ccsync(["push"]).success();
    let source = store(&env, &here, "shared");
    let stored = source.join(format!("sessions/--PROJECTS---app/{BUILD}.jsonl"));
    let text = fs::read_to_string(&stored).unwrap();
    fs::write(
        &stored,
        text.replace("thanks", "what does {{HOME}} stand for?")
            .replace("\"laptop\"", "\"here\""),
    )
    .unwrap();
    let meta = source.join(format!("session_meta/{BUILD}.json"));
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace("laptop", "here")).unwrap();
    let report = import_json(&here, &source);
    assert_eq!(outcome(&report, BUILD), &Value::Null, "{report}");
}

#[test]
fn import_diverged_local_session_is_forked() {
    let env = TestEnv::new();
    let here = here(&env);
    let text = written(&here, BUILD);
    let last = text.lines().last().unwrap();
    let own = text.replace(last, &last.replace("thanks", "no, thanks"));
    place(&here, "code/app", BUILD, &own);
    here.ccsync(["push"]).success();
    let source = store(&env, &here, "shared");
    let report = import(&here, &source).code(5);
    assert!(report.summary().contains("1 forked"), "{report}");
    assert!(
        import(&here, &source)
            .success()
            .summary()
            .contains("up to date (3 sessions)")
    );
    assert_eq!(here.text(BUILD), own);
}

#[test]
fn import_git_source_is_cloned_and_unchanged() {
    let env = TestEnv::new();
    let here = here(&env);
    let other = env.machine("other");
    let source = env.bare_remote();
    let clone = Clone::new(&source, &other);
    for (path, (_, content)) in tree(&store(&env, &here, "shared")) {
        if !content.is_empty() {
            clone.write(path.to_str().unwrap(), content);
        }
    }
    clone.push();
    let before = (tree(&source), with_times(&source));
    for address in [
        source.to_str().unwrap().to_owned(),
        format!("file://{}", source.display()),
    ] {
        here.ccsync(["import", &address]).success();
    }
    assert_eq!((tree(&source), with_times(&source)), before);
    // A clone with a working tree is read in place, and found in the other program's
    // usual directory.
    let usual = here.home.join(".claude-session-sync/repo");
    fs::create_dir_all(usual.parent().unwrap()).unwrap();
    fs::rename(&clone.path, &usual).unwrap();
    let before = (tree(&usual), with_times(&usual));
    let run = here.ccsync(["import"]).success();
    assert!(run.summary().contains("up to date (3 sessions)"), "{run}");
    assert_eq!((tree(&usual), with_times(&usual)), before);
    here.assert_in_order("after imports of clones");
}

#[test]
fn init_remote_of_other_program_is_refused() {
    let env = TestEnv::new();
    let (a, other) = (env.machine("a"), env.machine("other"));
    let source = env.bare_remote();
    let clone = Clone::new(&source, &other);
    for (path, (_, content)) in tree(&store(&env, &a, "shared")) {
        if !content.is_empty() {
            clone.write(path.to_str().unwrap(), content);
        }
    }
    clone.push();
    let before = tree(&source);
    let address = source.to_str().unwrap();
    let refused = a.ccsync(["init", "--yes", "--remote", address]).code(1);
    assert!(
        refused
            .stderr
            .contains("holds a store of claude-session-sync"),
        "{refused}"
    );
    assert!(
        refused.stderr.contains(&format!("ccsync import {address}")),
        "{refused}"
    );
    // The same if it became the remote in another way, and with unpushed sessions.
    let a = env.machine("later");
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    a.ccsync(["config", "set", "remote", address]).code(1);
    let config = a.home.join(".config/ccsync/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("remote = \"{address}\"\n{text}")).unwrap();
    a.append(ONE, "more");
    for command in ["pull", "push", "sync"] {
        let refused = a.ccsync([command]);
        assert_ne!(refused.code, Some(0), "{refused}");
        assert!(refused.stderr.contains("ccsync import"), "{refused}");
    }
    assert_eq!(tree(&source), before);
    a.init(&env.bare_remote());
    a.ccsync(["import", address]).success();
    assert_eq!(tree(&source), before);
    assert_eq!(
        a.ccsync(["list", "--json", "--remote"]).success().json()["sessions"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[cfg(unix)]
#[test]
fn import_hostile_content_is_refused_one_by_one() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    let secret = env.root().join("secret.jsonl");
    fs::write(
        &secret,
        format!(
            "{{\"type\":\"hunter2\",\"cwd\":\"{}\"}}\n",
            here.home.display()
        ),
    )
    .unwrap();
    let app = source.join("sessions/--PROJECTS---app");
    let link = |to: &Path, at: PathBuf| std::os::unix::fs::symlink(to, at).unwrap();
    link(&secret, app.join(format!("{ONE}.jsonl")));
    link(env.root(), source.join("sessions/linked"));
    link(&secret, source.join(format!("session_meta/{TWO}.json")));
    link(env.root(), source.join("stray"));
    fs::write(app.join("...jsonl"), "{}\n").unwrap();
    fs::write(app.join("-rf.jsonl"), "{}\n").unwrap();
    fs::create_dir(app.join(format!("{TWO}.jsonl"))).unwrap();
    fs::write(source.join("machines/evil.json"), "{\"machine_id\": \"e\\u001b[2Jvil\", \"placeholders\": {\"{{HOME}}\": \"/home/e\\u001b[2J\", \"{{..}}\": \"/etc\"}}").unwrap();
    fs::write(source.join("machines/broken.json"), "{").unwrap();
    fs::write(source.join("machines/deep.json"), "[".repeat(100_000)).unwrap();
    fs::write(
        source.join(format!("locks/{ONE}.lock.json")),
        "{\"machine_id\": 7}",
    )
    .unwrap();
    fs::write(
        source.join(format!("locks/{TWO}.lock.json")),
        format!(
            "{{\"machine_id\": \"e\\u001b]0;x\\u0007\", \"expires_at\": \"{}\"}}",
            "9".repeat(100)
        ),
    )
    .unwrap();
    fs::write(source.join("un\u{1b}[2Jknown.bin"), "x").unwrap();
    fs::File::create(source.join(format!("session_meta/{ONE}.json")))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    fs::File::create(app.join("33333333-0000-4000-8000-000000000003.jsonl"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    fs::write(
        app.join("44444444-0000-4000-8000-000000000004.jsonl"),
        "{\"cwd\": \"../../etc\"}\n",
    )
    .unwrap();
    fs::write(
        app.join("55555555-0000-4000-8000-000000000005.jsonl"),
        "not json {{HOME}}\n\n\u{0}\u{1b}[2J\n{\"cwd\": \"{{HOME}}/x\"}\n",
    )
    .unwrap();
    // The screen has room for everything.
    let run = here
        .run(
            here.command(["import", source.to_str().unwrap()])
                .env("LINES", "500"),
        )
        .code(3);
    assert!(
        !format!("{}{}", run.stdout, run.stderr).contains('\u{1b}'),
        "{run}"
    );
    for named in [
        "linked",
        "-rf.jsonl",
        "...jsonl",
        "broken.json",
        "deep.json",
        "stray",
        "33333333",
        "session_meta/11111111",
    ] {
        assert!(run.stdout.contains(named), "{named}: {run}");
    }
    assert!(run.stdout.contains("links are not followed"), "{run}");
    assert!(run.summary().contains("4 added"), "{run}");
    assert!(run.summary().contains("4 skipped"), "{run}");
    let again = import(&here, &source).code(3);
    assert!(
        again.summary().contains("4 skipped, 4 unchanged"),
        "{again}"
    );
    let stored = tree(&here.store());
    assert!(
        !stored
            .values()
            .any(|(_, text)| text.windows(6).any(|w| w == b"hunter")),
        "nothing behind a link is read"
    );
    here.ccsync([
        "config",
        "set-path",
        "PROJECTS",
        "this",
        here.home.join("code").to_str().unwrap(),
        "--yes",
    ])
    .success();
    here.ccsync(["pull", "--days", "36500"]);
    assert_eq!(here.text(BUILD), written(&here, BUILD));
    assert!(!env.root().join("etc").exists());
    here.ccsync(["verify", "--full"]).success();
}

#[test]
fn import_unreadable_metadata_still_imports_sessions() {
    let env = TestEnv::new();
    let here = here(&env);
    let source = store(&env, &here, "shared");
    for name in ["shared_placeholders.json", "sessions/_paths.json"] {
        fs::write(source.join(name), "[1, 2").unwrap();
    }
    for name in ["machines", "session_meta", "locks", "shared_config"] {
        fs::remove_dir_all(source.join(name)).unwrap();
    }
    let run = import(&here, &source).code(3);
    assert!(run.summary().contains("3 added"), "{run}");
    assert!(run.stdout.contains("shared_placeholders.json"), "{run}");
    let rows = here.ccsync(["list", "--json", "--remote"]).success().json();
    assert_eq!(
        rows["sessions"][0]["machine"], "unknown (imported)",
        "their project is unknown"
    );
    assert!(
        import(&here, &source)
            .code(3)
            .summary()
            .contains("up to date (3 sessions)")
    );
}

#[test]
fn import_copy_of_client_directory() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").write();
    let extras = a.project_dir("work/app").join(ONE).join("subagents");
    fs::create_dir_all(&extras).unwrap();
    fs::write(extras.join("agent-1.jsonl"), "{\"type\":\"user\"}\n").unwrap();
    let text = a.text(ONE);
    let copy = env.root().join("backup");
    fs::rename(a.home.join(".claude"), &copy).unwrap();
    fs::create_dir_all(a.home.join(".claude/projects")).unwrap();
    let before = (tree(&copy), with_times(&copy));
    for source in [&copy, &copy.join("projects")] {
        let run = import(&a, source).success();
        assert!(
            run.stdout
                .contains("a copy of the directory of Claude Code, 1 session"),
            "{run}"
        );
    }
    assert_eq!((tree(&copy), with_times(&copy)), before);
    a.ccsync(["pull"]).success();
    assert_eq!(a.text(ONE), text);
    assert!(
        a.project_dir("work/app")
            .join(ONE)
            .join("subagents/agent-1.jsonl")
            .is_file()
    );
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}

#[test]
fn import_unknown_source_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let empty = env.root().join("empty");
    fs::create_dir(&empty).unwrap();
    let unknown = import(&a, &empty).code(1);
    assert!(
        unknown
            .stderr
            .contains("neither a store of claude-session-sync nor a copy"),
        "{unknown}"
    );
    let ours = import(&a, &a.store()).code(1);
    assert!(ours.stderr.contains("is a store of ccsync"), "{ours}");
    a.ccsync(["import"]).code(2);
    import(&a, &env.root().join("nothing-there")).code(1);
    a.assert_in_order("after imports that were none");
}

#[test]
fn import_staging_directory_of_killed_run_is_removed() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let state = a.home.join(".local/state/ccsync");
    for (name, days) in [(".import-old", 3), (".import-new", 0)] {
        fs::create_dir(state.join(name)).unwrap();
        fs::write(state.join(name).join("transcript"), "x").unwrap();
        let before = fs::metadata(state.join(name)).unwrap().modified().unwrap();
        let time = before - std::time::Duration::from_secs(days * 24 * 60 * 60);
        fs::File::open(state.join(name))
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    // The former holder was killed: its process id is still in the file.
    fs::write(state.join("lock"), "999999999").unwrap();
    a.ccsync(["push"]).success();
    assert!(!state.join(".import-old").exists() && state.join(".import-new").exists());
}

#[test]
fn import_offline_is_queued() {
    let env = TestEnv::new();
    let here = here(&env);
    let away = env.root().join("away.git");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    let source = store(&env, &here, "shared");
    let queued = import(&here, &source).code(6);
    assert!(
        queued.summary().contains("3 added") || queued.stdout.contains("3 added"),
        "{queued}"
    );
    fs::rename(&away, env.remote_of_pair()).unwrap();
    here.ccsync(["push"]).success();
    let b = env.machine("b");
    b.init(&env.remote_of_pair());
    assert_eq!(
        b.ccsync(["list", "--json", "--remote"]).success().json()["sessions"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}
