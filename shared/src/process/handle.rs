//! What the parent has in hand of a child.

use super::children::{self, CHILDREN, Child};
use super::error::ExitError;
use super::identity::Process;
use super::report::{self, Said};
use super::signal;
use crate::channel::{Awaited, Message, Waitable};
use crate::sys::clock::Deadline;
use crate::sys::pidfd::Status;
use nix::sys::signal::Signal;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// A child process, to be waited for: `std`'s `JoinHandle`, and Python's `Process` after `start`.
///
/// * **At drop** the child runs on, as a dropped thread handle lets its thread run on; its value is lost. It
///   leaves no zombie: it is collected at once if it has ended, else at a later spawn or at the end of this
///   process, which waits for it.
/// * **At a fork** the handle stays here: it is not `Send`, and only a parent can wait for its child.
/// * **At the child's death** [`join`](Self::join) says how it died.
///
/// As `AsFd` it is the child's pidfd (`pidfd_open(2)`), readable once the child has ended: Python's
/// `sentinel`.
pub struct JoinHandle<T> {
    child: Arc<Child>,
    value: PhantomData<(fn() -> T, *const ())>,
}

impl<T: Message> JoinHandle<T> {
    pub(super) fn new(child: Arc<Child>) -> JoinHandle<T> {
        JoinHandle { child, value: PhantomData }
    }

    /// Waits for the child's end, and returns what its closure returned.
    ///
    /// # Errors
    ///
    /// [`ExitError`], if there is no such value: the child panicked (with the message and the place), exited
    /// before its closure returned, was ended by a signal, or returned what cannot be sent. A program that
    /// ignores SIGCHLD gets [`ExitError::StatusUnknown`], except for a child that brought a value home.
    ///
    /// ```
    /// use shared::process::{self, ExitError};
    ///
    /// assert_eq!(process::spawn(|| 6 * 7).join().unwrap(), 42);
    ///
    /// let failed = process::spawn(|| -> i32 { process::exit(3) }).join();
    /// assert!(matches!(failed, Err(ExitError::Exited { code: 3, .. })));
    /// ```
    pub fn join(self) -> Result<T, ExitError> {
        let status = self.child.wait(Deadline::NEVER).unwrap_or(Status::Unknown);
        children::joined(&self.child);
        self.result(status)
    }

    fn result(&self, status: Status) -> Result<T, ExitError> {
        let (pid, name) = (self.process().id(), self.process().name().to_owned());
        if let Status::Signaled(signal) = status {
            return Err(ExitError::Signaled { pid, name, signal: signal::Signal::of_status(signal) });
        }
        // A `()` is not announced: the status stands for it.
        if let (Status::Exited(0), Some(nil)) = (status, report::nil()) {
            return Ok(nil);
        }
        match (self.child.heard::<T>(), status) {
            // What was announced is whole, also if nobody knows how the child ended afterwards.
            (Said::Value(Ok(value)), Status::Exited(0) | Status::Unknown) => Ok(value),
            (Said::Value(Err(source)), _) => Err(ExitError::Undecodable { pid, name, source }),
            (Said::Panic(report), _) => Err(ExitError::Panicked { pid, name, report }),
            (Said::Unsendable(reason), _) => Err(ExitError::Unsendable { pid, name, reason }),
            (_, Status::Exited(code)) => Err(ExitError::Exited { pid, name, code }),
            (_, Status::Unknown | Status::Signaled(_)) => Err(ExitError::StatusUnknown { pid, name }),
        }
    }
}

impl<T> JoinHandle<T> {
    /// Waits for the child's end, at most `timeout`: `true` if it has ended. [`join`](Self::join) then
    /// returns at once.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.child.wait(Deadline::after(timeout)).is_some()
    }

    /// Whether the child has ended.
    #[doc(alias = "is_alive")]
    pub fn is_finished(&self) -> bool {
        self.child.has_ended()
    }

    /// Asks the child to end, by SIGTERM. One that has ended takes no harm.
    ///
    /// # Errors
    ///
    /// What `pidfd_send_signal(2)` says: `EPERM` if the child has become another user.
    pub fn terminate(&self) -> io::Result<()> {
        self.child.signal(Signal::SIGTERM)
    }

    /// Ends the child at once, by SIGKILL.
    ///
    /// # Errors
    ///
    /// As [`terminate`](Self::terminate).
    pub fn kill(&self) -> io::Result<()> {
        self.child.signal(Signal::SIGKILL)
    }

    /// Interrupts the child, by SIGINT, as Ctrl-C would.
    ///
    /// # Errors
    ///
    /// As [`terminate`](Self::terminate).
    pub fn interrupt(&self) -> io::Result<()> {
        self.child.signal(Signal::SIGINT)
    }

    /// Which process it is.
    pub fn process(&self) -> &Process {
        &self.child.process
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if !self.child.is_joined() {
            CHILDREN.lock().abandon(&self.child);
        }
    }
}

impl<T> AsFd for JoinHandle<T> {
    /// The child's pidfd.
    ///
    /// # Panics
    ///
    /// In another process than the one that started the child.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }
}

impl<T> Waitable for JoinHandle<T> {
    /// Ready once the child has ended.
    fn awaited(&self) -> Awaited<'_> {
        Awaited::readable(self.as_fd())
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("process", self.process()).finish_non_exhaustive()
    }
}
