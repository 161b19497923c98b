//! `ccsync machine`.
