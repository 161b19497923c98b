//! A machine of the source as a machine of this store: its id, its placeholders, and which
//! lines it may have written.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Settings;
use crate::domain::{
    MachineId, Placeholder, PlaceholderName, Placeholders, PortablePath, System, url::has_drive,
};
use crate::extras::foreign::IMPORTED;
use crate::import::metadata::{ForeignMachine, MAX_TEXT_BYTES, SourceMetadata};
use crate::import::session_list::SessionCopy;
use crate::import::text::{PathStyle, PlaceholderPaths};
use crate::rewrite::collapse_path;
use crate::store::machine::Machine;
use crate::sys::Env;

/// Longest name of a machine in this store, in characters.
const MAX_NAME_CHARS: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct SourceMachine {
    /// Its name in the source.
    pub(crate) name: String,
    pub(crate) is_this: bool,
    /// Directories by placeholder, as the source has them.
    pub(crate) paths: BTreeMap<String, String>,
    /// The same directories, for lines of transcripts.
    pub(crate) json_paths: PlaceholderPaths,
    /// The machine in this store.
    pub(crate) machine: Machine,
    pub(crate) style: PathStyle,
}

impl SourceMachine {
    /// Returns every machine that the source names anywhere. If it names no machine, an unknown
    /// one wrote all sessions.
    pub(crate) fn all<'e>(
        metadata: &'e SourceMetadata,
        copies: &'e [SessionCopy],
        editors: impl Iterator<Item = &'e String>,
        env: &Env,
        settings: &Settings,
    ) -> Vec<Self> {
        let mut machines = metadata.machines.clone();
        let copied = copies.iter().filter_map(|copy| copy.machine.as_ref());
        let edited = metadata.edits.values().map(|edit| &edit.machine);
        for name in copied.chain(edited).chain(editors) {
            machines.entry(name.clone()).or_default();
        }
        if machines.is_empty() {
            machines.insert("unknown".to_owned(), ForeignMachine::default());
        }
        machines
            .iter()
            .map(|(name, machine)| Self::new(name, machine, env, settings))
            .collect()
    }

    fn new(name: &str, known: &ForeignMachine, env: &Env, settings: &Settings) -> Self {
        let my_home = env.home.to_string_lossy();
        let mut paths = known.paths.clone();
        let is_this = is_this_machine(name, &paths, &my_home, env, settings);
        let home = if is_this {
            Some(my_home.into_owned())
        } else {
            guess_home(&paths)
        };
        if let Some(home) = home {
            paths.entry("HOME".to_owned()).or_insert(home);
        }
        let system = if is_this {
            env.system
        } else {
            system_of(&paths)
        };
        // For this machine, its configuration has precedence over the source.
        let (id, shown_name, configured) = if is_this {
            let me = &settings.machine;
            let configured = settings.placeholders.placeholders.clone();
            (me.id.clone(), me.name.clone(), configured)
        } else {
            (derive_id(name), imported_name(name), Vec::new())
        };
        let placeholders = add_placeholders(configured, system, &paths);
        let placeholders = Placeholders::new(system, placeholders);
        let machine = Machine {
            last_push: known.updated_at.clone(),
            ..Machine::renewed(None, id, &shown_name, placeholders)
        };
        Self::from_parts(name, is_this, paths, machine)
    }

    fn from_parts(
        name: &str,
        is_this: bool,
        paths: BTreeMap<String, String>,
        machine: Machine,
    ) -> Self {
        let names = paths.iter().map(|(n, path)| (n.as_str(), path.as_str()));
        Self {
            name: name.to_owned(),
            is_this,
            json_paths: PlaceholderPaths::new(names),
            paths,
            style: if machine.placeholders.system.is_windows() {
                PathStyle::Windows
            } else {
                PathStyle::Unix
            },
            machine,
        }
    }

    /// Returns the portable path in this store of a path with placeholders of the source.
    /// Returns `None` if this machine has no such placeholder, or the store would refuse the
    /// path.
    pub(crate) fn portable(&self, path: &str) -> Option<PortablePath> {
        let placeholder = path.strip_prefix("{{").and_then(|p| p.split_once("}}"));
        let local = match placeholder {
            // The separator shows on which kind of system the path was written.
            Some((name, below)) if self.style == PathStyle::Unix && below.starts_with('\\') => {
                format!("{}{}", self.paths.get(name)?, below.replace('\\', "/"))
            }
            Some((name, below)) => format!("{}{below}", self.paths.get(name)?),
            None => path.to_owned(),
        };
        let is_refused = local.len() > MAX_TEXT_BYTES
            || local.split(['/', '\\']).any(|part| part == "..")
            || local.chars().any(char::is_control);
        (!is_refused).then(|| collapse_path(&self.machine.placeholders, &local))
    }

    /// Returns true if one of this machine's directories contains `path`.
    fn contains(&self, path: &str) -> bool {
        let portable = collapse_path(&self.machine.placeholders, path);
        portable.as_str().starts_with("{{")
    }
}

/// Returns the index of the machine whose directories contain `path`; of several, the preferred
/// one.
pub(crate) fn find_by_path(
    machines: &[SourceMachine],
    path: &str,
    preferred: Option<usize>,
) -> Option<usize> {
    preferred
        .filter(|at| machines[*at].contains(path))
        .or_else(|| machines.iter().position(|machine| machine.contains(path)))
}

/// Returns the index of the machine that wrote text with these placeholders: one of the right
/// style, with the most of the placeholders; among equals the preferred one, then this machine.
pub(crate) fn find_writer(
    machines: &[SourceMachine],
    style: Option<PathStyle>,
    names: &BTreeSet<String>,
    preferred: Option<&str>,
) -> Option<usize> {
    let fitness = |at: &usize| {
        let machine = &machines[*at];
        let known = names.iter().filter(|n| machine.paths.contains_key(*n));
        (
            style.is_none_or(|style| style == machine.style),
            known.count(),
            Some(machine.name.as_str()) == preferred,
            machine.is_this,
        )
    };
    // In reverse, because `max_by_key` returns the last of several.
    (0..machines.len()).rev().max_by_key(fitness)
}

/// Returns true if the source means this machine: the names agree, and so do the home
/// directories.
fn is_this_machine(
    name: &str,
    paths: &BTreeMap<String, String>,
    my_home: &str,
    env: &Env,
    settings: &Settings,
) -> bool {
    let names = [&env.host_name, &settings.machine.name];
    let home = paths.get("HOME");
    names.iter().any(|mine| mine.eq_ignore_ascii_case(name))
        && home.is_none_or(|home| home.trim_end_matches(['/', '\\']) == my_home)
}

/// Adds the directories of the source to the `placeholders`, unless a name is taken.
fn add_placeholders(
    mut placeholders: Vec<Placeholder>,
    system: System,
    paths: &BTreeMap<String, String>,
) -> Vec<Placeholder> {
    let mut taken: BTreeSet<_> = placeholders.iter().map(|p| p.name.clone()).collect();
    for (name, path) in paths {
        // `{{USERNAME}}` stands for a word, so it is not a path and stays text.
        if let Some(name) = placeholder_name(name)
            && let Ok(placeholder) = Placeholder::new(system, name.clone(), path, None)
            && taken.insert(name)
        {
            placeholders.push(placeholder);
        }
    }
    placeholders
}

/// Returns the name in this store of a placeholder, which may have any name in the source.
fn placeholder_name(name: &str) -> Option<PlaceholderName> {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: PlaceholderName = name.chars().map(plain).collect::<String>().parse().ok()?;
    // In this store, `REPO` is the repository of each session.
    if name == PlaceholderName::repo() {
        return "REPO_DIR".parse().ok();
    }
    Some(name)
}

fn system_of(paths: &BTreeMap<String, String>) -> System {
    if paths.values().any(|path| has_drive(path)) {
        System::Windows
    } else if paths.values().any(|path| path.starts_with("/Users/")) {
        System::Macos
    } else {
        System::Linux
    }
}

/// Derives the home directory of a machine from its other directories.
fn guess_home(paths: &BTreeMap<String, String>) -> Option<String> {
    paths.values().find_map(|path| {
        let slashed = path.replace('\\', "/");
        let drive = if has_drive(&slashed) { 2 } else { 0 };
        for parent in ["/home/", "/Users/"] {
            if let Some(below) = slashed[drive..].strip_prefix(parent)
                && let Some(user) = below.split('/').next().filter(|user| !user.is_empty())
            {
                return Some(path[..drive + parent.len() + user.len()].to_owned());
            }
        }
        None
    })
}

/// Derives the id of a machine, the same on every machine that imports the source.
fn derive_id(name: &str) -> MachineId {
    let hash = blake3::derive_key(
        "ccsync machine of claude-session-sync, version 1",
        name.as_bytes(),
    );
    let hex = blake3::Hash::from_bytes(hash).to_hex();
    hex[..32]
        .parse()
        .expect("32 hexadecimal digits are a machine id")
}

fn imported_name(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control());
    let name: String = plain.take(MAX_NAME_CHARS - IMPORTED.len()).collect();
    name + IMPORTED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[(&str, &str)]) -> BTreeMap<String, String> {
        paths
            .iter()
            .map(|(name, path)| ((*name).to_owned(), (*path).to_owned()))
            .collect()
    }

    #[test]
    fn import_system_and_home_are_derived_from_paths() {
        let of = |path: &str| {
            let paths = paths(&[("P", path)]);
            (system_of(&paths), guess_home(&paths))
        };
        assert_eq!(
            of("/home/al/work"),
            (System::Linux, Some("/home/al".to_owned()))
        );
        assert_eq!(
            of("/Users/al"),
            (System::Macos, Some("/Users/al".to_owned()))
        );
        assert_eq!(
            of(r"C:\Users\al\x"),
            (System::Windows, Some(r"C:\Users\al".to_owned()))
        );
        assert_eq!(of("/srv/x"), (System::Linux, None));
        assert_eq!(of("/home/"), (System::Linux, None));
    }

    fn machine(known: &[(&str, &str)]) -> SourceMachine {
        let paths = paths(known);
        let system = system_of(&paths);
        let placeholders = Placeholders::new(system, add_placeholders(Vec::new(), system, &paths));
        let machine = Machine::renewed(None, derive_id("m"), "m", placeholders);
        SourceMachine::from_parts("m", false, paths, machine)
    }

    #[test]
    fn import_path_is_portable_for_either_separator() {
        let linux = machine(&[("HOME", "/home/al"), ("my-work", "/home/al/work")]);
        let windows = machine(&[("HOME", r"C:\Users\al"), ("my-work", r"D:\work")]);
        for spelled in ["{{my-work}}/app/x", r"{{my-work}}\app\x"] {
            for machine in [&linux, &windows] {
                let portable = machine.portable(spelled).map(|path| path.to_string());
                assert_eq!(portable.as_deref(), Some("{{MY_WORK}}/app/x"), "{spelled}");
            }
        }
        for refused in [
            "{{OTHER}}/x",
            "{{HOME}}/../x",
            r"{{HOME}}\..\x",
            "/a\u{1b}[2J",
            &"/x".repeat(3000),
        ] {
            assert_eq!(linux.portable(refused), None, "{refused}");
        }
    }

    #[test]
    fn import_placeholder_name_is_normalized() {
        let of = |name: &str| placeholder_name(name).map(|name| name.to_string());
        assert_eq!(of("my-work"), Some("MY_WORK".to_owned()));
        assert_eq!(of("repo"), Some("REPO_DIR".to_owned()));
        assert_eq!((of("9x"), of(""), of("é")), (None, None, None));
    }

    #[test]
    fn import_machine_id_is_stable_and_name_is_escaped() {
        assert_eq!(derive_id("desk"), derive_id("desk"));
        assert_ne!(derive_id("desk"), derive_id("Desk"));
        assert_eq!(imported_name("d\u{1b}[2J"), "d[2J (imported)");
        assert!(imported_name(&"x".repeat(999)).chars().count() <= MAX_NAME_CHARS);
    }
}
