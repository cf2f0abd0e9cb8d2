//! Permits of which there are so many: to enter, or as signals.

use super::pool::{MOST, Permit, Pool, ReleaseError};
use crate::sys::clock::Deadline;
use std::fmt;
use std::io;
use std::time::Duration;

/// A number of permits that processes share: who acquires one may go on, who finds none waits.
///
/// With 4 permits at most four are inside at once. With 0 it is a gate, which another process opens with
/// [`release`](Self::release). There are at most 65,535 permits at once.
///
/// A permit is owned: it has its holder's name on it from the very instruction that takes it. So a
/// permit is given back by the [`Permit`] that holds it, and by its holder's death. `release` makes
/// *new* permits, and [`Permit::forget`] does away with one, as a signal that was received is.
///
/// * **Sharing.** Every child forked after the semaphore was made has it, and so has every thread. Cloning
///   gives another handle to the same semaphore. It takes one mapping of shared memory (4 KiB, and more
///   from 31 permits on), no descriptor and no name.
/// * **Waiting.** [`acquire`](Self::acquire) blocks: awake for some microseconds, then asleep. It is not
///   fair: who comes first need not be served first. `release` never blocks.
/// * **At drop** of a [`Permit`] another may have it. At drop of the last handle in a process the memory is
///   unmapped there; permits and waiters elsewhere are not concerned.
/// * **At a fork**: refused by [`process`](crate::process) while this thread holds a permit, since the child
///   would have a copy of it. Forget it first if it is no more than a signal.
/// * **At a death** of a holder, at whatever instruction, each of its permits comes back exactly once, within a
///   second if somebody waits for it. A *stopped* holder is alive and keeps them. A panic gives them back
///   like any other end of a scope; there is no poison, since a semaphore guards no data.
///
/// Beneath is the `futex(2)` of Linux.
///
/// ```
/// use shared::process;
/// use shared::sync::Semaphore;
///
/// let (rooms, gate) = (Semaphore::new(2), Semaphore::new(0));
/// process::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| {
///             gate.acquire().forget(); // it was a signal
///             let _room = rooms.acquire();
///             // at most two are here at once
///         });
///     }
///     gate.release(4).unwrap();
/// });
/// assert_eq!((rooms.available(), gate.available()), (2, 0));
/// ```
///
/// A permit stays on its thread, and out of other processes:
///
/// ```compile_fail
/// let rooms = shared::sync::Semaphore::new(2);
/// let room = rooms.acquire();
/// shared::process::scope(|s| {
///     s.spawn(move || drop(room)); // a permit is not `Send`
/// });
/// ```
#[derive(Clone)]
pub struct Semaphore(Pool);

impl Semaphore {
    /// A semaphore with so many permits.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had, or if it is more than 65,535 permits;
    /// [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new(permits: u32) -> Semaphore {
        Semaphore::try_new(permits).unwrap_or_else(|error| panic!("no semaphore: {error}"))
    }

    /// A semaphore with so many permits.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for more than 65,535 permits.
    pub fn try_new(permits: u32) -> io::Result<Semaphore> {
        Ok(Semaphore(Pool::new(permits, MOST)?))
    }

    /// Takes a permit, waiting for as long as it takes.
    #[inline]
    #[doc(alias = "wait")]
    pub fn acquire(&self) -> Permit<'_> {
        self.0.acquire()
    }

    /// Takes a permit if that needs no waiting. Also from a dead holder, which takes some microseconds to prove.
    ///
    /// `None` is the truth: there was a moment during the call at which no permit was free.
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.0.try_acquire()
    }

    /// Takes a permit, waiting at most `timeout`: not less, and on an idle machine no more than milliseconds
    /// longer. `None`: there was none. Interruptions by signals change nothing.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.0.acquire_by(Deadline::after(timeout))
    }

    /// Makes `n` new permits, whoever waits for them: all or none. They are nobody's until they are taken, so no death
    /// takes them back.
    ///
    /// A process that is killed *during* this call has made some of them, never more than `n`.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] if then there were more than 65,535, held ones included, or if there is no memory for
    /// more of them. (Of several calls at the same time that together are too many, each may be refused.)
    #[doc(alias = "post")]
    pub fn release(&self, n: u32) -> Result<(), ReleaseError> {
        self.0.release(n)
    }

    /// How many permits are free now. It may have changed when you read the answer. Those of a dead
    /// holder are missing until somebody has waited for one.
    #[doc(alias = "get_value")]
    pub fn available(&self) -> u32 {
        self.0.available()
    }
}

impl Default for Semaphore {
    /// With one permit.
    fn default() -> Semaphore {
        Semaphore::new(1)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).finish_non_exhaustive()
    }
}

/// A [`Semaphore`] that never has more permits than it had at first.
///
/// It is for permits that come back by themselves, and finds the mistake of releasing what was not
/// forgotten. Sharing, waiting, drop, fork and death are as with [`Semaphore`].
///
/// ```
/// use shared::sync::BoundedSemaphore;
///
/// let rooms = BoundedSemaphore::new(2);
/// let room = rooms.acquire();
/// assert!(rooms.release(1).is_err()); // this one comes back when `room` is dropped
/// room.forget();
/// rooms.release(1).unwrap();
/// assert_eq!(rooms.available(), 2);
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore(Pool);

impl BoundedSemaphore {
    /// A semaphore with so many permits, now and at most.
    ///
    /// # Panics
    ///
    /// As [`Semaphore::new`].
    #[track_caller]
    pub fn new(bound: u32) -> BoundedSemaphore {
        BoundedSemaphore::try_new(bound).unwrap_or_else(|error| panic!("no semaphore: {error}"))
    }

    /// A semaphore with so many permits, now and at most.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_new`].
    pub fn try_new(bound: u32) -> io::Result<BoundedSemaphore> {
        Ok(BoundedSemaphore(Pool::new(bound, bound)?))
    }

    /// Takes a permit, waiting for as long as it takes.
    #[inline]
    #[doc(alias = "wait")]
    pub fn acquire(&self) -> Permit<'_> {
        self.0.acquire()
    }

    /// Takes a permit if that needs no waiting, as [`Semaphore::try_acquire`].
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.0.try_acquire()
    }

    /// Takes a permit, waiting at most `timeout`, as [`Semaphore::acquire_timeout`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.0.acquire_by(Deadline::after(timeout))
    }

    /// Makes `n` new permits in the place of forgotten ones, as [`Semaphore::release`].
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] if then there were more than the bound, held ones included. Nothing has changed then.
    #[doc(alias = "post")]
    pub fn release(&self, n: u32) -> Result<(), ReleaseError> {
        self.0.release(n)
    }

    /// How many permits are free now, as [`Semaphore::available`].
    #[doc(alias = "get_value")]
    pub fn available(&self) -> u32 {
        self.0.available()
    }
}

impl Default for BoundedSemaphore {
    /// With one permit.
    fn default() -> BoundedSemaphore {
        BoundedSemaphore::new(1)
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("BoundedSemaphore");
        text.field("available", &self.available()).field("bound", &self.0.bound).finish_non_exhaustive()
    }
}
