//! Facts about a session from its transcript: project, titles, time, and a dependence on its exact
//! text.
//!
//! They are collected from pieces of whole lines, so that an append costs what was appended. Lines
//! are searched as bytes; only the few that matter are parsed. Record kinds as of client 2.1.329
//! (and `summary` of 1.0 and 2.0).

use serde_json::Value;

use super::continued::{Continued, continued};
use super::fields::{last_value, last_with_value, line_at, string_at, values, with_value};
use super::time::parse_time;
use super::turns::count_user_turns;
use crate::domain::client_dir::client_dir_name;

/// Maximum length of a prompt or title, in characters.
const MAX_TITLE_CHARS: usize = 200;

/// Maximum number of working directories kept; a session seldom has more than two.
const MAX_CWDS: usize = 16;

/// The facts in the lines read so far. Later lines override earlier ones, as in the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Title from the last `custom-title` record.
    pub custom_title: Option<String>,
    /// Title from the last `ai-title` record.
    pub ai_title: Option<String>,
    /// From the last `last-prompt` record.
    pub last_prompt: Option<String>,
    /// Text of the first prompt that the user typed.
    pub first_prompt: Option<String>,
    /// Timestamp of the newest record, as the client wrote it (RFC 3339, UTC).
    pub last_activity: Option<String>,
    /// The transcript depends on its exact text: it holds signed thinking, a prompt snapshot or a
    /// request digest.
    pub bound: bool,
    /// Working directories in the order in which they first appear.
    pub cwds: Vec<String>,
    /// Turns of the user.
    pub turns: u64,
    /// Tells under which id the conversation goes on.
    pub continued: Continued,
    /// From the last `tag` record; empty if the tag was removed.
    pub tag: Option<String>,
    /// True if the last record with an `entrypoint` was written without a terminal.
    pub headless: Option<bool>,
    /// Branch of the last record that names one.
    pub branch: Option<String>,
}

impl Facts {
    /// Adds more of the transcript, as whole lines.
    pub fn absorb(&mut self, lines: &[u8]) {
        self.bound = self.bound || is_bound(lines);
        let turns = count_user_turns(lines);
        self.turns += turns;
        match continued(lines, turns) {
            Continued::Unchanged => {}
            changed => self.continued = changed,
        }
        self.absorb_titles(lines);
        self.absorb_cwds(lines);
        if let Some(time) = newest_timestamp(lines) {
            self.last_activity = self.last_activity.take().max(Some(time));
        }
        if self.first_prompt.is_none() {
            self.first_prompt = first_prompt(lines);
        }
        let entrypoint = last_text(lines, "entrypoint");
        self.headless = entrypoint
            .map(|entrypoint| entrypoint.starts_with("sdk"))
            .or(self.headless);
        self.branch = last_text(lines, "gitBranch").or(self.branch.take());
    }

    /// Returns the working directory that the client named its directory `name` after; else the
    /// first one.
    pub fn project(&self, name: &str) -> Option<&str> {
        let named = self.cwds.iter().find(|cwd| client_dir_name(cwd) == name);
        named.or_else(|| self.cwds.first()).map(String::as_str)
    }

    fn absorb_titles(&mut self, lines: &[u8]) {
        for (kind, field, slot) in [
            ("custom-title", "customTitle", &mut self.custom_title),
            ("ai-title", "aiTitle", &mut self.ai_title),
            ("last-prompt", "lastPrompt", &mut self.last_prompt),
            ("tag", "tag", &mut self.tag),
        ] {
            let text = |at| {
                let record = parse(line_at(lines, at)).filter(|record| record["type"] == kind)?;
                record[field].as_str().map(cut)
            };
            if let Some(text) = last_with_value(lines, "type", kind, text) {
                *slot = Some(text);
            }
        }
    }

    /// Adds the directories of records, and those in which `/cd` of the client has put the session.
    fn absorb_cwds(&mut self, lines: &[u8]) {
        let mut last: &[u8] = b"";
        let fields = values(lines, "cwd").chain(values(lines, "relocatedCwd"));
        for text in fields.filter_map(|at| string_at(lines, at)) {
            if text == last || self.cwds.len() >= MAX_CWDS {
                continue;
            }
            last = text;
            if let Ok(cwd) = serde_json::from_slice::<String>(last)
                && !self.cwds.contains(&cwd)
            {
                self.cwds.push(cwd);
            }
        }
    }
}

/// Lists the working directories in `lines`, in the order in which they first appear.
pub fn working_directories(lines: &[u8]) -> Vec<String> {
    let mut facts = Facts::default();
    facts.absorb_cwds(lines);
    facts.cwds
}

/// Returns true if a record in `lines` says that the client has moved the session to another
/// directory (`/cd`; client 2.1.332).
pub fn has_relocated(lines: &[u8]) -> bool {
    with_value(lines, "type", "relocated\"").any(|at| {
        let record = parse(line_at(lines, at));
        record.is_some_and(|record| record["type"] == "relocated")
    })
}

/// The working tree of a session, as its records tell (`EnterWorktree`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorktreeRecord {
    /// The client entered this working tree.
    Entered(String),
    /// The client left the one that it had entered.
    Left,
}

/// Returns the last record in `lines` about a working tree that the client entered or left.
pub fn last_worktree_record(lines: &[u8]) -> Option<WorktreeRecord> {
    last_with_value(lines, "type", "worktree-state", |at| {
        // Other records may contain the same words, and a torn one is useless.
        let record = parse(line_at(lines, at))?;
        if record["type"] != "worktree-state" {
            return None;
        }
        let path = record["worktreeSession"]["worktreePath"].as_str();
        let entered = path.map(|path| WorktreeRecord::Entered(path.to_owned()));
        Some(entered.unwrap_or(WorktreeRecord::Left))
    })
}

/// Returns the title in a session's `custom-title.json`.
pub fn custom_title_file(json: &[u8]) -> Option<String> {
    parse(json)?["customTitle"].as_str().map(cut)
}

/// Returns true if a session's `archived.json` says that it is archived.
pub fn is_archived_file(json: &[u8]) -> bool {
    parse(json).is_some_and(|file| file["archived"] == true)
}

/// Returns the text of the last field `key` that is not empty.
fn last_text(lines: &[u8], key: &str) -> Option<String> {
    last_value(lines, key, |at| {
        let text: String = serde_json::from_slice(string_at(lines, at)?).ok()?;
        (!text.is_empty()).then(|| cut(&text))
    })
}

fn is_bound(lines: &[u8]) -> bool {
    let is_text = |at: usize| {
        let text = string_at(lines, at);
        text.is_some_and(|text| text != b"\"\"")
    };
    values(lines, "signature").any(is_text)
        || with_value(lines, "type", "prompt_snapshot\"")
            .next()
            .is_some()
        || with_value(lines, "type", "api-request").next().is_some()
}

/// Returns the last time stamp in `lines`; records are appended in order of time.
fn newest_timestamp(lines: &[u8]) -> Option<String> {
    last_value(lines, "timestamp", |at| {
        let text = string_at(&lines[..lines.len().min(at + 40)], at)?;
        let text = std::str::from_utf8(text).ok()?.trim_matches('"');
        (text.ends_with('Z') && parse_time(text).is_some()).then(|| text.to_owned())
    })
}

fn first_prompt(lines: &[u8]) -> Option<String> {
    with_value(lines, "type", "user\"").find_map(|at| {
        let record = parse(line_at(lines, at))?;
        let meta = |key: &str| record[key].as_bool().unwrap_or(false);
        if record["type"] != "user"
            || meta("isMeta")
            || meta("isSidechain")
            || meta("isCompactSummary")
        {
            return None;
        }
        let content = &record["message"]["content"];
        let text = content.as_str().or_else(|| {
            content
                .as_array()?
                .iter()
                .find_map(|block| block["text"].as_str())
        })?;
        // Slash commands, shell mode and reminders are wrapped in tags and are no prompts.
        (!text.trim().is_empty() && !text.starts_with('<')).then(|| cut(text))
    })
}

fn parse(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TITLE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_last_complete_worktree_record_wins() {
        let entered = r#"{"type":"worktree-state","worktreeSession":{"worktreePath":"/w/aside"}}"#;
        let left = r#"{"type":"worktree-state","worktreeSession":null}"#;
        let nested = r#"{"type":"attachment","attachment":{"type":"worktree-state","worktreeSession":null}}"#;
        let torn = r#"{"type":"worktree-state","worktreeSess"#;
        let last = |lines: &[&str]| last_worktree_record((lines.join("\n") + "\n").as_bytes());
        assert_eq!(last(&["{}", nested, torn]), None);
        for after in [&[][..], &[nested], &[nested, torn, "{}"]] {
            assert_eq!(
                last(&[&[left, entered], after].concat()),
                Some(WorktreeRecord::Entered("/w/aside".to_owned()))
            );
            assert_eq!(
                last(&[&[entered, left], after].concat()),
                Some(WorktreeRecord::Left)
            );
        }
    }

    #[test]
    fn facts_later_record_overrides_earlier() {
        let mut facts = Facts::default();
        facts.absorb(
            br#"{"type":"user","isMeta":true,"message":{"content":"caveat"},"cwd":"/home/al"}
{"type":"user","message":{"content":"fix \"it\""},"cwd":"/home/al/my_app","timestamp":"2026-01-02T03:04:05.678Z"}
{"type":"ai-title","aiTitle":"First"}
{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"x","signature":""}]}}
"#,
        );
        assert_eq!(facts.first_prompt.as_deref(), Some("fix \"it\""));
        assert_eq!(
            facts.last_activity.as_deref(),
            Some("2026-01-02T03:04:05.678Z")
        );
        assert_eq!(facts.project("-home-al-my-app"), Some("/home/al/my_app"));
        assert_eq!(facts.project("-elsewhere"), Some("/home/al"));
        assert!(!facts.bound, "an empty signature binds nothing");
        facts.absorb(
            br#"{"type":"ai-title","aiTitle":"Second"}
{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"x","signature":"c2ln"}]}}
"#,
        );
        assert_eq!(facts.ai_title.as_deref(), Some("Second"));
        assert!(facts.bound);
    }

    #[test]
    fn facts_last_tag_branch_and_entrypoint_count() {
        let mut facts = Facts::default();
        facts.absorb(
            br#"{"type":"user","entrypoint":"sdk-cli","gitBranch":"main","message":{"content":"a"}}
{"type":"tag","tag":"old","sessionId":"s"}
{"type":"tag","tag":"new","sessionId":"s"}
"#,
        );
        assert_eq!(
            (facts.tag.as_deref(), facts.headless),
            (Some("new"), Some(true))
        );
        facts.absorb(
            br#"{"type":"user","entrypoint":"cli","gitBranch":"side","message":{"content":"b"}}
{"type":"tag","tag":"","sessionId":"s"}
"#,
        );
        assert_eq!(
            (facts.tag.as_deref(), facts.headless),
            (Some(""), Some(false))
        );
        assert_eq!(facts.branch.as_deref(), Some("side"));
    }

    #[test]
    fn facts_invalid_bytes_are_ignored() {
        let mut facts = Facts::default();
        facts.absorb(b"\"cwd\":\"\\");
        facts
            .absorb(b"{\"type\":\"ai-title\"\xff\n\"timestamp\":\"nonsense\"\n\"cwd\":\"\\ud83d\"");
        assert_eq!(facts, Facts::default());
    }
}
