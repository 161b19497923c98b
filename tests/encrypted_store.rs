//! An encrypted store: everything works as with a plain one, and the remote learns nothing.

use std::fs;
use std::path::Path;

use crate::harness::client::{Client, wait_for};
use crate::harness::world::World;
use crate::harness::{Machine, ONE, Run, TWO, TestEnv, questions};

/// Texts of all machines that the remote must never see.
const KNOWN: [&str; 20] = [
    "the walrus asks",
    "the gannet asks",
    "the marmot asks",
    "harbour",
    "lagoon",
    "moorland",
    "alphamachine",
    "betamachine",
    "gammamachine",
    "note about whales",
    "before-the-flood",
    "remember the tides",
    "11111111-0000",
    "22222222-0000",
    "33333333-0000",
    "Users/alex",
    "home/al",
    "transcript",
    "manifest",
    "sessions",
];

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Three machines with an encrypted store.
pub(crate) struct Trio {
    pub(crate) env: TestEnv,
    pub(crate) a: Machine,
    pub(crate) b: Machine,
    pub(crate) c: Machine,
}

impl Trio {
    pub(crate) fn new() -> Self {
        let env = TestEnv::new();
        let remote = env.bare_remote();
        let [a, b, c] = ["a", "b", "c"].map(|name| env.machine(name));
        init(&a, "alphamachine", &remote, &["--encrypt"]).success();
        for (machine, name) in [(&b, "betamachine"), (&c, "gammamachine")] {
            a.give_key(machine);
            init(machine, name, &remote, &[]).success();
        }
        Self { env, a, b, c }
    }
}

pub(crate) fn init(machine: &Machine, name: &str, remote: &Path, more: &[&str]) -> Run {
    let remote = remote.to_str().unwrap();
    let args = ["init", "--yes", "--name", name, "--remote", remote];
    machine.ccsync(args.iter().chain(more))
}

/// Returns every object and ref of a repository as text.
pub(crate) fn everything(remote: &Path, machine: &Machine) -> Vec<(String, Vec<u8>)> {
    let repo = git2::Repository::open_bare(remote).unwrap();
    let odb = repo.odb().unwrap();
    let mut found = Vec::new();
    odb.foreach(|oid| {
        let object = odb.read(*oid).unwrap();
        found.push((format!("{} {oid}", object.kind()), object.data().to_vec()));
        true
    })
    .unwrap();
    let mut git = machine.program("git");
    git.arg("--git-dir").arg(remote).arg("for-each-ref");
    let refs = machine.run(&mut git).success().stdout;
    found.push(("refs".to_owned(), refs.into_bytes()));
    found
}

#[test]
fn encrypted_remote_shows_no_known_text() {
    let Trio { env, a, b, c } = Trio::new();
    for (machine, id, project, text) in [
        (&a, ONE, "harbour/app", "the walrus asks"),
        (&b, TWO, "lagoon/app", "the gannet asks"),
        (&c, THREE, "moorland/app", "the marmot asks"),
    ] {
        machine.session(id).project(project).turn(text).write();
        let memory = machine.project_dir(project).join("memory");
        fs::create_dir_all(&memory).unwrap();
        fs::write(memory.join("MEMORY.md"), "remember the tides\n").unwrap();
        machine.ccsync(["push"]).success();
    }
    a.ccsync(["note", "note about whales"]).success();
    a.ccsync(["milestone", "before-the-flood"]).success();
    for machine in [&a, &b, &c] {
        machine.ccsync(["sync", "--all"]);
    }
    fs::create_dir_all(b.home.join("lagoon/app")).unwrap();
    let at_b = Client::install(&b);
    let child = at_b.start(&["resume", TWO], "the gannet asks again");
    wait_for("the lock is on the remote", || {
        let refs = fs::read_dir(env.remote_of_pair().join("refs/heads/ccsync/lock"));
        refs.is_ok_and(|mut refs| refs.next().is_some())
    });
    let locked = everything(&env.remote_of_pair(), &a);
    at_b.finish();
    b.ended(child).success();

    let all = everything(&env.remote_of_pair(), &a);
    assert!(all.len() > 60, "{} objects", all.len());
    for (name, bytes) in locked.iter().chain(&all) {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for known in KNOWN {
            assert!(!text.contains(&known.to_lowercase()), "{known} in {name}");
        }
        assert!(!name.starts_with("tag"), "{name}");
    }
    let seen = c.ccsync(["list", "--json"]).success().json();
    assert_eq!(seen["sessions"].as_array().unwrap().len(), 3);
}

#[test]
fn encrypted_remote_has_tokens_and_one_author() {
    let Trio { env, a, b, .. } = Trio::new();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let git = |args: &[&str]| {
        let mut git = a.program("git");
        git.arg("--git-dir").arg(env.remote_of_pair()).args(args);
        a.run(&mut git).success().stdout
    };
    let authors = git(&["log", "--format=%an %ae %cn %ce %s %b", "main"]);
    let author = "ccsync ccsync@ccsync.invalid";
    for line in authors.lines() {
        assert_eq!(line.trim_end(), format!("{author} {author} ccsync"));
    }
    for path in git(&["ls-tree", "-r", "--name-only", "main"]).lines() {
        let is_token =
            path.len() == 33 && path.replace('/', "").bytes().all(|b| b.is_ascii_hexdigit());
        assert!(
            is_token || ["ccsync.json", "commit"].contains(&path),
            "{path}"
        );
    }
    git(&["fsck", "--strict"]);
}

#[test]
fn encrypted_conversation_goes_round() {
    let Trio { env, a, b, c } = Trio::new();
    a.session(ONE).turn("one").write();
    a.ccsync(["push"]).success();
    let at_b = Client::install(&b);
    at_b.run(&["resume", ONE], "two").success();
    c.ccsync(["pull"]).success();
    c.append(ONE, "three");
    c.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["one", "two", "three"]);

    // Two go on at the same time: the second one gets a fork.
    a.append(ONE, "four of a");
    b.ccsync(["pull"]).success();
    b.append(ONE, "four of b");
    b.ccsync(["push"]).success();
    a.ccsync(["sync"]);
    b.ccsync(["sync"]);
    c.ccsync(["sync"]);
    let all = |machine: &Machine| machine.all_questions();
    assert_eq!(all(&a), all(&b));
    assert_eq!(all(&a), all(&c));
    assert_eq!(all(&a).len(), 2, "{:?}", all(&a));
    let heads = [&a, &b, &c].map(|machine| machine.git(&["rev-parse", "HEAD"]));
    assert_eq!(heads[0], heads[1]);
    for machine in [&a, &b, &c] {
        machine.assert_in_order("after the conversation");
        let checked = machine.ccsync(["verify", "--full"]);
        assert_eq!(checked.code, Some(0), "{checked}");
    }
    let locks = env.remote_of_pair().join("refs/heads/ccsync/lock");
    assert!(!locks.exists() || fs::read_dir(locks).unwrap().next().is_none());
}

#[test]
fn encrypted_machines_lose_no_turn() {
    let mut world = World::encrypted();
    for round in 1..4 {
        world.write("a", 0, 1);
        world.write("b", round, 1);
        world.a.ccsync(["push"]).success();
        world.write("b", 0, 1);
        world.write_agent("b", round, 1);
        world.check(&format!("round {round}"));
    }
}

#[test]
fn encrypted_commands_work_as_with_plain_store() {
    let Trio {
        env: _env, a, b, ..
    } = Trio::new();
    a.session(ONE).turn("a needle in hay").write();
    a.ccsync(["push"]).success();
    a.ccsync(["milestone", "early"]).success();
    a.append(ONE, "later");
    a.ccsync(["push"]).success();
    a.ccsync(["note", "look here"]).success();
    let pulled = b.ccsync(["pull"]).success();
    assert!(pulled.stdout.contains("look here"), "{pulled}");
    assert_eq!(questions(&b.text(ONE)).len(), 2);
    let found = b.ccsync(["search", "needle", "--json"]).success().json();
    assert_eq!(found["sessions"].as_array().unwrap().len(), 1, "{found}");
    b.ccsync(["restore", "--milestone", "early", "--yes"])
        .success();
    assert_eq!(questions(&b.text(ONE)).len(), 1);
    b.ccsync(["undo", "--yes"]).success();
    assert_eq!(questions(&b.text(ONE)).len(), 2);
    assert!(
        b.ccsync(["log", ONE])
            .success()
            .stdout
            .contains("alphamachine")
    );
    let status = b.ccsync(["status", "--json"]).success().json();
    assert_eq!(status["encrypted"], true);
    let doctor = b.ccsync(["doctor"]);
    assert!(doctor.stdout.contains("encryption"), "{doctor}");
}

#[test]
fn encrypted_store_without_key_is_not_joined() {
    let Trio { env, a, b, .. } = Trio::new();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let other = env.machine("d");
    let run = init(&other, "d", &env.remote_of_pair(), &[]).code(1);
    assert!(
        run.stderr.contains("this machine has no key for it"),
        "{run}"
    );
    let wrong = "0".repeat(64);
    fs::write(other.key_file(), &wrong).unwrap();
    assert_private(&other.key_file());
    let run = init(&other, "d", &env.remote_of_pair(), &[]).code(1);
    assert!(run.stderr.contains("is not the key of this store"), "{run}");
    assert!(!other.home.join(".config/ccsync/config.toml").exists());
    let objects = other
        .home
        .join(".local/share/ccsync/store/.git/objects/pack");
    assert_eq!(fs::read_dir(objects).unwrap().count(), 0);

    a.give_key(&other);
    init(&other, "d", &env.remote_of_pair(), &[]).success();
    other.ccsync(["pull"]).success();
    assert_eq!(questions(&other.text(ONE)), ["hello"]);

    // The key is lost on one of the machines: nothing is sent, nothing is lost.
    fs::remove_file(b.key_file()).unwrap();
    b.session(TWO).turn("kept").write();
    let run = b.ccsync(["push"]).code(1);
    assert!(run.stderr.contains("no key"), "{run}");
    a.give_key(&b);
    b.ccsync(["push"]).success();
}

fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn encrypted_and_plain_store_refuse_each_other() {
    let Trio { env, a, .. } = Trio::new();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let plain = env.bare_remote();
    let d = env.machine("d");
    init(&d, "d", &plain, &[]).success();
    d.session(TWO).turn("plain words").write();
    d.ccsync(["push"]).success();

    // The repositories are exchanged.
    let (one, other) = (env.remote_of_pair(), env.root().join("aside"));
    fs::rename(&one, &other).unwrap();
    fs::rename(&plain, &one).unwrap();
    fs::rename(&other, &plain).unwrap();
    a.append(ONE, "more");
    let run = a.ccsync(["push"]);
    assert_ne!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("is not encrypted"), "{run}");
    d.append(TWO, "more");
    let run = d.ccsync(["push"]);
    assert_ne!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("is encrypted"), "{run}");
    for (remote, words) in [(&plain, "plain words"), (&one, "hello")] {
        for (name, bytes) in everything(remote, &a) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains(words), "{words} in {name}");
        }
    }
}

#[test]
fn encrypted_store_is_never_sent_plain_to_new_remote() {
    let Trio { env, a, .. } = Trio::new();
    a.session(ONE).turn("the walrus asks").write();
    a.ccsync(["push"]).success();
    let new = env.bare_remote();
    let refused = init(&a, "alphamachine", &new, &["--no-encrypt"]).code(1);
    assert!(refused.stderr.contains("stays so"), "{refused}");
    init(&a, "alphamachine", &new, &[]).success();
    for (name, bytes) in everything(&new, &a) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            !text.contains("walrus") && !text.contains("manifest"),
            "{name}"
        );
    }
    // The record is lost in the store: the mirror has it, too.
    fs::remove_file(a.store().join(".git/ccsync-encrypted.json")).unwrap();
    a.append(ONE, "the walrus goes on");
    a.ccsync(["push"]).success();
    for (name, bytes) in everything(&new, &a) {
        assert!(
            !String::from_utf8_lossy(&bytes).contains("walrus"),
            "{name}"
        );
    }
}

#[test]
fn encrypted_mirror_is_rebuilt_after_loss() {
    let Trio {
        env: _env, a, b, ..
    } = Trio::new();
    a.session(ONE).turn("one").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let mirror = a.data().join("sealed.git");
    let head = a.git(&["rev-parse", "origin/main"]);
    for lose in ["map", "damaged map", "mirror", "store"] {
        match lose {
            "map" => fs::remove_file(mirror.join("ccsync-commits")).unwrap(),
            "damaged map" => fs::write(mirror.join("ccsync-commits"), "x").unwrap(),
            "mirror" => fs::remove_dir_all(&mirror).unwrap(),
            _ => fs::remove_dir_all(a.store()).unwrap(),
        }
        a.append(ONE, lose);
        let run = a.ccsync(["sync"]);
        assert_eq!(run.code, Some(0), "{lose}: {run}");
        b.ccsync(["pull"]).success();
        assert!(questions(&b.text(ONE)).contains(&lose.to_owned()), "{lose}");
        let commits = a.git(&["rev-list", "origin/main"]);
        assert!(
            commits.contains(head.trim()),
            "{lose}: the history is the same"
        );
    }
}

#[test]
fn encrypted_secrets_are_not_masked() {
    let Trio {
        env: _env, a, b, ..
    } = Trio::new();
    let token = format!("ghp_{}", "Zx9Qw7Er5Ty3Ui1Op0As2Df4Gh6Jk8Lm0QwE");
    a.session(ONE).turn(&format!("use {token}")).write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.text(ONE).contains(&token));
}
