//! Parses JSON, with errors in the user's words: the parser speaks of Rust's types.
//!
//! Must not know what the values mean.

use serde::Deserialize;

/// Error: a text is not JSON of the required form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidData {
    message: String,
}

/// Parses JSON.
///
/// # Errors
/// [`InvalidData`]
pub fn from_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, InvalidData> {
    let parsed = serde_json::from_slice(json);
    parsed.map_err(|_: serde_json::Error| {
        // The second, slower run is only for the error: it finds the key.
        let mut json = serde_json::Deserializer::from_slice(json);
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
            return InvalidData {
                message: "text follows the JSON value".to_owned(),
            };
        };
        let key = error.path().to_string();
        let error = error.into_inner();
        if !error.is_data() {
            let (line, column) = (error.line(), error.column());
            let message = format!("not valid JSON at line {line}, column {column}");
            return InvalidData { message };
        }
        let text = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        InvalidData {
            message: describe(&key, text.trim_end_matches(&position)),
        }
    })
}

/// Says what is wrong with the value of `key`; `text` is serde's message.
fn describe(key: &str, text: &str) -> String {
    // The path of the whole text is a dot; an unknown part of a path is a question mark.
    let key = key
        .split(".?")
        .next()
        .unwrap_or_default()
        .trim_matches(['.', '?']);
    let named = |name: &str| match key.rsplit_once('.') {
        Some((table, last)) if last == name => format!("{table}.{name}"),
        _ if key == name || key.is_empty() => name.to_owned(),
        _ => format!("{key}.{name}"),
    };
    let value = if key.is_empty() {
        "the value".to_owned()
    } else {
        format!("`{key}`")
    };
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();

    if text.starts_with("missing field") {
        format!("`{}` is missing", named(&quoted(text)))
    } else if text.starts_with("unknown field") {
        format!("unknown key `{}`{}", named(&quoted(text)), choices(text))
    } else if text.starts_with("duplicate field") {
        format!("`{}` occurs twice", named(&quoted(text)))
    } else if text.starts_with("unknown variant") {
        format!(
            "unknown value `{}` of {value}{}",
            quoted(text),
            choices(text)
        )
    } else if let Some((kind, rule)) = text.split_once(", expected ") {
        match kind.split_whitespace().nth(1) {
            Some("length:") => format!("{value} has the wrong number of values"),
            _ => format!("{value} must be {}", in_words(rule)),
        }
    } else if text.contains("untagged enum") {
        format!("{value} is invalid")
    } else if key.is_empty() {
        text.to_owned()
    } else {
        format!("{value}: {text}")
    }
}

/// Returns the list of what is allowed that ends serde's message.
fn choices(text: &str) -> String {
    let allowed = text.split_once(", expected ").map(|(_, allowed)| allowed);
    let names: Vec<_> = allowed
        .unwrap_or_default()
        .split('`')
        .skip(1)
        .step_by(2)
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" (one of: {})", names.join(", "))
    }
}

/// Returns the user's word for what serde asks for.
fn in_words(rule: &str) -> &'static str {
    let is_any = |names: &[&str]| {
        let mut words = rule.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| names.contains(&word))
    };
    if is_any(&["u8", "u16", "u32", "u64", "u128", "usize"]) {
        "a whole number, 0 or more"
    } else if is_any(&["i8", "i16", "i32", "i64", "i128", "isize", "integer"]) {
        "a whole number"
    } else if is_any(&["f32", "f64", "float"]) {
        "a number"
    } else if is_any(&["boolean", "bool"]) {
        "true or false"
    } else if is_any(&["date", "time", "datetime"]) {
        "a time such as 2026-11-20T14:00:00Z"
    } else if is_any(&["sequence", "array", "tuple"]) {
        "a list"
    } else if is_any(&["map", "struct"]) {
        "an object"
    } else if is_any(&["string", "str", "char", "character", "identifier", "enum"]) {
        "text"
    } else {
        "of another type"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Outer {
        number: u32,
        #[serde(default)]
        list: Vec<String>,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
        #[serde(default)]
        is: bool,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        word: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two,
    }

    #[test]
    fn parse_json_errors_name_key_and_form() {
        let message = |json: &str| from_json::<Outer>(json.as_bytes()).unwrap_err().to_string();
        for (json, expected) in [
            ("{}", "`number` is missing"),
            ("[]", "the value must be an object"),
            ("7", "the value must be an object"),
            (
                r#"{"number":"x"}"#,
                "`number` must be a whole number, 0 or more",
            ),
            (
                r#"{"number":-1}"#,
                "`number` must be a whole number, 0 or more",
            ),
            (r#"{"number":1,"list":7}"#, "`list` must be a list"),
            (r#"{"number":1,"list":["a",7]}"#, "`list[1]` must be text"),
            (
                r#"{"number":1,"inner":{"a":7}}"#,
                "`inner.a` must be an object",
            ),
            (
                r#"{"number":1,"inner":{"a":{}}}"#,
                "`inner.a.word` is missing",
            ),
            (r#"{"number":1,"is":"yes"}"#, "`is` must be true or false"),
            (r#"{"number":1,"number":1}"#, "`number` occurs twice"),
            (
                r#"{"number":1,"kind":"three"}"#,
                "unknown value `three` of `kind` (one of: one, two)",
            ),
            (
                r#"{"colour":1}"#,
                "unknown key `colour` (one of: number, list, inner, is, kind)",
            ),
            (r#"{"number":1"#, "not valid JSON at line 1, column 11"),
            (r#"{"number":1}x"#, "text follows the JSON value"),
            ("", "not valid JSON at line 1, column 0"),
        ] {
            assert_eq!(message(json), expected, "{json}");
        }
    }
}
