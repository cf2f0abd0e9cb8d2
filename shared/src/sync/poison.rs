//! What a lock says after its owner panicked or died: the data may be half changed.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a lock is poisoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The owner panicked while it held the lock.
    Panicked {
        /// The process in which that happened.
        pid: u32,
    },
    /// The owner ended while it held the lock: killed, crashed or exited.
    OwnerDied {
        /// The process that owned it.
        pid: u32,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Panicked { pid } => write!(f, "process {pid} panicked while it held the lock"),
            Cause::OwnerDied { pid } => write!(f, "process {pid} died while it held the lock"),
        }
    }
}

/// The poison beside a lock word: written and read by the lock's owner alone, so `Relaxed` will do.
#[derive(Debug)]
pub(super) struct Poison(AtomicU64);

impl Poison {
    const PANICKED: u64 = 1 << 32;
    const OWNER_DIED: u64 = 2 << 32;

    pub(super) fn none() -> Poison {
        Poison(AtomicU64::new(0))
    }

    #[inline]
    pub(super) fn cause(&self) -> Option<Cause> {
        match self.0.load(Relaxed) {
            0 => None,
            word => Some(Poison::read(word)),
        }
    }

    #[cold]
    fn read(word: u64) -> Cause {
        let pid = word as u32;
        if word >> 32 << 32 == Poison::PANICKED { Cause::Panicked { pid } } else { Cause::OwnerDied { pid } }
    }

    pub(super) fn set(&self, cause: Cause) {
        let (kind, pid) = match cause {
            Cause::Panicked { pid } => (Poison::PANICKED, pid),
            Cause::OwnerDied { pid } => (Poison::OWNER_DIED, pid),
        };
        self.0.store(kind | u64::from(pid), Relaxed);
    }

    pub(super) fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

/// The lock was taken, but an earlier owner panicked or died while it held it.
///
/// The guard is inside: [`into_inner`](Self::into_inner) gives it to those who can put the data right, or
/// need not. The lock stays poisoned, for everybody, until `clear_poison` is called.
pub struct Poisoned<G> {
    guard: G,
    cause: Cause,
}

impl<G> Poisoned<G> {
    pub(crate) fn new(guard: G, cause: Cause) -> Poisoned<G> {
        Poisoned { guard, cause }
    }

    /// The same of the guard and something beside it.
    pub(super) fn with<A>(self, beside: A) -> Poisoned<(G, A)> {
        Poisoned { guard: (self.guard, beside), cause: self.cause }
    }

    /// What happened.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The guard: the lock is held, whatever the data may look like.
    pub fn into_inner(self) -> G {
        self.guard
    }

    /// A look at the guard.
    pub fn get_ref(&self) -> &G {
        &self.guard
    }

    /// The guard, to change what it guards.
    pub fn get_mut(&mut self) -> &mut G {
        &mut self.guard
    }
}

impl<G> fmt::Debug for Poisoned<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poisoned").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl<G> fmt::Display for Poisoned<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "poisoned lock: {}", self.cause)
    }
}

impl<G> Error for Poisoned<G> {}

/// Why `try_lock` did not give a guard.
pub enum TryLockError<G> {
    /// It was taken, but is poisoned.
    Poisoned(Poisoned<G>),
    /// Somebody else, alive, has the lock.
    WouldBlock,
}

/// Why `lock_timeout` did not give a guard.
pub enum LockTimeoutError<G> {
    /// It was taken, but is poisoned.
    Poisoned(Poisoned<G>),
    /// Somebody else, alive, had the lock until the time was up.
    Timeout,
}

impl<G> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryLockError::Poisoned(poisoned) => poisoned.fmt(f),
            TryLockError::WouldBlock => f.write_str("WouldBlock"),
        }
    }
}

impl<G> fmt::Debug for LockTimeoutError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockTimeoutError::Poisoned(poisoned) => poisoned.fmt(f),
            LockTimeoutError::Timeout => f.write_str("Timeout"),
        }
    }
}

impl<G> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryLockError::Poisoned(poisoned) => poisoned.fmt(f),
            TryLockError::WouldBlock => f.write_str("the lock is held by another"),
        }
    }
}

impl<G> fmt::Display for LockTimeoutError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockTimeoutError::Poisoned(poisoned) => poisoned.fmt(f),
            LockTimeoutError::Timeout => f.write_str("the lock was held by another until the time was up"),
        }
    }
}

impl<G> Error for TryLockError<G> {}
impl<G> Error for LockTimeoutError<G> {}

impl<G> From<Poisoned<G>> for TryLockError<G> {
    fn from(poisoned: Poisoned<G>) -> TryLockError<G> {
        TryLockError::Poisoned(poisoned)
    }
}

impl<G> From<Poisoned<G>> for LockTimeoutError<G> {
    fn from(poisoned: Poisoned<G>) -> LockTimeoutError<G> {
        LockTimeoutError::Poisoned(poisoned)
    }
}
