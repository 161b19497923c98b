//! Rust source files, taken apart into code, comments and string literals.
//!
//! Knows just enough of the language for `layers.rs` and `style.rs`. Must not judge anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// One `.rs` file, taken apart.
pub(crate) struct SourceFile {
    /// Relative to the package: `src/sys/fs.rs`.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The text with comments and the contents of literals blanked; offsets and lines are kept.
    pub(crate) code: String,
    pub(crate) comments: Vec<Comment>,
    pub(crate) literals: Vec<Piece>,
}

/// Some text, and the line (counted from 1) on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// One comment without its markers; neighbouring lines of one kind are joined by line ends.
#[derive(Debug)]
pub(crate) struct Comment {
    marker: String,
    follows_code: bool,
    pub(crate) piece: Piece,
}

impl Comment {
    /// Returns true if the comment has a part on `line`.
    pub(crate) fn has_line(&self, line: usize) -> bool {
        let lines = self.piece.text.matches('\n').count() + 1;
        (self.piece.line..self.piece.line + lines).contains(&line)
    }
}

/// The directory of the package.
pub(crate) fn package() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Reads every file below `directory` of the package whose name ends in `extension`, by path.
///
/// Directories named `target` hold build results and are not entered.
pub(crate) fn files_below(directory: &str, extension: &str) -> Vec<(PathBuf, String)> {
    walkdir::WalkDir::new(package().join(directory))
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "target")
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|e| e == extension))
        .map(|entry| {
            let path = entry.path().strip_prefix(package()).unwrap().to_owned();
            (path, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// Reads the Rust files below `directory` of the package.
pub(crate) fn sources_below(directory: &str) -> Vec<SourceFile> {
    files_below(directory, "rs")
        .into_iter()
        .map(|(path, text)| SourceFile::parse(path, text))
        .collect()
}

/// Reads the files of `src` without their test modules: `code` is blank there, and files that
/// hold only tests are missing.
pub(crate) fn program_sources() -> Vec<SourceFile> {
    let mut sources = sources_below("src");
    let mut test_files = Vec::new();
    for source in &mut sources {
        for name in blank_tests(&mut source.code) {
            test_files.push(children_directory(&source.path).join(name));
        }
    }
    sources.retain(|s| !test_files.iter().any(|t| s.path.with_extension("") == *t));
    sources
}

/// Returns the directory that holds the submodules of the module in `path`.
pub(crate) fn children_directory(path: &Path) -> PathBuf {
    let is_root = ["mod.rs", "lib.rs", "main.rs"]
        .iter()
        .any(|n| path.ends_with(n));
    if is_root {
        path.parent().unwrap().to_owned()
    } else {
        path.with_extension("")
    }
}

/// Blanks every item that is compiled for tests only; returns the names of modules among them
/// that have files of their own.
fn blank_tests(code: &mut String) -> Vec<String> {
    static ATTRIBUTE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"#\[cfg\((all\()?test\b[^\]]*\]").unwrap());
    static MODULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmod (\w+);$").unwrap());
    let mut names = Vec::new();
    let mut from = 0;
    while let Some(found) = ATTRIBUTE.find_at(code, from) {
        let range = found.start()..item_end(code, found.end());
        names.extend(
            MODULE
                .captures(&code[range.clone()])
                .map(|c| c[1].to_owned()),
        );
        from = range.end;
        let blank = blanked(&code[range.clone()]);
        code.replace_range(range, &blank);
    }
    names
}

/// Returns the offset after the item that begins at or after `start` in blanked `code`.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

impl SourceFile {
    /// Takes `text` apart.
    pub(crate) fn parse(path: PathBuf, text: String) -> Self {
        let mut code = String::with_capacity(text.len());
        let mut comments: Vec<Comment> = Vec::new();
        let mut literals = Vec::new();
        let mut line = 1;
        while code.len() < text.len() {
            let at = code.len();
            let token = token_at(&text[at..]);
            let written = &text[at..at + token.len];
            match token.kind {
                Kind::Code => code.push_str(written),
                Kind::Comment => {
                    let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
                    let follows_code = !text[line_start..at].trim().is_empty();
                    add_comment(&mut comments, line, follows_code, written);
                    code.push_str(&blanked(written));
                }
                Kind::Literal => {
                    literals.push(Piece {
                        line,
                        text: written.to_owned(),
                    });
                    code.push_str(&blanked(written));
                }
            }
            line += written.matches('\n').count();
        }
        Self {
            path,
            text,
            code,
            comments,
            literals,
        }
    }
}

/// Adds the comment `written` on `line`, to the last one if it continues that.
fn add_comment(comments: &mut Vec<Comment>, line: usize, follows_code: bool, written: &str) {
    let words = written.trim_start_matches(['/', '!', '*']);
    let marker = &written[..written.len() - words.len()];

    let last = comments.last_mut().filter(|last| {
        let next_line = last.piece.line + last.piece.text.matches('\n').count() + 1;
        next_line == line && last.marker == marker && !last.follows_code && !follows_code
    });
    if let Some(last) = last {
        last.piece.text.push('\n');
        last.piece.text.push_str(words);
    } else {
        let piece = Piece {
            line,
            text: words.to_owned(),
        };
        comments.push(Comment {
            marker: marker.to_owned(),
            follows_code,
            piece,
        });
    }
}

/// Replaces every character but line ends by as many spaces as it has bytes.
fn blanked(text: &str) -> String {
    let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
    text.bytes().map(blank).collect()
}

enum Kind {
    Code,
    Comment,
    Literal,
}

struct Token {
    kind: Kind,
    len: usize,
}

/// Returns the comment, the literal or the piece of code that `rest` begins with.
fn token_at(rest: &str) -> Token {
    let (kind, len) = if rest.starts_with("//") {
        (Kind::Comment, rest.find('\n'))
    } else if rest.starts_with("/*") {
        (Kind::Comment, rest.find("*/").map(|n| n + 2))
    } else if let Some(start) = raw_string_start(rest) {
        let end = format!("\"{}", "#".repeat(start.matches('#').count()));
        let contents = &rest[start.len()..];
        (
            Kind::Literal,
            contents.find(&end).map(|n| start.len() + n + end.len()),
        )
    } else if rest.starts_with('"') {
        (Kind::Literal, string_len(rest))
    } else if let Some(len) = character_len(rest) {
        (Kind::Literal, Some(len))
    } else {
        (Kind::Code, Some(code_len(rest)))
    };
    Token {
        kind,
        len: len.unwrap_or(rest.len()),
    }
}

/// Returns `r#"` or the like, if `rest` begins so.
fn raw_string_start(rest: &str) -> Option<&str> {
    let after_letter = rest
        .strip_prefix(['b', 'c'])
        .unwrap_or(rest)
        .strip_prefix('r')?;
    let after_hashes = after_letter.trim_start_matches('#');
    let contents = after_hashes.strip_prefix('"')?;
    Some(&rest[..rest.len() - contents.len()])
}

/// Returns the length of the string that `rest` begins with.
fn string_len(rest: &str) -> Option<usize> {
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
    None
}

/// Returns the length of the character literal that `rest` begins with, not a lifetime.
fn character_len(rest: &str) -> Option<usize> {
    let contents = rest.strip_prefix('\'')?;
    let mut characters = contents.chars();
    if characters.next()? == '\\' {
        let escaped = 1 + characters.next()?.len_utf8();
        return contents[escaped..].find('\'').map(|n| 1 + escaped + n + 1);
    }
    let after = characters.as_str();
    after
        .starts_with('\'')
        .then(|| rest.len() - after.len() + 1)
}

/// Returns the length of the word or the other code that `rest` begins with.
fn code_len(rest: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts_other = |c: char| is_word(c) || matches!(c, '/' | '"' | '\'');
    let first = rest.chars().next().unwrap();
    let others = &rest[first.len_utf8()..];
    let end = if is_word(first) {
        others.find(|c| !is_word(c))
    } else {
        others.find(starts_other)
    };
    first.len_utf8() + end.unwrap_or(others.len())
}

#[test]
fn source_parse_separates_code_comments_and_literals() {
    let text = "//! Head.\n//! More.\nfn f<'a>(x: &'a str) { // why\n    g('\"', \"a // {\\\"\", \
                r#\"b\"c\"#);\n}\n#[cfg(test)]\nmod tests {\n    fn h() {}\n}\n";
    let mut source = SourceFile::parse("src/x.rs".into(), text.to_owned());
    assert_eq!(source.code.len(), text.len());

    let comments: Vec<_> = source.comments.iter().map(|c| &c.piece).collect();
    let piece = |line, text: &str| Piece {
        line,
        text: text.to_owned(),
    };
    assert_eq!(comments, [&piece(1, " Head.\n More."), &piece(3, " why")]);
    let literals = [r#"'"'"#, r#""a // {\"""#, r##"r#"b"c"#"##];
    assert_eq!(source.literals, literals.map(|l| piece(4, l)));

    assert_eq!(blank_tests(&mut source.code), Vec::<String>::new());
    assert!(source.code.contains("fn f<'a>"), "{}", source.code);
    assert!(!source.code.contains("fn h"), "{}", source.code);
}
