//! The end of a transcript that two machines continued differently: what of it is a conversation.
//!
//! A look at a session, a new title and leaving append records too. Record kinds as of client
//! 2.1.332.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::record::parse;

/// Records with what the user chose for the session. The last of a kind counts.
const CHOICES: [&str; 7] = [
    "custom-title",
    "agent-name",
    "tag",
    "agent-color",
    "mode",
    "permission-mode",
    "pr-link",
];

/// Choices that the client also records whenever it opens a session.
const MODES: [&str; 2] = ["mode", "permission-mode"];

/// Beginnings of the texts that a command of the client leaves, which no model answers.
const COMMAND_TEXTS: [&str; 3] = ["<command-", "<local-command-", "<system-reminder>"];

/// The end of a transcript.
#[derive(Debug, Default)]
pub struct Tail {
    /// The ids of its records.
    uuids: HashSet<String>,
    /// The last record of each kind with a choice of the user, as its line.
    choices: BTreeMap<&'static str, Vec<u8>>,
    /// True if it has a turn, or a record of which that is not known.
    has_turns: bool,
    /// True if a line is not a record.
    is_damaged: bool,
}

impl Tail {
    /// Adds more of it, as whole lines.
    pub fn add(&mut self, lines: &[u8]) {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.add_line(line);
        }
    }

    fn add_line(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Some(record) = parse(line) else {
            self.is_damaged = true;
            self.has_turns = true;
            return;
        };
        let kind = record["type"].as_str().unwrap_or_default();
        if let Some(choice) = choice_of(kind) {
            let mut line = line.to_vec();
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            self.choices.insert(choice, line);
        }
        self.has_turns |= may_be_of_turn(kind, &record);
        if let Some(uuid) = record["uuid"].as_str() {
            self.uuids.insert(uuid.to_owned());
        }
    }

    /// Returns true if the user or the model may have said something in it.
    pub fn has_turns(&self) -> bool {
        self.has_turns
    }

    /// Returns true if the user chose something in it that the lines before it do not have.
    pub fn has_new_choices(&self, before: &Self) -> bool {
        let mut new = self.choices_beyond(before, true).into_keys();
        new.any(|kind| !MODES.contains(&kind))
    }

    /// Returns true if it is another text of records that `other` has, too: the file was changed
    /// in place.
    pub fn is_rewritten(&self, other: &Self) -> bool {
        !self.is_damaged && !other.is_damaged && !self.uuids.is_disjoint(&other.uuids)
    }

    /// Returns the lines with what the user chose in this tail and is lost without it, by kind.
    /// `other` is the tail that stays; if `is_later`, this one was written later.
    pub fn choices_beyond(&self, other: &Self, is_later: bool) -> BTreeMap<&'static str, &[u8]> {
        let is_kept = |kind: &str, line: &[u8]| match other.choices.get(kind) {
            Some(there) => is_later && there != line,
            None => true,
        };
        let all = self.choices.iter();
        let all = all.map(|(kind, line)| (*kind, line.as_slice()));
        all.filter(|(kind, line)| is_kept(kind, line)).collect()
    }
}

/// Returns the kind of choice of the user that a line records, if any.
pub fn choice_kind(line: &[u8]) -> Option<&'static str> {
    choice_of(parse(line)?["type"].as_str()?)
}

fn choice_of(kind: &str) -> Option<&'static str> {
    CHOICES.into_iter().find(|choice| *choice == kind)
}

/// Returns true if a record may belong to a turn. A record of an unknown kind with a place in the
/// conversation may.
fn may_be_of_turn(kind: &str, record: &Value) -> bool {
    match kind {
        "system" | "progress" => false,
        "user" => !is_of_command(&record["message"]["content"]),
        // Files, dates and the like that the client adds before a turn.
        "attachment" => record["attachment"]["type"] == "queued_command",
        // Typed while the model was working.
        "queue-operation" => true,
        _ => !record["uuid"].is_null(),
    }
}

/// Returns true if the text is what a command of the client leaves.
fn is_of_command(content: &Value) -> bool {
    let is_command = |text: &str| {
        let text = text.trim_start();
        COMMAND_TEXTS.iter().any(|start| text.starts_with(start))
    };
    match content {
        Value::String(text) => is_command(text),
        Value::Array(blocks) => {
            let is_text = |block: &Value| block["text"].as_str().is_some_and(is_command);
            !blocks.is_empty() && blocks.iter().all(is_text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(lines: &[&str]) -> Tail {
        let mut tail = Tail::default();
        lines
            .iter()
            .for_each(|line| tail.add(format!("{line}\n").as_bytes()));
        tail
    }

    #[test]
    fn tail_of_a_look_has_no_turns() {
        let look = [
            r#"{"type":"cost-state","sessionId":"s","totalCostUSD":0.1}"#,
            r#"{"type":"file-history-snapshot","messageId":"m","snapshot":{}}"#,
            r#"{"type":"custom-title","customTitle":"x","sessionId":"s"}"#,
            r#"{"type":"system","subtype":"local_command","uuid":"u1","content":"<command-name>/rename</command-name>"}"#,
            r#"{"type":"user","isMeta":true,"uuid":"u2","message":{"content":"<local-command-caveat>x</local-command-caveat>"}}"#,
            r#"{"type":"user","uuid":"u3","message":{"content":"<command-name>/exit</command-name>"}}"#,
            r#"{"type":"user","uuid":"u4","message":{"content":[{"type":"text","text":"<local-command-stdout>Bye</local-command-stdout>"}]}}"#,
            r#"{"type":"attachment","uuid":"u5","attachment":{"type":"date"}}"#,
        ];
        assert!(!tail(&look).has_turns());
        for more in [
            r#"{"type":"user","uuid":"v","message":{"content":"hello"}}"#,
            r#"{"type":"user","uuid":"v","message":{"content":[{"type":"tool_result","content":"x"}]}}"#,
            r#"{"type":"user","isMeta":true,"uuid":"v","message":{"content":"Review this"}}"#,
            r#"{"type":"assistant","uuid":"v","message":{"content":[]}}"#,
            r#"{"type":"attachment","uuid":"v","attachment":{"type":"queued_command","prompt":"x"}}"#,
            r#"{"type":"of-tomorrow","uuid":"v"}"#,
            r#"{"type":"us"#,
        ] {
            assert!(tail(&[&look[..], &[more]].concat()).has_turns(), "{more}");
        }
    }

    #[test]
    fn tail_choice_is_kept_unless_other_side_chose_later() {
        let title = |title: &str| format!(r#"{{"type":"custom-title","customTitle":"{title}"}}"#);
        let (x, y) = (title("x"), title("y"));
        let (mine, other) = (tail(&[&x, &y]), tail(&[&x]));
        let text = |lines: BTreeMap<&str, &[u8]>| {
            String::from_utf8(lines.into_values().flatten().copied().collect()).unwrap()
        };
        assert_eq!(
            text(mine.choices_beyond(&Tail::default(), false)),
            format!("{y}\n")
        );
        assert_eq!(text(mine.choices_beyond(&other, true)), format!("{y}\n"));
        assert!(mine.choices_beyond(&other, false).is_empty());
        assert!(mine.choices_beyond(&tail(&[&y]), true).is_empty());
    }

    #[test]
    fn tail_rewritten_text_has_same_records() {
        let one = tail(&[r#"{"type":"user","uuid":"u1","message":{"content":"long"}}"#]);
        let two = tail(&[r#"{"type":"user","uuid":"u1","message":{"content":"cut"}}"#]);
        let other = tail(&[r#"{"type":"user","uuid":"u2","message":{"content":"cut"}}"#]);
        let torn = tail(&[r#"{"type":"user","uuid":"u1"}"#, "{"]);
        assert!(one.is_rewritten(&two));
        assert!(!one.is_rewritten(&other) && !one.is_rewritten(&torn));
    }
}
