//! Two of a kind: both locks, and both semaphores, with the operations that the rows use.

use shared::sync::{BoundedSemaphore, Cause, Condition, Lock, LockGuard, LockTimeoutError, Permit, Poisoned};
use shared::sync::{ReentrantLock, ReentrantLockGuard, Semaphore, TryLockError};
use std::cell::Cell;
use std::fmt::Debug;
use std::ops::Deref;
use std::time::Duration;

/// What `lock` returns.
pub(crate) type Taken<G> = Result<G, Poisoned<G>>;

/// `Lock` and `ReentrantLock`, over a count of how often they were taken.
pub(crate) trait Kind: Clone + Debug + Send + 'static {
    const NAME: &'static str;
    const REENTRANT: bool;
    type Guard<'a>: Deref<Target = Cell<u64>>;

    fn new() -> Self;
    fn lock(&self) -> Taken<Self::Guard<'_>>;
    fn try_lock(&self) -> Option<Taken<Self::Guard<'_>>>;
    fn lock_timeout(&self, timeout: Duration) -> Option<Taken<Self::Guard<'_>>>;
    fn is_locked(&self) -> bool;
    fn poison(&self) -> Option<Cause>;
    fn clear_poison(&self);
    fn wait<'a>(condition: &Condition, guard: Self::Guard<'a>) -> Taken<Self::Guard<'a>>;
    /// Whoever gets the guard back keeps it.
    fn wait_timeout(condition: &Condition, guard: Self::Guard<'_>, time_limit: Duration);

    /// The pid in the lock word, which the locks tell in their `Debug` text only.
    fn owner(&self) -> Option<u32> {
        let text = format!("{self:?}");
        text.split_once("owner: Some(")?.1.split_once(')')?.0.parse().ok()
    }
}

macro_rules! kind {
    ($lock:ident, $guard:ident, $reentrant:literal) => {
        impl Kind for $lock<Cell<u64>> {
            const NAME: &'static str = stringify!($lock);
            const REENTRANT: bool = $reentrant;
            type Guard<'a> = $guard<'a, Cell<u64>>;

            fn new() -> Self {
                $lock::new(Cell::new(0))
            }

            #[inline(always)]
            fn lock(&self) -> Taken<Self::Guard<'_>> {
                self.lock()
            }

            #[inline(always)]
            fn try_lock(&self) -> Option<Taken<Self::Guard<'_>>> {
                match self.try_lock() {
                    Ok(guard) => Some(Ok(guard)),
                    Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
                    Err(TryLockError::WouldBlock) => None,
                }
            }

            #[inline(always)]
            fn lock_timeout(&self, timeout: Duration) -> Option<Taken<Self::Guard<'_>>> {
                match self.lock_timeout(timeout) {
                    Ok(guard) => Some(Ok(guard)),
                    Err(LockTimeoutError::Poisoned(poisoned)) => Some(Err(poisoned)),
                    Err(LockTimeoutError::Timeout) => None,
                }
            }

            fn is_locked(&self) -> bool {
                self.is_locked()
            }

            fn poison(&self) -> Option<Cause> {
                self.poison()
            }

            fn clear_poison(&self) {
                self.clear_poison();
            }

            #[inline(always)]
            fn wait<'a>(condition: &Condition, guard: Self::Guard<'a>) -> Taken<Self::Guard<'a>> {
                condition.wait(guard)
            }

            #[inline(always)]
            fn wait_timeout(condition: &Condition, guard: Self::Guard<'_>, time_limit: Duration) {
                std::mem::forget(condition.wait_timeout(guard, time_limit));
            }
        }
    };
}

kind!(Lock, LockGuard, false);
kind!(ReentrantLock, ReentrantLockGuard, true);

pub(crate) fn sound<G>(taken: Taken<G>) -> G {
    taken.unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Plain(Semaphore),
    Bounded(BoundedSemaphore),
}

macro_rules! either {
    ($pool:expr, $semaphore:ident => $call:expr) => {
        match $pool {
            Pool::Plain($semaphore) => $call,
            Pool::Bounded($semaphore) => $call,
        }
    };
}

impl Pool {
    pub(crate) fn new(is_bounded: bool, bound: u64) -> Pool {
        let bound = bound as u32;
        if is_bounded {
            Pool::Bounded(BoundedSemaphore::new(bound))
        } else {
            Pool::Plain(Semaphore::new(bound))
        }
    }

    pub(crate) fn acquire(&self) -> Permit<'_> {
        either!(self, semaphore => semaphore.acquire())
    }

    pub(crate) fn try_acquire(&self) -> Option<Permit<'_>> {
        either!(self, semaphore => semaphore.try_acquire())
    }

    pub(crate) fn acquire_timeout(&self, time_limit: Duration) -> Option<Permit<'_>> {
        either!(self, semaphore => semaphore.acquire_timeout(time_limit))
    }

    pub(crate) fn release(&self, n: u64) -> bool {
        either!(self, semaphore => semaphore.release(n as u32).is_ok())
    }

    pub(crate) fn available(&self) -> u64 {
        either!(self, semaphore => semaphore.available().into())
    }
}
