//! A machine of the other program as a machine of this store: who is said to have written a line, and under which roots.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Settings;
use crate::domain::id::MachineId;
use crate::domain::path::PortablePath;
use crate::domain::placeholder::{Placeholder, PlaceholderName, Placeholders, System};
use crate::domain::url::has_drive;
use crate::extras::foreign_text::IMPORTED;
use crate::import::foreign::{ForeignMachine, LONGEST};
use crate::import::text::{Directories, Family};
use crate::rewrite::collapse_path;
use crate::store::FORMAT;
use crate::store::machine::Machine;
use crate::sys::env::Env;

/// No machine's name is longer here.
const LONGEST_NAME: usize = 64;

/// One machine of the source.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// What the source calls it.
    pub(crate) name: String,
    /// Whether it is this machine.
    pub(crate) this: bool,
    /// Directory by placeholder, as the source says.
    pub(crate) paths: BTreeMap<String, String>,
    /// What the rewriter needs of it.
    pub(crate) directories: Directories,
    /// Who it is in this store.
    pub(crate) machine: Machine,
    pub(crate) family: Family,
}

impl Origin {
    /// The machine that the source calls `name`.
    pub(crate) fn new(name: &str, known: &ForeignMachine, env: &Env, settings: &Settings) -> Self {
        let home = env.home.to_string_lossy();
        let mut paths = known.paths.clone();
        let this = is_this(name, &paths, &home, env, settings);
        if this {
            paths
                .entry("HOME".to_owned())
                .or_insert_with(|| home.clone().into_owned());
        } else if let Some(home) = guessed_home(&paths) {
            paths.entry("HOME".to_owned()).or_insert(home);
        }
        let system = if this { env.system } else { system_of(&paths) };
        let placeholders = Placeholders::new(
            system,
            placeholders(system, &paths, this.then_some(&settings.placeholders)),
        );
        let machine = Machine {
            format: FORMAT,
            id: if this {
                settings.machine.id.clone()
            } else {
                id_of(name)
            },
            name: if this {
                settings.machine.name.clone()
            } else {
                shown_name(name)
            },
            placeholders,
            former_placeholders: Vec::new(),
            ccsync: env!("CARGO_PKG_VERSION").to_owned(),
            last_push: known.updated_at.clone(),
        };
        let directories = Directories::new(
            paths
                .iter()
                .map(|(name, path)| (name.as_str(), path.as_str())),
        );
        let family = if system.is_windows() {
            Family::Windows
        } else {
            Family::Unix
        };
        Self {
            name: name.to_owned(),
            this,
            paths,
            directories,
            machine,
            family,
        }
    }
}

impl Origin {
    /// The portable path in this store of one that the source spells with its placeholders; none if this machine lacks the placeholder, or the
    /// store would refuse the path.
    pub(crate) fn portable(&self, spelled: &str) -> Option<PortablePath> {
        let local = match spelled
            .strip_prefix("{{")
            .and_then(|rest| rest.split_once("}}"))
        {
            // What follows tells on which kind of system it was written.
            Some((name, below)) if self.family == Family::Unix && below.starts_with('\\') => {
                format!("{}{}", self.paths.get(name)?, below.replace('\\', "/"))
            }
            Some((name, below)) => format!("{}{below}", self.paths.get(name)?),
            None => spelled.to_owned(),
        };
        let leads_astray = local.split(['/', '\\']).any(|part| part == "..")
            || local.chars().any(char::is_control);
        (!leads_astray && local.len() <= LONGEST)
            .then(|| collapse_path(&self.machine.placeholders, &local))
    }
}

/// Of `origins` the one in whose directories `path` lies; of several the preferred one.
pub(crate) fn whose(origins: &[Origin], path: &str, preferred: Option<usize>) -> Option<usize> {
    let has = |at: &usize| {
        collapse_path(&origins[*at].machine.placeholders, path)
            .as_str()
            .starts_with("{{")
    };
    let all: Vec<usize> = (0..origins.len()).filter(has).collect();
    preferred
        .filter(|at| all.contains(at))
        .or_else(|| all.first().copied())
}

/// Of `origins` the one that had written text with these placeholders: of the right kind of system, with the most of the placeholders, and
/// among equals the preferred one, then this machine.
pub(crate) fn writer(
    origins: &[Origin],
    family: Option<Family>,
    names: &BTreeSet<String>,
    preferred: Option<&str>,
) -> Option<usize> {
    let fits = |origin: &Origin| {
        let known = names
            .iter()
            .filter(|name| origin.paths.contains_key(*name))
            .count();
        (
            family.is_none_or(|family| family == origin.family),
            known,
            Some(origin.name.as_str()) == preferred,
            origin.this,
        )
    };
    // Of several best ones the first.
    (0..origins.len())
        .rev()
        .max_by_key(|at| fits(&origins[*at]))
}

/// By its home directory, and by its name unless nobody else could be meant.
fn is_this(
    name: &str,
    paths: &BTreeMap<String, String>,
    home: &str,
    env: &Env,
    settings: &Settings,
) -> bool {
    let named = [&env.host_name, &settings.machine.name]
        .iter()
        .any(|mine| mine.eq_ignore_ascii_case(name));
    named
        && paths
            .get("HOME")
            .is_none_or(|there| there.trim_end_matches(['/', '\\']) == home)
}

/// What this machine has in its configuration counts more than what the source says of it.
fn placeholders(
    system: System,
    paths: &BTreeMap<String, String>,
    mine: Option<&Placeholders>,
) -> Vec<Placeholder> {
    let mut taken = BTreeSet::new();
    let mut placeholders: Vec<Placeholder> = mine
        .map(|mine| mine.placeholders.clone())
        .unwrap_or_default();
    taken.extend(placeholders.iter().map(|root| root.name.clone()));
    for (name, path) in paths {
        // `{{USERNAME}}` stands for a word, not for a directory: it is text.
        if let Some(name) = placeholder_name(name)
            && let Ok(root) = Placeholder::new(system, name.clone(), path, None)
            && taken.insert(name)
        {
            placeholders.push(root);
        }
    }
    placeholders
}

/// The name of a root that stands for the placeholder `name`, which may be any text there.
pub(crate) fn placeholder_name(name: &str) -> Option<PlaceholderName> {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: PlaceholderName = name.chars().map(plain).collect::<String>().parse().ok()?;
    // Here that is the repository of each session.
    if name == PlaceholderName::repo() {
        "REPO_DIR".parse().ok()
    } else {
        Some(name)
    }
}

fn system_of(paths: &BTreeMap<String, String>) -> System {
    let any = |is: &dyn Fn(&str) -> bool| paths.values().any(|path| is(path));
    match () {
        () if any(&has_drive) => System::Windows,
        () if any(&|path| path.starts_with("/Users/")) => System::Macos,
        () => System::Linux,
    }
}

/// Where the home directory of a machine is that does not say so.
fn guessed_home(paths: &BTreeMap<String, String>) -> Option<String> {
    paths.values().find_map(|path| {
        let slashed = path.replace('\\', "/");
        let below = if has_drive(&slashed) {
            &slashed[2..]
        } else {
            &slashed
        };
        let user = ["/home/", "/Users/"]
            .iter()
            .find_map(|place| below.strip_prefix(place))?
            .split('/')
            .next()?;
        let end = path.len() - below.len() + below.find(user)? + user.len();
        (!user.is_empty()).then(|| path[..end].to_owned())
    })
}

/// The same on every machine that imports the source.
fn id_of(name: &str) -> MachineId {
    let hash = blake3::derive_key(
        "ccsync machine of claude-session-sync, version 1",
        name.as_bytes(),
    );
    let hex = blake3::Hash::from_bytes(hash).to_hex();
    hex[..32]
        .parse()
        .expect("32 hexadecimal digits are a machine id")
}

fn shown_name(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control());
    plain
        .take(LONGEST_NAME - IMPORTED.len())
        .collect::<String>()
        + IMPORTED
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
            (system_of(&paths), guessed_home(&paths))
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

    fn origin(known: &[(&str, &str)]) -> Origin {
        let machine = Machine::renewed(None, id_of("m"), "m", Placeholders::new(System::Linux, []));
        let paths = paths(known);
        let system = system_of(&paths);
        let machine = Machine {
            placeholders: Placeholders::new(system, placeholders(system, &paths, None)),
            ..machine
        };
        let family = if system.is_windows() {
            Family::Windows
        } else {
            Family::Unix
        };
        Origin {
            name: "m".to_owned(),
            this: false,
            paths,
            directories: Directories::default(),
            machine,
            family,
        }
    }

    #[test]
    fn import_path_is_portable_for_either_separator() {
        let linux = origin(&[("HOME", "/home/al"), ("my-work", "/home/al/work")]);
        let windows = origin(&[("HOME", r"C:\Users\al"), ("my-work", r"D:\work")]);
        for spelled in ["{{my-work}}/app/x", r"{{my-work}}\app\x"] {
            for origin in [&linux, &windows] {
                let portable = origin.portable(spelled).map(|path| path.to_string());
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
        assert_eq!(id_of("desk"), id_of("desk"));
        assert_ne!(id_of("desk"), id_of("Desk"));
        assert_eq!(shown_name("d\u{1b}[2J"), "d[2J (imported)");
        assert!(shown_name(&"x".repeat(999)).chars().count() <= LONGEST_NAME);
    }
}
