//! Rewind on machines whose home directory, or the directory of a placeholder, is a link: Claude
//! Code restores a file only if the directory in its record is the real one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::{Machine, ONE, TestEnv};

/// Returns the record of a file that Claude Code has kept in `directory`.
fn checkpoint(directory: &Path) -> Vec<u8> {
    format!(
        "{{\"type\":\"file-history-delta\",\"backup\":{{\"realParentDir\":\"{}\",\"version\":1}}}}\n",
        directory.display()
    )
    .into_bytes()
}

/// Returns the directories in the records of kept files.
fn real_directories(machine: &Machine) -> Vec<String> {
    let text = machine.text(ONE);
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let directory = |record: serde_json::Value| {
        record["backup"]["realParentDir"]
            .as_str()
            .map(str::to_owned)
    };
    records.filter_map(directory).collect()
}

/// Returns a directory outside the home directory of a machine.
fn disk_of(machine: &Machine) -> PathBuf {
    let name = format!("disk-of-{}", machine.name);
    machine
        .home
        .ancestors()
        .last()
        .map_or_else(PathBuf::new, |_| machine.home.with_file_name(name))
}

/// Moves the home directory of a machine, and leaves a link.
fn link_home(machine: &Machine) -> PathBuf {
    let real = disk_of(machine);
    fs::create_dir_all(machine.home.parent().unwrap()).unwrap();
    if machine.home.exists() {
        fs::rename(&machine.home, &real).unwrap();
    } else {
        fs::create_dir_all(&real).unwrap();
    }
    symlink(&real, &machine.home).unwrap();
    real
}

/// A session with a checkpoint of `a`, pulled by `b`.
struct Rewound {
    a: Machine,
    b: Machine,
    /// Directory to which the home of `b` is a link.
    real: PathBuf,
    /// Directory of the checkpoint on `a`.
    of_a: PathBuf,
}

fn pulled_into_linked_home(env: &TestEnv) -> Rewound {
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    let real = link_home(&b);
    a.init(&remote);
    b.init(&remote);
    let of_a = a.home.join("work/app/src");
    a.session(ONE).turn("one").raw(&checkpoint(&of_a)).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    Rewound { a, b, real, of_a }
}

#[test]
fn rewind_directory_is_real_where_home_is_link() {
    let env = TestEnv::new();
    let Rewound { a, b, real, of_a } = pulled_into_linked_home(&env);
    let of_b = real.join("work/app/src");
    assert_eq!(real_directories(&b), [of_b.to_str().unwrap()]);

    b.append_raw(ONE, &checkpoint(&real.join("work/app")));
    let before = b.transcript(ONE);
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    let of_a = [of_a, a.home.join("work/app")];
    let of_a = of_a.map(|path| path.to_str().unwrap().to_owned());
    assert_eq!(real_directories(&a), of_a);
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
    }
    assert_eq!(b.transcript(ONE), before);
}

#[test]
fn rewind_directory_is_real_where_placeholder_is_link() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let real = disk_of(&b);
    fs::create_dir_all(&real).unwrap();
    symlink(&real, b.home.join("code")).unwrap();
    fs::create_dir_all(a.home.join("work")).unwrap();
    let add = |machine: &Machine, directory: &str| {
        let placeholder = format!("WORK={}", machine.home.join(directory).display());
        machine.add_placeholder(&placeholder);
    };
    add(&a, "work");
    add(&b, "code");
    let of_a = a.home.join("work/app");
    a.session(ONE).turn("one").raw(&checkpoint(&of_a)).write();
    let text = a.transcript(ONE);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(real_directories(&b), [real.join("app").to_str().unwrap()]);
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["pull", ONE]).success();
    assert_eq!(a.transcript(ONE), text);
}

/// Text that an earlier version pulled counts as the same.
#[test]
fn rewind_directory_of_earlier_version_makes_no_fork() {
    let env = TestEnv::new();
    let Rewound { a, b, real, of_a } = pulled_into_linked_home(&env);
    let spelled = b
        .text(ONE)
        .replace(real.to_str().unwrap(), b.home.to_str().unwrap());
    fs::write(b.transcript_path(ONE), spelled).unwrap();
    b.append(ONE, "two");
    b.ccsync(["sync"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(a.all_questions(), [["one", "two"]]);
    assert_eq!(real_directories(&a), [of_a.to_str().unwrap()]);
}
