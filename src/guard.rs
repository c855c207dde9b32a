//! Keeps keys in memory: no core dump, no debugger of the same user, and no swap where the system allows that.

use std::fmt;

/// What could be had of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whether a crash leaves no image of the memory behind, and other programs of this user cannot read it.
    pub is_closed: bool,
    /// Whether memory stays out of swap.
    pub locked: Locked,
}

/// Whether memory stays out of swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Locked {
    /// It does.
    Yes,
    /// The system's limit for it, in bytes, is too low for a program that decodes video.
    Limited(u64),
    /// The system said no, or does not know it.
    Refused,
}

impl Guard {
    /// Does what can be done for this process. Call it before there is a key.
    pub fn set() -> Self {
        Self { is_closed: close(), locked: lock() }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_closed { "no core dumps" } else { "core dumps cannot be forbidden here" })?;
        match self.locked {
            Locked::Yes => f.write_str(", memory locked"),
            Locked::Limited(bytes) => {
                write!(f, ", memory may be swapped out (the limit for locked memory is {} KiB)", bytes / 1024)
            }
            Locked::Refused => f.write_str(", memory may be swapped out"),
        }
    }
}

#[cfg(target_os = "linux")]
fn close() -> bool {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none).is_ok();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok() && limited
}

#[cfg(target_os = "linux")]
fn lock() -> Locked {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Memlock);
    // What this user may have at most is his.
    limit.current = limit.maximum;
    let _as_it_was = setrlimit(Resource::Memlock, limit);
    // With a finite limit, memory that is taken later would be refused, and the program end.
    if let Some(bytes) = getrlimit(Resource::Memlock).current {
        return Locked::Limited(bytes);
    }
    let locked = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    if locked.is_ok() { Locked::Yes } else { Locked::Refused }
}

#[cfg(not(target_os = "linux"))]
fn close() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn lock() -> Locked {
    Locked::Refused
}
