//! The real `git` against real remotes: a directory, ssh on the loopback, http with a login; and
//! against fakes.

mod disk;
mod fakes;
mod http;
mod ssh;
mod world;
