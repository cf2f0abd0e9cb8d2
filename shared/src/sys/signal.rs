//! Signals: noted when they come, answered at safe points.
//!
//! Hardly anything may be done inside a handler. So the handler sets a bit, and the function that
//! answers runs later, on the thread that waits in this library, wherever it looks round: every
//! interrupted wait does. A forked child inherits the handlers of its parent but not its obligations:
//! there the signal does what it does by default.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use std::mem::MaybeUninit;
use std::process;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bit n: signal n has come and nobody has answered it yet.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// What is to be done about each signal that is caught.
static ANSWERS: Mutex<Vec<(Signal, fn())>> = Mutex::new(Vec::new());

/// `sigaction(2)`, through the registry of `signal-hook`: from now on `answer` runs at the next safe
/// point of this process after the signal. One that the process ignores stays ignored.
#[cfg_attr(not(feature = "demo"), allow(dead_code))]
pub(crate) fn catch(signal: Signal, answer: fn()) -> std::io::Result<()> {
    if is_ignored(signal) {
        return Ok(());
    }
    let (number, mine) = (signal as libc::c_int, process::id());
    let note = move || {
        if process::id() == mine {
            PENDING.fetch_or(1 << number, Ordering::Relaxed);
        } else {
            let _ = signal_hook::low_level::emulate_default_handler(number);
        }
    };
    ANSWERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((signal, answer));
    // The registry asks the kernel for the signal before it knows whom to call: one that came in between would
    // be nobody's. Held back, it comes when all is in place.
    let _in_between = Blocked::all();
    // SAFETY: `note` does only what a handler may: getpid(2), an atomic store, and the emulation, which
    // is made for handlers.
    unsafe { signal_hook::low_level::register(number, note) }.map(drop)
}

/// Runs the answers to the signals that have come.
pub(crate) fn safe_point() {
    if PENDING.load(Ordering::Relaxed) == 0 {
        return;
    }
    let pending = PENDING.swap(0, Ordering::Relaxed);
    // Copied out, so that an answer may catch further signals.
    let answers = ANSWERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    for (signal, answer) in answers {
        if pending & (1 << signal as u64) != 0 {
            answer();
        }
    }
}

/// `sigaction(2)`: whether the process ignores this signal, or, of SIGCHLD, wants no status kept.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the null pointer leaves the action as it is; the kernel's answer has room.
    let asked = unsafe { libc::sigaction(signal as libc::c_int, ptr::null(), action.as_mut_ptr()) };
    if Errno::result(asked).is_err() {
        return false;
    }
    // SAFETY: zeroed, which is a value of this type, and then filled in by the kernel.
    let action = unsafe { action.assume_init() };
    let no_status = signal == Signal::SIGCHLD && action.sa_flags & libc::SA_NOCLDWAIT != 0;
    action.sa_sigaction == libc::SIG_IGN || no_status
}

/// `sigaction(2)`: gives the signal back its default action.
#[cfg_attr(not(feature = "demo"), allow(dead_code))]
pub(crate) fn restore_default(signal: Signal) {
    // SAFETY: the default action runs no code of ours.
    let _ = unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) };
}

/// `rt_sigprocmask(2)`: no handler runs on this thread while this value lives.
#[derive(Debug)]
pub(crate) struct Blocked {
    before: KernelSet,
}

/// A set of signals as the kernel has it: a bit for each of its 64.
type KernelSet = u64;

impl Blocked {
    pub(crate) fn all() -> Blocked {
        let mut before = KernelSet::MIN;
        // It fails for an unknown `how` and a bad address only.
        set_mask(&KernelSet::MAX, &mut before);
        Blocked { before }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(&self.before, ptr::null_mut());
    }
}

/// Through `syscall`, as [`task::read_from`](super::task::read_from) explains. (The C library keeps two signals
/// for itself, which `pthread_sigmask` would not block. They serve its threads; here there is one.)
fn set_mask(mask: &KernelSet, before: *mut KernelSet) {
    let size = size_of::<KernelSet>();
    // SAFETY: the kernel reads one set and writes one, where it is given an address for it.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, mask, before, size) };
}
