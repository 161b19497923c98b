//! Stores texts of another program's store, as if the machines that wrote them had pushed them.
//!
//! There is no common base with what the store has: equal lines are stored once, others in both
//! versions. A bundle remembers the hash of each imported text, so that no machine imports it
//! again after the user edited it. Must not touch the files of this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::domain::{BundleId, ExtraKind, ProjectKey, RelativeName};
use crate::extras::{
    context::MachineLabels, merge::MergeSide, merge::merge, open_bundle::OpenBundle,
    open_bundle::StoredVersion, path_rewriter::PathRewriter, project_finder::ForeignProject,
    project_finder::IdentifiedProject, project_finder::ProjectFinder, text_file::TextFile,
    text_file::hash, versions::skipped,
};
use crate::report::{BundleReport, ExtraOutcome, ExtraReport, Report};
use crate::rewrite::expand_path;
use crate::secrets::Secrets;
use crate::session::{MAX_EXTRA_BYTES, extras::TOO_LARGE};
use crate::store::{Snapshot, Transaction, bundle::ExtrasBundle, machine::Machine};
use crate::workspace::{SyncError, Workspace};

/// Follows the name of a machine that is known only from another program's store.
pub(crate) const IMPORTED: &str = " (imported)";

/// A text of another program's store.
pub(crate) struct ForeignText {
    /// The project whose memory it is; `None`: it is the user's own.
    pub(crate) project: Option<ForeignProject>,
    /// Its name below the owner's directory.
    pub(crate) name: RelativeName,
    /// The text with the paths of the machine that wrote it.
    pub(crate) text: String,
    /// The day on which it was last written, if known.
    pub(crate) day: Option<NaiveDate>,
    /// Machines that may have written it, the most likely first; at least one.
    pub(crate) writers: Vec<Machine>,
}

/// Stores the `texts` whose kinds travel, and reports them. Returns the machines of which
/// something was stored.
pub(crate) fn import_texts(
    workspace: &Workspace<'_>,
    texts: &[ForeignText],
    tx: &mut Transaction<'_>,
    report: &mut Report,
) -> Result<Vec<Machine>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let finder = ProjectFinder::new(workspace.ctx.env, &workspace.localizer, &workspace.store);
    let mut importer = TextImporter {
        workspace,
        snapshot: &snapshot,
        labels: MachineLabels::read(workspace, &snapshot)?,
        open: BTreeMap::new(),
        writers: Vec::new(),
    };
    for text in texts {
        let owner = TextOwner {
            project: text
                .project
                .as_ref()
                .map(|project| finder.identify(project)),
        };
        let (outcome, verbatim) = match importer.import(text, &owner) {
            Ok(Imported::Unchanged) => continue,
            Ok(Imported::Stored { outcome, verbatim }) => (outcome, verbatim),
            Err(outcome) => (outcome, 0),
        };
        let warning = owner.warning();
        report
            .warnings
            .extend(warning.filter(|warning| !report.warnings.contains(warning)));
        let file = ExtraReport {
            verbatim,
            ..ExtraReport::new(text.name.as_str(), outcome)
        };
        let project = owner.key().map(|key| key.as_str().to_owned());
        report.add_extras(vec![BundleReport::single(project, file)]);
    }
    workspace.localizer.save_secrets()?;
    let TextImporter { open, writers, .. } = importer;
    for mut bundle in open.into_values().filter(OpenBundle::is_changed) {
        report_older_plans(report, &bundle.drop_older_plans());
        bundle.write(tx)?;
    }
    Ok(writers)
}

/// Reports the plans that were dropped because too many are newer.
fn report_older_plans(report: &mut Report, dropped: &[RelativeName]) {
    let user = report.extras.iter_mut().filter(|b| b.project.is_none());
    for file in user.flat_map(|bundle| &mut bundle.files) {
        if dropped.iter().any(|name| name.as_str() == file.name) {
            let reason = "older than the plans that travel".to_owned();
            file.outcome = ExtraOutcome::Excluded { reason };
        }
    }
}

/// The owner of a text in this store.
struct TextOwner {
    /// `None`: the user.
    project: Option<IdentifiedProject>,
}

impl TextOwner {
    fn key(&self) -> Option<&ProjectKey> {
        self.project.as_ref().map(|project| &project.key)
    }

    fn bundle_id(&self) -> BundleId {
        self.key()
            .map_or_else(BundleId::user, BundleId::from_project)
    }

    fn new_bundle(&self) -> ExtrasBundle {
        let path = self.project.as_ref().map(|project| project.path.clone());
        ExtrasBundle::empty(self.key().cloned(), path)
    }

    /// A warning if the project is only a guess.
    fn warning(&self) -> Option<String> {
        let project = self.project.as_ref().filter(|p| !p.is_certain)?;
        Some(format!(
            "memory of {} may belong to another project: the source does not say where the project \
             is. Import again on a machine that has the project",
            project.path
        ))
    }
}

struct TextImporter<'w, 's> {
    workspace: &'w Workspace<'w>,
    snapshot: &'s Snapshot<'s>,
    labels: MachineLabels,
    open: BTreeMap<BundleId, OpenBundle<'s>>,
    writers: Vec<Machine>,
}

enum Imported {
    /// The store has the text already.
    Unchanged,
    Stored {
        outcome: ExtraOutcome,
        /// Number of lines that are stored verbatim.
        verbatim: u64,
    },
}

impl TextImporter<'_, '_> {
    /// Adds a text to its bundle.
    ///
    /// # Errors
    /// The outcome to report if the text is not stored.
    fn import(&mut self, text: &ForeignText, owner: &TextOwner) -> Result<Imported, ExtraOutcome> {
        let kind = self.synced_kind(text, owner)?;
        let new = || owner.new_bundle();
        let id = owner.bundle_id();
        let bundle = OpenBundle::open_once(&mut self.open, self.snapshot, &id, new);
        let bundle = bundle.map_err(|e| skipped(&e))?;
        let hash = hash(&text.text);
        if bundle.bundle.was_imported(&text.name, &hash) {
            return Ok(Imported::Unchanged);
        }

        let writer = text.writers.first().expect("every text has a writer");
        let secrets = self.workspace.localizer.secrets();
        let (portable, verbatim) = to_portable(text, owner, secrets);
        let (file, outcome) = match bundle.file(&text.name).map_err(|e| skipped(&e))? {
            StoredVersion::Absent | StoredVersion::Removed => (portable, ExtraOutcome::Pushed),
            StoredVersion::Present { file, .. } if portable.adds_nothing_to(&file) => {
                bundle.record_import(&text.name, &hash);
                return Ok(Imported::Unchanged);
            }
            StoredVersion::Present { file, by } => {
                let merged = merge(
                    None,
                    MergeSide {
                        file: &file,
                        machine: &self.labels.one(&by),
                    },
                    MergeSide {
                        file: &portable,
                        machine: &imported_label(&writer.name),
                    },
                );
                if merged.file.text().len() as u64 > MAX_EXTRA_BYTES {
                    let reason = format!("merged with the stored text it would be {TOO_LARGE}");
                    return Err(ExtraOutcome::Skipped { reason });
                }
                let outcome = merged.outcome();
                (merged.file, outcome)
            }
        };

        // A day in the future would keep a plan for ever.
        let today = self.workspace.ctx.clock.now().date_naive();
        let day = text.day.filter(|_| kind.is_deleted_by_client());
        let day = day.map(|day| day.min(today)).max(bundle.day(&text.name));
        let stored = bundle.insert(&text.name, &file, writer.id.clone(), day);
        stored.map_err(|e| skipped(&e))?;
        bundle.record_import(&text.name, &hash);
        if !self.writers.iter().any(|known| known.id == writer.id) {
            self.writers.push(writer.clone());
        }
        Ok(Imported::Stored { outcome, verbatim })
    }

    /// Returns the kind of a text, or the outcome to report if it does not travel.
    fn synced_kind(
        &self,
        text: &ForeignText,
        owner: &TextOwner,
    ) -> Result<ExtraKind, ExtraOutcome> {
        let kind = match owner.project {
            Some(_) => Some(ExtraKind::Memory),
            None => ExtraKind::from_user_file(text.name.as_str()),
        };
        let reason = match kind.filter(|kind| !kind.can_run_code()) {
            Some(kind) if self.workspace.ctx.settings.extras.contains(&kind) => return Ok(kind),
            Some(kind) => format!(
                "setting `extras` does not include {0}: ccsync config set extras {0},…",
                kind.name()
            ),
            None => "it does not belong to the extras".to_owned(),
        };
        Err(ExtraOutcome::Excluded { reason })
    }
}

/// Label in merged texts of a machine of the other program.
fn imported_label(name: &str) -> String {
    format!("{}{IMPORTED}", name.strip_suffix(IMPORTED).unwrap_or(name))
}

/// Returns the portable form of a text, and the number of lines that are kept verbatim.
///
/// Each line has the form in which its most likely writer would have stored it, or the first
/// writer that knows a path in it.
fn to_portable(
    text: &ForeignText,
    owner: &TextOwner,
    secrets: Option<&Arc<Secrets>>,
) -> (TextFile, u64) {
    let mut portable: Option<(TextFile, u64)> = None;
    for writer in &text.writers {
        let project = text.project.as_ref();
        let checkout = project.and_then(|p| expand_path(&p.path, &writer.placeholders));
        let checkout = checkout.as_ref().map(Path::new);
        let rewriter = PathRewriter::new(&writer.placeholders, checkout.zip(owner.key()), secrets);
        let file = rewriter.collapse(&text.text);
        let Some((first, _)) = &mut portable else {
            let verbatim = rewriter.count_verbatim(&file);
            portable = Some((file, verbatim));
            continue;
        };
        for (line, other) in first.lines.iter_mut().zip(file.lines) {
            if line.placeholders.is_none() && other.placeholders.is_some() {
                *line = other;
            }
        }
        first.sets.extend(file.sets);
    }
    let (file, verbatim) = portable.unwrap_or_default();
    (
        TextFile::new(file.lines, file.unterminated, file.sets),
        verbatim,
    )
}
