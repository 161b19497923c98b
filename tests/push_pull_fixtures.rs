//! Each fixture is pushed from one machine, pulled on another and pulled back, and is
//! exact on its origin.

use std::fs;
use std::path::Path;

use crate::harness::{Machine, ONE, TestEnv};

/// Returns every fixture with `@HOME@` and `@SESSION@` filled in for `machine`.
fn fixtures(machine: &Machine) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let sessions = files.filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let read = |path: &Path| {
        replace(
            &fs::read(path).unwrap(),
            b"@HOME@",
            machine.home.to_str().unwrap().as_bytes(),
        )
    };
    let mut all: Vec<_> = sessions
        .map(|p| {
            (
                p.file_name().unwrap().to_str().unwrap().to_owned(),
                read(&p),
            )
        })
        .collect();
    all.sort();
    assert!(all.len() >= 7, "{all:?}");
    all.into_iter()
        .map(|(name, text)| (name, replace(&text, b"@SESSION@", ONE.as_bytes())))
        .collect()
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    [replaced, rest.to_vec()].concat()
}

fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    &text[..end]
}

#[test]
fn push_pull_every_fixture_round_trips() {
    let env = TestEnv::new();
    let names: Vec<String> = fixtures(&env.machine("x"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in names {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        let (_, text) = fixtures(&a).into_iter().find(|(n, _)| *n == name).unwrap();
        let directory = a.project_dir("work/app");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("{ONE}.jsonl"));
        fs::write(&path, &text).unwrap();
        b.ccsync(["config", "set", "localize", "always"]).success();
        a.ccsync(["push"]).success();
        b.ccsync(["pull"]).success();
        for machine in [&a, &b] {
            machine.ccsync(["verify", "--full"]).success();
        }
        // The other machine has the text as if it had been written there, except for
        // protected strings.
        let there = fs::read(b.transcript_path(ONE)).unwrap();
        let (_, as_if) = fixtures(&b).into_iter().find(|(n, _)| *n == name).unwrap();
        if name != "thinking.jsonl" && name != "odd-lines.jsonl" {
            assert_eq!(
                String::from_utf8_lossy(&there),
                String::from_utf8_lossy(whole_lines(&as_if)),
                "{name}"
            );
        }
        // On its origin, a lost file is restored to the byte, except for a line that was
        // never finished.
        fs::remove_file(&path).unwrap();
        a.ccsync(["pull", ONE]).success();
        assert_eq!(fs::read(&path).unwrap(), whole_lines(&text), "{name}");
        assert!(
            a.ccsync(["push"]).success().stdout.contains("up to date"),
            "{name}"
        );
    }
}
