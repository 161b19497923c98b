//! What is to be carried, and who wrote which part of it: decided for the whole source before anything is stored.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::client_dir::client_dir_name;
use crate::domain::error::error_chain;
use crate::domain::id::SessionId;
use crate::flows::plan::described;
use crate::import::agents::{AgentFile, Agents};
use crate::import::directory::{Directory, Named};
use crate::import::foreign::Foreign;
use crate::import::inventory::{Lines, Survey};
use crate::import::listing::SessionCopy;
use crate::import::origin::{Origin, whose, writer};
use crate::import::text::Directories;
use crate::report::transfer::{Outcome, SessionReport};
use crate::session::facts::Facts;
use crate::session::time::parse_time;
use crate::sys::fs::PathError;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::filter::ForeignSession;
use crate::workspace::open::Workspace;

/// What the source has of a session, and who wrote it.
pub(crate) struct Job {
    pub(crate) session: SessionId,
    /// Its transcript; none: nothing but sub-agents of a session that the store has.
    pub(crate) copy: Option<SessionCopy>,
    /// Machine and number of lines of the transcript, in order.
    pub(crate) writers: Vec<(usize, u64)>,
    /// Machine and the files of sub-agents that it wrote.
    pub(crate) agents: Vec<(usize, Vec<AgentFile>)>,
    /// The client's directory if no record names a working directory.
    pub(crate) otherwise: String,
    /// The first working directory that a record names, with the placeholders of the source.
    pub(crate) cwd: Option<String>,
    /// What a person should know of it.
    pub(crate) notes: Vec<String>,
    pub(crate) outcome: Option<SessionReport>,
}

/// What one machine wrote of a session, stored at one go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// The transcript up to the end of a stretch.
    Lines(usize),
    /// Files of sub-agents.
    Agents(usize),
}

impl Job {
    /// Everything that is to be stored, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        (0..self.writers.len())
            .map(Part::Lines)
            .chain((0..self.agents.len()).map(Part::Agents))
    }

    /// Who wrote a part.
    pub(crate) fn writer_of(&self, part: Part) -> usize {
        match part {
            Part::Lines(stretch) => self.writers[stretch].0,
            Part::Agents(n) => self.agents[n].0,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let agents = self
            .agents
            .iter()
            .flat_map(|(_, files)| files)
            .map(|file| file.bytes);
        self.copy.as_ref().map_or(0, |copy| copy.bytes) + agents.sum::<u64>()
    }

    /// The names at the source of its sub-agents.
    fn names_of_agents(&self, directory: &Directory) -> Vec<String> {
        self.agents
            .iter()
            .flat_map(|(_, files)| files)
            .map(|file| directory.name_of(&file.path))
            .collect()
    }

    /// Gives up its sub-agents, which are named.
    pub(crate) fn leave_agents(&mut self, directory: &Directory, left: &mut Named, reason: &str) {
        self.names_of_agents(directory)
            .into_iter()
            .for_each(|name| left.note(name, reason));
        self.agents.clear();
    }
}

/// Every machine that the source names anywhere; at least one, because somebody wrote the sessions.
pub(crate) fn origins(
    ctx: &Context<'_>,
    foreign: &Foreign,
    copies: &[SessionCopy],
    editors: impl Iterator<Item = String>,
) -> Vec<Origin> {
    let mut machines = foreign.machines.clone();
    let editors = foreign
        .edits
        .values()
        .map(|edit| edit.machine.clone())
        .chain(editors);
    for name in copies
        .iter()
        .filter_map(|copy| copy.machine.clone())
        .chain(editors)
    {
        machines.entry(name).or_default();
    }
    if machines.is_empty() {
        machines.insert("unknown".to_owned(), Default::default());
    }
    machines
        .iter()
        .map(|(name, machine)| Origin::new(name, machine, ctx.env, &ctx.settings))
        .collect()
}

/// A session that cannot be read, and why.
type Unreadable = (SessionId, String);

/// A job for each copy, and the sessions that cannot be read, with the reason.
pub(crate) fn plan_all(
    workspace: &Workspace<'_>,
    copies: Vec<SessionCopy>,
    foreign: &Foreign,
    origins: &[Origin],
) -> Result<(Vec<Job>, Vec<Unreadable>), SyncError> {
    let (mut jobs, mut skipped) = (Vec::new(), Vec::new());
    for (copy, covered) in in_order(copies, foreign) {
        match plan(&copy, foreign, origins) {
            Ok((job, _)) if covered => jobs.push(Job {
                writers: Vec::new(),
                ..job
            }),
            Ok((job, facts)) => {
                let outcome = left_out(workspace, &job, &copy, &facts, origins)?;
                let writers = if outcome.is_some() {
                    Vec::new()
                } else {
                    job.writers
                };
                jobs.push(Job {
                    writers,
                    outcome,
                    ..job
                });
            }
            Err(e) => skipped.push((copy.session, error_chain(&e))),
        }
    }
    Ok((jobs, skipped))
}

/// The copies in the order in which they are carried: of several of one session first the one that was edited last. One that is no
/// more than the beginning of another says nothing of its own, and is marked `true`.
fn in_order(mut copies: Vec<SessionCopy>, foreign: &Foreign) -> Vec<(SessionCopy, bool)> {
    copies.sort_by_cached_key(|copy| {
        (
            copy.session.clone(),
            u64::MAX - copy.bytes,
            copy.path.clone(),
        )
    });
    let mut ordered: Vec<(SessionCopy, bool)> = Vec::new();
    for copy in copies {
        let others = ordered
            .iter()
            .rev()
            .take_while(|(other, _)| other.session == copy.session);
        let covered = others
            .into_iter()
            .any(|(other, _)| begins_with(&other.path, &copy.path).unwrap_or(false));
        ordered.push((copy, covered));
    }
    ordered.sort_by_cached_key(|(copy, _)| {
        let editor = foreign.edits.get(&copy.session).map(|edit| &edit.machine);
        (
            copy.session.clone(),
            editor.is_none() || editor != copy.machine.as_ref(),
        )
    });
    ordered
}

/// Whether the file at `whole` begins with the lines of that at `part`.
fn begins_with(whole: &Path, part: &Path) -> Result<bool, PathError> {
    let (mut whole, mut part) = (Lines::open(whole)?, Lines::open(part)?);
    while let Some(line) = part.next()? {
        if whole.next()?.as_ref() != Some(&line) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a copy and says which machine wrote which lines of it.
fn plan(
    copy: &SessionCopy,
    foreign: &Foreign,
    origins: &[Origin],
) -> Result<(Job, Facts), SyncError> {
    let names = origins.iter().flat_map(|origin| origin.paths.keys());
    let known = Directories::new(names.map(|name| (name.as_str(), "")));
    let mut survey = Survey::of(&copy.path, &known)?;
    let families = origins.iter().map(|origin| origin.family);
    if copy.machine.is_some() || families.clone().min() == families.max() {
        survey.as_one();
    }
    let editor = foreign
        .edits
        .get(&copy.session)
        .map(|edit| edit.machine.as_str());
    let preferred = copy.machine.as_deref().or(editor);
    let of = |family| match &copy.machine {
        Some(machine) => origins.iter().position(|origin| origin.name == *machine),
        None => writer(origins, family, &survey.names, preferred),
    };
    let stretches = survey.stretches.iter();
    let writers: Vec<_> = stretches
        .filter_map(|(family, lines)| Some((of(*family)?, *lines)))
        .collect();
    let last = writers.last().map_or(0, |(origin, _)| *origin);
    let lacks = |name: &&String| {
        writers
            .iter()
            .any(|(origin, _)| !origins[*origin].paths.contains_key(*name))
    };
    let lacking: Vec<&str> = survey
        .names
        .iter()
        .filter(lacks)
        .map(String::as_str)
        .collect();
    let mut notes = Vec::new();
    if !lacking.is_empty() {
        let names = lacking.join(", ");
        notes.push(format!(
            "the source does not say where {names} is on `{}`: it stays as it is",
            origins[last].name
        ));
    }
    let job = Job {
        session: copy.session.clone(),
        copy: Some(copy.clone()),
        writers,
        agents: Vec::new(),
        otherwise: otherwise(copy, foreign, &origins[last]),
        cwd: survey.facts.cwds.first().cloned(),
        notes,
        outcome: None,
    };
    Ok((job, survey.facts))
}

/// How a copy is reported that this machine's settings leave out.
fn left_out(
    workspace: &Workspace<'_>,
    job: &Job,
    copy: &SessionCopy,
    facts: &Facts,
    origins: &[Origin],
) -> Result<Option<SessionReport>, SyncError> {
    let spelled = job.cwd.as_deref();
    let mut writers = job.writers.iter().map(|(origin, _)| &origins[*origin]);
    let stranger = ForeignSession {
        session: &job.session,
        project: spelled.and_then(|spelled| writers.find_map(|origin| origin.portable(spelled))),
        bytes: copy.bytes,
        last_activity: facts.last_activity.as_deref().and_then(parse_time),
    };
    let Some(why) = workspace.filter().foreign_exclude_reason(&stranger) else {
        return Ok(None);
    };
    let stored = workspace
        .store
        .head_snapshot()?
        .state(&job.session)?
        .is_some();
    let outcome = Outcome::Excluded {
        reason: why.to_string(),
        stored,
    };
    let project = stranger.project.map(|project| project.to_string());
    Ok(Some(SessionReport {
        project,
        ..described(&workspace.localizer, &job.session, None, outcome)
    }))
}

/// Where the client keeps a session of which no record names a working directory.
fn otherwise(copy: &SessionCopy, foreign: &Foreign, origin: &Origin) -> String {
    let path = foreign.projects.get(&copy.directory).map(|path| {
        let json = serde_json::to_vec(path).expect("a text can be written as JSON");
        let local = crate::import::text::local_line(&json, &origin.directories);
        serde_json::from_slice::<String>(&local).unwrap_or_else(|_| path.clone())
    });
    let name = client_dir_name(&path.unwrap_or_else(|| copy.directory.clone()));
    if name.is_empty() {
        "-".to_owned()
    } else {
        name
    }
}

/// Gives sub-agents to the sessions they belong to; those of which neither the source nor the store has the session are noted in `left`.
pub(crate) fn add_agents(
    workspace: &Workspace<'_>,
    jobs: &mut Vec<Job>,
    agents: Agents,
    origins: &[Origin],
    (directory, left): (&Directory, &mut Named),
) -> Result<(), SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    for (session, files) in agents {
        let of_session = |job: &Job| job.session == session && job.copy.is_some();
        let at = jobs.iter().rposition(of_session);
        let preferred = at
            .and_then(|at| jobs[at].writers.last())
            .map(|(origin, _)| *origin);
        let mut by_origin: BTreeMap<usize, Vec<AgentFile>> = BTreeMap::new();
        for file in files {
            let named = file
                .cwd
                .as_deref()
                .and_then(|cwd| whose(origins, cwd, preferred));
            by_origin
                .entry(named.or(preferred).unwrap_or(0))
                .or_default()
                .push(file);
        }
        let mut agents = Job {
            session: session.clone(),
            copy: None,
            writers: Vec::new(),
            agents: by_origin.into_iter().collect(),
            otherwise: String::new(),
            cwd: None,
            notes: Vec::new(),
            outcome: None,
        };
        let is_left_out = jobs
            .iter()
            .any(|job| of_session(job) && job.outcome.is_some());
        match (at, snapshot.manifest(&session)) {
            _ if is_left_out => agents.leave_agents(directory, left, "its session is left out"),
            (Some(at), _) => jobs[at].agents = agents.agents,
            (None, Ok(None)) => {
                let reason =
                    format!("its session {session} is neither at the source nor in the store");
                agents.leave_agents(directory, left, &reason);
            }
            (None, Ok(Some(manifest))) => match workspace.filter().pull_exclude_reason(&manifest) {
                Some(why) => agents.leave_agents(directory, left, &why.to_string()),
                None => jobs.push(agents),
            },
            (None, Err(e)) => {
                agents.leave_agents(directory, left, &crate::domain::error::error_chain(&e))
            }
        }
    }
    Ok(())
}
