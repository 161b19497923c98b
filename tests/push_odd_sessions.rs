//! Transcripts that a correct client never writes. Each returns byte for byte on its
//! origin, is localized on other machines as documented, and the counts are right.

use std::fs;
use std::io::Write;
#[cfg(target_os = "linux")]
use std::process::Stdio;

use crate::harness::{Machine, ONE, TWO, TestEnv, questions};

/// Returns a user record of this machine with `text`, which must need no escape.
fn record(machine: &Machine, text: &str) -> Vec<u8> {
    let cwd = machine.home.join("work/app");
    let line = format!(
        "{{\"type\":\"user\",\"uuid\":\"{:032x}\",\"sessionId\":\"{ONE}\",\"cwd\":\"{}\",\"message\":{{\"content\":\"{text}\"}}}}\n",
        text.len(),
        cwd.display()
    );
    line.into_bytes()
}

fn write(machine: &Machine, id: &str, content: &[u8]) {
    let dir = machine.project_dir("work/app");
    fs::create_dir_all(&dir).unwrap();
    fs::create_dir_all(machine.home.join("work/app")).unwrap();
    fs::write(dir.join(format!("{id}.jsonl")), content).unwrap();
}

/// Returns the text as another machine has it: its own home in place of `a`'s, up to the
/// last complete line.
fn on_other_machine(text: &[u8], from: &Machine, to: &Machine) -> Vec<u8> {
    let (from, to) = (
        from.home.to_str().unwrap().as_bytes(),
        to.home.to_str().unwrap().as_bytes(),
    );
    let mut rest = text;
    let mut out = Vec::new();
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Pulls `ONE` on a machine with the name and home of `a` that has only its
/// configuration.
fn pull_as_new_machine(a: &Machine) -> Vec<u8> {
    for lost in [".claude/projects", ".local"] {
        fs::remove_dir_all(a.home.join(lost)).unwrap();
    }
    fs::create_dir_all(a.home.join(".claude/projects")).unwrap();
    a.ccsync(["pull", ONE]).success();
    a.transcript(ONE)
}

/// Returns contents with names.
fn contents(a: &Machine) -> Vec<(&'static str, Vec<u8>)> {
    let good = record(a, "good");
    let with = |bytes: &[u8]| [good.as_slice(), bytes, good.as_slice()].concat();
    vec![
        (
            "a million lines of one byte",
            with(&b"1\n".repeat(1_000_000)),
        ),
        ("empty lines", with(&b"\n".repeat(100_000))),
        ("a line of 12 MB", with(&record(a, &"x y ".repeat(3 << 20)))),
        (
            "a line of 12 MB of paths",
            with(&record(
                a,
                &format!("{}/x ", a.home.display()).repeat(12 << 14),
            )),
        ),
        ("NUL bytes", with(b"{\"a\":\"\0\0\0\"}\n\0\0\0\n\0")),
        (
            "invalid UTF-8",
            with(b"{\"a\":\"\xff\xfe\xc0\x80\xed\xa0\x80\"}\n\xff\n"),
        ),
        (
            "a mark of byte order",
            [b"\xef\xbb\xbf".as_slice(), &good, &good].concat(),
        ),
        (
            "UTF-16",
            with(
                &String::from_utf8_lossy(&good)
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect::<Vec<_>>(),
            ),
        ),
        (
            "CRLF",
            String::from_utf8_lossy(&with(&good))
                .replace('\n', "\r\n")
                .into_bytes(),
        ),
        ("CR", with(b"{\"a\":1}\r{\"a\":2}\r\r\n")),
        (
            "placeholders",
            with(b"{\"a\":\"{{HOME}} {{{{HOME}} {{HOME:w1}} {{HOME:e/x}} {{X}}\"}\n{{HOME}}\n"),
        ),
        ("braces", with(&b"{{".repeat(100_000))),
        (
            "deep JSON",
            with(&[b"[".repeat(100_000), b"]".repeat(100_000), b"\n".to_vec()].concat()),
        ),
        (
            "no JSON at all",
            with(&b"all work and no play\n".repeat(1000)),
        ),
    ]
}

#[test]
fn push_pull_odd_bytes_round_trip() {
    let model = TestEnv::new();
    for (what, content) in contents(&model.machine("a")) {
        let env = TestEnv::new();
        let (a, b) = env.pair();
        let content = on_other_machine(&content, &model.machine("a"), &a);
        write(&a, ONE, &content);
        let content = a.transcript(ONE);
        let push = a.ccsync(["push"]).success();
        assert!(
            push.summary()
                .starts_with("push: 1 session: 1 added; on the remote"),
            "{what}\n{push}"
        );
        let again = a.ccsync(["push"]).success();
        assert!(
            again.summary().starts_with("push: up to date (1 session)"),
            "{what}\n{again}"
        );
        let pull = b.ccsync(["pull", ONE]).success();
        assert!(
            pull.summary().starts_with("pull: 1 session: 1 added"),
            "{what}\n{pull}"
        );
        // The last line has no line end.
        let mut there = on_other_machine(&content, &a, &b);
        if !there.ends_with(b"\n") {
            there.push(b'\n');
        }
        assert!(
            b.transcript(ONE) == there,
            "{what}: as the other machine reads it"
        );
        assert!(
            b.ccsync(["push"])
                .success()
                .summary()
                .starts_with("push: up to date"),
            "{what}"
        );
        assert!(
            pull_as_new_machine(&a) == content,
            "{what}: as it was written"
        );
    }
}

#[test]
fn push_malformed_session_does_not_block_others() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(TWO).turn("good").write();
    for content in [
        b"".as_slice(),
        b"{\"type\":\"us",
        b"\xef\xbb\xbf",
        b"\0",
        b"\n",
    ] {
        write(&a, ONE, content);
        let run = a.ccsync(["push"]).success();
        assert_eq!(a.transcript(ONE), content, "{run}");
        b.ccsync(["pull"]).success();
        a.append(TWO, &format!("after {} bytes", content.len()));
    }
    a.ccsync(["sync"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(TWO)).len(), 6);
}

#[test]
fn push_duplicate_id_pushes_other_as_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let first = a.session(ONE).project("work/app").turn("first").write();
    let second = a.session(ONE).project("work/other").turn("second").write();
    let (one, two) = (fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let push = a.ccsync(["push"]);
    assert!(push.stdout.contains("forked"), "{push}");
    b.ccsync(["pull"]).success();
    let ids = b.sessions();
    let said: Vec<_> = ids.iter().map(|id| questions(&b.text(id))).collect();
    assert_eq!(ids.len(), 2, "{push}");
    assert!(said.contains(&vec!["first".to_owned()]) && said.contains(&vec!["second".to_owned()]));
    assert_eq!(
        (fs::read(&first).unwrap(), fs::read(&second).unwrap()),
        (one, two)
    );
}

#[test]
fn pull_shortened_transcript_is_extended() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let whole = a.transcript(ONE);
    for cut in [whole.len() / 2, 10, 0] {
        fs::write(a.transcript_path(ONE), &whole[..cut]).unwrap();
        a.ccsync(["push"]).success();
        a.ccsync(["pull"]).success();
        assert_eq!(a.transcript(ONE), whole, "cut to {cut}");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(
        (a.sessions(), b.sessions()),
        (vec![ONE.to_owned()], vec![ONE.to_owned()])
    );
}

#[test]
fn push_rewritten_transcript_replaces_stored_text() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE)
        .turn("first")
        .turn("second")
        .turn("third")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let text = a.text(ONE).replace("\"second\"", "\"edited\"");
    fs::write(a.transcript_path(ONE), &text).unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        assert_eq!(machine.sessions(), [ONE], "{}", machine.name);
        let asked = questions(&machine.text(ONE));
        assert_eq!(asked, ["first", "edited", "third"], "{}", machine.name);
    }
    // The former text is one command away.
    assert!(a.ccsync(["log", ONE]).success().stdout.lines().count() > 1);
    assert!(a.ccsync(["sync"]).success().stdout.contains("up to date"));
}

/// A client writes while ccsync reads: the next command reads the rest of the file.
#[test]
fn push_growing_transcript_is_complete_after_next_push() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let path = a.session(ONE).turn("first").write();
    let line = record(&a, &"long ".repeat(2000));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            let mut lines = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // In two halves: sometimes a line is torn when it is read.
                file.write_all(&line[..line.len() / 2]).unwrap();
                std::thread::yield_now();
                file.write_all(&line[line.len() / 2..]).unwrap();
                lines += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            lines
        });
        for _ in 0..5 {
            a.ccsync(["push"]).success();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(writer.join().unwrap() > 0);
    });
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(b.transcript(ONE) == on_other_machine(&a.transcript(ONE), &a, &b));
    assert_eq!((a.sessions().len(), b.sessions().len()), (1, 1));
}

#[test]
fn push_session_moved_to_other_project_is_followed() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let worktree = a.project_dir("work/app-worktree");
    fs::create_dir_all(&worktree).unwrap();
    let moved = worktree.join(format!("{ONE}.jsonl"));
    fs::rename(a.transcript_path(ONE), &moved).unwrap();
    assert!(a.ccsync(["push"]).success().stdout.contains("up to date"));
    a.append(ONE, "after the move");
    a.ccsync(["sync"]).success();
    b.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        assert_eq!(
            (machine.sessions().len(), questions(&machine.text(ONE))),
            (1, vec!["hello".to_owned(), "after the move".to_owned()])
        );
    }
    assert_eq!(a.transcript_path(ONE), moved);
}

/// A deleted session that no command has recorded as deleted is remembered when settings
/// change.
#[test]
fn pull_deleted_session_stays_deleted_when_settings_change() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let work = b.home.join("work").display().to_string();
    let by_another_machine = ["set-path", "WORK", "b", &work];
    for (machine, change) in [
        (&a, &by_another_machine[..]),
        (&b, &["set", "localize", "never"]),
    ] {
        fs::remove_file(b.transcript_path(ONE)).unwrap();
        machine.ccsync([&["config"], change].concat()).success();
        b.ccsync(["pull"]).success();
        b.ccsync(["apply", "--yes"]).success();
        b.ccsync(["pull"]).success();
        assert_eq!(b.sessions(), [] as [&str; 0]);
        b.ccsync(["pull", ONE]).success();
        assert_eq!(b.sessions(), [ONE]);
    }
}

#[test]
fn pull_cleaned_up_session_is_restored_on_request() {
    let env = TestEnv::new();
    let (a, _b) = env.pair_with_session();
    let whole = a.transcript(ONE);
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    for command in ["push", "pull", "sync"] {
        a.ccsync([command]).success();
        assert!(a.sessions().is_empty(), "{command}");
    }
    a.ccsync(["pull", ONE]).success();
    assert_eq!(a.transcript(ONE), whole);
}

/// Memory is bounded by pieces, not by the size of the transcript. `CCSYNC_LARGE=1` takes
/// 150 MB instead of 24.
#[cfg(target_os = "linux")]
#[test]
#[allow(clippy::print_stderr)]
fn push_pull_large_transcript_memory_is_bounded() {
    const BOUND_KB: u64 = 100 << 10;
    let megabytes = if std::env::var_os("CCSYNC_LARGE").is_some() {
        150
    } else {
        24
    };
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let mut content = Vec::with_capacity((megabytes + 1) << 20);
    let mut number = 0_u64;
    while content.len() < megabytes << 20 {
        // Text that compresses about as well as natural language.
        let words: String = (0..400)
            .map(|n| {
                format!(
                    "{:x} ",
                    (number * 400 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44
                )
            })
            .collect();
        content.extend(record(&a, &words));
        number += 1;
    }
    write(&a, ONE, &content);
    for (machine, command) in [(&a, "push"), (&b, "pull"), (&a, "push"), (&b, "status")] {
        let (run, peak) = with_peak(machine, command);
        run.success();
        eprintln!("{command}: {megabytes} MB, at most {peak} kB of memory");
        assert!(peak < BOUND_KB, "{command}: {peak} kB");
    }
    assert!(b.transcript(ONE) == on_other_machine(&content, &a, &b));
}

/// Runs a command that may be repeated, and returns its peak memory in kilobytes; a
/// shell's `ulimit` would not report it.
#[cfg(target_os = "linux")]
fn with_peak(machine: &Machine, command: &str) -> (crate::harness::Run, u64) {
    loop {
        let mut program = machine.program(env!("CARGO_BIN_EXE_ccsync"));
        let program = program
            .arg(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = program.spawn().unwrap();
        // The status file exists until the process is waited for, but an ended process
        // has no memory.
        let status = format!("/proc/{}/status", child.id());
        let peak = std::iter::from_fn(|| memory(&fs::read_to_string(&status).unwrap())).max();
        let run = machine.ended(child);
        match peak {
            Some(peak) => return (run, peak),
            // On a busy machine the process may have ended before its status was read.
            None => drop(run.success()),
        }
    }
}

/// Returns the peak in kilobytes from Linux's status of a process.
#[cfg(target_os = "linux")]
fn memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
