//! Mutual exclusion among processes, over data or over something outside.
#![allow(unsafe_code)]

use super::condition::{self, sealed};
use super::held::Held;
use super::poison::{Cause, LockTimeoutError, Poison, Poisoned, TryLockError};
use super::raw::{RawLock, Taken};
use crate::memory::Plain;
use crate::memory::segment::Segment;
use crate::sys::clock::Deadline;
use crate::sys::task::Owner;
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::process;
use std::thread;
use std::time::Duration;

/// A lock that processes share, with the data it guards: `std`'s `Mutex`, between processes.
///
/// `Lock<()>` guards something outside, such as a file; `Lock<i32>` is Python's `Value('i')`, and
/// `Lock<[i32; N]>` its `Array('i', N)`, each with its lock. It is Python's `Lock` too, but it is given
/// back by the guard alone: a gate that another process opens is a semaphore of 0.
///
/// * **Sharing.** Every child forked after the lock was made has it, and so has every thread. Cloning
///   gives another handle to the same lock. It takes one mapping of shared memory (4 KiB at least), no
///   descriptor and no name.
/// * **Waiting.** [`lock`](Self::lock) blocks: awake for some microseconds, then asleep. It is not fair: who
///   comes first need not get it first. A thread that locks what it holds waits for ever, or for its
///   timeout.
/// * **At drop** of the guard the lock is free. At drop of the last handle in a process the memory is
///   unmapped there.
/// * **At a fork**: refused by [`process`](crate::process) while this thread holds a guard, since the child
///   would have a copy of it.
/// * **At a death** of the owner, at whatever instruction, the next to ask gets the lock, and with it a
///   [`Poisoned`] that names the dead, within a second. A *stopped* owner is alive and keeps it. A dead
///   waiter is not missed.
///
/// Beneath is the `futex(2)` of Linux, with the owner in the lock word.
///
/// ```
/// use shared::process;
/// use shared::sync::Lock;
///
/// let count = Lock::new(0);
/// process::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| *count.lock().unwrap() += 1);
///     }
/// });
/// assert_eq!(*count.lock().unwrap(), 4);
/// ```
///
/// A guard stays on its thread, and out of other processes:
///
/// ```compile_fail
/// let lock = shared::sync::Lock::new(0);
/// let guard = lock.lock().unwrap();
/// shared::process::scope(|s| {
///     s.spawn(move || drop(guard)); // a guard is not `Send`
/// });
/// ```
#[doc(alias = "Mutex")]
#[doc(alias = "Value")]
#[doc(alias = "Array")]
pub struct Lock<T: Plain> {
    shared: Segment<Guarded<T>>,
}

/// What lies in shared memory. All zeroes is a free lock over a zeroed value.
#[repr(C)]
struct Guarded<T> {
    raw: RawLock,
    poison: Poison,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the owner of `raw` alone, and a `Plain` value may be reached from any
// thread.
unsafe impl<T: Plain> Sync for Guarded<T> {}

impl<T: Plain> Lock<T> {
    /// A free lock over `value`.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new(value: T) -> Lock<T> {
        Lock::try_new(value).unwrap_or_else(|error| panic!("no shared memory for a lock: {error}"))
    }

    /// A free lock over `value`.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`).
    pub fn try_new(value: T) -> io::Result<Lock<T>> {
        let guarded = Guarded { raw: RawLock::new(), poison: Poison::none(), value: UnsafeCell::new(value) };
        Ok(Lock { shared: Segment::new(guarded)? })
    }

    /// A free lock over a value of zeroes, which takes no room on the stack however large it is.
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new).
    ///
    /// ```
    /// let samples = shared::sync::Lock::<[f64; 1_000_000]>::zeroed()?;
    /// samples.lock().unwrap()[999_999] = 0.5;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn zeroed() -> io::Result<Lock<T>> {
        // SAFETY: zeroes are a free lock word, no poison, and a value of every `Plain` type.
        Ok(Lock { shared: unsafe { Segment::zeroed() }? })
    }

    /// Takes the lock, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Poisoned`] if an earlier owner panicked or died while it held the lock. The lock *is* taken then,
    /// and the guard inside the error.
    // Always: else the answer goes through memory, and takes half as long again at every second address of the stack.
    #[inline(always)]
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> Result<LockGuard<'_, T>, Poisoned<LockGuard<'_, T>>> {
        match self.shared.raw.lock(Owner::current(), Deadline::NEVER) {
            Some(taken) => self.guard(taken),
            None => unreachable!("a wait without a deadline ends with the lock"),
        }
    }

    /// Takes the lock if that needs no waiting. Also from a dead owner, which takes some microseconds to
    /// prove.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if another has it, and `Poisoned` as with [`lock`](Self::lock).
    #[inline]
    pub fn try_lock(&self) -> Result<LockGuard<'_, T>, TryLockError<LockGuard<'_, T>>> {
        match self.shared.raw.try_lock(Owner::current()) {
            Some(taken) => Ok(self.guard(taken)?),
            None => Err(TryLockError::WouldBlock),
        }
    }

    /// Takes the lock, waiting at most `timeout`: not less, and on an idle machine no more than
    /// milliseconds longer. Interruptions by signals change nothing.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`] if another had it all the time, and `Poisoned` as with
    /// [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<LockGuard<'_, T>, LockTimeoutError<LockGuard<'_, T>>> {
        match self.shared.raw.lock(Owner::current(), Deadline::after(timeout)) {
            Some(taken) => Ok(self.guard(taken)?),
            None => Err(LockTimeoutError::Timeout),
        }
    }

    /// Whether somebody, in this process or another, has the lock now. It may have changed when you read
    /// the answer.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.shared.raw.owner().is_some()
    }

    /// Whether the lock is poisoned, and why. Without holding the lock, the answer may be old.
    pub fn poison(&self) -> Option<Cause> {
        self.shared.poison.cause()
    }

    /// Declares the data sound again: from now on [`lock`](Self::lock) gives plain guards.
    ///
    /// Call it while you hold the lock, with the data put right.
    pub fn clear_poison(&self) {
        self.shared.poison.clear();
    }

    #[inline]
    fn guard(&self, taken: Taken) -> Result<LockGuard<'_, T>, Poisoned<LockGuard<'_, T>>> {
        if let Taken::From(dead) = taken {
            self.shared.poison.set(Cause::OwnerDied { pid: dead.pid() });
        }
        let guard = LockGuard { lock: self, was_panicking: thread::panicking(), held: Held::one_more() };
        match self.shared.poison.cause() {
            None => Ok(guard),
            Some(cause) => Err(Poisoned::new(guard, cause)),
        }
    }
}

impl<T: Plain> Clone for Lock<T> {
    /// Another handle to the same lock.
    fn clone(&self) -> Lock<T> {
        Lock { shared: self.shared.clone() }
    }
}

impl<T: Plain> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_lock(f, "Lock", self.shared.raw.owner(), self.poison()).finish_non_exhaustive()
    }
}

/// What both kinds of locks tell of themselves: who has it, and whether it is poisoned.
pub(super) fn debug_lock<'a, 'b>(
    f: &'a mut fmt::Formatter<'b>,
    kind: &str,
    owner: Option<Owner>,
    poison: Option<Cause>,
) -> fmt::DebugStruct<'a, 'b> {
    let mut text = f.debug_struct(kind);
    text.field("owner", &owner.map(Owner::pid)).field("poison", &poison);
    text
}

/// The lock, held. Dropping it gives the lock back.
#[must_use = "the lock is free again as soon as its guard is dropped"]
pub struct LockGuard<'a, T: Plain> {
    lock: &'a Lock<T>,
    was_panicking: bool,
    held: Held,
}

// SAFETY: through `&LockGuard` one reaches `&T` and nothing else, so it may be shared if `T` may. What
// makes it stay on its thread (`Held`) concerns moving and dropping.
unsafe impl<T: Plain + Sync> Sync for LockGuard<'_, T> {}

impl<T: Plain> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard says that its thread owns the lock, so nobody else reaches the value: `raw`
        // lets one owner in, and no fork copies a guard (`Held`).
        unsafe { &*self.lock.shared.value.get() }
    }
}

impl<T: Plain> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes it the only reference in this process.
        unsafe { &mut *self.lock.shared.value.get() }
    }
}

impl<T: Plain> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if thread::panicking() && !self.was_panicking {
            self.lock.shared.poison.set(Cause::Panicked { pid: process::id() });
        }
        self.held.one_less();
        self.lock.shared.raw.unlock();
    }
}

impl<T: Plain> condition::Guard for LockGuard<'_, T> {}

impl<'a, T: Plain> sealed::Guard for LockGuard<'a, T> {
    type Away = &'a Lock<T>;

    fn let_go(self) -> &'a Lock<T> {
        self.lock
    }

    fn take_back(lock: &'a Lock<T>) -> Result<Self, Poisoned<Self>> {
        lock.lock()
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Plain + fmt::Display> fmt::Display for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
