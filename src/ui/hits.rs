//! Shows the result of a search: one heading for each session, one line for each hit.
//! Pure.

use std::ops::Range;

use chrono::{DateTime, Utc};

use crate::domain::{SessionName, Speaker, hit::Hit, hit::SessionHits};
use crate::ui::format::{age, project, short_id};
use crate::ui::sanitize::one_line;
use crate::ui::style::{FOUND, HEADING, QUIET, paint};

/// Maximum length of a title in a heading, in cells.
const MAX_TITLE: usize = 60;

/// Returns the lines on one session.
pub(crate) fn lines(found: &SessionHits, now: DateTime<Utc>) -> Vec<String> {
    let mut lines = vec![heading(&found.name, now)];
    lines.extend(found.hits.iter().map(|hit| line(hit, now)));
    if found.more > 0 {
        let than = if found.truncated { "more than " } else { "" };
        lines.push(paint(
            QUIET,
            &format!("  … {than}{} more in this session", found.more),
        ));
    }
    lines
}

/// Returns `~/work/app  fix the login form  1111aaaa  laptop, 2 days ago`.
fn heading(name: &SessionName, now: DateTime<Utc>) -> String {
    let title = one_line(name.title.as_deref().unwrap_or("(no title)"));
    let title = crate::ui::table::cut(&title, MAX_TITLE).into_owned();
    let place = name
        .project
        .as_deref()
        .map_or_else(|| "(no project)".to_owned(), project);
    let machine = name
        .machine
        .as_deref()
        .map(|machine| one_line(machine).into_owned());
    let when = name.last_activity.map(|time| age(time, now));
    let origin: Vec<String> = machine.into_iter().chain(when).collect();
    let known = [place, title, short_id(name.session.as_str()).to_owned()]
        .map(|text| paint(HEADING, &text));
    known
        .into_iter()
        .chain([paint(QUIET, &origin.join(", "))])
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("  ")
}

/// Returns `  2 days ago, you: … the login form …`.
fn line(hit: &Hit, now: DateTime<Utc>) -> String {
    let time = hit.time.map(|time| age(time, now));
    let source: Vec<String> = time.into_iter().chain([speaker(hit)]).collect();
    let dots = |is_cut| if is_cut { "…" } else { "" };
    format!(
        "  {} {}{}{}",
        paint(QUIET, &format!("{}:", source.join(", "))),
        dots(hit.cut.0),
        highlighted(&hit.text, &hit.marks),
        dots(hit.cut.1)
    )
}

fn speaker(hit: &Hit) -> String {
    let who = match &hit.speaker {
        Speaker::User if hit.is_agent => "to a sub-agent".to_owned(),
        Speaker::Assistant if hit.is_agent => "sub-agent".to_owned(),
        Speaker::User => "you".to_owned(),
        Speaker::Assistant => "assistant".to_owned(),
        Speaker::Summary => "summary".to_owned(),
        Speaker::Call(tool) => one_line(tool).into_owned(),
        Speaker::Output => "output".to_owned(),
    };
    match &hit.speaker {
        Speaker::Call(_) | Speaker::Output | Speaker::Summary if hit.is_agent => {
            format!("{who} (sub-agent)")
        }
        _ => who,
    }
}

/// Returns `text` with the marked ranges in colour. Each part is sanitized separately,
/// because sanitizing moves offsets.
fn highlighted(text: &str, marks: &[Range<usize>]) -> String {
    let mut line = String::new();
    let mut from = 0;
    for mark in marks {
        line.push_str(&one_line(&text[from..mark.start]));
        line.push_str(&paint(FOUND, &one_line(&text[mark.clone()])));
        from = mark.end;
    }
    line.push_str(&one_line(&text[from..]));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> SessionHits {
        let hit = |speaker, is_agent, text: &str, marks: &[(usize, usize)]| Hit {
            speaker,
            is_agent,
            time: Some("2026-03-10T11:00:00Z".parse().unwrap()),
            text: text.to_owned(),
            marks: marks.iter().map(|(start, end)| *start..*end).collect(),
            cut: (false, true),
        };
        SessionHits {
            name: SessionName {
                session: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
                project: Some("{{HOME}}/work/app".to_owned()),
                title: Some("fix the\u{1b}[2J login form".to_owned()),
                machine: Some("laptop\u{202e}".to_owned()),
                last_activity: Some("2026-03-10T11:00:00Z".parse().unwrap()),
                fork_of: None,
            },
            hits: vec![
                hit(
                    Speaker::User,
                    false,
                    "fix the \u{1b}login\u{7} form",
                    &[(8, 14)],
                ),
                hit(
                    Speaker::Call("Bash\u{9b}".to_owned()),
                    true,
                    "login",
                    &[(0, 5)],
                ),
                hit(
                    Speaker::Assistant,
                    true,
                    "a login and a login",
                    &[(2, 7), (14, 19)],
                ),
                Hit {
                    time: None,
                    cut: (true, false),
                    ..hit(Speaker::Output, false, "\tlogin", &[(1, 6)])
                },
            ],
            more: 12,
            truncated: false,
        }
    }

    #[test]
    fn hits_text_is_complete_and_escaped() {
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        let text = lines(&found(), now).join("\n");
        assert!(text.contains(&paint(FOUND, "login")));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
        let uncounted = SessionHits {
            more: 100,
            truncated: true,
            ..found()
        };
        assert!(
            lines(&uncounted, now)
                .last()
                .unwrap()
                .contains("… more than 100 more in this session")
        );
    }
}
