//! A repaired copy of a damaged transcript has every byte of each record, and complete
//! records are unchanged.

use std::fs;
use std::path::{Path, PathBuf};

use ccsync::session::repair::{
    Finding, LineDamage, RecordIds, RepairedText, Repairer, damaged_lines,
};
use proptest::prelude::*;

use crate::harness::{ONE, TWO, TestEnv, chain_is_whole, questions};

/// Repairs `text` in pieces of complete lines, as a command does.
fn repair(text: &[u8]) -> (RepairedText, Vec<Finding>) {
    let pieces: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    let mut ids = RecordIds::default();
    pieces.iter().for_each(|piece| ids.add_lines(piece));
    let mut repairer = Repairer::new(ids);
    let mut repaired = RepairedText::default();
    pieces
        .iter()
        .for_each(|piece| repairer.repair_lines(piece, &mut repaired));
    (repaired, repairer.finish())
}

fn repairs(findings: &[Finding]) -> Vec<&LineDamage> {
    findings
        .iter()
        .map(|f| &f.damage)
        .filter(|what| what.is_repair())
        .collect()
}

fn lines(text: &[u8]) -> Vec<String> {
    text.split_inclusive(|b| *b == b'\n')
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

/// Returns records of one chain, with state records between them and text that looks like
/// records inside of strings.
fn transcript(texts: &[String]) -> Vec<String> {
    let mut last = "null".to_owned();
    let mut records = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let text = serde_json::to_string(text).unwrap();
        let (kind, uuid) = (
            ["user", "assistant", "system", "attachment"][n % 4],
            format!("uuid-{n}"),
        );
        records.push(format!(
            "{{\"parentUuid\":{last},\"isSidechain\":false,\"type\":\"{kind}\",\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}]}},\"data\":{{\"message\":{{\"type\":\"user\",\"uuid\":\"inner-{n}\"}}}},\"uuid\":\"{uuid}\",\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"sessionId\":\"{ONE}\"}}\n"
        ));
        last = format!("\"{uuid}\"");
        if n % 3 == 1 {
            records.push(format!(
                "{{\"type\":\"last-prompt\",\"lastPrompt\":{text},\"leafUuid\":{last},\"sessionId\":\"{ONE}\"}}\n"
            ));
        }
    }
    records
}

fn any_transcript() -> impl Strategy<Value = Vec<String>> {
    let looks_alike = Just(format!(
        "}}{{\"type\":\"user\",\"uuid\":\"x\",\"parentUuid\":null,\"sessionId\":\"{ONE}\"}}"
    ));
    let text = prop_oneof![3 => "[ -~éЖ目🚀\\n\\\\\"{}]{0,40}", 1 => looks_alike];
    proptest::collection::vec(text, 2..9).prop_map(|texts| transcript(&texts))
}

/// One kind of damage, at a position given by the two numbers.
#[derive(Debug, Clone, Copy)]
enum Injury {
    /// The beginning of another record, glued to this one.
    TornBefore,
    /// The last record was never finished.
    TornEnd,
    /// Two records on one line.
    Glued,
    /// Zero bytes on a line of their own, without an end in the last line.
    ZerosAtEnd,
    /// Zero bytes before a record.
    ZerosBefore,
    /// A fragment on a line of its own.
    Garbage,
    /// The last line without its end.
    Unterminated,
    /// A record a second time.
    Doubled,
    /// The whole file a second time.
    DoubledWhole,
}

const INJURIES: [Injury; 9] = [
    Injury::TornBefore,
    Injury::TornEnd,
    Injury::Glued,
    Injury::ZerosAtEnd,
    Injury::ZerosBefore,
    Injury::Garbage,
    Injury::Unterminated,
    Injury::Doubled,
    Injury::DoubledWhole,
];

fn injure(records: &[String], injury: Injury, at: usize, cut: usize) -> Vec<u8> {
    let mut damaged: Vec<Vec<u8>> = records.iter().map(|r| r.clone().into_bytes()).collect();
    let at = at % records.len();
    // A valid beginning of a record that is not in the file.
    let other = &transcript(&["one".to_owned(), "two\u{e9}{\"".to_owned()])[1]
        .replace("uuid-", "other-")
        .into_bytes();
    let torn = &other[..1 + cut % (other.len() - 2)];
    match injury {
        Injury::TornBefore => damaged[at]
            .splice(0..0, torn.iter().copied())
            .for_each(drop),
        Injury::TornEnd => damaged.push(torn.to_vec()),
        Injury::Glued => {
            let next = if at + 1 < damaged.len() {
                damaged.remove(at + 1)
            } else {
                return injure(records, injury, 0, cut);
            };
            damaged[at].pop();
            damaged[at].extend(next);
        }
        Injury::ZerosAtEnd => damaged.push(vec![0; 1 + cut]),
        Injury::ZerosBefore => damaged[at].splice(0..0, vec![0; 1 + cut]).for_each(drop),
        Injury::Garbage => damaged.insert(at, [torn, b"\n"].concat()),
        Injury::Unterminated => drop(damaged.last_mut().unwrap().pop()),
        Injury::Doubled => damaged.push(damaged[at].clone()),
        Injury::DoubledWhole => damaged.extend(damaged.clone()),
    }
    damaged.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn repair_complete_transcript_is_unchanged(records in any_transcript()) {
        let text = records.concat().into_bytes();
        let (repaired, findings) = repair(&text);
        prop_assert_eq!(lines(&repaired.text), lines(&text));
        prop_assert_eq!((findings, damaged_lines(&text)), (vec![], 0));
    }

    #[test]
    fn repair_each_damage_restores_its_records(records in any_transcript(), at in 0..99usize, cut in 0..999usize) {
        for injury in INJURIES {
            let damaged = injure(&records, injury, at, cut);
            let (repaired, findings) = repair(&damaged);
            // A doubled record is kept once; a doubled state record, which has no id, is
            // kept twice, and the client uses the last one.
            let mut expected = records.clone();
            let again: &[String] = match injury {
                Injury::Doubled => &records[at % records.len()..=at % records.len()],
                Injury::DoubledWhole => &records,
                _ => &[],
            };
            expected.extend(again.iter().filter(|record| !record.starts_with("{\"parentUuid\"")).cloned());
            prop_assert_eq!(lines(&repaired.text), expected, "{:?}", injury);
            let doubled_state = matches!(injury, Injury::Doubled) && !records[at % records.len()].starts_with("{\"parentUuid\"");
            prop_assert_eq!(repairs(&findings).is_empty(), doubled_state, "{:?} {:?}", injury, findings);
            // A push checks quickly: it may miss a fragment that ends like a record, and
            // never reports damage in a healthy file.
            let noticed = damaged_lines(&damaged);
            match injury {
                Injury::Glued | Injury::ZerosBefore => prop_assert_eq!(noticed, 1, "{:?}", injury),
                Injury::TornBefore | Injury::Garbage => prop_assert!(noticed <= 1, "{:?}", injury),
                _ => prop_assert_eq!(noticed, 0, "{:?}", injury),
            }
        }
    }

    #[test]
    fn repair_every_byte_is_in_copy_or_fragments(text in proptest::collection::vec(bytes(), 0..12)) {
        let text = text.concat();
        let (repaired, findings) = repair(&text);
        let solid = |text: &[u8]| text.iter().filter(|b| !b.is_ascii_whitespace() && **b != 0).count();
        let (again, more) = repair(&repaired.text);
        prop_assert_eq!(lines(&again.text), lines(&repaired.text), "{:?}", findings);
        prop_assert_eq!(repairs(&more), Vec::<&LineDamage>::new());
        if !findings.iter().any(|f| matches!(f.damage, LineDamage::Duplicate { .. } | LineDamage::Relinked { .. })) {
            prop_assert_eq!(solid(&repaired.text) + solid(&repaired.fragments), solid(&text));
        }
    }
}

/// Parts of damaged transcripts.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let record = (0..5u8, 0..7u8).prop_map(|(uuid, parent)| {
        format!("{{\"parentUuid\":\"u{parent}\",\"type\":\"user\",\"uuid\":\"u{uuid}\",\"sessionId\":\"s\"}}")
            .into_bytes()
    });
    prop_oneof![
        4 => record,
        3 => Just(b"\n".to_vec()),
        1 => Just(b"\0\0".to_vec()),
        1 => Just(b"{\"type\":\"mode\",\"sessionId\":\"s\"}\r".to_vec()),
        1 => Just(b"{\"type\":\"us".to_vec()),
        1 => Just(b"\xff\xfe".to_vec()),
        1 => Just(b"[]null \"x\"{}".to_vec()),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
    ]
}

#[test]
fn repair_missing_parent_becomes_previous_record_of_chain() {
    let record = |uuid: &str, parent: &str, side: bool| {
        format!(
            "{{\"parentUuid\":{parent},\"isSidechain\":{side},\"type\":\"user\",\"uuid\":\"{uuid}\",\"sessionId\":\"s\"}}\n"
        )
    };
    let text = |third: &str, fifth: &str| {
        [
            record("a", "null", false),
            record("b", "\"a\"", false),
            record("side", third, true),
            record("side-2", "\"side\"", true),
            record("c", fifth, false),
            record("d", "\"c\"", false),
        ]
        .concat()
    };
    let (repaired, findings) = repair(text("\"gone\"", "\"lost\"").as_bytes());
    assert_eq!(
        String::from_utf8(repaired.text).unwrap(),
        text("\"gone\"", "\"b\""),
        "a chain may begin elsewhere"
    );
    let what: Vec<&LineDamage> = findings.iter().map(|f| &f.damage).collect();
    let id = str::to_owned;
    assert_eq!(
        what,
        [
            &LineDamage::Parentless { record: id("side") },
            &LineDamage::Relinked {
                record: id("c"),
                from: id("lost"),
                to: id("b")
            }
        ]
    );
}

#[test]
fn repair_deep_complete_objects_are_one_fragment() {
    let levels = 200_000;
    let closed = format!("x{}1{}\n", "{\"a\":".repeat(levels), "}".repeat(levels));
    let many = "{\"a\":1} {\"type\":1} {\"uuid\":\"b\"}x".repeat(100_000) + "\n";
    for text in [closed, many] {
        let (repaired, _) = repair(text.as_bytes());
        assert!(repaired.fragments.len() > text.len() / 2);
    }
}

#[test]
fn repair_different_records_of_one_id_are_kept() {
    let record = |text: &str| {
        format!("{{\"parentUuid\":null,\"type\":\"user\",\"text\":\"{text}\",\"uuid\":\"a\"}}\n")
    };
    let text = [record("1"), record("2"), record("1")].concat();
    let (repaired, findings) = repair(text.as_bytes());
    assert_eq!(String::from_utf8(repaired.text).unwrap(), text);
    assert_eq!(repairs(&findings), Vec::<&LineDamage>::new());
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[test]
fn repair_torn_nested_message_is_not_a_record() {
    let whole = "{\"parentUuid\":null,\"type\":\"user\",\"uuid\":\"a\",\"sessionId\":\"s\"}\n";
    let torn = "{\"parentUuid\":\"a\",\"type\":\"progress\",\"data\":{\"message\":{\"type\":\"user\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},\"uuid\":\"inner\",\"timestamp\":\"t\"}";
    for end in ["\n", "\n{}", "[]\n"] {
        let (repaired, _) = repair([whole, torn, whole, torn, end].concat().as_bytes());
        assert!(
            !String::from_utf8_lossy(&repaired.text)
                .lines()
                .any(|line| line.contains("inner")),
            "{end:?}"
        );
    }
}

/// With a parse from every level, these tests would take hours.
#[test]
fn repair_deep_torn_record_keeps_record_behind() {
    let whole = "{\"parentUuid\":null,\"type\":\"user\",\"uuid\":\"a\",\"sessionId\":\"s\"}\n";
    let levels = 200_000;
    for level in ["{\"a\":", "{\"a\":[", "{\"a{\":"] {
        let torn = level.repeat(levels);
        for torn in [
            torn.clone(),
            format!("{torn}1{}", "}".repeat(levels / 2)),
            format!("x{torn}\"b"),
        ] {
            let (repaired, findings) = repair([&torn, whole, whole].concat().as_bytes());
            assert_eq!(String::from_utf8(repaired.text).unwrap(), whole, "{level}");
            assert_eq!(
                repaired.fragments,
                format!("{torn}\n").as_bytes(),
                "{level}"
            );
            assert_eq!(findings.len(), 2, "{level}: {findings:?}");
        }
    }
}

/// Transcripts as the client wrote them are healthy, except for those that were cut on
/// purpose.
#[test]
#[allow(clippy::print_stderr)]
fn repair_every_corpus_transcript_is_healthy() {
    let Some(corpus) = std::env::var_os("CCSYNC_CORPUS_DIR") else {
        eprintln!("skipped: CCSYNC_CORPUS_DIR is not set");
        return;
    };
    let mut cut = Vec::new();
    for path in transcripts(Path::new(&corpus)) {
        let text = fs::read(&path).unwrap();
        let (repaired, findings) = repair(&text);
        if !findings.is_empty() {
            assert!(
                !text.ends_with(b"\n") && text.starts_with(&repaired.text),
                "{}: {findings:?}",
                path.display()
            );
            cut.push(path);
            continue;
        }
        assert!(
            repaired.text == text && damaged_lines(&text) == 0,
            "{}",
            path.display()
        );
    }
    assert!(cut.len() <= 1, "{cut:?}");
}

#[test]
fn repair_healthy_fixture_is_unchanged() {
    let mut healthy = Vec::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    // Files in directories below belong to another program.
    for path in transcripts(&fixtures)
        .into_iter()
        .filter(|path| path.parent() == Some(&fixtures))
    {
        let text = fs::read(&path).unwrap();
        let (repaired, findings) = repair(&text);
        if repairs(&findings).is_empty() {
            assert!(
                repaired.text == text && damaged_lines(&text) == 0,
                "{}",
                path.display()
            );
            healthy.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        } else {
            let fragments = findings
                .iter()
                .all(|f| matches!(f.damage, LineDamage::Fragment { .. }));
            assert!(fragments, "{}: {findings:?}", path.display());
        }
    }
    assert_eq!(
        healthy,
        ["escapes", "look-alikes", "odd-text", "thinking", "tools"]
    );
}

fn transcripts(below: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(below)
        .sort_by_file_name()
        .into_iter()
        .map(|e| e.unwrap().into_path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect()
}

/// Bytes of a torn record: it ends in the middle of a path, however long that is.
const TORN: usize = 16;

/// Returns the transcript of `ONE` with a torn record joined to the next one, and zeros
/// at the end, as after a power cut.
fn damaged(whole: &[u8]) -> Vec<u8> {
    let whole = lines(whole);
    let mut text = whole[..4].concat().into_bytes();
    text.extend_from_slice(&whole[4].as_bytes()[..TORN]);
    text.extend_from_slice(whole[4..].concat().as_bytes());
    text.extend_from_slice(&[0; 512]);
    text
}

#[test]
fn repair_copy_is_new_session_and_original_is_unchanged() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("hello").turn("more").write();
    let whole = fs::read(&path).unwrap();
    let extras = path.with_extension("");
    fs::create_dir_all(extras.join("subagents")).unwrap();
    fs::write(
        extras.join("subagents/agent-1.jsonl"),
        format!("{{\"type\":\"mode\",\"sessionId\":\"{ONE}\"}}\n"),
    )
    .unwrap();
    fs::write(extras.join("custom-title.json"), "{\"customTitle\":\"x\"}").unwrap();
    fs::write(&path, damaged(&whole)).unwrap();

    let report = a.ccsync(["repair", &ONE[..8], "--json"]).success().json();
    let kinds: Vec<&str> = report["files"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["fragment", "zeros"], "{report}");
    let copy = report["copy"]["session"].as_str().unwrap().to_owned();
    assert_eq!(
        fs::read(&path).unwrap(),
        damaged(&whole),
        "the damaged one is as it was"
    );
    assert_eq!(
        a.text(&copy),
        String::from_utf8(whole.clone())
            .unwrap()
            .replace(ONE, &copy)
    );
    assert!(chain_is_whole(&a.text(&copy)));
    let copied = a.transcript_path(&copy).with_extension("");
    assert!(
        fs::read_to_string(copied.join("subagents/agent-1.jsonl"))
            .unwrap()
            .contains(&copy)
    );
    assert!(copied.join("custom-title.json").exists());
    let fragments = fs::read(report["copy"]["fragments"].as_str().unwrap()).unwrap();
    assert_eq!(
        fragments,
        [
            &whole.split_inclusive(|b| *b == b'\n').nth(4).unwrap()[..TORN],
            b"\n"
        ]
        .concat()
    );

    // A second repair finds the same copy, also after the client has continued it.
    a.append(&copy, "and on");
    let again = a.ccsync(["repair", ONE, "--json"]).success().json();
    assert_eq!(
        (again["copy"]["session"].as_str(), &again["copy"]["existed"]),
        (Some(copy.as_str()), &true.into())
    );
    assert_eq!(questions(&a.text(&copy)), ["hello", "more", "and on"]);
    assert!(
        a.ccsync(["repair", &copy])
            .success()
            .stdout
            .contains("nothing to repair")
    );

    // The copy is synced like any session.
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(&copy)), ["hello", "more", "and on"]);
}

#[test]
fn repair_output_file_is_never_overwritten() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let path = a.session(ONE).turn("hello").turn("more").write();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, damaged(&whole)).unwrap();
    let before = a.client_tree();
    let out = a.home.join("repaired.jsonl");
    a.ccsync(["repair", ONE, "--output", "repaired.jsonl"])
        .success();
    assert_eq!(fs::read(&out).unwrap(), whole);
    assert_eq!(a.client_tree(), before);
    let second = a
        .ccsync(["repair", ONE, "--output", "repaired.jsonl"])
        .code(1);
    assert!(second.stderr.contains("repaired.jsonl"), "{second}");
}

#[test]
fn repair_without_work_or_session_says_so() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").write();
    let before = a.client_tree();
    insta::assert_snapshot!("nothing_to_repair", a.ccsync(["repair", ONE]).success());
    insta::assert_snapshot!("not_here", a.ccsync(["repair", TWO]));
    assert_eq!(a.client_tree(), before);
    fs::write(a.transcript_path(ONE), [0; 100]).unwrap();
    insta::assert_snapshot!("nothing_whole", a.ccsync(["repair", ONE]));
}

#[cfg(target_os = "linux")]
#[test]
fn repair_running_session_up_to_last_complete_line() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("hello").raw(b"{\"type\":\"us").write();
    a.mark_running(ONE, std::process::id());
    let run = a.ccsync(["repair", ONE]).success();
    assert!(
        run.stdout.contains("is open in Claude Code") && run.stdout.contains("nothing to repair"),
        "{run}"
    );
}

#[test]
fn push_damaged_session_hints_at_repair() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    let path = a.session(ONE).turn("hello").turn("more").write();
    let whole = fs::read(&path).unwrap();
    a.ccsync(["push"]).success();
    a.append_raw(
        ONE,
        b"{\"type\":\"us{\"type\":\"mode\",\"sessionId\":\"x\"}\n",
    );
    let hint = format!("ccsync repair {ONE}");
    let push = a.ccsync(["push"]).success();
    assert!(
        push.stdout.contains("1 record not valid") && push.stdout.contains(&hint),
        "{push}"
    );
    assert!(
        !a.ccsync(["push"]).success().stdout.contains("repair"),
        "a file that was not read again is not named again"
    );

    // The local file is damaged and the store has a complete copy: both stay, and a
    // warning names it.
    fs::write(&path, damaged(&whole)).unwrap();
    let push = a.ccsync(["push"]).code(5);
    assert!(
        push.stdout.contains("forked") && push.stdout.contains(&hint),
        "{push}"
    );
}
