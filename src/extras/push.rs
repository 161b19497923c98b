//! Commits the extras that changed on this machine to the store.
//!
//! Merges in the store what another machine changed meanwhile. Must not change files of this
//! machine.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};

use crate::domain::{
    extras::BundleId, extras::ExtraKind, id::CommitId, path::RelativeName, pattern::ProjectPattern,
};
use crate::extras::{
    context::ExtrasContext, context::OwnerReport, file_version::FileVersion,
    merge_context::MergeContext, merge_context::bundle_state, open_bundle::OpenBundle,
    open_bundle::StoredVersion, owner::ExtrasOwner, owner::OwnerFile, secret::find_secret,
    state::DirectoryName, state::ExtrasState, staying::report_staying, staying::retain_new,
    versions::Decision, versions::Versions, versions::skipped,
};
use crate::localize::error::StoredDataError;
use crate::report::{
    secret_counts::SecretCounts, transfer::BundleReport, transfer::ExtraOutcome,
    transfer::SessionReport,
};
use crate::secrets::FoundSecrets;
use crate::session::discover::discover;
use crate::store::{Author, Store, machine::Machine};
use crate::sys::{fail_point::fail_point, fs::FileStamp};
use crate::workspace::{context::Context, error::SyncError, open::Workspace};

/// Commits all extras that changed; with `dry_run`, it only reports what it would do.
pub(crate) fn push(
    workspace: &mut Workspace<'_>,
    dry_run: bool,
) -> Result<Vec<BundleReport>, SyncError> {
    push_selected(workspace, &[], &[], dry_run)
}

/// Commits the extras of the selected projects, like [`push`]; those of the user belong to none.
/// `sessions` are the outcomes of those that were pushed before.
pub(crate) fn push_selected(
    workspace: &mut Workspace<'_>,
    selection: &[ProjectPattern],
    sessions: &[SessionReport],
    dry_run: bool,
) -> Result<Vec<BundleReport>, SyncError> {
    read_projects_of_plans(workspace)?;
    let ExtrasContext {
        owners,
        mut state,
        mut head,
        mut reports,
        ..
    } = ExtrasContext::open_selected(workspace, selection)?;
    let snapshot = workspace.store.snapshot(head.as_ref())?;
    let mut bundles = snapshot.bundles()?;
    let mut pusher = Pusher {
        merging: MergeContext::new(workspace, &snapshot),
        pushed: Vec::new(),
        secrets: SecretCounts::default(),
        settled: Vec::new(),
    };
    for owner in &owners {
        let bundle = bundle_state(&bundles, &owner.bundle);
        reports.extend(pusher.push_owner(owner, &bundle, &mut state)?);
    }
    let mut staying = match selection {
        [] => report_staying(workspace, sessions),
        _ => Vec::new(),
    };
    if dry_run {
        reports.extend(staying);
        return Ok(reports);
    }
    retain_new(&mut staying, &mut state);
    reports.extend(staying);

    let Pusher {
        merging,
        pushed,
        settled,
        ..
    } = pusher;
    workspace.localizer.save_secrets()?;
    let mut changed: Vec<OpenBundle<'_>> = merging.open.into_values().collect();
    changed.retain(OpenBundle::is_changed);
    if !changed.is_empty() {
        let mut machine = workspace.machine.clone();
        let (ctx, store) = (workspace.ctx, &workspace.store);
        let commit = commit(ctx, store, &mut machine, changed, head.as_ref())?;
        workspace.machine = machine;
        bundles = workspace.store.snapshot(Some(&commit))?.bundles()?;
        head = Some(commit);
    }
    fail_point("extras are committed");

    for file in pushed {
        state.record_pushed(&file.directory, &file.name, file.stamp, file.base.as_ref())?;
    }
    for (directory, bundle) in settled {
        let directory = state.directories.entry(directory).or_default();
        directory.push_settled = Some(bundle_state(&bundles, &bundle));
    }
    // The head has only moved forward.
    state.set_head(head.as_ref(), |_| true);
    state.save()?;
    Ok(reports)
}

/// Reads the projects of all sessions if plans need them.
fn read_projects_of_plans(workspace: &Workspace<'_>) -> Result<(), SyncError> {
    let ctx = workspace.ctx;
    if workspace.rules.ask_for_projects() && ctx.settings.extras.contains(&ExtraKind::Plans) {
        let found = discover(&ctx.env.claude_dir)?;
        workspace.filter().read_projects(&found);
    }
    Ok(())
}

/// A file to record once everything is committed.
struct PushedFile {
    directory: DirectoryName,
    name: RelativeName,
    stamp: Option<FileStamp>,
    base: Option<FileVersion>,
}

fn commit(
    ctx: &Context<'_>,
    store: &Store,
    machine: &mut Machine,
    changed: Vec<OpenBundle<'_>>,
    base: Option<&CommitId>,
) -> Result<CommitId, SyncError> {
    let files: u64 = changed.iter().map(OpenBundle::count_changes).sum();
    let time = ctx.clock.now();
    machine.record_push(time);
    let mut tx = store.begin(base)?;
    for bundle in changed {
        bundle.write(&mut tx)?;
    }
    tx.write_machine(machine)?;
    let message = format!(
        "push from {}: {files} extra file{}",
        machine.name,
        if files == 1 { "" } else { "s" }
    );
    let parents = base.map(std::slice::from_ref).unwrap_or_default();
    let author = Author {
        machine,
        time,
        named: ctx.settings.author.as_ref(),
    };
    Ok(tx.commit(&author, &message, parents)?)
}

/// Returns why the settings exclude a file of the user, if they do: a plan follows its session, and
/// the memory of an agent may be about any project.
fn exclude_reason(workspace: &Workspace<'_>, file: OwnerFile<'_>) -> Option<String> {
    match file.kind {
        ExtraKind::Plans => {
            let name = file.name.as_str().strip_prefix("plans/")?;
            workspace.filter().plan_exclude_reason(name)
        }
        ExtraKind::Memory if file.owner.bundle.is_user() && workspace.rules.ask_for_projects() => {
            Some("an agent may have written it in a project that the settings exclude".to_owned())
        }
        _ => None,
    }
}

struct Pusher<'s> {
    merging: MergeContext<'s>,
    pushed: Vec<PushedFile>,
    /// Those in the file that was stored last.
    secrets: SecretCounts,
    /// Directories and bundles in which nothing is left to push.
    settled: Vec<(DirectoryName, BundleId)>,
}

impl Pusher<'_> {
    fn push_owner(
        &mut self,
        owner: &ExtrasOwner,
        bundle: &str,
        state: &mut ExtrasState,
    ) -> Result<Option<BundleReport>, SyncError> {
        let settled = state.directories.get(&owner.name);
        let settled = settled.and_then(|directory| directory.push_settled.as_deref());
        let is_settled = settled == Some(bundle);
        let mut report = OwnerReport::new(owner);
        if !self.merging.open_bundle(&mut report, is_settled, state)? {
            return Ok(report.finish());
        }
        let workspace = self.merging.workspace;
        let rewriter = owner.path_rewriter(workspace);
        let synced = &workspace.ctx.settings.extras;
        let recorded = state.files(&owner.name).map(|(name, _)| name);
        let names: BTreeSet<RelativeName> = owner
            .listing
            .files
            .keys()
            .chain(recorded)
            .cloned()
            .collect();
        for name in &names {
            if let Some(file) = owner.file(name, &rewriter, synced) {
                self.push_file(file, &mut report, state);
            }
        }
        if owner.bundle.is_user() {
            let dropped = self.merging.bundle_mut(owner).drop_older_plans();
            report
                .files
                .retain(|file| !dropped.iter().any(|name| name.as_str() == file.name));
        }
        if !report.is_unsettled {
            let directory = owner.name.clone();
            self.settled.push((directory, owner.bundle.clone()));
        }
        Ok(report.finish())
    }

    fn push_file(
        &mut self,
        file: OwnerFile<'_>,
        report: &mut OwnerReport<'_>,
        state: &mut ExtrasState,
    ) {
        let name = file.name.as_str();
        let versions = match Versions::read(file, self.merging.bundle(file.owner), state) {
            Ok(versions) => versions,
            Err(outcome) => return report.add(name, outcome),
        };
        let decision = versions.decide(file);
        match decision {
            Decision::Unchanged | Decision::Theirs => return,
            // A pull forgets it.
            Decision::Deleted if file.kind.is_deleted_by_client() => return,
            Decision::Deleted => return self.record(file, None, None),
            Decision::InSync => {
                let base = versions.theirs(file).ok().flatten();
                return self.record(file, versions.stamp, base);
            }
            // Something else has its name, or the directory cannot be read: it was not removed.
            Decision::Ours if versions.stamp.is_none() && !file.owner.is_missing(file.name) => {
                report.is_unsettled = true;
                return;
            }
            Decision::Ours
                if matches!(versions.theirs, StoredVersion::Absent)
                    && state.is_purged(&file.owner.bundle, file.name) =>
            {
                let reason = "removed from the history of the remote; to push it all the same: ccsync push --again";
                let reason = reason.to_owned();
                return report.add(name, ExtraOutcome::Excluded { reason });
            }
            Decision::Ours | Decision::Both => {}
        }

        self.secrets = SecretCounts::default();
        let outcome = match exclude_reason(self.merging.workspace, file) {
            Some(reason) => ExtraOutcome::Excluded { reason },
            None => self
                .store(file, &versions, decision)
                .unwrap_or_else(|outcome| outcome),
        };
        // A file that stays because of its content is reported every time.
        report.is_unsettled |= matches!(outcome, ExtraOutcome::Excluded { .. });
        let is_stored = matches!(
            outcome,
            ExtraOutcome::Pushed | ExtraOutcome::Merged | ExtraOutcome::Conflict
        );
        report.add(name, outcome);
        if let (true, Some(added), Some(ours)) =
            (is_stored, report.files.last_mut(), versions.ours())
        {
            added.verbatim = file.rewriter.count_verbatim(&ours.file);
            added.secrets = self.secrets;
        }
    }

    /// Stores this machine's change.
    ///
    /// # Errors
    /// The outcome to report if it is not stored.
    fn store(
        &mut self,
        file: OwnerFile<'_>,
        versions: &Versions,
        decision: Decision,
    ) -> Result<ExtraOutcome, ExtraOutcome> {
        let me = self.merging.workspace.machine.id.clone();
        let Some(ours) = versions.ours() else {
            self.merging.bundle_mut(file.owner).remove(file.name, me);
            self.record(file, None, None);
            return Ok(ExtraOutcome::Removed);
        };
        if let Some(reason) = find_secret(file.kind, file.name, &ours.local) {
            return Err(ExtraOutcome::Excluded { reason });
        }
        let before = versions.base.as_ref().map_or("", |base| &base.local);
        let name = file.owner.display_name(file.name);
        let secrets = file.rewriter.find_new_secrets(&name, &ours.local, before);
        let held = FoundSecrets::names(&secrets.held);
        if !held.is_empty() {
            let names = held.into_iter().cloned().collect();
            let reason = StoredDataError::HeldSecrets { names }.to_string();
            return Err(ExtraOutcome::Skipped { reason });
        }

        let (text, outcome) = match &versions.theirs {
            StoredVersion::Present { file: theirs, by } if decision == Decision::Both => {
                if file.kind.can_run_code() {
                    let from = self.merging.labels().one(by);
                    return Err(ExtraOutcome::NeedsApproval { from });
                }
                let merged = self.merging.merge(file, versions, &ours, (theirs, by))?;
                (merged.file, merged.outcome)
            }
            _ if file.rewriter.expand(&ours.file).is_err() => {
                let reason = "it could not be read back".to_owned();
                return Err(ExtraOutcome::Skipped { reason });
            }
            _ => (ours.file.clone(), ExtraOutcome::Pushed),
        };

        let day = self.plan_day(file, versions);
        let bundle = self.merging.bundle_mut(file.owner);
        let stored = bundle.insert(file.name, &text, me, day);
        stored.map_err(|e| skipped(&e))?;
        self.record(file, versions.stamp, Some(ours));
        self.secrets = SecretCounts {
            masked: FoundSecrets::names(&secrets.masked).len() as u64,
            unmasked: FoundSecrets::names(&secrets.reported).len() as u64,
        };
        Ok(outcome)
    }

    /// Returns the day on which a plan was last written.
    fn plan_day(&self, file: OwnerFile<'_>, versions: &Versions) -> Option<NaiveDate> {
        let stamp = versions
            .stamp
            .filter(|_| file.kind.is_deleted_by_client())?;
        let modified = DateTime::from_timestamp_nanos(stamp.modified_ns);
        // A day in the future would keep it for ever.
        let now = self.merging.workspace.ctx.clock.now();
        Some(modified.min(now).date_naive())
    }

    fn record(&mut self, file: OwnerFile<'_>, stamp: Option<FileStamp>, base: Option<FileVersion>) {
        self.pushed.push(PushedFile {
            directory: file.owner.name.clone(),
            name: file.name.clone(),
            stamp,
            base,
        });
    }
}
