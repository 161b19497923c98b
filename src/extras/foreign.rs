//! Texts that another program has stored: they come to their shelves as if the machines that wrote them had pushed them.
//!
//! There is no common past with what the store has: what is equal is there once, the rest in both versions. A shelf remembers what has come
//! to it so, by its hash: what a person made of it since is not met by it again, on any machine. Must not touch this machine's files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::error::error_chain;
use crate::domain::extras::{BundleId, ExtraKind, ProjectKey};
use crate::domain::path::{PortablePath, RelativeName};
use crate::extras::bundles::{OpenBundle, There};
use crate::extras::compare::bundle_error;
use crate::extras::context::Names;
use crate::extras::foreign_text::{ForeignProject, ForeignText, IMPORTED};
use crate::extras::merge::{Side, merge};
use crate::extras::owners::Places;
use crate::extras::text_file::{PathRewriter, TextFile, hash};
use crate::report::transfer::{BundleReport, ExtraOutcome, ExtraReport, Report};
use crate::rewrite::expand_path;
use crate::session::extras::{MAX_EXTRA_BYTES, TOO_LARGE};
use crate::store::bundle::ExtrasBundle;
use crate::store::machine::Machine;
use crate::store::{Snapshot, Transaction};
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Whose a text is in this store.
struct Owner {
    bundle: BundleId,
    key: Option<ProjectKey>,
    path: Option<PortablePath>,
}

/// Puts `texts` on their shelves, as far as their kinds travel, and tells in `report` what became of them. Returns the machines that
/// something was stored of.
pub(crate) fn take_over(
    workspace: &Workspace<'_>,
    texts: &[ForeignText],
    tx: &mut Transaction<'_>,
    report: &mut Report,
) -> Result<Vec<Machine>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let mut taking = Taking {
        workspace,
        snapshot: &snapshot,
        places: Places::new(workspace),
        names: Names::of(workspace, &snapshot)?,
        open: BTreeMap::new(),
        writers: Vec::new(),
    };
    for text in texts {
        let (owner, is_sure) = taking.owner(text.project.as_ref());
        let Some((outcome, verbatim)) = taking.text(text, &owner)? else {
            continue;
        };
        if !is_sure {
            report
                .remarks
                .extend(guessed(&owner).filter(|remark| !report.remarks.contains(remark)));
        }
        let file = ExtraReport {
            name: text.name.to_string(),
            outcome,
            verbatim,
        };
        let project = owner.key.as_ref().map(|key| key.as_str().to_owned());
        report.add_beside(vec![BundleReport {
            project,
            listed: None,
            files: vec![file],
        }]);
    }
    let Taking { open, writers, .. } = taking;
    for mut bundle in open.into_values().filter(OpenBundle::is_changed) {
        let dropped = bundle.drop_older_plans();
        say_what_is_too_old(report, &dropped);
        bundle.write(tx)?;
    }
    Ok(writers)
}

/// Of too many plans the oldest do not travel.
fn say_what_is_too_old(report: &mut Report, dropped: &[RelativeName]) {
    let users = report
        .extras
        .iter_mut()
        .filter(|bundle| bundle.project.is_none())
        .flat_map(|bundle| &mut bundle.files);
    for file in users.filter(|file| dropped.iter().any(|name| name.as_str() == file.name)) {
        file.outcome = ExtraOutcome::Left {
            reason: "older than the plans that travel".to_owned(),
        };
    }
}

struct Taking<'w, 's> {
    workspace: &'w Workspace<'w>,
    snapshot: &'s Snapshot<'s>,
    places: Places<'w>,
    names: Names,
    open: BTreeMap<BundleId, OpenBundle<'s>>,
    writers: Vec<Machine>,
}

/// What became of a text, and how many lines of it are stored verbatim. Nothing: it was there.
type Taken = Option<(ExtraOutcome, u64)>;

/// What a person should know of a memory of which nobody is sure whose it is.
fn guessed(owner: &Owner) -> Option<String> {
    let path = owner.path.as_ref()?;
    Some(format!(
        "where the project of a memory is, the source can only guess: it is kept as that of {path}. On a machine that has the project, import \
         again"
    ))
}

impl Taking<'_, '_> {
    /// Whose a text is, and whether that is sure.
    fn owner(&self, project: Option<&ForeignProject>) -> (Owner, bool) {
        match project.map(|project| self.places.project_at(project)) {
            Some(((key, path), is_sure)) => (
                Owner {
                    bundle: BundleId::of_project(&key),
                    key: Some(key),
                    path: Some(path),
                },
                is_sure,
            ),
            None => (
                Owner {
                    bundle: BundleId::user(),
                    key: None,
                    path: None,
                },
                true,
            ),
        }
    }

    fn text(&mut self, text: &ForeignText, owner: &Owner) -> Result<Taken, SyncError> {
        let kind = if owner.key.is_some() {
            Some(ExtraKind::Memory)
        } else {
            ExtraKind::from_user_file(text.name.as_str())
        };
        let Some(kind) = kind.filter(|kind| !kind.can_run_code()) else {
            let reason = "it does not travel beside sessions".to_owned();
            return Ok(Some((ExtraOutcome::Left { reason }, 0)));
        };
        if !self.workspace.ctx.settings.extras.contains(&kind) {
            let reason = format!(
                "`beside` does not name {0}: ccsync config set beside {0},…",
                kind.name()
            );
            return Ok(Some((ExtraOutcome::Left { reason }, 0)));
        }
        let new = || ExtrasBundle::empty(owner.key.clone(), owner.path.clone());
        let bundle = match OpenBundle::among(&mut self.open, self.snapshot, &owner.bundle, new) {
            Ok(bundle) => bundle,
            Err(e) => {
                return Ok(Some((
                    ExtraOutcome::Skipped {
                        reason: error_chain(&e),
                    },
                    0,
                )));
            }
        };
        let hash = hash(&text.text);
        if bundle.bundle.was_imported(&text.name, &hash) {
            return Ok(None);
        }
        // A time to come would keep it for ever.
        let day = text
            .day
            .filter(|_| kind.is_cleared_up())
            .map(|day| day.min(self.workspace.ctx.clock.now().date_naive()));
        let day = day.max(bundle.day(&text.name));
        let writer = text.writers.first().expect("somebody wrote it");
        let (theirs, verbatim) = portable(text, owner);
        let stored = match bundle.file(&text.name) {
            Ok(There::Is { doc, by }) => Some((doc, by)),
            Ok(There::Absent | There::Removed) => None,
            Err(e) => {
                return Ok(Some((
                    ExtraOutcome::Skipped {
                        reason: bundle_error(&e),
                    },
                    0,
                )));
            }
        };
        let (doc, outcome) = match stored {
            None => (theirs, ExtraOutcome::Sent),
            Some((doc, _)) if theirs.is_still(&doc) => {
                bundle.record_import(&text.name, &hash);
                return Ok(None);
            }
            Some((doc, by)) => {
                let name = self.names.one(&by);
                let label = imported_from(&writer.name);
                let (a, b) = (
                    Side {
                        doc: &doc,
                        machine: &name,
                    },
                    Side {
                        doc: &theirs,
                        machine: &label,
                    },
                );
                let merged = merge(None, a, b);
                if merged.doc.text().len() as u64 > MAX_EXTRA_BYTES {
                    let reason = format!(
                        "together with what the store has, it would be {}",
                        TOO_LARGE
                    );
                    return Ok(Some((ExtraOutcome::Skipped { reason }, 0)));
                }
                let outcome = merged.outcome();
                (merged.doc, outcome)
            }
        };
        if let Err(e) = bundle.put(&text.name, &doc, writer.id.clone(), day) {
            return Ok(Some((
                ExtraOutcome::Skipped {
                    reason: bundle_error(&e),
                },
                0,
            )));
        }
        bundle.record_import(&text.name, &hash);
        if !self.writers.iter().any(|known| known.id == writer.id) {
            self.writers.push(writer.clone());
        }
        Ok(Some((outcome, verbatim)))
    }
}

/// What the lines of a machine of the other program are called between the lines of a text that is there.
fn imported_from(name: &str) -> String {
    if name.ends_with(IMPORTED) {
        name.to_owned()
    } else {
        format!("{name}{IMPORTED}")
    }
}

/// The portable form of a text, and how many lines of it are kept verbatim: each line as the likeliest of its writers would have stored it,
/// or the first that knows a path in it.
fn portable(text: &ForeignText, owner: &Owner) -> (TextFile, u64) {
    let has_identity = matches!(owner.key, Some(ProjectKey::Identity(_)));
    let at = |machine: &Machine| {
        text.project
            .as_ref()
            .and_then(|project| expand_path(&project.path, &machine.placeholders))
    };
    let mut found: Option<(TextFile, u64)> = None;
    for writer in &text.writers {
        let checkout = at(writer);
        let path_rewriter = PathRewriter::new(
            &writer.placeholders,
            checkout
                .as_ref()
                .map(|path| (Path::new(path), has_identity)),
        );
        let doc = path_rewriter.collapse(&text.text);
        match &mut found {
            None => {
                let verbatim = path_rewriter.verbatim(&doc);
                found = Some((doc, verbatim));
            }
            Some((first, _)) => {
                for (line, other) in first.lines.iter_mut().zip(doc.lines) {
                    if line.placeholders.is_none() && other.placeholders.is_some() {
                        *line = other;
                    }
                }
                first.sets.extend(doc.sets);
                first.prune();
            }
        }
    }
    found.unwrap_or_default()
}
