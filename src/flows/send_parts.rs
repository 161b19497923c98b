//! Sends unsent commits in parts, after the remote has refused them as a whole: for a secret in
//! one session, or because one push is too large.
//!
//! Each part is a commit of its own on top of what the remote has, so that nothing of a refused
//! part is in the history that is sent. What is refused even alone stays on this machine.

use std::collections::{BTreeSet, VecDeque};

use crate::domain::{BundleId, CommitId, Phase, SessionId};
use crate::extras::{bundle_history::BundleHistory, bundle_history::record_refused};
use crate::flows::send::send;
use crate::remote::Remote;
use crate::report::{Refusal, count::count};
use crate::store::{Author, BRANCH};
use crate::sys::fail_point::fail_point;
use crate::transport::{PushOutcome, RefUpdate, RemoteError, remote::GitMessage};
use crate::workspace::{SyncError, Workspace};

/// Maximum number of pushes of one command; what is left then waits for the next one.
const MAX_PUSHES: u32 = 200;

/// The result of sending in parts.
pub(crate) enum PartsResult {
    /// Everything is on the remote except for this.
    Sent(Vec<Refusal>),
    /// Another machine was first: fetch, merge, and try again.
    Moved,
    /// The remote refuses pushes whatever is in them.
    Refused(RemoteError),
}

/// The smallest unit that is sent or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Session(SessionId),
    Bundle(BundleId),
}

/// Result of one push.
enum PartOutcome {
    Sent,
    Moved,
    Rejected(RemoteError),
}

/// Sends what the head has and the remote has not.
///
/// `error` is the refusal of all of it, if that was tried. Sessions that were refused before are
/// tried again only if `retry`.
pub(crate) fn send_parts(
    workspace: &mut Workspace<'_>,
    remote: &Remote,
    error: Option<&RemoteError>,
    retry: bool,
) -> Result<PartsResult, SyncError> {
    let Some(head) = workspace.store.head()? else {
        return Ok(PartsResult::Sent(Vec::new()));
    };
    let (known, new) = unsent_parts(workspace, &head)?;
    let mut releasing = workspace.leases.postpone_releases();
    let mut sender = PartSender {
        remote,
        before: workspace.store.remote_head()?,
        sent: workspace.store.remote_head()?,
        head,
        pushes: 0,
        is_trial: false,
        refused: Vec::new(),
        workspace,
    };
    let result = sender.send_all(known, new, error, retry);

    let held: BTreeSet<&SessionId> = sender.refused_sessions().collect();
    releasing.retain(|session| !held.contains(session));
    sender.workspace.leases.select_releases(releasing);
    match result? {
        PartOutcome::Sent => sender.finish().map(PartsResult::Sent),
        PartOutcome::Moved => Ok(PartsResult::Moved),
        PartOutcome::Rejected(error) => Ok(PartsResult::Refused(error)),
    }
}

/// Returns what is to be sent: first what the remote has refused before.
fn unsent_parts(
    workspace: &Workspace<'_>,
    head: &CommitId,
) -> Result<(Vec<Part>, Vec<Part>), SyncError> {
    let store = &workspace.store;
    let ours = store.snapshot(Some(head))?;
    let theirs = store.snapshot(store.remote_head()?.as_ref())?;
    let (our_bundles, their_bundles) = (ours.bundles()?, theirs.bundles()?);
    let bundles = our_bundles.iter().chain(&their_bundles).map(|(id, _)| id);
    let changed = bundles.filter(|id| our_bundles.get(id) != their_bundles.get(id));
    let changed: BTreeSet<&BundleId> = changed.collect();

    let sessions = ours.changed_since(&theirs)?.into_iter();
    let refused = &workspace.records.refused;
    let (known, new): (Vec<SessionId>, Vec<SessionId>) =
        sessions.partition(|session| refused.get(session).is_some());
    let bundles = changed.into_iter().cloned().map(Part::Bundle);
    Ok((
        known.into_iter().map(Part::Session).collect(),
        new.into_iter().map(Part::Session).chain(bundles).collect(),
    ))
}

/// Pushes one part after the other.
struct PartSender<'s, 'c> {
    workspace: &'s mut Workspace<'c>,
    remote: &'s Remote,
    /// The unsent commit.
    head: CommitId,
    /// The head of the remote at the beginning, and now.
    before: Option<CommitId>,
    sent: Option<CommitId>,
    pushes: u32,
    /// A commit is pushed even if it changes nothing.
    is_trial: bool,
    /// The refused parts, with the server's text.
    refused: Vec<(Part, String)>,
}

impl PartSender<'_, '_> {
    fn send_all(
        &mut self,
        known: Vec<Part>,
        new: Vec<Part>,
        error: Option<&RemoteError>,
        retry: bool,
    ) -> Result<PartOutcome, SyncError> {
        // Without any session: if the remote refuses even this, the reason is not in the content.
        self.is_trial = error.is_some();
        let first = self.send(&[])?;
        self.is_trial = false;
        if !matches!(first, PartOutcome::Sent) {
            return Ok(first);
        }
        let mut queue: VecDeque<Vec<Part>> = VecDeque::new();
        match error.filter(|_| known.is_empty()) {
            Some(error) if new.len() > 1 => queue.extend(split(new, error)),
            _ => queue.push_back(new),
        }
        if retry {
            queue.push_back(known);
        } else {
            self.keep_refused(known);
        }
        while let Some(mut group) = queue.pop_front() {
            match self.send(&group)? {
                PartOutcome::Sent => {}
                PartOutcome::Moved => return Ok(PartOutcome::Moved),
                PartOutcome::Rejected(error) if group.len() > 1 => {
                    for half in split(group, &error).into_iter().rev() {
                        queue.push_front(half);
                    }
                }
                PartOutcome::Rejected(error) => {
                    let message = whole_text(&error);
                    self.refused.extend(group.pop().map(|part| (part, message)));
                }
            }
        }
        Ok(PartOutcome::Sent)
    }

    /// Counts sessions as refused with the text of an earlier push.
    fn keep_refused(&mut self, known: Vec<Part>) {
        for part in known {
            if let Part::Session(session) = &part
                && let Some(message) = self.workspace.records.refused.get(session)
            {
                self.refused.push((part, message.clone()));
            }
        }
    }

    /// Pushes a commit with these parts. Without parts, it has what belongs to none.
    fn send(&mut self, parts: &[Part]) -> Result<PartOutcome, SyncError> {
        let workspace = &mut *self.workspace;
        let store = &workspace.store;
        let head = store.snapshot(Some(&self.head))?;
        let mut tx = store.begin(self.sent.as_ref())?;
        let mut sessions = BTreeSet::new();
        for part in parts {
            match part {
                Part::Session(session) => {
                    tx.take_session(&head, session)?;
                    sessions.insert(session.clone());
                }
                Part::Bundle(bundle) => tx.take_bundle(&head, bundle)?,
            }
        }
        if parts.is_empty() {
            tx.take_all_other_files(&head)?;
        }
        if tx.is_empty() && !self.is_trial {
            return Ok(PartOutcome::Sent);
        }
        self.pushes += 1;
        if self.pushes > MAX_PUSHES {
            return Err(SyncError::from(RemoteError::TooManyPushes));
        }

        let author = Author {
            machine: &workspace.machine,
            time: workspace.ctx.clock.now(),
            named: workspace.ctx.settings.author.as_ref(),
        };
        let name = &workspace.machine.name;
        let subject = format!(
            "push from {name}: {}",
            count(sessions.len() as u64, "session")
        );
        let commit = tx.commit_aside(&author, &subject, self.sent.as_slice())?;
        let mut updates = vec![RefUpdate {
            name: format!("refs/heads/{BRANCH}"),
            new: Some(commit.clone()),
            expected: self.sent.clone(),
        }];
        let rules = &workspace.remote_rules;
        updates.extend(workspace.leases.updates(store, &author, &sessions, rules)?);
        let progress = std::sync::Arc::clone(&workspace.ctx.progress);
        progress.begin(Phase::Send, 0, 0);
        fail_point("before a part is sent");
        let outcome = send(workspace, self.remote, &updates);
        fail_point("a part is sent");
        progress.end();
        match outcome {
            Ok(PushOutcome::Done) => {
                self.sent = Some(commit);
                Ok(PartOutcome::Sent)
            }
            Ok(PushOutcome::Refused { .. }) => Ok(PartOutcome::Moved),
            Err(SyncError::Remote(error)) if error.is_rejection() => {
                Ok(PartOutcome::Rejected(error))
            }
            Err(error) => Err(error),
        }
    }

    fn refused_sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.refused.iter().filter_map(|(part, _)| match part {
            Part::Session(session) => Some(session),
            Part::Bundle(_) => None,
        })
    }

    /// Takes what was refused out of the unsent commits: the head becomes that of the remote. The
    /// former head is kept, because it may have the only copy.
    fn finish(self) -> Result<Vec<Refusal>, SyncError> {
        let Self {
            workspace,
            head,
            before,
            sent,
            refused,
            ..
        } = self;
        let store = &workspace.store;
        let mut refusals: Vec<Refusal> = Vec::new();
        for (part, message) in refused {
            let at = refusals
                .iter()
                .position(|refusal| refusal.message == message);
            let at = at.unwrap_or_else(|| {
                let message = message.clone();
                refusals.push(Refusal {
                    message,
                    ..Refusal::default()
                });
                refusals.len() - 1
            });
            match part {
                Part::Session(session) => {
                    store.keep_refused(&session, &head)?;
                    workspace.records.refused.insert(session.clone(), message);
                    refusals[at].sessions.push(session);
                }
                Part::Bundle(bundle) => {
                    let base = store.snapshot(before.as_ref())?;
                    let ours = store.snapshot(Some(&head))?;
                    let history = BundleHistory {
                        base: &base,
                        ours: &ours,
                        theirs: &base,
                    };
                    record_refused(workspace, &history, &bundle)?;
                    refusals[at].extras.push(bundle.to_string());
                }
            }
        }
        let states = store.snapshot(sent.as_ref())?.sessions()?;
        let is_sent = |session: &SessionId| {
            states.contains_key(session)
                && !refusals
                    .iter()
                    .any(|refusal| refusal.sessions.contains(session))
        };
        for session in workspace
            .records
            .refused
            .retain(|session| !is_sent(session))
            .keys()
        {
            store.forget_refused(session)?;
        }
        workspace.records.refused.save()?;
        fail_point("refused parts are kept");
        if let Some(sent) = &sent {
            store.fast_forward(sent)?;
        }
        workspace.records.index.follow(store)?;
        Ok(refusals)
    }
}

/// Divides a refused group: into the parts that the server's text names and the others, or else
/// into halves.
fn split(group: Vec<Part>, error: &RemoteError) -> Vec<Vec<Part>> {
    let message = whole_text(error);
    let is_named = |part: &Part| match part {
        Part::Session(session) => message.contains(session.as_str()),
        Part::Bundle(bundle) => message.contains(&format!("{bundle}/")),
    };
    let (named, others): (Vec<Part>, Vec<Part>) = group.into_iter().partition(is_named);
    if named.is_empty() || others.is_empty() {
        let mut first = if named.is_empty() { others } else { named };
        let second = first.split_off(first.len() / 2);
        return vec![first, second];
    }
    vec![others, named]
}

/// Returns everything that the server message.
pub(crate) fn whole_text(error: &RemoteError) -> String {
    match error.message().map(GitMessage::as_str) {
        Some(message) if !message.is_empty() => format!("{error}\n{message}"),
        _ => error.to_string(),
    }
}
