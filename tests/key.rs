//! The key of an encrypted store: printing it, joining with it, losing it, changing it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ccsync::encryption::{Purpose, StoreHeader, StoreKey};

use crate::encrypted_store::{everything, init};
use crate::harness::{ENTER, Machine, ONE, TWO, Terminal, TestEnv, questions};

const PASSPHRASE: &str = "four words are enough";

/// Returns a machine with an encrypted store and one session on the remote.
fn encrypted(env: &TestEnv) -> Machine {
    let a = env.machine("a");
    init(&a, "a", &env.bare_remote(), &["--encrypt"]).success();
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    a
}

fn words(machine: &Machine) -> String {
    machine.ccsync(["key", "words", "--yes"]).success().stdout
}

fn set_passphrase(machine: &Machine) {
    let command = machine.command(["key", "passphrase"]);
    machine.run_with_input(command, PASSPHRASE).success();
}

fn join_with_key_file(machine: &Machine, text: &str) -> crate::harness::Run {
    let path = machine.home.join("given key");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    machine.ccsync(["init", "--yes", "--key-file", &path])
}

#[test]
fn key_is_printed_only_on_purpose() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    for form in ["words", "show"] {
        let run = a.ccsync(["key", form]).code(2);
        assert!(run.stderr.contains("needs confirmation"), "{run}");
    }
    let digits = a.ccsync(["key", "show", "--yes"]).success().stdout;
    let words = words(&a);
    assert_eq!(words.split_whitespace().count(), 24);
    assert!(StoreKey::parse(&words).unwrap() == StoreKey::parse(&digits).unwrap());

    let terminal = Terminal::start(a.command(["key", "show"]), 120, 10);
    terminal.wait_for("With it, all sessions of the store can be read");
    terminal.type_in("n");
    let ended = terminal.end().assert_restored().code(0);
    assert!(!ended.text().contains(digits.trim()), "{}", ended.text());

    for args in [
        &["key", "check"][..],
        &["key", "check", "--json"],
        &["config", "show", "--json"],
        &["status", "--json"],
        &["doctor"],
    ] {
        let run = a.ccsync(args);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(!text.contains(digits.trim()), "{run}");
        assert!(!text.contains(words.trim()), "{run}");
    }
}

#[test]
fn key_check_says_where_key_is_and_what_it_opens() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let run = a.ccsync(["key", "check"]).success();
    assert!(
        run.stdout
            .contains("config/ccsync/key opens the store and the remote"),
        "{run}"
    );
    let run = a.ccsync(["key", "check", "--offline", "--json"]).success();
    let checked = run.json();
    assert_eq!(checked["source"], "file");
    assert_eq!(checked["epoch"], 1);
    assert_eq!(checked["passphrase"], false);
    assert_eq!(checked["remote_opened"], false);

    let b = env.machine("b");
    init(&b, "b", &env.bare_remote(), &[]).success();
    let run = b.ccsync(["key", "check"]).code(1);
    assert!(run.stderr.contains("the store is not encrypted"), "{run}");
    assert!(run.stderr.contains("`ccsync encrypt`"), "{run}");
}

#[test]
fn key_from_variable_command_or_file_joins() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let words = words(&a);
    let remote = env.remote_of_pair();

    let b = env.machine("b");
    init(&b, "b", &remote, &[]).code(1);
    join_with_key_file(&b, &format!("# from a\n{words}")).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
    let mode = fs::metadata(b.key_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let c = env.machine("c");
    let with_key = |args: &[&str]| {
        let mut command = c.command(args);
        c.run(command.env("CCSYNC_KEY", &words))
    };
    with_key(&["init", "--yes", "--remote", remote.to_str().unwrap()]).success();
    with_key(&["pull"]).success();
    assert_eq!(questions(&c.text(ONE)), ["hello"]);
    assert!(!c.key_file().exists());
    let run = c.ccsync(["sync"]).code(1);
    assert!(run.stderr.contains("this machine has no key"), "{run}");

    fs::write(c.home.join("k"), &words).unwrap();
    c.ccsync(["config", "set", "key_command", "cat k"])
        .success();
    c.ccsync(["sync"]).success();
    let run = c.ccsync(["key", "check"]).success();
    assert!(run.stdout.contains("from key_command"), "{run}");
}

#[test]
fn key_command_that_fails_or_is_wrong_is_named() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    fs::remove_file(a.key_file()).unwrap();
    let with_command = |command: &str| {
        a.ccsync(["config", "set", "key_command", command])
            .success();
        let mut pull = a.command(["pull"]);
        a.run(pull.env("CCSYNC_KEY", "0".repeat(64))).code(1)
    };
    // Programs do not get the variable.
    let run = with_command("echo locked ${CCSYNC_KEY:-up} >&2; exit 3");
    assert!(run.stderr.contains("`key_command` failed"), "{run}");
    assert!(run.stderr.contains("locked up"), "{run}");
    let run = with_command("echo hello world");
    assert!(run.stderr.contains("no key in `key_command`"), "{run}");
    assert!(!run.stderr.contains("world"), "{run}");
    let run = with_command("printf '%064d' 1");
    assert!(
        run.stderr
            .contains("the key from CCSYNC_KEY is not the key"),
        "{run}"
    );
}

#[test]
fn key_file_readable_by_others_is_refused() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    fs::set_permissions(a.key_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let run = a.ccsync(["pull"]).code(1);
    assert!(run.stderr.contains("other users can read the key"), "{run}");
    assert!(run.stderr.contains("`chmod 600 "), "{run}");
}

#[test]
fn key_wrong_one_is_refused_before_anything_is_written() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let b = env.machine("b");
    init(&b, "b", &env.remote_of_pair(), &[]).code(1);
    let swapped: Vec<_> = words(&a).split_whitespace().map(str::to_owned).collect();
    let typo = swapped.join(" ").replacen(&swapped[4], "xyzzy", 1);
    for (text, reason) in [
        (typo.as_str(), "is not on the list of words"),
        (
            swapped[1..].join(" ").as_str(),
            "a key has 24 words; these are 23",
        ),
        ("0".repeat(64).as_str(), "this is not the key of this store"),
        ("", "the key is empty"),
    ] {
        let run = join_with_key_file(&b, text).code(1);
        assert!(run.stderr.contains(reason), "{run}");
        assert!(!run.stderr.contains("xyzzy"), "{run}");
        assert!(!b.key_file().exists() && !b.home.join(".config/ccsync/config.toml").exists());
    }
}

#[test]
fn key_is_asked_for_once_in_terminal() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let remote = env.remote_of_pair();
    let words = words(&a);
    let path = env.root().join("key on a stick");
    fs::write(&path, &words).unwrap();
    set_passphrase(&a);
    let answers = [words.trim(), path.to_str().unwrap(), PASSPHRASE];
    for (name, answer) in ["x", "y", "z"].iter().zip(answers) {
        let machine = env.machine(name);
        let args = ["init", "--no-auto", "--remote", remote.to_str().unwrap()];
        let terminal = Terminal::start(machine.command(args), 120, 20);
        terminal.wait_for("Key of the store (the passphrase, the 24 words or a file");
        terminal.wait_for_raw();
        terminal.type_in(&format!("not the passphrase{ENTER}"));
        terminal.wait_for("wrong passphrase");
        terminal.wait_for_raw();
        terminal.type_in(&format!("{answer}{ENTER}"));
        terminal.wait_for("init: this machine is set up");
        let ended = terminal.end().assert_restored().code(0);
        assert!(!ended.text().contains(answer), "{}", ended.text());
        machine.ccsync(["pull"]).success();
        assert_eq!(questions(&machine.text(ONE)), ["hello"]);
    }
}

#[test]
fn key_passphrase_is_checked_and_can_be_removed() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let run = a.run_with_input(a.command(["key", "passphrase"]), "short\n");
    run.code(1);
    set_passphrase(&a);
    assert_eq!(
        a.ccsync(["key", "check", "--json"]).json()["passphrase"],
        true
    );
    for (name, bytes) in everything(&env.remote_of_pair(), &a) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(PASSPHRASE), "{name}");
    }
    // Another machine that pushes keeps it.
    let b = env.machine("b");
    a.give_key(&b);
    init(&b, "b", &env.remote_of_pair(), &[]).success();
    b.session(TWO).turn("world").write();
    b.ccsync(["push"]).success();
    assert_eq!(
        a.ccsync(["key", "check", "--json"]).json()["passphrase"],
        true
    );
    b.ccsync(["key", "passphrase", "--remove"]).success();
    assert_eq!(
        a.ccsync(["key", "check", "--json"]).json()["passphrase"],
        false
    );
}

/// Fails if the remote has a readable text of the sessions.
fn assert_sealed(remote: &Path, machine: &Machine) {
    for (name, bytes) in everything(remote, machine) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for known in ["hello", "unsent", "11111111-0000", "sessions"] {
            assert!(!text.contains(known), "{known} in {name}");
        }
    }
}

#[test]
fn encrypt_replaces_history_and_other_machine_loses_nothing() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append(ONE, "unsent");
    let run = a.ccsync(["encrypt"]).code(2);
    assert!(run.stderr.contains("needs confirmation"), "{run}");
    a.ccsync(["encrypt", "--yes"]).success();
    assert_sealed(&env.remote_of_pair(), &a);
    let run = a.ccsync(["encrypt", "--yes"]).code(1);
    assert!(run.stderr.contains("encrypted already"), "{run}");

    for command in ["push", "pull", "sync"] {
        let run = b.ccsync([command]).code(1);
        assert!(run.stderr.contains("is encrypted"), "{run}");
        assert!(run.stderr.contains("`ccsync init`"), "{run}");
    }
    assert_sealed(&env.remote_of_pair(), &a);
    join_with_key_file(&b, &words(&a)).success();
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "unsent"]);
    assert_sealed(&env.remote_of_pair(), &a);
    for machine in [&a, &b] {
        machine.ccsync(["verify"]).success();
    }
}

#[test]
fn encrypt_uses_given_key_and_seals_locks() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.ccsync(["lock", "show"]).success();
    let key = StoreKey::generate();
    fs::write(a.home.join("k"), &**key.to_digits()).unwrap();
    a.ccsync(["config", "set", "key_command", "cat k"])
        .success();
    a.ccsync(["encrypt", "--yes", "--json"]).success();
    let digits = a.ccsync(["key", "show", "--yes"]).success().stdout;
    assert!(StoreKey::parse(&digits).unwrap() == key);
    assert_sealed(&env.remote_of_pair(), &a);
}

#[test]
fn encrypt_with_new_remote_leaves_former_one() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let other = env.bare_remote();
    let other_text = other.to_str().unwrap();
    let run = a
        .ccsync(["encrypt", "--yes", "--remote", other_text])
        .success();
    assert!(run.stderr.contains("delete the former remote"), "{run}");
    assert_sealed(&other, &a);
    a.append(ONE, "unsent");
    a.ccsync(["push"]).success();
    assert_sealed(&other, &a);
    let path = b.home.join("k");
    fs::write(&path, words(&a)).unwrap();
    let path = path.to_str().unwrap();
    let args = ["init", "--yes", "--remote", other_text, "--key-file", path];
    b.ccsync(args).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "unsent"]);

    let c = env.machine("c");
    init(&c, "c", &env.bare_remote(), &[]).success();
    let run = c
        .ccsync(["encrypt", "--yes", "--remote", other_text])
        .code(1);
    assert!(run.stderr.contains("is not empty"), "{run}");
}

#[test]
fn key_rotate_tells_other_machines_and_loses_nothing() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let b = env.machine("b");
    a.give_key(&b);
    init(&b, "b", &env.remote_of_pair(), &[]).success();
    b.ccsync(["pull"]).success();
    set_passphrase(&a);
    b.append(ONE, "unsent");
    let former = words(&a);
    let run = a.ccsync(["key", "rotate", "--yes"]).success();
    assert!(
        run.stderr
            .contains("set one again: `ccsync key passphrase`"),
        "{run}"
    );
    assert_ne!(words(&a), former);
    let checked = a.ccsync(["key", "check", "--json"]).success().json();
    assert_eq!(
        (&checked["epoch"], &checked["passphrase"]),
        (&2.into(), &false.into())
    );

    for command in ["push", "pull", "sync"] {
        let run = b.ccsync([command]).code(1);
        assert!(
            run.stderr.contains("the key of the store was changed"),
            "{run}"
        );
        assert!(run.stderr.contains("`ccsync init`"), "{run}");
    }
    let run = join_with_key_file(&b, &former).code(1);
    assert!(
        run.stderr.contains("this is not the key of this store"),
        "{run}"
    );
    join_with_key_file(&b, &words(&a)).success();
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "unsent"]);
    for machine in [&a, &b] {
        machine.ccsync(["verify"]).success();
    }
}

#[test]
fn key_lost_on_one_machine_is_entered_again() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let b = env.machine("b");
    a.give_key(&b);
    init(&b, "b", &env.remote_of_pair(), &[]).success();
    b.ccsync(["pull"]).success();
    fs::remove_file(b.key_file()).unwrap();
    b.append(ONE, "unsent");
    let run = b.ccsync(["push"]).code(1);
    assert!(
        run.stderr.contains("this machine has no key for it"),
        "{run}"
    );
    assert!(run.stderr.contains("enter it with `ccsync init`"), "{run}");
    b.ccsync(["list"]).success();
    join_with_key_file(&b, &words(&a)).success();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "unsent"]);
}

#[test]
fn machine_forget_in_encrypted_store_names_the_key() {
    let env = TestEnv::new();
    let a = encrypted(&env);
    let b = env.machine("b");
    a.give_key(&b);
    init(&b, "b", &env.remote_of_pair(), &[]).success();
    let run = a.ccsync(["machine", "forget", "b", "--yes"]).success();
    assert!(run.stderr.contains("`b` has the key of the store"), "{run}");
    assert!(run.stderr.contains("`ccsync key rotate`"), "{run}");
}

/// `docs/dev/encryption.md` was checked with other implementations of all algorithms.
#[test]
fn key_test_vectors_of_specification_hold() {
    let page = include_str!("../docs/dev/encryption.md");
    let vectors = &page[page.find("## Test vectors").unwrap()..];
    let value = |name: &str| {
        let row = vectors
            .lines()
            .find(|line| line.starts_with(&format!("| {name} |")));
        row.unwrap().split('`').nth(1).unwrap()
    };
    let key = StoreKey::parse(value("key")).unwrap();
    assert_eq!(key.to_words().join(" "), value("words"));
    for (name, purpose) in [
        ("subkey frames", Purpose::Frames),
        ("subkey nonces", Purpose::Nonces),
        ("subkey names", Purpose::Names),
        ("subkey check", Purpose::Check),
    ] {
        let subkey = key
            .subkey(purpose)
            .as_bytes()
            .map(|byte| format!("{byte:02x}"));
        assert_eq!(subkey.concat(), value(name), "{name}");
    }
    let json = vectors.split("```json\n").nth(1).unwrap();
    let json = json.split("```").next().unwrap();
    let header = StoreHeader::parse(json.as_bytes()).unwrap().unwrap();
    assert!(header.has_key(&key));
    let opened = header.open_passphrase(value("passphrase")).unwrap();
    assert!(opened == Some(key));
}
