//! Writes a path of one system in the way of another system.
//!
//! Owns the choice of a path form for the reading machine, and the conversion of the
//! separators in what follows a placeholder. Must not decide whether a placeholder is
//! replaced at all.

use super::encoding::{MAX_DEPTH, percent_at, percent_encoded};
use super::kinds::TextKind;
use super::path::client_path;
use super::path_form::{Lead, Separator, Style, Tag, path_form};
use super::strings::LookBack;
use crate::domain::{Placeholder, System, client_dir::client_dir_name};

/// How the reading machine writes what a placeholder stands for.
pub(super) struct Translation {
    /// The placeholder's path: one form, or one for each depth of JSON.
    forms: Vec<Vec<u8>>,
    /// The depth that the tag names, if it names one.
    depth: Option<u8>,
    /// The text after `file://` instead, for path forms that URIs use.
    uri: Option<Uri>,
    /// How separators after the placeholder were written, and how they are to be.
    tail: Option<(Separator, Separators)>,
}

/// A placeholder in a URI.
struct Uri {
    /// Text required before the placeholder.
    scheme: &'static [u8],
    path: Vec<u8>,
}

/// The separators to write: those of a style, which may depend on the depth.
struct Separators {
    style: Style,
    system: System,
}

impl Translation {
    /// How a machine with the placeholder `there` writes what `tag` stands for on a
    /// machine of system `origin`.
    pub(super) fn new(origin: System, tag: Tag, target: System, there: &Placeholder) -> Self {
        let path = path_for(tag, there);
        let (style, forms) = forms(target, path, tag);
        let from = tag.style.separator(origin, tag.depth.unwrap_or(0));
        let to = style.separator(target, 0);
        let tail = needs_conversion(from, to).then_some((
            from,
            Separators {
                style,
                system: target,
            },
        ));
        Self {
            forms,
            depth: tag.depth,
            uri: uri(origin, tag, target, path),
            tail,
        }
    }

    /// Writes the path in place of the placeholder from `at` to `end`, and what follows
    /// as far as it is converted. Returns where the text begins that is not written yet.
    pub(super) fn write(
        &self,
        around: &mut PlaceholderContext<'_>,
        at: usize,
        end: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        if let Some(uri) = self
            .uri
            .as_ref()
            .filter(|uri| around.text[..at].ends_with(uri.scheme))
        {
            out.extend_from_slice(&uri.path);
            return end;
        }
        let depth = match self.depth {
            Some(depth) => depth,
            None if self.forms.len() > 1 || self.tail.is_some() => around.depth(at),
            None => 0,
        };
        out.extend_from_slice(&self.forms[usize::from(depth).min(self.forms.len() - 1)]);
        match &self.tail {
            None => around.continue_tail(at, end, out),
            Some((from, to)) => {
                let to = to.style.separator(to.system, depth);
                let tail = Tail {
                    from: *from,
                    to,
                    quote: around.quote_before(at),
                };
                around.convert(tail, end, out)
            }
        }
    }
}

/// The path of the placeholder `there` that a tag of another machine means.
fn path_for(tag: Tag, there: &Placeholder) -> &str {
    match tag.style {
        Style::ClientDir => client_path(there),
        _ if tag.resolved => there.resolved.as_deref().unwrap_or(&there.directory),
        _ => &there.directory,
    }
}

/// The path in the style of `tag` where the target has it, else in the nearest that it
/// has; one form, or one per depth.
fn forms(target: System, path: &str, tag: Tag) -> (Style, Vec<Vec<u8>>) {
    let nearest = if tag.style == Style::Colon {
        Style::Percent
    } else {
        Style::Native
    };
    let styles = [tag.style, nearest, Style::Native].into_iter();
    let cases = [tag.other_case, false];
    let mut tags = styles.flat_map(|style| {
        cases.map(|other_case| Tag {
            other_case,
            style,
            ..Tag::PLAIN
        })
    });
    if tag.style == Style::ClientDir && !target.is_windows() {
        return (tag.style, vec![client_dir_name(path).into_bytes()]);
    }
    tags.find_map(|tag| Some((tag.style, forms_of(target, path, tag)?)))
        .unwrap_or_else(|| (Style::Native, vec![path.as_bytes().to_vec()]))
}

fn forms_of(target: System, path: &str, tag: Tag) -> Option<Vec<Vec<u8>>> {
    if let Some(form) = path_form(target, path, tag) {
        return Some(vec![form.into_bytes()]);
    }
    let at_depth = |depth: u8| {
        // Escaped slashes need a string around them; outside of one they are read as in
        // the outermost.
        let depth = if tag.style == Style::Slashes {
            depth.max(1)
        } else {
            depth
        };
        path_form(
            target,
            path,
            Tag {
                depth: Some(depth),
                ..tag
            },
        )
        .map(String::into_bytes)
    };
    (0..=MAX_DEPTH).map(at_depth).collect()
}

fn uri(origin: System, tag: Tag, target: System, path: &str) -> Option<Uri> {
    let from_drive = tag.style.lead(origin, 0) == Lead::Drive(0);
    let is_slash_path = matches!(tag.style, Style::Native | Style::Percent) && !origin.is_windows();
    let has_own_form =
        tag.style == Style::Slashes || tag.style == Style::Colon && target.is_windows();
    if has_own_form || !from_drive && !is_slash_path {
        return None;
    }
    let encoded = percent_encoded(&if target.is_windows() {
        path.replace('\\', "/")
    } else {
        path.to_owned()
    });
    let (scheme, path): (&[u8], _) = match (from_drive, target.is_windows()) {
        (true, true) => (b"file:///", encoded),
        (true, false) => (b"file:///", encoded.trim_start_matches('/').to_owned()),
        (false, true) => (b"file://", format!("/{encoded}")),
        (false, false) => (b"file://", encoded),
    };
    Some(Uri {
        scheme,
        path: path.into_bytes(),
    })
}

fn needs_conversion(from: Separator, to: Separator) -> bool {
    use Separator as S;
    matches!(
        (from, to),
        (S::Slash, S::Backslashes(_))
            | (S::Backslashes(_), S::Slash)
            | (S::PercentSlash, S::PercentBackslash)
            | (S::PercentBackslash, S::PercentSlash)
    )
}

/// Text around a placeholder. Places must be asked for in ascending order.
pub(super) struct PlaceholderContext<'t> {
    text: &'t [u8],
    kind: TextKind,
    quotes: LookBack<'t>,
    /// The path that was converted last, and where that ended.
    tail: Option<(Tail, usize)>,
}

impl<'t> PlaceholderContext<'t> {
    pub(super) fn new(text: &'t [u8], kind: TextKind) -> Self {
        Self {
            text,
            kind,
            quotes: LookBack::new(text),
            tail: None,
        }
    }

    /// Goes on with the path that the placeholder from `at` to `end` stands in, if it is
    /// one whose separators are converted: a directory name in the middle of a path.
    /// Returns where the text begins that is not written yet.
    pub(super) fn continue_tail(&mut self, at: usize, end: usize, out: &mut Vec<u8>) -> usize {
        match self.tail.take_if(|(_, stopped)| *stopped == at) {
            Some((tail, _)) => self.convert(tail, end, out),
            None => end,
        }
    }

    fn convert(&mut self, tail: Tail, from: usize, out: &mut Vec<u8>) -> usize {
        let stopped = from + tail.convert(&self.text[from..], out);
        self.tail = Some((tail, stopped));
        stopped
    }

    /// Returns the number of JSON strings around `at`, by the nearest quote before it: its
    /// backslashes give the depth of the quote, and the text before it decides whether the
    /// quote opens a string, which is one deeper.
    fn depth(&mut self, at: usize) -> u8 {
        let least = if self.kind == TextKind::Json { 1 } else { 0 };
        let Some(quote) = self.quotes.find(at, |_| true) else {
            return least;
        };
        let escapes = self.text[..quote]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        let own = u8::try_from((escapes + 1).ilog2()).unwrap_or(MAX_DEPTH);
        let opens = is_structural(&self.text[..quote - escapes]);
        (own + u8::from(opens)).clamp(least, MAX_DEPTH)
    }

    fn quote_before(&self, at: usize) -> Option<u8> {
        self.text[..at].last().copied().filter(|b| is_quote(*b))
    }
}

/// Returns true if a quote after `head` opens a string: a value, an element or a key.
fn is_structural(head: &[u8]) -> bool {
    const FARTHEST: usize = 256;
    let mut head = &head[head.len().saturating_sub(FARTHEST)..];
    loop {
        head = match head {
            [rest @ .., b' ' | b'\t'] => rest,
            [.., b'\\', b'n' | b't' | b'r'] => {
                let rest = &head[..head.len() - 1];
                &rest[..rest
                    .iter()
                    .rposition(|b| *b != b'\\')
                    .map_or(0, |last| last + 1)]
            }
            [.., last] => return b":,[{".contains(last),
            [] => return false,
        };
    }
}

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// The rest of a path, whose separators are converted.
struct Tail {
    from: Separator,
    to: Separator,
    /// The quote that stands right before the path, so that the path may hold blanks.
    quote: Option<u8>,
}

impl Tail {
    /// Writes the path that `rest` begins with, converted; returns its length in `rest`.
    fn convert(&self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let (mut at, mut copied) = (0, 0);
        while let Some(&byte) = rest.get(at) {
            if byte.is_ascii_alphanumeric() {
                at += 1;
            } else if let Some(length) = self.separator_at(rest, at) {
                out.extend_from_slice(&rest[copied..at]);
                self.write_separator(out);
                at += length;
                copied = at;
            } else if self.is_end(&rest[at..]) {
                break;
            } else {
                at += 1;
            }
        }
        out.extend_from_slice(&rest[copied..at]);
        at
    }

    fn separator_at(&self, rest: &[u8], at: usize) -> Option<usize> {
        match self.from {
            Separator::Slash => (rest[at] == b'/').then_some(1),
            Separator::Backslashes(count) => {
                let run = rest[at..]
                    .iter()
                    .take(count)
                    .take_while(|b| **b == b'\\')
                    .count();
                (run == count).then_some(count)
            }
            Separator::PercentSlash => (percent_at(rest, at) == Some(b'/')).then_some(3),
            Separator::PercentBackslash => (percent_at(rest, at) == Some(b'\\')).then_some(3),
            Separator::AnySlash | Separator::EscapedSlash(_) | Separator::Hyphen => None,
        }
    }

    fn write_separator(&self, out: &mut Vec<u8>) {
        match self.to {
            Separator::Backslashes(count) => out.extend(std::iter::repeat_n(b'\\', count)),
            Separator::PercentSlash => out.extend_from_slice(b"%2F"),
            Separator::PercentBackslash => out.extend_from_slice(b"%5C"),
            Separator::Slash
            | Separator::AnySlash
            | Separator::EscapedSlash(_)
            | Separator::Hyphen => out.push(b'/'),
        }
    }

    fn is_end(&self, rest: &[u8]) -> bool {
        match rest[0] {
            b'\\' | b'<' | b'>' | b'|' | b'*' | b'?' | b':' | b'"' => true,
            b'{' => rest.starts_with(b"{{"),
            b'\'' | b'`' => self.quote.is_none_or(|quote| quote == rest[0]),
            b' ' | b',' | b';' | b'&' | b')' => self.quote.is_none(),
            b'%' => {
                self.is_percent_encoded()
                    && percent_at(rest, 0).is_some_and(|b| b.is_ascii_control() || is_quote(b))
            }
            byte => byte.is_ascii_control(),
        }
    }

    fn is_percent_encoded(&self) -> bool {
        matches!(
            self.from,
            Separator::PercentSlash | Separator::PercentBackslash
        )
    }
}
