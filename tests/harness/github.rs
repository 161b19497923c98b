//! GitHub on the loopback, as far as `gh` and ccsync use it: repositories are bare ones
//! on this disk, and the API's answers are read from there.
//!
//! `gh` speaks plain http with the host `github.localhost`, through the proxy in
//! `http_proxy`; `insteadOf` leads git to the disk. An unknown request is answered with
//! an error and recorded.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::{Machine, Run, TestEnv};

/// The one account.
pub(crate) const LOGIN: &str = "al";

/// The facts about a repository that are not in its files.
#[derive(Debug, Clone)]
struct Facts {
    visibility: &'static str,
    permission: &'static str,
    archived: bool,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Facts>,
    /// Method, path and body of each request.
    asked: Vec<String>,
    /// Requests that this server does not know.
    unknown: Vec<String>,
    /// The answer to every request: status and body.
    trouble: Option<(u16, String)>,
    /// The answer to a request for a new repository.
    no_new: Option<Value>,
}

/// The server.
pub(crate) struct GitHub {
    address: String,
    disk: PathBuf,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    /// Starts the server. Without `gh`, says so and returns `None`.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub(crate) fn start(env: &TestEnv) -> Option<Self> {
        if Command::new("gh").arg("--version").output().is_err() {
            eprintln!("skipped: no gh found (apt-get install gh)");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let github = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            disk: env.root().join("github"),
            state: Arc::default(),
        };
        let (state, disk) = (Arc::clone(&github.state), github.disk.clone());
        // The server ends with the tests.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, disk) = (Arc::clone(&state), disk.clone());
                thread::spawn(move || answer(stream, &state, &disk));
            }
        });
        Some(github)
    }

    /// Signs `machine` in, with `protocol` for git, and leads its git to the disk.
    pub(crate) fn sign_in(&self, machine: &Machine, protocol: &str) {
        let directory = machine.home.join(".config/gh");
        fs::create_dir_all(&directory).unwrap();
        let hosts = format!(
            "github.localhost:\n    user: {LOGIN}\n    oauth_token: gho_hush\n    git_protocol: {protocol}\n"
        );
        fs::write(directory.join("hosts.yml"), hosts).unwrap();
        self.redirect_git(
            machine,
            &["git@github.localhost:", "https://github.localhost/"],
        );
    }

    /// Leads addresses with these beginnings to the disk.
    pub(crate) fn redirect_git(&self, machine: &Machine, addresses: &[&str]) {
        let config = machine.home.join(".gitconfig");
        let mut text = fs::read_to_string(&config).unwrap();
        text.push_str(&format!("[url \"{}/\"]\n", self.disk.display()));
        text.extend(
            addresses
                .iter()
                .map(|address| format!("\tinsteadOf = {address}\n")),
        );
        fs::write(config, text).unwrap();
    }

    /// Returns ccsync on `machine`, not yet started, with the server in reach.
    pub(crate) fn command(&self, machine: &Machine, args: &[&str]) -> Command {
        let mut command = machine.command(args);
        command.env("http_proxy", &self.address);
        command
    }

    /// Runs ccsync to its end.
    pub(crate) fn ccsync(&self, machine: &Machine, args: &[&str]) -> Run {
        machine.run(&mut self.command(machine, args))
    }

    /// Creates an empty repository.
    pub(crate) fn repository(&self, name: &str, visibility: &'static str) -> PathBuf {
        self.state.lock().unwrap().add(&self.disk, name, visibility)
    }

    /// Creates a repository with a file in it.
    pub(crate) fn used_repository(&self, name: &str, machine: &Machine) {
        let path = self.repository(name, "PRIVATE");
        let script = "git clone --quiet \"$0\" w && cd w && git checkout --quiet -b main && echo x >x && git add x && \
                      git commit --quiet -m x && git push --quiet origin main && cd .. && rm -rf w";
        let mut shell = machine.program("sh");
        machine.run(shell.args(["-c", script]).arg(&path)).success();
    }

    /// Sets the permission of the account for a repository.
    pub(crate) fn permit(&self, name: &str, permission: &'static str, archived: bool) {
        let mut state = self.state.lock().unwrap();
        let facts = state.repositories.get_mut(name).unwrap();
        (facts.permission, facts.archived) = (permission, archived);
    }

    /// Returns the names of all repositories, and their visibility.
    pub(crate) fn repositories(&self) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap();
        state
            .repositories
            .iter()
            .map(|(name, facts)| (name.clone(), facts.visibility.to_owned()))
            .collect()
    }

    /// Answers every later request with this status and body.
    pub(crate) fn answer_everything_with(&self, status: u16, body: &Value) {
        self.state.lock().unwrap().trouble = Some((status, body.to_string()));
    }

    /// Refuses every later repository, for this reason.
    pub(crate) fn refuse_creation(&self, kind: &str, message: &str) {
        let error = json!({"data": null, "errors": [{"type": kind, "path": ["createRepository"], "message": message}]});
        self.state.lock().unwrap().no_new = Some(error);
    }

    /// Returns the number of requests.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    /// Fails if this server did not know a request.
    #[track_caller]
    pub(crate) fn assert_no_unknown_request(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.unknown.is_empty(), "{:#?}", state.unknown);
    }
}

impl State {
    fn add(&mut self, disk: &Path, name: &str, visibility: &'static str) -> PathBuf {
        let path = disk.join(format!("{name}.git"));
        let git = Command::new("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&path)
            .status();
        assert!(git.unwrap().success());
        self.repositories.insert(
            name.to_owned(),
            Facts {
                visibility,
                permission: "ADMIN",
                archived: false,
            },
        );
        path
    }

    fn answer(&mut self, disk: &Path, request: &str, body: &str) -> (u16, String) {
        self.asked.push(format!("{request} {body}"));
        if let Some(trouble) = &self.trouble {
            return trouble.clone();
        }
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let query = body["query"].as_str().unwrap_or_default();
        let variables = &body["variables"];
        let answer = match () {
            // `gh auth status` reads the rights of its token.
            () if request == "GET /" => json!({}),
            // The owner of the new repository.
            () if request == format!("GET /users/{LOGIN}") => {
                json!({"login": LOGIN, "node_id": "U_1", "type": "User"})
            }
            () if query.contains("createRepository") => self.create(disk, &variables["input"]),
            () if query.contains("repositories(first: 100") => {
                self.account(disk, &variables["name"])
            }
            () if query.contains("...facts") => self.one(disk, variables),
            () if query.contains("viewer") => json!({"data": {"viewer": {"login": LOGIN}}}),
            () => {
                self.unknown.push(format!("{request} {body}"));
                return (400, json!({"message": "not known here"}).to_string());
            }
        };
        (200, answer.to_string())
    }

    fn create(&mut self, disk: &Path, input: &Value) -> Value {
        if let Some(reason) = &self.no_new {
            return reason.clone();
        }
        let name = format!("{LOGIN}/{}", input["name"].as_str().unwrap());
        if self.repositories.contains_key(&name) {
            let message = "Name already exists on this account";
            return json!({"data": {"createRepository": null},
                "errors": [{"type": "UNPROCESSABLE", "path": ["createRepository"], "message": message}]});
        }
        let visibility = if input["visibility"] == "PRIVATE" {
            "PRIVATE"
        } else {
            "PUBLIC"
        };
        self.add(disk, &name, visibility);
        let url = format!("https://github.localhost/{name}");
        let repository =
            json!({"id": "R_1", "name": input["name"], "owner": {"login": LOGIN}, "url": url});
        json!({"data": {"createRepository": {"repository": repository}}})
    }

    fn account(&self, disk: &Path, name: &Value) -> Value {
        let own: Vec<&String> = self
            .repositories
            .keys()
            .filter(|name| name.starts_with(&format!("{LOGIN}/")))
            .collect();
        let all: Vec<Value> = own.iter().map(|name| self.facts(disk, name)).collect();
        let named = self.facts(disk, &format!("{LOGIN}/{}", name.as_str().unwrap()));
        let mut answer = json!({"data": {"viewer": {"login": LOGIN, "repository": named, "repositories": {"nodes": all}}}});
        if answer["data"]["viewer"]["repository"].is_null() {
            answer["errors"] = json!([{"type": "NOT_FOUND", "path": ["viewer", "repository"], "message": "Could not resolve"}]);
        }
        answer
    }

    fn one(&self, disk: &Path, variables: &Value) -> Value {
        let name = format!(
            "{}/{}",
            variables["owner"].as_str().unwrap(),
            variables["name"].as_str().unwrap()
        );
        match self.facts(disk, &name) {
            Value::Null => json!({"data": {"repository": null}, "errors": [{"type": "NOT_FOUND",
                "path": ["repository"], "message": format!("Could not resolve to a Repository with the name '{name}'.")}]}),
            facts => json!({"data": {"repository": facts}}),
        }
    }

    fn facts(&self, disk: &Path, name: &str) -> Value {
        let Some(Facts {
            visibility,
            permission,
            archived,
        }) = self.repositories.get(name)
        else {
            return Value::Null;
        };
        let path = disk.join(format!("{name}.git"));
        let has = |what: &str| {
            let git = Command::new("git")
                .arg("--git-dir")
                .arg(&path)
                .args(["cat-file", "-e", what])
                .output();
            git.unwrap().status.success()
        };
        let store = if has("main:ccsync.json") {
            json!({"__typename": "Blob"})
        } else {
            Value::Null
        };
        json!({"nameWithOwner": name, "url": format!("https://github.localhost/{name}"),
            "sshUrl": format!("git@github.localhost:{name}.git"), "visibility": visibility, "isEmpty": !has("main"),
            "isArchived": archived, "viewerPermission": permission, "store": store})
    }
}

/// Answers one request for each connection.
fn answer(mut stream: TcpStream, state: &Mutex<State>, disk: &Path) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, address) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    // A proxy receives the whole address.
    let path = address
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]))
        .unwrap_or(address);
    let request = format!("{method} {path}");
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, text) =
        state
            .lock()
            .unwrap()
            .answer(disk, &request, &String::from_utf8_lossy(&body));
    let headers = "Content-Type: application/json\r\nX-Oauth-Scopes: repo, read:org, gist\r\nConnection: close";
    let answer = format!(
        "HTTP/1.1 {status} x\r\n{headers}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    // The other side may have closed the connection.
    let _ = stream.write_all(answer.as_bytes());
}
