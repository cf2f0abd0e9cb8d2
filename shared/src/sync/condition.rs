//! Waiting, without the lock, for what another does with the lock. The waiters are in `waiters.rs`; here they
//! give up their lock, and take it back.
#![allow(unsafe_code)]

use super::poison::Poisoned;
use super::spin::Spin;
use super::waiters::{Place, Waiters};
use crate::memory::segment::Segment;
use crate::sys::clock::Deadline;
use crate::sys::task::Owner;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::time::Duration;

/// So many may wait at once.
const SLOTS: usize = 65_535;
/// The memory that is there from the beginning: for 63 of them.
const FIRST: usize = 4096;

/// A condition that processes wait for and notify one another of: `std`'s `Condvar` and Python's `Condition`,
/// between processes.
///
/// It goes with a lock, whose data say whether there is something to wait for: a [`Lock`](super::Lock), or a
/// [`ReentrantLock`](super::ReentrantLock) as Python's by default, of which a wait gives up all levels and
/// then takes them back. Who waits gives its guard away and gets it back; who notifies needs no guard, and
/// should have changed the data under the lock before.
///
/// * **Sharing.** Every child forked after the condition was made has it, and so has every thread. Cloning
///   gives another handle to the same condition. It takes one mapping (4 MiB of address space, of which memory
///   is used for those who wait: 64 bytes each, 4 KiB at least), no descriptor and no name.
/// * **Waiting.** [`wait`](Self::wait) blocks, awake for some microseconds, then asleep. Notifications go to who
///   has waited longest. One wakes one: nobody returns without having been notified, unless somebody died.
///   What is notified while nobody waits is not kept. All the same, ask after each wait whether what you
///   waited for is so, or use [`wait_while`](Self::wait_while): others may have had the lock in between.
/// * **At drop** of the last handle in a process the memory is unmapped there.
/// * **At a fork** nothing happens: who waits is not the one that forks.
/// * **At a death** of a waiter nothing happens. If it was notified and had not yet got its lock back,
///   another of those that waited at that time is notified in its stead, within a second. A process that died
///   with the lock leaves it poisoned, and the next waiter's wait returns that. One that dies in a
///   [`notify_one`](Self::notify_one) has notified or not; whom it has not woken, the next one wakes.
///
/// Beneath is the `futex(2)` of Linux, with a word for each waiter.
///
/// ```
/// use shared::process;
/// use shared::sync::{Condition, Lock};
///
/// let (stock, changed) = (Lock::new(0), Condition::new());
/// process::scope(|s| {
///     s.spawn(|| {
///         let mut stock = changed.wait_while(stock.lock().unwrap(), |stock| *stock < 3).unwrap();
///         *stock -= 3;
///     });
///     for _ in 0..3 {
///         *stock.lock().unwrap() += 1;
///         changed.notify_one();
///     }
/// });
/// assert_eq!(*stock.lock().unwrap(), 0);
/// ```
#[doc(alias = "Condvar")]
#[derive(Clone)]
pub struct Condition {
    shared: Segment<Waiters<SLOTS>>,
    spin: Spin,
}

impl Condition {
    /// A condition at which nobody waits.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new() -> Condition {
        Condition::try_new().unwrap_or_else(|error| panic!("no shared memory for a condition: {error}"))
    }

    /// A condition at which nobody waits.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`).
    pub fn try_new() -> io::Result<Condition> {
        // SAFETY: zeroes are waiters: none.
        let shared: Segment<Waiters<SLOTS>> = unsafe { Segment::sparse() }?;
        shared.populate(FIRST)?;
        Ok(Condition { shared, spin: Spin::new() })
    }

    /// Gives up the lock and waits to be notified; takes the lock again, waiting for as long as it takes.
    ///
    /// Whoever notifies after this one gave up the lock finds it waiting.
    ///
    /// # Errors
    ///
    /// [`Poisoned`] if the lock is, when it is taken again. The guard is inside.
    ///
    /// # Panics
    ///
    /// If 65,535 wait already.
    pub fn wait<G: Guard>(&self, guard: G) -> Result<G, Poisoned<G>> {
        self.wait_until(guard, Deadline::NEVER).0
    }

    /// Waits as long as `blocked` says so of the data: Python's `wait_for`, which takes the opposite.
    ///
    /// It asks with the lock held, before it waits at all and after each notification.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), at the first time it comes up.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[doc(alias = "wait_for")]
    pub fn wait_while<G: Guard>(
        &self,
        mut guard: G,
        mut blocked: impl FnMut(&G::Target) -> bool,
    ) -> Result<G, Poisoned<G>> {
        while blocked(&guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), but to be notified within `timeout`: it is not given up before. To take the lock
    /// again comes after that, and takes as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), with the answer beside the guard.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout<G: Guard>(
        &self,
        guard: G,
        timeout: Duration,
    ) -> Result<(G, WaitTimeoutResult), Poisoned<(G, WaitTimeoutResult)>> {
        let (guard, notified) = self.wait_until(guard, Deadline::after(timeout));
        with_answer(guard, WaitTimeoutResult { timed_out: !notified })
    }

    /// As [`wait_while`](Self::wait_while), but at most for `timeout` in all.
    /// [`timed_out`](WaitTimeoutResult::timed_out) says that `blocked` still was so at the end.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[doc(alias = "wait_for")]
    pub fn wait_timeout_while<G: Guard>(
        &self,
        mut guard: G,
        timeout: Duration,
        mut blocked: impl FnMut(&G::Target) -> bool,
    ) -> Result<(G, WaitTimeoutResult), Poisoned<(G, WaitTimeoutResult)>> {
        let deadline = Deadline::after(timeout);
        let mut notified = true;
        loop {
            let timed_out = blocked(&guard);
            if !timed_out || !notified {
                return Ok((guard, WaitTimeoutResult { timed_out }));
            }
            let (taken, woken) = self.wait_until(guard, deadline);
            (guard, notified) = (with_answer(taken, WaitTimeoutResult { timed_out: !woken })?.0, woken);
        }
    }

    /// Notifies the one who has waited longest. If nobody waits, nothing happens.
    #[doc(alias = "signal")]
    #[inline]
    pub fn notify_one(&self) {
        self.shared.notify(1);
    }

    /// Notifies as many, those who have waited longest; all, if there are fewer.
    #[inline]
    pub fn notify(&self, count: usize) {
        self.shared.notify(count);
    }

    /// Notifies all who wait now.
    #[doc(alias = "broadcast")]
    pub fn notify_all(&self) {
        self.shared.notify_all();
    }

    /// Whether notified by the deadline; the guard in any case.
    #[inline]
    fn wait_until<G: Guard>(&self, guard: G, deadline: Deadline) -> (Result<G, Poisoned<G>>, bool) {
        let place = self.shared.enter(Owner::current());
        let place = place.expect("no more than 65,535 may wait at a Condition");
        let turn = Turn { waiters: &self.shared, place: Some(place) };
        // It can be notified now, so nothing that is done with the lock from now on escapes it.
        let away = guard.let_go();
        // If a signal's answer panics, the turn goes on to another first, and then the lock is taken back.
        let mut turn = turn;
        let notified = turn.wait(&self.spin, deadline);
        let guard = G::take_back(away);
        turn.settle();
        (guard, notified)
    }
}

fn with_answer<G>(
    guard: Result<G, Poisoned<G>>,
    answer: WaitTimeoutResult,
) -> Result<(G, WaitTimeoutResult), Poisoned<(G, WaitTimeoutResult)>> {
    match guard {
        Ok(guard) => Ok((guard, answer)),
        Err(poisoned) => Err(poisoned.with(answer)),
    }
}

/// The place of one who waits. Dropped halfway, what it was given is not lost.
struct Turn<'a> {
    waiters: &'a Waiters<SLOTS>,
    place: Option<Place>,
}

impl Turn<'_> {
    #[inline]
    fn wait(&mut self, spin: &Spin, deadline: Deadline) -> bool {
        let notified = self.place.is_some_and(|place| self.waiters.wait(place, spin, deadline));
        if !notified {
            self.place = None;
        }
        notified
    }

    #[inline]
    fn settle(&mut self) {
        if let Some(place) = self.place.take() {
            self.waiters.settle(place);
        }
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.waiters.abandon(place);
        }
    }
}

impl Default for Condition {
    fn default() -> Condition {
        Condition::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiting", &self.shared.waiting()).finish_non_exhaustive()
    }
}

/// Whether a wait with a limit came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult {
    timed_out: bool,
}

impl WaitTimeoutResult {
    /// Whether the time was up before what was waited for.
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }
}

/// What a [`Condition`] gives up while it waits: a [`LockGuard`](super::LockGuard) or a
/// [`ReentrantLockGuard`](super::ReentrantLockGuard).
pub trait Guard: Deref + sealed::Guard {}

pub(super) mod sealed {
    //! Only the guards of this library can be given up.

    use super::Poisoned;

    /// A guard that can be given up and taken back.
    #[allow(unreachable_pub)] // A supertrait of a public trait.
    pub trait Guard: Sized {
        /// What is left of it meanwhile.
        type Away;

        /// Gives the lock back, from whatever depth.
        fn let_go(self) -> Self::Away;

        /// Takes the lock again, to the depth that it had.
        fn take_back(away: Self::Away) -> Result<Self, Poisoned<Self>>;
    }
}
