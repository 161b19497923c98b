//! Any bytes, of machines of every system: the way back is exact, lines are independent,
//! and nothing panics.
//!
//! The first byte of the input chooses the machine and the kind of text, the second the
//! machine that reads it.

#![no_main]

use std::sync::LazyLock;

use ccsync::domain::placeholder::{Placeholder, Placeholders, System};
use ccsync::rewrite::{Collapser, Expander, TextKind, View};
use libfuzzer_sys::fuzz_target;

struct Machine {
    placeholders: Placeholders,
    collapser: Collapser,
    exact: Expander,
    readers: Vec<Expander>,
}

static MACHINES: LazyLock<Vec<Machine>> = LazyLock::new(|| {
    let all = [
        placeholders(System::Linux, "/home/al", "/home/al/p"),
        placeholders(System::Macos, "/Users/al", "/Users/al/My \"P\""),
        placeholders(System::Windows, "C:\\Users\\al", "n:\\w w"),
        placeholders(System::Wsl, "/home/al", "/mnt/c/w"),
        placeholders(System::Linux, "/a\\", "/a{{A}}"),
        placeholders(System::Linux, "/1", "/\u{e9}\u{301}{{"),
    ];
    all.iter().map(|origin| machine(origin, &all)).collect()
});

fn machine(origin: &Placeholders, all: &[Placeholders]) -> Machine {
    let separator = origin.system.separator();
    let directories: Vec<_> = origin.placeholders.iter().map(|root| format!("{}{separator}d_x", root.directory)).collect();
    let readers = all.iter().flat_map(|target| [View::Local, View::Original].map(|view| Expander::new(origin, target, view)));
    Machine {
        placeholders: origin.clone(),
        collapser: Collapser::new(origin, &directories),
        exact: Expander::exact(origin),
        readers: readers.collect(),
    }
}

fn placeholders(system: System, home: &str, projects: &str) -> Placeholders {
    let root = |name: &str, path| Placeholder::new(system, name.parse().expect("name"), path, None).expect("path");
    Placeholders::new(system, [root("HOME", home), root("P", projects)])
}

fuzz_target!(|input: &[u8]| {
    let [first, second, text @ ..] = input else { return };
    let machine = &MACHINES[usize::from(first >> 1) % MACHINES.len()];
    let kind = if first & 1 == 0 { TextKind::Json } else { TextKind::Plain };
    let portable = collapsed(machine, kind, text);
    assert_eq!(expanded(&machine.exact, kind, &portable), text, "{:?} {portable:?}", machine.placeholders);
    let lines = text.split_inclusive(|b| *b == b'\n').map(|line| collapsed(machine, kind, line));
    assert_eq!(lines.collect::<Vec<_>>().concat(), portable);
    let reader = &machine.readers[usize::from(*second) % machine.readers.len()];
    expanded(reader, kind, &portable);
    expanded(reader, kind, text);
});

fn collapsed(machine: &Machine, kind: TextKind, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    machine.collapser.collapse(text, kind, &mut out);
    out
}

fn expanded(expander: &Expander, kind: TextKind, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    expander.expand(text, kind, &mut out);
    out
}
