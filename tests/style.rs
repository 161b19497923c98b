//! The mechanical rules of the style of this code: widths, openings, words, names and sizes.
//!
//! Every failure is one line `FILE:LINE: RULE`. Words that a file must keep, because it accepts
//! what an older ccsync wrote, are in `EXCEPTIONS`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use regex::{Regex, RegexBuilder};

use crate::source::{SourceFile, files_below, program_sources, sources_below};

/// Longest line that contains a comment, in columns.
const MAX_COMMENT_COLUMNS: usize = 100;

/// Longest file of `src`, in lines.
const MAX_FILE_LINES: usize = 500;

/// Longest name of a test, in characters.
const MAX_TEST_NAME: usize = 60;

/// Fewest words of a test's name: area, condition, result.
const MIN_TEST_WORDS: usize = 3;

/// Words that begin no comment: they announce a noun clause instead of a statement.
const COMMENT_OPENINGS: [&str; 9] = [
    "More", "Nobody", "Of", "So many", "What", "Where", "Whether", "Who", "Whose",
];

/// Words that begin no test name.
const TEST_OPENINGS: [&str; 13] = [
    "a", "an", "it", "nobody", "of", "somebody", "the", "what", "where", "whether", "who",
    "whoever", "whose",
];

/// Beginnings of constant names, each with the one that is used instead.
const LIMIT_NAMES: [(&str, &str); 6] = [
    ("MOST", "MAX"),
    ("LONGEST", "MAX"),
    ("DEEPEST", "MAX"),
    ("LARGEST", "MAX"),
    ("LEAST", "MIN"),
    ("PATIENCE", "TIMEOUT or MAX_WAIT"),
];

/// Words that are not used, as regular expressions, each with those that are used instead.
///
/// They are looked for in everything: code, comments, strings and pages. `left_out`, `left-out`
/// and `LeftOut` count as `left out`. See `docs/dev/glossary.md`.
const WORDS: [(&str, &str); 49] = [
    ("shelf|shelves", "bundle"),
    ("prose|besides? sessions?", "extras"),
    ("unbrought", "not pulled"),
    ("brought", "pulled"),
    ("parted|parting", "diverged"),
    ("anew", "again"),
    ("(is|are) none", "is missing, is invalid, there is no"),
    ("(is|are) not one", "is not a valid"),
    (
        "somebody|nobody|anybody|whoever",
        "the user, another machine, or no subject",
    ),
    ("a person|people", "the user, users"),
    ("left out|leaves? out|leaving out", "excluded"),
    ("passed over|pass(es)? over", "skipped"),
    ("puts? back|putting back", "restore"),
    ("(give|gives|given|gave|giving) back", "release"),
    ("in step", "up to date, in sync"),
    ("told", "path notice, or name the message"),
    ("(is|are) said", "name the message"),
    ("strangers?", "foreign session, unknown refs"),
    ("complaints?", "warning"),
    ("mend|mends|mended|mending", "fix"),
    ("patience|patient", "timeout, context"),
    ("verdicts?", "status"),
    ("remarks?", "warning"),
    ("standing", "status"),
    ("lacks?|lacking", "missing"),
    ("supersede|supersedes|superseded", "replace"),
    ("surveys?", "scan, inventory"),
    ("foresee|foresees|foreseen", "preview, planned"),
    ("workshops?", "staging directory"),
    ("neighbours?", "remote on the same disk"),
    ("honest", "say what is checked"),
    ("lies? at", "is stored at"),
    ("consents?", "approval"),
    ("a yes", "approval"),
    ("more still", "truncated"),
    ("at hand", "selected"),
    ("the dead|predecessor died", "stale, abandoned"),
    ("leftovers?", "stale files"),
    ("sightings?", "observation"),
    ("learnt", "discovered, suggested"),
    ("held sessions?", "pinned sessions"),
    ("looked at", "previewed, read, checked"),
    ("occasions?", "context of a hit"),
    ("fate|fates", "action"),
    ("family|families", "child process, variants"),
    ("(clear|clears|cleared) away", "remove stale files"),
    ("tidy|tidies|tidied", "repack"),
    ("root sets?", "placeholders"),
    ("unasked", "without confirmation"),
];

/// Words that no string and no page for users has; `client` is a word of the code.
const USER_WORDS: [(&str, &str); 1] = [("the client('s)?", "Claude Code")];

/// Files and the words (as in `WORDS`) that they keep; `*` stands for all.
const EXCEPTIONS: [(&str, &str); 13] = [
    ("tests/extras.rs", "shelf|shelves"),
    ("tests/old_store.rs", "shelf|shelves"),
    ("tests/style.rs", "*"),
    ("docs/dev/glossary.md", "*"),
    ("docs/dev/style.md", "*"),
    ("docs/dev/format.md", "shelf|shelves"),
    ("docs/dev/format.md", "supersede|supersedes|superseded"),
    ("src/extras/state.rs", "shelf|shelves"),
    ("src/extras/state.rs", "puts? back|putting back"),
    ("src/store/layout.rs", "shelf|shelves"),
    ("src/sys/former_names.rs", "*"),
    ("tests/old_store/state.rs", "*"),
    (
        "src/store/format/manifest.rs",
        "supersede|supersedes|superseded",
    ),
];

/// Type names that several files have: each command has its own arguments.
const SHARED_TYPES: [&str; 1] = ["Args"];

#[test]
fn style_comments_fit_their_columns() {
    let mut wrong = Vec::new();
    for source in all_sources() {
        let is_comment = |n: usize| source.comments.iter().any(|c| c.has_line(n));
        for (line, n) in source.text.lines().zip(1..) {
            let columns = line.chars().count();
            if columns > MAX_COMMENT_COLUMNS && is_comment(n) {
                wrong.push(at(
                    &source.path,
                    n,
                    &format!("comment of {columns} columns"),
                ));
            }
        }
    }
    refuse(&wrong);
}

#[test]
fn style_comments_open_with_a_statement() {
    let openings = format!("^({})\\b", COMMENT_OPENINGS.join("|").replace(' ', "\\s+"));
    let opening = Regex::new(&openings).unwrap();
    let mut wrong = Vec::new();
    for source in all_sources() {
        for comment in &source.comments {
            if let Some(found) = opening.find(comment.piece.text.trim_start()) {
                let rule = format!("comment begins with `{}`", found.as_str());
                wrong.push(at(&source.path, comment.piece.line, &rule));
            }
        }
    }
    refuse(&wrong);
}

#[test]
fn style_words_are_those_of_the_glossary() {
    let mut files = files_below("src", "rs");
    files.extend(files_below("tests", "rs"));
    files.extend(files_below("docs", "md"));
    files.extend(files_below("README.md", "md"));
    let mut wrong = Vec::new();
    for (path, text) in &files {
        wrong.extend(forbidden_words(path, 1, text, &WORDS));
    }
    for (path, text) in files_below("docs", "md") {
        if !path.starts_with("docs/dev") {
            wrong.extend(forbidden_words(&path, 1, &text, &USER_WORDS));
        }
    }
    for source in sources_below("src") {
        for literal in &source.literals {
            wrong.extend(forbidden_words(
                &source.path,
                literal.line,
                &literal.text,
                &USER_WORDS,
            ));
        }
    }
    refuse(&wrong);
}

#[test]
fn style_test_names_have_area_condition_and_result() {
    let mut wrong = Vec::new();
    for source in all_sources() {
        for (line, name) in test_names(&source) {
            let words: Vec<_> = name.split('_').collect();
            let opens_badly = TEST_OPENINGS.contains(&words[0]);
            if name.len() > MAX_TEST_NAME || words.len() < MIN_TEST_WORDS || opens_badly {
                wrong.push(at(&source.path, line, &format!("test name `{name}`")));
            }
        }
    }
    refuse(&wrong);
}

#[test]
fn style_type_names_are_unique() {
    let declaration =
        Regex::new(r"(?m)^pub(?:\([^)]*\))? (?:struct|enum|union|trait|type) (\w+)").unwrap();
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in program_sources() {
        for found in declaration.captures_iter(&source.code) {
            let line = line_of(&source.code, found.get(0).unwrap().start());
            let rule = format!("type name `{}` is used twice", &found[1]);
            let failure = at(&source.path, line, &rule);
            declared
                .entry(found[1].to_owned())
                .or_default()
                .push(failure);
        }
    }
    declared.retain(|name, places| places.len() > 1 && !SHARED_TYPES.contains(&name.as_str()));
    refuse(&declared.into_values().flatten().collect::<Vec<_>>());
}

#[test]
fn style_files_of_the_program_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in files_below("src", "rs") {
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES {
            wrong.push(at(
                &path,
                lines,
                &format!("file over {MAX_FILE_LINES} lines"),
            ));
        }
    }
    refuse(&wrong);
}

#[test]
fn style_limits_are_called_max_and_min() {
    let beginnings = LIMIT_NAMES.map(|(name, _)| name).join("|");
    let limit = Regex::new(&format!(r"\b(?:const|static) (({beginnings})(_\w+)?):")).unwrap();
    let mut wrong = Vec::new();
    for source in all_sources() {
        for found in limit.captures_iter(&source.code) {
            let (_, better) = LIMIT_NAMES
                .iter()
                .find(|(name, _)| *name == &found[2])
                .unwrap();
            let line = line_of(&source.code, found.get(0).unwrap().start());
            let rule = format!("constant `{}`: use {better}", &found[1]);
            wrong.push(at(&source.path, line, &rule));
        }
    }
    refuse(&wrong);
}

#[test]
fn style_forbidden_words_are_found_in_every_form() {
    let text =
        "/// There is\n/// none. `left-out`, GivenBack\nlet put_back = PROSE.is_none();\nproseless";
    let found = forbidden_words(Path::new("x.rs"), 1, text, &WORDS);
    let mut lines: Vec<_> = found
        .iter()
        .map(|failure| &failure[..failure.len().min(18)])
        .collect();
    lines.sort_unstable();
    let expected = [
        "x.rs:1: `is none`:",
        "x.rs:2: `Given Bac",
        "x.rs:2: `left out`",
        "x.rs:3: `PROSE`: e",
        "x.rs:3: `put back`",
    ];
    assert_eq!(lines, expected);
}

/// Lists the forbidden words of `text`, which begins on `first_line` of the file.
fn forbidden_words(
    path: &Path,
    first_line: usize,
    text: &str,
    words: &[(&str, &str)],
) -> Vec<String> {
    let separated = separate_words(text);
    let mut wrong = Vec::new();
    for (pattern, better) in words {
        let is_excused = |&(file, excused): &(&str, &str)| {
            path == Path::new(file) && (excused == "*" || excused == *pattern)
        };
        if EXCEPTIONS.iter().any(is_excused) {
            continue;
        }
        for found in word_regex(pattern).find_iter(&separated) {
            let line = first_line + line_of(&separated, found.start()) - 1;
            let written = found
                .as_str()
                .replace("///", " ")
                .replace("//!", " ")
                .replace("//", " ");
            let written: Vec<_> = written.split_whitespace().collect();
            wrong.push(at(
                path,
                line,
                &format!("`{}`: {better}", written.join(" ")),
            ));
        }
    }
    wrong
}

/// Returns the expression that finds `pattern` as whole words, also across lines of a comment.
fn word_regex(pattern: &str) -> Regex {
    static BUILT: LazyLock<Mutex<BTreeMap<String, Regex>>> = LazyLock::new(Default::default);
    let mut built = BUILT.lock().unwrap();
    let build = || {
        let spaced = pattern.replace(' ', r"[\s/!]+");
        let whole = format!(r"\b(?:{spaced})\b");
        RegexBuilder::new(&whole)
            .case_insensitive(true)
            .build()
            .unwrap()
    };
    built
        .entry(pattern.to_owned())
        .or_insert_with(build)
        .clone()
}

/// Writes `left_out`, `left-out` and `LeftOut` as separate words; line ends stay.
///
/// `is_none` is the standard library's and stays in one piece.
fn separate_words(text: &str) -> String {
    let mut separated = String::with_capacity(text.len());
    let mut after_lower = false;
    for c in text.replace("is_none", "isnone").chars() {
        if after_lower && c.is_uppercase() {
            separated.push(' ');
        }
        after_lower = c.is_lowercase();
        separated.push(if matches!(c, '_' | '-') { ' ' } else { c });
    }
    separated
}

/// Returns the name of each test, and its line; those that a macro of `tests/kill` makes, too.
fn test_names(source: &SourceFile) -> Vec<(usize, String)> {
    static FUNCTION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (\w+)").unwrap());
    static STORIES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(\w+) => \d+[,\n]").unwrap());
    let mut names: Vec<_> = FUNCTION.captures_iter(&source.code).collect();
    if source.path.starts_with("tests/kill") {
        names.extend(STORIES.captures_iter(&source.code));
    }
    let place = |found: regex::Captures<'_>| {
        let name = found.get(1).unwrap();
        (
            line_of(&source.code, name.start()),
            name.as_str().to_owned(),
        )
    };
    names.into_iter().map(place).collect()
}

fn all_sources() -> Vec<SourceFile> {
    let mut sources = sources_below("src");
    sources.extend(sources_below("tests"));
    sources
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn at(path: &Path, line: usize, rule: &str) -> String {
    format!("{}:{line}: {rule}", path.display())
}

/// Fails with the lines of `wrong`.
fn refuse(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
