//! Rewriting: properties over generated text, and comparisons with independent material.

mod arbitrary;
mod corpus;
mod documentation;
mod properties;
mod reference;
mod secrets;

use ccsync::domain::placeholder::{Placeholder, Placeholders, System};
use ccsync::rewrite::{Collapser, Expander, TextKind, View};

/// Returns placeholders from names and paths; a path may be followed by `=>` and its
/// resolved form.
fn placeholders(system: System, placeholders: &[(&str, &str)]) -> Placeholders {
    let root = |(name, path): &(&str, &str)| {
        let (path, resolved) = path
            .split_once("=>")
            .map_or((*path, None), |(path, resolved)| (path, Some(resolved)));
        Placeholder::new(system, name.parse().expect("a root's name"), path, resolved)
            .expect("a root's path")
    };
    Placeholders::new(system, placeholders.iter().map(root))
}

fn collapse(origin: &Placeholders, directories: &[String], kind: TextKind, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Collapser::new(origin, directories).collapse(text, kind, &mut out);
    out
}

fn expand(expander: &Expander, kind: TextKind, portable: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    expander.expand(portable, kind, &mut out);
    out
}

/// Returns a text that `origin` wrote as the machine `target` reads it.
fn read(
    origin: &Placeholders,
    target: &Placeholders,
    view: View,
    kind: TextKind,
    portable: &[u8],
) -> Vec<u8> {
    expand(&Expander::new(origin, target, view), kind, portable)
}
