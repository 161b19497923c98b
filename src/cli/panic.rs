//! Turns a panic into a message and an exit code.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use super::args::wants_json;
use super::exit::Exit;
use crate::domain::{ErrorKind, error::please_report};
use crate::ui::{Output, output::ErrorText, output::OutputOptions};

/// Runs the program. A panic becomes [`Exit::Internal`].
pub(super) fn guarded(run: impl FnOnce() -> Exit) -> Exit {
    panic::set_hook(Box::new(explain));
    // The program's state is not used after a panic, so it does not matter if it is
    // broken.
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(Exit::Internal)
}

fn explain(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|at| format!("at {}:{}", at.file(), at.line()));
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let causes: Vec<String> = [text.map(str::to_owned), place]
        .into_iter()
        .flatten()
        .collect();
    bare_output().error(&ErrorText {
        kind: ErrorKind::Internal,
        message: "this is a bug in ccsync; no session is lost".to_owned(),
        causes,
        hints: vec![please_report()],
        exit_code: Exit::Internal.code(),
    });
}

/// Returns the streams before the terminal is known.
pub(super) fn bare_output() -> Output {
    Output::new(OutputOptions {
        stdout_colors: false,
        stderr_colors: false,
        columns: None,
        rows: None,
        quiet: false,
        json: wants_json(std::env::args_os()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_panic_is_70() {
        let before = panic::take_hook();
        let exit = guarded(|| panic!("on purpose"));
        panic::set_hook(before);
        assert_eq!(exit.code(), 70);
    }
}
