//! Two histories of the shelves, brought together where commits are: by the same rules as between a machine and the store.

use std::collections::BTreeSet;

use crate::domain::error::error_chain;
use crate::domain::extras::{BundleId, ExtraKind};
use crate::domain::path::RelativeName;
use crate::extras::base::Base;
use crate::extras::bundles::{BundleError, OpenBundle, There};
use crate::extras::context::{Names, load_state};
use crate::extras::merge::{Side, merge};
use crate::extras::merge_context::too_large_together;
use crate::extras::text_file::{PathRewriter, TextFile};
use crate::report::transfer::{BundleReport, ExtraOutcome, ExtraReport};
use crate::session::extras::MAX_EXTRA_BYTES;
use crate::store::bundle::ExtrasBundle;
use crate::store::{Snapshot, Transaction};
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// The snapshots that are merged.
pub(crate) struct BundleHistory<'s> {
    pub(crate) base: &'s Snapshot<'s>,
    pub(crate) ours: &'s Snapshot<'s>,
    pub(crate) theirs: &'s Snapshot<'s>,
}

/// Adds to `tx`, which begins as theirs, what ours has of the shelves. Returns what both had changed.
pub(crate) fn merge_bundles(
    workspace: &Workspace<'_>,
    histories: &BundleHistory<'_>,
    tx: &mut Transaction<'_>,
) -> Result<Vec<BundleReport>, SyncError> {
    let [base, ours, theirs] =
        [histories.base, histories.ours, histories.theirs].map(|snapshot| snapshot.bundles());
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let changed: Vec<&BundleId> = ours
        .iter()
        .filter(|(id, state)| base.get(*id) != Some(*state))
        .map(|(id, _)| id)
        .collect();
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let names = Names::of(workspace, histories.ours)?;
    let mut reports = Vec::new();
    for id in changed {
        if theirs.get(id) == ours.get(id) {
            continue;
        }
        if theirs.get(id) == base.get(id) {
            tx.take_bundle(histories.ours, id)?;
            continue;
        }
        match merge_bundle(workspace, histories, id, &names, tx) {
            Ok((files, unsent)) => {
                say_what_was_not_sent(workspace, id, &unsent)?;
                if !files.is_empty() {
                    reports.push(BundleReport {
                        project: project_of(histories, id),
                        listed: None,
                        files,
                    });
                }
            }
            Err(BundleError::Store(e))
                if !matches!(e, crate::store::StoreError::Malformed { .. }) =>
            {
                return Err(e.into());
            }
            // What the remote has stands. What this machine has is still here, and is looked at by the next push.
            Err(e) => {
                let mine = histories
                    .ours
                    .bundle(id)
                    .ok()
                    .flatten()
                    .map(|bundle| bundle.files)
                    .unwrap_or_default();
                let unsent: Vec<Unsent> = mine.into_keys().map(|name| (name, None)).collect();
                say_what_was_not_sent(workspace, id, &unsent)?;
                let outcome = ExtraOutcome::Skipped {
                    reason: error_chain(&e),
                };
                let files = vec![ExtraReport {
                    name: id.to_string(),
                    outcome,
                    verbatim: 0,
                }];
                reports.push(BundleReport {
                    project: None,
                    listed: None,
                    files,
                });
            }
        }
    }
    Ok(reports)
}

fn project_of(histories: &BundleHistory<'_>, id: &BundleId) -> Option<String> {
    let bundle = histories.ours.bundle(id).ok().flatten()?;
    bundle.project.map(|key| key.as_str().to_owned())
}

fn merge_bundle(
    workspace: &Workspace<'_>,
    histories: &BundleHistory<'_>,
    id: &BundleId,
    names: &Names,
    tx: &mut Transaction<'_>,
) -> Result<(Vec<ExtraReport>, Vec<Unsent>), BundleError> {
    let nothing = || ExtrasBundle::empty(None, None);
    let base = OpenBundle::open(histories.base, id, nothing)?;
    let ours = OpenBundle::open(histories.ours, id, nothing)?;
    let mut theirs = OpenBundle::open(histories.theirs, id, || ours.bundle.clone())?;
    let mut merging = Merging {
        workspace,
        names,
        base: &base,
        ours: &ours,
        theirs: &mut theirs,
        files: Vec::new(),
        unsent: Vec::new(),
    };
    let all: BTreeSet<&RelativeName> = ours
        .bundle
        .files
        .keys()
        .chain(ours.bundle.removed.keys())
        .collect();
    for name in all {
        let kind = if id.is_user() {
            ExtraKind::from_user_file(name.as_str())
        } else {
            Some(ExtraKind::Memory)
        };
        if let Err(e) = merging.file(name, kind) {
            merging.say(
                name,
                ExtraOutcome::Skipped {
                    reason: error_chain(&e),
                },
            );
            merging.unsent.push((name.clone(), None));
        }
    }
    let Merging {
        mut files, unsent, ..
    } = merging;
    if id.is_user() {
        let dropped = theirs.drop_older_plans();
        files.retain(|file| !dropped.iter().any(|name| name.as_str() == file.name));
    }
    for (name, hashes) in &ours.bundle.imported {
        hashes
            .iter()
            .for_each(|hash| theirs.record_import(name, hash));
    }
    if theirs.is_changed() {
        theirs.write(tx)?;
    }
    Ok((files, unsent))
}

/// This machine takes what it could not send for its own change again, so that the next pull does not replace it as if it had been seen
/// by all.
fn say_what_was_not_sent(
    workspace: &Workspace<'_>,
    id: &BundleId,
    unsent: &[Unsent],
) -> Result<(), SyncError> {
    if unsent.is_empty() {
        return Ok(());
    }
    let mut state = load_state(workspace, workspace.store.head()?.as_ref());
    let path_rewriter = PathRewriter::new(workspace.localizer.placeholders(), None);
    for (name, before) in unsent {
        let past = before.clone().filter(|_| id.is_user()).and_then(|doc| {
            let local = path_rewriter.expand(&doc).ok()?;
            let executable = doc.is_program();
            Some(Base {
                doc,
                local,
                executable,
                is_reading: true,
            })
        });
        state.not_sent(id, name, past.as_ref())?;
    }
    Ok(state.save()?)
}

/// What ours has of a file and the result has not, and what that began as, if that is known.
type Unsent = (RelativeName, Option<TextFile>);

struct Merging<'m, 's> {
    workspace: &'m Workspace<'m>,
    names: &'m Names,
    base: &'m OpenBundle<'s>,
    ours: &'m OpenBundle<'s>,
    theirs: &'m mut OpenBundle<'s>,
    files: Vec<ExtraReport>,
    unsent: Vec<Unsent>,
}

impl Merging<'_, '_> {
    fn file(&mut self, name: &RelativeName, kind: Option<ExtraKind>) -> Result<(), BundleError> {
        // A text that cannot be read any more is as good as one that nobody remembers.
        let before = match self.base.file(name) {
            Ok(There::Is { doc, .. }) => Some(doc),
            _ => None,
        };
        let is_before = |doc: &TextFile| before.as_ref().is_some_and(|before| doc.is_still(before));
        match (self.ours.file(name)?, self.theirs.file(name)?) {
            (There::Is { doc: mine, .. }, There::Is { doc, .. })
                if mine.is_still(&doc) || is_before(&mine) => {}
            (There::Is { doc: mine, by }, There::Is { doc, .. }) if is_before(&doc) => {
                self.theirs.put(name, &mine, by, self.ours.day(name))?;
            }
            // Nothing of what programs obey is put together unseen: the remote's stands, and this machine's own is still here.
            (There::Is { .. }, There::Is { by, .. })
                if kind.is_none_or(ExtraKind::can_run_code) =>
            {
                let from = self.names.one(&by);
                self.say(name, ExtraOutcome::Waits { from });
                self.unsent.push((name.clone(), before));
            }
            (There::Is { doc: mine, by: me }, There::Is { doc, by }) => {
                let (my_name, other) = self.names.two(&me, &by);
                let (a, b) = (
                    Side {
                        doc: &mine,
                        machine: &my_name,
                    },
                    Side {
                        doc: &doc,
                        machine: &other,
                    },
                );
                let merged = merge(before.as_ref(), a, b);
                // The remote's stands, and this machine's own is still here.
                if merged.doc.text().len() as u64 > MAX_EXTRA_BYTES {
                    self.say(
                        name,
                        ExtraOutcome::Skipped {
                            reason: too_large_together(&other),
                        },
                    );
                    self.unsent.push((name.clone(), before));
                    return Ok(());
                }
                let day = self.ours.day(name).max(self.theirs.day(name));
                self.theirs
                    .put(name, &merged.doc, self.workspace.machine.id.clone(), day)?;
                self.say(name, merged.outcome());
            }
            (There::Is { doc: mine, .. }, There::Removed) if is_before(&mine) => {}
            // The remote keeps the newest only.
            (There::Is { doc: mine, .. }, There::Absent)
                if is_before(&mine) && kind.is_some_and(ExtraKind::is_cleared_up) => {}
            (There::Is { doc: mine, by }, There::Removed | There::Absent) => {
                self.theirs.put(name, &mine, by, self.ours.day(name))?;
            }
            (There::Removed, There::Is { doc, .. }) if is_before(&doc) => {
                let by = self
                    .ours
                    .bundle
                    .removed
                    .get(name)
                    .map(|removed| removed.machine.clone());
                self.theirs.remove(
                    name,
                    by.unwrap_or_else(|| self.workspace.machine.id.clone()),
                );
            }
            (There::Removed | There::Absent, _) => {}
        }
        Ok(())
    }

    fn say(&mut self, name: &RelativeName, outcome: ExtraOutcome) {
        self.files.push(ExtraReport {
            name: name.to_string(),
            outcome,
            verbatim: 0,
        });
    }
}
