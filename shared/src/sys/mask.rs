//! Signals held back, and waited for.
#![allow(unsafe_code)]

use super::call::call;
use super::clock::Deadline;
use super::signal::{self, Set};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_long};
use nix::sys::time::TimeSpec;
use std::ptr;
use std::time::Duration;

/// The longest single wait: a signal that another thread has noted is looked after when it ends.
const SLICE: Duration = Duration::from_millis(250);

/// `rt_sigprocmask(2)`: these signals are held back from this thread while this value lives.
#[derive(Debug)]
pub(crate) struct Blocked {
    before: Set,
}

impl Blocked {
    /// All: no handler runs.
    pub(crate) fn all() -> Blocked {
        Blocked::these(Set::MAX)
    }

    fn these(set: Set) -> Blocked {
        let mut before = Set::MIN;
        // It fails for an unknown `how` and a bad address only.
        change_mask(libc::SIG_BLOCK, &set, &mut before);
        Blocked { before }
    }
}

impl Drop for Blocked {
    #[inline]
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, &self.before, ptr::null_mut());
    }
}

/// Also for a new child, as [`call`] is. (The C library keeps two signals for itself, which `pthread_sigmask` would not
/// block. They serve its threads; here there is one.)
#[inline(always)]
fn change_mask(how: c_int, mask: &Set, before: *mut Set) {
    // SAFETY: the kernel reads one set and writes one, where it is given an address for it.
    unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            [
                how as usize,
                ptr::from_ref(mask).expose_provenance(),
                before.expose_provenance(),
                size_of::<Set>(),
            ],
        )
    };
}

/// `ppoll(2)`, of nothing: sleeps until a handler has run, and its answer.
///
/// The signals are held back from the look until the kernel sleeps, so none slips in between.
pub(crate) fn pause() {
    loop {
        let blocked = Blocked::all();
        let interrupted = !signal::is_pending() && sleep_with_mask(&blocked.before) == Err(Errno::EINTR);
        drop(blocked);
        if signal::safe_point() || interrupted {
            return;
        }
    }
}

fn sleep_with_mask(mask: &Set) -> Result<c_long, Errno> {
    let mut slice = *TimeSpec::from(SLICE).as_ref();
    // SAFETY: there are no descriptors; the kernel reads the mask, reads the time and writes what is left of it.
    let slept = unsafe {
        libc::syscall(libc::SYS_ppoll, ptr::null::<libc::pollfd>(), 0, &mut slice, mask, size_of::<Set>())
    };
    Errno::result(slept)
}

/// `rt_sigtimedwait(2)`: waits until one of these signals has come, at most until the deadline, and takes it.
/// One that had been noted already, and not answered, counts.
pub(crate) fn wait(set: Set, deadline: Deadline) -> Option<c_int> {
    let _blocked = Blocked::these(set);
    loop {
        if let Some(number) = signal::take_pending(set) {
            return Some(number);
        }
        let slice = deadline.left().map_or(SLICE, |left| left.min(SLICE));
        if let Ok(number) = take_blocked(&set, if signal::is_pending() { Duration::ZERO } else { slice }) {
            return Some(number);
        }
        // The others are answered meanwhile.
        signal::safe_point();
        if deadline.has_passed() {
            return None;
        }
    }
}

fn take_blocked(set: &Set, patience: Duration) -> Result<c_int, Errno> {
    let patience = TimeSpec::from(patience);
    let patience: *const libc::timespec = patience.as_ref();
    let no_details = ptr::null_mut::<libc::siginfo_t>();
    // SAFETY: the kernel reads the set and the time, which live in the caller's frame and in this one.
    let taken =
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, no_details, patience, size_of::<Set>()) };
    Errno::result(taken).map(|number| number as c_int)
}

/// `setitimer(ITIMER_REAL)`: SIGALRM after this time, or never if it is zero. Returns what was left of the time
/// that was set before.
pub(crate) fn alarm(time: Duration) -> Option<Duration> {
    // Rounded up: it never comes early, and the shortest time is no zero.
    let micros = time.as_nanos().div_ceil(1000);
    let timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval {
            tv_sec: libc::time_t::try_from(micros / 1_000_000).unwrap_or(libc::time_t::MAX),
            tv_usec: (micros % 1_000_000) as libc::suseconds_t,
        },
    };
    let mut left = timer;
    // SAFETY: the kernel reads one value and writes one. It fails for a bad address and for no microseconds.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, &mut left) };
    let left = Duration::new(left.it_value.tv_sec as u64, left.it_value.tv_usec as u32 * 1000);
    (!left.is_zero()).then_some(left)
}
