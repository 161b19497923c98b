//! Git servers on the loopback, an sshd and smart http, and the processes of commands
//! that reach them. Used by tests and by the benchmark; must not use anything of either.

pub(crate) mod http;
pub(crate) mod sshd;
pub(crate) mod trace;
