//! A process by descriptor: the one name of it that is never used again.
//!
//! A pid comes round: here the numbers can wrap in seconds. A pidfd means the process for which it was
//! opened, and reports its end even while nobody has collected its status.
#![allow(unsafe_code)]

use super::clock::Deadline;
use super::signal;
use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// The longest single wait: a signal that slips in just before it is looked after when it ends.
const SLICE: Duration = Duration::from_millis(250);

/// `pidfd_open(2)`, for the leader of a thread group. The descriptor is close-on-exec.
pub(crate) fn open(pid: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory is passed.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `poll(2)`: whether the process has ended by the deadline, collected or not.
pub(crate) fn wait(pidfd: BorrowedFd<'_>, deadline: Deadline) -> bool {
    loop {
        let slice = if signal::is_pending() { Duration::ZERO } else { SLICE };
        let slice = deadline.left().map_or(slice, |left| left.min(slice));
        let ended = poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], round_up(slice));
        if ended.is_err_and(|errno| errno != Errno::EINTR) {
            // No memory, or a limit of no descriptors at all: the caller looks in another way.
            return false;
        }
        // Also when the wait was successful: a Ctrl-C that ended the child is meant for us too.
        signal::safe_point();
        if ended.is_ok_and(|count| count > 0) {
            return true;
        }
        if deadline.has_passed() {
            return false;
        }
    }
}

/// `poll(2)` without waiting.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}

/// `poll` counts in milliseconds; rounded up, it never ends early.
fn round_up(time: Duration) -> PollTimeout {
    let millis = time.as_micros().div_ceil(1000);
    u16::try_from(millis).map_or(PollTimeout::MAX, PollTimeout::from)
}

/// `pidfd_send_signal(2)`. A process that is gone takes no signal, which is no error.
pub(crate) fn send(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<(), Errno> {
    let fd = pidfd.as_raw_fd();
    // SAFETY: the null pointer asks the kernel to fill in who sends it, as `kill(2)` does.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, ptr::null::<libc::siginfo_t>(), 0) };
    match Errno::result(sent) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// It has ended, but the kernel keeps no record of how.
    Unknown,
}

/// `waitid(P_PIDFD)` without waiting: collects the status of a child, `None` while it runs.
///
/// This is the only call that collects, and it names its child: `waitpid(-1)` would take the
/// application's children as well.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Option<Status> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let fd = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: the kernel writes one `siginfo_t`, for which there is room.
    let waited = unsafe { libc::waitid(libc::P_PIDFD, fd, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG) };
    if Errno::result(waited).is_err() {
        // ECHILD: the program ignores SIGCHLD, or something else in it has collected this child.
        return has_ended(pidfd).then_some(Status::Unknown);
    }
    // SAFETY: zeroed above, which is a value of this type, and the kernel has filled it in or left it.
    let info = unsafe { info.assume_init() };
    // SAFETY: for a state change of a child these are the fields that the kernel sets.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    match info.si_code {
        _ if pid == 0 => None,
        libc::CLD_EXITED => Some(Status::Exited(status)),
        _ => Some(Status::Signaled(status)),
    }
}

/// `waitid(P_PID)` and `kill(2)`, which need no descriptor: whether the process with this number has
/// certainly ended. Of one that is not our child and was not collected yet, they cannot tell.
pub(crate) fn has_ended_by_number(pid: u32) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes one `siginfo_t`, for which there is room.
    let waited = unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), look) };
    // SAFETY: zeroed above, which is a value of this type, and the kernel has filled it in or left it.
    let info = unsafe { info.assume_init() };
    // SAFETY: the field that `waitid` sets, to 0 if nothing has happened.
    let ended = unsafe { info.si_pid() } != 0;
    let nobody = nix::sys::signal::kill(Pid::from_raw(pid as i32), None) == Err(Errno::ESRCH);
    (Errno::result(waited).is_ok() && ended) || nobody
}

/// A child of the caller that the kernel has just made, and no descriptor to be had for it.
///
/// `kill(2)` and `waitpid(2)` by number: it cannot have been collected yet, so the number is its own.
pub(crate) fn abandon(pid: u32) {
    let pid = Pid::from_raw(pid as i32);
    let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
    while waitpid(pid, None) == Err(Errno::EINTR) {}
}

/// `close_range(2)`: closes these descriptors, whose owners will not use them any more. Given in ascending
/// order they are mostly neighbours, and go in few calls.
pub(crate) fn close_all(fds: impl Iterator<Item = RawFd>) {
    let close = |(first, last): (RawFd, RawFd)| {
        // SAFETY: no memory is passed, and nobody uses these descriptors.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    };
    let mut range: Option<(RawFd, RawFd)> = None;
    for fd in fds {
        range = match range {
            Some((first, last)) if fd == last + 1 => Some((first, fd)),
            other => {
                other.map(close);
                Some((fd, fd))
            }
        };
    }
    range.map(close);
}

/// `poll(2)` over many: which of them have ended.
pub(crate) fn ended<Fd: AsFd>(pidfds: &[Fd]) -> Vec<bool> {
    let mut polled: Vec<_> = pidfds.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    let _ = poll(&mut polled, PollTimeout::ZERO);
    polled.iter().map(|fd| fd.any().unwrap_or(false)).collect()
}
