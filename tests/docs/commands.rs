//! `docs/commands.md` is the help of every command, and the pages use only commands and
//! options that exist.

use std::collections::BTreeMap;
use std::fs;

use regex::Regex;

use super::{Page, is_update, pages, section};
use crate::harness::{Machine, TestEnv};

const BEGIN: &str = "<!-- generated: CCSYNC_UPDATE_DOCS=1 cargo test --test main docs -->\n";

/// The help of every command, by its words: `` (the program itself), `push`, `lock show`,
/// …
struct Help {
    /// In the order of the help.
    commands: Vec<String>,
    texts: BTreeMap<String, String>,
}

impl Help {
    fn collect(machine: &Machine) -> Self {
        let mut help = Self {
            commands: Vec::new(),
            texts: BTreeMap::new(),
        };
        help.visit(machine, "");
        help
    }

    fn visit(&mut self, machine: &Machine, command: &str) {
        let words = command.split_whitespace();
        let run = machine.ccsync(words.chain(["--help"]));
        // A word that is not a command fails, or gets the help of the command before it.
        let usage = format!("Usage: ccsync {command}");
        if run.code != Some(0) || !run.stdout.contains(usage.trim_end()) {
            return;
        }
        self.commands.push(command.to_owned());
        self.texts.insert(command.to_owned(), run.stdout.clone());
        for name in listed_names(&run.stdout) {
            let child = format!("{command} {name}").trim_start().to_owned();
            if !self.texts.contains_key(&child) {
                self.visit(machine, &child);
            }
        }
    }

    /// Returns the longest command that `words` begin with, and the rest.
    fn resolve<'a, 'w>(&'a self, words: &'w [&'w str]) -> (&'a str, &'w [&'w str]) {
        let known = |length: &usize| self.texts.contains_key(&words[..*length].join(" "));
        let length = (0..=words.len().min(2)).rev().find(known).unwrap_or(0);
        let (name, _) = self
            .texts
            .get_key_value(&words[..length].join(" "))
            .unwrap();
        (name, &words[length..])
    }
}

/// Returns the words that a help text lists like sub-commands: indented, with a text
/// after them.
fn listed_names(help: &str) -> Vec<String> {
    let name = Regex::new(r"(?m)^  ([a-z][a-z-]*)(?:  |$)").unwrap();
    let usage = help.find("Usage:").unwrap_or(0);
    name.captures_iter(&help[usage..])
        .map(|found| found[1].to_owned())
        .collect()
}

/// Removes the section of global options, which is the same for every command.
fn without_global_options(help: &str) -> String {
    let mut is_global = false;
    let lines = help.lines().filter(|line| {
        if !line.is_empty() && !line.starts_with(' ') {
            is_global = *line == "Global options:";
        }
        !is_global
    });
    let text = lines.map(str::trim_end).collect::<Vec<_>>().join("\n");
    text.trim_end().to_owned()
}

fn generated(help: &Help) -> String {
    let mut text = BEGIN.to_owned();
    for command in &help.commands {
        let full = &help.texts[command];
        let shown = match command.as_str() {
            "" => full
                .lines()
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("\n"),
            _ => without_global_options(full),
        };
        let level = if command.contains(' ') { "###" } else { "##" };
        let name = format!("ccsync {command}");
        let shown = shown.trim_end();
        text.push_str(&format!(
            "\n{level} {}\n\n```text\n{shown}\n```\n",
            name.trim_end()
        ));
    }
    text
}

#[test]
fn docs_commands_page_equals_help() {
    let env = TestEnv::new();
    let help = Help::collect(&env.machine("a"));
    let page = Page::read("docs/commands.md");
    let (intro, shown) = page.text.split_at(page.text.find(BEGIN).unwrap());
    let generated = generated(&help);
    if is_update() {
        fs::write(&page.path, format!("{intro}{generated}")).unwrap();
    } else if shown != generated {
        let pairs = shown.lines().zip(generated.lines());
        let first = pairs.enumerate().find(|(_, (page, help))| page != help);
        panic!("docs/commands.md differs from the help; set CCSYNC_UPDATE_DOCS=1\n{first:#?}");
    }
}

#[test]
fn docs_exit_codes_equal_help() {
    let env = TestEnv::new();
    let help = env.machine("a").ccsync(["--help"]).success().stdout;
    let code = Regex::new(r"(?m)^ +(\d+)  \S").unwrap();
    let numbers = |text: &str, pattern: &Regex| -> Vec<String> {
        let found = pattern.captures_iter(text);
        found.map(|found| found[1].to_owned()).collect()
    };
    let page = Page::read("docs/commands.md").text;
    let row = Regex::new(r"(?m)^\| (\d+) \|").unwrap();
    assert_eq!(
        numbers(section(&page, "Exit codes"), &row),
        numbers(&help, &code)
    );
}

/// Returns every command line that a page shows: in backticks, and in blocks for a shell.
fn command_lines(text: &str) -> Vec<String> {
    let inline = Regex::new(r"`(ccsync [^`]+)`").unwrap();
    let in_block = Regex::new(r"(?m)^ *(?:[a-z]*\$ )?(ccsync(?: [^\n#]*)?)(?:#.*)?$").unwrap();
    let joined = text.replace('\n', " ");
    let inline = inline
        .captures_iter(&joined)
        .map(|found| found[1].to_owned());
    let blocks = text.split("```").skip(1).step_by(2);
    let is_shell = |block: &&str| block.starts_with("sh\n") || block.starts_with("console\n");
    let in_blocks = blocks.filter(is_shell).flat_map(|block| {
        let found = in_block.captures_iter(block);
        found
            .map(|found| found[1].trim().to_owned())
            .collect::<Vec<_>>()
    });
    inline.chain(in_blocks).collect()
}

#[test]
fn docs_commands_and_options_exist() {
    let env = TestEnv::new();
    let help = Help::collect(&env.machine("a"));
    let option = Regex::new(r"^--?[a-zA-Z][a-z-]*").unwrap();
    let mut unknown = Vec::new();
    for page in pages() {
        // The changelog names former commands, and the other page is the help itself.
        if ["CHANGELOG.md", "docs/commands.md"].contains(&page.name().as_str()) {
            continue;
        }
        for line in command_lines(&page.text) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            let (command, rest) = help.resolve(&words);
            let is_name = |word: &&str| word.starts_with(char::is_alphabetic);
            let is_unknown = command.is_empty() && rest.first().is_some_and(is_name);
            let own = rest.iter().take_while(|word| **word != "--");
            let mut options = own.filter_map(|word| option.find(word));
            let text = &help.texts[command];
            if is_unknown || options.any(|option| !text.contains(option.as_str())) {
                unknown.push(format!("{}: {line}", page.name()));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}
