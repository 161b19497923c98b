//! Imports a store of claude-session-sync.

use crate::extras::{foreign::ForeignText, foreign::import_texts};
use crate::import::{
    agents, directory::SourceDirectory, extras::SourceExtras, jobs::ImportJob, jobs::ImportPlan,
    machines::list_machines, machines::propose_placeholders, metadata::SourceMetadata,
    session_list::SessionList, source::OpenedSource, source_machine::SourceMachine, store::commit,
    store::empty_report, store_jobs::store_jobs,
};
use crate::report::{ExtraOutcome, ImportReport, Report, SessionReport};
use crate::workspace::{SyncError, Workspace};

/// Imports sessions, sub-agents and extras, and reports everything else.
pub(crate) fn import_claude_session_sync(
    workspace: &mut Workspace<'_>,
    opened: &OpenedSource,
) -> Result<ImportReport, SyncError> {
    let ctx = workspace.ctx;
    let mut source = SourceDirectory::new(&opened.root);
    let metadata = SourceMetadata::read(&mut source, ctx.clock.now());
    let list = SessionList::read(&mut source);
    let extras = SourceExtras::read(&mut source);
    let agents = agents::read(&mut source);
    let machines = SourceMachine::all(
        &metadata,
        &list.copies,
        extras.editors(),
        ctx.env,
        &ctx.settings,
    );

    let mut plan = ImportPlan::new(workspace, list, &metadata, &machines)?;
    plan.add_agents(workspace, agents, &machines, &mut source)?;
    let staging_dir = opened.staging_dir.path().join("staged");
    store_jobs(workspace, &mut plan.jobs, &machines, &staging_dir)?;
    let stored = workspace.store.head_snapshot()?.sessions()?;
    for job in &mut plan.jobs {
        if !stored.contains_key(&job.session) {
            job.leave_agents(&mut source, "its session was not imported");
        }
    }

    let mut report = empty_report(&opened.name, opened.layout);
    let cwds = plan.jobs.iter().filter_map(|job| job.cwd.as_ref());
    let paths: Vec<String> = metadata.projects.values().chain(cwds).cloned().collect();
    let texts = extras.into_foreign_texts(&paths, &machines, &mut source);
    import_extras(workspace, &texts, &mut report.report)?;

    report.found = (plan.jobs.len() + plan.skipped.len()) as u64;
    report.suggested_placeholders = propose_placeholders(workspace, &machines)?;
    report.machines = list_machines(&machines, &plan.jobs);
    add_outcomes(&mut report.report, plan.jobs);
    for skipped in plan.skipped {
        let session = SessionReport::skipped(skipped.session, skipped.reason);
        report.report.sessions.push(session);
    }
    report.locks = metadata.locks;
    report.edits = metadata.edits.into_values().collect();
    (report.not_imported, report.report.skipped_files) = source.into_lists();
    Ok(report)
}

/// Stores the extras in one commit.
fn import_extras(
    workspace: &Workspace<'_>,
    texts: &[ForeignText],
    report: &mut Report,
) -> Result<(), SyncError> {
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let writers = import_texts(workspace, texts, &mut tx, report)?;
    let files = report.extras.iter().flat_map(|bundle| &bundle.files);
    let is_stored = |outcome: &ExtraOutcome| {
        matches!(
            outcome,
            ExtraOutcome::Pushed | ExtraOutcome::Merged | ExtraOutcome::Conflict
        )
    };
    let files = files.filter(|file| is_stored(&file.outcome)).count();
    let plural = if files == 1 { "" } else { "s" };
    let message = format!("import: {files} extra file{plural}");
    commit(workspace, tx, base.as_ref(), &writers, &message)
}

fn add_outcomes(report: &mut Report, jobs: Vec<ImportJob>) {
    for job in jobs {
        match job.outcome {
            Some(mut session) => {
                session.warnings.extend(job.notes);
                report.sessions.push(session);
            }
            None => report.unchanged += 1,
        }
    }
}
