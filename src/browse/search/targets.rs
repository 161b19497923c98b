//! Selects the sessions to search, their order and their first line.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::browse::list::read_local_details;
use crate::browse::search::request::{
    SearchRequest, SearchSource, StoreCommit, Unreadable, on_all_cores,
};
use crate::browse::successor::successor;
use crate::domain::{
    MachineId, SessionId, SessionName, Successors, composed::contains_spelling, error::error_chain,
};
use crate::localize::Localizer;
use crate::rewrite::collapse_path;
use crate::session::{LocalSession, discover::discover_some};
use crate::store::{SessionState, Snapshot, StoreError, manifest::Manifest};
use crate::workspace::error::SyncError;
use crate::workspace::lookup::{MachineNames, find_machine};
use crate::workspace::read_only::{machine_names, session_name};

/// A session to search.
pub(crate) struct SearchTarget {
    pub(crate) name: SessionName,
    pub(crate) place: TextSource,
    /// Lines at the beginning that are searched in the session it was forked from.
    pub(crate) skip: u64,
}

/// Location of its text.
pub(crate) enum TextSource {
    Stored {
        manifest: Box<Manifest>,
        state: SessionState,
    },
    /// Only on this machine.
    Here(Box<LocalSession>),
}

/// Returns the sessions, the newest first.
pub(crate) struct Targets {
    pub(crate) targets: Vec<SearchTarget>,
    /// Pairs of a session and the one that continues it.
    successors: Vec<(SessionId, SessionId)>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Filter for sessions.
struct Filter {
    project: Option<Vec<String>>,
    from: Option<MachineId>,
}

impl SearchSource<'_> {
    pub(crate) fn targets(&self, request: &SearchRequest) -> Result<Targets, SyncError> {
        let machines = machine_names(self.ctx, self.snapshot)?;
        let filter = Filter::new(self, request, &machines)?;
        let states = self
            .snapshot
            .map(Snapshot::sessions)
            .transpose()?
            .unwrap_or_default();
        let mut found = self.stored_targets(&states, &filter, &machines);
        self.add_local_targets(&states, &filter, &mut found)?;
        found.skip_continued(|id| states.contains_key(id));
        found.targets.sort_by(|a, b| {
            let key = |target: &SearchTarget| {
                Reverse((target.name.last_activity, target.name.session.clone()))
            };
            key(a).cmp(&key(b))
        });
        skip_what_forks_share(&mut found.targets);
        Ok(found)
    }

    fn stored_targets(
        &self,
        states: &BTreeMap<SessionId, SessionState>,
        filter: &Filter,
        machines: &MachineNames,
    ) -> Targets {
        let states: Vec<_> = states.iter().collect();
        let (at, localizer) = (self.at, self.localizer);
        let mut found = Targets {
            targets: Vec::with_capacity(states.len()),
            successors: Vec::new(),
            unreadable: Vec::new(),
        };
        on_all_cores(
            at,
            &states,
            &|snapshot, (id, state)| {
                let read = manifest(snapshot, at, id, state);
                let target = |manifest: Manifest| {
                    let successor = manifest.continued_in.clone();
                    let target = filter.stored_target(manifest, state, localizer, machines);
                    (successor, target)
                };
                (
                    (*id).clone(),
                    read.map(|manifest| manifest.map_or((None, None), target)),
                )
            },
            &mut |(session, target)| {
                match target {
                    Ok((successor, target)) => {
                        let pair = successor.map(|successor| (session, successor));
                        found.successors.extend(pair);
                        found.targets.extend(target);
                    }
                    Err(e) => found.unreadable.push(Unreadable {
                        session,
                        reason: error_chain(&e),
                    }),
                }
                true
            },
        );
        found
    }

    fn add_local_targets(
        &self,
        states: &BTreeMap<SessionId, SessionState>,
        filter: &Filter,
        found: &mut Targets,
    ) -> Result<(), SyncError> {
        let me = &self.ctx.settings.machine;
        if !filter.accepts_writer(std::iter::once(&me.id)) {
            return Ok(());
        }
        let here = discover_some(&self.ctx.env.claude_dir, &|id| !states.contains_key(id))?;
        for session in here.sessions.into_values() {
            let pair = successor(Some(&session), None).map(|next| (session.id.clone(), next));
            found.successors.extend(pair);
            let name = read_local_details(&session, &self.ctx.settings.placeholders, &me.name).name;
            let target = SearchTarget {
                name,
                place: TextSource::Here(Box::new(session)),
                skip: 0,
            };
            let is_wanted = filter.accepts_project(&target.name);
            found.targets.extend(is_wanted.then_some(target));
        }
        Ok(())
    }
}

impl Targets {
    /// Skips the sessions that go on under another id, which has their text.
    fn skip_continued(&mut self, is_stored: impl Fn(&SessionId) -> bool) {
        if self.successors.is_empty() {
            return;
        }
        let names = self.targets.iter().map(|target| &target.name.session);
        let targets: HashSet<SessionId> = names.cloned().collect();
        let exists = |id: &SessionId| is_stored(id) || targets.contains(id);
        let successors = Successors::new(std::mem::take(&mut self.successors), exists);
        self.targets
            .retain(|target| successors.latest(&target.name.session).is_none());
    }
}

fn manifest(
    snapshot: Option<&Snapshot<'_>>,
    at: Option<&StoreCommit>,
    id: &SessionId,
    state: &SessionState,
) -> Result<Option<Manifest>, StoreError> {
    match (snapshot, at) {
        (Some(snapshot), Some(at)) => at.checkout.session(id, state).manifest(snapshot),
        _ => Ok(None),
    }
}

impl Filter {
    fn new(
        base: &SearchSource<'_>,
        request: &SearchRequest,
        machines: &MachineNames,
    ) -> Result<Self, SyncError> {
        let me = &base.ctx.settings.machine.id;
        let from = request
            .from
            .as_deref()
            .map(|from| find_machine(from, machines, me))
            .transpose()?;
        // The stored, the local and the displayed path.
        let forms = |text: &String| {
            let portable =
                collapse_path(&base.ctx.settings.placeholders, text.trim_end_matches('/'))
                    .to_string();
            let of_home = text
                .strip_prefix('~')
                .map(|rest| format!("{{{{HOME}}}}{rest}"));
            [text.clone(), portable]
                .into_iter()
                .chain(of_home)
                .collect()
        };
        Ok(Self {
            project: request.project.as_ref().map(forms),
            from,
        })
    }

    fn stored_target(
        &self,
        manifest: Manifest,
        state: &SessionState,
        localizer: &Localizer,
        machines: &MachineNames,
    ) -> Option<SearchTarget> {
        let name = session_name(localizer, &manifest, machines);
        // Computed here on all cores, because every target needs it.
        localizer.current_index(&manifest);
        let writers = || {
            manifest
                .all_files()
                .flat_map(|(_, file)| &file.runs)
                .map(|run| &run.machine)
        };
        let is_wanted = self.accepts_project(&name) && self.accepts_writer(writers());
        let place = TextSource::Stored {
            manifest: Box::new(manifest),
            state: state.clone(),
        };
        is_wanted.then_some(SearchTarget {
            name,
            place,
            skip: 0,
        })
    }

    fn accepts_project(&self, name: &SessionName) -> bool {
        let project = name.project.as_deref().unwrap_or_default();
        self.project
            .as_ref()
            .is_none_or(|forms| forms.iter().any(|form| contains_spelling(project, form)))
    }

    fn accepts_writer<'m>(&self, mut writers: impl Iterator<Item = &'m MachineId>) -> bool {
        self.from
            .as_ref()
            .is_none_or(|from| writers.any(|id| id == from))
    }
}

/// Skips the lines that a fork shares with its original, if the original is searched,
/// too.
fn skip_what_forks_share(targets: &mut [SearchTarget]) {
    let lines: HashMap<SessionId, u64> = targets
        .iter()
        .filter_map(|target| match &target.place {
            TextSource::Stored { manifest, .. } => {
                Some((target.name.session.clone(), manifest.transcript.lines()))
            }
            TextSource::Here(_) => None,
        })
        .collect();
    for target in targets {
        let TextSource::Stored { manifest, .. } = &target.place else {
            continue;
        };
        let Some(fork) = &manifest.fork_of else {
            continue;
        };
        let is_there = lines
            .get(&fork.session)
            .is_some_and(|lines| *lines >= fork.lines);
        target.skip = if is_there { fork.lines } else { 0 };
    }
}
