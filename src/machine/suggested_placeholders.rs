//! Suggests directories on this machine for placeholders of other machines.
//!
//! Suggests existing directories only: the store is untrusted.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use crate::checkouts::{identity::below_home, identity::is_plain};
use crate::domain::{Placeholder, PlaceholderName, Placeholders, PortablePath};
use crate::rewrite::{collapse_path, expand_path};
use crate::store::machine::Machine;
use crate::workspace::{SyncError, Workspace};

/// A placeholder of another machine that is missing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignPlaceholder {
    /// Its name.
    pub name: PlaceholderName,
    /// The machine with it that pushed last; not sanitized.
    pub machine: String,
    /// Its directory there, not sanitized.
    pub there: String,
    /// Suggested directory, which exists here.
    pub here: Option<PathBuf>,
}

/// Returns the placeholders of other machines that are missing here, by name.
pub(crate) fn foreign_placeholders(
    workspace: &Workspace<'_>,
    placeholders: &Placeholders,
) -> Result<Vec<ForeignPlaceholder>, SyncError> {
    let mut machines = workspace.store.head_snapshot()?.machines()?;
    machines.retain(|machine| machine.id != workspace.ctx.settings.machine.id);
    machines.sort_by_cached_key(|machine| Reverse(machine.last_push.clone()));
    Ok(unknown_here(&machines, placeholders, &Path::is_dir))
}

fn unknown_here(
    machines: &[Machine],
    placeholders: &Placeholders,
    is_dir: &dyn Fn(&Path) -> bool,
) -> Vec<ForeignPlaceholder> {
    let mut found: Vec<ForeignPlaceholder> = Vec::new();
    for machine in machines {
        for root in machine
            .placeholders
            .placeholders
            .iter()
            .filter(|root| placeholders.get(root.name.as_str()).is_none())
        {
            let here = || {
                candidates(&machine.placeholders, root, placeholders)
                    .into_iter()
                    .find(|path| is_new(path, placeholders) && is_dir(path))
            };
            match found
                .iter_mut()
                .find(|placeholder| placeholder.name == root.name)
            {
                Some(placeholder) if placeholder.here.is_some() => {}
                Some(placeholder) => placeholder.here = here(),
                None => found.push(ForeignPlaceholder {
                    name: root.name.clone(),
                    machine: machine.name.clone(),
                    there: root.directory.clone(),
                    here: here(),
                }),
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Returns the candidate directories: the same path below the home directory, the same
/// path, or the same name in the home directory. Never a directory that programs run or
/// read configuration from.
fn candidates(there: &Placeholders, root: &Placeholder, here: &Placeholders) -> Vec<PathBuf> {
    let name = root
        .directory
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let in_home = PortablePath::new(format!("{{{{HOME}}}}/{name}"));
    let in_home = Some(in_home)
        .filter(is_plain)
        .and_then(|portable| expand_path(&portable, here))
        .map(PathBuf::from);
    let same_path = || {
        let is_elsewhere =
            there.system.is_windows() == here.system.is_windows() && !is_below_home(there, root);
        is_elsewhere
            .then(|| PathBuf::from(&root.directory))
            .filter(|_| is_plain(&collapse_path(here, &root.directory)))
    };
    [below_home(there, &root.name, here), same_path(), in_home]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns true for a path in another user's home directory.
fn is_below_home(there: &Placeholders, root: &Placeholder) -> bool {
    let home = there.get(PlaceholderName::home().as_str());
    home.is_some_and(|home| Path::new(&root.directory).starts_with(&home.directory))
}

/// Removes candidates that another placeholder has.
fn is_new(path: &Path, placeholders: &Placeholders) -> bool {
    let is = |known: &str| Path::new(known) == path;
    !placeholders
        .placeholders
        .iter()
        .any(|root| is(&root.directory) || root.resolved.as_deref().is_some_and(is))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::System;

    fn placeholders(system: System, placeholders: &[(&str, &str)]) -> Placeholders {
        let root = |(name, path): &(&str, &str)| {
            Placeholder::new(system, name.parse().unwrap(), path, None).unwrap()
        };
        Placeholders::new(system, placeholders.iter().map(root))
    }

    fn machine(name: &str, placeholders: Placeholders) -> Machine {
        Machine::renewed(None, "a".repeat(32).parse().unwrap(), name, placeholders)
    }

    /// Returns the suggestion for `WORK` on a machine with the home `/home/bo`, where these
    /// directories exist.
    fn proposed(there: Placeholders, existing: &[&str]) -> Option<PathBuf> {
        let here = placeholders(
            System::Linux,
            &[("HOME", "/home/bo"), ("MINE", "/home/bo/mine")],
        );
        let is_dir = |path: &Path| existing.iter().any(|existing| Path::new(existing) == path);
        let found = unknown_here(&[machine("m", there)], &here, &is_dir);
        let [placeholder] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (placeholder.name.as_str(), placeholder.machine.as_str()),
            ("WORK", "m")
        );
        placeholder.here.clone()
    }

    #[test]
    fn placeholder_suggestion_is_an_existing_directory() {
        let linux = |workspace: &str| {
            placeholders(System::Linux, &[("HOME", "/home/al"), ("WORK", workspace)])
        };
        let windows = || {
            placeholders(
                System::Windows,
                &[("HOME", r"C:\Users\al"), ("WORK", r"D:\work")],
            )
        };
        for (there, existing, expected) in [
            (
                linux("/home/al/my/work"),
                &["/home/bo/my/work", "/home/bo/work"][..],
                Some("/home/bo/my/work"),
            ),
            (
                linux("/home/al/my/work"),
                &["/home/bo/work"],
                Some("/home/bo/work"),
            ),
            (
                linux("/srv/work"),
                &["/srv/work", "/home/bo/work"],
                Some("/srv/work"),
            ),
            (
                linux("/srv/work"),
                &["/home/bo/work"],
                Some("/home/bo/work"),
            ),
            (windows(), &["/home/bo/work"], Some("/home/bo/work")),
            (linux("/srv/work"), &[], None),
            // Another user's.
            (linux("/home/al/work"), &["/home/al/work"], None),
            // It has a placeholder.
            (linux("/home/al/mine"), &["/home/bo/mine"], None),
            (
                linux("/home/al/.ssh"),
                &["/home/bo/.ssh", "/home/al/.ssh"],
                None,
            ),
            (linux("/home/bo/.ssh"), &["/home/bo/.ssh"], None),
            (linux("/etc"), &["/etc", "/home/bo/etc"], None),
        ] {
            assert_eq!(
                proposed(there.clone(), existing),
                expected.map(PathBuf::from),
                "{there:?} {existing:?}"
            );
        }
    }

    #[test]
    fn placeholder_suggestion_uses_any_machine() {
        let here = placeholders(System::Linux, &[("HOME", "/home/bo")]);
        let of = |name: &str, path: &str| {
            machine(
                name,
                placeholders(System::Linux, &[("HOME", "/home/al"), ("W", path)]),
            )
        };
        let found = unknown_here(
            &[of("new", "/data/x"), of("old", "/home/al/w")],
            &here,
            &|path| path.ends_with("bo/w"),
        );
        let [placeholder] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (placeholder.machine.as_str(), placeholder.there.as_str()),
            ("new", "/data/x")
        );
        assert_eq!(placeholder.here.as_deref(), Some(Path::new("/home/bo/w")));
    }
}
