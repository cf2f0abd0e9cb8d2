//! A lock of either kind, and the witness that it has one owner.

use crate::scene::Wrong;
use crate::survivor::is_alive;
use shared::memory::Shared;
use shared::sync::{Cause, Lock, LockGuard, LockTimeoutError, Poisoned};
use shared::sync::{ReentrantLock, ReentrantLockGuard, TryLockError};
use std::cell::Cell;
use std::fmt::Debug;
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
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
        }
    };
}

kind!(Lock, LockGuard, false);
kind!(ReentrantLock, ReentrantLockGuard, true);

/// What a survivor found when it had the lock: whose death the lock reported, and the count.
pub(crate) type Found = (Option<u32>, u64);

/// Two words beside the lock, which all processes see.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    /// The pid of the one who has the lock.
    owner: Shared<AtomicU64>,
    /// How often somebody got the lock while another had it.
    double_owners: Shared<AtomicU64>,
}

impl Witness {
    pub(crate) fn new() -> Witness {
        let word = || Shared::new(AtomicU64::new(0));
        Witness { owner: word(), double_owners: word() }
    }

    /// This process has the lock now, says the lock.
    pub(crate) fn comes(&self, owner: u32) {
        let before = self.owner.swap(owner.into(), SeqCst) as u32;
        if before != 0 && before != owner && is_alive(before) {
            self.double_owners.fetch_add(1, SeqCst);
        }
    }

    /// And is about to give it back.
    fn goes(&self, owner: u32) {
        if self.owner.compare_exchange(owner.into(), 0, SeqCst, SeqCst).is_err() {
            self.double_owners.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn testify(&self) -> Result<(), Wrong> {
        match self.double_owners.swap(0, SeqCst) {
            0 => Ok(()),
            times => Err(Wrong::DoubleOwner(format!("two owners, {times} times"))),
        }
    }

    /// Notes who has the lock now, and lets the count and the poison say what they say.
    pub(crate) fn hold<'a, K: Kind>(
        &'a self,
        lock: &'a K,
        taken: Taken<K::Guard<'a>>,
    ) -> (Hold<'a, K>, Found) {
        self.comes(process::id());
        let (guard, cause) = match taken {
            Ok(guard) => (guard, None),
            Err(poisoned) => {
                let cause = poisoned.cause();
                lock.clear_poison();
                (poisoned.into_inner(), Some(cause))
            }
        };
        guard.set(guard.get() + 1);
        let died = match cause {
            Some(Cause::OwnerDied { pid }) => Some(pid),
            _ => None,
        };
        let found = (died, guard.get());
        (Hold { _guard: guard, witness: self }, found)
    }
}

/// The lock, held by a survivor.
pub(crate) struct Hold<'a, K: Kind> {
    /// Given back after the witness, as fields are dropped after `drop`.
    _guard: K::Guard<'a>,
    witness: &'a Witness,
}

impl<K: Kind> Drop for Hold<'_, K> {
    fn drop(&mut self) {
        self.witness.goes(process::id());
    }
}
