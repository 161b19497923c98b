//! Who changed a file: this machine, another one, or both. Decides for push and pull alike.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::domain::extras::{BundleId, ExtraKind, ProjectKey};
use crate::domain::path::RelativeName;
use crate::domain::placeholder::Placeholders;
use crate::extras::base::Base;
use crate::extras::bundles::{BundleError, OpenBundle, There};
use crate::extras::state::{Found, KnownProject, State};
use crate::extras::text_file::{PathRewriter, TextFile, hash};
use crate::session::extras::{
    ExtraText, ExtrasListing, MAX_EXTRA_BYTES, TOO_LARGE, extra_path, first_extra_link, read_text,
};
use crate::store::bundle::ExtrasBundle;
use crate::sys::fs::{FileStamp, PathError, knows_executables};

/// A directory of this machine with the files of one owner.
pub(crate) struct Place {
    /// The client's name of the project's directory; empty for the user's own files.
    pub(crate) name: String,
    pub(crate) bundle: BundleId,
    pub(crate) directory: PathBuf,
    /// Whose memory it is; none: the user's own files.
    pub(crate) project: Option<KnownProject>,
    pub(crate) listing: ExtrasListing,
}

impl Place {
    pub(crate) fn path_rewriter(&self, placeholders: &Placeholders) -> PathRewriter {
        let has_identity = |project: &KnownProject| matches!(project.key, ProjectKey::Identity(_));
        PathRewriter::new(
            placeholders,
            self.project
                .as_ref()
                .map(|project| (project.checkout.as_path(), has_identity(project))),
        )
    }

    pub(crate) fn new_bundle(&self) -> ExtrasBundle {
        let project = self.project.as_ref();
        ExtrasBundle::empty(
            project.map(|project| project.key.clone()),
            project.map(|project| project.path.clone()),
        )
    }

    pub(crate) fn path(&self, name: &RelativeName) -> PathBuf {
        extra_path(&self.directory, name)
    }

    /// Whether nothing at all lies under this name.
    pub(crate) fn is_gone(&self, name: &RelativeName) -> bool {
        let found = std::fs::symlink_metadata(self.path(name));
        let is_gone = found
            .is_err_and(|e| matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory));
        is_gone
            && first_extra_link(&self.directory, name)
                .is_none_or(|link| self.bundle.is_user() && link == self.directory)
    }

    /// The kind of a file in it; `None`: it does not travel.
    pub(crate) fn kind(&self, name: &RelativeName) -> Option<ExtraKind> {
        // What is hidden is never listed here, so it is not written either.
        if name.as_str().split('/').any(|part| part.starts_with('.')) {
            return None;
        }
        if self.bundle.is_user() {
            ExtraKind::from_user_file(name.as_str())
        } else {
            Some(ExtraKind::Memory)
        }
    }

    /// Whether all its files are as they were when they were looked at last.
    pub(crate) fn is_as_noted(&self, state: &State) -> bool {
        let Some(known) = state.directories.get(&self.name) else {
            return self.listing.files.is_empty();
        };
        let is_known = |name: &RelativeName| known.files.contains_key(name);
        self.listing.files.keys().all(is_known)
            && known.files.iter().all(|(name, file)| {
                self.listing.stamp(name) == file.stamp
                    && self.listing.executable.contains(name) == file.executable
            })
    }

    /// Whether the owner of a file may run it; `None`: that is not asked of it, or not known on this system.
    pub(crate) fn executable(&self, name: &RelativeName) -> Option<bool> {
        let is_asked = self.kind(name) == Some(ExtraKind::Skills) && knows_executables();
        is_asked.then(|| self.listing.executable.contains(name))
    }
}

/// A file on this machine.
#[derive(Debug)]
pub(crate) enum Here {
    Missing,
    /// As it was when it was last in step.
    Unchanged,
    Changed {
        doc: TextFile,
        local: String,
    },
}

/// One file, here and in the store.
pub(crate) struct Sides {
    pub(crate) stamp: Option<FileStamp>,
    pub(crate) base: Option<Base>,
    pub(crate) here: Here,
    /// Whether the file here may be run; `None`: that is not asked of it, or not known on this system.
    pub(crate) executable: Option<bool>,
    pub(crate) there: There,
}

/// Who has something that the other has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Both are as they were when they were last in step.
    Nothing,
    /// Both are the same, though one was not before.
    InStep,
    /// Neither has it any more.
    DeletedSessions,
    /// Only this machine changed or removed it.
    Ours,
    /// Only another machine changed or removed it; or what this machine removed was changed there.
    Theirs,
    /// Both changed it.
    Both,
}

/// Why a file is not compared.
pub(crate) enum NotCompared {
    /// It is left where it is.
    Left(String),
    /// It could not be read, here or in the store.
    Failed(String),
}

impl Sides {
    /// Looks at one file. What was found of it here is noted in `state`.
    pub(crate) fn look(
        place: &Place,
        path_rewriter: &PathRewriter,
        bundle: &OpenBundle<'_>,
        name: &RelativeName,
        state: &mut State,
    ) -> Result<Self, NotCompared> {
        let stamp = place.listing.stamp(name);
        let base = state.base(&place.name, name);
        let here = match stamp {
            None => {
                state.note(&place.name, name, Found::default());
                Here::Missing
            }
            Some(stamp) => here(place, path_rewriter, name, stamp, base.as_ref(), state)?,
        };
        let there = bundle
            .file(name)
            .map_err(|e| NotCompared::Failed(bundle_error(&e)))?;
        Ok(Self {
            stamp,
            base,
            here,
            executable: stamp.and_then(|_| place.executable(name)),
            there,
        })
    }

    /// The text here, in its portable form and as it lies on the disk.
    pub(crate) fn ours(&self) -> Option<Base> {
        match &self.here {
            Here::Missing => None,
            Here::Unchanged => {
                let base = self.base.clone()?;
                Some(Base {
                    doc: base
                        .doc
                        .clone()
                        .with_executable(Some(&base.doc), self.executable),
                    ..base
                })
            }
            Here::Changed { doc, local } => {
                let executable = self.executable.unwrap_or(false);
                Some(Base {
                    doc: doc.clone(),
                    local: local.clone(),
                    executable,
                    is_reading: true,
                })
            }
        }
    }

    /// Whether the file here becomes a program with what the store has: what one side has changed is so.
    pub(crate) fn becomes_program(&self, there: &TextFile) -> bool {
        let before = self.base.as_ref().is_some_and(|base| base.doc.is_program());
        match (there.executable, self.executable) {
            (Some(there), _) if there != before => there,
            (_, Some(here)) => here,
            (there, None) => there.unwrap_or(before),
        }
    }

    /// Who changed a file of this kind. `directory_is_there`: a missing file was removed by itself, not with everything around it.
    pub(crate) fn decide(
        &self,
        path_rewriter: &PathRewriter,
        kind: ExtraKind,
        directory_is_there: bool,
    ) -> Decision {
        let removals_count = directory_is_there && !kind.is_cleared_up();
        let has_text =
            |doc: &TextFile, local: &str| path_rewriter.expand(doc).is_ok_and(|text| text == local);
        let reads_as = |doc: &TextFile, local: &str| {
            self.executable
                .is_none_or(|executable| executable == doc.is_program())
                && has_text(doc, local)
        };
        match (&self.here, &self.there, &self.base) {
            (Here::Missing, There::Is { doc, .. }, Some(base)) if doc.is_still(&base.doc) => {
                // What this machine never had, because of a no, it has not removed.
                if removals_count && base.is_reading {
                    Decision::Ours
                } else {
                    Decision::Nothing
                }
            }
            (Here::Missing, There::Is { .. }, _) => Decision::Theirs,
            (Here::Missing, _, _) => Decision::DeletedSessions,
            (Here::Unchanged, There::Is { doc, .. }, Some(base)) if doc.is_still(&base.doc) => {
                // An older ccsync does not know what a program is, and stores none.
                if base.is_reading
                    && (base.executable || base.doc.is_program())
                    && doc.executable.is_none()
                {
                    Decision::Ours
                } else {
                    Decision::Nothing
                }
            }
            (Here::Unchanged, There::Is { doc, .. }, Some(base)) if reads_as(doc, &base.local) => {
                Decision::InStep
            }
            // The store keeps the newest only, and nobody takes one from another machine.
            (Here::Unchanged, There::Absent | There::Removed, _) if kind.is_cleared_up() => {
                Decision::Nothing
            }
            (Here::Unchanged, There::Is { .. } | There::Removed, _) => Decision::Theirs,
            (Here::Changed { local, .. }, There::Is { doc, .. }, _) if reads_as(doc, local) => {
                Decision::InStep
            }
            (Here::Changed { local, .. }, There::Is { doc, .. }, _)
                if doc.executable.is_none() && has_text(doc, local) =>
            {
                Decision::Ours
            }
            (Here::Changed { .. }, There::Is { doc, .. }, Some(base))
                if doc.is_still(&base.doc) =>
            {
                Decision::Ours
            }
            (Here::Changed { .. }, There::Is { .. }, _) => Decision::Both,
            // What the store has lost, or what was changed here and removed there, is sent again.
            (Here::Unchanged | Here::Changed { .. }, There::Absent, _)
            | (Here::Changed { .. }, There::Removed, _) => Decision::Ours,
        }
    }
}

fn here(
    place: &Place,
    path_rewriter: &PathRewriter,
    name: &RelativeName,
    stamp: FileStamp,
    base: Option<&Base>,
    state: &mut State,
) -> Result<Here, NotCompared> {
    let executable = place.executable(name);
    let found = Found {
        stamp: Some(stamp),
        executable: executable.unwrap_or(false),
        ..Found::default()
    };
    let leave = |reason: String| Found {
        left: Some(reason),
        ..found.clone()
    };
    if stamp.len > MAX_EXTRA_BYTES {
        state.note(&place.name, name, leave(TOO_LARGE.to_owned()));
        return Err(NotCompared::Left(TOO_LARGE.to_owned()));
    }
    let known = state
        .file(&place.name, name)
        .filter(|known| known.stamp == Some(stamp));
    let is_executable_as =
        |base: &Base| executable.is_none_or(|executable| executable == base.executable);
    if let (Some(known), Some(base)) = (known, base)
        && is_executable_as(base)
        && known.hash.as_ref() == Some(&hash(&base.local))
    {
        return Ok(Here::Unchanged);
    }
    let local = match read_text(&place.path(name)) {
        Ok(ExtraText::Text(local)) => local,
        Ok(ExtraText::Unsuitable(reason)) => {
            let reason = reason.to_owned();
            state.note(&place.name, name, leave(reason.clone()));
            return Err(NotCompared::Left(reason));
        }
        Err(e) => return Err(NotCompared::Failed(path_error(&e))),
    };
    state.note(
        &place.name,
        name,
        Found {
            hash: Some(hash(&local)),
            ..found
        },
    );
    Ok(match base {
        Some(base) if base.local == local && is_executable_as(base) => Here::Unchanged,
        Some(base) if base.is_reading => {
            let doc = path_rewriter.collapse_from(&base.doc, &base.local, &local);
            Here::Changed {
                doc: doc.with_executable(Some(&base.doc), executable),
                local,
            }
        }
        base => {
            let doc = path_rewriter
                .collapse(&local)
                .with_executable(base.map(|base| &base.doc), executable);
            Here::Changed { doc, local }
        }
    })
}

/// An error with its causes in one line.
pub(crate) fn bundle_error(error: &BundleError) -> String {
    crate::domain::error::error_chain(error)
}

pub(crate) fn path_error(error: &PathError) -> String {
    crate::domain::error::error_chain(error)
}
