//! A lock that its owner may take again.
#![allow(unsafe_code)]

use super::condition::{self, sealed};
use super::held::Held;
use super::lock::debug_lock;
use super::poison::{Cause, LockTimeoutError, Poison, Poisoned, TryLockError};
use super::raw::{RawLock, Taken};
use crate::memory::Plain;
use crate::memory::segment::Segment;
use crate::sys::clock::Deadline;
use crate::sys::task::{self, Owner};
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::mem;
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// A lock that processes share and that its owner may take again: Python's `RLock`.
///
/// A thread that has it gets it at once, as often as it asks, and it is free again when the last of those
/// guards is dropped. Since two guards may exist at once they give `&T`; put a [`Cell`](std::cell::Cell)
/// inside to change it.
///
/// Sharing, waiting, drop, fork and death are as with [`Lock`](super::Lock). A death frees it from whatever
/// depth.
///
/// ```
/// use shared::sync::ReentrantLock;
/// use std::cell::Cell;
///
/// let account = ReentrantLock::new(Cell::new(100));
/// let deposit = |sum| {
///     let balance = account.lock().unwrap();
///     balance.set(balance.get() + sum);
/// };
/// let outer = account.lock().unwrap();
/// deposit(20); // with a `Lock` this would wait for ever
/// assert_eq!(outer.get(), 120);
/// ```
#[doc(alias = "RLock")]
pub struct ReentrantLock<T: Plain> {
    shared: Segment<Guarded<T>>,
}

/// What lies in shared memory. All zeroes is a free lock over a zeroed value.
#[repr(C)]
struct Guarded<T> {
    raw: RawLock,
    poison: Poison,
    /// The thread that has the lock, in the process that the word names; 0 for none. The word alone does not
    /// tell threads apart.
    thread: AtomicU64,
    /// How many guards it was given, and how many it gave back: the difference is the depth. Two counts, so that
    /// neither has to wait for what the other stored a moment ago, which is what a nested lock would spend its
    /// time on. All three are written by the owner alone, so `Relaxed` will do, and are set anew by each new
    /// owner, so what a dead one left does not matter.
    given: AtomicU64,
    returned: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the thread that owns `raw` alone, and only through `&T`. A `Plain` value
// may be reached from any thread.
unsafe impl<T: Plain> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    #[inline]
    fn depth(&self) -> u64 {
        self.given.load(Relaxed).wrapping_sub(self.returned.load(Relaxed))
    }
}

impl<T: Plain> ReentrantLock<T> {
    /// A free lock over `value`.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new(value: T) -> ReentrantLock<T> {
        ReentrantLock::try_new(value).unwrap_or_else(|error| panic!("no shared memory for a lock: {error}"))
    }

    /// A free lock over `value`.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`).
    pub fn try_new(value: T) -> io::Result<ReentrantLock<T>> {
        let (raw, poison) = (RawLock::new(), Poison::none());
        let [thread, given, returned] = [const { AtomicU64::new(0) }; 3];
        let guarded = Guarded { raw, poison, thread, given, returned, value: UnsafeCell::new(value) };
        Ok(ReentrantLock { shared: Segment::new(guarded)? })
    }

    /// Takes the lock, at once if this thread has it, else waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Poisoned`] if an earlier owner panicked or died while it held the lock. The lock *is* taken then,
    /// and the guard inside the error.
    // Always: else the answer goes through memory, and takes half as long again at every second address of the stack.
    #[inline(always)]
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> Result<ReentrantLockGuard<'_, T>, Poisoned<ReentrantLockGuard<'_, T>>> {
        match self.enter(|raw, me| raw.lock(me, Deadline::NEVER)) {
            Some(held) => self.guard(held),
            None => unreachable!("a wait without a deadline ends with the lock"),
        }
    }

    /// Takes the lock if that needs no waiting.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if another thread has it, and `Poisoned` as with [`lock`](Self::lock).
    #[inline]
    pub fn try_lock(&self) -> Result<ReentrantLockGuard<'_, T>, TryLockError<ReentrantLockGuard<'_, T>>> {
        match self.enter(|raw, me| raw.try_lock(me)) {
            Some(held) => Ok(self.guard(held)?),
            None => Err(TryLockError::WouldBlock),
        }
    }

    /// Takes the lock, waiting at most `timeout`: not less, and on an idle machine no more than
    /// milliseconds longer.
    ///
    /// # Errors
    ///
    /// [`LockTimeoutError::Timeout`] if another had it all the time, and `Poisoned` as with
    /// [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReentrantLockGuard<'_, T>, LockTimeoutError<ReentrantLockGuard<'_, T>>> {
        match self.enter(|raw, me| raw.lock(me, Deadline::after(timeout))) {
            Some(held) => Ok(self.guard(held)?),
            None => Err(LockTimeoutError::Timeout),
        }
    }

    /// Whether some thread has the lock now. It may have changed when you read the answer.
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

    /// One level deeper if this thread has the lock, else through `take`.
    #[inline]
    fn enter(&self, take: impl FnOnce(&RawLock, Owner) -> Option<Taken>) -> Option<Held> {
        // Only this thread writes its number, when it has the lock, and it takes it away before it gives the lock
        // back. So if its number is there it has the lock: a number that a dead owner left is another's, since
        // no two threads ever have the same.
        if self.shared.thread.load(Relaxed) == task::thread() {
            self.shared.given.store(self.shared.given.load(Relaxed).wrapping_add(1), Relaxed);
            return Some(Held::counted());
        }
        self.enter_first(take)
    }

    #[inline(never)]
    fn enter_first(&self, take: impl FnOnce(&RawLock, Owner) -> Option<Taken>) -> Option<Held> {
        let shared = &self.shared;
        if let Taken::From(dead) = take(&shared.raw, Owner::current())? {
            shared.poison.set(Cause::OwnerDied { pid: dead.pid() });
        }
        shared.thread.store(task::thread(), Relaxed);
        shared.given.store(1, Relaxed);
        shared.returned.store(0, Relaxed);
        Some(Held::one_more())
    }

    #[inline]
    fn guard(&self, held: Held) -> Result<ReentrantLockGuard<'_, T>, Poisoned<ReentrantLockGuard<'_, T>>> {
        let guard = ReentrantLockGuard { lock: self, was_panicking: thread::panicking(), held };
        match self.shared.poison.cause() {
            None => Ok(guard),
            Some(cause) => Err(Poisoned::new(guard, cause)),
        }
    }
}

impl<T: Plain> Clone for ReentrantLock<T> {
    /// Another handle to the same lock.
    fn clone(&self) -> ReentrantLock<T> {
        ReentrantLock { shared: self.shared.clone() }
    }
}

impl<T: Plain> fmt::Debug for ReentrantLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.shared.raw.owner();
        let depth = if owner.is_some() { self.shared.depth() } else { 0 };
        let mut text = debug_lock(f, "ReentrantLock", owner, self.poison());
        text.field("depth", &depth).finish_non_exhaustive()
    }
}

/// The lock, held at some depth. Dropping the last one gives it back.
#[must_use = "the lock is given back as soon as its guard is dropped"]
pub struct ReentrantLockGuard<'a, T: Plain> {
    lock: &'a ReentrantLock<T>,
    was_panicking: bool,
    held: Held,
}

impl<T: Plain> Deref for ReentrantLockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard says that its thread owns the lock, so no other thread reaches the value, and
        // this one only through `&T`. Guards stay on their thread, and no fork copies one (`Held`).
        unsafe { &*self.lock.shared.value.get() }
    }
}

impl<T: Plain> Drop for ReentrantLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let shared = &self.lock.shared;
        if thread::panicking() && !self.was_panicking {
            shared.poison.set(Cause::Panicked { pid: process::id() });
        }
        let returned = shared.returned.load(Relaxed).wrapping_add(1);
        shared.returned.store(returned, Relaxed);
        if shared.given.load(Relaxed) == returned {
            self.held.one_less();
            shared.thread.store(0, Relaxed);
            shared.raw.unlock();
        }
    }
}

impl<T: Plain> condition::Guard for ReentrantLockGuard<'_, T> {}

/// While its thread waits at a condition it does not have the lock, though it may have other guards. That is
/// sound: the thread is inside the wait, so it reaches nothing through them, and they give `&T`, never
/// `&mut T`. To it the wait is a call in which somebody sets the cells, as any call might. And it does not leave
/// the wait without the lock, not even by a panic ([`Away`]).
impl<'a, T: Plain> sealed::Guard for ReentrantLockGuard<'a, T> {
    type Away = Away<'a, T>;

    fn let_go(self) -> Away<'a, T> {
        let shared = &self.lock.shared;
        let away = Away { lock: self.lock, depth: shared.depth() };
        // With this guard all levels go. If there are others, they stay counted as held: a fork would copy them.
        if away.has_others() {
            let _counted = Held::one_more();
        }
        shared.given.store(1, Relaxed);
        shared.returned.store(0, Relaxed);
        away
    }

    fn take_back(away: Away<'a, T>) -> Result<Self, Poisoned<Self>> {
        let (lock, held) = (away.lock, away.enter());
        mem::forget(away);
        lock.guard(held)
    }
}

/// A lock given up, to be taken back to this depth.
#[derive(Debug)]
#[allow(unreachable_pub)] // The type of a public trait.
pub struct Away<'a, T: Plain> {
    lock: &'a ReentrantLock<T>,
    depth: u64,
}

impl<T: Plain> Away<'_, T> {
    /// Whether this thread has more guards of the lock than the one that it gave up.
    fn has_others(&self) -> bool {
        self.depth > 1
    }

    fn enter(&self) -> Held {
        let Some(held) = self.lock.enter(|raw, me| raw.lock(me, Deadline::NEVER)) else {
            unreachable!("a wait without a deadline ends with the lock");
        };
        // This thread may have it already: if an answer to a signal, run during the wait, forgot a guard.
        let given = &self.lock.shared.given;
        given.store(given.load(Relaxed).wrapping_add(self.depth).wrapping_sub(1), Relaxed);
        if self.has_others() {
            held.one_less();
        }
        held
    }
}

impl<T: Plain> Drop for Away<'_, T> {
    /// A panic in the wait: the other guards of this thread are to find what they expect.
    fn drop(&mut self) {
        let held = self.enter();
        drop(self.lock.guard(held));
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ReentrantLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
