//! Texts that are checked once, when they are made from another text: ids, names, patterns.
//!
//! Owns what all of them have besides: they are read from a `String`, turn into one, and are shown as they are. What is checked is the
//! business of each type.

/// `checked_text!(Name, Error, check)`: the conversions of a tuple struct around a `String`, of which `check` makes one.
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
