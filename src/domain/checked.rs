//! Texts that are checked once, when they are created: ids, names, patterns.
//!
//! Owns their common conversions from and to a `String`. Each type has its own check.

/// `checked_text!(Name, Error, check)`: the conversions of a tuple struct around a `String`, which
/// `check` creates.
macro_rules! checked_text {
    ($name:ident, $error:ty, $check:expr) => {
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                let check: fn(String) -> Result<Self, $error> = $check;
                check(text)
            }
        }

        impl From<$name> for String {
            fn from(checked: $name) -> Self {
                checked.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use checked_text;
