//! Plans the import of all sessions before anything is stored: their order, and the machine
//! that wrote each part.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::{SessionId, client_dir::client_dir_name, error::error_chain};
use crate::flows::describe::excluded_session;
use crate::import::{
    agents::AgentFile, agents::AgentFiles, directory::SourceDirectory, inventory::ImportInventory,
    lines::LineReader, metadata::SourceMetadata, session_list::SessionCopy,
    session_list::SessionList, session_list::UnreadableSession, source_machine::SourceMachine,
    source_machine::find_by_path, source_machine::find_writer, text::PlaceholderPaths,
    text::local_line,
};
use crate::report::SessionReport;
use crate::session::{Facts, time::parse_time};
use crate::store::Snapshot;
use crate::sys::fs::PathError;
use crate::workspace::{
    SyncError, Workspace, deleted_sessions::deleted_reason, filter::ForeignSession,
};

/// The import of one copy of a session. Machines are indexes in the list of all machines.
pub(crate) struct ImportJob {
    pub(crate) session: SessionId,
    /// Its transcript; `None`: only sub-agents of a session in the store.
    pub(crate) copy: Option<SessionCopy>,
    /// The writers of the transcript's lines, in order.
    pub(crate) stretches: Vec<WrittenLines>,
    /// The writers of its sub-agents.
    pub(crate) agents: Vec<WrittenAgents>,
    /// The directory in the client if no record names a working directory.
    pub(crate) fallback_directory: String,
    /// The first working directory that a record names, with the placeholders of the source.
    pub(crate) cwd: Option<String>,
    /// Notes for the report.
    pub(crate) notes: Vec<String>,
    pub(crate) outcome: Option<SessionReport>,
}

/// Lines of a transcript by one machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenLines {
    pub(crate) machine: usize,
    pub(crate) lines: u64,
}

/// Files of sub-agents by one machine.
#[derive(Debug)]
pub(crate) struct WrittenAgents {
    pub(crate) machine: usize,
    pub(crate) files: Vec<AgentFile>,
}

/// A part of a session that one machine wrote, stored in one commit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JobPart {
    /// The transcript up to the end of this stretch.
    Lines(usize),
    /// These files of sub-agents.
    Agents(usize),
}

impl ImportJob {
    fn new(session: SessionId) -> Self {
        Self {
            session,
            copy: None,
            stretches: Vec::new(),
            agents: Vec::new(),
            fallback_directory: String::new(),
            cwd: None,
            notes: Vec::new(),
            outcome: None,
        }
    }

    /// Everything that is to be stored, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = JobPart> {
        let lines = (0..self.stretches.len()).map(JobPart::Lines);
        lines.chain((0..self.agents.len()).map(JobPart::Agents))
    }

    /// The machine that wrote a part.
    pub(crate) fn writer(&self, part: JobPart) -> usize {
        match part {
            JobPart::Lines(at) => self.stretches[at].machine,
            JobPart::Agents(at) => self.agents[at].machine,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let files = self.agents.iter().flat_map(|agents| &agents.files);
        let agents: u64 = files.map(|file| file.bytes).sum();
        self.copy.as_ref().map_or(0, |copy| copy.bytes) + agents
    }

    /// Leaves its sub-agents where they are.
    pub(crate) fn leave_agents(&mut self, source: &mut SourceDirectory, reason: &str) {
        for file in self.agents.drain(..).flat_map(|agents| agents.files) {
            source.leave(&file.path, reason);
        }
    }
}

pub(crate) struct ImportPlan {
    pub(crate) jobs: Vec<ImportJob>,
    pub(crate) skipped: Vec<UnreadableSession>,
}

impl ImportPlan {
    /// Plans a job for each copy that can be read.
    pub(crate) fn new(
        workspace: &Workspace<'_>,
        list: SessionList,
        metadata: &SourceMetadata,
        machines: &[SourceMachine],
    ) -> Result<Self, SyncError> {
        let (mut jobs, mut skipped) = (Vec::new(), list.skipped);
        for OrderedCopy { copy, is_covered } in in_order(list.copies, metadata) {
            match plan_job(&copy, metadata, machines) {
                Ok((mut job, facts)) => {
                    if !is_covered {
                        job.outcome = excluded_outcome(workspace, &job, &facts, machines)?;
                    }
                    if is_covered || job.outcome.is_some() {
                        job.stretches.clear();
                    }
                    jobs.push(job);
                }
                Err(e) => skipped.push(UnreadableSession {
                    session: copy.session,
                    reason: error_chain(&e),
                }),
            }
        }
        Ok(Self { jobs, skipped })
    }

    /// Adds sub-agents to the jobs of their sessions. Leaves those whose session is neither at
    /// the source nor in the store, or is excluded.
    pub(crate) fn add_agents(
        &mut self,
        workspace: &Workspace<'_>,
        agents: AgentFiles,
        machines: &[SourceMachine],
        source: &mut SourceDirectory,
    ) -> Result<(), SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        for (session, files) in agents {
            let of_session = |job: &ImportJob| job.session == session && job.copy.is_some();
            let is_excluded = |job: &ImportJob| of_session(job) && job.outcome.is_some();
            let at = self.jobs.iter().rposition(of_session);
            let last = at.and_then(|at| self.jobs[at].stretches.last());
            let mut job = ImportJob::new(session.clone());
            job.agents = by_machine(files, machines, last.map(|stretch| stretch.machine));

            if self.jobs.iter().any(is_excluded) {
                job.leave_agents(source, "its session is excluded");
            } else if let Some(at) = at {
                self.jobs[at].agents = job.agents;
            } else if let Some(reason) = refuse_session(workspace, &snapshot, &session) {
                job.leave_agents(source, &reason);
            } else {
                self.jobs.push(job);
            }
        }
        Ok(())
    }
}

/// Groups files of sub-agents by the machine in whose directories their working directory is.
fn by_machine(
    files: Vec<AgentFile>,
    machines: &[SourceMachine],
    preferred: Option<usize>,
) -> Vec<WrittenAgents> {
    let mut by_machine: BTreeMap<usize, Vec<AgentFile>> = BTreeMap::new();
    for file in files {
        let cwd = file.cwd.as_deref();
        let named = cwd.and_then(|cwd| find_by_path(machines, cwd, preferred));
        let machine = named.or(preferred).unwrap_or(0);
        by_machine.entry(machine).or_default().push(file);
    }
    let agents = by_machine.into_iter();
    agents
        .map(|(machine, files)| WrittenAgents { machine, files })
        .collect()
}

/// Returns the reason why nothing can be added to a session that is not at the source.
fn refuse_session(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
    session: &SessionId,
) -> Option<String> {
    match snapshot.manifest(session) {
        Ok(Some(manifest)) => {
            let reason = workspace.filter().pull_exclude_reason(&manifest)?;
            Some(reason.to_string())
        }
        Ok(None) => Some(format!(
            "its session {session} is neither at the source nor in the store"
        )),
        Err(e) => Some(error_chain(&e)),
    }
}

/// A copy with its place in the order of the import.
struct OrderedCopy {
    copy: SessionCopy,
    /// It is the beginning of another copy, and adds nothing.
    is_covered: bool,
}

/// Sorts the copies by session. Of several copies of one session, the one that was edited last
/// comes first.
fn in_order(mut copies: Vec<SessionCopy>, metadata: &SourceMetadata) -> Vec<OrderedCopy> {
    copies.sort_by_cached_key(|copy| {
        let (session, path) = (copy.session.clone(), copy.path.clone());
        (session, u64::MAX - copy.bytes, path)
    });
    let mut ordered: Vec<OrderedCopy> = Vec::new();
    for copy in copies {
        let longer = ordered.iter().rev();
        let is_covered = longer
            .take_while(|other| other.copy.session == copy.session)
            .any(|other| begins_with(&other.copy.path, &copy.path).unwrap_or(false));
        ordered.push(OrderedCopy { copy, is_covered });
    }
    ordered.sort_by_cached_key(|OrderedCopy { copy, .. }| {
        let editor = metadata.editor(&copy.session);
        let is_edited = editor.is_some() && editor == copy.machine.as_deref();
        (copy.session.clone(), !is_edited)
    });
    ordered
}

/// Returns true if the file at `whole` begins with the lines of the file at `part`.
fn begins_with(whole: &Path, part: &Path) -> Result<bool, PathError> {
    let (mut whole, mut part) = (LineReader::open(whole)?, LineReader::open(part)?);
    while let Some(line) = part.next()? {
        if whole.next()?.as_ref() != Some(&line) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a copy and finds the writers of its lines.
fn plan_job(
    copy: &SessionCopy,
    metadata: &SourceMetadata,
    machines: &[SourceMachine],
) -> Result<(ImportJob, Facts), PathError> {
    let names = machines.iter().flat_map(|machine| machine.paths.keys());
    let known = PlaceholderPaths::new(names.map(|name| (name.as_str(), "")));
    let mut inventory = ImportInventory::read(&copy.path, &known)?;
    let is_one_style = machines.windows(2).all(|two| two[0].style == two[1].style);
    if copy.machine.is_some() || is_one_style {
        inventory.join_stretches();
    }

    let preferred = copy.machine.as_deref().or(metadata.editor(&copy.session));
    let mut stretches = Vec::new();
    for stretch in &inventory.stretches {
        let machine = match &copy.machine {
            Some(name) => machines.iter().position(|machine| machine.name == *name),
            None => find_writer(machines, stretch.style, &inventory.names, preferred),
        };
        stretches.extend(machine.map(|machine| WrittenLines {
            machine,
            lines: stretch.lines,
        }));
    }
    let last = &machines[stretches.last().map_or(0, |stretch| stretch.machine)];
    let job = ImportJob {
        copy: Some(copy.clone()),
        fallback_directory: fallback_directory(copy, metadata, last),
        cwd: inventory.facts.cwds.first().cloned(),
        notes: missing_placeholders_note(&inventory, &stretches, machines, last),
        stretches,
        ..ImportJob::new(copy.session.clone())
    };
    Ok((job, inventory.facts))
}

/// Returns a note if a writer has no directory for a placeholder in its lines.
fn missing_placeholders_note(
    inventory: &ImportInventory,
    stretches: &[WrittenLines],
    machines: &[SourceMachine],
    last: &SourceMachine,
) -> Vec<String> {
    let is_missing = |name: &&String| {
        let mut writers = stretches.iter().map(|stretch| &machines[stretch.machine]);
        writers.any(|writer| !writer.paths.contains_key(*name))
    };
    let names = inventory.names.iter().filter(is_missing);
    let missing: Vec<&str> = names.map(String::as_str).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "{} stays unchanged: the source has no directory for it on `{}`",
        missing.join(", "),
        last.name
    )]
}

/// Returns the outcome of a copy that the settings of this machine exclude.
fn excluded_outcome(
    workspace: &Workspace<'_>,
    job: &ImportJob,
    facts: &Facts,
    machines: &[SourceMachine],
) -> Result<Option<SessionReport>, SyncError> {
    let mut writers = job
        .stretches
        .iter()
        .map(|stretch| &machines[stretch.machine]);
    let cwd = job.cwd.as_deref();
    let foreign = ForeignSession {
        session: &job.session,
        project: cwd.and_then(|cwd| writers.find_map(|writer| writer.portable(cwd))),
        bytes: job.bytes(),
        last_activity: facts.last_activity.as_deref().and_then(parse_time),
    };
    let head = workspace.store.head_snapshot()?;
    let deleted = deleted_reason(workspace.ctx, &head, &job.session)?;
    let by_settings = || workspace.filter().foreign_exclude_reason(&foreign);
    let Some(reason) = deleted.or_else(by_settings) else {
        return Ok(None);
    };
    let project = foreign.project.map(|project| project.to_string());
    let report = excluded_session(&workspace.store, &job.session, project, &reason)?;
    Ok(Some(report))
}

/// Returns the client's directory for a session whose records name no working directory.
fn fallback_directory(
    copy: &SessionCopy,
    metadata: &SourceMetadata,
    machine: &SourceMachine,
) -> String {
    let path = metadata.projects.get(&copy.directory).map(|path| {
        let json = serde_json::to_vec(path).expect("a text can be written as JSON");
        let local = local_line(&json, &machine.json_paths);
        serde_json::from_slice::<String>(&local).unwrap_or_else(|_| path.clone())
    });
    let name = client_dir_name(path.as_ref().unwrap_or(&copy.directory));
    if name.is_empty() {
        return "-".to_owned();
    }
    name
}
