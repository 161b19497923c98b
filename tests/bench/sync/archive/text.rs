//! The topics of sessions: text, code and paths that compress as real ones do.

use std::collections::BTreeSet;
use std::path::Path;

use ccsync::domain::client_dir::client_dir_name;
use fastrand::Rng;

use super::random::{log_normal, pick, rng};

const NOUNS: &str = "user file path node item record config state cache index queue token page event client server \
    session buffer chunk entry batch result error option header worker schema query route model view store task lock range \
    offset digest segment tree ref remote branch commit patch hunk line column span scope symbol";
const VERBS: &str = "get set load save parse build make find read write open close push pull merge split apply update \
    remove insert check verify encode decode map filter collect resolve render format scan walk sync flush drain spawn";
const WORDS: &str = "the of to and a in is that for it as was with be by on not this are or from at which but have an had \
    they one all we can there been if more when will would who so no out up into than them only some could then do other its \
    two these first any now such like over even most made after also before must through where much way well down should \
    because each just how too little good very make still own see work long get here between both being under never same \
    another know while last might great year off since against right used take three function test value string type build \
    run module return change branch request response handler parse stream thread retry timeout default list struct field \
    failing passing expected actual output input missing rename refactor simplify implement instead directly already \
    probably properly safely quickly next finally größer naïve → ✅ проверка ファイル";
const EXTENSIONS: [&str; 8] = ["rs", "ts", "py", "tsx", "go", "md", "json", "toml"];
const DIRECTORIES: [&str; 8] = ["src", "lib", "tests", "core", "cli", "docs", "ui", "api"];
const PROJECTS: [&str; 12] = [
    "webshop",
    "ccsync",
    "api-server",
    "my_app",
    "dot.files",
    "ml pipeline",
    "проект",
    "infra",
    "crates/core",
    "monorepo/packages/ui",
    "game-engine",
    "notes",
];

/// Names and phrases that all projects share.
pub(crate) struct Vocabulary {
    identifiers: Vec<String>,
    phrases: Vec<String>,
}

impl Vocabulary {
    pub(crate) fn new() -> Self {
        let mut rng = rng("vocabulary");
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let identifiers = (0..2600).map(|_| identifier(&mut rng)).collect();
        let phrase = |rng: &mut Rng| {
            (0..rng.usize(3..9))
                .map(|_| *pick(rng, &words))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let phrases = (0..7000).map(|_| phrase(&mut rng)).collect();
        Self {
            identifiers,
            phrases,
        }
    }

    pub(crate) fn phrase(&self, rng: &mut Rng) -> &str {
        pick::<String>(rng, &self.phrases)
    }

    /// Returns about `length` bytes of English with some Markdown.
    pub(crate) fn paragraphs(&self, rng: &mut Rng, length: usize) -> String {
        let mut text = String::with_capacity(length + 100);
        while text.len() < length {
            match rng.u8(..100) {
                0..12 => {
                    text += &format!(
                        "- **{}**: {}.\n",
                        pick(rng, &self.identifiers),
                        self.phrase(rng)
                    );
                }
                12..15 => text += &format!("\n## {}\n", self.phrase(rng)),
                15..30 => {
                    text += &format!("{} `{}`. ", self.phrase(rng), pick(rng, &self.identifiers));
                }
                _ => text += &format!("{}, {}. ", self.phrase(rng), self.phrase(rng)),
            }
        }
        text
    }
}

fn identifier(rng: &mut Rng) -> String {
    let verbs: Vec<&str> = VERBS.split_whitespace().collect();
    let nouns: Vec<&str> = NOUNS.split_whitespace().collect();
    let (verb, noun, other) = (pick(rng, &verbs), pick(rng, &nouns), pick(rng, &nouns));
    match rng.u8(..4) {
        0 => format!("{verb}_{noun}"),
        1 => format!("{verb}_{noun}_{other}"),
        2 => format!("{noun}_{other}").to_uppercase(),
        _ => format!(
            "{verb}{}{}{}",
            noun[..1].to_uppercase(),
            &noun[1..],
            rng.u8(..30)
        ),
    }
}

/// A working directory with source files, which change as sessions edit them.
pub(crate) struct Project {
    pub(crate) cwd: String,
    pub(crate) branch: String,
    home: String,
    identifiers: Vec<String>,
    /// The lines that its files are made of.
    lines: Vec<String>,
    files: Vec<SourceFile>,
}

pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) lines: Vec<String>,
}

/// One edit of a file: the lines around it, the old lines, the new lines.
pub(crate) struct Edit {
    pub(crate) path: String,
    pub(crate) first_line: usize,
    pub(crate) before: Vec<String>,
    pub(crate) old: Vec<String>,
    pub(crate) new: Vec<String>,
    /// The whole file before the edit, where the client would keep it.
    pub(crate) original: Option<String>,
}

impl Project {
    /// Returns the project of number `number` below the home directory `home`.
    pub(crate) fn new(vocabulary: &Vocabulary, home: &Path, number: usize) -> Self {
        let mut rng = rng(&format!("project {number}"));
        let home = home
            .to_str()
            .expect("the benchmark's directory has a UTF-8 name")
            .to_owned();
        let name = PROJECTS[number % PROJECTS.len()];
        let suffix = if number < PROJECTS.len() {
            String::new()
        } else {
            format!("-{number}")
        };
        let identifiers = rng
            .choose_multiple(vocabulary.identifiers.iter(), 420)
            .into_iter()
            .cloned()
            .collect();
        let mut project = Self {
            cwd: format!("{home}/work/{name}{suffix}"),
            branch: (*pick(&mut rng, &["main", "master", "feat/retry", "fix-17"])).to_owned(),
            home,
            identifiers,
            lines: Vec::new(),
            files: Vec::new(),
        };
        project.lines = (0..4000)
            .map(|_| project.line(&mut rng, vocabulary))
            .collect();
        for _ in 0..90 {
            let length = log_normal(&mut rng, 120.0, 0.8).clamp(12.0, 1800.0) as usize;
            project.add_file(&mut rng, length);
        }
        project
    }

    /// Returns the client's directory for it below `projects/`.
    pub(crate) fn directory_name(&self) -> String {
        client_dir_name(&self.cwd)
    }

    pub(crate) fn home(&self) -> &str {
        &self.home
    }

    pub(crate) fn identifier(&self, rng: &mut Rng) -> &str {
        pick::<String>(rng, &self.identifiers)
    }

    pub(crate) fn any_line(&self, rng: &mut Rng) -> &str {
        &self.lines[rng.usize(..self.lines.len())]
    }

    pub(crate) fn file(&self, rng: &mut Rng) -> &SourceFile {
        pick(rng, &self.files)
    }

    pub(crate) fn newest_file(&self) -> &SourceFile {
        self.files.last().expect("a project has files")
    }

    pub(crate) fn absolute(&self, file: &SourceFile) -> String {
        format!("{}/{}", self.cwd, file.path)
    }

    /// Adds a file, and removes one if there are many.
    pub(crate) fn add_file(&mut self, rng: &mut Rng, length: usize) {
        if self.files.len() > 200 {
            let forgotten = rng.usize(..self.files.len());
            self.files.swap_remove(forgotten);
        }
        let directories: BTreeSet<&str> = (0..rng.usize(1..4))
            .map(|_| *pick(rng, &DIRECTORIES))
            .collect();
        let directory = directories.into_iter().collect::<Vec<_>>().join("/");
        let (name, number) = (self.identifier(rng).to_lowercase(), rng.u32(..100_000));
        let path = format!("{directory}/{name}_{number}.{}", pick(rng, &EXTENSIONS));
        let lines = (0..length).map(|_| self.any_line(rng).to_owned()).collect();
        self.files.push(SourceFile { path, lines });
    }

    /// Changes some lines of a file.
    pub(crate) fn edit(&mut self, rng: &mut Rng, vocabulary: &Vocabulary) -> Edit {
        let at = (self.files.len() as f64 * rng.f64().powi(3)) as usize;
        let first_line = rng.usize(..self.files[at].lines.len());
        let count = rng
            .usize(1..10)
            .min(self.files[at].lines.len() - first_line);
        let old = self.files[at].lines[first_line..first_line + count].to_vec();
        let mut new: Vec<String> = Vec::new();
        for line in &old {
            match rng.u8(..10) {
                0..5 => new.push(line.clone()),
                5..9 => new.push(format!("{line} // {}", vocabulary.phrase(rng))),
                _ => new.push(self.any_line(rng).to_owned()),
            }
        }
        let (path, kept) = (self.absolute(&self.files[at]), rng.f32() < 0.6);
        let lines = &mut self.files[at].lines;
        let original = (kept && lines.len() < 900).then(|| lines.join("\n"));
        let before = lines[first_line.saturating_sub(3)..first_line].to_vec();
        lines.splice(first_line..first_line + count, new.iter().cloned());
        Edit {
            path,
            first_line,
            before,
            old,
            new,
            original,
        }
    }

    /// Returns one of its files in one of the forms in which tools print paths.
    pub(crate) fn mention(&self, rng: &mut Rng) -> String {
        let file = self.file(rng);
        let (path, relative) = (self.absolute(file), &file.path);
        let user = self.home.rsplit('/').next().unwrap_or_default();
        let windows = || format!(r"C:\Users\{user}\work\{}", relative.replace('/', "\\"));
        match rng.u8(..100) {
            0..55 => path,
            55..65 => format!("{path}:{}:{}", rng.u16(1..400), rng.u8(1..80)),
            65..70 => format!("file://{path}"),
            70..73 => format!("file://{}", path.replace(' ', "%20").replace('_', "%5F")),
            73..77 => format!("~{}", &path[self.home.len()..]),
            77..79 => format!("$HOME{}", &path[self.home.len()..]),
            79..82 => format!(
                "{}/.claude/projects/{}/memory/MEMORY.md",
                self.home,
                self.directory_name()
            ),
            82..88 => windows(),
            88..90 => windows().replace('\\', "\\\\"),
            90..92 => format!("/mnt/c/Users/{user}/work/{relative}"),
            92..94 => path.replace('/', "\\/"),
            // Neither of these two is below the home directory or the project, though it
            // begins like them.
            94..96 => format!("{}ome/other/{relative}", self.home),
            96..98 => format!("{}-backup/{relative}", self.cwd),
            _ => serde_json::json!({ "file_path": path, "cwd": self.cwd }).to_string(),
        }
    }

    fn line(&self, rng: &mut Rng, vocabulary: &Vocabulary) -> String {
        let mut name = || self.identifier(rng).to_owned();
        let (a, b, c, d) = (name(), name(), name(), name());
        let (number, words) = (rng.u16(..4096), vocabulary.phrase(rng));
        let code = match rng.u8(..16) {
            0 => format!("let {a} = {b}.{c}(&{d})?;"),
            1 => format!("pub fn {a}(&self, {b}: &str) -> Result<{c}, {d}> {{"),
            2 => format!("if {a}.is_empty() || {b} > {number} {{"),
            3 | 4 => format!("// {words}"),
            5 => format!("const {a} = await {b}({{ {c}, {d}: {number} }});"),
            6 => format!("return {a}({b}, {c});"),
            7 => format!("for {a} in {b}.{c}():"),
            8 => format!("\"{a}\": {{\"{b}\": \"{c}\", \"{d}\": {number}}},"),
            9 => format!("import {{ {a}, {b} }} from './{c}/{d}.js';"),
            10 => format!("assert_eq!({a}({number}), {b}::{c});"),
            11 | 12 => "}".to_owned(),
            13 => String::new(),
            14 => format!("raise {a}(f\"{words}: {{{b}}}\")"),
            _ => format!("match {a} {{ {b}::{c} => {d}, _ => {number} }}"),
        };
        format!("{:indent$}{code}", "", indent = 4 * rng.usize(..5))
    }
}
