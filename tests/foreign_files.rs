//! The remote holds files that ccsync did not write: they stay unchanged and stop no
//! command.

use std::fs;

use crate::harness::{Clone, Machine, ONE, TWO, TestEnv, questions};

fn assert_clean(machine: &Machine) {
    assert_eq!(
        machine.git(&["status", "--porcelain"]),
        "",
        "{}",
        machine.name
    );
}

#[test]
fn foreign_files_in_remote_are_unchanged() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, other) = (env.machine("a"), env.machine("other"));
    let clone = Clone::new(&remote, &other);
    clone.write("README.md", "mine\n");
    clone.write(".gitattributes", "*.txt text\n");
    clone.write("LICENSE", "mine too\n");
    clone.push();
    a.init(&remote);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    assert_clean(&a);
    clone.pull();
    let read = |name: &str| fs::read_to_string(clone.path.join(name)).unwrap();
    assert_eq!(
        [read("README.md"), read(".gitattributes"), read("LICENSE")],
        ["mine\n", "*.txt text\n", "mine too\n"]
    );
}

#[test]
fn foreign_files_of_new_remote_are_unchanged() {
    let env = TestEnv::new();
    let (first, second) = (env.bare_remote(), env.bare_remote());
    let (a, other) = (env.machine("a"), env.machine("other"));
    a.init(&first);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let clone = Clone::new(&second, &other);
    clone.write("README.md", "mine\n");
    clone.push();
    a.init(&second);
    a.ccsync(["push"]).success();
    assert_clean(&a);
    clone.pull();
    assert_eq!(
        fs::read_to_string(clone.path.join("README.md")).unwrap(),
        "mine\n"
    );
    assert!(clone.path.join("ccsync.json").exists() && clone.path.join("sessions").exists());
}

#[test]
fn foreign_files_special_entries_are_not_checked_out() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b, other) = (env.machine("a"), env.machine("b"), env.machine("other"));
    a.init(&remote);
    b.init(&remote);
    let clone = Clone::new(&remote, &other);
    let target = clone.blob("/etc/passwd");
    clone.add("120000", &target, "link");
    clone.add("120000", &target, "deep/er/link");
    clone.add("160000", clone.git(&["rev-parse", "HEAD"]).trim(), "module");
    clone.add("100644", &target, "aux.txt");
    clone.add("100755", &target, "script.sh");
    clone.push();
    let before = clone.git(&["ls-tree", "-r", "HEAD"]);
    for machine in [&a, &b] {
        machine
            .session(if machine.name == "a" { ONE } else { TWO })
            .turn("hello")
            .write();
        let run = machine.ccsync(["sync"]).success();
        assert_eq!(machine.git(&["status", "--porcelain"]), "", "{run}");
        machine.ccsync(["verify", "--full"]).success();
        for name in ["link", "deep", "module", "aux.txt"] {
            assert!(
                fs::symlink_metadata(machine.store().join(name)).is_err(),
                "{name} is not written to the disk"
            );
        }
        assert!(machine.store().join("script.sh").is_file());
    }
    clone.pull();
    let after = clone.git(&["ls-tree", "-r", "HEAD"]);
    for line in before.lines().filter(|line| !line.contains("machines/")) {
        assert!(after.contains(line), "lost: {line}\n{after}");
    }
    // A file replaces a directory and a directory replaces a file; removed entries
    // disappear.
    clone.git(&[
        "rm",
        "--quiet",
        "-r",
        "--cached",
        "link",
        "module",
        "script.sh",
    ]);
    clone.add("100644", &target, "link");
    clone.add("120000", &target, "script.sh");
    clone.push();
    a.ccsync(["sync"]).success();
    assert_clean(&a);
    assert!(a.store().join("link").is_file() && !a.store().join("script.sh").exists());
    fs::write(a.store().join(".git/ccsync-unfinished"), "").unwrap();
    a.ccsync(["sync"]).success();
    assert_clean(&a);
}

#[cfg(unix)]
#[test]
fn foreign_files_non_utf8_name_is_not_checked_out() {
    use std::os::unix::ffi::OsStrExt;
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, other) = (env.machine("a"), env.machine("other"));
    a.init(&remote);
    let clone = Clone::new(&remote, &other);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(clone.path.join(name), "x").unwrap();
    clone.git(&["add", "--all"]);
    clone.push();
    a.ccsync(["pull"]).success();
    assert_clean(&a);
    assert!(!a.store().join(name).exists());
    fs::remove_file(clone.path.join(name)).unwrap();
    clone.git(&["add", "--all"]);
    clone.push();
    a.ccsync(["pull"]).success();
    assert_clean(&a);
}

#[test]
fn foreign_files_become_directories_and_back() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, other) = (env.machine("a"), env.machine("other"));
    a.init(&remote);
    let clone = Clone::new(&remote, &other);
    for turn in 0..2 {
        clone.write("thing", "a file");
        clone.write("other/deep/er", "below a directory");
        clone.push();
        a.ccsync(["pull"]).success();
        assert_clean(&a);
        assert!(a.store().join("thing").is_file(), "turn {turn}");
        // A file of the user's keeps the directory from being empty.
        fs::write(a.store().join("other/deep/mine"), "").unwrap();
        clone.git(&["rm", "--quiet", "-r", "thing", "other"]);
        clone.write("thing/below", "a file");
        clone.write("other", "a file now");
        clone.push();
        a.ccsync(["pull"]).success();
        assert_clean(&a);
        assert!(
            a.store().join("thing/below").is_file() && a.store().join("other").is_file(),
            "turn {turn}"
        );
        clone.git(&["rm", "--quiet", "-r", "thing", "other"]);
    }
}

#[test]
fn foreign_files_huge_file_is_not_checked_out() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, other) = (env.machine("a"), env.machine("other"));
    a.init(&remote);
    let clone = Clone::new(&remote, &other);
    clone.write("image", vec![0; 33 << 20]);
    clone.write("small", "x");
    clone.push();
    a.ccsync(["pull"]).success();
    assert_clean(&a);
    assert!(!a.store().join("image").exists() && a.store().join("small").exists());
    assert_eq!(
        a.ccsync(["verify", "--full", "--json"]).success().json()["objects"]["skipped_files"],
        1
    );
}

#[test]
fn store_damaged_machine_file_is_rewritten() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, other) = (env.machine("a"), env.machine("other"));
    a.init(&remote);
    let clone = Clone::new(&remote, &other);
    let name = fs::read_dir(clone.path.join("machines"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let path = format!("machines/{}", name.to_str().unwrap());
    a.session(ONE).turn("hello").write();
    for damage in ["{", "", "{\"format\": 1}"] {
        clone.write(&path, damage);
        clone.push();
        a.ccsync(["pull"]).success();
        a.ccsync(["status"]).success();
        a.append(ONE, "more");
        a.ccsync(["push"]).success();
        assert_clean(&a);
        clone.pull();
        let json = fs::read_to_string(clone.path.join(&path)).unwrap();
        let machine: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(machine["name"], "a", "{damage:?}");
    }
    assert_eq!(questions(&a.text(ONE)), ["hello", "more", "more", "more"]);
    // A file of a newer format is not damaged.
    clone.write(&path, "{\"format\": 3}");
    clone.push();
    a.ccsync(["pull"]);
    let refused = a.ccsync(["push"]).code(1);
    assert!(refused.stderr.contains("format 3"), "{refused}");
}
