//! Output of `ccsync init`: what it found and set up.

use serde::Serialize;

use super::remote::ChosenRepository;
use crate::cli::app::App;
use crate::domain::{shell::shell_word, url::redact};
use crate::machine::{set_up::SetUpReport, suggested_placeholders::ForeignPlaceholder};
use crate::report::RemoteState;
use crate::ui::{Cell, Table, format::count, sanitize, sanitize::one_line};

/// JSON document.
#[derive(Serialize)]
pub(super) struct InitDocument<'a> {
    machine: &'a str,
    /// The requested name, if another machine has it.
    requested_name: Option<&'a str>,
    /// Without passwords and tokens.
    remote: &'a str,
    /// The remote is the repository on this disk that is used until another one is configured.
    embedded: bool,
    /// The remote sees no text, path or name.
    encrypted: bool,
    /// Facts from GitHub, if `gh` knows the remote.
    github: Option<RepositoryRow<'a>>,
    first_time: bool,
    other_machines: &'a [String],
    /// Sessions sent from the repository on this disk.
    sessions_moved: u64,
    placeholders: Vec<PlaceholderRow<'a>>,
    /// Placeholders of other machines that were added now.
    adopted: Vec<&'a str>,
    /// Placeholders that only other machines have.
    missing: Vec<MissingRow<'a>>,
    remote_state: &'a RemoteState,
}

#[derive(Serialize)]
struct RepositoryRow<'a> {
    host: &'a str,
    name: &'a str,
    /// `private`, `internal` or `public`.
    visibility: String,
    /// This command created it.
    created: bool,
}

#[derive(Serialize)]
struct PlaceholderRow<'a> {
    name: &'a str,
    directory: &'a str,
}

#[derive(Serialize)]
struct MissingRow<'a> {
    name: &'a str,
    /// A machine that has it.
    machine: &'a str,
    directory_there: &'a str,
    /// A directory here that matches.
    suggested: Option<std::borrow::Cow<'a, str>>,
}

pub(super) fn document<'a>(
    report: &'a SetUpReport,
    repository: Option<&'a ChosenRepository>,
) -> InitDocument<'a> {
    InitDocument {
        machine: &report.machine_name,
        requested_name: report.requested_name.as_deref(),
        remote: &report.remote_display,
        embedded: report.embedded,
        encrypted: report.encrypted,
        github: repository.map(|chosen| RepositoryRow {
            host: &chosen.host,
            name: &chosen.name,
            visibility: chosen.visibility.to_string(),
            created: chosen.created,
        }),
        first_time: report.first_time,
        other_machines: &report.other_machines,
        sessions_moved: report.sessions_moved,
        placeholders: report
            .placeholders
            .iter()
            .map(|(name, directory)| PlaceholderRow { name, directory })
            .collect(),
        adopted: report
            .adopted
            .iter()
            .map(|placeholder| placeholder.name.as_str())
            .collect(),
        missing: report.missing_placeholders.iter().map(missing).collect(),
        remote_state: &report.remote,
    }
}

fn missing(placeholder: &ForeignPlaceholder) -> MissingRow<'_> {
    MissingRow {
        name: placeholder.name.as_str(),
        machine: &placeholder.machine,
        directory_there: &placeholder.there,
        suggested: placeholder
            .here
            .as_deref()
            .map(|path| path.to_string_lossy()),
    }
}

pub(super) fn lines(report: &SetUpReport, repository: Option<&ChosenRepository>) -> Vec<String> {
    let mut facts = Table::new(2, 1);
    let mut fact =
        |name: &str, value: &str| facts.row([Cell::new(name), Cell::new(one_line(value))]);
    fact("machine", &report.machine_name);
    if let Some(wished) = &report.requested_name {
        fact("", &format!("another machine is called {wished}"));
    }
    fact("remote", &redact(&report.remote_display));
    if let Some(ChosenRepository {
        name,
        host,
        visibility,
        created,
        ..
    }) = repository
    {
        let made = if *created { ", created now" } else { "" };
        fact("", &format!("{name} on {host}, {visibility}{made}"));
    }
    if report.encrypted {
        fact("", "encrypted");
    }
    if !report.other_machines.is_empty() {
        fact("others", &report.other_machines.join(", "));
    }
    for (name, path) in &report.placeholders {
        let adopted = report
            .adopted
            .iter()
            .find(|placeholder| placeholder.name.as_str() == name);
        let from = adopted
            .map(|placeholder| format!("  (as on {})", placeholder.machine))
            .unwrap_or_default();
        fact(name, &format!("{path}{from}"));
    }
    for ForeignPlaceholder {
        name,
        machine,
        there,
        ..
    } in &report.missing_placeholders
    {
        fact(
            name.as_str(),
            &format!("no directory here  (on {machine}: {there})"),
        );
    }
    let mut lines = facts.lines(usize::MAX);
    lines.push(summary(report));
    if let RemoteState::Queued { reason, .. } | RemoteState::Refused { reason, .. } = &report.remote
    {
        lines.push(format!("not sent yet: {}", sanitize::lines(reason)));
    }
    lines
}

fn summary(report: &SetUpReport) -> String {
    let what = if report.first_time {
        "this machine is set up"
    } else {
        "this machine is up to date"
    };
    let sessions_moved = match report.sessions_moved {
        0 => String::new(),
        n => format!("; {} sent from this disk", count(n, "session")),
    };
    let adopted = match report.adopted.len() as u64 {
        0 => String::new(),
        n => format!("; {} added", count(n, "placeholder")),
    };
    let missing = match report.missing_placeholders.len() {
        0 => String::new(),
        n if report.adopted.is_empty() => format!("; {} missing", count(n as u64, "placeholder")),
        n => format!("; {n} missing"),
    };
    format!("init: {what}{sessions_moved}{adopted}{missing}")
}

pub(super) fn hints(report: &SetUpReport, app: &mut App) {
    for placeholder in &report.missing_placeholders {
        let name = one_line(placeholder.name.as_str());
        let path = placeholder.here.as_deref().map_or_else(
            || "PATH".to_owned(),
            |path| sanitize::lines(&shell_word(path)),
        );
        app.out.hint(&format!(
            "other machines have the placeholder {name}; to set its directory here: \
             `ccsync config add-placeholder {name}={path}`"
        ));
    }
    if report.embedded {
        app.out.hint(
            "saved on this disk only; to sync with other machines: `ccsync init --remote URL`",
        );
    }
    if report.encrypted && report.other_machines.is_empty() {
        app.out.hint(
            "if you lose its key, the store cannot be read: write it down with `ccsync key words`",
        );
    }
    if report.first_time {
        let next = if report.other_machines.is_empty() {
            "ccsync push"
        } else {
            "ccsync resume"
        };
        app.out.hint(&format!("next: `{next}`"));
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
            requested_name: Some("laptop".to_owned()),
            remote_display: "git@host:al/sessions.git".to_owned(),
            embedded: false,
            encrypted: true,
            first_time: true,
            moved: false,
            other_machines: vec!["laptop".to_owned(), "evil\u{1b}[2J".to_owned()],
            sessions_moved: 3,
            placeholders: vec![
                ("HOME".to_owned(), "/home/al".to_owned()),
                ("WORK".to_owned(), "/srv/work".to_owned()),
            ],
            adopted: vec![placeholder("WORK", Some("/srv/work"))],
            missing_placeholders: vec![
                placeholder("PROJECTS", None),
                placeholder("SRC", Some("/home/al/src")),
            ],
            remote: RemoteState::UpToDate { commit: None },
        }
    }

    #[test]
    fn init_text_names_everything_found_and_created() {
        let repository = super::super::remote::tests::chosen_repository();
        insta::assert_snapshot!(lines(&report(), Some(&repository)).join("\n"));
    }

    #[test]
    fn init_json_has_every_field() {
        let repository = super::super::remote::tests::chosen_repository();
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
