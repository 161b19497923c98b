//! The install script, run by several shells, over a release that is served on the loopback.
//!
//! The program in an archive is a script that says its version and its target. A `PATH` of its own
//! decides which tools a machine has, and which system it says it is.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use crate::harness::{Machine, Run, TestEnv};

/// The version of the release. That of the program under test is older.
const VERSION: &str = "9.9.9";

/// The platforms with an archive, as `uname` names them, and the targets.
const PLATFORMS: [(&str, &str, &str); 4] = [
    ("Linux", "x86_64", "x86_64-unknown-linux-musl"),
    ("Linux", "aarch64", "aarch64-unknown-linux-musl"),
    ("Darwin", "x86_64", BROKEN),
    ("Darwin", "arm64", "aarch64-apple-darwin"),
];

/// The target whose program does not run.
const BROKEN: &str = "x86_64-apple-darwin";

/// Everything that the script runs, apart from a downloader.
const TOOLS: [&str; 13] = [
    "cat",
    "cut",
    "find",
    "gzip",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "tar",
    "git",
];

/// The behaviour of the server towards archives: the first part of an address.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Whole,
    /// Announces everything, sends one half and hangs up.
    Half,
    /// Sends other bytes of the same number.
    Altered,
    /// Has no archives.
    Missing,
}

impl Manner {
    const ALL: [Self; 4] = [Self::Whole, Self::Half, Self::Altered, Self::Missing];

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A served release.
struct Release {
    port: u16,
    dist: PathBuf,
    _directory: tempfile::TempDir,
}

impl Release {
    /// Returns the release that the tests of this moment share. Without the tools to make it, says
    /// so and returns `None`.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn get() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Release>> = Mutex::new(Weak::new());
        let python = Command::new("python3")
            .args(["-c", "import tomllib"])
            .output();
        if !python.is_ok_and(|run| run.status.success()) {
            eprintln!("skipped: no python3 of 3.11 or later found (apt-get install python3)");
            return None;
        }
        let mut shared = SHARED.lock().unwrap();
        let release = shared.upgrade().unwrap_or_else(|| Arc::new(Self::make()));
        *shared = Arc::downgrade(&release);
        Some(release)
    }

    fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dist = directory.path().join("dist");
        for target in PLATFORMS
            .map(|(.., target)| target)
            .into_iter()
            .chain(["x86_64-pc-windows-gnu"])
        {
            let program = directory.path().join(target);
            let ends = if target == BROKEN { "exit 1" } else { "" };
            script(
                &program,
                &format!("{ends}\necho ccsync {VERSION} # {target}\n"),
            );
            let documented = ["--docs-from", env!("CARGO_BIN_EXE_ccsync")];
            let mut pack = Command::new(tool("pack"));
            pack.arg(target).arg(&program).arg(&dist).args(documented);
            run_tool(&mut pack);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let release = Self {
            port: listener.local_addr().unwrap().port(),
            dist: dist.clone(),
            _directory: directory,
        };
        for manner in Manner::ALL {
            release.render(manner);
        }
        // The server ends with the tests.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let dist = dist.clone();
                thread::spawn(move || answer(&stream, &dist));
            }
        });
        release
    }

    fn render(&self, manner: Manner) {
        let address = format!("http://127.0.0.1:{}/{}/ccsync", self.port, manner.name());
        let mut render = Command::new(tool("render"));
        let out = self.dist.join(manner.name());
        run_tool(
            render
                .arg(&self.dist)
                .arg(out)
                .args(["--address", &address]),
        );
        let script = self.script(manner);
        let text = fs::read_to_string(&script).unwrap();
        let own = format!("version={}\n", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&own));
        fs::write(&script, text.replace(&own, &format!("version={VERSION}\n"))).unwrap();
    }

    fn script(&self, manner: Manner) -> PathBuf {
        self.dist.join(manner.name()).join("install.sh")
    }
}

/// A machine with few programs.
struct Bare<'a> {
    machine: Machine,
    bin: PathBuf,
    release: &'a Release,
}

impl<'a> Bare<'a> {
    fn new(env: &TestEnv, release: &'a Release, downloader: &str) -> Self {
        let machine = env.machine("a");
        let bare = Self {
            bin: machine.home.join("tools"),
            machine,
            release,
        };
        fs::create_dir(&bare.bin).unwrap();
        for name in TOOLS
            .into_iter()
            .chain([downloader])
            .filter(|name| !name.is_empty())
        {
            symlink(found(name).unwrap(), bare.bin.join(name)).unwrap();
        }
        bare.claims_to_be("Linux", "x86_64");
        bare
    }

    fn claims_to_be(&self, system: &str, processor: &str) {
        let answer = format!("[ \"$1\" = -s ] && echo {system} || echo {processor}\n");
        script(&self.bin.join("uname"), &answer);
    }

    fn directory(&self) -> PathBuf {
        self.machine.home.join(".local/bin")
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.directory().join("ccsync")).unwrap()
    }

    fn shell(&self, shell: &[&str]) -> Command {
        let program = found(shell[0]).unwrap();
        let mut command = self.machine.program(program.to_str().unwrap());
        command.args(&shell[1..]).env("PATH", &self.bin);
        command
    }

    fn install(&self, manner: Manner) -> Run {
        let mut command = self.shell(&["sh"]);
        self.machine.run(command.arg(self.release.script(manner)))
    }

    /// Installs what is refused, and asserts that nothing of the machine changes.
    #[track_caller]
    fn refused(&self, manner: Manner) -> String {
        let before = self.machine.tree();
        let run = self.install(manner).code(1);
        let is_equal = self.machine.tree() == before;
        assert!(is_equal, "something was changed\n{run}");
        run.stderr
    }

    /// As `refused`, in a new directory.
    #[track_caller]
    fn refused_elsewhere(&self, manner: Manner) -> String {
        let other = self.machine.home.join("other");
        fs::create_dir(&other).unwrap();
        let mut command = self.shell(&["sh"]);
        command
            .arg(self.release.script(manner))
            .env("CCSYNC_INSTALL_DIR", &other);
        let run = self.machine.run(&mut command).code(1);
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0, "{run}");
        run.stderr
    }
}

fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".release")
        .join(name)
}

fn run_tool(command: &mut Command) {
    let run = command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Answers one request for `/MANNER/ccsync/releases/…/NAME`.
fn answer(mut stream: &TcpStream, dist: &Path) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let request = lines.next()?;
    lines.find(String::is_empty)?;
    let path = request.split(' ').nth(1)?;
    let manner = Manner::ALL
        .into_iter()
        .find(|manner| path.split('/').nth(1) == Some(&manner.name()))?;
    let name = path.rsplit('/').next()?;
    let is_archive = name.ends_with(".gz");
    let file = if is_archive {
        dist.join(name)
    } else {
        dist.join(manner.name()).join(name)
    };
    let Some(mut content) = fs::read(file)
        .ok()
        .filter(|_| !is_archive || manner != Manner::Missing)
    else {
        return stream
            .write_all(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            .ok();
    };
    let head = format!(
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    match manner {
        Manner::Half if is_archive => content.truncate(content.len() / 2),
        Manner::Altered if is_archive => content[100] ^= 1,
        _ => {}
    }
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&content).ok()
}

#[test]
fn install_new_user_gets_program_and_next_step() {
    let Some(release) = Release::get() else {
        return;
    };
    for downloader in ["curl", "wget"]
        .into_iter()
        .filter(|name| found(name).is_some())
    {
        for shell in [
            vec!["dash"],
            vec!["bash", "--posix"],
            vec!["busybox", "sh"],
            vec!["zsh", "--emulate", "sh"],
        ] {
            if found(shell[0]).is_none() {
                continue;
            }
            let env = TestEnv::new();
            let a = Bare::new(&env, &release, downloader);
            let mut command = a.shell(&shell);
            let run = a
                .machine
                .run(command.arg(release.script(Manner::Whole)))
                .success();
            let directory = a.directory();
            let directory = directory.display();
            let expected = format!(
                "ccsync {VERSION} installed: {directory}/ccsync\n\
                 hint: {directory} is not on the PATH; for this shell and in its profile:\n    \
                 export PATH=\"{directory}:$PATH\"\n\
                 next: ccsync init\n"
            );
            assert_eq!(
                (run.stdout.as_str(), run.stderr.as_str()),
                (expected.as_str(), ""),
                "{shell:?} {downloader}"
            );
            let names: Vec<_> = fs::read_dir(a.directory())
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            assert_eq!(names.len(), 2, "{names:?}");
        }
    }
}

/// A small Linux has one program for everything.
#[test]
fn install_with_busybox_alone_works() {
    let (Some(release), Some(busybox)) = (Release::get(), found("busybox")) else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "");
    for tool in TOOLS.into_iter().chain(["wget"]) {
        let _ = fs::remove_file(a.bin.join(tool));
        symlink(&busybox, a.bin.join(tool)).unwrap();
    }
    a.install(Manner::Whole).success();
    let said = a.refused_elsewhere(Manner::Half);
    assert!(
        said.contains("cannot download") || said.contains("is not what was released"),
        "{said}"
    );
}

#[test]
fn install_every_platform_gets_its_program() {
    let Some(release) = Release::get() else {
        return;
    };
    for (system, processor, target) in PLATFORMS
        .into_iter()
        .filter(|(.., target)| *target != BROKEN)
    {
        let env = TestEnv::new();
        let a = Bare::new(&env, &release, "curl");
        a.claims_to_be(system, processor);
        a.install(Manner::Whole).success();
        assert!(a.installed().contains(target), "{system} {processor}");
    }
}

/// A translated process sees another processor.
#[test]
fn install_translated_process_gets_native_program() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    a.claims_to_be("Darwin", "x86_64");
    script(&a.bin.join("sysctl"), "echo 1\n");
    a.install(Manner::Whole).success();
    assert!(a.installed().contains("aarch64-apple-darwin"));
}

#[test]
fn install_old_copy_is_replaced_where_it_is() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    let other = a.machine.home.join("Other Programs");
    let mut first = a.shell(&["sh"]);
    first
        .arg(release.script(Manner::Whole))
        .env("CCSYNC_INSTALL_DIR", &other);
    a.machine.run(&mut first).success();
    script(&other.join("ccsync"), "echo ccsync 0.0.1\n");

    let mut update = a.shell(&["sh"]);
    let path = std::env::join_paths([&other, &a.bin]).unwrap();
    update.arg(release.script(Manner::Whole)).env("PATH", &path);
    let run = a.machine.run(&mut update).success();
    let program = other.join("ccsync");
    let said = format!(
        "ccsync {VERSION} installed in place of 0.0.1: {}\n",
        program.display()
    );
    assert_eq!(run.stdout, said);
    assert!(fs::read_to_string(&program).unwrap().contains(VERSION));

    let before = a.machine.tree();
    let run = a.machine.run(&mut update).success();
    assert_eq!(
        run.stdout,
        format!(
            "ccsync {VERSION} is installed already: {}\n",
            program.display()
        )
    );
    assert!(a.machine.tree() == before);
}

#[test]
fn install_bad_download_changes_nothing() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    a.install(Manner::Whole).success();
    script(&a.directory().join("ccsync"), "echo ccsync 0.0.1\n");
    assert!(
        a.refused(Manner::Altered)
            .contains("is not what was released (SHA-256 ")
    );
    assert!(
        a.refused(Manner::Half)
            .contains("cannot download http://127.0.0.1:")
    );
    assert!(
        a.refused(Manner::Missing)
            .contains("cannot download http://127.0.0.1:")
    );
    a.claims_to_be("Darwin", "x86_64");
    let said = a.refused(Manner::Whole);
    assert!(
        said.contains("the downloaded program does not run in"),
        "{said}"
    );
    assert!(a.installed().contains("0.0.1"));
}

#[test]
fn install_foreign_program_is_kept() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    fs::create_dir_all(a.directory()).unwrap();
    script(&a.directory().join("ccsync"), "echo something else\n");
    let said = a.refused(Manner::Whole);
    assert!(
        said.contains("/ccsync was not installed by this script\nhint: "),
        "{said}"
    );
}

#[test]
fn install_missing_tools_are_named() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "");
    let said = a.refused_elsewhere(Manner::Whole);
    assert!(
        said.contains("neither curl nor wget was found\nhint: install one of them"),
        "{said}"
    );

    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    fs::remove_file(a.bin.join("sha256sum")).unwrap();
    let said = a.refused_elsewhere(Manner::Whole);
    assert_eq!(
        said,
        "install ccsync: cannot verify the download: none of sha256sum, shasum and openssl was found\n"
    );
}

#[test]
fn install_unknown_platform_is_named() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    for (system, processor) in [("Linux", "armv7l"), ("FreeBSD", "amd64")] {
        a.claims_to_be(system, processor);
        let said = a.refused(Manner::Whole);
        assert!(
            said.contains(&format!(
                "no program for {system} on {processor}\nhint: build it"
            )),
            "{said}"
        );
    }
    a.claims_to_be("MINGW64_NT-10.0", "x86_64");
    assert!(
        a.refused(Manner::Whole)
            .contains("hint: in PowerShell: irm http://127.0.0.1:")
    );
}

#[test]
fn install_unwritable_directory_is_named() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    // Below a file, not even root can write.
    fs::write(a.machine.home.join(".local"), "").unwrap();
    let said = a.refused(Manner::Whole);
    let directory = a.directory();
    let expected = format!(
        "install ccsync: cannot write to {}\nhint: name another directory in ",
        directory.display()
    );
    assert!(said.starts_with(&expected), "{said}");
}

/// Puts the program under test there.
fn link_own_program(path: &Path) {
    let own = env!("CARGO_BIN_EXE_ccsync");
    fs::hard_link(own, path)
        .or_else(|_| fs::copy(own, path).map(drop))
        .unwrap();
}

/// Puts the program under test where the install script has been.
fn installed_before(a: &Bare<'_>, manner: Manner) -> PathBuf {
    a.install(manner).success();
    let program = a.directory().join("ccsync");
    fs::remove_file(&program).unwrap();
    link_own_program(&program);
    program
}

#[test]
fn self_update_installed_copy_is_replaced() {
    let Some(release) = Release::get() else {
        return;
    };
    for downloader in ["curl", "wget"]
        .into_iter()
        .filter(|name| found(name).is_some())
    {
        let env = TestEnv::new();
        let a = Bare::new(&env, &release, downloader);
        let program = installed_before(&a, Manner::Whole);
        let mut update = a.machine.program(program.to_str().unwrap());
        update.arg("self-update").env("PATH", &a.bin);
        let run = a.machine.run(&mut update).success();
        let old = env!("CARGO_PKG_VERSION");
        let said = format!(
            "ccsync {VERSION} installed in place of {old}: {}\n",
            program.display()
        );
        assert!(run.stdout.starts_with(&said), "{run}");
        assert!(a.installed().contains(VERSION));
    }
}

#[test]
fn self_update_bad_download_changes_nothing() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    let program = installed_before(&a, Manner::Whole);
    let marker = a.directory().join(".ccsync-install");
    let update = || {
        let mut update = a.machine.program(program.to_str().unwrap());
        update.arg("self-update").env("PATH", &a.bin);
        a.machine.run(&mut update).code(1).stderr
    };
    let address = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, address.replace("/whole/", "/altered/")).unwrap();
    let said = update();
    assert!(
        said.contains("is not what was released (SHA-256 "),
        "{said}"
    );
    assert!(
        said.contains("hint: nothing was changed; try again"),
        "{said}"
    );

    fs::write(&marker, address.replace("/whole/", "/nowhere/")).unwrap();
    assert!(update().contains("cannot update ccsync: "));
    fs::write(&marker, "http://127.0.0.1/'$(touch x)").unwrap();
    assert!(update().contains("invalid address in "));
    assert_eq!(
        fs::metadata(&program).unwrap().len(),
        fs::metadata(env!("CARGO_BIN_EXE_ccsync")).unwrap().len()
    );
}

#[test]
fn self_update_other_copy_is_left_alone() {
    let env = TestEnv::new();
    let said = env.machine("a").ccsync(["self-update"]).code(1).stderr;
    assert!(
        said.contains("/ccsync was not installed by the install script\n"),
        "{said}"
    );
    assert!(
        said.contains("hint: put a newer program in its place"),
        "{said}"
    );
}

#[test]
fn install_script_cut_off_does_nothing() {
    let Some(release) = Release::get() else {
        return;
    };
    let env = TestEnv::new();
    let a = Bare::new(&env, &release, "curl");
    let script = fs::read_to_string(release.script(Manner::Whole)).unwrap();
    let before = a.machine.tree();
    let whole = script.trim_end().len();
    for end in (0..whole).step_by(whole / 60).chain([whole - 1]) {
        let run = a.machine.run_with_input(a.shell(&["sh"]), &script[..end]);
        assert!(a.machine.tree() == before, "cut after {end} bytes\n{run}");
    }
}

/// Homebrew and Nix keep each version in its own directory.
#[test]
fn install_by_link_gives_hooks_the_link() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.init(&env.bare_remote());
    let bin = a.home.join("bin");
    let program = a.home.join("cellar/0.1.0/ccsync");
    for directory in [bin.as_path(), program.parent().unwrap()] {
        fs::create_dir_all(directory).unwrap();
    }
    link_own_program(&program);
    symlink(&program, bin.join("ccsync")).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
    let mut auto = a.program(bin.join("ccsync").to_str().unwrap());
    auto.args(["auto", "on"])
        .env("PATH", std::env::join_paths(path).unwrap());
    a.run(&mut auto).success();
    let settings = fs::read_to_string(a.home.join(".claude/settings.json")).unwrap();
    assert!(
        settings.contains(bin.join("ccsync").to_str().unwrap()),
        "{settings}"
    );
    assert!(!settings.contains("cellar"), "{settings}");
}
