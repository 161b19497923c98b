//! Parses GitHub's answers. Pure; the answers are untrusted.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::GitHubError;
use super::failure::{GhMessage, classify};
use super::repository::{Account, Repository, Visibility, address};
use crate::domain::url::project_identity;

/// A GraphQL answer. Errors may come together with data.
#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<Error>,
}

#[derive(Deserialize)]
struct Error {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Whose {
    viewer: Option<Viewer>,
}

#[derive(Deserialize)]
struct Viewer {
    login: String,
    repository: Option<Facts>,
    repositories: Option<Nodes>,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Option<Facts>>,
}

#[derive(Deserialize)]
struct One {
    repository: Option<Facts>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    name_with_owner: String,
    url: String,
    ssh_url: String,
    visibility: Visibility,
    is_empty: bool,
    #[serde(default)]
    is_archived: bool,
    viewer_permission: Option<String>,
    store: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "__typename")]
    kind: String,
}

/// Returns the account; `None` if this is no answer of the API.
pub(super) fn account(json: &[u8]) -> Option<Result<Account, GitHubError>> {
    Some(match parse::<Whose>(json)? {
        Answer {
            data: Some(Whose {
                viewer: Some(viewer),
            }),
            ..
        } => viewer.account(),
        Answer { errors, .. } => Err(failed(&errors)?),
    })
}

/// Returns the requested repository; `None` if this is no answer of the API.
pub(super) fn repository(json: &[u8]) -> Option<Result<Option<Repository>, GitHubError>> {
    Some(match parse::<One>(json)? {
        Answer {
            data: Some(One {
                repository: Some(facts),
            }),
            ..
        } => facts.repository().map(Some),
        Answer { errors, .. } if errors.iter().any(|e| e.kind == "NOT_FOUND") => Ok(None),
        Answer {
            data: Some(One { repository: None }),
            errors,
        } if errors.is_empty() => Ok(None),
        Answer { errors, .. } => Err(failed(&errors)?),
    })
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Option<Answer<T>> {
    serde_json::from_slice(json).ok()
}

fn failed(errors: &[Error]) -> Option<GitHubError> {
    let first = errors.first()?;
    Some(classify(&first.kind, GhMessage::new(&first.message)))
}

impl Viewer {
    fn account(self) -> Result<Account, GitHubError> {
        let nodes = self
            .repositories
            .map(|found| found.nodes)
            .unwrap_or_default();
        // An unreadable one does not hide the others.
        let repositories = nodes
            .into_iter()
            .flatten()
            .filter_map(|facts| facts.repository().ok());
        Ok(Account {
            login: self.login,
            named: self.repository.map(Facts::repository).transpose()?,
            stores: repositories
                .filter(|repository| repository.is_store)
                .collect(),
        })
    }
}

impl Facts {
    fn repository(self) -> Result<Repository, GitHubError> {
        let garbled = |_| GitHubError::Garbled {
            what: "invalid repository address",
        };
        let https = address(&format!("{}.git", self.url.trim_end_matches('/'))).map_err(garbled)?;
        let ssh = address(&self.ssh_url).map_err(garbled)?;
        let identity = project_identity(https.as_git_argument());
        let host = identity
            .as_deref()
            .and_then(|identity| identity.split('/').next())
            .unwrap_or_default();
        Ok(Repository {
            host: host.to_owned(),
            name: self.name_with_owner,
            visibility: self.visibility,
            is_empty: self.is_empty,
            is_store: self.store.is_some_and(|object| object.kind == "Blob"),
            can_push: !self.is_archived
                && matches!(
                    self.viewer_permission.as_deref(),
                    Some("ADMIN" | "MAINTAIN" | "WRITE")
                ),
            https,
            ssh,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, rest: &str) -> String {
        format!(
            r#"{{"nameWithOwner":"al/{name}","url":"https://github.com/al/{name}","sshUrl":"git@github.com:al/{name}.git",
                "visibility":"PRIVATE","isEmpty":false,"isArchived":false,"viewerPermission":"ADMIN",{rest}}}"#
        )
    }

    #[test]
    fn github_account_lists_its_stores() {
        let (store, other) = (
            facts("s", r#""store":{"__typename":"Blob"}"#),
            facts("x", r#""store":null"#),
        );
        let json = format!(
            r#"{{"data":{{"viewer":{{"login":"al","repository":null,"repositories":{{"nodes":[{other},null,{store}]}}}}}},
                "errors":[{{"type":"NOT_FOUND","message":"no such"}}]}}"#
        );
        let account = account(json.as_bytes()).unwrap().unwrap();
        assert_eq!((account.login.as_str(), account.named), ("al", None));
        let [store] = account.stores.as_slice() else {
            panic!("{:?}", account.stores)
        };
        assert_eq!(
            (store.name.as_str(), store.host.as_str(), store.can_push),
            ("al/s", "github.com", true)
        );
        assert_eq!(store.https.as_git_argument(), "https://github.com/al/s.git");
    }

    #[test]
    fn github_directory_is_no_store_and_archive_is_read_only() {
        let json = facts("s", r#""store":{"__typename":"Tree"}"#)
            .replace(r#""isArchived":false"#, r#""isArchived":true"#);
        let json = format!(r#"{{"data":{{"repository":{json}}}}}"#);
        let found = repository(json.as_bytes()).unwrap().unwrap().unwrap();
        assert!(!found.is_store && !found.can_push);
    }

    #[test]
    fn github_missing_repository_differs_from_failure() {
        let missing = br#"{"data":{"repository":null},"errors":[{"type":"NOT_FOUND","message":"Could not resolve"}]}"#;
        assert_eq!(repository(missing).unwrap().unwrap(), None);
        let limited =
            br#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
        assert!(matches!(
            repository(limited).unwrap(),
            Err(GitHubError::RateLimited { .. })
        ));
        assert!(repository(b"<html>").is_none() && repository(b"").is_none());
    }

    #[test]
    fn github_invalid_address_is_refused() {
        for bad in ["file:///etc", "ext::sh", "/etc", ""] {
            let json = facts("s", r#""store":null"#).replace("git@github.com:al/s.git", bad);
            let json = format!(r#"{{"data":{{"repository":{json}}}}}"#);
            let found = repository(json.as_bytes()).unwrap();
            assert!(
                matches!(found, Err(GitHubError::Garbled { .. })),
                "{bad}: {found:?}"
            );
        }
    }
}
