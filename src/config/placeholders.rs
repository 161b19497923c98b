//! The placeholders of this machine, with their resolved directories.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use crate::domain::placeholder::{InvalidPlaceholder, Placeholder, PlaceholderName};
use crate::sys::env::Env;
use crate::sys::fs::{existing_spelling, look_in_time, real_path, resolve_links};

/// Returns the placeholder of the home directory.
pub(super) fn home_placeholder(env: &Env) -> Result<Placeholder, ConfigError> {
    let home = |source| ConfigError::Home {
        path: env.home.clone(),
        source,
    };
    let directory = env.home.to_str().ok_or_else(|| home(None))?;
    resolved(PlaceholderName::home(), directory, env).map_err(|e| home(Some(e)))
}

/// Returns a placeholder of the user. A leading `~/` of its directory stands for the home
/// directory.
pub(super) fn placeholder(
    name: &PlaceholderName,
    dir: &str,
    env: &Env,
) -> Result<Placeholder, ConfigError> {
    if name.is_reserved() {
        return Err(ConfigError::ReservedPlaceholder);
    }
    let dir = match (dir.strip_prefix("~/"), env.home.to_str()) {
        (Some(below), Some(home)) => format!("{home}/{below}"),
        _ => dir.to_owned(),
    };
    resolved(name.clone(), &dir, env).map_err(|source| ConfigError::Placeholder {
        name: name.clone(),
        source,
    })
}

/// Directories below the home directory with keys, and with settings that programs obey.
const PRIVATE_IN_HOME: [&str; 8] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".claude",
    ".password-store",
];

/// Directories of the system.
const SYSTEM: [&str; 12] = [
    "/etc",
    "/private/etc",
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/system",
];

/// Returns true for a directory with keys or with files of the system, which has no projects.
pub fn is_private(directory: &Path) -> bool {
    let lower = PathBuf::from(directory.to_string_lossy().to_lowercase());
    let has_private = lower.iter().any(|part| {
        let part = part.to_str().unwrap_or_default();
        PRIVATE_IN_HOME.contains(&part)
    });
    has_private || SYSTEM.iter().any(|system| lower.starts_with(system))
}

/// Refuses a directory that no placeholder may lead into, also by a link.
pub(super) fn check_not_private(placeholder: &Placeholder) -> Result<(), ConfigError> {
    let real = resolve_links(Path::new(&placeholder.directory));
    let given = Path::new(&placeholder.directory);
    let resolved = placeholder.resolved.as_deref().map(Path::new);
    let mut forms = [Some(given), resolved, Some(&*real)].into_iter().flatten();
    if forms.any(is_private) {
        return Err(ConfigError::PrivateDirectory {
            name: placeholder.name.clone(),
            directory: placeholder.directory.clone(),
        });
    }
    Ok(())
}

/// Creates a placeholder with its given and its resolved directory: Claude Code writes
/// resolved paths in the spelling of the disk, users write the others.
fn resolved(
    name: PlaceholderName,
    directory: &str,
    env: &Env,
) -> Result<Placeholder, InvalidPlaceholder> {
    let spelled = existing_spelling(directory.to_owned());
    let resolved = look_in_time(spelled.as_ref(), |path| real_path(path).ok()).flatten();
    let resolved = resolved.as_deref().and_then(Path::to_str);
    match Placeholder::new(env.system, name.clone(), directory, resolved) {
        // The link leads to the root of a file system, which cannot have a placeholder.
        Err(InvalidPlaceholder::Path(_)) if resolved.is_some() => {
            Placeholder::new(env.system, name, directory, None)
        }
        result => result,
    }
}
