//! `ccsync undo`: reverts the last pull or restore.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, ask, error::CliError, error::CommandError, exit::Exit};
use crate::session::{journal::JournalKind, journal::SkippedUndo, journal::Undone};
use crate::sys::Clock;
use crate::ui::{format::age, format::count, json, sanitize::one_line};

/// Files that are changed without a question.
const MAX_UNCONFIRMED: usize = 5;

/// Undo the last pull or restore
///
/// Files that changed since then, and those of a session that is open in Claude Code,
/// stay unchanged. The output says where their former content is. Another undo reverts
/// the pull before; `--redo` reverts the undo. The store and the remote do not change. For
/// more than five files, asks for confirmation.
#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    /// Undo the last undo
    #[arg(long)]
    redo: bool,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// The command to undo, and whether it only is to be seen.
#[derive(Debug, Clone, Copy)]
struct Mode {
    kind: JournalKind,
    dry_run: bool,
}

/// JSON document. `command_time` is null if there was nothing to undo.
#[derive(Default, Serialize)]
struct UndoDocument {
    command_time: Option<String>,
    restored: Vec<PathBuf>,
    removed: Vec<PathBuf>,
    skipped: Vec<SkippedUndo>,
}

pub(in crate::cli) fn run(args: &UndoArgs, app: &mut App) -> Result<Exit, CliError> {
    let kind = if args.redo {
        JournalKind::Undo
    } else {
        JournalKind::Change
    };
    let mode = Mode {
        kind,
        dry_run: args.dry_run,
    };
    if !args.yes && !args.dry_run {
        confirm_many(mode, app)?;
    }
    let undone = undo(mode, app)?;
    let exit = if undone.as_ref().is_some_and(|u| !u.skipped.is_empty()) {
        Exit::Skipped
    } else {
        Exit::Done
    };
    if args.json.json {
        app.print_json("undo", &undone.map(UndoDocument::from).unwrap_or_default())?;
    } else {
        let lines = lines(undone.as_ref(), mode, app.clock.now());
        app.print(&lines)?;
    }
    Ok(exit)
}

fn undo(mode: Mode, app: &App) -> Result<Option<Undone>, CliError> {
    let ctx = app.context()?;
    Ok(crate::history::undo::undo(&ctx, mode.kind, mode.dry_run)?)
}

/// Shows a plan that changes many files, and asks.
fn confirm_many(mode: Mode, app: &mut App) -> Result<(), CliError> {
    let plan_mode = Mode {
        dry_run: true,
        ..mode
    };
    let plan = undo(plan_mode, app)?;
    let files = plan.as_ref().map_or(0, |plan| plan.changed_files().count());
    if files <= MAX_UNCONFIRMED {
        return Ok(());
    }
    let files = count(files as u64, "file");
    app.require_terminal(format!("an undo of {files}"))?;
    let shown = app.out.screen().height.saturating_sub(2).max(1);
    let lines = lines(plan.as_ref(), plan_mode, app.clock.now());
    let hidden = lines.len().saturating_sub(shown);
    for line in lines.iter().skip(hidden) {
        app.out.note(line);
    }
    if ask::confirm(&format!("Change {files}?"))? {
        return Ok(());
    }
    Err(CommandError::Declined("nothing was undone".to_owned()).into())
}

impl From<Undone> for UndoDocument {
    fn from(undone: Undone) -> Self {
        Self {
            command_time: Some(json::time(undone.command_time)),
            restored: undone.restored,
            removed: undone.removed,
            skipped: undone.skipped,
        }
    }
}

fn lines(undone: Option<&Undone>, mode: Mode, now: DateTime<Utc>) -> Vec<String> {
    let Some(undone) = undone else {
        return vec!["undo: nothing to undo".to_owned()];
    };
    let shown = |path: &PathBuf| one_line(&path.to_string_lossy()).into_owned();
    let mut lines: Vec<String> = undone
        .restored
        .iter()
        .map(|path| format!("  restored  {}", shown(path)))
        .collect();
    lines.extend(
        undone
            .removed
            .iter()
            .map(|path| format!("  removed   {}", shown(path))),
    );
    lines.extend(undone.skipped.iter().map(|file| {
        format!(
            "  skipped   {}: {}",
            shown(&file.path),
            one_line(&file.reason)
        )
    }));
    let counts = [
        (undone.restored.len(), "restored"),
        (undone.removed.len(), "removed"),
        (undone.skipped.len(), "skipped"),
    ];
    let mut counts: Vec<(usize, &str)> = counts.into_iter().filter(|(n, _)| *n > 0).collect();
    let (first, what) = if counts.is_empty() {
        (0, "restored")
    } else {
        counts.remove(0)
    };
    let rest: String = counts
        .iter()
        .map(|(n, what)| format!(", {n} {what}"))
        .collect();
    let files = count(first as u64, "file");
    let would = if mode.dry_run { "would be " } else { "" };
    let command = match mode.kind {
        JournalKind::Change => "pull or restore",
        JournalKind::Undo => "undo",
    };
    lines.push(format!(
        "undo: {files} {would}{what}{rest}, as before the {command} ({})",
        age(undone.command_time, now)
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Mode = Mode {
        kind: JournalKind::Change,
        dry_run: false,
    };

    #[test]
    fn undo_text_names_restored_and_skipped_files() {
        let command_time: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().unwrap();
        let report = Undone {
            restored: vec!["/h/a.jsonl".into()],
            removed: vec!["/h/n.jsonl".into(), "/h/o.jsonl".into()],
            skipped: vec![SkippedUndo {
                path: "/h/b.jsonl".into(),
                reason: "it has grown since".to_owned(),
            }],
            command_time,
        };
        insta::assert_snapshot!(lines(Some(&report), MODE, command_time).join("\n"), @r"
          restored  /h/a.jsonl
          removed   /h/n.jsonl
          removed   /h/o.jsonl
          skipped   /h/b.jsonl: it has grown since
        undo: 1 file restored, 2 removed, 1 skipped, as before the pull or restore (just now)
        ");
        let only_new = Undone {
            restored: Vec::new(),
            skipped: Vec::new(),
            ..report
        };
        let lines_of = lines(Some(&only_new), MODE, command_time);
        assert_eq!(
            lines_of.last().unwrap(),
            "undo: 2 files removed, as before the pull or restore (just now)"
        );
        assert_eq!(lines(None, MODE, command_time), ["undo: nothing to undo"]);
    }
}
