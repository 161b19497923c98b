//! What the README and the documentation show is what happens.
//!
//! Each fenced block that opens with three backticks and `console` is a story of its own on a new machine. Its lines `$ ccsync …` are run
//! in order and must succeed; the lines below each are its output, where a line `…` stands for any lines. Blocks that are not
//! to be run (they install something, or need an account) open with another word.

use std::fs;
use std::path::Path;

use crate::harness::{ONE, TestEnv};

/// What has such blocks.
const PAGES: [&str; 2] = ["README.md", "docs/finding.md"];

/// A command and the output that the README shows for it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    args: Vec<String>,
    shown: Vec<String>,
}

#[test]
fn every_console_block_of_the_readme_runs() {
    let text = |page: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    for (page, block) in
        PAGES.into_iter().flat_map(|page| console_blocks(&text(page)).into_iter().map(move |block| (page, block)))
    {
        let env = TestEnv::new();
        let a = env.machine("a");
        a.session(ONE).project("work/app").turn("fix the login form").write();
        for step in steps(&block) {
            let run = a.ccsync(&step.args).success();
            let printed: Vec<&str> = run.stdout.lines().collect();
            assert!(fits(&step.shown, &printed), "{page}: {step:#?}\nprinted:\n{run}");
        }
    }
}

/// The contents of all blocks of this language.
fn console_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while lines.by_ref().any(|line| line.trim() == "```console") {
        blocks.push(lines.by_ref().take_while(|line| line.trim() != "```").collect::<Vec<_>>().join("\n"));
    }
    blocks
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let command = command.split(" #").next().unwrap_or_default();
            let mut words = words(command);
            assert_eq!(words.next().as_deref(), Some("ccsync"), "only ccsync is run: {line}");
            steps.push(Step { args: words.collect(), shown: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            step.shown.push(line.to_owned());
        }
    }
    steps
}

/// Words as a shell parts them, quotes kept together.
fn words(command: &str) -> std::vec::IntoIter<String> {
    let (mut words, mut is_quoted) = (vec![String::new()], false);
    for c in command.trim().chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter()
}

/// Whether `printed` is what is shown. Nothing shown promises nothing; `…` alone on a line stands for any lines, inside a line
/// for any text.
fn fits(shown: &[String], printed: &[&str]) -> bool {
    let shown: Vec<&str> = shown.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()).collect();
    shown.is_empty() || lines_fit(&shown, printed)
}

fn lines_fit(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=printed.len()).any(|skip| lines_fit(rest, &printed[skip..])),
        (Some((line, shown)), Some((actual, printed))) => line_fits(line, actual) && lines_fit(shown, printed),
        _ => false,
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let pieces: Vec<&str> = shown.split('…').collect();
    let [first, middle @ .., last] = pieces.as_slice() else { return shown == printed };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn blocks_are_taken_apart() {
    let markdown = "a\n```console\n$ ccsync push  # now\n  x\n…\n$ ccsync undo\n```\n```sh\n$ rm\n```\n";
    let blocks = console_blocks(markdown);
    assert_eq!(blocks.len(), 1);
    let step = |args: &str, shown: &[&str]| Step {
        args: vec![args.to_owned()],
        shown: shown.iter().map(|s| (*s).to_owned()).collect(),
    };
    assert_eq!(steps(&blocks[0]), [step("push", &["  x", "…"]), step("undo", &[])]);
}

#[test]
fn an_ellipsis_stands_for_anything() {
    let shown = |lines: &[&str]| lines.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert!(fits(&shown(&[]), &["x"]));
    assert!(fits(&shown(&["a", "…", "z"]), &["a", "b", "c", "z"]));
    assert!(fits(&shown(&["on … as …"]), &["on remote as 1a2b"]));
    assert!(!fits(&shown(&["a", "z"]), &["a", "b", "z"]));
    assert!(!fits(&shown(&["a…z"]), &["a b"]));
}
