//! Transcripts and the turns read from them.

use super::*;
use crate::domain::{Turn, TurnSpeaker};

fn user(text: &str) -> String {
    format!(r#"{{"type":"user","message":{{"role":"user","content":"{text}"}}}}"#)
}

fn texts(lines: &[&str]) -> Vec<String> {
    turns(lines.join("\n").as_bytes())
        .iter()
        .map(shown)
        .collect()
}

fn shown(turn: &Turn) -> String {
    let initial = match turn.speaker {
        TurnSpeaker::User => "U",
        TurnSpeaker::Assistant => "A",
        TurnSpeaker::Client => "C",
    };
    let tools = if turn.tools.is_empty() {
        String::new()
    } else {
        format!(" [{}]", turn.tools.join("; "))
    };
    format!("{initial} {}{tools}", turn.text.replace('\n', "|"))
}

#[test]
fn turns_prompts_answers_and_tools_count_results_do_not() {
    let texts = texts(&[
        r#"{"type":"mode","mode":"normal"}"#,
        r#"{"parentUuid":null,"type":"user","uuid":"u1","message":{"role":"user","content":"look"},"cwd":"/w"}"#,
        r#"{"parentUuid":"u1","type":"attachment","uuid":"t1","attachment":{"type":"date"}}"#,
        r#"{"parentUuid":"t1","type":"assistant","uuid":"a0","cwd":"/w","message":{"id":"m1","content":[{"type":"thinking","thinking":"hm"}]}}"#,
        r#"{"parentUuid":"a0","type":"assistant","uuid":"a1","cwd":"/w","message":{"id":"m1","content":[{"type":"text","text":"I will."}]}}"#,
        r#"{"parentUuid":"a1","type":"assistant","uuid":"a2","cwd":"/w","message":{"id":"m1","content":[{"type":"tool_use","name":"Bash","input":{"command":"cargo test\nls"}}]}}"#,
        r#"{"parentUuid":"a2","type":"assistant","uuid":"a3","cwd":"/w","message":{"id":"m1","content":[{"type":"tool_use","name":"Edit","input":{"file_path":"/w/src/x.rs"}}]}}"#,
        r#"{"parentUuid":"a2","type":"user","uuid":"r1","message":{"content":[{"type":"tool_result","content":"ok"}]},"toolUseResult":"ok"}"#,
        r#"{"parentUuid":"a3","type":"user","uuid":"r2","message":{"content":[{"type":"tool_result","content":[{"type":"text","text":"ok"}]}]}}"#,
        r#"{"parentUuid":"r2","type":"assistant","uuid":"a4","message":{"id":"m2","content":[{"type":"text","text":"Done."},{"type":"tool_use","name":"Odd","input":7}]}}"#,
        r#"{"parentUuid":"a4","type":"user","uuid":"u2","message":{"content":[{"type":"text","text":"and this"},{"type":"image","source":{}}]}}"#,
        r#"{"type":"last-prompt","lastPrompt":"and this","leafUuid":"u2"}"#,
        r#"{"parentUuid":"u2","type":"attachment","uuid":"q1","attachment":{"type":"queued_command","prompt":"and then"}}"#,
    ]);
    assert_eq!(
        texts,
        [
            "U look",
            "A I will. [Bash: cargo test…; Edit src/x.rs]",
            "A Done. [Odd]",
            "U and this||[image]",
            "U and then"
        ],
        "r1 is no ancestor of what follows"
    );
}

#[test]
fn turns_client_wrappers_are_removed() {
    let say = |text: &str| texts(&[&user(text)]).pop();
    for (text, expected) in [
        (
            "<command-name>/review</command-name>\\n<command-message>x</command-message>\\n<command-args>now</command-args>",
            Some("U /review now"),
        ),
        ("<bash-input>ls -l</bash-input>", Some("U ! ls -l")),
        (
            "\\n\\n<pasted_content id=\\\"8\\\">\\nall of this\\n</pasted_content id=\\\"8\\\">\\n",
            Some("U all of this"),
        ),
        (
            "<b>bold</b> is typed, too",
            Some("U <b>bold</b> is typed, too"),
        ),
        (
            "<bash-stdout>x</bash-stdout><bash-stderr></bash-stderr>",
            None,
        ),
        ("<local-command-stdout>x</local-command-stdout>", None),
        ("<task-notification>x</task-notification>", None),
        ("<system-reminder>x</system-reminder>", None),
        ("  \\n", None),
    ] {
        assert_eq!(say(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn turns_side_chains_and_meta_records_are_excluded() {
    let texts = texts(&[
        r#"{"type":"user","uuid":"s","isSidechain":true,"message":{"content":"of a sub-agent"}}"#,
        r#"{"type":"user","uuid":"m","isMeta":true,"message":{"content":"a caveat"}}"#,
        r#"{"type":"system","subtype":"compact_boundary","uuid":"b","parentUuid":null}"#,
        r#"{"type":"user","uuid":"c","parentUuid":"b","isCompactSummary":true,"message":{"content":"so far"}}"#,
        r#"{"type":"user","uuid":"u","parentUuid":"c","message":{"content":"go on"},"timestamp":"2026-01-02T03:04:05.678Z"}"#,
    ]);
    assert_eq!(texts, ["C so far", "U go on"]);
}

#[test]
fn turns_abandoned_branch_is_excluded() {
    let record = |uuid: &str, parent: &str| {
        format!(
            r#"{{"type":"user","uuid":"{uuid}","parentUuid":"{parent}","message":{{"content":"{uuid}"}}}}"#
        )
    };
    let lines = [
        record("early", "unknown"),
        record("a", "early"),
        record("b", "a"),
        record("left", "b"),
        record("left2", "left"),
    ];
    let whole: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(texts(&whole).len(), 5);
    let back = record("back", "b");
    assert_eq!(
        texts(&[whole.as_slice(), &[&back]].concat()),
        ["U early", "U a", "U b", "U back"]
    );
    let orphan = record("orphan", "elsewhere");
    assert_eq!(
        texts(&[whole.as_slice(), &[&orphan]].concat()).len(),
        6,
        "its parent is unknown"
    );
}

#[test]
fn turns_invalid_characters_are_replaced() {
    assert_eq!(
        texts(&[&user(r"cut \ud83d here \ude00 \ud83d\ude00 \\ud83d \ud83")]),
        Vec::<String>::new(),
        "no escape"
    );
    assert_eq!(
        texts(&[&user(r"cut \ud83d here \ude00 \ud83d\ude00 \\ud83d")]),
        ["U cut \u{fffd} here \u{fffd} 😀 \\ud83d"]
    );
    let odd = [
        br#"{"type":"user","message":{"content":""#.as_slice(),
        b"a\xff\xfeb",
        br#""}}"#,
    ]
    .concat();
    assert_eq!(
        turns(&odd).iter().map(shown).collect::<Vec<_>>(),
        ["U a\u{fffd}\u{fffd}b"]
    );
}

#[test]
fn turns_any_line_never_panics() {
    let odd = [
        "",
        "[]",
        "{}",
        "null",
        "{",
        "\u{feff}",
        r#"{"type":"user"}"#,
        r#"{"type":7,"uuid":7,"message":7}"#,
        r#"{"type":"user","message":{"content":[7,{"type":"text"}]}}"#,
        r#"{"type":"assistant","uuid":"x","parentUuid":"x","message":{"content":[{"type":"tool_use"}]}}"#,
        r"{\u",
        r#"{"a":"\ud8"#,
        r#"{"a":"\ud83d\u"#,
        "\\",
        "{\"é\\",
    ];
    assert_eq!(texts(&odd), ["A  [a tool]"]);
    assert_eq!(
        texts(&["  {\"type\":\"user\",\"message\":{\"content\":\"x\"}}\r"]),
        ["U x"]
    );
}

#[test]
fn turns_limit_returns_newest() {
    let lines = [user("one"), user("two"), user("three")].join("\n");
    assert_eq!(
        last_turns(lines.as_bytes(), 2)
            .iter()
            .map(shown)
            .collect::<Vec<_>>(),
        ["U two", "U three"]
    );
    assert_eq!(last_turns(lines.as_bytes(), 9).len(), 3);
    assert_eq!(last_turns(b"", 9), []);
}

#[test]
fn turns_count_matches_user_prompts_shown() {
    let line = |kind: &str, more: &str, content: &str| {
        format!(
            "{{\"type\":\"{kind}\",\"uuid\":\"u\"{more},\"message\":{{\"role\":\"{kind}\",\"content\":{content}}}}}\n"
        )
    };
    let queued = |prompt: &str| {
        format!(
            "{{\"type\":\"attachment\",\"uuid\":\"u\",\"attachment\":{{\"type\":\"queued_command\",\"prompt\":{prompt}}}}}\n"
        )
    };
    let all = [
        (line("user", "", "\"hello\""), 1),
        (line("user", "", "[{\"type\":\"text\",\"text\":\"hello\"}]"), 1),
        (line("user", "", "\"it says \\\"type\\\":\\\"tool_result\\\" there\""), 1),
        (line("user", "", "[{\"type\":\"tool_result\",\"content\":\"x\"}]"), 0),
        (line("user", "", "[{\"type\":\"tool_result\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]"), 0),
        (line("user", ",\"isMeta\":true", "\"caveat\""), 0),
        (line("user", ",\"isSidechain\":true", "\"of a sub-agent\""), 0),
        (line("user", ",\"isCompactSummary\":true", "\"summary\""), 0),
        (line("user", "", "\"<local-command-stdout>x</local-command-stdout>\""), 0),
        (line("assistant", "", "[{\"type\":\"tool_use\",\"name\":\"x\",\"input\":{\"type\":\"user\"}}]"), 0),
        ("{\"type\":\"user\" torn\n".to_owned(), 0),
        (queued("\"while it worked\""), 1),
        (queued("[{\"type\":\"text\",\"text\":\"while it worked\"},{\"type\":\"image\"}]"), 1),
        (queued("\"<task-notification>done</task-notification>\""), 0),
        (line("user", ",\"x\":{\"type\":\"queued_command\"}", "\"once\""), 1),
        (
            "{\"type\":\"attachment\",\"uuid\":\"u\",\"attachment\":{\"type\":\"todo\",\"x\":{\"type\":\"user\"}}}\n"
                .to_owned(),
            0,
        ),
    ];
    for (line, expected) in &all {
        let texts = turns(line.as_bytes())
            .iter()
            .filter(|turn| turn.speaker == TurnSpeaker::User)
            .count() as u64;
        assert_eq!(
            (count_user_turns(line.as_bytes()), texts),
            (*expected, *expected),
            "{line}"
        );
    }
    let together: String = all.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(count_user_turns(together.as_bytes()), 6);
    assert_eq!(count_user_turns(b""), 0);
}
