//! A search finds every message that contains the text, however the store writes it, and
//! no other message.

use std::collections::BTreeSet;

use ccsync::browse::search::pattern::Case;
use ccsync::browse::search::request::SearchRequest;
use ccsync::browse::search::run::search;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use regex::RegexBuilder;
use serde_json::{Value, json};

use crate::harness::library::with_context;
use crate::harness::{Machine, TestEnv};
use crate::project_repository::repository;

/// Returns words for texts: characters whose written form differs from the text.
fn words(home: &str) -> Vec<String> {
    let fixed = [
        "login",
        "Form",
        "x",
        "größer",
        "ファイル",
        "🚀",
        "\"quoted\"",
        "back\\slash",
        "a\tb",
        "\n",
        "\u{7}",
        "/",
        "//",
        "C:\\Users\\cy",
        "{{HOME}}",
        "{{~HOME}}",
        "{{ name }}",
        "%2F",
        "~/",
        "-",
        "\\u00e9",
        "\\n",
        "é",
        "e\u{301}",
        "İ",
        "ß",
        "ſ",
        "k\u{212a}",
    ];
    let paths = [
        home.to_owned(),
        format!("{home}/work/my_app/src/main.rs"),
        format!("{home}-old"),
        home.replace('/', "\\/"),
        home.replace('/', "%2F"),
        format!(
            "~/.claude/projects/{}",
            ccsync::domain::client_dir::client_dir_name(&format!("{home}/work/my_app"))
        ),
        format!("file://{home}/x"),
    ];
    fixed.map(str::to_owned).into_iter().chain(paths).collect()
}

/// Returns one record as one of several writers of JSON would write it.
fn written(session: &str, cwd: &str, text: &str, writer: u8) -> String {
    let record = json!({"type": "user", "uuid": "u", "sessionId": session, "cwd": cwd, "timestamp": "2026-03-10T11:00:00Z",
        "message": {"role": "user", "content": text}});
    let line = record.to_string();
    let ascii = |c: char| -> String {
        if c.is_ascii() {
            return c.to_string();
        }
        c.encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| format!("\\u{unit:04X}"))
            .collect()
    };
    match writer {
        0 => line,
        1 => line.chars().map(ascii).collect(),
        _ => line.replace('/', "\\/"),
    }
}

/// Returns the messages of each session, as the client of this machine reads them.
fn messages(machine: &Machine) -> Vec<(String, Vec<String>)> {
    let texts = |id: &String| {
        let records = machine
            .text(id)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect::<Vec<_>>();
        records
            .iter()
            .map(|record| {
                record["message"]["content"]
                    .as_str()
                    .unwrap()
                    .trim()
                    .to_owned()
            })
            .collect()
    };
    machine
        .sessions()
        .iter()
        .map(|id| (id.clone(), texts(id)))
        .collect()
}

fn found_sessions(machine: &Machine, (text, regex): (&str, bool), case: Case) -> BTreeSet<String> {
    let request = SearchRequest {
        text: text.to_owned(),
        regex,
        case,
        hits: 1,
        ..SearchRequest::default()
    };
    with_context(machine, |ctx| {
        let mut found = BTreeSet::new();
        let report = search(ctx, &request, &mut |hits| {
            found.insert(hits.name.session.to_string())
        })
        .unwrap();
        assert!(report.unreadable.is_empty(), "{report:?}");
        found
    })
}

fn expected_sessions(
    said: &[(String, Vec<String>)],
    (text, regex): (&str, bool),
    case: Case,
) -> BTreeSet<String> {
    let pattern = if regex {
        text.to_owned()
    } else {
        regex::escape(text)
    };
    let pattern = RegexBuilder::new(&pattern)
        .case_insensitive(case == Case::Ignore)
        .multi_line(true)
        .build()
        .unwrap();
    let says =
        |(_, texts): &&(String, Vec<String>)| texts.iter().any(|text| pattern.is_match(text));
    said.iter().filter(says).map(|(id, _)| id.clone()).collect()
}

/// Returns a regular expression that matches `text`; a number selects the form of each
/// character.
fn expression(text: &str, numbers: &[u8]) -> String {
    let one = |(c, number): (char, &u8)| match number {
        0 => if c == '\n' { r"\n" } else { "." }.to_owned(),
        1 => if c.is_alphanumeric() || c == '_' {
            r"\w+?"
        } else {
            r"\W"
        }
        .to_owned(),
        2 => if c.is_whitespace() { r"\s" } else { r"\S*" }.to_owned(),
        3 => "[^~x]".to_owned(),
        4 => format!("(?:{}|zz)", regex::escape(&c.to_string())),
        _ => regex::escape(&c.to_string()),
    };
    text.chars().zip(numbers.iter().cycle()).map(one).collect()
}

#[test]
fn search_every_message_is_found() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    // Two clones of one remote, whose paths are placeholders as well.
    repository(&a, "work/my_app", "git@github.com:al/app.git");
    repository(&b, "src/the checkout", "git@github.com:al/app.git");
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let words = words(a.home.to_str().unwrap());
    let text = proptest::collection::vec(proptest::sample::select(words), 1..6)
        .prop_map(|words| format!("t {}", words.join(" ")));
    let texts = proptest::collection::vec((text, 0..3_u8), 1..4);
    let cwd = a.home.join("work/my_app").to_str().unwrap().to_owned();
    for number in 0..60 {
        let id = format!("{number:08}-0000-4000-8000-000000000000");
        let texts = texts.new_tree(&mut runner).unwrap().current();
        let lines: String = texts
            .iter()
            .map(|(text, writer)| written(&id, &cwd, text, *writer) + "\n")
            .collect();
        a.session(&id).raw(lines.as_bytes()).write();
    }
    a.ccsync(["push"]).success();
    b.ccsync(["pull", "--days", "36500"]).success();
    for machine in [&a, &b] {
        let said = messages(machine);
        let all: Vec<&String> = said.iter().flat_map(|(_, texts)| texts).collect();
        let place = (
            any::<proptest::sample::Index>(),
            any::<proptest::sample::Index>(),
            1..12_usize,
            any::<bool>(),
        );
        let numbers = proptest::collection::vec(0..24_u8, 12);
        for number in 0..300 {
            let (which, start, length, ignores) = place.new_tree(&mut runner).unwrap().current();
            let numbers = numbers.new_tree(&mut runner).unwrap().current();
            let text: Vec<char> = which.get(&all).chars().collect();
            let text: String = text[start.index(text.len())..]
                .iter()
                .take(length)
                .collect();
            let is_regex = number % 2 == 1;
            let query = if is_regex {
                expression(&text, &numbers)
            } else {
                text
            };
            let case = if ignores { Case::Ignore } else { Case::Exact };
            let listed = |id: &BTreeSet<String>| id.iter().cloned().collect::<Vec<_>>();
            let (found, expected) = (
                found_sessions(machine, (&query, is_regex), case),
                expected_sessions(&said, (&query, is_regex), case),
            );
            assert_eq!(
                listed(&found),
                listed(&expected),
                "{query:?} ({case:?}) on {}",
                machine.name
            );
            assert!(
                !found.is_empty() || is_regex,
                "{query:?} was taken from what was said"
            );
        }
    }
}
