//! The store repacks itself: many small packs become few, in the background, without any
//! loss.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{ONE, TestEnv, questions};

const PUSHES: usize = 55;

fn packs(git_dir: &Path) -> usize {
    let entries = fs::read_dir(git_dir.join("objects/pack")).unwrap();
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "pack")
        })
        .count()
}

#[test]
fn repack_many_packs_unless_gc_auto_is_disabled() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let repositories = [a.store().join(".git")];
    for n in 0..PUSHES {
        a.append(ONE, &format!("turn {n}"));
        a.ccsync(["push"]).success();
    }
    assert!(
        repositories
            .iter()
            .all(|repository| packs(repository) >= PUSHES),
        "the tests' own git configuration says `gc.auto = 0`"
    );
    let config = a.home.join(".gitconfig");
    fs::write(
        &config,
        fs::read_to_string(&config)
            .unwrap()
            .replace("[gc]\n\tauto = 0\n", ""),
    )
    .unwrap();
    a.append(ONE, "one more");
    a.ccsync(["push"]).success();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Waits until the repack is finished: git removes this file at the end.
    let at_work =
        |repository: &PathBuf| packs(repository) > PUSHES / 2 || repository.join("gc.pid").exists();
    while repositories.iter().any(at_work) {
        assert!(
            Instant::now() < deadline,
            "{:?} packs",
            repositories.each_ref().map(|repository| packs(repository))
        );
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(a.git(&["fsck", "--strict", "--no-dangling"]), "");
    assert_eq!(a.git(&["status", "--porcelain"]), "");
    a.append(ONE, "afterwards");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)).len(), PUSHES + 3);
    a.ccsync(["verify", "--full"]).success();
}
