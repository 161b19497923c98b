//! A remote that is a plain repository on this disk is reached without git, and git finds nothing wrong with it.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Clone, Machine, ONE, Run, TWO, TestEnv, questions, tree};

/// Runs this program where no git is to be found.
fn without_git(machine: &Machine, args: &[&str]) -> Run {
    machine.run(machine.command(args).env("PATH", "/nowhere"))
}

/// Runs this program with a git that leaves a trace; the commands that were started.
fn traced(machine: &Machine, args: &[&str]) -> (Run, Vec<String>) {
    let (traces, trace) = (machine.home.join("traces"), machine.home.join("trace"));
    fs::create_dir_all(&traces).unwrap();
    let path = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&path)
        .map(|dir| dir.join("git"))
        .find(|git| git.is_file())
        .unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\nexec '{}' \"$@\"\n",
        trace.display(),
        real.display()
    );
    fs::write(traces.join("git"), script).unwrap();
    fs::set_permissions(traces.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let _ = fs::remove_file(&trace);
    let run = machine.run(
        machine
            .command(args)
            .env("PATH", format!("{}:{path}", traces.display())),
    );
    let lines = fs::read_to_string(&trace).unwrap_or_default();
    let commands = ["ls-remote", "fetch", "push"];
    let started = lines
        .lines()
        .filter_map(|line| line.split(' ').find(|word| commands.contains(word)));
    (run, started.map(str::to_owned).collect())
}

/// What git says of the repository, without and with all its doubts.
fn assert_sound(machine: &Machine, remote: &Path) {
    let git = |args: &[&str]| {
        machine
            .run(machine.program("git").arg("-C").arg(remote).args(args))
            .success()
            .stdout
    };
    assert_eq!(git(&["fsck", "--strict", "--full", "--no-dangling"]), "");
    git(&["rev-list", "--objects", "--all"]);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn packs(repository: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut packs: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "pack"))
        .collect();
    packs.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    packs
}

#[test]
fn small_pushes_and_pulls_need_no_git() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    for n in 0..3 {
        a.append(ONE, &format!("from a {n}"));
        without_git(&a, &["push"]).success();
        assert_sound(&a, &remote);
        without_git(&b, &["pull"]).success();
        b.append(ONE, &format!("from b {n}"));
        if n == 0 {
            b.session(TWO).project("work/app").turn("beside").write();
        } else {
            b.append(TWO, &format!("beside {n}"));
        }
        without_git(&b, &["sync"]).success();
        without_git(&a, &["pull"]).success();
    }
    assert_eq!(questions(&a.text(ONE)).len(), 7);
    assert_eq!(questions(&a.text(TWO)), ["beside", "beside 1", "beside 2"]);
    for machine in [&a, &b] {
        machine.assert_in_order("after all");
        assert_eq!(
            machine.ccsync(["status", "--json"]).json()["queued_commits"],
            0
        );
        machine.ccsync(["verify", "--full"]).success();
    }
    assert_sound(&a, &remote);
    let clone = Clone::of(&remote, &a);
    clone.git(&["checkout", "--quiet", "main"]);
    assert!(
        clone.path.join("machines").is_dir(),
        "anybody's git can clone it"
    );
}

#[test]
fn a_first_push_and_what_a_lost_remote_gets_again_need_no_git() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for n in 0..7 {
        let id = format!("{n:08}-1111-4111-8111-111111111111");
        a.session(&id)
            .project("work/app")
            .turn(&"long ".repeat(2_000_000))
            .turn("short")
            .write();
    }
    let (run, started) = traced(&a, &["push"]);
    run.success();
    assert_eq!(started, [""; 0]);
    let remote = env.remote_of_pair();
    assert_sound(&a, &remote);
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions().len(), 7);

    fs::remove_dir_all(&remote).unwrap();
    fs::rename(env.bare_remote(), &remote).unwrap();
    // What was packed anew here lies there as differences.
    a.git(&["gc", "--quiet"]);
    a.ccsync(["push"]).success();
    assert_sound(&a, &remote);
}

#[test]
fn an_interrupted_transfer_is_not_begun_again_by_git() {
    // A signal may come too late; then the push is complete.
    let interrupted = (0..10).any(|_| {
        let env = TestEnv::new();
        let (a, _) = env.pair();
        a.session(ONE)
            .project("work/app")
            .turn(&"long ".repeat(4_000_000))
            .write();
        let before = tree(&env.remote_of_pair());
        let run = interrupted_while_copying(&a, &env.remote_of_pair());
        if run.code == Some(0) {
            return false;
        }
        assert_eq!(run.code, Some(130), "{run}");
        assert!(
            tree(&env.remote_of_pair()) == before,
            "something has come, or is left"
        );
        a.ccsync(["push"]).success();
        assert_sound(&a, &env.remote_of_pair());
        true
    });
    assert!(interrupted, "it never came in time");
}

/// A push, interrupted when it has begun to write a pack in the remote.
fn interrupted_while_copying(machine: &Machine, remote: &Path) -> Run {
    let packs = remote.join("objects/pack");
    let mut push = machine
        .command(["push"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let is_copying = || {
        fs::read_dir(&packs)
            .unwrap()
            .any(|entry| is_half_made(&entry.unwrap().path()))
    };
    while push.try_wait().unwrap().is_none() && !is_copying() {
        std::thread::yield_now();
    }
    if push.try_wait().unwrap().is_none() {
        kill_process(Pid::from_child(&push), Signal::INT).unwrap();
    }
    machine.ended(push)
}

fn is_half_made(path: &Path) -> bool {
    path.file_name()
        .unwrap()
        .to_string_lossy()
        .starts_with("tmp_pack")
}

#[test]
fn an_interruption_counts_while_it_is_found_out_what_is_missing() {
    // A signal may come too late; then everything has come.
    let interrupted = (0..10).any(|_| {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        a.append(ONE, "more");
        a.ccsync(["push"]).success();
        let before = packs(&b.store().join(".git")).len();
        let [first, second] = [1, 2].map(|n| gate(&b, &env.remote_of_pair(), n));
        let mut pull = b
            .command(["pull"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It has begun to look when it comes by the first, and waits at the second.
        let open = open_gate(&first, &mut pull);
        kill_process(Pid::from_child(&pull), Signal::INT).unwrap();
        drop((open, open_gate(&second, &mut pull)));
        let run = b.ended(pull);
        if run.code == Some(0) || packs(&b.store().join(".git")).len() > before {
            return false;
        }
        assert_eq!(run.code, Some(130), "{run}");
        [first, second]
            .iter()
            .for_each(|gate| fs::remove_file(gate).unwrap());
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)).len(), 2);
        true
    });
    assert!(interrupted, "it never came in time");
}

/// A pack that is no file but a pipe: whoever opens it waits until it is opened here. The one with the lowest number is opened first.
fn gate(machine: &Machine, remote: &Path, n: u64) -> PathBuf {
    let pack = remote.join(format!("objects/pack/pack-{n:040}.pack"));
    machine.run(machine.program("mkfifo").arg(&pack)).success();
    let index = fs::File::create(pack.with_extension("idx")).unwrap();
    index
        .set_modified(index.metadata().unwrap().modified().unwrap() + Duration::from_secs(100 - n))
        .unwrap();
    pack
}

/// Waits until the program is at the gate, or at its end.
fn open_gate(gate: &Path, program: &mut Child) -> Option<fs::File> {
    let only_if_awaited = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    while program.try_wait().unwrap().is_none() {
        if let Ok(open) = fs::OpenOptions::new()
            .write(true)
            .custom_flags(only_if_awaited)
            .open(gate)
        {
            return Some(open);
        }
        std::thread::yield_now();
    }
    None
}

#[test]
fn others_may_read_what_was_pushed_if_they_may_read_the_rest() {
    for (directory, file) in [(0o755, 0o444), (0o700, 0o400), (0o775, 0o444)] {
        let env = TestEnv::new();
        let (a, _) = env.pair_with_session();
        let remote = env.remote_of_pair();
        for name in ["objects/pack", "refs/heads"] {
            fs::set_permissions(remote.join(name), fs::Permissions::from_mode(directory)).unwrap();
        }
        a.append(ONE, "more");
        without_git(&a, &["push"]).success();
        let newest = packs(&remote).pop().unwrap();
        assert_eq!(
            (mode(&newest), mode(&newest.with_extension("idx"))),
            (file, file)
        );
        assert_eq!(mode(&remote.join("refs/heads/main")), directory & 0o666);
    }
}

/// What it is, and how the repository, or the machine of a user, becomes so.
type Unusual = (&'static str, fn(&Machine, &Path));

/// What makes a repository one that only git may handle.
const UNUSUAL: [Unusual; 10] = [
    ("fsck of what arrives", |_, remote| {
        configure(remote, "[receive]\n\tfsckObjects = true\n")
    }),
    ("only forward", |_, remote| {
        configure(remote, "[receive]\n\tdenyNonFastForwards = true\n")
    }),
    ("hidden references", |_, remote| {
        configure(remote, "[transfer]\n\thideRefs = refs/x\n")
    }),
    ("a log", |_, remote| {
        configure(remote, "[core]\n\tlogAllRefUpdates = true\n")
    }),
    ("no bare repository", |_, remote| {
        configure(
            remote,
            "[core]\n\tbare = false\n[receive]\n\tdenyCurrentBranch = ignore\n",
        );
    }),
    ("a hook", |_, remote| {
        hook(&remote.join("hooks/post-receive"))
    }),
    ("hooks elsewhere", |machine, remote| {
        let hooks = machine.home.join("hooks");
        configure(
            remote,
            &format!("[core]\n\thooksPath = {}\n", hooks.display()),
        );
        hook(&hooks.join("update"));
    }),
    ("the user's own rules", |machine, _| {
        configure_user(machine, "[receive]\n\tfsckObjects = true\n")
    }),
    ("another address", |machine, remote| {
        let root = remote.parent().unwrap().display();
        configure_user(
            machine,
            &format!("[url \"file://{root}/\"]\n\tinsteadOf = {root}/\n"),
        );
    }),
    ("packed elsewhere", |_, remote| {
        fs::write(remote.join("objects/info/alternates"), "/nowhere\n").unwrap()
    }),
];

fn configure(remote: &Path, text: &str) {
    let path = remote.join("config");
    fs::write(&path, fs::read_to_string(&path).unwrap() + text).unwrap();
}

fn configure_user(machine: &Machine, text: &str) {
    let path = machine.home.join(".gitconfig");
    fs::write(&path, fs::read_to_string(&path).unwrap_or_default() + text).unwrap();
}

fn hook(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "#!/bin/sh\ntouch \"$GIT_DIR/a-hook-ran\"\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn where_anything_is_unusual_git_has_its_say() {
    for (what, make_unusual) in UNUSUAL {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let remote = env.remote_of_pair();
        make_unusual(&a, &remote);
        a.append(ONE, "more");
        let (run, started) = traced(&a, &["push"]);
        run.success();
        assert_eq!(started, ["push"], "{what}");
        assert_eq!(
            remote.join("a-hook-ran").exists(),
            what.starts_with("a hook") || what.starts_with("hooks"),
            "{what}"
        );
        b.ccsync(["pull"]).success();
        assert_eq!(questions(&b.text(ONE)).len(), 2, "{what}");
    }
}

#[test]
fn a_setting_without_a_value_is_one() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let mut config = fs::read_to_string(env.remote_of_pair().join("config")).unwrap();
    config.push_str("[odd]\n\tvalueless\n");
    fs::write(env.remote_of_pair().join("config"), config).unwrap();
    a.append(ONE, "more");
    without_git(&a, &["push"]).success();
}

#[test]
fn settings_that_variables_bring_are_gits_business() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let elsewhere = a.home.join("elsewhere");
    fs::write(&elsewhere, "[user]\n\tname = al\n").unwrap();
    a.append(ONE, "more");
    let mut push = a.command(["push", "--json"]);
    push.env("GIT_CONFIG_GLOBAL", &elsewhere)
        .env("PATH", "/nowhere");
    assert_eq!(a.run(&mut push).json()["remote"]["state"], "queued");
    let mut push = a.command(["push", "--json"]);
    push.env("GIT_ALLOW_PROTOCOL", "https")
        .env("PATH", "/nowhere");
    assert_eq!(a.run(&mut push).json()["remote"]["state"], "queued");
    without_git(&a, &["push"]).success();
}

#[test]
fn what_is_damaged_in_the_remote_comes_nowhere_else() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    a.append(ONE, "more");
    without_git(&a, &["push"]).success();
    let newest = packs(&remote).pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    let before = packs(&b.store().join(".git")).len();
    fs::set_permissions(&newest, fs::Permissions::from_mode(0o600)).unwrap();
    for at in [20, whole.len() / 3, whole.len() / 2, whole.len() - 30] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&newest, &damaged).unwrap();
        let run = b.ccsync(["pull"]);
        assert_ne!(run.code, Some(0), "byte {at}\n{run}");
        assert_eq!(
            b.git(&["fsck", "--strict", "--full", "--no-dangling"]),
            "",
            "byte {at}"
        );
        assert_eq!(packs(&b.store().join(".git")).len(), before, "byte {at}");
        assert_eq!(questions(&b.text(ONE)), ["hello"], "byte {at}");
    }
    fs::write(&newest, &whole).unwrap();
    without_git(&b, &["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);
}

#[test]
fn a_reference_that_git_has_packed_is_moved_like_any_other() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let git = |args: &[&str]| {
        a.run(a.program("git").arg("-C").arg(&remote).args(args))
            .success()
            .stdout
    };
    git(&["pack-refs", "--all"]);
    git(&["gc", "--quiet"]);
    assert!(!remote.join("refs/heads/main").exists());
    a.append(ONE, "more");
    without_git(&a, &["push"]).success();
    without_git(&b, &["pull"]).success();
    assert_eq!(questions(&b.text(ONE)).len(), 2);
    git(&["pack-refs", "--all"]);
    assert_sound(&a, &remote);
}

#[test]
fn what_returns_to_what_it_was_goes_over_whole() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let away = env.root().join("away");
    let memory = a.project_dir("work/app").join("memory");
    fs::create_dir_all(memory.join("other")).unwrap();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    // Between two equal states comes one in which only a part was different. All of it goes in one transfer, up and down.
    fs::rename(&remote, &away).unwrap();
    fs::write(memory.join("other/stays.md"), "stays\n").unwrap();
    for text in ["one\n", "other\n", "one\n"] {
        fs::write(memory.join("MEMORY.md"), text).unwrap();
        a.ccsync(["push"]).code(6);
    }
    fs::rename(&away, &remote).unwrap();
    without_git(&a, &["push"]).success();
    assert_sound(&a, &remote);
    without_git(&b, &["pull"]).success();
    assert_sound(&b, &b.store());
    let at_b = b.project_dir("work/app").join("memory");
    assert_eq!(fs::read_to_string(at_b.join("MEMORY.md")).unwrap(), "one\n");
    assert_eq!(
        fs::read_to_string(at_b.join("other/stays.md")).unwrap(),
        "stays\n"
    );
}
