//! Names of files that other programs and file systems make, and names that begin with a dot in
//! the directory of a skill. Pure.

/// Why a hidden file or directory of a skill is not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenName {
    /// A secret, by its name.
    Secret,
    /// Made by another program: a repository, a cache, a file of the file system.
    Made,
}

/// Hidden names of other programs.
const MADE_NAMES: [&str; 20] = [
    ".git",
    ".hg",
    ".svn",
    ".jj",
    ".venv",
    ".tox",
    ".cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".idea",
    ".ds_store",
    ".directory",
    ".localized",
    ".appledouble",
    ".fseventsd",
    ".stfolder",
    ".stignore",
    ".stversions",
    ".sync",
];

/// Beginnings of hidden names of other programs.
const MADE_STARTS: [&str; 9] = [
    "._",
    ".~",
    ".#",
    ".nfs",
    ".fuse_hidden",
    ".trash",
    ".dropbox",
    ".spotlight",
    ".syncthing",
];

/// Beginnings of hidden names with secrets.
const SECRET_STARTS: [&str; 14] = [
    ".env",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".aws",
    ".ssh",
    ".gnupg",
    ".kube",
    ".docker",
    ".auth",
    ".key",
];

/// Parts of hidden names with secrets.
const SECRET_PARTS: [&str; 11] = [
    "secret",
    "credential",
    "token",
    "password",
    "passwd",
    "apikey",
    "api-key",
    "api_key",
    "id_rsa",
    "id_ed25519",
    ".pem",
];

/// Names of files that a system makes and shows.
const SYSTEM_NAMES: [&str; 3] = ["desktop.ini", "thumbs.db", "icon\r"];

/// Returns true for a file or directory that another program or a file system has made beside the
/// client's files.
pub fn is_litter(name: &str) -> bool {
    let is_system = || {
        SYSTEM_NAMES
            .iter()
            .any(|system| name.eq_ignore_ascii_case(system))
    };
    HiddenName::of(name) == Some(HiddenName::Made) || is_system()
}

/// Ends of the names of files that show how to write a file with secrets.
const TEMPLATE_ENDS: [&str; 5] = [".example", ".sample", ".template", ".dist", ".schema"];

impl HiddenName {
    /// Returns why a file or directory of this name is not synced; `None`: it is synced.
    pub fn of(name: &str) -> Option<Self> {
        if !name.starts_with('.') {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        let is_made = MADE_NAMES.contains(&name.as_str()) || name.ends_with(".swp");
        if is_made || begins(&MADE_STARTS) {
            return Some(Self::Made);
        }
        let is_template = TEMPLATE_ENDS.iter().any(|end| name.ends_with(end));
        let is_secret =
            begins(&SECRET_STARTS) || SECRET_PARTS.iter().any(|part| name.contains(part));
        (is_secret && !is_template).then_some(Self::Secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_name_secrets_and_made_files_differ() {
        for name in [
            "SKILL.md",
            ".env.example",
            ".gitignore",
            ".hidden",
            ".mcp.json",
        ] {
            assert_eq!(HiddenName::of(name), None, "{name}");
            assert!(!is_litter(name), "{name}");
        }
        for name in [
            ".env",
            ".env.local",
            ".ENV",
            ".netrc",
            ".git-credentials",
            ".x.pem",
        ] {
            assert_eq!(HiddenName::of(name), Some(HiddenName::Secret), "{name}");
        }
        for name in [".git", "._SKILL.md", ".DS_Store", ".venv", ".SKILL.md.swp"] {
            assert_eq!(HiddenName::of(name), Some(HiddenName::Made), "{name}");
            assert!(is_litter(name), "{name}");
        }
    }
}
