//! `ccsync apply`: shows settings, commands and directories that other machines propose, and asks
//! for approval.

use std::path::Path;

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, ask, error::CliError, exit::Exit};
use crate::extras::approval::{AppliedChanges, ProposedChange, apply, proposals};
use crate::sys::fs::is_dir_in_time;
use crate::ui::{ATTENTION, HEADING, difference, format::count, sanitize::one_line, style::paint};

/// Review and apply settings from other machines
///
/// Settings, commands, agents and skills can run programs, so a pull does not apply them.
/// This command shows each file as a difference to this machine's file and asks for
/// approval. An approval is for exactly this content. After a no, this machine keeps its
/// own file until the other machine changes the file again. Replaced files are kept for
/// `ccsync undo`. The same holds for a directory that another machine proposes for a
/// placeholder of this one. Nothing is fetched: run `ccsync pull` first. Without a terminal, or
/// with --dry-run, the files are shown and nothing changes.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// Only these files, by their names below the directory of Claude Code, or `{{NAME}}`
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Apply all of them without asking
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show the files and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document. With `--json`, ccsync does not ask.
#[derive(Serialize)]
struct ApplyDocument<'a> {
    /// Files that need approval.
    pending: Vec<PendingFile<'a>>,
    /// Files that were changed.
    applied: &'a [String],
    /// Files that stay unchanged on this machine.
    rejected: &'a [String],
    skipped: Vec<Skipped<'a>>,
}

#[derive(Serialize)]
struct PendingFile<'a> {
    name: &'a str,
    /// The machine that the file comes from.
    from: &'a str,
    /// The text on this machine; null if the file is missing.
    here: Option<&'a str>,
    /// The new text; null if the file would be removed.
    proposed: Option<&'a str>,
    /// True if the file on this machine is executable. Only files of skills can be.
    executable_here: bool,
    /// True if the new file is executable.
    executable: bool,
    /// True if changes of this machine would be lost.
    replaces_changes: bool,
}

#[derive(Serialize)]
struct Skipped<'a> {
    name: &'a str,
    reason: &'a str,
}

/// Reason for skipping a file that changed while the user was asked.
const CHANGED: &str = "it changed after it was shown; review it again";

/// The answers of the user.
#[derive(Default)]
struct Answers {
    /// Changes that are approved, by their id.
    yes: Vec<String>,
    /// Changes that are rejected, by their id.
    no: Vec<String>,
    /// Names of all files in `yes` and `no`.
    names: Vec<String>,
    pending: Vec<ProposedChange>,
}

pub(in crate::cli) fn run(args: &ApplyArgs, app: &mut App) -> Result<Exit, CliError> {
    let mut proposals = proposals(&app.context()?)?;
    proposals.retain(|proposal| args.files.is_empty() || args.files.contains(&proposal.name));
    let answers = collect_answers(args, proposals, app)?;
    let decided = execute(&answers, app)?;

    if args.json.json {
        app.print_json("apply", &document(&answers.pending, &decided))?;
    } else {
        let lines = summary(answers.pending.len() as u64, &decided, noun(&answers));
        app.print(&lines)?;
    }
    Ok(if decided.skipped.is_empty() {
        Exit::Done
    } else {
        Exit::Skipped
    })
}

/// Shows each change and asks for approval, if there is a terminal to ask on.
fn collect_answers(
    args: &ApplyArgs,
    proposals: Vec<ProposedChange>,
    app: &mut App,
) -> Result<Answers, CliError> {
    let asks = !args.yes && !args.dry_run && !args.json.json && app.is_interactive();
    let mut answers = Answers::default();
    for proposal in proposals {
        if !args.json.json {
            app.print(&change_lines(&proposal))?;
        }
        if !args.yes && !asks {
            answers.pending.push(proposal);
            continue;
        }
        let is_approved = args.yes || ask::confirm("Apply this change?")?;
        answers.names.push(proposal.name);
        let list = if is_approved {
            &mut answers.yes
        } else {
            &mut answers.no
        };
        list.push(proposal.id);
    }
    Ok(answers)
}

/// Writes the approved changes. Skips a change that differs from the one that was shown.
fn execute(answers: &Answers, app: &App) -> Result<AppliedChanges, CliError> {
    if answers.names.is_empty() {
        return Ok(AppliedChanges::default());
    }
    let mut decided = apply(&app.context()?, &answers.yes, &answers.no)?;
    for name in &answers.names {
        let is_skipped = decided.skipped.iter().any(|(skipped, _)| skipped == name);
        if !is_skipped && !decided.applied.contains(name) && !decided.rejected.contains(name) {
            decided.skipped.push((name.clone(), CHANGED.to_owned()));
        }
    }
    Ok(decided)
}

fn document<'a>(pending: &'a [ProposedChange], decided: &'a AppliedChanges) -> ApplyDocument<'a> {
    let pending = pending.iter().map(|proposal| PendingFile {
        name: &proposal.name,
        from: &proposal.from,
        here: proposal.here.as_deref(),
        proposed: proposal.proposed.as_deref(),
        executable_here: proposal.executable_here,
        executable: proposal.executable,
        replaces_changes: proposal.replaces_changes,
    });
    let skipped = decided.skipped.iter();
    ApplyDocument {
        pending: pending.collect(),
        applied: &decided.applied,
        rejected: &decided.rejected,
        skipped: skipped
            .map(|(name, reason)| Skipped { name, reason })
            .collect(),
    }
}

/// Returns the lines that show a change.
fn change_lines(proposal: &ProposedChange) -> Vec<String> {
    let kind = match (&proposal.here, &proposal.proposed) {
        (_, None) => "removal",
        (None, Some(_)) if proposal.name.starts_with("{{") => "new directory",
        (None, Some(_)) => "new file",
        (Some(_), Some(_)) => "change",
    };
    let (name, from) = (one_line(&proposal.name), one_line(&proposal.from));
    let mut lines = vec![paint(HEADING, &format!("{kind} from {from}: {name}"))];
    if proposal.replaces_changes {
        let warning = "  this machine has changed the file, too: the change here would be replaced";
        lines.push(paint(ATTENTION, warning));
    }
    let directory = proposal.proposed.as_deref().unwrap_or_default().trim_end();
    if proposal.name.starts_with("{{") && !is_dir_in_time(Path::new(directory)) {
        let warning = "  this directory does not exist on this machine";
        lines.push(paint(ATTENTION, warning));
    }
    match (proposal.executable_here, proposal.executable) {
        (false, true) => lines.push(paint(ATTENTION, "  becomes executable")),
        (true, false) if proposal.proposed.is_some() => {
            lines.push("  is no longer executable".to_owned());
        }
        _ => {}
    }
    let here = proposal.here.as_deref().unwrap_or_default();
    let proposed = proposal.proposed.as_deref().unwrap_or_default();
    lines.extend(difference::lines(here, proposed));
    lines
}

/// Returns the noun for what the answers are about: files, unless placeholders are among them.
fn noun(answers: &Answers) -> &'static str {
    let pending = answers.pending.iter().map(|proposal| &proposal.name);
    let mut names = answers.names.iter().chain(pending);
    if names.any(|name| name.starts_with("{{")) {
        "change"
    } else {
        "file"
    }
}

fn summary(pending: u64, decided: &AppliedChanges, noun: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, reason) in &decided.skipped {
        let line = format!("{} skipped: {}", one_line(name), one_line(reason));
        lines.push(paint(ATTENTION, &line));
    }
    let counts = [
        (decided.applied.len() as u64, "applied"),
        (decided.rejected.len() as u64, "rejected"),
        (decided.skipped.len() as u64, "skipped"),
    ];
    let some = counts.into_iter().filter(|(n, _)| *n > 0);
    let mut parts: Vec<String> = some
        .map(|(n, what)| format!("{} {what}", count(n, noun)))
        .collect();
    if pending > 0 {
        let need = if pending == 1 { "needs" } else { "need" };
        parts.push(format!(
            "{} {need} approval: ccsync apply on a terminal, or ccsync apply --yes",
            count(pending, noun)
        ));
    }
    if parts.is_empty() {
        parts.push("nothing to approve".to_owned());
    }
    lines.push(format!("apply: {}", parts.join(", ")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apply_hostile_proposal_is_shown_escaped() {
        let proposal = ProposedChange {
            name: "commands/go\u{1b}[2J.md".to_owned(),
            from: "desk\u{7}".to_owned(),
            here: Some("old\n".to_owned()),
            proposed: Some("new\u{1b}]0;x\u{7}\n".to_owned()),
            executable_here: false,
            executable: true,
            replaces_changes: true,
            id: String::new(),
        };
        let text = change_lines(&proposal).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn apply_summary_counts_every_decision() {
        let decided = AppliedChanges {
            applied: vec!["a".to_owned()],
            rejected: vec!["b".to_owned(), "c".to_owned()],
            skipped: vec![("d".to_owned(), "it changed".to_owned())],
        };
        let text = summary(1, &decided, "file").join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
        assert_eq!(
            summary(0, &AppliedChanges::default(), "file"),
            ["apply: nothing to approve"]
        );
    }
}
