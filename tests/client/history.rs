//! Functions that read a request: its turns, its paths, and whether two requests have the
//! same history.

use std::path::Path;

use ccsync::domain::client_dir::client_dir_name;
use serde_json::Value;

/// Returns every string of a request, keys included, one a line.
pub fn all_text(value: &Value) -> String {
    let mut out = String::new();
    collect(value, &mut out);
    out
}

fn collect(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::Array(list) => list.iter().for_each(|item| collect(item, out)),
        Value::Object(map) => {
            for (key, item) in map {
                out.push_str(key);
                out.push('\n');
                collect(item, out);
            }
        }
        _ => {}
    }
}

/// Returns true if the turn `mark` is part of the conversation in `request`.
pub fn has_turn(request: &Value, mark: &str) -> bool {
    all_text(&request["messages"]).contains(&format!("[[{mark}]]"))
}

/// Asserts that `home`, plain or as a directory name of the client, is not in `request`.
pub fn assert_no_trace(request: &Value, home: &Path) {
    let plain = home.to_str().expect("text").to_owned();
    let needles = [client_dir_name(&plain), plain.clone()];
    let mut places = Vec::new();
    let mut look = |place: String, value: &Value| {
        let text = all_text(value);
        for needle in &needles {
            if let Some(at) = text.find(needle.as_str()) {
                places.push(format!(
                    "{place}: …{}",
                    text[at..].chars().take(160).collect::<String>()
                ));
            }
        }
    };
    look("system".into(), &request["system"]);
    look("tools".into(), &request["tools"]);
    for (index, message) in request["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .enumerate()
    {
        look(format!("message {index} ({})", message["role"]), message);
    }
    assert!(
        places.is_empty(),
        "paths of {plain} in the request:\n{}",
        places.join("\n")
    );
}

/// Asserts that `here` equals `origin` up to the prompt that both end with: the same
/// system prompt, tools and earlier messages, string for string. Returns the messages of
/// `here` from that prompt on.
pub fn assert_same_history(origin: &Value, here: &Value, mark: &str) -> Vec<Value> {
    assert_equal(
        "system",
        &without_cache_marks(&origin["system"]),
        &without_cache_marks(&here["system"]),
    );
    assert_same_messages(origin, here, mark)
}

/// Asserts the same except for the system prompt: a session without a copy of it (clients
/// before 2.1.290) gets a new one, in which the client names directories of the machine
/// it runs on.
pub fn assert_same_messages(origin: &Value, here: &Value, mark: &str) -> Vec<Value> {
    assert_equal(
        "tools",
        &without_cache_marks(&origin["tools"]),
        &without_cache_marks(&here["tools"]),
    );
    let prompt = prompt_index(origin, mark);
    assert_eq!(
        prompt,
        prompt_index(here, mark),
        "the histories differ in length"
    );
    for index in 0..prompt {
        let [was, is] =
            [origin, here].map(|request| without_cache_marks(&request["messages"][index]));
        assert_equal(&format!("message {index}"), &was, &is);
    }
    here["messages"]
        .as_array()
        .map_or_else(Vec::new, |all| all[prompt..].to_vec())
}

/// Asserts that `after` continues `before`: the same system prompt, tools and messages,
/// string for string. Returns the messages after those.
pub fn assert_continues(before: &Value, after: &Value) -> Vec<Value> {
    for what in ["system", "tools"] {
        assert_equal(
            what,
            &without_cache_marks(&before[what]),
            &without_cache_marks(&after[what]),
        );
    }
    let [past, all] =
        [before, after].map(|request| request["messages"].as_array().expect("messages"));
    assert!(
        past.len() < all.len(),
        "there are {} messages where there were {}",
        all.len(),
        past.len()
    );
    for (index, (was, is)) in past.iter().zip(all).enumerate() {
        assert_equal(
            &format!("message {index}"),
            &without_cache_marks(was),
            &without_cache_marks(is),
        );
    }
    all[past.len()..].to_vec()
}

fn prompt_index(request: &Value, mark: &str) -> usize {
    let messages = request["messages"].as_array().expect("messages");
    let word = format!("[[{mark}]]");
    messages
        .iter()
        .rposition(|m| m["role"] == "user" && all_text(m).contains(&word))
        .expect("the prompt is there")
}

fn assert_equal(what: &str, was: &Value, is: &Value) {
    let [was, is] = [was, is].map(Value::to_string);
    if was != is {
        let at = was
            .bytes()
            .zip(is.bytes())
            .take_while(|(x, y)| x == y)
            .count();
        let around = |text: &str| {
            String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(80)..])
                .chars()
                .take(240)
                .collect::<String>()
        };
        panic!(
            "{what} differs at byte {at}:\n at its origin: …{}\n here: …{}",
            around(&was),
            around(&is)
        );
    }
}

/// Removes the marks for the prompt cache, which depend on later blocks and are no part
/// of the conversation. A text equals a list of that one text.
fn without_cache_marks(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(without_cache_marks).collect(),
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| *key != "cache_control");
            let mut map: serde_json::Map<_, _> = kept
                .map(|(key, item)| (key.clone(), without_cache_marks(item)))
                .collect();
            if let (Some(Value::String(text)), true) =
                (map.get("content"), map.contains_key("role"))
            {
                let text = serde_json::json!([{"type": "text", "text": text}]);
                map.insert("content".into(), text);
            }
            Value::Object(map)
        }
        other => other.clone(),
    }
}
