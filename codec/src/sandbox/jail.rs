//! What the child gives up before it sees the first byte of a stranger's.

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter,
};
use std::collections::BTreeMap;
use std::{fmt, io};

/// How much of landlock holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Landlock {
    /// This kernel has none.
    None = 0,
    /// An older kernel: files, but not all of TCP, abstract sockets and signals.
    Part = 1,
    /// Files, TCP, abstract sockets, signals.
    Full = 2,
}

impl Landlock {
    pub(super) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Part),
            2 => Some(Self::Full),
            _ => None,
        }
    }
}

/// What holds a decoder's process in. Seccomp and the limits of memory and descriptors always do: without them it does
/// not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Protections {
    /// The second wall.
    pub landlock: Landlock,
}

impl fmt::Display for Protections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.landlock {
            Landlock::None => "seccomp; this kernel has no landlock",
            Landlock::Part => "seccomp, what this kernel has of landlock",
            Landlock::Full => "seccomp, landlock",
        })
    }
}

/// The child's first step: nothing but its three descriptors, and an end when its parent ends.
pub(super) fn let_go() -> io::Result<()> {
    // SAFETY: takes plain numbers.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } < 0 {
        // Before Linux 5.9.
        for fd in 3..1024 {
            // SAFETY: takes a plain number; this process has opened nothing yet that it will use.
            unsafe { libc::close(fd) };
        }
    }
    // SAFETY: takes plain numbers.
    done(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// The child's second step: locked in for good, threads to come included. Must be called before there are any.
pub(super) fn lock(memory: u64) -> io::Result<Protections> {
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_AS, memory)?;
    let landlock = land().map_err(io::Error::other)?;
    limit(libc::RLIMIT_NOFILE, 0)?;
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    // Two filters: of what they say about a call, the harder word counts.
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    for (rules, other, listed) in [
        (without_flags_to_see(), SeccompAction::Allow, missing),
        (allowed()?, SeccompAction::KillProcess, SeccompAction::Allow),
    ] {
        let filter = SeccompFilter::new(rules, other, listed, arch).map_err(io::Error::other)?;
        let program = filter.try_into().map_err(|error: seccompiler::BackendError| io::Error::other(error))?;
        let program: seccompiler::BpfProgram = program;
        apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(Protections { landlock })
}

/// Landlock with every right asked for and none given.
pub(super) fn land() -> Result<Landlock, landlock::RulesetError> {
    let newest = ABI::V6;
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(newest))?;
    let ruleset = ruleset.handle_access(AccessNet::from_all(newest))?.scope(Scope::from_all(newest))?;
    Ok(match ruleset.create()?.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Part,
        RulesetStatus::NotEnforced => Landlock::None,
    })
}

/// Whether filters of system calls can be made for this kind of processor; if not, no decoder's process starts.
pub const SUPPORTED: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));

#[cfg(target_pointer_width = "64")]
const MMAP: libc::c_long = libc::SYS_mmap;
#[cfg(not(target_pointer_width = "64"))]
const MMAP: libc::c_long = libc::SYS_mmap2;

#[allow(clippy::unnecessary_cast, reason = "`c_long` has 32 bits on some processors")]
const fn number(call: libc::c_long) -> i64 {
    call as i64
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls whose flags lie in memory, where a filter cannot look. The C library then falls back to those that show them.
fn without_flags_to_see() -> Rules {
    [(number(libc::SYS_clone3), Vec::new())].into()
}

/// What a decoder needs once it runs: memory, threads, time, its socket; and what the C library does when it aborts.
fn allowed() -> io::Result<Rules> {
    let free = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_close,
        libc::SYS_writev,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        // The other filter has a softer word for it.
        libc::SYS_clone3,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: Rules = free.into_iter().map(|call| (number(call), Vec::new())).collect();
    let executable = libc::PROT_EXEC.cast_unsigned().into();
    let thread = libc::CLONE_THREAD.cast_unsigned().into();
    let me = std::process::id().into();
    for (call, argument, condition, value) in [
        // No memory that can be run.
        (MMAP, 2, SeccompCmpOp::MaskedEq(executable), 0),
        (libc::SYS_mprotect, 2, SeccompCmpOp::MaskedEq(executable), 0),
        // Threads, no processes.
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(thread), thread),
        // Signals to itself alone: how it aborts.
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, me),
        // Whether a descriptor is open, which Rust asks before it closes one.
        (libc::SYS_fcntl, 1, SeccompCmpOp::Eq, libc::F_GETFD.cast_unsigned().into()),
        // A thread's name.
        (libc::SYS_prctl, 0, SeccompCmpOp::Eq, libc::PR_SET_NAME.cast_unsigned().into()),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, condition, value);
        let rule = SeccompRule::new(vec![condition.map_err(io::Error::other)?]).map_err(io::Error::other)?;
        rules.insert(number(call), vec![rule]);
    }
    Ok(rules)
}

/// Memory that can be run, for the test that there is none.
#[cfg(feature = "testing")]
pub(super) fn executable_memory() -> bool {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, where the kernel wants it, that nobody uses.
    unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) != libc::MAP_FAILED }
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: reads the structure during the call.
    done(unsafe { libc::setrlimit(resource, &raw const limit) })
}

fn done(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
