//! `ccsync repair`: makes a repaired copy of a damaged session.

use clap::ValueHint;
use std::path::{Path, PathBuf};

use crate::check::{repair::HealedCopy, repair::RepairReport, repair::RepairRequest};
use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::domain::SessionId;
use crate::session::{repair::Finding, repair::LineDamage};
use crate::ui::{
    ATTENTION, HEADING, HINT, format::bytes, format::count, sanitize::one_line, style::paint,
};

/// Maximum number of findings printed for one file.
const MAX_FINDINGS: usize = 20;

/// Make a repaired copy of a damaged session
///
/// Splits records that are on one line, removes fragments and zero bytes that a crash
/// left, links records whose parent is missing to the record before them, and removes
/// exact repetitions. The damaged session stays unchanged. The copy is a session of its
/// own, which Claude Code lists and resumes. Removed fragments are kept in a file next to
/// it.
#[derive(Debug, clap::Args)]
pub(crate) struct RepairArgs {
    /// Session id or unique prefix
    #[arg(value_name = "SESSION", add = complete::session())]
    session: SessionId,
    /// Write the repaired transcript to this file, with its ids unchanged, instead of
    /// adding a session
    #[arg(long, short, value_name = "PATH", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: the fields of [`RepairReport`].
pub(in crate::cli) fn run(args: &RepairArgs, app: &mut App) -> Result<Exit, CliError> {
    let request = RepairRequest {
        session: args.session.clone(),
        output: args.output.clone(),
    };
    let report = crate::check::repair::repair(&app.context()?, &request)?;
    if args.json.json {
        app.print_json("repair", &report)?;
    } else {
        let lines = lines(&report);
        app.print(&lines)?;
    }
    Ok(Exit::Done)
}

fn lines(report: &RepairReport) -> Vec<String> {
    let mut lines = Vec::new();
    for file in &report.files {
        lines.push(paint(HEADING, &path(&file.path)));
        lines.extend(file.findings.iter().take(MAX_FINDINGS).map(finding));
        if file.findings.len() > MAX_FINDINGS {
            lines.push(format!(
                "  … and {} more (all of them: --json)",
                file.findings.len() - MAX_FINDINGS
            ));
        }
    }
    if let Some(pid) = report.running {
        let note = format!(
            "the session is open in Claude Code (process {pid}): later records are not repaired"
        );
        lines.push(paint(ATTENTION, &note));
    }
    match &report.copy {
        None => lines.push(format!("repair: {}: nothing to repair", report.session)),
        Some(copy) => lines.extend(copy_lines(report, copy)),
    }
    lines
}

fn copy_lines(report: &RepairReport, copy: &HealedCopy) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(fragments) = &copy.fragments {
        lines.push(format!("removed fragments are in {}", path(fragments)));
    }
    let made = if copy.existed {
        "the repaired copy of an earlier run"
    } else {
        "the repaired copy"
    };
    let size = format!("{}, {}", count(copy.lines, "line"), bytes(copy.bytes));
    let repairs = count(report.repairs(), "repair");
    match &copy.session {
        Some(id) => {
            lines.push(format!(
                "repair: {}: {repairs}; {made} is {id} ({size})",
                report.session
            ));
            lines.push(format!(
                "  {}",
                paint(HINT, &format!("claude --resume {id}"))
            ));
        }
        None => lines.push(format!(
            "repair: {}: {repairs}; {made} is {} ({size})",
            report.session,
            path(&copy.path)
        )),
    }
    lines
}

fn finding(finding: &Finding) -> String {
    let what = match &finding.damage {
        LineDamage::Fragment { bytes, text } => {
            let more = if *bytes as usize > text.len() {
                "…"
            } else {
                ""
            };
            format!(
                "fragment of {} removed: {text}{more}",
                count(*bytes, "byte")
            )
        }
        LineDamage::Glued { records } => format!("{records} records on one line split"),
        LineDamage::Zeros { bytes } => format!("{} removed", count(*bytes, "zero byte")),
        LineDamage::Unterminated => "line end added to the last line".to_owned(),
        LineDamage::Relinked { record, from, to } => {
            format!("{record}: its parent {from} is missing; now follows {to}")
        }
        LineDamage::Duplicate { record, first } => {
            format!("{record}: repeats line {first}; removed")
        }
        LineDamage::Conflicting { record, first } => {
            format!(
                "{record}: line {first} has this id and other content; both kept, the later one counts"
            )
        }
        LineDamage::Parentless { record } => {
            format!("{record}: its parent is missing, and its chain has no record before it; kept")
        }
        LineDamage::NoUtf8 => "invalid UTF-8; kept".to_owned(),
    };
    format!("  line {}: {}", finding.line, one_line(&what))
}

fn path(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::repair::FileFindings;

    fn report() -> RepairReport {
        let id = |text: &str| text.to_owned();
        let all = [
            LineDamage::Fragment {
                bytes: 90,
                text: "{\"type\":\"us\u{1b}".to_owned(),
            },
            LineDamage::Glued { records: 2 },
            LineDamage::Zeros { bytes: 4096 },
            LineDamage::Relinked {
                record: id("u-3"),
                from: id("u-2"),
                to: id("u-1"),
            },
            LineDamage::Duplicate {
                record: id("u-1"),
                first: 1,
            },
            LineDamage::Conflicting {
                record: id("u-1"),
                first: 1,
            },
            LineDamage::Parentless { record: id("u-9") },
            LineDamage::NoUtf8,
            LineDamage::Unterminated,
        ];
        let findings = all
            .into_iter()
            .zip(1..)
            .map(|(damage, line)| Finding { line, damage })
            .collect();
        RepairReport {
            session: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
            running: Some(42),
            files: vec![FileFindings {
                path: "/h/11111111.jsonl".into(),
                findings,
            }],
            copy: Some(HealedCopy {
                session: Some("9ab00000-0000-4000-8000-000000000009".parse().unwrap()),
                path: "/h/9ab.jsonl".into(),
                lines: 12,
                bytes: 3400,
                fragments: Some("/h/9ab.jsonl.fragments".into()),
                existed: false,
            }),
        }
    }

    fn shown(report: &RepairReport) -> String {
        anstream::adapter::strip_str(&lines(report).join("\n")).to_string()
    }

    #[test]
    fn repair_text_names_every_change() {
        insta::assert_snapshot!(shown(&report()));
    }

    #[test]
    fn repair_text_limits_findings_and_healthy_is_one_line() {
        let mut many = report();
        let finding = many.files[0].findings[0].clone();
        many.files[0].findings = vec![finding; MAX_FINDINGS + 3];
        assert!(shown(&many).contains("… and 3 more"));
        let healthy = RepairReport {
            running: None,
            files: Vec::new(),
            copy: None,
            ..report()
        };
        assert_eq!(
            shown(&healthy),
            "repair: 11111111-0000-4000-8000-000000000001: nothing to repair"
        );
    }

    #[test]
    fn repair_json_has_every_field() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&report()).unwrap());
    }
}
