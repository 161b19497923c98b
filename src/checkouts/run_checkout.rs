//! Locates `{{REPO}}` of one run: that of the session, or of a project that the session has left.

use std::path::Path;

use crate::checkouts::{
    former::former_project, locate::CheckoutLocator, locate::place_of, locate::placeholder_at_path,
    origins::portable_top,
};
use crate::domain::{Placeholder, ProjectIdentity, SessionId};
use crate::store::{manifest::Manifest, manifest::Run};
use crate::sys::fs::is_dir_in_time;

impl CheckoutLocator<'_> {
    /// Returns the repository that the lines of `run` in the files of `session` here are written
    /// with, or would be.
    pub(crate) fn locate_run(
        self,
        manifest: &Manifest,
        session: &SessionId,
        run: &Run,
    ) -> Option<Placeholder> {
        match former_project(manifest, &run.placeholders) {
            Some(former) => self.locate_former(manifest, session, run, former),
            None => self.locate(manifest, session),
        }
    }

    /// Prefers the clone where the session was, then the place where its machine has it, then any
    /// clone.
    fn locate_former(
        self,
        manifest: &Manifest,
        session: &SessionId,
        run: &Run,
        former: &ProjectIdentity,
    ) -> Option<Placeholder> {
        let base = &self.bases[0];
        let origin = manifest.placeholders.get(&run.placeholders)?;
        let used = self.clones.recorded_checkout(session);
        let used = used.filter(|top| self.clones.last_identity(top).as_ref() == Some(former));
        let same = portable_top(origin).and_then(|top| place_of(&top, base));
        let is_there = |top: &String| is_dir_in_time(Path::new(top));
        let clone = || {
            let trees = self.clones.existing(former);
            Some(trees.first()?.top.to_str()?.to_owned())
        };
        let top = used
            .or_else(|| same.clone().filter(is_there))
            .or_else(clone)
            .or(same)?;
        placeholder_at_path(base, &top)
    }
}
