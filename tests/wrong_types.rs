//! Values of the wrong type in files that a user or another machine has edited: the messages name
//! the key and what it must be, and do not speak of Rust's types.

use std::error::Error;
use std::fs;

use ccsync::config::Config;
use ccsync::domain::error::error_chain;
use ccsync::lock::record::LockRecord;
use ccsync::store::machine::Machine;
use ccsync::store::manifest::Manifest;
use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{ONE, TestEnv};

/// Words of the parsers, which no message has.
const PARSER_WORDS: &str = concat!(
    r"\b(expected|invalid type|invalid value|invalid length|missing field|unknown field",
    r"|unknown variant|struct|enum|variant|sequence|[iu](8|16|32|64|128)|usize|f64)\b",
);

fn assert_plain(case: &str, error: &(dyn Error + 'static)) {
    let message = error_chain(error);
    let words = Regex::new(PARSER_WORDS).unwrap();
    assert!(!words.is_match(&message), "{case}: {message}");
    assert!(message.chars().count() < 400, "{case}: {message}");
}

/// Returns documents in which one value has another type or is missing, each with its pointer.
fn variants(good: &Value) -> Vec<(String, Value)> {
    let mut pointers = Vec::new();
    collect(good, "", &mut pointers);
    let values = [
        json!(7),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!(true),
        json!(null),
        json!([7]),
        json!({"x": 7}),
    ];
    let mut found = Vec::new();
    for pointer in pointers {
        for value in &values {
            let mut changed = good.clone();
            *changed.pointer_mut(&pointer).unwrap() = value.clone();
            found.push((format!("{pointer} = {value}"), changed));
        }
        let mut without = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(map) = without.pointer_mut(parent).and_then(Value::as_object_mut) {
            map.remove(key);
            map.insert("unknown".to_owned(), json!(1));
            found.push((format!("{pointer} renamed"), without));
        }
    }
    found
}

fn collect(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| collect(value, &format!("{pointer}/{key}"), found)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(at, value)| collect(value, &format!("{pointer}/{at}"), found)),
        _ => {}
    }
}

/// Calls `parse` with every variant, checks the errors, and returns how many there were.
fn count_plain_errors<E: Error + 'static>(
    good: &Value,
    parse: impl Fn(&[u8]) -> Result<(), E>,
) -> usize {
    parse(good.to_string().as_bytes()).unwrap();
    let mut errors = 0;
    for (case, document) in variants(good) {
        if let Err(error) = parse(document.to_string().as_bytes()) {
            assert_plain(&case, &error);
            errors += 1;
        }
    }
    errors
}

#[test]
fn wrong_types_in_store_have_plain_messages() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let read = |name: &str| {
        let path = walkdir::WalkDir::new(a.store())
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .find(|path| path.to_string_lossy().contains(name) && path.is_file())
            .unwrap();
        serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap()
    };

    let session = ONE.parse().unwrap();
    let manifest = count_plain_errors(&read("manifest.json"), |json| {
        Manifest::parse(&session, json).map(drop)
    });
    let machine = read("/machines/");
    let id = machine["id"].as_str().unwrap().parse().unwrap();
    let machine = count_plain_errors(&machine, |json| Machine::parse(&id, json).map(drop));

    assert!(manifest > 100 && machine > 30, "{manifest}, {machine}");
}

#[test]
fn wrong_types_in_lock_have_plain_messages() {
    let session = "s1".parse().unwrap();
    let record = json!({
        "format": 1, "session": "s1", "machine": "0123456789abcdef".repeat(2), "host": "a",
        "pid": 1, "acquired": "2026-01-01T00:00:00Z", "renewed": "2026-01-01T00:00:00Z",
        "ttl_seconds": 600, "generation": 1, "nonce": "n",
    });
    let errors = count_plain_errors(&record, |json| LockRecord::parse(&session, json).map(drop));
    assert!(errors > 50, "{errors}");
}

#[test]
fn wrong_types_in_config_have_plain_messages() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let path = a.home.join(".config/ccsync/config.toml");
    let good: Value = {
        let table: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut good = serde_json::to_value(table).unwrap();
        good["sync"] = json!({"include": ["~/work"], "max_size": "200MB", "max_age": 30});
        good["placeholders"] = json!({"WORK": "/w"});
        good
    };
    let mut errors = 0;
    for (case, document) in variants(&good) {
        let Ok(text) = toml::to_string(&document) else {
            continue;
        };
        fs::write(&path, text).unwrap();
        if let Err(error) = Config::load(&path) {
            assert_plain(&case, &error);
            errors += 1;
        }
    }
    assert!(errors > 60, "{errors}");
}

#[test]
fn wrong_types_in_config_name_key_and_line() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let path = a.home.join(".config/ccsync/config.toml");
    let good = fs::read_to_string(&path).unwrap();
    let bad = good.replace("pull_max_age = 30", "pull_max_age = \"long\"");
    assert_ne!(bad, good);
    fs::write(&path, bad).unwrap();
    let run = a.ccsync(["status"]).code(1);
    assert!(run.stderr.contains("cannot set pull_max_age to "), "{run}");
    assert!(run.stderr.contains("line "), "{run}");
}
