//! The last line of defence: a panic is our bug, says so, and ends with its own exit code.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use super::bare_output;
use super::error::please_report;
use super::exit::Exit;

/// Runs the program; whatever panics in it becomes [`Exit::Internal`].
pub(super) fn guarded(run: impl FnOnce() -> Exit) -> Exit {
    panic::set_hook(Box::new(explain));
    // Nothing of the program is used after a panic, so no broken state is ever seen.
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
    bare_output().error(
        "this is a bug in ccsync; no session is lost by it",
        &causes,
        &[please_report()],
    );
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
