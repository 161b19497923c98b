//! How many invented secrets are found, and how often other text is taken for one. The figures
//! are in `docs/secrets.md`.

use ccsync::rewrite::TextKind;
use ccsync::secrets::{FindingKind, Scanner, forms};
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use regex::Regex;

/// Secrets of each form.
const SAMPLES: usize = 20;

fn sample(runner: &mut TestRunner, pattern: &str) -> String {
    let strategy = string_regex(pattern).unwrap();
    strategy.new_tree(runner).unwrap().current()
}

/// Returns texts that a session may hold around a secret.
fn contexts(secret: &str) -> Vec<String> {
    let plain = [
        secret.to_owned(),
        format!("export KEY={secret}\n"),
        format!("it is `{secret}`, use it"),
        format!("+  \"key\": \"{secret}\","),
        format!("curl -H 'X-Key: {secret}' localhost"),
    ];
    let once = plain
        .clone()
        .map(|text| serde_json::json!({ "content": text }).to_string());
    let twice = once
        .clone()
        .map(|text| serde_json::json!({ "stdout": format!("\n{text}\n") }).to_string());
    let thrice = twice
        .clone()
        .map(|text| serde_json::json!([text]).to_string());
    [plain, once, twice, thrice].concat()
}

/// Returns true if the scanner finds the whole secret in the text.
fn is_found(scanner: &Scanner, text: &str, secret: &str) -> bool {
    let kind = if text.starts_with(['{', '[']) {
        TextKind::Json
    } else {
        TextKind::Plain
    };
    let at = text.find(secret).unwrap();
    let covered: usize = scanner
        .scan(text.as_bytes(), kind)
        .iter()
        .filter(|found| found.range.start >= at && found.range.end <= at + secret.len())
        .map(|found| found.range.len())
        .sum();
    covered == secret.len()
}

#[test]
fn secret_forms_invented_secrets_are_found() {
    let scanner = Scanner::new();
    let mut runner = TestRunner::deterministic();
    let (mut found, mut all) = (0, 0);
    let mut missed = std::collections::BTreeMap::new();
    for form in forms() {
        let pattern = Regex::new(&format!("^(?:{})$", form.pattern)).unwrap();
        for _ in 0..SAMPLES {
            let whole = sample(&mut runner, &form.pattern);
            let captures = pattern.captures(&whole).unwrap();
            let secret = captures
                .get(1)
                .unwrap_or_else(|| captures.get(0).unwrap())
                .as_str();
            let before = if form.after.is_some() {
                "1234567890"
            } else {
                ""
            };
            for text in contexts(&format!("{before}{whole}")) {
                all += 1;
                if is_found(&scanner, &text, secret) {
                    found += 1;
                } else {
                    missed.entry(&form.id).or_insert((0, text)).0 += 1;
                }
            }
        }
    }
    assert!(found * 1000 >= all * 995, "{found} of {all}\n{missed:#?}");
}

#[test]
fn secret_forms_named_values_are_found() {
    let scanner = Scanner::new();
    let mut runner = TestRunner::deterministic();
    let (mut found, mut all) = (0, 0);
    let mut missed = Vec::new();
    for _ in 0..SAMPLES * 5 {
        let key = sample(&mut runner, "[A-Za-z0-9+/]{40}");
        let hex = sample(&mut runner, "[0-9a-f]{32}");
        let password = sample(&mut runner, "[A-Z][a-z]{3}[0-9]{3}[!#%*][a-z0-9]{5}");
        for (text, secret) in [
            (format!("AWS_SECRET_ACCESS_KEY={key}"), &key),
            (format!("aws_secret_access_key = {key}"), &key),
            (format!("\"clientSecret\": \"{hex}\""), &hex),
            (format!("DD_API_KEY={hex}"), &hex),
            (format!("api-key: {hex}"), &hex),
            (format!("Authorization: Bearer {hex}"), &hex),
            (format!("//registry.npmjs.org/:_authToken={hex}"), &hex),
            (format!("DB_PASSWORD='{password}'"), &password),
            (format!("password: \"{password}\""), &password),
            (
                format!("postgres://app:{password}@db.internal:5432/app").replace('#', "x"),
                &password,
            ),
            (
                format!("Server=db;User Id=sa;Password={password};"),
                &password,
            ),
        ] {
            let secret = if text.contains("postgres") {
                secret.replace('#', "x")
            } else {
                secret.clone()
            };
            let line = serde_json::json!({ "a": serde_json::json!({ "b": text }).to_string() });
            for text in [text.clone(), line.to_string()] {
                all += 1;
                if is_found(&scanner, &text, &secret) {
                    found += 1;
                } else if missed.len() < 20 {
                    missed.push(text);
                }
            }
        }
    }
    assert!(
        found * 100 >= all * 90,
        "{found} of {all}\n{}",
        missed.join("\n")
    );
}

/// Lines without secrets, by kind.
const LOOK_ALIKES: [(&str, &str); 26] = [
    ("sha-1", "commit [0-9a-f]{40}"),
    ("sha-256", "sha256:[0-9a-f]{64}"),
    ("md5", "[0-9a-f]{32}  dist/app\\.js"),
    (
        "uuid",
        "\"uuid\":\"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\"",
    ),
    (
        "session",
        "\"sessionId\":\"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\"",
    ),
    ("base64", "data:image/png;base64,[A-Za-z0-9+/]{200}={0,2}"),
    ("base64 line", "[A-Za-z0-9+/]{76}"),
    ("npm lock", "\"integrity\": \"sha512-[A-Za-z0-9+/]{86}==\","),
    ("cargo lock", "checksum = \"[0-9a-f]{64}\""),
    (
        "go sum",
        "github\\.com/[a-z]{3,9}/[a-z]{3,9} v1\\.[0-9]\\.[0-9] h1:[A-Za-z0-9+/]{43}=",
    ),
    (
        "poetry lock",
        "\\{file = \"[a-z]{3,9}-1\\.0\\.tar\\.gz\", hash = \"sha256:[0-9a-f]{64}\"\\}",
    ),
    (
        "yarn lock",
        "  resolved \"https://registry\\.yarnpkg\\.com/[a-z]{4}/-/[a-z]{4}-1\\.2\\.3\\.tgz#[0-9a-f]{40}\"",
    ),
    (
        "minified",
        "function [a-z]\\([a-z],[a-z]\\)\\{return [a-z]\\.[a-zA-Z]{2,9}\\([a-z]\\)\\?[a-z][0-9]:void 0\\}var [a-zA-Z]{1,3}=\"[a-z0-9]{4,12}\";",
    ),
    (
        "ids of a client",
        "\"id\":\"toolu_01[A-Za-z0-9]{22}\",\"requestId\":\"req_011[A-Za-z0-9]{21}\"",
    ),
    ("message id", "\"id\":\"msg_01[A-Za-z0-9]{22}\""),
    (
        "usage",
        "\"input_tokens\":[0-9]{1,5},\"cache_read_input_tokens\":[0-9]{1,6},\"max_tokens\":32000",
    ),
    (
        "code",
        "const token = await getToken[0-9]{1,2}\\(user\\.id\\);",
    ),
    (
        "code",
        "let secret = config\\.secrets\\[[0-9]\\]; self\\.password = password;",
    ),
    ("code", "password: process\\.env\\.DB_PASSWORD[0-9]?,"),
    (
        "code",
        "token: string; tokenType: TokenType[0-9]; apiKey\\?: string;",
    ),
    (
        "template",
        "API_KEY=\\$\\{API_KEY[0-9]\\} TOKEN=\\$TOKEN[0-9] SECRET=<your-secret-[0-9]{3}>",
    ),
    (
        "documentation",
        "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY[0-9]?",
    ),
    (
        "documentation",
        "ghp_x{36} sk-ant-api03-X{80} password=changeme[0-9]{0,3}",
    ),
    (
        "url",
        "https://user@example\\.com:8080/a[0-9]{3}\\?x=[0-9a-f]{8}",
    ),
    (
        "path",
        "/home/al/src/token_[a-z]{5}/secret_[a-z]{4}\\.rs:[0-9]{1,3}:[0-9]{1,2}",
    ),
    (
        "time",
        "2026-11-30T10:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z task-[0-9]{4} risk-[a-z]{6} disk-[0-9]{3}",
    ),
];

#[test]
fn secret_forms_look_alikes_are_not_taken() {
    let scanner = Scanner::new();
    let mut runner = TestRunner::deterministic();
    let mut lines = 0;
    let mut wrong = Vec::new();
    for (kind, pattern) in LOOK_ALIKES {
        for _ in 0..SAMPLES * 25 {
            let plain = sample(&mut runner, pattern);
            let json = serde_json::json!({ "content": plain, "thinking": plain }).to_string();
            for (text, kind_of_text) in [(plain, TextKind::Plain), (json, TextKind::Json)] {
                lines += 1;
                for found in scanner.scan(text.as_bytes(), kind_of_text) {
                    let FindingKind::Value(form) = found.kind else {
                        continue;
                    };
                    wrong.push(format!("{kind} as {form}: {text}"));
                }
            }
        }
    }
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>();
    assert!(
        wrong.len() * 10_000 <= lines,
        "{} in {lines}\n{}",
        wrong.len(),
        shown.join("\n")
    );
}
