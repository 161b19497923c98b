//! A Messages API on 127.0.0.1 that answers by script and keeps every request body.
//!
//! A script belongs to a *mark*, a word in a prompt (`[[greet]]`). A request is a turn of
//! the newest mark in its user messages, and the number of assistant messages after that
//! mark selects the step. The server therefore keeps no conversation state: sub-agents,
//! retries and a resume on another machine find their step by themselves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// One answer of the model: its content blocks, sent once `gate` (if any) is open.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    blocks: Vec<Value>,
    gate: Option<Gate>,
}

impl Answer {
    /// Creates text that ends the turn.
    pub fn say(text: &str) -> Self {
        Self::default().block(json!({"type": "text", "text": text}))
    }

    /// Creates a call of the client's tool `name`.
    pub fn call(name: &str, input: &Value) -> Self {
        Self::default().tool(name, input)
    }

    /// Creates a shell command.
    pub fn bash(command: &str) -> Self {
        Self::call("Bash", &json!({"command": command, "description": "run"}))
    }

    /// Adds a call to the same message.
    pub fn tool(self, name: &str, input: &Value) -> Self {
        let id = format!("toolu_{:024x}", fastrand::u128(..) >> 32);
        self.block(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
    }

    /// Puts a signed thinking block before the answer.
    pub fn thinking(mut self, thought: &str, signature: &str) -> Self {
        self.blocks.insert(
            0,
            json!({"type": "thinking", "thinking": thought, "signature": signature}),
        );
        self
    }

    /// Holds the answer back until `gate` opens.
    pub fn after(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn block(mut self, block: Value) -> Self {
        self.blocks.push(block);
        self
    }

    fn stop_reason(&self) -> &'static str {
        let calls = self.blocks.iter().any(|b| b["type"] == "tool_use");
        if calls { "tool_use" } else { "end_turn" }
    }

    /// Returns the answer as server-sent events.
    fn stream(&self, model: &Value) -> String {
        let mut out = String::new();
        let mut send = |event: &Value| {
            out.push_str(&format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap_or_default()
            ));
        };
        send(&json!({"type": "message_start", "message": self.message(model, &[], None)}));
        for (index, block) in self.blocks.iter().enumerate() {
            let (empty, deltas) = in_parts(block);
            send(&json!({"type": "content_block_start", "index": index, "content_block": empty}));
            for delta in deltas {
                send(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
            }
            send(&json!({"type": "content_block_stop", "index": index}));
        }
        let delta = json!({"stop_reason": self.stop_reason(), "stop_sequence": null});
        send(&json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}));
        send(&json!({"type": "message_stop"}));
        out
    }

    fn message(&self, model: &Value, content: &[Value], stop: Option<&str>) -> Value {
        json!({
            "id": format!("msg_{:024x}", fastrand::u128(..) >> 32), "type": "message", "role": "assistant",
            "model": model, "content": content, "stop_reason": stop, "stop_sequence": null,
            "usage": {"input_tokens": 10, "output_tokens": 20,
                      "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        })
    }
}

/// Returns a block as it starts in a stream, and the parts that fill it.
fn in_parts(block: &Value) -> (Value, Vec<Value>) {
    match block["type"].as_str() {
        Some("text") => (
            json!({"type": "text", "text": ""}),
            vec![json!({"type": "text_delta", "text": block["text"]})],
        ),
        Some("thinking") => (
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": block["thinking"]}),
                json!({"type": "signature_delta", "signature": block["signature"]}),
            ],
        ),
        _ => {
            let mut empty = block.clone();
            empty["input"] = json!({});
            (
                empty,
                vec![
                    json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
                ],
            )
        }
    }
}

/// A gate in front of an answer: closed when made, opened by the test, and open for good
/// once its owner is dropped.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Releases the answer.
    pub fn open(&self) {
        *held(&self.0.0) = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = held(&self.0.0);
        drop(
            self.0
                .1
                .wait_timeout_while(closed, Duration::from_secs(120), |open| !*open),
        );
    }
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Vec<Answer>>,
    requests: Vec<Request>,
}

/// A request for an answer in the conversation (not for a title or a summary).
#[derive(Debug, Clone)]
pub struct Request {
    /// The mark of its turn, or empty.
    pub mark: String,
    /// The body that the client sent.
    pub body: Value,
}

/// The running server. It lives as long as the process.
#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Api {
    /// Listens on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind to loopback");
        let port = listener.local_addr().expect("bound").port();
        let api = Self {
            state: Arc::default(),
            port,
        };
        let server = api.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // A client may close the connection in the middle.
                thread::spawn(move || drop(server.serve(stream)));
            }
        });
        api
    }

    /// Returns the server's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers turns marked `mark` with these steps, then with `done: mark`. Returns the
    /// prompt to type.
    pub fn script(&self, mark: &str, steps: &[Answer]) -> String {
        held(&self.state)
            .scripts
            .insert(mark.to_owned(), steps.to_vec());
        format!("[[{mark}]] please")
    }

    /// Returns every request of the turns marked `mark`, oldest first.
    pub fn turns(&self, mark: &str) -> Vec<Value> {
        held(&self.state)
            .requests
            .iter()
            .filter(|r| r.mark == mark)
            .map(|r| r.body.clone())
            .collect()
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let target = first
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default();
        let (status, kind, text) = match target {
            "/v1/messages" if first.starts_with("POST") => self.messages(&body),
            "/v1/messages/count_tokens" => (
                200,
                "application/json",
                json!({"input_tokens": 100}).to_string(),
            ),
            _ => (
                404,
                "application/json",
                json!({"type": "error", "error": {"type": "not_found_error"}}).to_string(),
            ),
        };
        let length = text.len();
        let head =
            format!("HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
        let mut stream = stream;
        stream.write_all(
            format!("{head}request-id: req_1\r\nconnection: close\r\n\r\n{text}").as_bytes(),
        )
    }

    fn messages(&self, body: &[u8]) -> (u16, &'static str, String) {
        let body: Value =
            match serde_json::from_str(&replace_surrogates(&String::from_utf8_lossy(body))) {
                Ok(body) => body,
                Err(error) => return (
                    400,
                    "application/json",
                    json!({"type": "error", "error": {"type": "invalid_request_error", "message": error.to_string()}})
                        .to_string(),
                ),
            };
        let answer = self.answer(&body);
        if let Some(gate) = &answer.gate {
            gate.pass();
        }
        if body["stream"] == true {
            return (200, "text/event-stream", answer.stream(&body["model"]));
        }
        let message = answer.message(&body["model"], &answer.blocks, Some(answer.stop_reason()));
        (200, "application/json", message.to_string())
    }

    fn answer(&self, body: &Value) -> Answer {
        // Requests for titles, topic checks and the like have no tools.
        if body["tools"].as_array().is_none_or(Vec::is_empty) {
            return Answer::say(r#"{"title": "A scripted session", "isNewTopic": false}"#);
        }
        let (mark, step) = turn_of(body);
        let mut state = held(&self.state);
        let answer = state
            .scripts
            .get(&mark)
            .and_then(|steps| steps.get(step))
            .cloned();
        state.requests.push(Request {
            mark: mark.clone(),
            body: body.clone(),
        });
        answer.unwrap_or_else(|| Answer::say(&format!("done: {mark}")))
    }
}

/// Returns the newest mark in the user's messages, and the number of answers after it.
fn turn_of(body: &Value) -> (String, usize) {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut step = 0;
    for message in messages.iter().rev() {
        if message["role"] == "assistant" {
            step += 1;
        } else if message["role"] == "user"
            && let Some(mark) = texts(&message["content"])
                .iter()
                .rev()
                .find_map(|text| mark_in(text))
        {
            return (mark.to_owned(), step);
        }
    }
    (String::new(), step)
}

fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks.iter().filter_map(|b| b["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

fn mark_in(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once("[[")?;
    rest.split_once("]]").map(|(mark, _)| mark)
}

/// Replaces every half of a surrogate pair (old clients cut emoji in two) by ordinary
/// text in JSON.
fn replace_surrogates(json: &str) -> String {
    let lone = |at: usize| -> bool {
        let hex = |at: usize| {
            json.get(at + 2..at + 6)
                .and_then(|h| u16::from_str_radix(h, 16).ok())
        };
        let escape = |at: usize| json.get(at..at + 2) == Some("\\u");
        match hex(at) {
            Some(0xD800..=0xDBFF) => {
                !(escape(at + 6) && matches!(hex(at + 6), Some(0xDC00..=0xDFFF)))
            }
            Some(0xDC00..=0xDFFF) => true,
            _ => false,
        }
    };
    let mut out = String::with_capacity(json.len());
    let (mut done, mut at) = (0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        let unicode = json.as_bytes().get(at + 1) == Some(&b'u');
        if unicode && lone(at) {
            out.push_str(&json[done..at]);
            out.push_str("half-");
            done = at + 2;
            at += 6;
        } else if unicode
            && matches!(
                json.get(at + 2..at + 4),
                Some("d8" | "d9" | "da" | "db" | "D8" | "D9" | "DA" | "DB")
            )
        {
            at += 12;
        } else {
            at += 2;
        }
    }
    out.push_str(&json[done..]);
    out
}

/// Locks a mutex whose holder may have panicked: the data is plain records.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn client_api_lone_surrogates_become_text() {
    let text = r#"["\ud83d\ude00 \ud83d x \\ud83d \ude00"]"#;
    let value: Value = serde_json::from_str(&replace_surrogates(text)).expect("valid");
    assert_eq!(value[0], "😀 half-d83d x \\ud83d half-de00");
}
