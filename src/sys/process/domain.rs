//! The set of processes in which a process id has a meaning: a host, or a container on it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A host and its namespace of process ids, as Claude Code writes it:
/// `linux:<machine id>:pid:[<namespace>]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PidDomain(String);

impl PidDomain {
    /// Returns a domain that a file names. Untrusted text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the domain of this process; `None` on systems without namespaces.
    pub fn of_this_process() -> Option<Self> {
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        let host = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let (host, namespace) = (host.trim(), namespace.to_string_lossy().into_owned());
        Some(Self(format!("linux:{host}:{namespace}")))
    }

    /// Returns true if process ids of this domain mean nothing to this process.
    ///
    /// A host without an id may be any host: then only the namespaces are compared. A
    /// domain of another form is taken for another one.
    pub fn is_foreign(&self) -> bool {
        match Self::of_this_process() {
            Some(own) => !is_same(&self.0, &own.0),
            None => self.0.starts_with("linux:"),
        }
    }
}

fn is_same(a: &str, b: &str) -> bool {
    match (parts(a), parts(b)) {
        (Some((host_a, namespace_a)), Some((host_b, namespace_b))) => {
            let is_host = host_a == host_b || host_a.is_empty() || host_b.is_empty();
            is_host && namespace_a == namespace_b
        }
        _ => a == b,
    }
}

fn parts(domain: &str) -> Option<(&str, &str)> {
    domain.strip_prefix("linux:")?.split_once(':')
}

impl fmt::Display for PidDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_domain_is_host_and_namespace() {
        let same = |a: &str, b: &str| is_same(a, b);
        assert!(same("linux:h:pid:[1]", "linux:h:pid:[1]"));
        assert!(same("linux::pid:[1]", "linux:h:pid:[1]"));
        assert!(!same("linux:h:pid:[1]", "linux:h:pid:[2]"));
        assert!(!same("linux:g:pid:[1]", "linux:h:pid:[1]"));
        assert!(!same("darwin:h", "linux:h:pid:[1]"));
        if let Some(own) = PidDomain::of_this_process() {
            assert!(!own.is_foreign());
            assert!(PidDomain::new(format!("{own}0")).is_foreign());
        }
    }
}
