//! The examples in `docs/dev/encryption.md`.

use std::fmt::Write as _;
use std::path::Path;

use ccsync::encryption::{Purpose, Sealer, StoreHeader, StoreId, StoreKey};

const PAGE: &str = "docs/dev/encryption.md";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counted<const N: usize>() -> [u8; N] {
    std::array::from_fn(|n| u8::try_from(n).unwrap())
}

/// Returns the lines of the page, as this program computes them.
fn vectors() -> String {
    let key = StoreKey::from_bytes(counted());
    let store: StoreId = hex(&counted::<16>()).parse().unwrap();
    let header = StoreHeader::new(store, 1, &key);
    let mut sealer = Sealer::new(&header, &key);
    let header: serde_json::Value = serde_json::from_slice(&header.to_json()).unwrap();
    let (file, branch) = (sealer.file("a/b"), sealer.branch("ccsync/lock/x"));
    let history = sealer.history();

    let mut lines = String::new();
    let mut line = |name: &str, value: String| writeln!(lines, "{name:<26} {value}").unwrap();
    for (name, purpose) in [
        ("frames key", Purpose::Frames),
        ("nonces key", Purpose::Nonces),
        ("names key", Purpose::Names),
        ("check key", Purpose::Check),
    ] {
        line(name, hex(key.subkey(purpose).as_bytes()));
    }
    line("check", header["check"].as_str().unwrap().to_owned());
    line("file a/b", file.to_string());
    line("branch ccsync/lock/x", branch.to_string());
    line("history", history.to_string());
    let sealed = sealer.seal(file, b"100644 a/b", b"hello\n");
    let unsealed = sealer.unseal(file, &sealed).unwrap();
    assert_eq!(
        (unsealed.label, unsealed.text),
        (b"100644 a/b".to_vec(), b"hello\n".to_vec())
    );
    for (n, part) in sealed.chunks(32).enumerate() {
        let name = if n == 0 { "sealed a/b" } else { "" };
        line(name, hex(part));
    }
    lines
}

#[test]
fn encrypted_vectors_of_page_are_computed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("## Test vectors\n").unwrap();
    let (text, rest) = rest.split_once("```text\n").unwrap();
    let (shown, after) = rest.split_once("```").unwrap();
    let computed = vectors();
    if std::env::var_os("CCSYNC_UPDATE_DOCS").is_some() {
        let page = [
            before,
            "## Test vectors\n",
            text,
            "```text\n",
            &computed,
            "```",
            after,
        ];
        std::fs::write(&path, page.concat()).unwrap();
    } else {
        assert_eq!(shown, computed);
    }
}
