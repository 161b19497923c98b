//! Sessions that no test of good will would think of.
