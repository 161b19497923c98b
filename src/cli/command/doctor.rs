//! `ccsync doctor`: checks everything that ccsync needs, and prints one line for each
//! check.

use serde::Serialize;

use crate::check::{doctor::check::Check, doctor::check::CheckStatus, doctor::run::doctor};
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::ui::{
    ATTENTION, Cell, HINT, Table, format::count, sanitize::one_line, style::ERROR, style::GOOD,
    style::paint,
};

/// Check for problems and say how to fix them
///
/// Works offline, without a configuration, and with a broken one. Changes nothing, except
/// that it creates a branch on the remote and removes it, to see whether locks work
/// there. Exits with 1 if something does not work, and with 0 if there are only warnings.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document.
#[derive(Serialize)]
struct DoctorDocument<'a> {
    /// The most severe status.
    status: CheckStatus,
    /// In the order of the output. A name can occur more than once.
    checks: &'a [Check],
}

pub(in crate::cli) fn run(args: &DoctorArgs, app: &mut App) -> Result<Exit, CliError> {
    let checks = doctor(&app.env, app.clock());
    let status = checks
        .iter()
        .map(|check| check.status)
        .max()
        .unwrap_or(CheckStatus::Ok);
    if args.json.json {
        app.print_json(
            "doctor",
            &DoctorDocument {
                status,
                checks: &checks,
            },
        )?;
    } else {
        let lines = lines(&checks, app.out.is_quiet());
        app.print(&lines)?;
    }
    Ok(if status == CheckStatus::Error {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn lines(checks: &[Check], quiet: bool) -> Vec<String> {
    let mut table = Table::new(0, usize::MAX);
    let shown: Vec<&Check> = checks
        .iter()
        .filter(|check| !quiet || check.status > CheckStatus::Ok)
        .collect();
    for check in &shown {
        let (status, style) = match check.status {
            CheckStatus::Ok => ("ok", GOOD),
            CheckStatus::Warning => ("warning", ATTENTION),
            CheckStatus::Error => ("error", ERROR),
        };
        table.row([
            Cell::new(status).style(style),
            Cell::new(check.name),
            Cell::new(message(check)),
        ]);
    }
    let mut lines = table.lines(usize::MAX);
    if !shown.is_empty() || !quiet {
        lines.push(summary(checks));
    }
    lines
}

/// Returns the message of a check, with the fix.
fn message(check: &Check) -> String {
    let message = one_line(&check.message);
    match &check.fix {
        Some(fix) => format!("{message}: {}", paint(HINT, &one_line(fix))),
        None => message.into_owned(),
    }
}

fn summary(checks: &[Check]) -> String {
    let number = |status| checks.iter().filter(|c| c.status == status).count() as u64;
    match (number(CheckStatus::Error), number(CheckStatus::Warning)) {
        (0, 0) => "doctor: no problems".to_owned(),
        (0, n) => format!("doctor: {}", count(n, "warning")),
        (n, 0) => format!("doctor: {}", count(n, "error")),
        (n, m) => format!("doctor: {}, {}", count(n, "error"), count(m, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, status: CheckStatus, message: &str, fix: Option<&str>) -> Check {
        Check {
            name,
            status,
            message: message.to_owned(),
            fix: fix.map(str::to_owned),
        }
    }

    fn shown(checks: &[Check], quiet: bool) -> String {
        anstream::adapter::strip_str(&lines(checks, quiet).join("\n")).to_string()
    }

    #[test]
    fn doctor_text_has_one_line_per_check() {
        let checks = [
            check("git", CheckStatus::Ok, "version 2.47", None),
            check(
                "lock branches",
                CheckStatus::Error,
                "cannot create one: no\u{1b}[2J",
                Some("allow it"),
            ),
            check(
                "clock",
                CheckStatus::Warning,
                "a lock of desk is 7 min in the future",
                Some("date -u"),
            ),
        ];
        insta::assert_snapshot!(shown(&checks, false));
        insta::assert_snapshot!(shown(&checks, true));
        assert_eq!(
            shown(&checks[..1], false).lines().last(),
            Some("doctor: no problems")
        );
        assert_eq!(shown(&checks[..1], true), "");
    }
}
