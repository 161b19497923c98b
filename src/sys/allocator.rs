//! The allocator of the process.
//!
//! The one of glibc keeps what a large step has freed: 60 MB in a daemon that only waits.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
