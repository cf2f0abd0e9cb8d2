//! Locks that many processes share, and their guards.

use super::error::{LockError, ManagerError};
use super::handle::{FOR_EVER, Handle, NOT_AT_ALL, at_most};
use super::wire::{Op, Reply, Wait};
use crate::sync::{Held, Poisoned};
use crate::sys::task;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, thread};

/// A lock in a manager: Python's `manager.Lock()`, made by [`lock`](super::Objects::lock).
///
/// * **Waiting.** Who comes first is served first. A holder that locks again waits for itself.
/// * **At drop** of the guard the lock is given back, and by nothing else; a managed lock too cannot be released by somebody who does not hold it.
/// * **At a fork**: refused while this thread holds a guard.
/// * **At a death** of the holder, or its exit with the lock in its hands, the next one gets the lock within a second, and a
///   [`Poisoned`] that names the dead process; so do all after it, until [`clear_poison`](Self::clear_poison). So it is after a panic.
///
/// Processes that a fork made from one another do better with a [`sync::Lock`](crate::sync::Lock), which takes no request.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let lock = manager.lock()?;
/// let guard = lock.lock()?;
/// assert!(lock.is_locked()?);
/// drop(guard);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lock {
    handle: Arc<Handle>,
}

/// A lock in a manager that its holder may take again: Python's `manager.RLock()`, made by
/// [`reentrant_lock`](super::Objects::reentrant_lock). All else is as with [`Lock`].
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let lock = manager.reentrant_lock()?;
/// let (_once, _twice) = (lock.lock()?, lock.lock()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "RLock")]
pub struct ReentrantLock {
    handle: Arc<Handle>,
}

proxy!(Lock, "lock");
proxy!(ReentrantLock, "reentrant lock");

/// A [`Lock`], held.
pub type LockGuard = Guard<Lock>;

/// A [`ReentrantLock`], held.
pub type ReentrantLockGuard = Guard<ReentrantLock>;

/// A managed lock, held. Dropping it gives the lock back. It stays on its thread.
#[must_use = "the lock is given back as soon as it is dropped"]
pub struct Guard<L: Locks> {
    lock: L,
    held: Held,
    /// It gives the lock back.
    gives: bool,
}

/// The two kinds of lock.
pub trait Locks: Clone + sealed::Handled {}

pub(super) mod sealed {
    use crate::manager::handle::Handle;

    pub trait Handled {
        fn handle(&self) -> &Handle;
    }
}

macro_rules! lock {
    ($lock:ident) => {
        impl Locks for $lock {}

        impl sealed::Handled for $lock {
            fn handle(&self) -> &Handle {
                &self.handle
            }
        }

        impl $lock {
            /// Takes the lock, waiting for it as long as it takes.
            ///
            /// # Errors
            ///
            /// [`LockError`]: poisoned, with the guard in it; or the request failed.
            #[doc(alias = "acquire")]
            pub fn lock(&self) -> Result<Guard<$lock>, LockError<Guard<$lock>>> {
                take(self, FOR_EVER)?.ok_or(LockError::Failed(ManagerError::NotHeld))
            }

            /// Takes the lock if nobody has it.
            ///
            /// # Errors
            ///
            /// As [`lock`](Self::lock).
            pub fn try_lock(&self) -> Result<Option<Guard<$lock>>, LockError<Guard<$lock>>> {
                take(self, NOT_AT_ALL)
            }

            /// Takes the lock, waiting at most `timeout`: never less. `None`: somebody else had it until then.
            ///
            /// # Errors
            ///
            /// As [`lock`](Self::lock).
            pub fn lock_timeout(
                &self,
                timeout: Duration,
            ) -> Result<Option<Guard<$lock>>, LockError<Guard<$lock>>> {
                take(self, at_most(timeout))
            }

            /// Whether somebody has it. That may have changed when you read the answer.
            ///
            /// # Errors
            ///
            /// [`ManagerError`], as for every call of a proxy.
            #[doc(alias = "locked")]
            pub fn is_locked(&self) -> Result<bool, ManagerError> {
                self.handle.ask_whether(Op::IsLocked)
            }

            /// What it guards is in order again.
            ///
            /// # Errors
            ///
            /// [`ManagerError`], as for every call of a proxy.
            pub fn clear_poison(&self) -> Result<(), ManagerError> {
                self.handle.ask(Op::ClearPoison).map(drop)
            }
        }
    };
}

lock!(Lock);
lock!(ReentrantLock);

fn take<L: Locks>(lock: &L, wait: Wait) -> Result<Option<Guard<L>>, LockError<Guard<L>>> {
    let reply = lock.handle().ask(Op::Lock { thread: task::thread(), wait })?;
    let taken = taken(lock, reply).map_err(|error| error.map(|(guard, _)| guard))?;
    Ok(taken.map(|(guard, _)| guard))
}

/// A guard, and whether it was in time.
type Taken<L> = (Guard<L>, bool);

/// What a reply gives of the lock.
pub(super) fn taken<L: Locks>(lock: &L, reply: Reply) -> Result<Option<Taken<L>>, LockError<Taken<L>>> {
    let (poison, in_time) = match reply {
        Reply::Locked(poison) => (poison, true),
        Reply::LockedInVain(poison) => (poison, false),
        _ => return Ok(None),
    };
    let guard = Guard { lock: lock.clone(), held: Held::one_more(), gives: true };
    match poison {
        None => Ok(Some((guard, in_time))),
        Some(cause) => Err(LockError::Poisoned(Poisoned::new((guard, in_time), cause.into()))),
    }
}

impl<L: Locks> Guard<L> {
    /// The lock, which the caller gives back by other means.
    pub(super) fn into_lock(mut self) -> L {
        self.held.one_less();
        self.gives = false;
        self.lock.clone()
    }
}

impl<L: Locks> Drop for Guard<L> {
    fn drop(&mut self) {
        if self.gives {
            self.held.one_less();
            let unlock = Op::Unlock { thread: task::thread(), panicked: thread::panicking() };
            // With the manager the lock has gone.
            let _ = self.lock.handle().ask(unlock);
        }
    }
}

impl<L: Locks> fmt::Debug for Guard<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("lock", &self.lock.handle().id()).finish_non_exhaustive()
    }
}
