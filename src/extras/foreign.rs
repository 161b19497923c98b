//! Texts that another program has stored: they come to their shelves as if the machines that wrote them had pushed them.
//!
//! There is no common past with what the store has: what is equal is there once, the rest in both versions. A shelf remembers what has come
//! to it so, by its hash: what a person made of it since is not met by it again, on any machine. Must not touch this machine's files.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use crate::domain::beside::{Beside, ProjectKey, ShelfId};
use crate::domain::path::{PortablePath, RelativeName};
use crate::extras::bundles::{OpenShelf, There};
use crate::extras::compare::shelf_error;
use crate::extras::context::Names;
use crate::extras::merge::{Side, merge};
use crate::extras::owners::Places;
use crate::extras::text_file::{Doc, Lens, hash};
use crate::report::transfer::{ProseOutcome, ProseReport, Report, ShelfReport};
use crate::rewrite::expand_path;
use crate::session::prose::{MAX_BYTES, too_large};
use crate::store::machine::Machine;
use crate::store::shelf::Shelf;
use crate::store::{Snapshot, Transaction};
use crate::workspace::error::SyncError;
use crate::workspace::message::in_words;
use crate::workspace::open::Work;

/// What follows the name of a machine that is known from another program's store.
pub(crate) const IMPORTED: &str = " (imported)";

/// A text of another program's store.
pub(crate) struct ForeignText {
    /// Whose memory it is; none: the user's own.
    pub(crate) project: Option<ForeignProject>,
    /// Its name below the owner's directory.
    pub(crate) name: RelativeName,
    /// As it lies there: with the paths of a machine.
    pub(crate) text: String,
    /// The day on which it was written last, where that is known.
    pub(crate) day: Option<NaiveDate>,
    /// Who may have written it, the likeliest first; at least one.
    pub(crate) writers: Vec<Machine>,
}

/// A project as another program knows it.
pub(crate) struct ForeignProject {
    /// Portable path of its main checkout.
    pub(crate) path: PortablePath,
    /// Where the path is no more than a guess: the client's name of the portable path.
    pub(crate) directory: Option<String>,
}

/// Whose a text is in this store.
struct Owner {
    shelf: ShelfId,
    key: Option<ProjectKey>,
    path: Option<PortablePath>,
}

/// Puts `texts` on their shelves, as far as their kinds travel, and tells in `report` what became of them. Returns the machines that
/// something was stored of.
pub(crate) fn take_over(
    work: &Work<'_>,
    texts: &[ForeignText],
    tx: &mut Transaction<'_>,
    report: &mut Report,
) -> Result<Vec<Machine>, SyncError> {
    let snapshot = work.store.head_snapshot()?;
    let mut taking = Taking {
        work,
        snapshot: &snapshot,
        places: Places::new(work),
        names: Names::of(work, &snapshot)?,
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
        let file = ProseReport {
            name: text.name.to_string(),
            outcome,
            verbatim,
        };
        let project = owner.key.as_ref().map(|key| key.as_str().to_owned());
        report.add_beside(vec![ShelfReport {
            project,
            listed: None,
            files: vec![file],
        }]);
    }
    let Taking { open, writers, .. } = taking;
    for mut shelf in open.into_values().filter(OpenShelf::is_changed) {
        let dropped = shelf.drop_older_plans();
        say_what_is_too_old(report, &dropped);
        shelf.write(tx)?;
    }
    Ok(writers)
}

/// Of too many plans the oldest do not travel.
fn say_what_is_too_old(report: &mut Report, dropped: &[RelativeName]) {
    let users = report
        .beside
        .iter_mut()
        .filter(|shelf| shelf.project.is_none())
        .flat_map(|shelf| &mut shelf.files);
    for file in users.filter(|file| dropped.iter().any(|name| name.as_str() == file.name)) {
        file.outcome = ProseOutcome::Left {
            reason: "older than the plans that travel".to_owned(),
        };
    }
}

struct Taking<'w, 's> {
    work: &'w Work<'w>,
    snapshot: &'s Snapshot<'s>,
    places: Places<'w>,
    names: Names,
    open: BTreeMap<ShelfId, OpenShelf<'s>>,
    writers: Vec<Machine>,
}

/// What became of a text, and how many lines of it are stored verbatim. Nothing: it was there.
type Taken = Option<(ProseOutcome, u64)>;

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
                    shelf: ShelfId::of_project(&key),
                    key: Some(key),
                    path: Some(path),
                },
                is_sure,
            ),
            None => (
                Owner {
                    shelf: ShelfId::user(),
                    key: None,
                    path: None,
                },
                true,
            ),
        }
    }

    fn text(&mut self, text: &ForeignText, owner: &Owner) -> Result<Taken, SyncError> {
        let kind = if owner.key.is_some() {
            Some(Beside::Memory)
        } else {
            Beside::of_user_file(text.name.as_str())
        };
        let Some(kind) = kind.filter(|kind| !kind.can_run_code()) else {
            let reason = "it does not travel beside sessions".to_owned();
            return Ok(Some((ProseOutcome::Left { reason }, 0)));
        };
        if !self.work.ctx.settings.beside.contains(&kind) {
            let reason = format!(
                "`beside` does not name {0}: ccsync config set beside {0},…",
                kind.name()
            );
            return Ok(Some((ProseOutcome::Left { reason }, 0)));
        }
        let new = || Shelf::empty(owner.key.clone(), owner.path.clone());
        let shelf = match OpenShelf::among(&mut self.open, self.snapshot, &owner.shelf, new) {
            Ok(shelf) => shelf,
            Err(e) => {
                return Ok(Some((
                    ProseOutcome::Skipped {
                        reason: in_words(&e),
                    },
                    0,
                )));
            }
        };
        let hash = hash(&text.text);
        if shelf.shelf.was_imported(&text.name, &hash) {
            return Ok(None);
        }
        // A time to come would keep it for ever.
        let day = text
            .day
            .filter(|_| kind.is_cleared_up())
            .map(|day| day.min(self.work.ctx.clock.now().date_naive()));
        let day = day.max(shelf.day(&text.name));
        let writer = text.writers.first().expect("somebody wrote it");
        let (theirs, verbatim) = portable(text, owner);
        let stored = match shelf.file(&text.name) {
            Ok(There::Is { doc, by }) => Some((doc, by)),
            Ok(There::Absent | There::Removed) => None,
            Err(e) => {
                return Ok(Some((
                    ProseOutcome::Skipped {
                        reason: shelf_error(&e),
                    },
                    0,
                )));
            }
        };
        let (doc, outcome) = match stored {
            None => (theirs, ProseOutcome::Sent),
            Some((doc, _)) if theirs.is_still(&doc) => {
                shelf.note_import(&text.name, &hash);
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
                if merged.doc.text().len() as u64 > MAX_BYTES {
                    let reason = format!(
                        "together with what the store has, it would be {}",
                        too_large()
                    );
                    return Ok(Some((ProseOutcome::Skipped { reason }, 0)));
                }
                let outcome = merged.outcome();
                (merged.doc, outcome)
            }
        };
        if let Err(e) = shelf.put(&text.name, &doc, writer.id.clone(), day) {
            return Ok(Some((
                ProseOutcome::Skipped {
                    reason: shelf_error(&e),
                },
                0,
            )));
        }
        shelf.note_import(&text.name, &hash);
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
fn portable(text: &ForeignText, owner: &Owner) -> (Doc, u64) {
    let has_identity = matches!(owner.key, Some(ProjectKey::Identity(_)));
    let at = |machine: &Machine| {
        text.project
            .as_ref()
            .and_then(|project| expand_path(&project.path, &machine.roots))
    };
    let mut found: Option<(Doc, u64)> = None;
    for writer in &text.writers {
        let checkout = at(writer);
        let lens = Lens::new(
            &writer.roots,
            checkout
                .as_ref()
                .map(|path| (Path::new(path), has_identity)),
        );
        let doc = lens.collapse(&text.text);
        match &mut found {
            None => {
                let verbatim = lens.verbatim(&doc);
                found = Some((doc, verbatim));
            }
            Some((first, _)) => {
                for (line, other) in first.lines.iter_mut().zip(doc.lines) {
                    if line.roots.is_none() && other.roots.is_some() {
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
