//! What `ccsync init` found and made, for people and for scripts.

use serde::Serialize;

use super::remote::Taken;
use crate::cli::app::App;
use crate::domain::shell::shell_word;
use crate::domain::url::redact;
use crate::machine::set_up::SetUpReport;
use crate::machine::suggested_placeholders::ForeignPlaceholder;
use crate::report::transfer::RemoteState;
use crate::ui::format::count;
use crate::ui::sanitize;
use crate::ui::sanitize::one_line;
use crate::ui::style::{HINT, paint};
use crate::ui::table::{Cell, Table};

/// JSON schema, version 1.
#[derive(Serialize)]
pub(super) struct InitDocument<'a> {
    machine: &'a str,
    /// The name it would have, if no other machine had it.
    wished_name: Option<&'a str>,
    /// Without its secrets.
    remote: &'a str,
    /// Whether the remote is the repository on this disk that stands in for a real one.
    embedded: bool,
    /// What GitHub says of the remote, if `gh` could tell.
    github: Option<Repository<'a>>,
    first_time: bool,
    other_machines: &'a [String],
    /// Sessions taken over from the embedded repository.
    carried_over: u64,
    #[serde(rename = "roots")]
    placeholders: Vec<PlaceholderRow<'a>>,
    /// Those of `roots` that were taken over from other machines now.
    learnt: Vec<&'a str>,
    /// Placeholders that other machines have and this one lacks.
    unmapped: Vec<&'a str>,
    /// The same, with what is known of them.
    missing: Vec<Missing<'a>>,
    remote_state: &'a RemoteState,
}

#[derive(Serialize)]
struct Repository<'a> {
    host: &'a str,
    name: &'a str,
    /// `private`, `internal` or `public`.
    visibility: String,
    /// It was made by this command.
    created: bool,
}

#[derive(Serialize)]
struct PlaceholderRow<'a> {
    name: &'a str,
    path: &'a str,
}

#[derive(Serialize)]
struct Missing<'a> {
    name: &'a str,
    /// A machine that has it, and its directory there.
    machine: &'a str,
    path_there: &'a str,
    /// A directory here that could be meant.
    proposed: Option<std::borrow::Cow<'a, str>>,
}

pub(super) fn document<'a>(
    report: &'a SetUpReport,
    repository: Option<&'a Taken>,
) -> InitDocument<'a> {
    InitDocument {
        machine: &report.machine_name,
        wished_name: report.wished_name.as_deref(),
        remote: &report.remote_display,
        embedded: report.embedded,
        github: repository.map(|taken| Repository {
            host: &taken.host,
            name: &taken.name,
            visibility: taken.visibility.to_string(),
            created: taken.created,
        }),
        first_time: report.first_time,
        other_machines: &report.other_machines,
        carried_over: report.carried,
        placeholders: report
            .placeholders
            .iter()
            .map(|(name, path)| PlaceholderRow { name, path })
            .collect(),
        learnt: report
            .learnt
            .iter()
            .map(|placeholder| placeholder.name.as_str())
            .collect(),
        unmapped: report
            .unmapped
            .iter()
            .map(|placeholder| placeholder.name.as_str())
            .collect(),
        missing: report.unmapped.iter().map(missing).collect(),
        remote_state: &report.remote,
    }
}

fn missing(placeholder: &ForeignPlaceholder) -> Missing<'_> {
    Missing {
        name: placeholder.name.as_str(),
        machine: &placeholder.machine,
        path_there: &placeholder.there,
        proposed: placeholder
            .here
            .as_deref()
            .map(|path| path.to_string_lossy()),
    }
}

pub(super) fn lines(report: &SetUpReport, repository: Option<&Taken>) -> Vec<String> {
    let mut facts = Table::new(2, 1);
    let mut fact =
        |name: &str, value: &str| facts.row([Cell::new(name), Cell::new(one_line(value))]);
    fact("machine", &report.machine_name);
    if let Some(wished) = &report.wished_name {
        fact("", &format!("another one is called {wished}"));
    }
    fact("remote", &redact(&report.remote_display));
    if let Some(Taken {
        name,
        host,
        visibility,
        created,
        ..
    }) = repository
    {
        let made = if *created { ", just made" } else { "" };
        fact("", &format!("{name} on {host}, {visibility}{made}"));
    }
    if !report.other_machines.is_empty() {
        fact("others", &report.other_machines.join(", "));
    }
    for (name, path) in &report.placeholders {
        let learnt = report
            .learnt
            .iter()
            .find(|placeholder| placeholder.name.as_str() == name);
        let from = learnt
            .map(|placeholder| format!("  (learnt from {})", placeholder.machine))
            .unwrap_or_default();
        fact(name, &format!("{path}{from}"));
    }
    for ForeignPlaceholder {
        name,
        machine,
        there,
        ..
    } in &report.unmapped
    {
        fact(
            name.as_str(),
            &format!("no directory here  (on {machine}: {there})"),
        );
    }
    let mut lines = facts.lines(usize::MAX);
    lines.push(summary(report));
    if let RemoteState::Queued { reason, .. } = &report.remote {
        lines.push(format!(
            "not on the remote yet: {}",
            sanitize::lines(reason)
        ));
    }
    lines
}

fn summary(report: &SetUpReport) -> String {
    let what = if report.first_time {
        "this machine is set up"
    } else {
        "this machine is up to date"
    };
    let carried = match report.carried {
        0 => String::new(),
        n => format!("; {} carried over from this disk", count(n, "session")),
    };
    let learnt = match report.learnt.len() as u64 {
        0 => String::new(),
        n => format!("; {} learnt", count(n, "placeholder")),
    };
    let missing = match report.unmapped.len() {
        0 => String::new(),
        n if report.learnt.is_empty() => format!("; {} missing", count(n as u64, "placeholder")),
        n => format!("; {n} missing"),
    };
    format!("init: {what}{carried}{learnt}{missing}")
}

pub(super) fn hints(report: &SetUpReport, app: &mut App) {
    for placeholder in &report.unmapped {
        let name = one_line(placeholder.name.as_str());
        let path = placeholder.here.as_deref().map_or_else(
            || "PATH".to_owned(),
            |path| sanitize::lines(&shell_word(path)),
        );
        let command = paint(
            HINT,
            &format!("ccsync config add-placeholder {name}={path}"),
        );
        app.out.hint(&format!(
            "other machines have a placeholder {name}; to give it a directory here: {command}"
        ));
    }
    if report.embedded {
        app.out.hint(
            "the sessions stay on this disk; to reach other machines: ccsync init --remote URL",
        );
    }
    if report.first_time {
        let next = if report.other_machines.is_empty() {
            "ccsync push"
        } else {
            "ccsync resume"
        };
        app.out.hint(&format!("next: {next}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::output::capture::captured;

    fn placeholder(name: &str, here: Option<&str>) -> ForeignPlaceholder {
        ForeignPlaceholder {
            name: name.parse().unwrap(),
            machine: "evil\u{1b}[2J".to_owned(),
            there: format!("/data/{}", name.to_lowercase()),
            here: here.map(Into::into),
        }
    }

    fn report() -> SetUpReport {
        SetUpReport {
            machine_name: "laptop-2".to_owned(),
            wished_name: Some("laptop".to_owned()),
            remote_display: "git@host:al/sessions.git".to_owned(),
            embedded: false,
            first_time: true,
            moved: false,
            other_machines: vec!["laptop".to_owned(), "evil\u{1b}[2J".to_owned()],
            carried: 3,
            placeholders: vec![
                ("HOME".to_owned(), "/home/al".to_owned()),
                ("WORK".to_owned(), "/srv/work".to_owned()),
            ],
            learnt: vec![placeholder("WORK", Some("/srv/work"))],
            unmapped: vec![
                placeholder("PROJECTS", None),
                placeholder("SRC", Some("/home/al/src")),
            ],
            remote: RemoteState::UpToDate { commit: None },
        }
    }

    #[test]
    fn init_text_names_everything_found_and_created() {
        let repository = super::super::remote::tests::taken();
        insta::assert_snapshot!(lines(&report(), Some(&repository)).join("\n"));
    }

    #[test]
    fn init_json_has_every_field() {
        let repository = super::super::remote::tests::taken();
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&document(&report(), Some(&repository))).unwrap()
        );
    }

    #[test]
    fn init_data_and_hints_use_separate_streams() {
        let (out, err) = captured(|output| {
            output.data("data").unwrap();
            output.hint("type this");
        });
        assert_eq!(
            (out.as_str(), err.as_str()),
            ("data\n", "hint: type this\n")
        );
    }
}
