//! `ccsync apply`: settings and commands of other machines, looked at one by one.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::{CliError, CommandError};
use crate::cli::exit::Exit;
use crate::extras::approval::{AppliedChanges, ProposedChange};
use crate::ui::format::count;
use crate::ui::sanitize::one_line;
use crate::ui::style::{ATTENTION, HEADING, paint};
use crate::ui::{difference, prompt};

/// Review and apply settings from other machines
///
/// Settings, commands, agents and skills can run programs, so a pull does not apply them.
/// This command shows each file as a difference to this machine's file and asks for
/// approval. An approval is for exactly this content. After a no, this machine keeps its
/// own file until the other machine changes the file again. Replaced files are kept for
/// `ccsync undo`. Nothing is fetched: run `ccsync pull` first. Without a terminal, or
/// with --dry-run, the files are shown and nothing changes.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// Only these files, by their names below the directory of Claude Code
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

/// JSON schema, version 1. With `--json` nothing is asked.
#[derive(Serialize)]
struct ApplyDocument<'a> {
    /// What waits for a yes.
    waiting: Vec<Waiting<'a>>,
    /// Files that were changed.
    applied: &'a [String],
    /// Files that stay as they are here.
    kept: &'a [String],
    skipped: Vec<Skipped<'a>>,
}

#[derive(Serialize)]
struct Waiting<'a> {
    name: &'a str,
    /// The machine it comes from.
    from: &'a str,
    /// What it is here; null: it is not here.
    here: Option<&'a str>,
    /// What it would be; null: it would be removed.
    proposed: Option<&'a str>,
    /// Its owner may run it here; only files of skills can be such.
    executable_here: bool,
    /// Its owner could run it then.
    executable: bool,
    /// This machine's own changes would be replaced.
    replaces_changes: bool,
}

#[derive(Serialize)]
struct Skipped<'a> {
    name: &'a str,
    reason: &'a str,
}

/// What is said of a proposal that is another one by the time of the answer.
const CHANGED: &str = "it has changed since it was shown: look at it again";

pub(in crate::cli) fn run(args: &ApplyArgs, app: &mut App) -> Result<Exit, CliError> {
    let mut proposals = crate::extras::approval::proposals(&app.context()?)?;
    proposals.retain(|proposal| args.files.is_empty() || args.files.contains(&proposal.name));
    let asks = !args.yes && !args.dry_run && !args.json.json && app.is_interactive();
    let (mut yes, mut no, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiting = Vec::new();
    for proposal in proposals {
        if !args.json.json {
            app.print(&shown(&proposal))?;
        }
        let name = proposal.name.clone();
        match if asks {
            prompt::confirm("Take it over").map_err(CommandError::Terminal)?
        } else {
            None
        } {
            _ if args.yes => yes.push(proposal.id),
            Some(true) => yes.push(proposal.id),
            Some(false) => no.push(proposal.id),
            None if asks => return Err(CommandError::Cancelled.into()),
            None => {
                waiting.push(proposal);
                continue;
            }
        }
        answered.push(name);
    }
    let mut decided = match (yes.is_empty(), no.is_empty()) {
        (true, true) => AppliedChanges::default(),
        _ => crate::extras::approval::apply(&app.context()?, &yes, &no)?,
    };
    let is_told = |name: &String| {
        let mut skipped = decided.skipped.iter().map(|(name, _)| name);
        decided.applied.contains(name)
            || decided.kept.contains(name)
            || skipped.any(|other| other == name)
    };
    answered.retain(|name| !is_told(name));
    decided
        .skipped
        .extend(answered.into_iter().map(|name| (name, CHANGED.to_owned())));
    if args.json.json {
        app.print_json("apply", &document(&waiting, &decided))?;
    } else {
        let lines = summary(waiting.len() as u64, &decided);
        app.print(&lines)?;
    }
    Ok(if decided.skipped.is_empty() {
        Exit::Done
    } else {
        Exit::Skipped
    })
}

fn document<'a>(waiting: &'a [ProposedChange], decided: &'a AppliedChanges) -> ApplyDocument<'a> {
    let waits = |proposal: &'a ProposedChange| Waiting {
        name: &proposal.name,
        from: &proposal.from,
        here: proposal.here.as_deref(),
        proposed: proposal.proposed.as_deref(),
        executable_here: proposal.executable_here,
        executable: proposal.executable,
        replaces_changes: proposal.replaces_changes,
    };
    ApplyDocument {
        waiting: waiting.iter().map(waits).collect(),
        applied: &decided.applied,
        kept: &decided.kept,
        skipped: decided
            .skipped
            .iter()
            .map(|(name, reason)| Skipped { name, reason })
            .collect(),
    }
}

/// A proposal as a person reads it.
fn shown(proposal: &ProposedChange) -> Vec<String> {
    let what = match (&proposal.here, &proposal.proposed) {
        (_, None) => "would be removed",
        (None, Some(_)) => "would be new here",
        (Some(_), Some(_)) => "would change",
    };
    let (name, from) = (one_line(&proposal.name), one_line(&proposal.from));
    let mut lines = vec![paint(HEADING, &format!("{name} of {from} {what}"))];
    if proposal.replaces_changes {
        lines.push(paint(
            ATTENTION,
            "  this machine has changed it as well: a yes replaces that, a no keeps it",
        ));
    }
    match (proposal.executable_here, proposal.executable) {
        (false, true) => lines.push(paint(ATTENTION, "  would be executable")),
        (true, false) if proposal.proposed.is_some() => {
            lines.push("  would no longer be executable".to_owned());
        }
        _ => {}
    }
    let text = |side: &Option<String>| side.clone().unwrap_or_default();
    lines.extend(difference::lines(
        &text(&proposal.here),
        &text(&proposal.proposed),
    ));
    lines
}

fn summary(waiting: u64, decided: &AppliedChanges) -> Vec<String> {
    let reason = |(name, reason): &(String, String)| {
        paint(
            ATTENTION,
            &format!("not taken over: {}: {}", one_line(name), one_line(reason)),
        )
    };
    let mut lines: Vec<String> = decided.skipped.iter().map(reason).collect();
    let counts = [
        (decided.applied.len() as u64, "taken over"),
        (decided.kept.len() as u64, "kept as here"),
        (decided.skipped.len() as u64, "skipped"),
    ];
    let mut told: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{} {word}", count(*n, "file")))
        .collect();
    if waiting > 0 {
        let waits = if waiting == 1 { "waits" } else { "wait" };
        told.push(format!(
            "{} {waits} for a yes: ccsync apply on a terminal, or ccsync apply --yes",
            count(waiting, "file")
        ));
    }
    lines.push(if told.is_empty() {
        "apply: nothing to approve".to_owned()
    } else {
        format!("apply: {}", told.join(", "))
    });
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
        let text = shown(&proposal).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn apply_summary_counts_every_decision() {
        let decided = AppliedChanges {
            applied: vec!["a".to_owned()],
            kept: vec!["b".to_owned(), "c".to_owned()],
            skipped: vec![("d".to_owned(), "it changed".to_owned())],
        };
        let text = summary(1, &decided).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
        assert_eq!(
            summary(0, &AppliedChanges::default()),
            ["apply: nothing to approve"]
        );
    }
}
