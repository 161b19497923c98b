//! The sketch: a loose byte regex that every matching record of the store satisfies.
//!
//! A matching record satisfies the sketch whatever is escaped or replaced by a
//! placeholder, so a record that does not satisfy it is not parsed. Each part of the
//! expression becomes everything that may be stored for it: characters, escapes and
//! placeholders of one JSON string. If one placeholder covers several parts, the first
//! part takes all of it and the others take nothing. Pure.

use regex_syntax::hir::ClassUnicode;

use crate::browse::search::fragment::{Fragment, STEADY, Steady, is_steady, steady};
use crate::browse::search::parts::Part;
use crate::browse::search::written::{Written, has};

/// A piece of a sketch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    regex: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A fragment.
    Certain,
    /// StoreCommit least one byte.
    Something,
    /// May be empty.
    MayBeEmpty,
    /// May be empty; repetitions are redundant.
    Loose,
}

/// A character that is neither stored unchanged nor part of a placeholder.
const ODD: &str = r"\\u[0-9A-Fa-f]{4}|\\[^\nu]";

/// Returns the regular expression for the raw bytes of a record, if it is stricter than
/// the fragments.
pub(crate) fn sketch(parts: &[Part], written: &Written) -> Option<String> {
    let pieces = drawn(parts, written);
    // Parts that may be empty are useless at the ends.
    let first = pieces.iter().position(|piece| !piece.may_be_empty())?;
    let last = pieces.iter().rposition(|piece| !piece.may_be_empty())?;
    match &pieces[first..=last] {
        [piece] if piece.kind == Kind::Certain => None,
        pieces => Some(joined(pieces)),
    }
}

fn drawn(parts: &[Part], written: &Written) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for piece in parts.iter().flat_map(|part| draw(part, written)) {
        if piece.kind != Kind::Loose || pieces.last() != Some(&piece) {
            pieces.push(piece);
        }
    }
    pieces
}

fn draw(part: &Part, written: &Written) -> Vec<Piece> {
    match part {
        Part::Run { text, ignores_case } => run(text, *ignores_case, written),
        Part::Class(class) => vec![one_of_class(class, written)],
        Part::Repeated { parts, is_optional } => {
            vec![repeated(&drawn(parts, written), *is_optional)]
        }
        Part::OneOf(branches) => {
            let branches: Vec<_> = branches.iter().map(|parts| drawn(parts, written)).collect();
            let is_empty = |pieces: &Vec<Piece>| pieces.iter().all(Piece::may_be_empty);
            let kind = if branches.iter().any(is_empty) {
                Kind::MayBeEmpty
            } else {
                Kind::Something
            };
            let branches: Vec<_> = branches.iter().map(|pieces| joined(pieces)).collect();
            vec![Piece {
                regex: format!("(?:{})", branches.join("|")),
                kind,
            }]
        }
        Part::Anything => vec![anything()],
    }
}

/// Returns fragments, and the text that may be between them.
fn run(text: &str, ignores_case: bool, written: &Written) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let gap = |gap: &str, pieces: &mut Vec<Piece>| match gap {
        "" => {}
        _ if gap.contains('\n') => pieces.push(anything()),
        _ => pieces.push(loose(|c| gap.contains(c))),
    };
    let mut from = 0;
    for Steady {
        range,
        may_end_name,
    } in steady(text, written)
    {
        gap(&text[from..range.start], &mut pieces);
        let regex = Fragment::new(&text[range.clone()], ignores_case).as_regex();
        let regex = if may_end_name {
            format!(r"(?:{regex}(?:\}}\}})?|\}}\}})")
        } else {
            regex
        };
        pieces.push(Piece {
            regex,
            kind: Kind::Certain,
        });
        from = range.end;
    }
    gap(&text[from..], &mut pieces);
    pieces
}

fn one_of_class(class: &ClassUnicode, written: &Written) -> Piece {
    let is_steady_one = |c: char| has(class, c);
    let is_odd = class.iter().any(|range| {
        !range.end().is_ascii() || (range.start()..=range.end()).any(|c| !is_steady(c))
    });
    match (written.may_hold(class), has(class, '\n')) {
        (true, true) => anything(),
        (true, false) => loose(is_steady_one),
        (false, true) => line_end(is_steady_one),
        (false, false) if is_odd => {
            let odd = but_for(|_| false);
            something(&format!("{}|(?:{ODD}|{odd})+", only(is_steady_one)))
        }
        (false, false) => something(&only(is_steady_one)),
    }
}

fn repeated(pieces: &[Piece], is_optional: bool) -> Piece {
    if let [piece] = pieces
        && piece.kind == Kind::Loose
    {
        return piece.clone();
    }
    let regex = format!(
        "(?:{}){}",
        joined(pieces),
        if is_optional { '*' } else { '+' }
    );
    let is_empty = is_optional || pieces.iter().all(Piece::may_be_empty);
    Piece {
        regex,
        kind: if is_empty {
            Kind::MayBeEmpty
        } else {
            Kind::Something
        },
    }
}

/// Matches any number of placeholders and characters, without line ends. Of the
/// characters that are always stored unchanged, it matches only the wanted ones.
fn loose(is_wanted: impl Fn(char) -> bool) -> Piece {
    let of_placeholder = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let bytes = but_for(|c| of_placeholder(c) || is_wanted(c));
    Piece {
        regex: format!(r"(?-u:(?:{bytes}|\\[^\nn])*)"),
        kind: Kind::Loose,
    }
}

/// Matches the rest of the string.
fn anything() -> Piece {
    Piece {
        regex: r#"(?-u:(?:[^\n"\\]|\\[^\n])*)"#.to_owned(),
        kind: Kind::Loose,
    }
}

/// Matches a line end. Claude Code wraps pasted text into marker lines, which are removed
/// from the message.
fn line_end(is_wanted: impl Fn(char) -> bool) -> Piece {
    let bytes = but_for(|c| c == ' ' || is_wanted(c));
    let rest = anything().regex;
    something(&format!("(?:{ODD}|{bytes})+(?:pasted_content{rest})?"))
}

fn something(regex: &str) -> Piece {
    Piece {
        regex: format!("(?-u:{regex})"),
        kind: Kind::Something,
    }
}

/// Matches all bytes of a string except escapes and unwanted unchanged characters.
fn but_for(is_wanted: impl Fn(char) -> bool) -> String {
    let unwanted: String = STEADY
        .chars()
        .filter(|c| !is_wanted(*c))
        .map(escaped)
        .collect();
    format!(r#"[^\n"\\{unwanted}]"#)
}

/// Matches the wanted characters that are stored unchanged.
fn only(is_wanted: impl Fn(char) -> bool) -> String {
    let wanted: String = STEADY
        .chars()
        .filter(|c| is_wanted(*c))
        .map(escaped)
        .collect();
    // An empty class matches nothing.
    if wanted.is_empty() {
        r"[^\x00-\xff]".to_owned()
    } else {
        format!("[{wanted}]")
    }
}

fn escaped(c: char) -> String {
    regex::escape(c.encode_utf8(&mut [0; 4]))
}

fn joined(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.regex.as_str()).collect()
}

impl Piece {
    fn may_be_empty(&self) -> bool {
        matches!(self.kind, Kind::MayBeEmpty | Kind::Loose)
    }
}

#[cfg(test)]
mod tests;
