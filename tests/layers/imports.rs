//! The import graph of `src`: which file uses an item that another file defines.
//!
//! A use of a re-exported name leads to the file that defines it, so a `mod.rs` that only
//! declares and re-exports is never part of a circle. A method call that names no type is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;

use crate::source::{SourceFile, children_directory, program_sources};

/// Longest chain of re-exports that is followed.
const MAX_REEXPORTS: usize = 16;

/// All files of `src`, and what each uses.
pub(super) struct ImportGraph {
    /// By file; the other tables count in its order.
    pub(super) files: Vec<PathBuf>,
    modules: Vec<Module>,
    by_name: BTreeMap<String, usize>,
    /// For each file: the files it uses, and the paths by which it names their items.
    pub(super) uses: Vec<BTreeMap<usize, BTreeSet<String>>>,
}

/// The module of one file.
struct Module {
    /// `sys::fs`; empty for `lib.rs`.
    name: String,
    imports: Vec<Import>,
    /// Paths outside of `use`: `crate::sys::fs::read`, `fs::read`.
    mentions: Vec<String>,
    /// Names of the items that the file itself defines.
    items: BTreeSet<String>,
}

/// One name that a `use` imports; `*` for all of a module.
#[derive(Debug, PartialEq)]
struct Import {
    name: String,
    path: String,
}

/// The two meanings that one path can have at once: `list` the module and `list` the function.
#[derive(Clone, Copy, Default)]
struct Target {
    module: Option<usize>,
    /// The file that defines the item.
    file: Option<usize>,
}

impl ImportGraph {
    /// Reads `src`, tests and `main.rs` excluded.
    pub(super) fn read() -> Self {
        let mut sources = program_sources();
        sources.retain(|source| !source.path.ends_with("main.rs"));
        Self::new(&sources)
    }

    fn new(sources: &[SourceFile]) -> Self {
        let modules: Vec<_> = sources.iter().map(Module::parse).collect();
        let names = modules.iter().map(|m| m.name.clone());
        let mut graph = Self {
            files: sources.iter().map(|s| s.path.clone()).collect(),
            by_name: names.zip(0..).collect(),
            modules,
            uses: Vec::new(),
        };
        graph.uses = (0..sources.len()).map(|file| graph.uses_of(file)).collect();
        graph
    }

    fn uses_of(&self, file: usize) -> BTreeMap<usize, BTreeSet<String>> {
        let module = &self.modules[file];
        let imports = module.imports.iter().map(|import| &import.path);
        let mut uses: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let is_new = |path: &&String| !self.starts_at_item(file, path);
        let mentions = module.mentions.iter().filter(is_new);
        for path in imports.chain(mentions) {
            let target = self.resolve(file, path, 0);
            if let Some(used) = target.file.filter(|used| *used != file) {
                uses.entry(used).or_default().insert(path.clone());
            }
        }
        uses
    }

    /// Returns true for `Type::function`, where the `use` of `Type` is counted already.
    fn starts_at_item(&self, file: usize, path: &str) -> bool {
        let first = path.split("::").next().unwrap();
        let target = self.resolve(file, first, 0);
        target.file.is_some() && target.module.is_none()
    }

    /// Finds what `path` means in the module `from`.
    fn resolve(&self, from: usize, path: &str, depth: usize) -> Target {
        let mut module = from;
        let mut segments = path.split("::").peekable();
        let mut is_first = true;
        while let Some(segment) = segments.next() {
            let target = match segment {
                "crate" => self.module_target(""),
                "self" => Target {
                    module: Some(module),
                    file: None,
                },
                "super" => self.module_target(parent(&self.modules[module].name)),
                "*" => {
                    return Target {
                        module: None,
                        file: Some(module),
                    };
                }
                name if is_first && !self.declares(module, name) => return Target::default(),
                name => self.item(module, name, depth),
            };
            is_first = false;
            match target.module {
                Some(inner) if segments.peek().is_some() => module = inner,
                _ => return target,
            }
        }
        Target::default()
    }

    /// Finds the item or submodule `name` of `module`.
    fn item(&self, module: usize, name: &str, depth: usize) -> Target {
        let child = self.child(module, name);
        let imported = self.imported(module, name, depth);
        Target {
            module: child.or(imported.module),
            file: imported
                .file
                .or((child.is_none() && imported.module.is_none()).then_some(module)),
        }
    }

    /// Follows the `use` that imports `name` into `module`.
    fn imported(&self, module: usize, name: &str, depth: usize) -> Target {
        if depth > MAX_REEXPORTS || self.modules[module].items.contains(name) {
            return Target::default();
        }
        for import in &self.modules[module].imports {
            if import.name == name {
                return self.resolve(module, &import.path, depth + 1);
            }
            let all_of = import
                .path
                .strip_suffix("::*")
                .filter(|_| import.name == "*");
            let source = all_of.and_then(|path| self.resolve(module, path, depth + 1).module);
            if let Some(source) = source.filter(|source| self.declares(*source, name)) {
                return self.item(source, name, depth + 1);
            }
        }
        Target::default()
    }

    /// Returns true if `name` is an item, a submodule or an import of `module`.
    fn declares(&self, module: usize, name: &str) -> bool {
        let Module { items, imports, .. } = &self.modules[module];
        items.contains(name)
            || imports.iter().any(|import| import.name == name)
            || self.child(module, name).is_some()
    }

    fn child(&self, module: usize, name: &str) -> Option<usize> {
        let parent = &self.modules[module].name;
        let joined = format!("{parent}::{name}");
        self.by_name.get(joined.trim_start_matches("::")).copied()
    }

    fn module_target(&self, name: &str) -> Target {
        Target {
            module: self.by_name.get(name).copied(),
            file: None,
        }
    }

    /// Returns the circles: sets of files each of which uses all others, directly or not.
    pub(super) fn circles(&self) -> Vec<Vec<usize>> {
        let reach: Vec<_> = (0..self.files.len())
            .map(|file| self.reachable(file))
            .collect();
        let mut circles = BTreeSet::new();
        for file in 0..self.files.len() {
            if reach[file].contains(&file) {
                let back = reach[file].iter().copied();
                circles.insert(back.filter(|other| reach[*other].contains(&file)).collect());
            }
        }
        circles.into_iter().collect()
    }

    /// Returns the files that `file` uses, directly or not.
    fn reachable(&self, file: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(next) = open.pop() {
            open.extend(self.uses[next].keys().filter(|used| reached.insert(**used)));
        }
        reached
    }
}

impl Module {
    fn parse(source: &SourceFile) -> Self {
        static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\buse\s+([^;]+);").unwrap());
        static MENTION: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+").unwrap());
        static ITEM: LazyLock<Regex> = LazyLock::new(|| {
            let before = r"(?m)^(?:pub(?:\([^)]*\))? )?(?:(?:async|const|unsafe) )*";
            let kinds = "fn|struct|enum|union|trait|type|const|static|macro_rules!";
            Regex::new(&format!(r"{before}(?:{kinds}) (\w+)")).unwrap()
        });

        let mut imports = Vec::new();
        for found in USE.captures_iter(&source.code) {
            read_use_tree(&found[1], "", &mut imports);
        }
        let other_code = USE.replace_all(&source.code, "");
        let mentions = MENTION
            .find_iter(&other_code)
            .map(|m| m.as_str().to_owned());
        let items = ITEM.captures_iter(&other_code).map(|c| c[1].to_owned());
        Self {
            name: module_name(source),
            imports,
            mentions: mentions.collect(),
            items: items.collect(),
        }
    }
}

fn module_name(source: &SourceFile) -> String {
    let directory = children_directory(source.path.strip_prefix("src").unwrap());
    let names: Vec<_> = directory
        .iter()
        .map(|name| name.to_str().unwrap())
        .collect();
    names.join("::")
}

/// Returns `a::b` of `a::b::c`.
fn parent(name: &str) -> &str {
    name.rsplit_once("::").map_or("", |(parent, _)| parent)
}

/// Reads one tree of a `use`, whose names are below `prefix`.
fn read_use_tree(tree: &str, prefix: &str, imports: &mut Vec<Import>) {
    let tree = tree.trim();
    let Some((path, group)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path = format!("{prefix}{}", path.trim());
        let path = path.strip_suffix("::self").unwrap_or(&path).to_owned();
        let last = path.rsplit("::").next().unwrap();
        let name = if alias.is_empty() { last } else { alias.trim() };
        imports.push(Import {
            name: name.to_owned(),
            path,
        });
        return;
    };
    let prefix = format!("{prefix}{path}");
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let at_comma = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    for part in group.split(at_comma).filter(|part| !part.trim().is_empty()) {
        read_use_tree(part, &prefix, imports);
    }
}

#[test]
fn imports_use_tree_yields_every_name() {
    let mut imports = Vec::new();
    let tree = "crate::{sys::{self, env::Env as E}, store::*, a,}";
    read_use_tree(tree, "", &mut imports);
    let expected = [
        ("sys", "crate::sys"),
        ("E", "crate::sys::env::Env"),
        ("*", "crate::store::*"),
        ("a", "crate::a"),
    ];
    let import = |(name, path): (&str, &str)| Import {
        name: name.into(),
        path: path.into(),
    };
    assert_eq!(imports, expected.map(import));
}

#[test]
fn imports_reexport_leads_to_defining_file() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        (
            "src/a/mod.rs",
            "mod one; mod two; pub use one::One; pub use two::two;",
        ),
        (
            "src/a/one.rs",
            "use super::two; pub struct One; fn f() { two() }",
        ),
        ("src/a/two.rs", "use crate::b; pub fn two() { b::call() }"),
        (
            "src/b.rs",
            "use crate::a::One as Other; pub fn call() { super::a::two::three() }",
        ),
    ];
    let sources = files.map(|(path, text)| SourceFile::parse(path.into(), text.to_owned()));
    let graph = ImportGraph::new(&sources);

    let uses: Vec<Vec<_>> = graph
        .uses
        .iter()
        .map(|u| u.keys().copied().collect())
        .collect();
    assert_eq!(uses, [vec![], vec![2, 3], vec![3], vec![4], vec![2, 3]]);
    assert_eq!(graph.circles(), [[2, 3, 4]]);
}
