//! What is searched for as it may stand in a record of the store, roughly drawn.
//!
//! A record that says it matches the sketch, whatever of it is escaped or read from a placeholder. So a record that does not match need not be
//! taken apart. Each part of the expression is drawn as everything that may be stored where the part is read: whole characters, escapes and
//! placeholders of one JSON string. Where one placeholder is read as several parts, the first of them has all of it, and the others have
//! nothing. Pure.

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
    /// Not nothing.
    Something,
    /// Something or nothing.
    MayBeEmpty,
    /// The same, and several of them in a row are as good as one.
    Loose,
}

/// A character that is no fragment, but no part of a placeholder either.
const ODD: &str = r"\\u[0-9A-Fa-f]{4}|\\[^\nu]";

/// What the regular expression for the raw bytes of a record is, if it tells more than the fragments do.
pub(crate) fn sketch(parts: &[Part], written: &Written) -> Option<String> {
    let pieces = drawn(parts, written);
    // What may be empty says nothing at the ends.
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

/// Fragments, and what may stand between them.
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

/// Placeholders, and characters of which not all are steady, any number, but no line ends. Of the steady ones that no placeholder has, only those
/// that are wanted.
fn loose(is_wanted: impl Fn(char) -> bool) -> Piece {
    let of_placeholder = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let bytes = but_for(|c| of_placeholder(c) || is_wanted(c));
    Piece {
        regex: format!(r"(?-u:(?:{bytes}|\\[^\nn])*)"),
        kind: Kind::Loose,
    }
}

/// The rest of the string.
fn anything() -> Piece {
    Piece {
        regex: r#"(?-u:(?:[^\n"\\]|\\[^\n])*)"#.to_owned(),
        kind: Kind::Loose,
    }
}

/// The client wraps what a person pasted into lines that nobody typed; they are gone where the text is read, with all that they say.
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

/// All bytes of a string but escapes and those steady characters that are not wanted.
fn but_for(is_wanted: impl Fn(char) -> bool) -> String {
    let unwanted: String = STEADY
        .chars()
        .filter(|c| !is_wanted(*c))
        .map(escaped)
        .collect();
    format!(r#"[^\n"\\{unwanted}]"#)
}

/// The steady characters that are wanted.
fn only(is_wanted: impl Fn(char) -> bool) -> String {
    let wanted: String = STEADY
        .chars()
        .filter(|c| is_wanted(*c))
        .map(escaped)
        .collect();
    // Where there is none, nothing matches.
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
