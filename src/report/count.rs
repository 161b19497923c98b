//! Counts in texts.

/// Returns a number with its noun: `1 session`, `2 sessions`.
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// Returns true for a number that a document does not have.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}
