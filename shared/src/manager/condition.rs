//! Conditions that many processes wait for, under a managed lock.

use super::error::{LockError, ManagerError};
use super::handle::{FOR_EVER, Handle, at_most};
use super::lock::{Guard, Locks, taken};
use super::wire::{Op, Wait};
use crate::sys::clock::Deadline;
use crate::sys::task;
use std::sync::Arc;
use std::time::Duration;

/// A condition in a manager: Python's `manager.Condition()`, made by [`condition`](super::Objects::condition).
///
/// The lock comes with its guard, as with `std`'s `Condvar`; it may be a [`Lock`](super::Lock) or a [`ReentrantLock`](super::ReentrantLock),
/// which is given up from whatever depth. Nobody returns from [`wait`](Self::wait) who was not notified, and who has waited longest is
/// first. The notification of one who dies before it has the lock again goes to another.
///
/// ```
/// use shared::manager::Manager;
/// use shared::process;
///
/// let manager = Manager::start()?;
/// let (lock, changed, ready) = (manager.lock()?, manager.condition()?, manager.value(&false)?);
/// let child = {
///     let (lock, changed, ready) = (lock.clone(), changed.clone(), ready.clone());
///     process::spawn(move || {
///         let _guard = lock.lock().unwrap();
///         ready.set(&true).unwrap();
///         changed.notify_one().unwrap();
///     })
/// };
/// let guard = changed.wait_while(lock.lock()?, || Ok(!ready.get()?))?;
/// drop(guard);
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Condition {
    handle: Arc<Handle>,
}

proxy!(Condition, "condition");

impl Condition {
    /// Gives the lock up, waits until it is notified, and takes the lock again.
    ///
    /// # Errors
    ///
    /// [`LockError`]: the lock is poisoned, with the guard in it; or the request failed, and the lock is not held.
    pub fn wait<L: Locks>(&self, guard: Guard<L>) -> Result<Guard<L>, LockError<Guard<L>>> {
        let waited = self.wait_for(guard, FOR_EVER).map_err(|error| error.map(|(guard, _)| guard));
        waited.map(|(guard, _)| guard)
    }

    /// As [`wait`](Self::wait), at most for `timeout`. `false` beside the guard: it was not notified until then.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout<L: Locks>(
        &self,
        guard: Guard<L>,
        timeout: Duration,
    ) -> Result<(Guard<L>, bool), LockError<(Guard<L>, bool)>> {
        self.wait_for(guard, at_most(timeout))
    }

    /// Waits as long as this holds: Python's `wait_for`, with the opposite question.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and what the question fails with.
    #[doc(alias = "wait_for")]
    pub fn wait_while<L: Locks>(
        &self,
        mut guard: Guard<L>,
        mut holds: impl FnMut() -> Result<bool, ManagerError>,
    ) -> Result<Guard<L>, LockError<Guard<L>>> {
        while holds()? {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait_while`](Self::wait_while), at most for `timeout`. `false` beside the guard: it held until then.
    ///
    /// # Errors
    ///
    /// As [`wait_while`](Self::wait_while).
    pub fn wait_timeout_while<L: Locks>(
        &self,
        mut guard: Guard<L>,
        timeout: Duration,
        mut holds: impl FnMut() -> Result<bool, ManagerError>,
    ) -> Result<(Guard<L>, bool), LockError<(Guard<L>, bool)>> {
        let deadline = Deadline::after(timeout);
        while holds()? {
            if deadline.has_passed() {
                return Ok((guard, false));
            }
            (guard, _) = self.wait_for(guard, deadline.left().map_or(FOR_EVER, at_most))?;
        }
        Ok((guard, true))
    }

    /// Wakes the one that has waited longest.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn notify_one(&self) -> Result<(), ManagerError> {
        self.notify(1)
    }

    /// Wakes so many, or all if there are fewer: Python's `notify(n)`.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn notify(&self, count: u32) -> Result<(), ManagerError> {
        self.handle.ask(Op::Notify(count)).map(drop)
    }

    /// Wakes all that wait.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn notify_all(&self) -> Result<(), ManagerError> {
        self.notify(u32::MAX)
    }

    fn wait_for<L: Locks>(
        &self,
        guard: Guard<L>,
        wait: Wait,
    ) -> Result<(Guard<L>, bool), LockError<(Guard<L>, bool)>> {
        let lock = guard.into_lock();
        let wait = Op::Await { lock: lock.handle().id(), thread: task::thread(), wait };
        taken(&lock, self.handle.ask(wait)?)?.ok_or(LockError::Failed(ManagerError::NotHeld))
    }
}
