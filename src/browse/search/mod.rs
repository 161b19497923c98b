//! Search through local and stored sessions.

pub mod fragment;
pub mod hits;
pub mod parts;
pub mod pattern;
pub mod request;
pub mod run;
pub mod scan;
pub mod sketch;
pub mod targets;
pub mod written;
