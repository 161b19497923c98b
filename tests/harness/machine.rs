//! One machine: its home, its sessions, and the commands that run on it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ccsync::domain::client_dir::client_dir_name;

use super::ledger::{self, Conversations};
use super::output::Run;
use super::transcript::{SessionBuilder, Turns, questions};

/// Every file below a directory: relative path to permissions and content. Two equal
/// trees are the same tree.
pub(crate) type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    root: PathBuf,
}

/// Returns the key of every store, if the tests are to run with encrypted ones.
pub(crate) fn encrypted_runs() -> Option<String> {
    std::env::var_os("CCSYNC_TEST_ENCRYPTED").map(|_| "5e".repeat(32))
}

impl Machine {
    pub(super) fn new(name: &str, root: &Path, home: &str) -> Self {
        let machine = Self {
            name: name.to_owned(),
            home: root.join(home),
            root: root.to_owned(),
        };
        for dir in [machine.home.join(".claude/projects"), machine.tmp()] {
            fs::create_dir_all(dir).unwrap();
        }
        let config = "[user]\n\tname = T\n\temail = t@example.invalid\n[init]\n\tdefaultBranch = trunk\n[gc]\n\tauto = 0\n";
        fs::write(machine.home.join(".gitconfig"), config).unwrap();
        machine
    }

    fn tmp(&self) -> PathBuf {
        self.root.join(&self.name).join("tmp")
    }

    /// Returns ccsync on this machine, not yet started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_ccsync"));
        command.args(args);
        command
    }

    /// Returns any program on this machine, not yet started.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env_clear()
            .current_dir(&self.home)
            .stdin(std::process::Stdio::null());
        for name in ["PATH", "SystemRoot", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(key) = encrypted_runs() {
            command.env("CCSYNC_KEY", key);
        }
        command
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join(".config"))
            .env("XDG_DATA_HOME", self.home.join(".local/share"))
            .env("XDG_STATE_HOME", self.home.join(".local/state"))
            .env("XDG_CACHE_HOME", self.home.join(".cache"))
            .env("TMPDIR", self.tmp())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ALLOW_PROTOCOL", "file")
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8")
            .env("COLUMNS", "100");
        command
    }

    /// Runs ccsync to its end.
    pub(crate) fn ccsync<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::from_command(&mut self.command(args), &self.root)
    }

    /// Runs a prepared command to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Run {
        Run::from_command(command, &self.root)
    }

    /// Runs a command that reads `input`, to its end.
    pub(crate) fn run_with_input(&self, mut command: Command, input: &str) -> Run {
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that does not read ends first.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        self.ended(child)
    }

    /// Waits for a process of this machine, and returns its result.
    pub(crate) fn ended(&self, child: std::process::Child) -> Run {
        Run::from_output(child.wait_with_output().unwrap(), &self.root)
    }

    /// Sets this machine up with a remote, under its own name.
    pub(crate) fn init(&self, remote: &Path) -> Run {
        let encrypt = encrypted_runs().map(|_| "--encrypt");
        self.init_with(remote, encrypt)
    }

    /// Sets this machine up as [`Self::init`], with more arguments.
    pub(crate) fn init_with<'a>(
        &'a self,
        remote: &'a Path,
        more: impl IntoIterator<Item = &'a str>,
    ) -> Run {
        let remote = remote.to_str().unwrap();
        let args = ["init", "--yes", "--name", &self.name, "--remote", remote];
        self.ccsync(args.into_iter().chain(more)).success()
    }

    /// Returns the file with the key of an encrypted store.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.home.join(".config/ccsync/key")
    }

    /// Copies the key of an encrypted store to another machine.
    pub(crate) fn give_key(&self, other: &Self) {
        fs::create_dir_all(other.key_file().parent().unwrap()).unwrap();
        fs::copy(self.key_file(), other.key_file()).unwrap();
    }

    /// Gives a directory, which may be missing, a placeholder.
    pub(crate) fn add_placeholder(&self, placeholder: &str) -> Run {
        self.ccsync(["config", "add-placeholder", placeholder, "--yes"])
            .success()
    }

    /// Begins the description of a session.
    pub(crate) fn session(&self, id: &str) -> SessionBuilder<'_> {
        SessionBuilder::new(self, id)
    }

    /// Appends one turn to a transcript.
    pub(crate) fn append(&self, id: &str, question: &str) {
        let path = self.transcript_path(id);
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let mut turns = Turns::after(&text, id);
        turns.turn(question);
        self.append_raw(id, turns.text().as_bytes());
    }

    /// Appends bytes to a transcript.
    pub(crate) fn append_raw(&self, id: &str, bytes: &[u8]) {
        let mut whole = self.transcript(id);
        whole.extend_from_slice(bytes);
        fs::write(self.transcript_path(id), whole).unwrap();
    }

    /// Returns the content of a transcript.
    pub(crate) fn transcript(&self, id: &str) -> Vec<u8> {
        fs::read(self.transcript_path(id)).unwrap()
    }

    /// Returns the content of a transcript as text.
    pub(crate) fn text(&self, id: &str) -> String {
        String::from_utf8_lossy(&self.transcript(id)).into_owned()
    }

    /// Returns the path of a transcript.
    pub(crate) fn transcript_path(&self, id: &str) -> PathBuf {
        let found: Vec<PathBuf> = self
            .transcript_paths()
            .into_iter()
            .filter(|p| p.file_stem().unwrap() == id)
            .collect();
        match found.as_slice() {
            [one] => one.clone(),
            other => panic!(
                "{} has session {id} {} times: {other:?}",
                self.name,
                other.len()
            ),
        }
    }

    /// Returns the ids of all transcripts, sorted.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut ids: Vec<String> = self.transcript_paths().into_iter().map(name).collect();
        ids.sort();
        ids
    }

    /// Returns the questions in every session, sorted.
    pub(crate) fn all_questions(&self) -> Vec<Vec<String>> {
        let of_session = |id: &String| questions(&self.text(id));
        let mut all: Vec<_> = self.sessions().iter().map(of_session).collect();
        all.sort();
        all
    }

    fn transcript_paths(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for project in self.project_dirs() {
            let files = fs::read_dir(self.projects().join(project))
                .unwrap()
                .map(|e| e.unwrap().path());
            paths.extend(files.filter(|p| p.extension().is_some_and(|e| e == "jsonl")));
        }
        paths
    }

    /// Returns the names of the directories under `projects/`, sorted.
    pub(crate) fn project_dirs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.projects()).unwrap().map(|e| e.unwrap());
        let mut names: Vec<String> = entries
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Returns the client's directory for a project given relative to the home directory.
    pub(crate) fn project_dir(&self, project: &str) -> PathBuf {
        self.projects()
            .join(client_dir_name(self.home.join(project).to_str().unwrap()))
    }

    /// Returns the lines of the transcripts here.
    pub(crate) fn conversations(&self) -> Conversations {
        ledger::conversations(&self.projects())
    }

    /// Returns the default directory of the store.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join(".local/share/ccsync")
    }

    /// Fails if anything of ccsync's is out of order here: changes in the working tree,
    /// objects that git rejects, abandoned locks and temporary files, a torn line.
    #[track_caller]
    pub(crate) fn assert_in_order(&self, what: &str) {
        let store = self.data().join("store");
        let git = |args: &[&str]| {
            let run = self.run(self.program("git").arg("-C").arg(&store).args(args));
            format!("{}{}", run.stdout, run.stderr)
        };
        assert_eq!(git(&["status", "--porcelain"]), "", "{what}");
        assert_eq!(
            git(&["fsck", "--strict", "--no-dangling", "--no-progress"]),
            "",
            "{what}"
        );
        let left = |name: &str| {
            let own =
                name.starts_with(".ccsync-") && name.ends_with(".tmp") || name.starts_with(".new-");
            own || name.ends_with(".lock") || name.ends_with(".keep") || name.starts_with("tmp_")
        };
        let everything = walkdir::WalkDir::new(&self.home)
            .into_iter()
            .map(Result::unwrap);
        let left: Vec<_> = everything
            .filter(|e| left(e.file_name().to_str().unwrap()))
            .map(|e| e.into_path())
            .collect();
        assert!(left.is_empty(), "{what}: left behind: {left:?}");
        for path in self.transcript_paths() {
            let torn = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_err();
            assert!(
                !fs::read_to_string(&path).unwrap().lines().any(torn),
                "{what}: {} is torn",
                path.display()
            );
        }
    }

    fn projects(&self) -> PathBuf {
        self.home.join(".claude/projects")
    }

    /// Returns the working tree of the store.
    pub(crate) fn store(&self) -> PathBuf {
        let status = self.ccsync(["status", "--json"]).success().json();
        status["store"].as_str().unwrap().into()
    }

    /// Runs a plain git command in the store, which must succeed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let run = self.run(self.program("git").arg("-C").arg(self.store()).args(args));
        run.success().stdout
    }

    /// Returns everything below the home directory.
    pub(crate) fn tree(&self) -> Tree {
        tree(&self.home)
    }

    /// Returns the client's files.
    pub(crate) fn client_tree(&self) -> Tree {
        tree(&self.home.join(".claude"))
    }

    /// Marks the session as open in process `pid`, as a running client does.
    #[cfg(target_os = "linux")]
    pub(crate) fn mark_running(&self, id: &str, pid: u32) {
        mark_running(&self.home, &self.home, id, pid);
    }
}

/// Marks the session as open in process `pid`, as a running client does that works in `directory`.
#[cfg(target_os = "linux")]
pub(crate) fn mark_running(home: &Path, directory: &Path, id: &str, pid: u32) {
    // Field 22 is the time of its start.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    let start = fields.split_whitespace().nth(19).unwrap();
    let record = serde_json::json!({
        "pid": pid, "sessionId": id, "cwd": directory, "procStart": start, "version": "2.1.329",
        "kind": "interactive", "entrypoint": "cli", "status": "busy",
    });
    let sessions = home.join(".claude/sessions");
    fs::create_dir_all(&sessions).unwrap();
    fs::write(sessions.join(format!("{pid}.json")), record.to_string()).unwrap();
}

/// Lets a running client say that no person is at it.
pub(crate) fn say_headless(home: &Path, pid: u32) {
    let file = home.join(format!(".claude/sessions/{pid}.json"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text.replace("\"cli\"", "\"sdk-cli\"")).unwrap();
}

/// Returns every file below a directory.
pub(crate) fn tree(dir: &Path) -> Tree {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(dir)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
    {
        let relative = entry.path().strip_prefix(dir).unwrap().to_owned();
        let content = if entry.file_type().is_file() {
            fs::read(entry.path()).unwrap()
        } else {
            Vec::new()
        };
        tree.insert(relative, (mode(&entry.metadata().unwrap()), content));
    }
    tree
}

#[cfg(unix)]
pub(crate) fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777
}

#[cfg(not(unix))]
pub(crate) fn mode(_: &fs::Metadata) -> u32 {
    0
}
