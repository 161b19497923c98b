//! The two streams: data on standard output, everything else on standard error.
//!
//! Owns every byte that this program prints. A closed pipe (`ccsync list | head`) ends
//! the output, not the command; the exit code still reports the result.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use crate::domain::ErrorKind;
use crate::ui::{json, style};

/// Width of a line if standard output is not a terminal, in cells.
const DEFAULT_WIDTH: usize = 120;
/// Height of a screen if it is unknown, in lines.
const DEFAULT_HEIGHT: usize = 24;

/// Settings of both streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOptions {
    /// Colours on standard output.
    pub(crate) stdout_colors: bool,
    /// Colours on standard error.
    pub(crate) stderr_colors: bool,
    /// Width of the terminal, in cells, if there is one.
    pub(crate) columns: Option<usize>,
    /// Height of the terminal, in lines, if there is one.
    pub(crate) rows: Option<usize>,
    /// Print only results, warnings and errors.
    pub(crate) quiet: bool,
    /// Print errors as JSON.
    pub(crate) json: bool,
}

/// A printable error.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorText {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// The causes, the outermost first.
    pub(crate) causes: Vec<String>,
    /// Commands or actions that help, one line each.
    pub(crate) hints: Vec<String>,
    pub(crate) exit_code: u8,
}

/// Size of the screen that a report may fill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Width of a line, in cells.
    pub(crate) width: usize,
    /// Number of lines.
    pub(crate) height: usize,
}

/// Both streams of this process.
pub(crate) struct Output {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    options: OutputOptions,
    /// True if the reader of standard output has closed it.
    closed: bool,
}

impl Output {
    /// Opens the streams of this process.
    pub(crate) fn new(options: OutputOptions) -> Self {
        Self {
            stdout: Box::new(AutoStream::new(io::stdout(), choice(options.stdout_colors))),
            stderr: Box::new(AutoStream::new(io::stderr(), choice(options.stderr_colors))),
            options,
            closed: false,
        }
    }

    /// Returns a second handle to the same streams.
    pub(crate) fn secondary(&self) -> Self {
        Self::new(self.options)
    }

    /// Returns true if the reader of standard output has closed it, so that long output
    /// can end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the width of a line, in cells.
    pub(crate) fn width(&self) -> usize {
        self.options.columns.unwrap_or(DEFAULT_WIDTH)
    }

    /// Returns the size that a report may fill.
    pub(crate) fn screen(&self) -> Screen {
        Screen {
            width: self.width(),
            height: self.options.rows.unwrap_or(DEFAULT_HEIGHT),
        }
    }

    /// Returns true if `--quiet` was given.
    pub(crate) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Returns true if errors are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.options.json
    }

    /// Prints a line of the command's result.
    ///
    /// # Errors
    /// If the stream cannot be written, for instance because a disk is full. A closed
    /// pipe is no error.
    pub(crate) fn data(&mut self, line: &str) -> io::Result<()> {
        self.closed |= !write_line(&mut self.stdout, line)?;
        Ok(())
    }

    /// Prints an informative line, unless `--quiet` was given.
    pub(crate) fn note(&mut self, line: &str) {
        if !self.options.quiet {
            self.message(line);
        }
    }

    /// Prints a warning, also with `--quiet`.
    pub(crate) fn attention(&mut self, line: &str) {
        let line = style::paint(style::ATTENTION, line);
        self.message(&line);
    }

    /// Prints a hint, unless `--quiet` was given.
    pub(crate) fn hint(&mut self, text: &str) {
        if !self.options.quiet {
            self.labelled_hint(text);
        }
    }

    /// Prints an error, also with `--quiet`.
    pub(crate) fn error(&mut self, error: &ErrorText) {
        if self.options.json {
            let text = json::error(error).unwrap_or_else(|e| e.to_string());
            return self.message(&text);
        }
        self.message(&format!(
            "{} {}",
            style::paint(style::ERROR, "error:"),
            error.message
        ));
        for (at, cause) in error.causes.iter().enumerate() {
            let number = if error.causes.len() > 1 {
                format!("{}: ", at + 1)
            } else {
                "cause: ".to_owned()
            };
            let indent = " ".repeat(2 + number.len());
            self.message(&format!(
                "  {number}{}",
                cause.replace('\n', &format!("\n{indent}"))
            ));
        }
        for hint in &error.hints {
            self.labelled_hint(hint);
        }
    }

    fn labelled_hint(&mut self, text: &str) {
        self.message(&format!("{} {text}", style::paint(style::HINT, "hint:")));
    }

    /// Prints a line on standard error. Ignores failures: there is no other stream to
    /// report them on.
    pub(crate) fn message(&mut self, line: &str) {
        let _ = write_line(&mut self.stderr, line);
    }
}

fn choice(colors: bool) -> ColorChoice {
    if colors {
        ColorChoice::Always
    } else {
        ColorChoice::Never
    }
}

/// Writes a line. Returns false if the reader has closed the stream.
fn write_line(stream: &mut dyn Write, line: &str) -> io::Result<bool> {
    match stream
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| stream.flush())
    {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
pub(crate) mod capture {
    //! Captures the streams, for tests of the output.

    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::{Output, OutputOptions};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the text that `print` writes to each of the streams, without colours.
    pub(crate) fn captured(print: impl FnOnce(&mut Output)) -> (String, String) {
        let (out, err) = (Sink::default(), Sink::default());
        let options = OutputOptions {
            stdout_colors: false,
            stderr_colors: false,
            columns: Some(100),
            rows: None,
            quiet: false,
            json: false,
        };
        let strip = |sink: &Sink| {
            Box::new(anstream::StripStream::new(
                Box::new(sink.clone()) as Box<dyn Write>
            ))
        };
        let mut output = Output {
            stdout: strip(&out),
            stderr: strip(&err),
            options,
            closed: false,
        };
        print(&mut output);
        let text = |sink: &Sink| String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        (text(&out), text(&err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn output_closed_pipe_is_no_error_but_full_disk_is() {
        assert!(matches!(
            write_line(&mut Failing(io::ErrorKind::BrokenPipe), "x"),
            Ok(false)
        ));
        assert!(write_line(&mut Failing(io::ErrorKind::StorageFull), "x").is_err());
    }

    #[test]
    fn output_error_is_followed_by_causes_and_hints() {
        let text = |message: &str, causes: &[&str], hints: &[&str]| ErrorText {
            kind: ErrorKind::Failed,
            message: message.to_owned(),
            causes: causes.iter().map(|&cause| cause.to_owned()).collect(),
            hints: hints.iter().map(|&hint| hint.to_owned()).collect(),
            exit_code: 1,
        };
        let (out, err) = capture::captured(|output| {
            output.error(&text(
                "cannot fetch",
                &["first", "second\nmore"],
                &["type this"],
            ));
            output.error(&text("cannot read", &["denied"], &[]));
        });
        assert_eq!(out, "");
        insta::assert_snapshot!(err, @r"
        error: cannot fetch
          1: first
          2: second
             more
        hint: type this
        error: cannot read
          cause: denied
        ");
    }
}
