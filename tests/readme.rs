//! What the README and other pages show is what happens.
//!
//! Each fenced block that opens with three backticks and `console` is a story of its own on a new machine. Its lines `$ ccsync …` are run
//! in order and must succeed; the lines below each are its output, where a line `…` stands for any lines. Blocks that are not
//! to be run (they install something, or need an account) open with another word.

use std::fs;
use std::path::Path;

use crate::harness::{Machine, ONE, TWO, TestEnv};
use crate::project_repository::repository;

/// A command and the output that the README shows for it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    args: Vec<String>,
    shown: Vec<String>,
}

/// Whose blocks are run on a machine with one session.
const PAGES: [&str; 6] = [
    "README.md",
    "docs/setup.md",
    "docs/finding.md",
    "docs/import.md",
    "docs/history.md",
    "docs/what-is-synced.md",
];

#[test]
fn docs_every_console_block_of_readme_runs() {
    for page in PAGES {
        let blocks = blocks_of(page);
        assert!(!blocks.is_empty(), "{page} shows nothing");
        for block in blocks {
            let env = TestEnv::new();
            let a = env.machine("a");
            a.session(ONE)
                .project("work/app")
                .turn("fix the login form")
                .write();
            play(&a, &block);
        }
    }
}

#[test]
fn docs_every_console_block_of_projects_page_runs() {
    let blocks = blocks_of("docs/projects.md");
    assert!(!blocks.is_empty());
    for block in blocks {
        let env = TestEnv::new();
        let (laptop, desk) = env.pair();
        repository(&laptop, "work/app", "git@github.com:al/app.git");
        repository(&desk, "code/app", "https://github.com/al/app");
        desk.session(TWO)
            .project("code/app")
            .turn("another")
            .write();
        desk.ccsync(["push"]).success();
        fs::remove_file(desk.transcript_path(TWO)).unwrap();
        laptop.session(ONE).turn("fix the login form").write();
        laptop.ccsync(["push"]).success();
        play(&desk, &block);
    }
}

fn blocks_of(page: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    console_blocks(&fs::read_to_string(page).unwrap_or_default())
}

/// Runs what a block shows.
fn play(machine: &Machine, block: &str) {
    for step in steps(block) {
        let run = machine.ccsync(&step.args).success();
        let printed: Vec<&str> = run.stdout.lines().collect();
        assert!(fits(&step.shown, &printed), "{step:#?}\nprinted:\n{run}");
    }
}

/// The contents of all blocks of this language.
fn console_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while lines.by_ref().any(|line| line.trim() == "```console") {
        blocks.push(
            lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    blocks
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let command = command.split(" #").next().unwrap_or_default();
            let mut words = words(command).into_iter();
            assert_eq!(
                words.next().as_deref(),
                Some("ccsync"),
                "only ccsync is run: {line}"
            );
            steps.push(Step {
                args: words.collect(),
                shown: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut() {
            step.shown.push(line.to_owned());
        }
    }
    steps
}

/// The words of a command; one in double quotes may hold spaces.
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

/// Whether `printed` is what is shown. Nothing shown promises nothing; `…` alone on a line stands for any lines, inside a line
/// for any text.
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
fn docs_console_block_is_parsed() {
    let markdown =
        "a\n```console\n$ ccsync push  # now\n  x\n…\n$ ccsync undo\n```\n```sh\n$ rm\n```\n";
    let blocks = console_blocks(markdown);
    assert_eq!(blocks.len(), 1);
    let step = |args: &str, shown: &[&str]| Step {
        args: vec![args.to_owned()],
        shown: shown.iter().map(|s| (*s).to_owned()).collect(),
    };
    assert_eq!(
        steps(&blocks[0]),
        [step("push", &["  x", "…"]), step("undo", &[])]
    );
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
