//! Shows the part of a report on extras: one line for what was done, and one for each
//! file that needs attention.

use crate::report::{BundleReport, ExtraOutcome, ExtraReport};
use crate::ui::{format::count, sanitize::one_line, style::ATTENTION, style::paint};

/// Maximum number of files named for one action; more are only counted.
const MAX_NAMES: usize = 3;

/// Begins the line on a file that stays on its machine by rule.
const STAYING: &str = "stays here: ";

/// Words for the actions, and for the planned ones of a dry run.
const ACTIONS: [(ExtraOutcome, &str, &str); 5] = [
    (ExtraOutcome::Pushed, "pushed", "push"),
    (ExtraOutcome::Pulled, "pulled", "pull"),
    (ExtraOutcome::Merged, "merged", "merge"),
    (ExtraOutcome::Removed, "removed", "remove"),
    (ExtraOutcome::Restored, "restored", "restore"),
];

/// Returns the lines for the files of one owner. If `quiet`, only those that need attention.
pub(crate) fn lines(bundle: &BundleReport, dry_run: bool, quiet: bool) -> Vec<String> {
    let project = bundle.project.as_deref();
    let whose = project.map_or_else(|| "extras".to_owned(), memory_of);
    let mut lines = Vec::new();
    if !quiet {
        let actions: Vec<String> = ACTIONS
            .iter()
            .filter_map(|(outcome, done, planned)| {
                let names = names(bundle, outcome)?;
                Some(format!("{} {names}", if dry_run { planned } else { done }))
            })
            .collect();
        let would = if dry_run { "would " } else { "" };
        if !actions.is_empty() {
            lines.push(format!("{whose}: {would}{}", actions.join("; ")));
        }
        if let Some(reason) = &bundle.not_pulled {
            lines.push(format!("{whose} not pulled: {}", one_line(reason)));
        }
    }
    for file in &bundle.files {
        lines.extend(verbatim_line(file, &whose));
        lines.extend(secret_lines(file, &whose));
        lines.extend(outcome_line(file, &whose, dry_run, quiet));
    }
    lines
}

/// Returns true for a line on a file that stays on its machine by rule.
pub(crate) fn is_staying(line: &str) -> bool {
    line.starts_with(STAYING)
}

/// Names the files with this outcome, or counts them. Returns `None` if no file has it.
fn names(bundle: &BundleReport, outcome: &ExtraOutcome) -> Option<String> {
    let files = bundle.files.iter().filter(|file| file.outcome == *outcome);
    let names: Vec<_> = files.map(|file| one_line(&file.name)).collect();
    match names.len() {
        0 => None,
        1..=MAX_NAMES => Some(names.join(", ")),
        n => Some(count(n as u64, "file")),
    }
}

fn verbatim_line(file: &ExtraReport, whose: &str) -> Option<String> {
    let lines = count(file.verbatim, "line");
    let name = one_line(&file.name);
    (file.verbatim > 0).then(|| {
        format!("{whose}: {name}: {lines} stored verbatim, because rewriting could not be undone exactly")
    })
}

fn secret_lines(file: &ExtraReport, whose: &str) -> Vec<String> {
    let name = one_line(&file.name);
    let line = |number: u64, what: &str| {
        let secrets = count(number, "secret");
        let line = format!("{whose}: {name}: {secrets} {what}: ccsync secrets list");
        (number > 0).then_some(line)
    };
    let masked = line(
        file.secrets.masked,
        "masked, whose values stay on this machine",
    );
    let unmasked = line(file.secrets.unmasked, "stored unmasked");
    masked.into_iter().chain(unmasked).collect()
}

fn outcome_line(file: &ExtraReport, whose: &str, dry_run: bool, quiet: bool) -> Option<String> {
    let name = one_line(&file.name);
    let line = match &file.outcome {
        ExtraOutcome::Conflict if dry_run => {
            format!("{whose}: {name}: conflict, both versions would be kept")
        }
        ExtraOutcome::Conflict => {
            format!("{whose}: {name}: conflict, both versions kept; edit it")
        }
        ExtraOutcome::NeedsApproval { from } => {
            let from = one_line(from);
            let why = match name.starts_with("{{") {
                true => "directory of a placeholder",
                false => "it can run programs",
            };
            format!("{name} from {from} needs your approval ({why}): ccsync apply")
        }
        ExtraOutcome::Skipped { reason } => {
            format!("skipped: {whose}: {name}: {}", one_line(reason))
        }
        ExtraOutcome::Excluded { reason } if !quiet => {
            return Some(format!("{STAYING}{name}: {}", one_line(reason)));
        }
        _ => return None,
    };
    Some(paint(ATTENTION, &line))
}

/// Returns `memory of app`, from the last part of the project's address or path.
fn memory_of(project: &str) -> String {
    let mut parts = project.rsplit(['/', '\\']);
    let last = parts.find(|part| !part.is_empty()).unwrap_or(project);
    let shown = if last == "{{HOME}}" { "~" } else { last };
    format!("memory of {}", one_line(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: Vec<ExtraReport>) -> BundleReport {
        BundleReport {
            project: Some("github.com/al/app".to_owned()),
            not_pulled: None,
            files,
        }
    }

    #[test]
    fn extras_lines_name_actions_and_files_that_need_attention() {
        let from = "vm\u{7}".to_owned();
        let files = bundle(vec![
            ExtraReport::new("a.md", ExtraOutcome::Pushed),
            ExtraReport::new("b.md", ExtraOutcome::Pushed),
            ExtraReport::new("c.md", ExtraOutcome::Removed),
            ExtraReport::new("d.md", ExtraOutcome::Conflict),
            ExtraReport::new("e.md", ExtraOutcome::NeedsApproval { from }),
        ]);
        let text = |dry_run, quiet| {
            let lines = lines(&files, dry_run, quiet).join("\n");
            anstream::adapter::strip_str(&lines).to_string()
        };
        insta::assert_snapshot!(text(false, false), @r"
        memory of app: pushed a.md, b.md; removed c.md
        memory of app: d.md: conflict, both versions kept; edit it
        e.md from vm\u{7} needs your approval (it can run programs): ccsync apply
        ");
        assert!(
            text(true, false).starts_with("memory of app: would push a.md, b.md; remove c.md\n")
        );
        assert!(text(false, true).starts_with("memory of app: d.md: conflict"));
    }

    #[test]
    fn report_verbatim_lines_are_counted() {
        let file = ExtraReport {
            verbatim: 2,
            ..ExtraReport::new("MEMORY.md", ExtraOutcome::Pushed)
        };
        let expected = "memory of app: MEMORY.md: 2 lines stored verbatim, because rewriting could not be undone exactly";
        assert_eq!(lines(&bundle(vec![file]), false, false)[1], expected);
    }
}
