//! Git servers on the loopback: an sshd and smart http. Used by the tests of the transport and by
//! the benchmark. Must not use anything of either.

pub(crate) mod http;
pub(crate) mod sshd;
