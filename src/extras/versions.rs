//! The versions of one file, here and in the store, and the decision which of them changed.
//! Push and pull decide alike.

use std::error::Error;

use crate::domain::error::error_chain;
use crate::extras::file_version::FileVersion;
use crate::extras::open_bundle::{OpenBundle, StoredVersion};
use crate::extras::owner::OwnerFile;
use crate::extras::state::{ExtrasState, ScannedFile};
use crate::extras::text_file::{InvalidText, TextFile, hash};
use crate::report::ExtraOutcome;
use crate::session::{MAX_EXTRA_BYTES, extras::ExtraText, extras::TOO_LARGE, extras::read_text};
use crate::sys::fs::FileStamp;

/// A file on this machine.
#[derive(Debug)]
pub(crate) enum LocalVersion {
    Missing,
    /// Unchanged since it was last in sync.
    Unchanged,
    Changed {
        file: TextFile,
        local: String,
    },
}

/// The versions of one file for a three-way comparison.
pub(crate) struct Versions {
    /// The version that was last in sync.
    pub(crate) base: Option<FileVersion>,
    pub(crate) ours: LocalVersion,
    pub(crate) theirs: StoredVersion,
    /// Stamp of the file here; `None`: it is missing.
    pub(crate) stamp: Option<FileStamp>,
    /// The file here may be executed; `None`: this does not matter, or the system does not
    /// know.
    pub(crate) executable: Option<bool>,
}

/// Which side has something that the other has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Both are unchanged since they were last in sync.
    Unchanged,
    /// Both have the same content, though one of them changed.
    InSync,
    /// Neither has the file any more.
    Deleted,
    /// Only this machine changed or removed the file.
    Ours,
    /// Only another machine changed or removed it; or it changed a file that this machine
    /// removed.
    Theirs,
    /// Both changed it.
    Both,
}

impl Versions {
    /// Reads the versions of one file, and records the scan of the local one.
    ///
    /// # Errors
    /// The outcome to report if the file cannot be compared.
    pub(crate) fn read(
        file: OwnerFile<'_>,
        bundle: &OpenBundle<'_>,
        state: &mut ExtrasState,
    ) -> Result<Self, ExtraOutcome> {
        let stamp = file.owner.listing.stamp(file.name);
        let base = state.base(&file.owner.name, file.name);
        let theirs = bundle.file(file.name).map_err(|e| skipped(&e))?;
        let ours = match stamp {
            None => {
                state.record_scan(&file.owner.name, file.name, ScannedFile::default());
                LocalVersion::Missing
            }
            Some(stamp) => LocalVersion::read(file, stamp, (base.as_ref(), &theirs), state)?,
        };
        Ok(Self {
            base,
            ours,
            theirs,
            stamp,
            executable: stamp.and_then(|_| file.executable()),
        })
    }

    /// This machine's version; `None`: it has no file.
    pub(crate) fn ours(&self) -> Option<FileVersion> {
        match &self.ours {
            LocalVersion::Missing => None,
            LocalVersion::Unchanged => {
                let base = self.base.clone()?;
                let file = base.file.clone();
                Some(FileVersion {
                    file: file.with_executable(Some(&base.file), self.executable),
                    ..base
                })
            }
            LocalVersion::Changed { file, local } => Some(FileVersion {
                file: file.clone(),
                local: local.clone(),
                executable: self.executable.unwrap_or(false),
                is_localized: true,
            }),
        }
    }

    /// The store's version with the paths of this machine; `None`: the store has no file.
    pub(crate) fn theirs(&self, file: OwnerFile<'_>) -> Result<Option<FileVersion>, InvalidText> {
        let StoredVersion::Present { file: stored, .. } = &self.theirs else {
            return Ok(None);
        };
        Ok(Some(FileVersion {
            local: file.rewriter.expand(stored)?,
            file: stored.clone(),
            executable: self.executable.unwrap_or(false),
            is_localized: true,
        }))
    }

    pub(crate) fn has_local_changes(&self) -> bool {
        matches!(self.ours, LocalVersion::Changed { .. })
    }

    /// Returns true if the file here may be executed once it has the `stored` content: the side
    /// that changed this is right.
    pub(crate) fn becomes_program(&self, stored: &TextFile) -> bool {
        let before = self
            .base
            .as_ref()
            .is_some_and(|base| base.file.is_program());
        match (stored.executable, self.executable) {
            (Some(stored), _) if stored != before => stored,
            (_, Some(here)) => here,
            (stored, None) => stored.unwrap_or(before),
        }
    }

    /// Decides which side changed the file.
    pub(crate) fn decide(&self, file: OwnerFile<'_>) -> Decision {
        let StoredVersion::Present { file: stored, .. } = &self.theirs else {
            return self.decide_without_stored(file);
        };
        let is_base = self
            .base
            .as_ref()
            .is_some_and(|base| stored.adds_nothing_to(&base.file));
        match (&self.ours, &self.base) {
            (LocalVersion::Missing, Some(base)) if is_base => {
                // A missing directory is not a removal of its files, and neither is the
                // clean-up of the client. A file that the user refused was never here.
                let is_removal = file.owner.listing.exists && !file.kind.is_deleted_by_client();
                if is_removal && base.is_localized {
                    Decision::Ours
                } else {
                    Decision::Unchanged
                }
            }
            (LocalVersion::Unchanged, Some(base)) if is_base => {
                // An older ccsync does not store the right to be executed.
                let was_program = base.executable || base.file.is_program();
                if base.is_localized && was_program && stored.executable.is_none() {
                    Decision::Ours
                } else {
                    Decision::Unchanged
                }
            }
            (LocalVersion::Unchanged, Some(base)) if self.equals(stored, &base.local, file) => {
                Decision::InSync
            }
            (LocalVersion::Missing | LocalVersion::Unchanged, _) => Decision::Theirs,
            (LocalVersion::Changed { local, .. }, _) if self.equals(stored, local, file) => {
                Decision::InSync
            }
            (LocalVersion::Changed { local, .. }, _)
                if is_base || stored.executable.is_none() && has_text(stored, local, file) =>
            {
                Decision::Ours
            }
            (LocalVersion::Changed { .. }, _) => Decision::Both,
        }
    }

    /// As [`Self::decide`], for a file that the store does not have.
    fn decide_without_stored(&self, file: OwnerFile<'_>) -> Decision {
        match (&self.ours, &self.theirs) {
            (LocalVersion::Missing, _) => Decision::Deleted,
            // The store keeps only the newest plans, but no machine loses one.
            (LocalVersion::Unchanged, _) if file.kind.is_deleted_by_client() => Decision::Unchanged,
            (LocalVersion::Unchanged, StoredVersion::Removed) => Decision::Theirs,
            // A change wins over a removal, and a file that the store lost is pushed again.
            _ => Decision::Ours,
        }
    }

    /// Returns true if `local` is the `stored` content, and the file may be executed just as
    /// that.
    fn equals(&self, stored: &TextFile, local: &str, file: OwnerFile<'_>) -> bool {
        let executable = self.executable;
        executable.is_none_or(|executable| executable == stored.is_program())
            && has_text(stored, local, file)
    }
}

/// The outcome for a file that an error concerns.
pub(crate) fn skipped(error: &dyn Error) -> ExtraOutcome {
    ExtraOutcome::Skipped {
        reason: error_chain(error),
    }
}

fn has_text(stored: &TextFile, local: &str, file: OwnerFile<'_>) -> bool {
    file.rewriter.expand(stored).is_ok_and(|text| text == local)
}

impl LocalVersion {
    fn read(
        file: OwnerFile<'_>,
        stamp: FileStamp,
        (base, theirs): (Option<&FileVersion>, &StoredVersion),
        state: &mut ExtrasState,
    ) -> Result<Self, ExtraOutcome> {
        let directory = &file.owner.name;
        let executable = file.executable();
        let scanned = ScannedFile {
            stamp: Some(stamp),
            executable: executable.unwrap_or(false),
            ..ScannedFile::default()
        };
        let is_executable_as =
            |base: &FileVersion| executable.is_none_or(|executable| executable == base.executable);
        if stamp.len <= MAX_EXTRA_BYTES
            && let Some(known) = state.file(directory, file.name)
            && known.stamp == Some(stamp)
            && base.is_some_and(|base| {
                is_executable_as(base) && known.hash.as_ref() == Some(&hash(&base.local))
            })
        {
            return Ok(Self::Unchanged);
        }

        let text = if stamp.len > MAX_EXTRA_BYTES {
            ExtraText::Unsuitable(TOO_LARGE)
        } else {
            read_text(&file.owner.path(file.name)).map_err(|e| skipped(&e))?
        };
        let local = match text {
            ExtraText::Text(local) => local,
            ExtraText::Unsuitable(reason) => {
                let reason = reason.to_owned();
                let scanned = ScannedFile {
                    exclude_reason: Some(reason.clone()),
                    ..scanned
                };
                state.record_scan(directory, file.name, scanned);
                return Err(ExtraOutcome::Excluded { reason });
            }
        };
        let hash = Some(hash(&local));
        state.record_scan(directory, file.name, ScannedFile { hash, ..scanned });

        if let StoredVersion::Present { file: stored, .. } = theirs {
            file.rewriter.learn_secrets(stored, &local);
        }
        let text = match base {
            Some(base) if base.local == local && is_executable_as(base) => {
                return Ok(Self::Unchanged);
            }
            Some(base) if base.is_localized => {
                file.rewriter.collapse_from(&base.file, &base.local, &local)
            }
            _ => file.rewriter.collapse(&local),
        };
        Ok(Self::Changed {
            file: text.with_executable(base.map(|base| &base.file), executable),
            local,
        })
    }
}
