//! The one integration binary; each module is a file beside this one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod transport;
