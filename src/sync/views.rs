//! How a stored line reads on this machine.
//!
//! A line that this machine wrote reads as it wrote it; a foreign one reads by the `paths` setting. A file on the disk may have been
//! written under earlier settings or roots, or be a raw copy: whether it *is* the stored session is decided by trying each reading.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem;

use super::SyncError;
use crate::config::PathsSetting;
use crate::domain::id::{MachineId, SessionId};
use crate::domain::root::RootSet;
use crate::rewrite::{Expander, TextKind, View};
use crate::store::manifest::{Manifest, RootsKey, Run};

/// One way to read a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    /// As its machine wrote it.
    Exact,
    /// With the `n`-th root set of this machine (0 is the present one).
    With(View, usize),
}

/// More of a title nobody wants to see.
const LONGEST_TITLE: usize = 2000;

/// This machine's eyes.
pub(super) struct Views {
    me: MachineId,
    /// The present roots, then the former ones, then those of other machines, from which files may have been copied raw.
    roots: Vec<RootSet>,
    setting: PathsSetting,
    expanders: Mutex<HashMap<(RootsKey, Reading), Arc<Expander>>>,
}

/// Which session a text is read as.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    views: &'a Views,
    manifest: &'a Manifest,
    /// The id that the local file has; a fork's lines are read under it.
    session: &'a SessionId,
    kind: TextKind,
}

impl Views {
    pub(super) fn new(me: MachineId, present: RootSet, others: Vec<RootSet>, setting: PathsSetting) -> Self {
        let mut roots = vec![present];
        for set in others {
            if !roots.contains(&set) {
                roots.push(set);
            }
        }
        Self { me, roots, setting, expanders: Mutex::default() }
    }

    pub(super) fn me(&self) -> &MachineId {
        &self.me
    }

    /// The present roots.
    pub(super) fn roots(&self) -> &RootSet {
        &self.roots[0]
    }

    /// Reads files of `manifest` as files of the session `session`.
    pub(super) fn reader<'a>(&'a self, manifest: &'a Manifest, session: &'a SessionId, kind: TextKind) -> Reader<'a> {
        Reader { views: self, manifest, session, kind }
    }

    /// The title the client would show, with this machine's paths. Untrusted text.
    pub(super) fn title(&self, manifest: &Manifest) -> Option<String> {
        self.words(manifest, manifest.titles.shown()?)
    }

    /// The first prompt, with this machine's paths. Untrusted text.
    pub(super) fn first_prompt(&self, manifest: &Manifest) -> Option<String> {
        self.words(manifest, manifest.titles.first_prompt.as_deref()?)
    }

    fn words(&self, manifest: &Manifest, portable: &str) -> Option<String> {
        // What this program wrote has 200 characters before its paths are collapsed.
        let title: String = portable.chars().take(LONGEST_TITLE).collect();
        let last = manifest.transcript.runs.last();
        let Some(expander) = last.and_then(|run| self.expander(manifest, run, Reading::With(View::Local, 0))) else {
            return Some(title);
        };
        let mut shown = Vec::new();
        expander.expand(title.as_bytes(), TextKind::Plain, &mut shown);
        Some(String::from_utf8_lossy(&shown).into_owned())
    }

    /// Stored text as a person reads it here: with this machine's paths, whatever the setting for files on the disk is.
    ///
    /// # Errors
    /// [`SyncError::Oversized`]
    pub(super) fn localised<'t>(
        &self,
        manifest: &Manifest,
        run: &Run,
        kind: TextKind,
        portable: &'t [u8],
    ) -> Result<Cow<'t, [u8]>, SyncError> {
        if run.verbatim || memmem::find(portable, b"{{").is_none() {
            return Ok(Cow::Borrowed(portable));
        }
        let reader = self.reader(manifest, &manifest.session, kind);
        reader.read(run, Reading::With(View::Local, 0), portable).map(Cow::Owned)
    }

    /// Whether text that the model has seen stays on this machine as its origin wrote it.
    pub(super) fn keeps_the_past(&self, manifest: &Manifest) -> bool {
        self.view_of(manifest) == View::Original
    }

    fn view_of(&self, manifest: &Manifest) -> View {
        match self.setting {
            PathsSetting::Local => View::Local,
            PathsSetting::Original => View::Original,
            PathsSetting::Auto if manifest.bound => View::Original,
            PathsSetting::Auto => View::Local,
        }
    }

    fn expander(&self, manifest: &Manifest, run: &Run, reading: Reading) -> Option<Arc<Expander>> {
        let key = (run.roots.clone(), reading);
        // What another thread has entered is whole, whatever became of that thread.
        let mut expanders = self.expanders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expander) = expanders.get(&key) {
            return Some(Arc::clone(expander));
        }
        let origin = manifest.roots.get(&run.roots)?;
        let expander = Arc::new(match reading {
            Reading::Exact => Expander::exact(origin),
            Reading::With(view, n) => Expander::new(origin, &self.roots[n], view),
        });
        expanders.insert(key, Arc::clone(&expander));
        Some(expander)
    }
}

impl<'a> Reader<'a> {
    /// Whether this machine wrote the run.
    pub(super) fn is_mine(&self, run: &Run) -> bool {
        run.machine == self.views.me
    }

    /// How the run is written to this machine's disk now.
    pub(super) fn preferred(&self, run: &Run) -> Reading {
        let as_written = self.is_mine(run) && self.manifest.roots.get(&run.roots) == Some(self.views.roots());
        if as_written { Reading::Exact } else { Reading::With(self.views.view_of(self.manifest), 0) }
    }

    /// Every way in which the run may lie on this machine's disk, the likeliest first.
    pub(super) fn readings(&self, run: &Run) -> Vec<Reading> {
        let mut readings = vec![self.preferred(run), Reading::Exact];
        for n in 0..self.views.roots.len() {
            readings.extend([Reading::With(View::Original, n), Reading::With(View::Local, n)]);
        }
        let mut seen = Vec::new();
        readings.retain(|r| {
            !seen.contains(r) && {
                seen.push(*r);
                true
            }
        });
        readings
    }

    /// The text of `run` under one reading.
    ///
    /// # Errors
    /// [`SyncError::Oversized`]
    pub(super) fn read(&self, run: &Run, reading: Reading, portable: &[u8]) -> Result<Vec<u8>, SyncError> {
        let mut text = Vec::with_capacity(portable.len() + portable.len() / 8);
        match self.views.expander(self.manifest, run, reading).filter(|_| !run.verbatim) {
            Some(expander) => {
                let session = || self.manifest.session.clone();
                let done = expander.expand_bounded(portable, self.kind, &mut text);
                done.map_err(|source| SyncError::Oversized { session: session(), source })?;
            }
            None => text.extend_from_slice(portable),
        }
        Ok(self.rename(run, text))
    }

    /// The text of `run` as its machine wrote it, the session's name included.
    pub(super) fn as_written(
        views: &'a Views,
        manifest: &'a Manifest,
        run: &Run,
        kind: TextKind,
        portable: &[u8],
    ) -> Result<Vec<u8>, SyncError> {
        let session = run.written_as.as_ref().unwrap_or(&manifest.session);
        Reader { views, manifest, session, kind }.read(run, Reading::Exact, portable)
    }

    /// The text as it is written to this machine's disk now.
    pub(super) fn read_preferred(&self, run: &Run, portable: &[u8]) -> Result<Vec<u8>, SyncError> {
        self.read(run, self.preferred(run), portable)
    }

    /// The portable text of `run`, with the name of the session that it is read as.
    pub(super) fn portable(&self, run: &Run, portable: &[u8]) -> Vec<u8> {
        self.rename(run, portable.to_vec())
    }

    /// A fork's lines say the id of the session they were written under; on the disk they say the file's.
    fn rename(&self, run: &Run, text: Vec<u8>) -> Vec<u8> {
        let written_as = run.written_as.as_ref().unwrap_or(&self.manifest.session);
        if written_as == self.session || !matches!(self.kind, TextKind::Json) {
            return text;
        }
        renamed(&text, written_as, self.session)
    }
}

/// JSON text in which every record of the session `old` says that it is one of `new`.
pub(super) fn renamed(text: &[u8], old: &SessionId, new: &SessionId) -> Vec<u8> {
    let [old, new] = [old, new].map(|id| format!("\"sessionId\":\"{id}\""));
    let mut renamed = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memmem::find_iter(text, old.as_bytes()) {
        renamed.extend_from_slice(&text[from..at]);
        renamed.extend_from_slice(new.as_bytes());
        from = at + old.len();
    }
    renamed.extend_from_slice(&text[from..]);
    renamed
}
