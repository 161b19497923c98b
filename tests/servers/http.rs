//! Smart http: `git http-backend` behind a small server that requires a login.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// `al:right`
const LOGIN: &str = "Basic YWw6cmlnaHQ=";

/// A password that is easy to find wherever it is written.
pub(crate) const TOKEN: &str = "tok-9f8e7d6c5b4a";

/// The login `al` with that password.
const TOKEN_LOGIN: &str = "Basic YWw6dG9rLTlmOGU3ZDZjNWI0YQ==";

/// The behaviour of the server.
#[derive(Clone)]
pub(crate) enum Manner {
    Serves(PathBuf),
    /// While switched on, breaks the connection of a push: before git reads it, or in the
    /// middle of the answer.
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
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serves until the process ends.
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (
            Arc::clone(&server.connections),
            Arc::clone(&server.requests),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (manner, requests) = (manner.clone(), Arc::clone(&requests));
                thread::spawn(move || while serve(&stream, &manner, &requests).is_some() {});
            }
        });
        server
    }

    /// Returns the address of the repository `r.git` with a login, which ends with `@`.
    pub(crate) fn url(&self, login: &str) -> String {
        self.url_of(login, "r.git")
    }

    /// Returns the address of the repository at this path below the root.
    pub(crate) fn url_of(&self, login: &str, path: &str) -> String {
        format!("http://{login}127.0.0.1:{}/{path}", self.port)
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Answers one request. Returns `None` if the connection ends.
fn serve(stream: &TcpStream, manner: &Manner, requests: &AtomicUsize) -> Option<()> {
    let mut request = Request::read(stream)?;
    requests.fetch_add(1, Ordering::SeqCst);
    let is_pack = request.method == "POST";
    let login = request.headers.get("authorization");
    let is_known = login.is_some_and(|login| login == LOGIN || login == TOKEN_LOGIN);
    match manner {
        Manner::Silent => {
            thread::sleep(Duration::from_secs(600));
            None
        }
        Manner::Answers(status) => request.answer(status, ""),
        _ if !is_known => request.answer(
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"r\"\r\n",
        ),
        Manner::RefusesPacks(_) if is_pack => request.answer("413 Too Large", ""),
        Manner::Cuts {
            root,
            on,
            answering,
        } if is_pack && on.load(Ordering::SeqCst) => {
            if *answering {
                let mut answer = Vec::new();
                request.answer_with_git(root, &mut answer)?;
                let _ = (&*stream).write_all(&answer[..answer.len() - 10]);
            }
            None
        }
        Manner::Serves(root) | Manner::RefusesPacks(root) | Manner::Cuts { root, .. } => {
            request.answer_with_git(root, &mut &*stream)
        }
    }
}

struct Request<'a> {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
    stream: &'a TcpStream,
    reader: BufReader<&'a TcpStream>,
}

impl<'a> Request<'a> {
    /// Reads a request except for its body.
    fn read(stream: &'a TcpStream) -> Option<Self> {
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
            let mut writer = stream;
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            stream,
            reader,
        })
    }

    /// Answers without a body.
    fn answer(&mut self, status: &str, headers: &str) -> Option<()> {
        self.read_body(&mut io::sink())?;
        let mut stream = self.stream;
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        .ok()
    }

    /// Answers as a CGI program does (RFC 3875).
    #[expect(
        clippy::disallowed_methods,
        reason = "what it reads and writes is as large as a repository"
    )]
    fn answer_with_git(mut self, root: &Path, out: &mut impl Write) -> Option<()> {
        let header = |name: &str| self.headers.get(name).cloned().unwrap_or_default();
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &self.method)
            .env("PATH_INFO", &self.path)
            .env("QUERY_STRING", &self.query)
            .env("REMOTE_USER", "al")
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", header("content-length"))
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = BufReader::with_capacity(64 << 10, child.stdout.take().unwrap());
        let done = thread::scope(|scope| {
            let reading = scope.spawn(move || self.read_body(&mut stdin));
            let written = write_answer(stdout, out);
            reading.join().unwrap().and(written.ok())
        });
        child.wait().unwrap();
        done
    }

    fn read_body(&mut self, into: &mut impl Write) -> Option<()> {
        let reader = &mut self.reader;
        if let Some(length) = self.headers.get("content-length") {
            io::copy(&mut reader.take(length.parse().ok()?), into).ok()?;
            return Some(());
        }
        if self
            .headers
            .get("transfer-encoding")
            .is_none_or(|encoding| encoding != "chunked")
        {
            return Some(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = u64::from_str_radix(line.trim(), 16).ok()?;
            io::copy(&mut reader.take(size), into).ok()?;
            reader.read_line(&mut String::new()).ok()?;
            if size == 0 {
                return Some(());
            }
        }
    }
}

/// Passes the output of a CGI program on, in chunks, as it arrives.
fn write_answer(mut from: impl BufRead, out: &mut impl Write) -> io::Result<()> {
    let (mut status, mut head) = ("200 OK".to_owned(), String::new());
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => match line.strip_prefix("Status: ") {
                Some(found) => status = found.to_owned(),
                None => head += &format!("{line}\r\n"),
            },
        }
    }
    let mut message =
        format!("HTTP/1.1 {status}\r\n{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    loop {
        let piece = from.fill_buf()?;
        let length = piece.len();
        message.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        message.extend_from_slice(piece);
        message.extend_from_slice(b"\r\n");
        out.write_all(&message)?;
        if length == 0 {
            return Ok(());
        }
        from.consume(length);
        message.clear();
    }
}
