//! Whether settings hold what nobody wants in a repository. Such a file stays on its machine.
//!
//! Settings hand keys to programs through `env` and to servers through `headers`; the names in there tell. Anywhere else a value tells by
//! itself, if its issuer has given it a form that nothing else has. Pure.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::domain::extras::ExtraKind;

/// What the names of secrets have in them.
const SECRET: [&str; 9] = [
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

/// What names of secrets are made of, between other words: in longer words these are mere letters (`BYPASS`, `PATH`).
const SECRET_WORDS: [&str; 3] = ["PASS", "PWD", "PAT"];

/// Values that are secrets by their form, as their issuers describe them, and PEM (RFC 7468). A prefix alone, as in a rule that searches for it,
/// is none.
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
        (
            what,
            Regex::new(form).expect("a pattern that a test compiles"),
        )
    })
});

/// A header whose value the client takes from its environment.
static FROM_ENVIRONMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:[A-Za-z]+ )?\$(?:[A-Za-z0-9_]+|\{[A-Za-z0-9_]+\})$")
        .expect("a pattern that a test compiles")
});

/// Why a file of this kind stays on its machine; `None`: nothing in it looks like a secret. Never has the secret itself in it.
pub(crate) fn holds_secret(kind: ExtraKind, text: &str) -> Option<String> {
    if kind != ExtraKind::Settings {
        return None;
    }
    let Ok(settings) = serde_json::from_str(text) else {
        return Some("it is not JSON, so nothing says whether it names secrets".to_owned());
    };
    let found = secret_in(&settings, Within::Anything)?;
    Some(format!(
        "{found}: keep secrets in settings.local.json, which never travels"
    ))
}

/// What the fields that are looked at are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Env,
    Headers,
    Anything,
}

impl Within {
    fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "env" => Self::Env,
            "headers" => Self::Headers,
            _ => Self::Anything,
        }
    }

    /// Whether a field in it is a secret by its name.
    fn names_secret(self, name: &str, value: &Value) -> bool {
        let name = name.to_ascii_uppercase().replace("AUTHOR_", "");
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let is_secret = SECRET.iter().any(|word| name.contains(word))
            || words.any(|word| SECRET_WORDS.contains(&word));
        match self {
            Self::Anything => false,
            Self::Env => is_secret && !is_number_of_tokens(&name, value),
            Self::Headers => {
                is_secret
                    && !value
                        .as_str()
                        .is_some_and(|value| FROM_ENVIRONMENT.is_match(value))
            }
        }
    }
}

fn secret_in(value: &Value, within: Within) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if within.names_secret(name, value) {
                let place = if within == Within::Env {
                    "its `env` names"
                } else {
                    "its `headers` name"
                };
                return Some(format!("{place} {name}"));
            }
            form_in(name).or_else(|| secret_in(value, Within::of(name)))
        }),
        Value::Array(values) => values
            .iter()
            .find_map(|value| secret_in(value, Within::Anything)),
        Value::String(text) => form_in(text),
        _ => None,
    }
}

fn form_in(text: &str) -> Option<String> {
    let (what, _) = FORMS.iter().find(|(_, form)| form.is_match(text))?;
    Some(format!("it holds what looks like {what}"))
}

/// Such as `CLAUDE_CODE_MAX_OUTPUT_TOKENS`.
fn is_number_of_tokens(name: &str, value: &Value) -> bool {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    name.ends_with("_TOKENS") && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        holds_secret(ExtraKind::Settings, text).is_some()
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
        assert!(
            holds("{\"env\":{\"API_KEY\":\"x\",}}"),
            "what cannot be looked at"
        );
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
        assert_eq!(
            holds_secret(ExtraKind::Commands, r#"{"env":{"KEY":""}}"#),
            None
        );

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
                let reason =
                    holds_secret(ExtraKind::Settings, &settings.to_string()).expect(&secret);
                assert!(
                    !reason.contains(&letters) && !reason.contains(&capitals),
                    "{reason}"
                );
            }
        }
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
