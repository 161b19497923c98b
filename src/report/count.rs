//! Counts in texts.

/// Returns a number with its noun: `1 session`, `2 sessions`.
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}
