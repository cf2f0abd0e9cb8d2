//! Signals: handling them, sending them, waiting for them.
//!
//! # When a handler runs
//!
//! Hardly anything may be done in the instant at which a signal comes: the program may be inside the allocator.
//! As in Python, a signal is noted then, and its handler runs a little later, at a **safe point**, where it may do
//! whatever a function may. Every call of this library that waits is one, before it sleeps, whenever a
//! signal interrupts it, and when it ends: `join`, `lock`, [`pause`] and all the others. The handler runs on
//! the thread that waits; there is no thread of the library. Then the wait goes on, to the deadline that it
//! had. [`run_pending`] is a safe point, and nothing else.
//!
//! So in a program that computes for ever, or sleeps by `std`'s means, no handler runs: it should call
//! [`run_pending`] now and then. A signal that comes in the very instant in which a wait begins is answered
//! when the wait looks round, at the latest after 800 ms; [`pause`] and [`wait`](wait()) do not have this
//! instant. Of several threads, the first to come to a safe point runs the handler. A signal that comes twice
//! before it is answered is answered once, as always.
//!
//! A handler may wait, set handlers, start processes and end the program. While it runs, other handlers may run
//! inside its own waits, but not this one again. If it panics, the call in which it runs ends with that panic.
//!
//! # In a child
//!
//! A child does not have its parent's handlers: each signal that the parent handles does in it what it does
//! by default, and a signal that came before the fork is the parent's alone. What the parent ignores, the child
//! ignores. It sets its own handlers if it wants any.
//!
//! # Beside others
//!
//! Handlers are installed through `signal-hook`. One that others have installed before goes on being called.
//! `signal-hook` asks the kernel for a signal only once: who uses it directly, for a signal that this library
//! handles too, would not notice that the handler was taken away, by [`default`] or [`ignore`] or because this is
//! a child.
//!
//! ```
//! use shared::process::{self, signal, signal::Signal};
//! use std::time::Duration;
//!
//! signal::handle(Signal::SIGALRM, || println!("time is up"))?;
//! signal::alarm(Duration::from_millis(10));
//! signal::pause(); // prints
//! # Ok::<(), signal::SignalError>(())
//! ```

use crate::sys::clock::Deadline;
use crate::sys::{mask, pidfd, signal};
use nix::libc;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

pub use crate::sys::signal::{Disposition, Foreign, Handler};

/// A signal: one of those with a name, or a real-time signal, which has a number only.
///
/// ```
/// use shared::process::signal::Signal;
///
/// assert_eq!(Signal::SIGTERM.to_string(), "SIGTERM");
/// assert_eq!((Signal::SIGTERM.number(), Signal::try_from(15)), (15, Ok(Signal::SIGTERM)));
/// assert_eq!(Signal::try_from(64).unwrap().to_string(), "signal 64");
/// assert!(Signal::try_from(65).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

/// The number of the last one.
const LAST: i32 = 64;

macro_rules! signals {
    ($($(#[$doc:meta])+ $name:ident),* $(,)?) => {
        impl Signal {
            $($(#[$doc])+ pub const $name: Signal = Signal(libc::$name);)*

            /// Its name, if it has one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(libc::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    /// The terminal has gone.
    SIGHUP,
    /// Ctrl-C.
    SIGINT,
    /// Ctrl-\, to end with a core dump.
    SIGQUIT,
    /// A fault: no such instruction.
    SIGILL,
    /// A trap for a debugger.
    SIGTRAP,
    /// `abort(3)`.
    SIGABRT,
    /// A fault: no such memory behind the address.
    SIGBUS,
    /// A fault of arithmetic.
    SIGFPE,
    /// Ends the process; nothing can be done about it.
    SIGKILL,
    /// For the program's own use.
    SIGUSR1,
    /// A fault: an address that is not the process's.
    SIGSEGV,
    /// For the program's own use.
    SIGUSR2,
    /// Nobody reads what is written. A Rust program ignores it from its start.
    SIGPIPE,
    /// The time that was set by [`alarm`] is up.
    SIGALRM,
    /// A request to end.
    SIGTERM,
    /// A fault of a coprocessor; unused.
    SIGSTKFLT,
    /// A child has ended or stopped.
    SIGCHLD,
    /// Goes on, if stopped.
    SIGCONT,
    /// Stops the process; nothing can be done about it.
    SIGSTOP,
    /// Ctrl-Z.
    SIGTSTP,
    /// A process in the background reads from the terminal.
    SIGTTIN,
    /// A process in the background writes to the terminal.
    SIGTTOU,
    /// Urgent data at a socket.
    SIGURG,
    /// The limit of processor time is reached.
    SIGXCPU,
    /// The limit of a file's size is reached.
    SIGXFSZ,
    /// A timer of processor time, in the process.
    SIGVTALRM,
    /// A timer of processor time, the kernel's for the process included.
    SIGPROF,
    /// The terminal has another size.
    SIGWINCH,
    /// A descriptor is ready.
    SIGIO,
    /// Power fails.
    SIGPWR,
    /// No such system call.
    SIGSYS,
}

impl Signal {
    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The kernel's word for what ended a process.
    pub(super) fn of_status(number: i32) -> Signal {
        Signal(number)
    }
}

impl TryFrom<i32> for Signal {
    type Error = SignalError;

    fn try_from(number: i32) -> Result<Signal, SignalError> {
        if (1..=LAST).contains(&number) { Ok(Signal(number)) } else { Err(SignalError::NoSuch { number }) }
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> i32 {
        signal.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a signal's disposition was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no signal with this number.
    #[error("there is no signal {number}: they have the numbers 1 to 64")]
    NoSuch {
        /// The number.
        number: i32,
    },
    /// The kernel lets nobody decide about it (SIGKILL, SIGSTOP), or the C library needs it for itself.
    #[error("{signal} can be neither handled nor ignored")]
    Reserved {
        /// The signal.
        signal: Signal,
    },
    /// It tells of a fault of the very instruction that is being executed (SIGSEGV, SIGBUS, SIGILL, SIGFPE):
    /// that comes again at once, and never to a safe point.
    #[error("{signal} cannot be handled at a safe point: after a fault there is none")]
    Fault {
        /// The signal.
        signal: Signal,
    },
}

/// From now on `f` is called at a safe point after this signal: Python's `signal.signal(signum, f)`. Returns
/// what was done about it before.
///
/// # Errors
///
/// [`SignalError`], for a signal that cannot be handled. Nothing has changed then.
///
/// ```
/// use shared::process::signal::{self, Disposition, Signal, SignalError};
///
/// let before = signal::handle(Signal::SIGUSR1, || println!("it came"))?;
/// assert_eq!(before, Disposition::Default);
/// signal::set(Signal::SIGUSR1, before)?;
///
/// let refused = signal::handle(Signal::SIGKILL, || ());
/// assert_eq!(refused, Err(SignalError::Reserved { signal: Signal::SIGKILL }));
/// # Ok::<(), SignalError>(())
/// ```
#[doc(alias = "signal")]
pub fn handle(signal: Signal, f: impl Fn() + Send + Sync + 'static) -> Result<Disposition, SignalError> {
    set(signal, Disposition::Handle(Handler::new(f)))
}

/// From now on this signal does nothing: Python's `SIG_IGN`. Returns what was done about it before.
///
/// # Errors
///
/// As [`handle`].
#[doc(alias = "SIG_IGN")]
pub fn ignore(signal: Signal) -> Result<Disposition, SignalError> {
    set(signal, Disposition::Ignore)
}

/// From now on this signal does what it does by default: Python's `SIG_DFL`. Returns what was done about it
/// before.
///
/// # Errors
///
/// As [`handle`].
#[doc(alias = "SIG_DFL")]
pub fn default(signal: Signal) -> Result<Disposition, SignalError> {
    set(signal, Disposition::Default)
}

/// Sets what is done about a signal, for instance to what [`handle`] says that it was before. Returns what it
/// was until now.
///
/// # Errors
///
/// As [`handle`].
pub fn set(signal: Signal, disposition: Disposition) -> Result<Disposition, SignalError> {
    match signal {
        Signal::SIGKILL | Signal::SIGSTOP => return Err(SignalError::Reserved { signal }),
        Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGFPE
            if matches!(disposition, Disposition::Handle(_)) =>
        {
            return Err(SignalError::Fault { signal });
        }
        _ => {}
    }
    signal::set(signal.0, disposition).map_err(|_| SignalError::Reserved { signal })
}

/// What this process does about a signal: Python's `signal.getsignal`.
///
/// # Errors
///
/// [`SignalError::Reserved`], for the two that the C library needs for itself.
#[doc(alias = "getsignal")]
pub fn disposition(signal: Signal) -> Result<Disposition, SignalError> {
    signal::disposition(signal.0).map_err(|_| SignalError::Reserved { signal })
}

/// Runs the handlers of the signals that have come: a safe point. `true` if there was one to run.
pub fn run_pending() -> bool {
    signal::safe_point()
}

/// Has SIGALRM sent to this process after `time`, as `alarm(2)` does (by `setitimer(2)`, to the microsecond,
/// rounded up). Returns what was left of the time that was set before.
///
/// A process has one such clock: a later call replaces an earlier one, and `Duration::ZERO` stops it. Without a
/// handler SIGALRM ends the process. A child begins without.
///
/// ```
/// use shared::process::signal;
/// use std::time::Duration;
///
/// assert_eq!(signal::alarm(Duration::from_secs(100)), None);
/// let left = signal::alarm(Duration::ZERO).unwrap();
/// assert!(left > Duration::from_secs(90));
/// ```
#[doc(alias = "setitimer")]
pub fn alarm(time: Duration) -> Option<Duration> {
    mask::alarm(time)
}

/// Waits for a signal that is handled, and runs the handler: `pause(2)`.
///
/// If one has come already and its handler has not run yet, that counts. (So nothing is lost between an
/// [`alarm`] and the `pause` after it, unless some other wait in between has run the handler.)
pub fn pause() {
    mask::pause();
}

/// Waits until one of these signals comes, at most `timeout`, and returns which; its handler does **not** run.
/// Python's `sigwait` and `sigtimedwait`. `None`: none came by then.
///
/// The signals are blocked for the calling thread meanwhile, so their default action, which may be to
/// end the process, does not take place either. One that came before counts if it is handled, and its handler
/// has not run yet. The handlers of other signals run, and the wait goes on. In a program with several threads
/// another one may get the signal, and do what is usually done about it: block it there.
///
/// ```
/// use shared::process::signal::{self, Signal};
/// use std::time::Duration;
///
/// signal::alarm(Duration::from_millis(10));
/// assert_eq!(signal::wait(&[Signal::SIGALRM], None), Some(Signal::SIGALRM));
/// assert_eq!(signal::wait(&[Signal::SIGALRM], Some(Duration::ZERO)), None);
/// ```
#[doc(alias = "sigwait")]
#[doc(alias = "sigtimedwait")]
pub fn wait(signals: &[Signal], timeout: Option<Duration>) -> Option<Signal> {
    let set = signals.iter().fold(0, |set, signal| set | signal::set_of(signal.0));
    mask::wait(set, timeout.map_or(Deadline::NEVER, Deadline::after)).map(Signal)
}

/// Sends a signal to a process by its descriptor, a [`JoinHandle`](super::JoinHandle) for instance:
/// `pidfd_send_signal(2)`. Unlike a pid it never means a stranger. To a process that has ended it does nothing.
///
/// # Errors
///
/// What the system call says: `EBADF` if the descriptor is not one of a process, `EPERM` if that is another
/// user's.
///
/// ```
/// use shared::process::{self, ExitError, signal, signal::Signal};
///
/// let child = process::spawn(|| std::thread::park());
/// signal::send(&child, Signal::SIGUSR1)?;
/// assert!(matches!(child.join(), Err(ExitError::Signaled { signal: Signal::SIGUSR1, .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "pidfd_send_signal")]
pub fn send(process: impl AsFd, signal: Signal) -> io::Result<()> {
    Ok(pidfd::send(process.as_fd(), signal.0)?)
}
