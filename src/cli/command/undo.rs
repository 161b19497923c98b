//! `ccsync undo`: what the last pull replaced comes back.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::history::undo::UndoReport;
use crate::sys::clock::Clock;
use crate::ui::format::{age, count};
use crate::ui::json;
use crate::ui::sanitize::one_line;

/// Put back what the last pull or restore replaced on this machine
///
/// Files that changed since, and those of sessions that are running here, are left as they are; it is said where the former content
/// of such a file lies. Another undo goes on to the pull before. The store and the remote are not touched.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON schema, version 1. `pulled_at` is null if there was nothing to undo.
#[derive(Serialize)]
struct Document {
    pulled_at: Option<String>,
    restored: Vec<PathBuf>,
    removed: Vec<PathBuf>,
    kept: Vec<Kept>,
}

#[derive(Serialize)]
struct Kept {
    path: PathBuf,
    reason: String,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    let undone = crate::history::undo::undo(&app.context()?)?;
    let exit = if undone.as_ref().is_some_and(|u| !u.kept.is_empty()) {
        Exit::Skipped
    } else {
        Exit::Done
    };
    if args.json.json {
        app.print_json("undo", &document(undone))?;
    } else {
        let lines = lines(undone.as_ref(), app.clock.now());
        app.print(&lines)?;
    }
    Ok(exit)
}

fn document(undone: Option<UndoReport>) -> Document {
    let Some(UndoReport {
        restored,
        removed,
        kept,
        pulled_at,
    }) = undone
    else {
        return Document {
            pulled_at: None,
            restored: Vec::new(),
            removed: Vec::new(),
            kept: Vec::new(),
        };
    };
    let kept = kept
        .into_iter()
        .map(|(path, reason)| Kept { path, reason })
        .collect();
    Document {
        pulled_at: Some(json::time(pulled_at)),
        restored,
        removed,
        kept,
    }
}

fn lines(undone: Option<&UndoReport>, now: DateTime<Utc>) -> Vec<String> {
    let Some(undone) = undone else {
        return vec!["undo: there is no pull to undo".to_owned()];
    };
    let shown = |path: &PathBuf| one_line(&path.to_string_lossy()).into_owned();
    let mut lines: Vec<String> = undone
        .restored
        .iter()
        .map(|path| format!("  put back  {}", shown(path)))
        .collect();
    lines.extend(
        undone
            .removed
            .iter()
            .map(|path| format!("  removed   {}", shown(path))),
    );
    lines.extend(
        undone
            .kept
            .iter()
            .map(|(path, why)| format!("  left      {}: {}", shown(path), one_line(why))),
    );
    let counts = [
        (undone.restored.len(), "put back"),
        (undone.removed.len(), "removed"),
        (undone.kept.len(), "left as they are"),
    ];
    let mut counts: Vec<(usize, &str)> = counts.into_iter().filter(|(n, _)| *n > 0).collect();
    let (first, what) = if counts.is_empty() {
        (0, "put back")
    } else {
        counts.remove(0)
    };
    let rest: String = counts
        .iter()
        .map(|(n, what)| format!(", {n} {what}"))
        .collect();
    let files = count(first as u64, "file");
    lines.push(format!(
        "undo: {files} {what}{rest}, as before the pull of {}",
        age(undone.pulled_at, now)
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_text_names_restored_and_kept_files() {
        let pulled_at: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().unwrap();
        let report = UndoReport {
            restored: vec!["/h/a.jsonl".into()],
            removed: vec!["/h/n.jsonl".into(), "/h/o.jsonl".into()],
            kept: vec![("/h/b.jsonl".into(), "it has grown since".to_owned())],
            pulled_at,
        };
        insta::assert_snapshot!(lines(Some(&report), pulled_at).join("\n"), @r"
          put back  /h/a.jsonl
          removed   /h/n.jsonl
          removed   /h/o.jsonl
          left      /h/b.jsonl: it has grown since
        undo: 1 file put back, 2 removed, 1 left as they are, as before the pull of just now
        ");
        let only_new = UndoReport {
            restored: Vec::new(),
            kept: Vec::new(),
            ..report
        };
        let lines_of = lines(Some(&only_new), pulled_at);
        assert_eq!(
            lines_of.last().unwrap(),
            "undo: 2 files removed, as before the pull of just now"
        );
        assert_eq!(lines(None, pulled_at), ["undo: there is no pull to undo"]);
    }
}
