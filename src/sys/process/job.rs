//! The end of what a child has started, by the system: a job object on Windows.

use std::process::Child;

/// Ends a child and what it has started when this is dropped, also by the death of this process.
///
/// Without effect on Unix, where `process_lock::ChildProcessLock` shows what still runs.
#[derive(Debug)]
pub(super) struct ChildJob {
    #[cfg(windows)]
    _job: Option<win32job::Job>,
}

impl ChildJob {
    /// Puts a child that has just been started into a job of its own.
    ///
    /// A system that refuses (it is in a job without nesting) leaves the child as it is.
    #[cfg(windows)]
    pub(super) fn new(child: &Child) -> Self {
        use std::os::windows::io::AsRawHandle as _;
        let mut limits = win32job::ExtendedLimitInfo::new();
        limits.limit_kill_on_job_close();
        let job = win32job::Job::create_with_limit_info(&mut limits);
        let assigned = job.and_then(|job| {
            job.assign_process(child.as_raw_handle().cast())?;
            Ok(job)
        });
        Self {
            _job: assigned.ok(),
        }
    }

    #[cfg(not(windows))]
    pub(super) fn new(_: &Child) -> Self {
        Self {}
    }
}
