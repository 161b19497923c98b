//! Properties of text with secrets: exact on the machine that knows them, and the same portable
//! text from the machines that do not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ccsync::domain::SecretName;
use ccsync::domain::placeholder::Placeholders;
use ccsync::rewrite::{
    Collapser, Expander, SecretFinder, SecretSpan, SecretValues, SecretView, TextKind, redaction_at,
};
use proptest::prelude::*;
use serde_json::Value;

use super::arbitrary::{bytes, directories, line, machine};

const KINDS: [TextKind; 2] = [TextKind::Json, TextKind::Plain];

/// Finds runs of `K`, `K` and digits, as a machine whose ids end with a letter.
struct TestSecrets {
    letter: char,
    values: Mutex<BTreeMap<SecretName, Arc<[u8]>>>,
}

impl TestSecrets {
    fn new(letter: char) -> Arc<Self> {
        let values = Mutex::default();
        Arc::new(Self { letter, values })
    }

    fn name(&self, value: &[u8]) -> SecretName {
        let digits: String = value
            .iter()
            .skip(2)
            .map(|b| char::from(b - b'0' + b'a'))
            .collect();
        let id = format!("{digits:z<15.15}{}", self.letter);
        let name = SecretName::new("test-key", &id).unwrap();
        self.values
            .lock()
            .unwrap()
            .insert(name.clone(), value.into());
        name
    }
}

impl SecretFinder for TestSecrets {
    fn find(&self, text: &[u8], _: TextKind) -> Vec<SecretSpan> {
        let mut spans = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let digits = rest
                .iter()
                .skip(2)
                .take_while(|b| b.is_ascii_digit())
                .count();
            let found = if rest.starts_with(b"KK") && digits > 0 {
                let length = 2 + digits.min(15);
                Some((self.name(&rest[..length]), length))
            } else {
                redaction_at(rest).filter(|(name, _)| self.value(name).is_none())
            };
            match found {
                Some((name, length)) => {
                    spans.push(SecretSpan {
                        range: at..at + length,
                        name,
                    });
                    at += length;
                }
                None => at += 1,
            }
        }
        spans
    }
}

impl SecretValues for TestSecrets {
    fn value(&self, name: &SecretName) -> Option<Arc<[u8]>> {
        self.values.lock().unwrap().get(name).cloned()
    }
}

/// Puts secrets and what looks like them between the bytes of a text.
fn planted(text: &[u8], places: Vec<(usize, usize)>) -> Vec<u8> {
    const PLANTS: [&str; 14] = [
        "KK12",
        "KK345",
        "{{KK7",
        "{{~KK8}}",
        "{{SECRET:test-key.bczzzzzzzzzzzzza}}",
        "{{~SECRET:test-key.bczzzzzzzzzzzzza}}",
        "[secret: test-key bczzzzzzzzzzzzzc]",
        "{{{KK12}}}",
        "{{SECRET:KK9}}",
        "[secret: test-key KK12]",
        "\\\\KK5",
        "KK1KK2",
        "{{SECRET:",
        "{{~",
    ];
    let mut places: Vec<_> = places
        .into_iter()
        .map(|(at, what)| (at % (text.len() + 1), what))
        .collect();
    places.sort_unstable();
    let mut out = Vec::new();
    let mut from = 0;
    for (at, what) in places {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(PLANTS[what % PLANTS.len()].as_bytes());
        from = at;
    }
    out.extend_from_slice(&text[from..]);
    out
}

fn places() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((any::<usize>(), 0..14_usize), 1..8)
}

fn text_with_secrets() -> impl Strategy<Value = (Placeholders, Vec<u8>)> {
    (
        machine().prop_flat_map(|m| (Just(m.clone()), bytes(&m))),
        places(),
    )
        .prop_map(|((machine, text), places)| (machine, planted(&text, places)))
}

/// A line of JSON whose strings hold secrets, some of them in JSON in strings.
fn line_with_secrets() -> impl Strategy<Value = (Placeholders, String)> {
    let line = machine().prop_flat_map(|m| (Just(m.clone()), line(&m)));
    (line, prop::collection::vec(0..14_usize, 1..5)).prop_map(|((machine, line), plants)| {
        let mut value = Value::String(String::from_utf8(planted(
 b"a \" \\ \n b",
            plants.iter().map(|n| (n * 31, *n)).collect(),
        )).unwrap());
        for (n, _) in plants.iter().enumerate() {
            value = serde_json::json!({ "x": value, "thinking": format!("KK{n} {{{{SECRET:test-key.bczzzzzzzzzzzzza}}}}") });
            value = Value::String(value.to_string());
        }
        let record: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        (machine, serde_json::json!({ "message": value, "thinking": "is KK42", "signature": "KK43", "r": record }).to_string())
    })
}

fn collapsed(
    origin: &Placeholders,
    secrets: &Arc<TestSecrets>,
    kind: TextKind,
    text: &[u8],
) -> Vec<u8> {
    let collapser =
        Collapser::new(origin, &directories(origin)).with_secrets(Arc::clone(secrets) as _);
    let mut out = Vec::new();
    collapser.collapse(text, kind, &mut out);
    out
}

fn expanded(
    origin: &Placeholders,
    view: SecretView<'_>,
    kind: TextKind,
    portable: &[u8],
) -> Vec<u8> {
    let mut out = Vec::new();
    Expander::exact(origin)
        .expand_bounded(portable, kind, view, &mut out)
        .unwrap();
    out
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn secrets_come_back_exactly_on_their_machine((origin, text) in text_with_secrets()) {
        for kind in KINDS {
            let secrets = TestSecrets::new('a');
            let portable = collapsed(&origin, &secrets, kind, &text);
            let back = expanded(&origin, SecretView::Value(secrets.as_ref()), kind, &portable);
            prop_assert_eq!(shown(&back), shown(&text), "{:?} via {}", kind, shown(&portable));
            prop_assert_eq!(back, text.clone());
        }
    }

    #[test]
    fn secrets_redaction_collapses_to_placeholder((origin, text) in text_with_secrets()) {
        for kind in KINDS {
            let (a, b) = (TestSecrets::new('a'), TestSecrets::new('b'));
            let portable = collapsed(&origin, &a, kind, &text);
            let there = expanded(&origin, SecretView::Value(b.as_ref()), kind, &portable);
            let again = collapsed(&origin, &b, kind, &there);
            let back = expanded(&origin, SecretView::Value(b.as_ref()), kind, &again);
            prop_assert_eq!(shown(&back), shown(&there), "{:?} via {}", kind, shown(&again));
        }
    }

    #[test]
    fn secrets_in_json_lines_keep_them_valid((origin, text) in line_with_secrets()) {
        let (a, b) = (TestSecrets::new('a'), TestSecrets::new('b'));
        let portable = collapsed(&origin, &a, TextKind::Json, text.as_bytes());
        let back = expanded(&origin, SecretView::Value(a.as_ref()), TextKind::Json, &portable);
        prop_assert_eq!(shown(&back), text.clone());
        let there = expanded(&origin, SecretView::Value(b.as_ref()), TextKind::Json, &portable);
        for text in [&portable, &there] {
            prop_assert!(serde_json::from_slice::<Value>(text).is_ok(), "{}", shown(text));
        }
        let open = shown(&portable).replace("\"KK43\"", "");
        prop_assert!(!open.contains("KK4"), "{}", open);
        prop_assert_eq!(shown(&collapsed(&origin, &b, TextKind::Json, &there)), shown(&portable));
    }
}
