//! Processes: making, joining, signalling, ending and executing them.
#![expect(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::signal::Signal;
use crate::sys::SingleThread;

/// Flag of clone3(2): be born in the cgroup that a descriptor names (v2 only).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_PIDFD: u64 = 0x1000;

/// Which side of a clone this is.
#[derive(Debug)]
pub(crate) enum Cloned {
    Child,
    Parent { pid: u32, pidfd: OwnedFd },
}

/// Makes a child that is a copy of this process, as fork does, in new namespaces and, when given, in a v2 cgroup.
///
/// # Errors
/// As clone3(2).
pub(crate) fn clone_process(_single: &SingleThread, flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let mut arguments = libc::clone_args {
        flags: flags | CLONE_PIDFD | if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 },
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: the arguments are valid and outlive the call. The child shares no memory (no CLONE_VM), and the caller
    // proved that this process has one thread, so no lock of the allocator or of libc can be held by another.
    let outcome = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    let outcome = match check(outcome) {
        Err(error) if cgroup.is_none() && matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            // A seccomp filter around us may not know clone3. On x86_64 and aarch64 the kernel's clone takes the flags
            // first and, third, where to put the pidfd.
            let old = (flags | CLONE_PIDFD | libc::SIGCHLD as u64) as libc::c_ulong;
            // SAFETY: as above; a null stack means a copy of the parent's, as with fork.
            check(unsafe { libc::syscall(libc::SYS_clone, old, 0, &raw mut pidfd, 0, 0) })?
        }
        other => other?,
    };
    match u32::try_from(outcome) {
        Ok(0) => Ok(Cloned::Child),
        // SAFETY: the kernel has just put a descriptor there that nobody else owns.
        Ok(pid) => Ok(Cloned::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EOVERFLOW)),
    }
}

/// Leaves the given namespaces (CLONE_NEW*) for new ones.
///
/// # Errors
/// As unshare(2).
pub(crate) fn unshare_namespaces(_single: &SingleThread, flags: i32) -> io::Result<()> {
    // SAFETY: none of the CLONE_NEW* flags touches memory; descriptors stay as they are.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Joins a namespace by its descriptor, or several of a process by its pidfd.
///
/// # Errors
/// As setns(2).
pub(crate) fn join_namespaces(_single: &SingleThread, fd: impl AsFd, flags: i32) -> io::Result<()> {
    // SAFETY: no memory is involved, and there is one thread.
    check(unsafe { libc::setns(fd.as_fd().as_raw_fd(), flags) }).map(drop)
}

/// Why a signal did not arrive.
#[derive(Debug)]
pub(crate) enum SignalError {
    /// The process has ended.
    Gone,
    Other(io::Error),
}

/// Sends a signal.
pub(crate) fn send_signal(pidfd: impl AsFd, signal: Signal) -> Result<(), SignalError> {
    // SAFETY: a null siginfo is allowed and means a plain kill.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal.number(),
            std::ptr::null::<u8>(),
            0,
        )
    };
    match check(outcome) {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(SignalError::Gone),
        Err(error) => Err(SignalError::Other(error)),
    }
}

/// Sends a signal to a child of this process that was not reaped yet, so that its number is still its own.
///
/// # Errors
/// As kill(2).
pub(crate) fn send_signal_to(child: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(child, signal.number()) }).map(drop)
}

/// The wait status of a child that has ended, reaping it; `None` while it runs.
///
/// # Errors
/// As waitid(2); ECHILD when it is no child of this process.
pub(crate) fn take_exit(pidfd: impl AsFd) -> io::Result<Option<WaitStatus>> {
    // SAFETY: siginfo_t is plain data for which zero is valid, and it outlives the call.
    let (outcome, info) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let id = pidfd.as_fd().as_raw_fd() as libc::id_t;
        (libc::waitid(libc::P_PIDFD, id, &raw mut info, libc::WEXITED | libc::WNOHANG), info)
    };
    check(outcome)?;
    // SAFETY: waitid filled it for SIGCHLD, or left it zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some(if info.si_code == libc::CLD_EXITED { WaitStatus::Exited(status) } else { WaitStatus::Killed(status) }))
}

/// How the kernel says a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitStatus {
    Exited(i32),
    Killed(i32),
}

impl WaitStatus {
    /// Reads the kernel's own form.
    pub(crate) fn from_raw(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Exited((status >> 8) & 0xff),
            signal => Self::Killed(signal),
        }
    }
}

/// How a process ended that is no child of this one: the kernel remembers it for whoever holds a pidfd (since 6.15).
/// `None` when it does not, or the process runs.
pub(crate) fn exit_record(pidfd: impl AsFd) -> Option<WaitStatus> {
    #[repr(C)]
    #[derive(Default)]
    struct PidfdInfo {
        mask: u64,
        cgroup_id: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    // _IOWR(0xFF, 11, the first published size of the structure)
    const PIDFD_GET_INFO: u64 = 0xC000_FF0B | ((size_of::<PidfdInfo>() as u64) << 16);
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the structure has the size that the request names, and outlives the call.
    let outcome = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO as libc::Ioctl, &raw mut info) };
    if outcome != 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return None;
    }
    Some(WaitStatus::from_raw(info.exit_code))
}

/// Ends this process at once: nothing is flushed, nothing is dropped.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: always sound.
    unsafe { libc::_exit(code) }
}

/// Executes a program. Returns only when that failed.
pub(crate) fn execute(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> io::Error {
    let pointers = |strings: &[&CStr]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer, and they and their strings outlive the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Every signal back to its default but SIGPIPE, which stays ignored: what a keeper was started with is not for its
/// containers.
pub(crate) fn default_signals() {
    for number in (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGPIPE].contains(number)) {
        // SAFETY: SIG_DFL runs no code of ours. Numbers that libc keeps for itself are refused, which is fine: they
        // were never changed.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// What `default_signals` left over, as a fresh program expects it: SIGPIPE kills, and nothing is blocked.
///
/// # Errors
/// As sigprocmask(2).
pub(crate) fn reset_signals() -> io::Result<()> {
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: sigset_t is plain data, filled by sigemptyset before use.
    let outcome = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    check(outcome).map(drop)
}

/// Closes every descriptor from this number on.
///
/// # Errors
/// As close_range(2).
pub(crate) fn close_descriptors_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

/// Marks every descriptor from this number on close-on-exec.
///
/// # Errors
/// As close_range(2).
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC as libc::c_ulong)
}

/// Closes every descriptor from a number up to another, which stays open.
///
/// # Errors
/// As close_range(2).
pub(crate) fn close_descriptors_between(first: u32, before: u32) -> io::Result<()> {
    if first >= before {
        return Ok(());
    }
    // SAFETY: as in `close_range`.
    check(unsafe {
        libc::syscall(libc::SYS_close_range, libc::c_ulong::from(first), libc::c_ulong::from(before - 1), 0)
    })
    .map(drop)
}

/// Blocks every signal, so that `wait_for_signal` sees them.
///
/// # Errors
/// As sigprocmask(2).
pub(crate) fn block_signals() -> io::Result<()> {
    // SAFETY: sigset_t is plain data, filled by sigfillset before use.
    let outcome = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut())
    };
    check(outcome).map(drop)
}

/// Waits for the next blocked signal.
///
/// # Errors
/// As sigwaitinfo(2).
pub(crate) fn wait_for_signal() -> io::Result<i32> {
    // SAFETY: as above; a null siginfo is allowed.
    let outcome = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigwaitinfo(&raw const all, std::ptr::null_mut())
    };
    check(outcome).map(|number| number as i32)
}

/// Reaps one child that has ended, if there is one: its process id and how it ended.
pub(crate) fn reap_any() -> Option<(u32, WaitStatus)> {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let pid = u32::try_from(pid).ok().filter(|pid| *pid != 0)?;
    let ended = if libc::WIFEXITED(status) {
        WaitStatus::Exited(libc::WEXITSTATUS(status))
    } else {
        WaitStatus::Killed(libc::WTERMSIG(status))
    };
    Some((pid, ended))
}

fn close_range(first: u32, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: callers are children about to execute a program: they use no descriptor of that range again (or keep it
    // open until the execution).
    check(unsafe { libc::syscall(libc::SYS_close_range, libc::c_ulong::from(first), u32::MAX as libc::c_ulong, flags) })
        .map(drop)
}

/// Gives this process a new, empty session keyring, so that it holds none of its parent's keys.
///
/// # Errors
/// As keyctl(2); ENOSYS on a kernel without keys.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) }).map(drop)
}

/// Sets the host name of this UTS namespace.
///
/// # Errors
/// As sethostname(2).
pub(crate) fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: the pointer and the length belong together.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Sets the NIS domain name of this UTS namespace.
///
/// # Errors
/// As setdomainname(2).
pub(crate) fn set_domain_name(name: &str) -> io::Result<()> {
    // SAFETY: the pointer and the length belong together.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

fn check(outcome: impl Into<i64>) -> io::Result<i64> {
    let outcome = outcome.into();
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}
