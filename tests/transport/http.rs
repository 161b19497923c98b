//! Smart http: `git http-backend` behind a small server that wants a login.
#![cfg(unix)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ccsync::sys::process::Program;
use ccsync::transport::remote::{Missing, PushOutcome, RemoteError};

use crate::transport::world::{World, is_refused};

/// `al:right`
const LOGIN: &str = "Basic YWw6cmlnaHQ=";

/// A password that is found again wherever it is written.
pub(crate) const TOKEN: &str = "tok-9f8e7d6c5b4a";

/// `al` and that.
const TOKEN_LOGIN: &str = "Basic YWw6dG9rLTlmOGU3ZDZjNWI0YQ==";

/// How the server behaves.
#[derive(Clone)]
pub(crate) enum Manner {
    Serves(PathBuf),
    /// While it is switched on, the connection of a push breaks: before git has it, or in
    /// the middle of the answer.
    Cuts {
        root: PathBuf,
        on: Arc<AtomicBool>,
        answering: bool,
    },
    Answers(&'static str),
    RefusesPacks(PathBuf),
    Silent,
}

pub(crate) struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serves until the test process ends.
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (manner, counter) = (manner.clone(), Arc::clone(&counter));
                thread::spawn(move || serve(&stream.unwrap(), &manner, &counter));
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self, login: &str) -> String {
        format!("http://{login}127.0.0.1:{}/r.git", self.port)
    }
}

fn serve(mut stream: &TcpStream, manner: &Manner, counter: &AtomicUsize) {
    let Some(request) = Request::read(stream) else {
        return;
    };
    counter.fetch_add(1, Ordering::SeqCst);
    let is_pack = request.method == "POST";
    let answer = match manner {
        Manner::Silent => {
            thread::sleep(Duration::from_secs(600));
            return;
        }
        Manner::Answers(status) => format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        _ if request.headers.get("authorization").is_none_or(|a| a != LOGIN && a != TOKEN_LOGIN) => {
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        Manner::RefusesPacks(_) if is_pack => b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Manner::Cuts { root, on, answering } if is_pack && on.load(Ordering::SeqCst) => {
            if !*answering {
                return;
            }
            let answer = request.answer_with_git(root);
            answer[..answer.len() - 10].to_vec()
        }
        Manner::Serves(root) | Manner::RefusesPacks(root) | Manner::Cuts { root, .. } => request.answer_with_git(root),
    };
    let _ = stream.write_all(&answer);
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        if headers.contains_key("expect") {
            let mut writer: &TcpStream = stream;
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let body = read_body(&mut reader, &headers)?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        })
    }

    /// As a CGI program (RFC 3875).
    fn answer_with_git(&self, root: &Path) -> Vec<u8> {
        let header = |name: &str| self.headers.get(name).cloned().unwrap_or_default();
        let out = Program::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &self.method)
            .env("PATH_INFO", &self.path)
            .env("QUERY_STRING", &self.query)
            .env("REMOTE_USER", "al")
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", self.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .stdin(self.body.clone())
            .run()
            .unwrap();
        let text = out.stdout;
        let end = text.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&text[..end]);
        let status = head
            .lines()
            .find_map(|l| l.strip_prefix("Status: "))
            .unwrap_or("200 OK");
        let others: String = head
            .lines()
            .filter(|l| !l.starts_with("Status: "))
            .map(|l| format!("{l}\r\n"))
            .collect();
        let body = &text[end + 4..];
        let start = format!(
            "HTTP/1.1 {status}\r\n{others}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        [start.as_bytes(), body].concat()
    }
}

fn read_body(reader: &mut impl BufRead, headers: &HashMap<String, String>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        reader
            .take(length.parse().ok()?)
            .read_to_end(&mut body)
            .ok()?;
    } else if headers
        .get("transfer-encoding")
        .is_some_and(|e| e == "chunked")
    {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = u64::from_str_radix(line.trim(), 16).ok()?;
            reader.by_ref().take(size).read_to_end(&mut body).ok()?;
            reader.read_line(&mut String::new()).ok()?;
            if size == 0 {
                break;
            }
        }
    }
    Some(body)
}

fn world_with_remote() -> (World, PathBuf) {
    let world = World::new();
    let remote = world.bare("srv/r.git");
    (world, remote.parent().unwrap().to_owned())
}

fn helper(world: &World, password: &str) {
    world.gitconfig(&format!(
        "[credential]\nhelper = \"!f() {{ test \\\"$1\\\" = get && echo username=al && echo password={password}; }}; f\"\n"
    ));
}

#[test]
fn http_credential_helper_is_used() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    helper(&world, "right");
    let store = world.store("s", &server.url(""));
    let first = store.round_trip();
    // More than http.postBuffer, which git sends in chunks.
    let noise: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(3_000_000)
        .collect();
    let large = store.commit(Some(&first), &noise);
    assert_eq!(store.push(&large, Some(&first)).unwrap(), PushOutcome::Done);
    assert!(is_refused(&store.push(&first, None)));
}

#[test]
fn http_wrong_password_is_denied_without_prompt() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    let missing = world.store("a", &server.url("")).git.refs().unwrap_err();
    assert!(matches!(missing, RemoteError::Denied { .. }), "{missing:?}");
    helper(&world, "wrong-password");
    let store = world.store("b", &server.url(""));
    let commit = store.commit(None, "x");
    for error in [
        store.git.fetch("main").unwrap_err(),
        store.push(&commit, None).unwrap_err(),
    ] {
        assert!(matches!(error, RemoteError::Denied { .. }), "{error:?}");
        assert!(!error.is_transient());
    }
}

#[test]
fn http_url_password_works_and_is_never_shown() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::Serves(root));
    let store = world.store("s", &server.url("al:right@"));
    store.round_trip();
    let error = world
        .store("t", &server.url("al:incorrect-secret@"))
        .git
        .refs()
        .unwrap_err();
    let everything = format!(
        "{error} {error:?} {:?} {}",
        store.git,
        error.said().unwrap()
    );
    assert!(
        everything.contains("***@127.0.0.1") && !everything.contains("incorrect-secret"),
        "{everything}"
    );
}

#[test]
fn http_busy_server_is_retried_but_missing_repository_is_not() {
    let world = World::new();
    let busy = Server::start(Manner::Answers("503 Service Unavailable"));
    let error = world.store("a", &busy.url("")).git.refs().unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Connection,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(busy.requests.load(Ordering::SeqCst), 3);
    let empty = Server::start(Manner::Answers("404 Not Found"));
    let error = world.store("b", &empty.url("")).git.refs().unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Repository,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(empty.requests.load(Ordering::SeqCst), 1);
}

#[test]
fn http_silent_server_times_out() {
    let world = World::new();
    let server = Server::start(Manner::Silent);
    let store = world.store("s", &server.url(""));
    let git = store
        .git
        .clone()
        .with_silence_limit(Duration::from_millis(500));
    let error = git.refs().unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Answer,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn http_too_large_push_is_rejected() {
    let (world, root) = world_with_remote();
    let server = Server::start(Manner::RefusesPacks(root));
    let store = world.store("s", &server.url("al:right@"));
    let commit = store.commit(None, "x");
    let error = store.push(&commit, None).unwrap_err();
    assert!(matches!(error, RemoteError::Rejected { .. }), "{error:?}");
}

#[test]
fn http_closed_port_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = World::new()
        .store("s", &format!("http://127.0.0.1:{port}/r.git"))
        .git
        .refs()
        .unwrap_err();
    assert!(
        matches!(
            error,
            RemoteError::Unreachable {
                why: Missing::Connection,
                ..
            }
        ),
        "{error:?}"
    );
}
