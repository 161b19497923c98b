//! Messages are shown and found on any machine, straight from the store, with the paths
//! of the machine that runs the search.

mod property;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Clone, Machine, ONE, Run, TWO, Terminal, TestEnv};
use crate::project_repository::repository;

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Returns the sessions that a search finds, in order.
#[track_caller]
fn found_sessions(machine: &Machine, args: &[&str]) -> Vec<String> {
    let run = machine.ccsync(["search", "--json"].iter().chain(args));
    assert!(matches!(run.code, Some(0 | 1)), "{run}");
    assert_eq!(run.stderr, "", "{run}");
    let sessions = run.json()["sessions"].as_array().unwrap().clone();
    assert_eq!(run.code == Some(0), !sessions.is_empty(), "{run}");
    sessions
        .iter()
        .map(|session| session["session"].as_str().unwrap().to_owned())
        .collect()
}

fn record(session: &str, kind: &str, content: &Value) -> String {
    let record = json!({"type": kind, "uuid": format!("u-{session}-{kind}"), "sessionId": session, "cwd": "/w",
        "timestamp": "2026-03-10T11:00:00Z", "message": {"role": kind, "content": content}});
    format!("{record}\n")
}

/// Two machines; `a` has turns in two sessions, `b` in a third one, and both have pulled
/// all.
fn two_machines(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE)
        .project("work/app")
        .days_old(2)
        .turn("fix the login form")
        .write();
    a.session(TWO)
        .project("work/notes")
        .days_old(1)
        .turn("Where is the LOGIN page?")
        .write();
    b.session(THREE)
        .project("code/shop")
        .turn("no login without a password")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    a.ccsync(["list", "--remote"]).success();
    (a, b)
}

#[test]
fn search_finds_messages_on_every_machine_newest_first() {
    let env = TestEnv::new();
    let (a, b) = two_machines(&env);
    for machine in [&a, &b] {
        assert_eq!(
            found_sessions(machine, &["login"]),
            [THREE, TWO, ONE],
            "{}",
            machine.name
        );
        assert_eq!(found_sessions(machine, &["quetzalcoatlus"]), [""; 0]);
    }
    insta::assert_snapshot!("found", a.ccsync(["search", "login", "--hits", "1"]));
    insta::assert_snapshot!("nothing_found", a.ccsync(["search", "quetzalcoatlus"]));
}

#[test]
fn search_filters_by_project_machine_and_case() {
    let env = TestEnv::new();
    let (a, b) = two_machines(&env);
    for (args, expected) in [
        (&["login", "--project", "app"][..], &[ONE][..]),
        (&["login", "--project", "~/work"], &[TWO, ONE]),
        (
            &[
                "login",
                "--project",
                a.home.join("work/notes").to_str().unwrap(),
            ],
            &[TWO],
        ),
        (&["login", "--project", "nowhere"], &[]),
        (&["login", "--from", "a"], &[TWO, ONE]),
        (&["login", "--from", "b"], &[THREE]),
        (&["LOGIN"], &[TWO]),
        (&["LOGIN", "--ignore-case"], &[THREE, TWO, ONE]),
        (&["login", "--case-sensitive"], &[THREE, ONE]),
        (&["--regex", r"\blogin\s+(form|page)"], &[TWO, ONE]),
        (&["--regex", "^no .* password$"], &[THREE]),
        (&["--regex", "[lm]ogin form|xyz"], &[ONE]),
        (&["login.form"], &[]),
    ] {
        assert_eq!(found_sessions(&a, args), expected, "{args:?}");
    }
    let unknown = a.ccsync(["search", "login", "--from", "c"]).code(1);
    assert!(
        unknown.stderr.contains("no machine named `c` in the store"),
        "{unknown}"
    );
    b.append(THREE, "and a captcha");
    b.ccsync(["push"]).success();
    assert_eq!(
        found_sessions(&a, &["captcha"]),
        [""; 0],
        "nothing is fetched"
    );
}

#[test]
fn search_invalid_pattern_names_position() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    insta::assert_snapshot!("bad_regex", a.ccsync(["search", "--regex", "log(in"]));
    insta::assert_snapshot!("empty", a.ccsync(["search", ""]));
    assert_eq!(
        a.ccsync(["search", "log(in"]).code,
        Some(1),
        "no expression, so nothing is wrong with it"
    );
}

#[test]
fn search_hits_are_counted_and_highlighted_on_terminal_only() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let long = format!("{} needle {}", "x".repeat(500), "y".repeat(500));
    let builder = a.session(ONE).turn(&long);
    (0..9)
        .fold(builder, |builder, n| {
            builder.turn(&format!("needle {n}\nand needle needle"))
        })
        .write();
    a.ccsync(["push"]).success();
    let run = a.ccsync(["search", "needle"]).success();
    assert!(run.stdout.contains("… 35 more in this session"), "{run}");
    assert!(
        run.stdout.lines().all(|line| line.chars().count() < 300) && !run.stdout.contains('\u{1b}'),
        "{run}"
    );
    let run = a.ccsync(["search", "needle", "--hits", "100"]).success();
    assert_eq!(
        run.stdout.matches("needle").count(),
        2 + 9 * 2 * 3,
        "the title is not searched\n{run}"
    );
    let colored = a
        .ccsync(["search", "needle", "--color", "always"])
        .success();
    assert!(colored.stdout.contains("needle\u{1b}[0m"), "{colored}");
    let terminal = Terminal::start(a.command(["search", "needle"]), 200, 30);
    terminal.wait_for("more in this session");
    terminal.end().code(0);
}

#[test]
fn search_json_has_every_field() {
    let env = TestEnv::new();
    let (a, _) = two_machines(&env);
    let document = a
        .ccsync(["search", "login form", "--json"])
        .success()
        .json();
    assert_eq!(
        (&document["version"], &document["command"]),
        (&json!(2), &json!("search"))
    );
    assert_eq!(
        (&document["searched"], &document["unreadable"]),
        (&json!(3), &json!([]))
    );
    let session = &document["sessions"][0];
    assert_eq!(
        (&session["project"], &session["machine"]),
        (&json!("{{HOME}}/work/app"), &json!("a"))
    );
    assert_eq!(
        (&session["title"], &session["more_hits"]),
        (&json!("fix the login form"), &json!(0))
    );
    let hits = session["hits"].as_array().unwrap();
    let of = |hit: &Value| {
        (
            hit["speaker"].as_str().unwrap().to_owned(),
            hit["text"].as_str().unwrap().to_owned(),
        )
    };
    let said = [
        ("user", "fix the login form"),
        ("assistant", "Answer to: fix the login form"),
    ];
    assert_eq!(
        hits.iter().map(of).collect::<Vec<_>>(),
        said.map(|(who, text)| (who.to_owned(), text.to_owned()))
    );
    assert_eq!(hits[1]["matches"], json!([[19, 29]]));
}

#[test]
fn search_finds_text_tools_results_but_not_copies() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let text = [
        record(ONE, "user", &json!("the word umbra")),
        record(
            ONE,
            "assistant",
            &json!([
                {"type": "thinking", "thinking": "the thought umbra", "signature": ""},
                {"type": "tool_use", "name": "Bash", "input": {"command": "echo umbra"}},
            ]),
        ),
        record(
            ONE,
            "user",
            &json!([
                {"type": "tool_result", "content": [{"type": "text", "text": "the result umbra"},
                    {"type": "image", "source": {"type": "base64", "data": "umbra"}}]},
            ]),
        ),
        format!(
            "{}\n",
            json!({"type": "queue-operation", "operation": "enqueue", "content": "the queue umbra", "sessionId": ONE})
        ),
        format!(
            "{}\n",
            json!({"type": "attachment", "uuid": "x", "attachment": {"type": "prompt_snapshot", "systemPrompt": ["umbra"]}})
        ),
        format!(
            "{}\n",
            json!({"type": "last-prompt", "lastPrompt": "umbra", "sessionId": ONE})
        ),
    ];
    let path = a.session(ONE).raw(text.concat().as_bytes()).write();
    let extras = path.with_extension("");
    fs::create_dir_all(extras.join("subagents")).unwrap();
    fs::create_dir_all(extras.join("tool-results")).unwrap();
    fs::write(
        extras.join("subagents/agent-1.jsonl"),
        record(ONE, "assistant", &json!("the agent umbra")),
    )
    .unwrap();
    fs::write(
        extras.join("subagents/agent-1.meta.json"),
        r#"{"description":"umbra"}"#,
    )
    .unwrap();
    fs::write(
        extras.join("tool-results/toolu_1.txt"),
        "first\nthe long output umbra\n",
    )
    .unwrap();
    let expected = [
        "user the word umbra",
        "call echo umbra",
        "output the result umbra",
        "assistant the agent umbra",
        "output the long output umbra",
    ];
    let hits = |machine: &Machine| -> Vec<String> {
        let document = machine
            .ccsync(["search", "umbra", "--hits", "100", "--json"])
            .success()
            .json();
        let hits = document["sessions"][0]["hits"].as_array().unwrap().clone();
        hits.iter()
            .map(|hit| {
                format!(
                    "{} {}",
                    hit["speaker"].as_str().unwrap(),
                    hit["text"].as_str().unwrap()
                )
            })
            .collect()
    };
    assert_eq!(hits(&a), expected, "only here");
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--remote"]).success();
    assert_eq!(hits(&a), expected);
    assert_eq!(hits(&b), expected, "only in the store");
    assert_eq!(
        found_sessions(&b, &["first\nthe long"]),
        [ONE],
        "over a line end"
    );
    let shown = b.ccsync(["show", ONE, "--json"]).success().json();
    assert_eq!(
        (&shown["agents"], &shown["source"]),
        (&json!(1), &json!("store"))
    );
}

#[test]
fn search_path_matches_local_form() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .turn(&format!("look at {}/work/app/x.rs", a.home.display()))
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--remote"]).success();
    for (machine, other) in [(&a, &b), (&b, &a)] {
        let home = machine.home.to_str().unwrap();
        let last = machine.home.file_name().unwrap().to_str().unwrap();
        for text in [
            home,
            &format!("{home}/work/app/x.rs"),
            &format!("{last}/work"),
            &format!("at {home}"),
            &home[3..],
            last,
        ] {
            assert_eq!(
                found_sessions(machine, &[text]),
                [ONE],
                "{text} on {}",
                machine.name
            );
        }
        let pattern = format!(r"{}/\w+/app/x\.rs$", home.replace('.', r"\."));
        assert_eq!(
            found_sessions(machine, &["--regex", &pattern]),
            [ONE],
            "{pattern}"
        );
        assert_eq!(
            found_sessions(machine, &[other.home.to_str().unwrap()]),
            [""; 0],
            "{} has other paths",
            machine.name
        );
        let run = machine.ccsync(["search", "x.rs"]).success();
        assert!(
            run.stdout
                .contains(&format!("look at {home}/work/app/x.rs"))
                && !run.stdout.contains("{{"),
            "{run}"
        );
        let shown = machine.ccsync(["show", ONE]).success();
        assert!(
            shown
                .stdout
                .contains(&format!("look at {home}/work/app/x.rs")),
            "{shown}"
        );
    }
}

#[test]
fn search_path_in_clone_matches_local_clone() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let (there, here) = ("work/app", "code/checkout of the application");
    repository(&a, there, "git@github.com:al/app.git");
    repository(&b, here, "git@github.com:al/app.git");
    a.session(ONE)
        .project(there)
        .turn(&format!("look at {}/{there}/x.rs", a.home.display()))
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    for (machine, clone, other) in [(&a, there, here), (&b, here, there)] {
        let path = format!("{}/{clone}", machine.home.display());
        for text in [
            &path,
            &format!("{path}/x.rs"),
            &format!("{clone}/x"),
            &clone[5..],
            &format!("look at {path}"),
        ] {
            assert_eq!(
                found_sessions(machine, &[text]),
                [ONE],
                "{text} on {}",
                machine.name
            );
            assert_eq!(
                found_sessions(machine, &["--regex", &regex::escape(text)]),
                [ONE],
                "{text} on {}",
                machine.name
            );
        }
        assert_eq!(
            found_sessions(machine, &["--regex", &format!(r"{}/\w+\.rs", &clone[6..])]),
            [ONE],
            "{}",
            machine.name
        );
        assert_eq!(
            found_sessions(machine, &[&format!("{other}/x.rs")]),
            [""; 0],
            "{}",
            machine.name
        );
    }
}

#[test]
fn search_lines_of_several_machines_match_local_paths() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .turn(&format!("look at {}/work/app/x.rs", a.home.display()))
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.append(ONE, &format!("and at {}/work/app/y.rs", b.home.display()));
    b.ccsync(["push"]).success();
    a.ccsync(["list", "--remote"]).success();
    for machine in [&a, &b] {
        for (at, file) in [("look at", "x.rs"), ("and at", "y.rs")] {
            let text = format!("{at} {}/work/app/{file}", machine.home.display());
            assert_eq!(found_sessions(machine, &[&text]), [ONE], "{text}");
            assert_eq!(
                found_sessions(machine, &[&text, "--from", "b"]),
                [ONE],
                "{text}"
            );
        }
        let shown = machine.ccsync(["show", ONE]).success().stdout;
        assert_eq!(
            shown.matches(machine.home.to_str().unwrap()).count(),
            5,
            "title, questions, answers\n{shown}"
        );
    }
}

#[test]
fn search_escaped_text_is_found() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let texts = [
        "say \"no\" to C:\\temp",
        "two\nlines\tof text",
        "grüner naïve ファイル 🚀",
        "a/b {{HOME}} {{~X}}",
    ];
    a.session(ONE)
        .raw(record(ONE, "user", &json!(texts.join("\n"))).as_bytes())
        .write();
    let ascii: String = record(TWO, "user", &json!(texts.join("\n")))
        .chars()
        .flat_map(|c| {
            if c.is_ascii() {
                vec![c.to_string()]
            } else {
                escapes(c)
            }
        })
        .collect();
    a.session(TWO)
        .raw(ascii.replace('/', "\\/").as_bytes())
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--remote"]).success();
    for text in texts.iter().flat_map(|text| {
        [
            text.to_string(),
            text.to_uppercase(),
            text.split(' ').next().unwrap().to_owned(),
        ]
    }) {
        let mut ids = found_sessions(&b, &["--ignore-case", &text]);
        ids.sort();
        assert_eq!(ids, [ONE, TWO], "{text}");
    }
}

fn escapes(c: char) -> Vec<String> {
    c.encode_utf16(&mut [0; 2])
        .iter()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect()
}

#[test]
fn search_shared_part_of_fork_is_found_once() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("a shared question").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    a.append(ONE, "penguins of a");
    b.append(ONE, "penguins of b");
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).code(5);
    a.ccsync(["list", "--remote"]).success();
    for machine in [&a, &b] {
        assert_eq!(found_sessions(machine, &["shared question"]), [ONE]);
        let forked = found_sessions(machine, &["penguins of b"]);
        assert!(forked.len() == 1 && forked[0] != ONE, "{forked:?}");
        assert_eq!(found_sessions(machine, &["penguins"]).len(), 2);
        let shown = machine
            .ccsync(["show", &forked[0], "--json"])
            .success()
            .json();
        assert_eq!(
            (&shown["fork_of"], &shown["turns"][0]["text"]),
            (&json!(ONE), &json!("a shared question"))
        );
    }
}

/// Damages a file.
type Damage<'a> = Box<dyn Fn() + 'a>;

/// Returns manual changes of a store's working tree.
fn damages(store: &std::path::Path) -> Vec<(&'static str, Damage<'_>)> {
    let session = store.join(format!("sessions/11/{ONE}"));
    let segment = session.join("transcript/000000.jsonl");
    let manifest = session.join("manifest.json");
    let original = fs::read(&segment).unwrap();
    let text = String::from_utf8(original).unwrap();
    let same_length = text.replace("login", "LOGIN").replace("LOGIN", "xogin");
    let write = |path: std::path::PathBuf, text: String| -> Box<dyn Fn()> {
        Box::new(move || fs::write(&path, &text).unwrap())
    };
    let elsewhere = store.parent().unwrap().join("elsewhere");
    vec![
        (
            "a segment is changed",
            write(segment.clone(), same_length.clone()),
        ),
        (
            "a segment grows",
            write(segment.clone(), format!("{text}{text}")),
        ),
        ("a segment is empty", write(segment.clone(), String::new())),
        (
            "a manifest is changed",
            write(manifest.clone(), "{\"format\":1}".to_owned()),
        ),
        (
            "a segment is gone",
            Box::new({
                let segment = segment.clone();
                move || fs::remove_file(&segment).unwrap()
            }),
        ),
        (
            "a segment is a link",
            Box::new({
                let (segment, elsewhere) = (segment.clone(), elsewhere.clone());
                let same_length = same_length.clone();
                move || {
                    fs::write(&elsewhere, &same_length).unwrap();
                    fs::remove_file(&segment).unwrap();
                    std::os::unix::fs::symlink(&elsewhere, &segment).unwrap();
                }
            }),
        ),
        (
            "all sessions are gone",
            Box::new(move || fs::remove_dir_all(store.join("sessions")).unwrap()),
        ),
        (
            "the index is gone",
            Box::new(move || fs::remove_file(store.join(".git/index")).unwrap()),
        ),
        (
            "the index is damaged",
            Box::new(move || fs::write(store.join(".git/index"), "DIRC").unwrap()),
        ),
    ]
}

#[test]
fn search_ignores_changes_in_working_tree() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("fix the login form").write();
    a.session(TWO).turn("another login").write();
    a.ccsync(["push"]).success();
    let store = a.store();
    let expected = a.ccsync(["search", "login"]).success().to_string();
    let count = damages(&store).len();
    for number in 0..count {
        let (what, damage) = damages(&store).swap_remove(number);
        damage();
        assert_eq!(
            a.ccsync(["search", "login"]).to_string(),
            expected,
            "{what}"
        );
        assert_eq!(found_sessions(&a, &["xogin"]), [""; 0], "{what}");
        // Entered by hand, without a commit: the head has another value.
        a.run(
            a.program("git")
                .arg("-C")
                .arg(&store)
                .args(["add", "--all", "."]),
        );
        assert_eq!(
            a.ccsync(["search", "login"]).to_string(),
            expected,
            "{what}, and added"
        );
        a.run(
            a.program("git")
                .arg("-C")
                .arg(&store)
                .args(["rm", "-r", "--cached", "--quiet", "."]),
        );
        let _ = fs::remove_file(store.join(".git/index"));
        a.git(&["reset", "--quiet", "--hard"]);
        assert_eq!(
            a.ccsync(["search", "login"]).to_string(),
            expected,
            "after {what}"
        );
    }
}

#[test]
fn search_unreadable_session_is_named_and_skipped() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("fix the login form").write();
    a.session(TWO).turn("another login").write();
    a.ccsync(["push"]).success();
    let attacker = env.machine("attacker");
    let clone = Clone::new(&env.remote_of_pair(), &attacker);
    clone.write(
        &format!("sessions/11/{ONE}/manifest.json"),
        "{\"format\":1}",
    );
    clone.push();
    b.ccsync(["list", "--remote"]).success();
    let run = b.ccsync(["search", "login"]).code(3);
    assert!(
        run.stdout.contains("another login") && !run.stdout.contains("fix the"),
        "{run}"
    );
    assert!(
        run.stderr
            .contains("not searched: session 11111111: cannot read session"),
        "{run}"
    );
    let document = b.ccsync(["search", "login", "--json"]).code(3).json();
    assert_eq!(document["unreadable"][0]["session"], ONE);
    assert_eq!(
        b.ccsync(["search", "quetzalcoatlus"]).code,
        Some(3),
        "it is unknown whether the session is there"
    );
    let shown = b.ccsync(["show", ONE]).code(1);
    assert!(shown.stderr.contains("cannot read session"), "{shown}");
    assert_eq!(
        a.ccsync(["show", ONE])
            .success()
            .stdout
            .matches("login")
            .count(),
        3,
        "it is here"
    );
}

#[test]
fn search_and_show_include_unpushed_sessions() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("never pushed").write();
    assert_eq!(found_sessions(&a, &["never pushed"]), [ONE]);
    assert_eq!(
        found_sessions(&a, &["never pushed", "--from", "a", "--project", "~/work"]),
        [ONE]
    );
    assert_eq!(found_sessions(&b, &["never pushed"]), [""; 0]);
    let document = a.ccsync(["show", "1111", "--json"]).success().json();
    assert_eq!(
        (&document["source"], &document["title"]),
        (&json!("here"), &json!("never pushed"))
    );
    a.ccsync(["push"]).success();
    assert_eq!(
        a.ccsync(["show", ONE, "--json"]).success().json()["source"],
        "store"
    );
    a.append(ONE, "said since");
    let document = a.ccsync(["show", ONE, "--json"]).success().json();
    let turns = document["turns"].as_array().unwrap();
    assert_eq!(
        (&document["source"], turns.len()),
        (&json!("here"), 6),
        "the longer version is shown"
    );
}

#[test]
fn show_session_as_text_markdown_and_json() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .turn("fix the login form")
        .turn("and\n```\nthis\n```")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--remote"]).success();
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").unwrap();
    let shown = |args: &[&str]| {
        let run = b.ccsync(["show", "1111"].iter().chain(args)).success();
        assert_eq!(run.stderr, "", "{run}");
        time.replace_all(&run.stdout, "$$TIME").into_owned()
    };
    insta::assert_snapshot!("shown_text", shown(&[]));
    insta::assert_snapshot!(
        "shown_markdown",
        shown(&["--format", "markdown", "--turns", "2"])
    );
    let document: Value = serde_json::from_str(&shown(&["--format", "json", "-n", "1"])).unwrap();
    assert_eq!(
        (
            &document["version"],
            &document["command"],
            &document["turns_omitted"]
        ),
        (&json!(2), &json!("show"), &json!(5))
    );
    assert_eq!(document["turns"].as_array().unwrap().len(), 1);
    let turn = &document["turns"][0];
    assert_eq!(
        (&turn["speaker"], &turn["text"]),
        (
            &json!("assistant"),
            &json!("Answer to: and\n```\nthis\n```")
        )
    );
    let none: Value = serde_json::from_str(&shown(&["--json", "--turns", "0"])).unwrap();
    assert_eq!(
        (&none["turns"], &none["turns_omitted"]),
        (&json!([]), &json!(6))
    );
}

#[test]
fn show_session_prefix_is_resolved() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    a.session("11111111-0000-4000-8000-000000000002")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    assert!(
        a.ccsync(["show", "1111"])
            .code(1)
            .stderr
            .contains("more than one session begins with 1111")
    );
    assert!(
        a.ccsync(["show", "9999"])
            .code(1)
            .stderr
            .contains("no session 9999 on this machine or in the store")
    );
    a.ccsync(["show", ONE]).success();
}

#[test]
fn search_and_show_escape_control_characters() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let hostile = "evil \u{1b}[2J\u{1b}]0;x\u{7} \u{9b}1m \u{202e}txt \r\u{8} needle";
    let text = [
        record(ONE, "user", &json!(hostile)),
        record(
            ONE,
            "assistant",
            &json!([{"type": "tool_use", "name": "\u{1b}[31mBash", "input": {"command": hostile}}]),
        ),
        format!(
            "{}\n",
            json!({"type": "ai-title", "aiTitle": hostile, "sessionId": ONE})
        ),
    ];
    a.session(ONE).raw(text.concat().as_bytes()).write();
    a.ccsync(["push"]).success();
    b.ccsync(["list", "--remote"]).success();
    let harmless = |run: Run| {
        let steering = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{9b}');
        assert!(
            run.stdout.contains("needle") && !run.stdout.contains(steering),
            "{:?}",
            run.stdout
        );
    };
    harmless(b.ccsync(["search", "needle"]).success());
    harmless(b.ccsync(["search", "needle", "--json"]).success());
    for format in ["text", "markdown", "json"] {
        harmless(b.ccsync(["show", ONE, "--format", format]).success());
    }
    let document = b.ccsync(["show", ONE, "--json"]).success().json();
    assert_eq!(
        document["turns"][0]["text"], hostile,
        "an escape means the same"
    );
}

#[test]
fn search_and_show_end_with_closed_pipe() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let long = "x ".repeat(2000);
    (0..200)
        .fold(a.session(ONE), |builder, n| {
            builder.turn(&format!("needle {n} {long}"))
        })
        .write();
    a.ccsync(["push"]).success();
    for args in [
        &["show", ONE][..],
        &["show", ONE, "--json"],
        &["search", "needle", "--hits", "100000"],
    ] {
        let mut child = a
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        let run = a.ended(child).success();
        assert!(
            !first.is_empty() && run.stderr.is_empty(),
            "{args:?}\n{run}"
        );
    }
}

#[test]
fn search_and_show_do_not_wait_for_other_process() {
    let env = TestEnv::new();
    let (_, b) = env.pair_with_session();
    let file = fs::File::open(b.home.join(".local/state/ccsync/lock")).unwrap();
    file.lock().unwrap();
    assert_eq!(found_sessions(&b, &["hello"]), [ONE]);
    b.ccsync(["show", ONE]).success();
}
