//! Any file of the store, of the state and of the configuration may be damaged: the next
//! command recovers, or its one error names the command that fixes it. No line is lost
//! either way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Ways to damage a file. A directory in its place cannot be read, even by root.
const DAMAGES: [&str; 5] = ["deleted", "emptied", "truncated", "garbage", "a directory"];

/// Only every `STEP`-th case is run; `CCSYNC_DAMAGE_CASES=all` runs all. Shares no
/// divisor with the numbers of damages and commands.
const STEP: usize = 37;

const COMMANDS: [&str; 6] = ["push", "pull", "status", "list", "sync", "undo"];

/// Two machines with packed and loose objects, queued commits, something to pull, a pull
/// to undo, and lines that are in no commit.
struct Scene {
    env: TestEnv,
    a: Machine,
    copy: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        b.append(ONE, "from b");
        b.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
        a.git(&["gc", "--quiet"]);
        a.session(TWO).turn("waits to be sent").write();
        let (remote, away) = (env.remote_of_pair(), env.root().join("away.git"));
        fs::rename(&remote, &away).unwrap();
        a.ccsync(["push"]).code(6);
        fs::rename(&away, &remote).unwrap();
        a.append(ONE, "not stored yet");
        b.session(THREE).turn("waits to be pulled").write();
        b.ccsync(["push"]).success();
        let copy = tempfile::tempdir().unwrap();
        let scene = Self { env, a, copy };
        copy_tree(scene.env.root(), &scene.copy.path().join("root"));
        scene
    }

    /// Restores the state from before the damage.
    fn restore(&self) {
        for entry in fs::read_dir(self.env.root()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        copy_tree(&self.copy.path().join("root"), self.env.root());
    }

    /// Returns the files that can be damaged, relative to the home directory.
    fn files(&self) -> Vec<PathBuf> {
        let bases = [
            ".config/ccsync",
            ".local/share/ccsync/store",
            ".local/state/ccsync",
        ];
        let below = |base: &str| walkdir::WalkDir::new(self.a.home.join(base)).sort_by_file_name();
        let all = bases
            .into_iter()
            .flat_map(below)
            .map(Result::unwrap)
            .filter(|e| e.file_type().is_file());
        let relative = all.map(|e| e.path().strip_prefix(&self.a.home).unwrap().to_owned());
        let mut loose = 0;
        let one_of_a_kind = |path: &PathBuf| {
            let is_loose = path.parent().unwrap().file_name().unwrap().len() == 2;
            loose += usize::from(is_loose);
            !path.to_string_lossy().contains("/logs/") && (!is_loose || loose <= 4)
        };
        relative.filter(one_of_a_kind).collect()
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(from.join("."))
            .arg(to)
            .status()
            .unwrap()
            .success()
    );
}

fn damage(file: &Path, how: &str) {
    let content = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    match how {
        "deleted" => {}
        "emptied" => fs::write(file, "").unwrap(),
        "truncated" => fs::write(file, &content[..content.len() / 2]).unwrap(),
        "garbage" => fs::write(file, b"\xff\0garbage\n[{\"".repeat(9)).unwrap(),
        _ => fs::create_dir(file).unwrap(),
    }
}

fn local_questions(machine: &Machine) -> BTreeSet<String> {
    machine
        .sessions()
        .iter()
        .flat_map(|id| questions(&machine.text(id)))
        .collect()
}

/// Runs the program with a time limit; a run that exceeds it hangs.
fn limited(a: &Machine, command: &str) -> Run {
    a.run(
        a.program("timeout")
            .args(["-k", "1", "60", env!("CARGO_BIN_EXE_ccsync"), command]),
    )
}

/// Runs the commands of the hints, as a user would.
fn follow_hints(scene: &Scene, stderr: &str) {
    let remote = scene.env.remote_of_pair();
    let program = Path::new(env!("CARGO_BIN_EXE_ccsync")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let hints = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "));
    for command in hints.filter_map(|hint| hint.split('`').nth(1)) {
        let command = command.replace("URL", remote.to_str().unwrap());
        scene.a.run(
            scene
                .a
                .program("sh")
                .env("PATH", &path)
                .args(["-c", &command]),
        );
    }
}

/// Returns true if the remote holds all these words.
fn stored(scene: &Scene, words: &BTreeSet<String>) -> bool {
    let mut git = scene.a.program("git");
    let text = scene.a.run(
        git.arg("-C")
            .arg(scene.env.remote_of_pair())
            .args(["grep", "-h", "", "main", "--", "sessions"]),
    );
    words
        .iter()
        .all(|word| text.stdout.contains(&format!("\"{word}\"")))
}

#[test]
fn damage_any_file_recovers_or_error_names_fix() {
    let scene = Scene::new();
    let files = scene.files();
    let step = if std::env::var("CCSYNC_DAMAGE_CASES").is_ok_and(|cases| cases == "all") {
        1
    } else {
        STEP
    };
    let commands = COMMANDS
        .iter()
        .flat_map(|command| DAMAGES.iter().map(move |how| (command, how)));
    let cases =
        commands.flat_map(|(command, how)| files.iter().map(move |file| (file, *how, *command)));
    for (file, how, command) in cases.step_by(step) {
        scene.restore();
        damage(&scene.a.home.join(file), how);
        check_case(
            &scene,
            command,
            &format!("{} {how}, {command}", file.display()),
        );
    }
}

fn check_case(scene: &Scene, command: &str, what: &str) {
    let before = local_questions(&scene.a);
    let run = limited(&scene.a, command);
    let code = run.code;
    assert!(matches!(code, Some(0 | 1 | 3 | 5 | 6)), "{what}\n{run}");
    let helps = run.stderr.contains("error: ") && run.stderr.contains("hint: ");
    assert!(
        code != Some(1) || helps,
        "{what}: an error with what to type\n{run}"
    );
    let after = local_questions(&scene.a);
    assert!(
        command == "undo" || after.is_superset(&before),
        "{what}: lost here\n{run}"
    );
    let is_done = |commands: [&str; 2]| code == Some(0) && commands.contains(&command);
    assert!(
        !is_done(["push", "sync"]) || stored(scene, &after),
        "{what}: done, but not sent\n{run}"
    );
    assert!(
        !is_done(["pull", "sync"]) || after.contains("waits to be pulled"),
        "{what}: done, but not pulled\n{run}"
    );

    let mut last = limited(&scene.a, "sync");
    if last.code != Some(0) {
        follow_hints(scene, &last.stderr);
        last = limited(&scene.a, "sync");
    }
    assert_eq!(last.code, Some(0), "{what}: not fixed\n{run}\n{last}");
    let here = local_questions(&scene.a);
    assert!(
        here.is_superset(&after) && here.contains("waits to be pulled"),
        "{what}: {here:?}\n{last}"
    );
    assert!(stored(scene, &here), "{what}: not sent\n{last}");
}

#[test]
fn damage_new_store_keeps_sessions_of_damaged_one() {
    let scene = Scene::new();
    let (a, store) = (&scene.a, scene.a.home.join(".local/share/ccsync/store"));
    fs::remove_file(a.transcript_path(TWO)).unwrap();
    let packs = walkdir::WalkDir::new(store.join(".git/objects/pack"))
        .into_iter()
        .map(|e| e.unwrap().into_path());
    let mut packs: Vec<_> = packs
        .filter(|path| path.extension().is_some_and(|e| e == "pack"))
        .collect();
    packs.sort_by_key(|pack| fs::metadata(pack).unwrap().modified().unwrap());
    // The newest pack has the commit that is not on the remote.
    packs
        .iter()
        .rev()
        .skip(1)
        .for_each(|pack| damage(pack, "truncated"));
    let failed = limited(a, "sync").code(1);
    follow_hints(&scene, &failed.stderr);
    let now = limited(a, "sync").success();
    assert!(
        stored(
            &scene,
            &["waits to be sent", "not stored yet", "from b"]
                .map(str::to_owned)
                .into()
        ),
        "{failed}\n{now}"
    );
    a.ccsync(["sync"]).success();
    assert_eq!(a.git(&["status", "--porcelain"]), "");
    assert_eq!(a.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn damage_lost_config_refuses_push_and_names_init() {
    let scene = Scene::new();
    fs::remove_file(scene.a.home.join(".config/ccsync/config.toml")).unwrap();
    for command in ["push", "sync"] {
        let run = scene.a.ccsync([command]).code(1);
        assert!(
            run.stderr.contains("is missing") && run.stderr.contains("ccsync init --remote "),
            "{run}"
        );
    }
    assert!(!scene.a.home.join(".local/share/ccsync/remote.git").exists());
}
