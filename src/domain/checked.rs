//! Texts that are checked once, when they are created: ids, names, patterns.
//!
//! Owns their common constructors and conversions. Each type has its own check.

/// `checked_text!(Name, Error, check)` implements a tuple struct around a `String`. `check` is a
/// `fn(&str) -> Result<(), Error>`.
macro_rules! checked_text {
    ($name:ident, $error:ty, $check:expr) => {
        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// If the text does not follow the rules of this type.
            pub fn new(text: impl Into<String>) -> Result<Self, $error> {
                Self::try_from(text.into())
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                let check: fn(&str) -> Result<(), $error> = $check;
                check(&text).map(|()| Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
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

/// Returns `Ok` or the error.
pub(crate) fn ensure<E>(is_valid: bool, error: impl FnOnce() -> E) -> Result<(), E> {
    if is_valid { Ok(()) } else { Err(error()) }
}

pub(crate) use checked_text;
