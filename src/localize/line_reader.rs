//! Reads stored lines of one session as text of this machine.
//!
//! A file on the disk may have been written under earlier settings or placeholders, or be a raw
//! copy. So a comparison tries every choice. Must not know where the lines come from.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::memmem;

use crate::checkouts::{former::former_project, locate::is_in_repo};
use crate::domain::id::SessionId;
use crate::localize::error::StoredDataError;
use crate::localize::localizer::{Localizer, PlaceholderChoice, Reading, SecretChoice};
use crate::rewrite::{TextKind, View, secrets_in};
use crate::secrets::Secrets;
use crate::session::fields::with_value;
use crate::store::{manifest::Manifest, manifest::Run};

/// Reads stored lines of one session, as those of one local file.
pub(crate) struct StoredLineReader<'a> {
    localizer: &'a Localizer,
    manifest: &'a Manifest,
    /// Id of the local file. A fork's lines are read under this id.
    session: &'a SessionId,
    kind: TextKind,
    /// Working directories that the local file names.
    directories: Vec<String>,
    /// Index of the placeholders that the session is written with here.
    present: OnceCell<usize>,
    /// Indexes of the session's own sets that the file may have been written with.
    candidates: OnceCell<Vec<usize>>,
}

impl Localizer {
    /// Returns a reader of files of `manifest`, as files of the session `session`.
    pub(crate) fn reader<'a>(
        &'a self,
        manifest: &'a Manifest,
        session: &'a SessionId,
        kind: TextKind,
    ) -> StoredLineReader<'a> {
        let (directories, present, candidates) = Default::default();
        StoredLineReader {
            localizer: self,
            manifest,
            session,
            kind,
            directories,
            present,
            candidates,
        }
    }

    /// Localizes stored text for display: with this machine's paths, whatever the setting
    /// for files is.
    ///
    /// # Errors
    /// [`StoredDataError::Oversized`]
    pub(crate) fn localize_text<'t>(
        &self,
        manifest: &Manifest,
        run: &Run,
        kind: TextKind,
        portable: &'t [u8],
    ) -> Result<Cow<'t, [u8]>, StoredDataError> {
        if run.verbatim || memmem::find(portable, b"{{").is_none() {
            return Ok(Cow::Borrowed(portable));
        }
        let reader = self.reader(manifest, &manifest.session, kind);
        let in_repo = manifest
            .placeholders
            .get(&run.placeholders)
            .is_some_and(|origin| origin.repo().is_some());
        let present = if !in_repo {
            0
        } else if former_project(manifest, &run.placeholders).is_some() {
            reader.index_for(run)
        } else {
            self.current_index(manifest)
        };
        let reading = Reading {
            placeholders: PlaceholderChoice::With(View::Local, present),
            secrets: SecretChoice::Redaction,
        };
        reader.read(run, reading, portable).map(Cow::Owned)
    }
}

impl<'a> StoredLineReader<'a> {
    /// Returns the secrets of this machine.
    pub(super) fn secrets(&self) -> Option<&Secrets> {
        self.localizer.secrets().map(AsRef::as_ref)
    }

    /// Returns true if this machine wrote the run.
    pub(crate) fn is_mine(&self, run: &Run) -> bool {
        run.machine == *self.localizer.machine()
    }

    /// Returns the reader of a local file that names these working directories.
    pub(crate) fn with_directories(self, directories: Vec<String>) -> Self {
        Self {
            directories,
            candidates: OnceCell::new(),
            ..self
        }
    }

    /// Returns true if the choices depend on the location of the session's repository.
    pub(crate) fn depends_on_repo(&self) -> bool {
        is_in_repo(self.manifest)
    }

    /// Returns how the run is written to this machine's disk now. Runs of this machine
    /// stay as they are, wherever the repository is now.
    pub(crate) fn preferred_reading(&self, run: &Run) -> Reading {
        Reading {
            placeholders: self.preferred_choice(run),
            secrets: SecretChoice::Local,
        }
    }

    fn preferred_choice(&self, run: &Run) -> PlaceholderChoice {
        let origin = self.manifest.placeholders.get(&run.placeholders);
        let as_written = self.is_mine(run)
            && origin.is_some_and(|origin| origin.without_repo() == *self.localizer.placeholders());
        if as_written {
            PlaceholderChoice::AsWritten
        } else {
            PlaceholderChoice::With(self.localizer.view_for(self.manifest), self.index_for(run))
        }
    }

    fn current_index(&self) -> usize {
        *self.present.get_or_init(|| {
            let repo = self.localizer.locator().locate(self.manifest, self.session);
            repo.map_or(0, |repo| {
                self.localizer
                    .index_of(self.localizer.placeholders().with(repo))
            })
        })
    }

    /// Returns the index of the placeholders that the run is written with here.
    fn index_for(&self, run: &Run) -> usize {
        if former_project(self.manifest, &run.placeholders).is_none() {
            return self.current_index();
        }
        let locator = self.localizer.locator();
        let repo = locator.locate_run(self.manifest, self.session, run);
        repo.map_or(0, |repo| {
            self.localizer
                .index_of(self.localizer.placeholders().with(repo))
        })
    }

    fn candidate_indexes(&self) -> &[usize] {
        self.candidates.get_or_init(|| {
            let sets = self.localizer.locator().candidate_placeholders(
                self.manifest,
                self.session,
                &self.directories,
            );
            sets.into_iter()
                .map(|set| self.localizer.index_of(set))
                .collect()
        })
    }

    /// Records that the local file has `run` in this choice: later lines are written with
    /// the same repository.
    pub(crate) fn record_reading(&self, run: &Run, reading: Reading) {
        if let PlaceholderChoice::With(_, n) = reading.placeholders
            && former_project(self.manifest, &run.placeholders).is_none()
            && n != self.current_index()
            && self
                .manifest
                .placeholders
                .get(&run.placeholders)
                .is_some_and(|origin| origin.repo().is_some())
            && let Some(repo) = self.localizer.placeholders_at(n).repo()
        {
            self.localizer
                .clones()
                .record_checkout(self.session, Some(&repo.directory));
        }
    }

    /// Returns every way in which the text of the run may be on this machine's disk, the
    /// likeliest first.
    ///
    /// Computes the others only on demand. A machine may have read a secret before it knew the
    /// value, or with a version that knew no secrets.
    pub(crate) fn readings(&self, run: &Run, portable: &[u8]) -> impl Iterator<Item = Reading> {
        let has_secrets = secrets_in(portable).next().is_some();
        let others = [SecretChoice::Redaction, SecretChoice::Placeholder];
        let secrets = std::iter::once(SecretChoice::Local)
            .chain(others.into_iter().filter(move |_| has_secrets));
        secrets.flat_map(|secrets| {
            self.choices(run).map(move |placeholders| Reading {
                placeholders,
                secrets,
            })
        })
    }

    fn choices(&self, run: &Run) -> impl Iterator<Item = PlaceholderChoice> {
        let preferred = self.preferred_choice(run);
        let others = move || {
            let numbers = self
                .candidate_indexes()
                .iter()
                .copied()
                .chain(0..self.localizer.known_count());
            let with = numbers.clone().flat_map(|n| {
                [
                    PlaceholderChoice::With(View::Original, n),
                    PlaceholderChoice::With(View::Local, n),
                ]
            });
            let has_links = |n: &usize| {
                let set = self.localizer.placeholders_at(*n);
                set.placeholders
                    .iter()
                    .any(|placeholder| placeholder.resolved.is_some())
            };
            let linked = numbers.clone().filter(has_links);
            let former = linked.flat_map(|n| {
                [
                    PlaceholderChoice::With(View::FormerOriginal, n),
                    PlaceholderChoice::With(View::FormerLocal, n),
                ]
            });
            let mut seen = vec![preferred];
            let all: Vec<PlaceholderChoice> = std::iter::once(PlaceholderChoice::AsWritten)
                .chain(with)
                .chain(former)
                .collect();
            all.into_iter().filter(move |choice| {
                let is_new = !seen.contains(choice);
                if is_new {
                    seen.push(*choice);
                }
                is_new
            })
        };
        std::iter::once(preferred).chain(std::iter::once_with(others).flatten())
    }

    /// Returns the text of `run` in one reading.
    ///
    /// # Errors
    /// [`StoredDataError::Oversized`]
    pub(crate) fn read(
        &self,
        run: &Run,
        reading: Reading,
        portable: &[u8],
    ) -> Result<Vec<u8>, StoredDataError> {
        let mut text = Vec::with_capacity(portable.len() + portable.len() / 8);
        match self
            .localizer
            .expander(self.manifest, run, reading.placeholders)
            .filter(|_| !run.verbatim)
        {
            Some(expander) => {
                let session = || self.manifest.session.clone();
                let secrets = self.localizer.secret_view(reading.secrets);
                let done = expander.expand_bounded(portable, self.kind, secrets, &mut text);
                done.map_err(|source| StoredDataError::Oversized {
                    session: session(),
                    source,
                })?;
            }
            None => text.extend_from_slice(portable),
        }
        Ok(self.rename(run, text))
    }

    /// Returns the text of `run` as its machine wrote it, including the session id, with the
    /// placeholders of secrets.
    pub(crate) fn as_written(
        localizer: &'a Localizer,
        manifest: &'a Manifest,
        run: &Run,
        kind: TextKind,
        portable: &[u8],
    ) -> Result<Vec<u8>, StoredDataError> {
        let session = run.written_as.as_ref().unwrap_or(&manifest.session);
        localizer
            .reader(manifest, session, kind)
            .read(run, Reading::WRITTEN, portable)
    }

    /// Returns the text as it is written to this machine's disk now.
    pub(crate) fn read_preferred(
        &self,
        run: &Run,
        portable: &[u8],
    ) -> Result<Vec<u8>, StoredDataError> {
        self.read(run, self.preferred_reading(run), portable)
    }

    /// Returns the portable text of `run`, with the session id that it is read under.
    pub(crate) fn portable(&self, run: &Run, portable: &[u8]) -> Vec<u8> {
        self.rename(run, portable.to_vec())
    }

    /// Replaces the session id that the lines were written under by that of the local
    /// file.
    fn rename(&self, run: &Run, text: Vec<u8>) -> Vec<u8> {
        let written_as = run.written_as.as_ref().unwrap_or(&self.manifest.session);
        if written_as == self.session || !matches!(self.kind, TextKind::Json) {
            return text;
        }
        rename_session(&text, written_as, self.session)
    }
}

/// Replaces the session id `old` by `new` in each record.
pub(crate) fn rename_session(text: &[u8], old: &SessionId, new: &SessionId) -> Vec<u8> {
    let (old, new) = (format!("{old}\""), format!("{new}\""));
    let mut renamed = Vec::with_capacity(text.len());
    let mut from = 0;
    // The offset is that of the quote before the value.
    for at in with_value(text, "sessionId", &old) {
        renamed.extend_from_slice(&text[from..=at]);
        renamed.extend_from_slice(new.as_bytes());
        from = at + 1 + old.len();
    }
    renamed.extend_from_slice(&text[from..]);
    renamed
}
