//! Collects the matching lines of a text, shortened for display. Pure.

use std::ops::Range;

use chrono::{DateTime, Utc};
use regex::Regex;

use crate::domain::{Speaker, hit::Hit};

/// Maximum hits counted per session beyond the shown ones, so that a frequent word is not
/// searched to the end of each session.
const MAX_COUNTED: u64 = 100;

/// Characters kept of a line, and how many of them come before the first match.
const MAX_CHARS: usize = 240;
const BEFORE: usize = 60;

/// Collects the hits of one session.
pub(crate) struct HitCollector {
    pub(crate) hits: Vec<Hit>,
    pub(crate) more: u64,
    pub(crate) truncated: bool,
    /// Warning about parts that could not be searched.
    pub(crate) warning: Option<String>,
    shown: usize,
}

/// Speaker and time of a text.
pub(crate) struct HitContext {
    pub(crate) speaker: Speaker,
    pub(crate) is_agent: bool,
    pub(crate) time: Option<DateTime<Utc>>,
}

impl HitCollector {
    /// Creates an empty collection that keeps `shown` hits.
    pub(crate) fn new(shown: usize) -> Self {
        Self {
            hits: Vec::new(),
            more: 0,
            truncated: false,
            warning: None,
            shown: shown.max(1),
        }
    }

    /// Returns true if the search of this session can stop.
    pub(crate) fn is_enough(&self) -> bool {
        self.truncated
    }

    /// Adds the hits of a text.
    pub(crate) fn search(&mut self, text: &str, pattern: &Regex, context: &HitContext) {
        let mut line: Option<(Range<usize>, Vec<Range<usize>>)> = None;
        for place in pattern.find_iter(text) {
            // Line ends are part of a match, but are not shown.
            let start = place.start()
                + (place.len() - place.as_str().trim_start_matches(['\r', '\n']).len());
            if start >= place.end() {
                continue;
            }
            match &mut line {
                Some((line, marks)) if start < line.end => {
                    marks.push(start..place.end().min(line.end));
                }
                _ => {
                    self.add(text, line.take(), context);
                    if self.is_enough() {
                        return;
                    }
                    let here = line_around(text, start);
                    let mark = start..place.end().min(here.end);
                    line = Some((here, vec![mark]));
                }
            }
        }
        self.add(text, line, context);
    }

    fn add(
        &mut self,
        text: &str,
        line: Option<(Range<usize>, Vec<Range<usize>>)>,
        context: &HitContext,
    ) {
        let Some((line, marks)) = line else { return };
        if self.hits.len() < self.shown {
            self.hits.push(hit(text, line, &marks, context));
        } else if self.more < MAX_COUNTED {
            self.more += 1;
        } else {
            self.truncated = true;
        }
    }
}

/// Returns the line that contains offset `at`, without its end.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text.as_bytes()[..at]).map_or(0, |end| end + 1);
    let end = memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |n| at + n);
    start..end - usize::from(end > at && text.as_bytes()[end - 1] == b'\r')
}

/// Shortens a long line to the part around the first mark.
fn hit(text: &str, line: Range<usize>, marks: &[Range<usize>], context: &HitContext) -> Hit {
    let first = marks[0].start;
    let before = &text[line.start..first];
    let indentation = before.len() - before.trim_start().len();
    let begin = before[indentation..]
        .char_indices()
        .rev()
        .take(BEFORE)
        .last()
        .map_or(first, |(at, _)| line.start + indentation + at);
    // The text before, as far as it fits.
    let is_short = text[line.start + indentation..line.end]
        .chars()
        .nth(MAX_CHARS)
        .is_none();
    let begin = if is_short {
        line.start + indentation
    } else {
        begin
    };
    let end = text[begin..line.end]
        .char_indices()
        .nth(MAX_CHARS)
        .map_or(line.end, |(at, _)| begin + at);
    let inside = |mark: &Range<usize>| {
        (mark.start < end).then(|| mark.start - begin..mark.end.min(end) - begin)
    };
    Hit {
        speaker: context.speaker.clone(),
        is_agent: context.is_agent,
        time: context.time,
        text: text[begin..end].to_owned(),
        marks: marks.iter().filter_map(inside).collect(),
        cut: (begin > line.start + indentation, end < line.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pattern: &str, shown: usize) -> HitCollector {
        let pattern = regex::RegexBuilder::new(pattern)
            .multi_line(true)
            .build()
            .unwrap();
        let mut found = HitCollector::new(shown);
        found.search(
            text,
            &pattern,
            &HitContext {
                speaker: Speaker::User,
                is_agent: false,
                time: None,
            },
        );
        found
    }

    fn marked(found: &HitCollector) -> Vec<String> {
        let mark = |hit: &Hit| {
            let mut text = hit.text.clone();
            hit.marks.iter().rev().for_each(|mark| {
                text.replace_range(mark.clone(), &format!("[{}]", &hit.text[mark.clone()]));
            });
            let cut = |is_cut| if is_cut { "…" } else { "" };
            format!("{}{text}{}", cut(hit.cut.0), cut(hit.cut.1))
        };
        found.hits.iter().map(mark).collect()
    }

    #[test]
    fn search_hits_count_lines_once() {
        let text = "  a b a\r\nno\n\ta\n";
        assert_eq!(marked(&found(text, "a", 9)), ["[a] b [a]", "[a]"]);
        assert_eq!(marked(&found(text, "^.*o$", 9)), ["[no]"]);
        assert_eq!(
            marked(&found(text, r"b a\s+no", 9)),
            ["a [b a]"],
            "what spans lines is shown by the first"
        );
        assert_eq!(
            marked(&found(text, "x*", 9)),
            [""; 0],
            "an empty match is not a hit"
        );
        assert_eq!(marked(&found("a\nb", r"\nb", 9)), ["[b]"]);
    }

    #[test]
    fn search_hit_in_long_line_is_cut_around_match() {
        let text = format!("{}é hit {}", "x".repeat(500), "y".repeat(500));
        let shown = marked(&found(&text, "hit", 9)).remove(0);
        assert_eq!(shown.chars().count(), 240 + 4, "{shown}");
        assert!(
            shown.starts_with("…xxx") && shown.contains("xé [hit] y") && shown.ends_with("y…"),
            "{shown}"
        );
        let long = marked(&found(&"é".repeat(1000), "é+", 9)).remove(0);
        assert_eq!(long.chars().count(), 240 + 3);
    }

    #[test]
    fn search_hits_beyond_limit_are_counted_up_to_bound() {
        let counts = |lines: usize| {
            let found = found(&"a\n".repeat(lines), "a", 3);
            (found.hits.len(), found.more, found.is_enough())
        };
        assert_eq!(counts(2), (2, 0, false));
        assert_eq!(counts(103), (3, 100, false));
        assert_eq!(counts(5000), (3, 100, true));
    }
}
