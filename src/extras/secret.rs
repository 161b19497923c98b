//! Finds secrets in settings and in hidden files of skills. A file that holds one stays on its
//! machine. Pure.
//!
//! Settings hand keys to programs in `env`, and to servers in `headers`: there the names tell.
//! Elsewhere a value is found by its form, if its issuer gave it one that nothing else has.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::domain::{ExtraKind, RelativeName};

/// Parts of names that mark a secret.
const SECRET_PARTS: [&str; 9] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSW",
    "PASSPHRASE",
    "CREDENTIAL",
    "AUTH",
    "HEADERS",
    "COOKIE",
];

/// Words in names that mark a secret; in longer words (`BYPASS`, `PATH`) they do not.
const SECRET_WORDS: [&str; 3] = ["PASS", "PWD", "PAT"];

/// Forms of secret values, as their issuers and RFC 7468 (PEM) describe them. A prefix alone
/// does not match: a rule may search for it.
static FORMS: LazyLock<[(&str, Regex); 5]> = LazyLock::new(|| {
    [
        (
            "an Anthropic key (`sk-ant-`)",
            r"\bsk-ant-[A-Za-z0-9_-]{16}",
        ),
        (
            "a GitHub token",
            r"\b(?:gh[oprsu]_[A-Za-z0-9]{30}|github_pat_[A-Za-z0-9_]{22})",
        ),
        ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10}"),
        ("a private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"),
    ]
    .map(|(what, form)| {
        let form = Regex::new(form).expect("a pattern that a test compiles");
        (what, form)
    })
});

/// A header whose value is read from the environment.
static FROM_ENVIRONMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:[A-Za-z]+ )?\$(?:[A-Za-z0-9_]+|\{[A-Za-z0-9_]+\})$")
        .expect("a pattern that a test compiles")
});

/// Returns the reason why a file of this kind stays on its machine, if it seems to hold a
/// secret. The reason never contains the secret.
pub(crate) fn find_secret(kind: ExtraKind, name: &RelativeName, text: &str) -> Option<String> {
    match kind {
        ExtraKind::Settings => find_secret_in_settings(text),
        ExtraKind::Skills if name.as_str().contains("/.") => secret_form_in(text),
        _ => None,
    }
}

fn find_secret_in_settings(text: &str) -> Option<String> {
    let Ok(settings) = serde_json::from_str(text) else {
        return Some("it is not JSON, so it cannot be searched for secrets".to_owned());
    };
    let found = secret_in(&settings, Section::Other)?;
    Some(format!(
        "{found}: keep secrets in settings.local.json, which never travels"
    ))
}

/// The object whose members are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Env,
    Headers,
    Other,
}

impl Section {
    fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "env" => Self::Env,
            "headers" => Self::Headers,
            _ => Self::Other,
        }
    }

    /// Returns true if the name of a member marks its value as a secret.
    fn marks_secret(self, name: &str, value: &Value) -> bool {
        let name = name.to_ascii_uppercase().replace("AUTHOR_", "");
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let is_secret = SECRET_PARTS.iter().any(|part| name.contains(part))
            || words.any(|word| SECRET_WORDS.contains(&word));
        let is_reference = || value.as_str().is_some_and(|v| FROM_ENVIRONMENT.is_match(v));
        match self {
            Self::Other => false,
            Self::Env => is_secret && !is_token_limit(&name, value),
            Self::Headers => is_secret && !is_reference(),
        }
    }
}

fn secret_in(value: &Value, section: Section) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if section.marks_secret(name, value) {
                let section = match section {
                    Section::Env => "its `env` names",
                    _ => "its `headers` name",
                };
                return Some(format!("{section} {name}"));
            }
            secret_form_in(name).or_else(|| secret_in(value, Section::from_name(name)))
        }),
        Value::Array(values) => values
            .iter()
            .find_map(|value| secret_in(value, Section::Other)),
        Value::String(text) => secret_form_in(text),
        _ => None,
    }
}

fn secret_form_in(text: &str) -> Option<String> {
    let (what, _) = FORMS.iter().find(|(_, form)| form.is_match(text))?;
    Some(format!("it holds what looks like {what}"))
}

/// Returns true for a number of tokens, such as `CLAUDE_CODE_MAX_OUTPUT_TOKENS`.
fn is_token_limit(name: &str, value: &Value) -> bool {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    name.ends_with("_TOKENS") && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        find_secret_in_settings(text).is_some()
    }

    #[test]
    fn secret_found_by_env_and_header_names() {
        assert!(
            holds(r#"{"env":{"ANTHROPIC_API_KEY":"x"}}"#)
                && holds(r#"{"env":{"github_token":"x"}}"#)
        );
        assert!(!holds(r#"{"env":{"EDITOR":"vi"},"model":"opus"}"#));
        assert!(
            holds(r#"{"x":[{"env":{"HTTP_HEADERS":"Authorization: x"}}]}"#),
            "wherever an `env` is"
        );
        assert!(holds("{\"env\":{\"API_KEY\":\"x\",}}"), "invalid JSON");
        assert!(!holds(
            r#"{"env":{"MAX_THINKING_TOKENS":"8000","GIT_AUTHOR_NAME":"al"}}"#
        ));
        for name in ["DB_PASS", "PGPASSWORD", "mysql_pwd", "GITHUB_PAT"] {
            assert!(holds(&format!(r#"{{"env":{{"{name}":"x"}}}}"#)), "{name}");
        }
        assert!(!holds(
            r#"{"env":{"PATH":"/bin","BYPASS_PROXY":"1","GIT_COMPAT":"x"}}"#
        ));
        assert!(holds(r#"{"env":{"TOKENS":"x"}}"#) && holds(r#"{"env":{"AUTHORIZATION":"x"}}"#));
        assert!(!holds(
            r#"{"apiKeyHelper":"/bin/x","permissions":{"allow":["Read(token.rs)"]}}"#
        ));

        let headers = |name: &str, value: &str| {
            format!(r#"{{"hooks":[{{"headers":{{"{name}":"{value}"}}}}]}}"#)
        };
        for (name, value) in [
            ("Authorization", "Bearer abc"),
            ("X-Api-Key", "abc"),
            ("Cookie", "a=b"),
        ] {
            assert!(holds(&headers(name, value)), "{name}");
            for reference in ["$TEAM", "${TEAM}", "Bearer $TEAM"] {
                assert!(!holds(&headers(name, reference)), "{name}: {reference}");
            }
        }
        assert!(
            !holds(&headers("Accept", "text/plain"))
                && holds(&headers("Authorization", "Bearer $A abc"))
        );
    }

    #[test]
    fn secret_found_by_known_value_form() {
        let (letters, capitals) = ("a1B2".repeat(10), "A1B2".repeat(4));
        let secrets = [
            format!("sk-ant-api03-{letters}"),
            format!("ghp_{letters}"),
            format!("gho_{letters}"),
            format!("github_pat_{letters}"),
            format!("AKIA{capitals}"),
            format!("xoxb-{letters}"),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nabc".to_owned(),
            "-----BEGIN PRIVATE KEY-----".to_owned(),
        ];
        for secret in secrets {
            for settings in [
                serde_json::json!({ "statusLine": { "command": format!("curl -H 'x: {secret}' host") } }),
                serde_json::json!({ "permissions": { "allow": [format!("Bash(echo {secret})")] } }),
                serde_json::json!({ secret.clone(): true }),
            ] {
                let reason = find_secret_in_settings(&settings.to_string()).expect(&secret);
                assert!(
                    !reason.contains(&letters) && !reason.contains(&capitals),
                    "{reason}"
                );
            }
        }
    }

    #[test]
    fn secret_in_hidden_file_of_skill_is_found() {
        let text = format!("TOKEN=ghp_{}", "a1B2".repeat(10));
        let find = |kind, name| find_secret(kind, &RelativeName::new(name).unwrap(), &text);
        assert!(find(ExtraKind::Skills, "skills/x/.env.example").is_some());
        assert_eq!(find(ExtraKind::Skills, "skills/x/SKILL.md"), None);
        assert_eq!(find(ExtraKind::Commands, "commands/x.md"), None);
    }

    #[test]
    fn secret_mention_of_key_names_is_allowed() {
        for text in [
            "Bash(grep -r sk-ant- .)",
            "Bash(rg 'ghp_|github_pat_|AKIA|xox')",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----",
            "SLAVAKIA0123456789ABCDEFGH",
            "mcp__foxoxb-server__run",
        ] {
            assert!(
                !holds(&serde_json::json!({ "permissions": { "allow": [text] } }).to_string()),
                "{text}"
            );
        }
    }
}
