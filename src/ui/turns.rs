//! Shows a conversation: as text for a terminal, and as Markdown for a ticket. Pure.

use chrono::{DateTime, Utc};
use textwrap::{Options, WordSplitter, wrap};

use crate::domain::{SessionName, Turn, TurnSpeaker};
use crate::ui::sanitize::{self, one_line};
use crate::ui::{format::count, format::project, style::HEADING, style::QUIET, style::paint};

/// Description of a session, which precedes its turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) name: &'a SessionName,
    /// Number of earlier turns that are not shown.
    pub(crate) turns_omitted: u64,
    /// Number of sub-agents that the session started.
    pub(crate) agents: u64,
}

/// Returns the lines that describe the session.
pub(crate) fn head(head: &Head<'_>) -> Vec<String> {
    let name = head.name;
    let mut lines = vec![paint(HEADING, &title(name))];
    lines.extend(
        facts(head)
            .into_iter()
            .map(|(what, value)| format!("{} {value}", paint(QUIET, &format!("{what}:")))),
    );
    lines
}

/// Returns the lines of one turn, after an empty one. `width` is the width of the
/// terminal, if there is one.
pub(crate) fn turn(turn: &Turn, width: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new(), paint(HEADING, &speaker(turn))];
    for line in turn
        .text
        .trim_end()
        .trim_start_matches(['\r', '\n'])
        .lines()
    {
        push_wrapped(&mut lines, &one_line(line), "  ", width);
    }
    for tool in &turn.tools {
        push_wrapped(&mut lines, &one_line(tool), "  - ", width);
    }
    lines
}

/// Like [`head`], in Markdown.
pub(crate) fn markdown_head(head: &Head<'_>) -> Vec<String> {
    let mut lines = vec![format!("# {}", escaped(&title(head.name))), String::new()];
    lines.extend(
        facts(head)
            .into_iter()
            .map(|(what, value)| format!("- {what}: {}", code_span(&value))),
    );
    lines
}

/// Like [`turn`], in Markdown. The model's text is Markdown already and becomes a
/// quotation, so that it cannot swallow later text; the user's text becomes a fenced
/// block.
pub(crate) fn markdown_turn(turn: &Turn) -> Vec<String> {
    let mut lines = vec![String::new(), format!("## {}", escaped(&speaker(turn)))];
    let text = sanitize::lines(turn.text.trim_end().trim_start_matches(['\r', '\n']));
    if !text.is_empty() {
        lines.push(String::new());
        if turn.speaker == TurnSpeaker::Assistant {
            lines.extend(
                text.lines()
                    .map(|line| format!("> {line}").trim_end().to_owned()),
            );
        } else {
            let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
            lines.push(format!("{fence}text"));
            lines.extend(text.lines().map(str::to_owned));
            lines.push(fence);
        }
    }
    if !turn.tools.is_empty() {
        lines.push(String::new());
        lines.extend(
            turn.tools
                .iter()
                .map(|tool| format!("- {}", code_span(&one_line(tool)))),
        );
    }
    lines
}

fn title(name: &SessionName) -> String {
    one_line(name.title.as_deref().unwrap_or("(no title)"))
        .trim()
        .to_owned()
}

/// Returns the known facts about a session, sanitized.
fn facts(head: &Head<'_>) -> Vec<(&'static str, String)> {
    let name = head.name;
    let mut facts = vec![("session", name.session.to_string())];
    facts.extend(
        name.project
            .as_deref()
            .map(|portable| ("project", project(portable))),
    );
    facts.extend(
        name.machine
            .as_deref()
            .map(|machine| ("machine", one_line(machine).into_owned())),
    );
    facts.extend(name.last_activity.map(|last| ("last activity", time(last))));
    facts.extend(
        name.fork_of
            .as_ref()
            .map(|session| ("fork of", session.to_string())),
    );
    if head.agents > 0 {
        facts.push(("sub-agents", head.agents.to_string()));
    }
    if head.turns_omitted > 0 {
        facts.push((
            "omitted",
            format!("{} before these", count(head.turns_omitted, "turn")),
        ));
    }
    facts
}

fn speaker(turn: &Turn) -> String {
    let who = match turn.speaker {
        TurnSpeaker::User => "You",
        TurnSpeaker::Assistant => "Assistant",
        TurnSpeaker::Client => "Summary of earlier turns",
    };
    turn.time
        .map_or_else(|| who.to_owned(), |then| format!("{who}, {}", time(then)))
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// Adds one line of text, indented by the length of `bullet` and wrapped to `width` if it
/// is known.
fn push_wrapped(lines: &mut Vec<String>, text: &str, bullet: &str, width: Option<usize>) {
    match width.filter(|width| *width > 4 * bullet.len()) {
        _ if text.trim().is_empty() => lines.push(String::new()),
        None => lines.push(format!("{bullet}{text}")),
        Some(width) => {
            let indent = " ".repeat(bullet.len());
            let options = Options::new(width)
                .word_splitter(WordSplitter::NoHyphenation)
                .initial_indent(bullet)
                .subsequent_indent(&indent);
            lines.extend(
                wrap(text.trim_end(), options)
                    .into_iter()
                    .map(|line| line.into_owned()),
            );
        }
    }
}

/// Escapes text for a Markdown heading.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]<>#|!~&".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Returns text as Markdown code, between more backticks than occur in a row in it.
fn code_span(text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`') + 1);
    let space = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}

fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|c| c != wanted).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> SessionName {
        SessionName {
            session: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
            project: Some("{{HOME}}/work/app".to_owned()),
            title: Some("fix *the*\u{1b}[2J login form".to_owned()),
            machine: Some("laptop\u{202e}".to_owned()),
            last_activity: Some("2026-03-10T11:00:00Z".parse().unwrap()),
            fork_of: Some("22222222-0000-4000-8000-000000000002".parse().unwrap()),
        }
    }

    fn turns() -> Vec<Turn> {
        let turn = |who, text: &str, tools: &[&str]| Turn {
            speaker: who,
            time: Some("2026-03-10T11:00:00Z".parse().unwrap()),
            text: text.to_owned(),
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        };
        vec![
            turn(TurnSpeaker::Client, "so far", &[]),
            turn(
                TurnSpeaker::User,
                "look at this\u{7}:\n````\n```\nx\n```\n````\n  and fix it in a way that is a little too long for a line",
                &[],
            ),
            turn(
                TurnSpeaker::Assistant,
                "# I will\n\n```rust\nfn f() {}",
                &["Bash: echo `date` ``x``", "Read a\nb"],
            ),
            Turn {
                time: None,
                ..turn(TurnSpeaker::Assistant, "", &["`Edit`"])
            },
        ]
    }

    #[test]
    fn turns_text_wraps_for_terminal() {
        let name = name();
        let shown = Head {
            name: &name,
            turns_omitted: 3,
            agents: 1,
        };
        let of = |width| {
            let lines = head(&shown)
                .into_iter()
                .chain(turns().into_iter().flat_map(|one| turn(&one, width)));
            anstream::adapter::strip_str(&lines.collect::<Vec<_>>().join("\n")).to_string()
        };
        insta::assert_snapshot!(of(Some(40)));
        assert!(
            of(None).contains("  and fix it in a way that is a little too long for a line"),
            "only a terminal has a width"
        );
    }

    #[test]
    fn turns_markdown_for_ticket() {
        let name = name();
        let shown = Head {
            name: &name,
            turns_omitted: 0,
            agents: 0,
        };
        let lines = markdown_head(&shown)
            .into_iter()
            .chain(turns().into_iter().flat_map(|one| markdown_turn(&one)));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    }
}
