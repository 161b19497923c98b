//! Runs what the pages show.
//!
//! Each fenced block that begins with three backticks and `console` is one story. Its
//! commands run in order and must succeed; the lines below each are its output, in which
//! a line `…` stands for any lines. Other blocks (they install something, or need an
//! account) have another language.
//!
//! * `$ ccsync …` runs on a new machine with one session. The page on projects has a
//!   clone of that session's project, and another machine has pushed the session.
//! * `laptop$ ccsync …` and `desk$ ccsync …` run on two machines that share a remote and
//!   a session. A stand-in for Claude Code writes the turn of `(you ask: …)`. It runs
//!   until `(you leave Claude Code)` if `(Claude Code stays open)` follows the command.

use std::fs;
use std::path::Path;

use crate::harness::{Machine, ONE, TWO, TestEnv};
use crate::project_repository::repository;

/// A command and the output that the page shows for it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    /// `laptop` or `desk`; empty for the only machine.
    machine: String,
    /// `ccsync` or `claude`; empty if Claude Code ends.
    program: String,
    args: Vec<String>,
    /// The text that the user types into Claude Code.
    says: String,
    stays_open: bool,
    shown: Vec<String>,
}

const LEAVE: &str = "(you leave Claude Code)";
const STAYS_OPEN: &str = "(Claude Code stays open)";

#[test]
fn docs_console_blocks_run() {
    let mut blocks = 0;
    for page in pages() {
        let name = page.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
        let is_about_projects = name == Path::new("docs/projects.md");
        for block in console_blocks(&fs::read_to_string(&page).unwrap()) {
            blocks += 1;
            let steps = steps(&block);
            if steps.iter().any(|step| !step.machine.is_empty()) {
                #[cfg(target_os = "linux")]
                two_machines::play(&steps);
            } else if is_about_projects {
                play_with_clone(&steps);
            } else {
                play_alone(&steps);
            }
        }
    }
    assert!(blocks > 10, "only {blocks} blocks were found");
}

/// Returns the README and every page below `docs/`.
fn pages() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below_docs = walkdir::WalkDir::new(root.join("docs")).sort_by_file_name();
    let below_docs = below_docs
        .into_iter()
        .map(|entry| entry.unwrap().into_path());
    std::iter::once(root.join("README.md"))
        .chain(below_docs.filter(|path| path.extension().is_some_and(|e| e == "md")))
        .collect()
}

fn play_alone(steps: &[Step]) {
    let env = TestEnv::new();
    let a = env.machine("a");
    let session = a
        .session(ONE)
        .project("work/app")
        .turn("fix the login form");
    session.write();
    steps.iter().for_each(|step| run(&a, step));
}

fn play_with_clone(steps: &[Step]) {
    let env = TestEnv::new();
    let (laptop, desk) = env.pair();
    repository(&laptop, "work/app", "git@github.com:al/app.git");
    repository(&desk, "code/app", "https://github.com/al/app");
    let other = desk.session(TWO).project("code/app").turn("another");
    other.write();
    desk.ccsync(["push"]).success();
    fs::remove_file(desk.transcript_path(TWO)).unwrap();
    laptop.session(ONE).turn("fix the login form").write();
    laptop.ccsync(["push"]).success();
    steps.iter().for_each(|step| run(&desk, step));
}

fn run(machine: &Machine, step: &Step) {
    assert_eq!(step.program, "ccsync", "{step:#?}");
    let run = machine.ccsync(&step.args).success();
    let printed: Vec<&str> = run.stdout.lines().collect();
    assert!(fits(&step.shown, &printed), "{step:#?}\nprinted:\n{run}");
}

#[cfg(target_os = "linux")]
mod two_machines {
    use std::collections::BTreeMap;

    use super::{Step, fits};
    use crate::harness::client::Client;
    use crate::harness::{Machine, ONE, Run, TestEnv};

    /// Exit code of a push that makes a fork.
    const DIVERGED: i32 = 5;

    pub(super) fn play(steps: &[Step]) {
        let env = TestEnv::new();
        let remote = env.bare_remote();
        let machines = ["laptop", "desk"].map(|name| env.machine(name));
        machines
            .iter()
            .for_each(|machine| drop(machine.init(&remote)));
        let [laptop, desk] = &machines;
        let session = laptop.session(ONE).days_old(2).turn("fix the login form");
        session.write();
        laptop.ccsync(["push"]).success();
        desk.ccsync(["pull"]).success();

        let clients = machines.each_ref().map(Client::install);
        let mut open = BTreeMap::new();
        for step in steps {
            let at = machines
                .iter()
                .position(|machine| machine.name == step.machine);
            let (machine, client) = (&machines[at.unwrap()], &clients[at.unwrap()]);
            let args: Vec<&str> = step.args.iter().map(String::as_str).collect();
            let run = match step.program.as_str() {
                "" => {
                    client.finish();
                    machine.ended(open.remove(&step.machine).unwrap())
                }
                "ccsync" if step.stays_open => {
                    let child = client.start_late(&args, &step.says);
                    open.insert(step.machine.clone(), child);
                    continue;
                }
                "ccsync" => client.run(&args, &step.says),
                program => by_itself(machine, program, step),
            };
            compare(step, run);
        }
        assert!(open.is_empty(), "Claude Code is left on every machine");
    }

    /// Runs the stand-in without ccsync.
    fn by_itself(machine: &Machine, program: &str, step: &Step) -> Run {
        let path = machine.home.join(".bin").join(program);
        let mut command = machine.program(path.to_str().unwrap());
        command
            .args(&step.args)
            .env("CLIENT_SAYS", &step.says)
            .current_dir(machine.home.join("work/app"));
        machine.run(&mut command)
    }

    fn compare(step: &Step, run: Run) {
        let is_fork = step.shown.iter().any(|line| line.contains("forked"));
        let run = run.code(if is_fork { DIVERGED } else { 0 });
        let printed: Vec<&str> = run.stdout.lines().chain(run.stderr.lines()).collect();
        assert!(fits(&step.shown, &printed), "{step:#?}\nprinted:\n{run}");
    }
}

/// Returns the contents of all `console` blocks, without the indentation of a list.
fn console_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(fence) = lines.by_ref().find(|line| line.trim() == "```console") {
        let indentation = &fence[..fence.len() - fence.trim_start().len()];
        let content = lines.by_ref().take_while(|line| line.trim() != "```");
        let content = content.map(|line| line.strip_prefix(indentation).unwrap_or(line));
        blocks.push(content.collect::<Vec<_>>().join("\n"));
    }
    blocks
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(step) = step(line) {
            steps.push(step);
        } else if let Some(step) = steps.last_mut() {
            match line
                .strip_prefix("(you ask: ")
                .and_then(|said| said.strip_suffix(')'))
            {
                Some(said) => said.clone_into(&mut step.says),
                None if line == STAYS_OPEN => step.stays_open = true,
                None => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Returns the command of a line with a prompt.
fn step(line: &str) -> Option<Step> {
    let (machine, command) = line.split_once("$ ")?;
    if !matches!(machine, "" | "laptop" | "desk") {
        return None;
    }
    let machine = machine.to_owned();
    if command == LEAVE {
        return Some(Step {
            machine,
            ..Step::default()
        });
    }
    let command = command.split(" #").next().unwrap_or_default();
    let mut words = words(command).into_iter();
    let program = words.next().unwrap_or_default();
    assert!(
        matches!(program.as_str(), "ccsync" | "claude"),
        "not run: {line}"
    );
    Some(Step {
        machine,
        program,
        args: words.collect(),
        ..Step::default()
    })
}

/// Returns the words of a command; one in quotes may contain spaces.
fn words(command: &str) -> Vec<String> {
    let quoted = command.split(['"', '\'']).enumerate();
    let words = quoted.flat_map(|(at, text)| {
        if at % 2 == 1 {
            vec![text]
        } else {
            text.split_whitespace().collect()
        }
    });
    words.map(str::to_owned).collect()
}

/// Returns true if `printed` is what a page shows. If the page shows nothing, any output
/// is right. `…` stands for any lines if it is alone on a line, and for any text inside a
/// line.
fn fits(shown: &[String], printed: &[&str]) -> bool {
    let shown: Vec<&str> = shown
        .iter()
        .map(|line| line.trim_end())
        .filter(|line| !line.is_empty())
        .collect();
    shown.is_empty() || lines_fit(&shown, printed)
}

fn lines_fit(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => {
            (0..=printed.len()).any(|skip| lines_fit(rest, &printed[skip..]))
        }
        (Some((line, shown)), Some((actual, printed))) => {
            line_fits(line, actual) && lines_fit(shown, printed)
        }
        _ => false,
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let pieces: Vec<&str> = shown.split('…').collect();
    let [first, middle @ .., last] = pieces.as_slice() else {
        return shown == printed;
    };
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    for piece in middle {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn docs_blocks_are_parsed() {
    let markdown = "a\n```console\n$ ccsync push  # now\n  x\n…\n```\n```sh\n$ rm\n```\n\
                    * b\n  ```console\n  desk$ ccsync start\n  (you ask: why?)\n  ok\n  ```\n";
    let blocks = console_blocks(markdown);
    assert_eq!(blocks.len(), 2);
    let text = |lines: &[&str]| lines.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let step = |args: &str, shown: &[&str]| Step {
        program: "ccsync".to_owned(),
        args: text(&[args]),
        shown: text(shown),
        ..Step::default()
    };
    assert_eq!(steps(&blocks[0]), [step("push", &["  x", "…"])]);
    let started = Step {
        machine: "desk".to_owned(),
        says: "why?".to_owned(),
        ..step("start", &["ok"])
    };
    assert_eq!(steps(&blocks[1]), [started]);
}

#[test]
fn docs_ellipsis_matches_anything() {
    let shown = |lines: &[&str]| lines.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert!(fits(&shown(&[]), &["x"]));
    assert!(fits(&shown(&["a", "…", "z"]), &["a", "b", "c", "z"]));
    assert!(fits(&shown(&["on … as …"]), &["on remote as 1a2b"]));
    assert!(!fits(&shown(&["a", "z"]), &["a", "b", "z"]));
    assert!(!fits(&shown(&["a…z"]), &["a b"]));
}
