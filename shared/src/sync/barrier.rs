//! A place where processes wait for one another. The parties are in `meeting.rs`; here is the action.
#![allow(unsafe_code)]

use super::meeting::{self, Fate, Meeting, Party};
use super::spin::Spin;
use crate::memory::segment::Segment;
use crate::sys::clock::Deadline;
use crate::sys::task::Owner;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// So many parties a barrier may have, and so many may wait or be about to leave.
const SLOTS: usize = 65_535;
/// The memory that is there from the beginning: for 252 of them.
const FIRST: usize = 4096;

/// A place where so many processes wait until all are there: `std`'s and Python's `Barrier`, between
/// processes, with Python's ways to break it.
///
/// When the last one comes all go on, and it can be used again at once. An action may be given, which the
/// last one runs before anyone goes on.
///
/// * **Sharing.** Every child forked after the barrier was made has it, and so has every thread: each thread that
///   waits is a party. Cloning gives another handle to the same barrier. It takes one mapping (1 MiB of address
///   space, of which memory is used for those who wait: 16 bytes each, 4 KiB at least), no descriptor and no
///   name. The action is copied by the fork: it may have captured anything, and runs in the process of the last.
/// * **Waiting.** [`wait`](Self::wait) blocks, awake for some microseconds, then asleep.
/// * **Broken** it is after an [`abort`](Self::abort), a time-out, a death or a panic in the action. Then all that
///   wait, and all that come later, get a [`BrokenBarrier`], until somebody calls [`reset`](Self::reset).
/// * **At drop** of the last handle in a process the memory is unmapped there.
/// * **At a fork** nothing happens: who waits is not the one that forks.
/// * **At a death** of one that waits the others get a [`BrokenBarrier`] that names it, within a second. Whom it
///   misses and never came, it cannot know: that is what [`wait_timeout`](Self::wait_timeout) is for.
///
/// Beneath is the `futex(2)` of Linux.
///
/// ```
/// use shared::process;
/// use shared::sync::{Barrier, Lock};
///
/// let (ready, barrier) = (Lock::new(0), Barrier::new(3));
/// process::scope(|s| {
///     for _ in 0..3 {
///         s.spawn(|| {
///             *ready.lock().unwrap() += 1;
///             barrier.wait().unwrap();
///             assert_eq!(*ready.lock().unwrap(), 3);
///         });
///     }
/// });
/// ```
#[derive(Clone)]
pub struct Barrier {
    shared: Segment<Meeting<SLOTS>>,
    spin: Spin,
    parties: usize,
    action: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Barrier {
    /// A barrier for so many.
    ///
    /// # Panics
    ///
    /// If `parties` is 0 or more than 65,535, or there is no mapping to be had; [`try_new`](Self::try_new) returns
    /// that.
    #[track_caller]
    pub fn new(parties: usize) -> Barrier {
        Barrier::try_new(parties).unwrap_or_else(|error| panic!("no barrier for {parties}: {error}"))
    }

    /// A barrier for so many.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `parties` is 0 or more than 65,535; else what `mmap(2)` says when there is no address
    /// space or the process has too many mappings (`ENOMEM`).
    pub fn try_new(parties: usize) -> io::Result<Barrier> {
        if !(1..=SLOTS).contains(&parties) {
            let why = format!("a barrier has 1 to {SLOTS} parties, not {parties}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        // SAFETY: zeroes are a meeting: nobody is there.
        let shared: Segment<Meeting<SLOTS>> = unsafe { Segment::sparse() }?;
        shared.populate(FIRST)?;
        Ok(Barrier { shared, spin: Spin::new(), parties, action: None })
    }

    /// A barrier for so many, whose last runs `action` each time, before anyone goes on.
    ///
    /// It is run without any lock held, and may use whatever it likes except this barrier. If it panics, the
    /// barrier is broken and the panic goes on in the last one.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    ///
    /// ```
    /// use shared::sync::Barrier;
    ///
    /// let barrier = Barrier::with_action(1, || println!("all are there"));
    /// assert!(barrier.wait().unwrap().is_leader());
    /// ```
    #[track_caller]
    pub fn with_action(parties: usize, action: impl Fn() + Send + Sync + 'static) -> Barrier {
        Barrier { action: Some(Arc::new(action)), ..Barrier::new(parties) }
    }

    /// Waits until all are there.
    ///
    /// # Errors
    ///
    /// [`BrokenBarrier`] if it is broken, or is broken or reset while this one waits.
    ///
    /// # Panics
    ///
    /// With the action, in the last one.
    pub fn wait(&self) -> Result<BarrierWaitResult, BrokenBarrier> {
        self.wait_until(Deadline::NEVER)
    }

    /// Waits until all are there, at most for `timeout`. Not less, and on an idle machine no more than
    /// milliseconds longer, whoever is missing and however long the action takes.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait). If the time is up, that breaks the barrier for all:
    /// [`BrokenCause::TimedOut`].
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BrokenBarrier> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Breaks the barrier: those that wait, and those that come, get a [`BrokenBarrier`]. What broke it before
    /// stays the cause.
    pub fn abort(&self) {
        self.shared.fail(Owner::current(), meeting::ABORTED);
    }

    /// Makes the barrier as new. Those that wait get a [`BrokenBarrier`] with [`BrokenCause::Reset`].
    pub fn reset(&self) {
        self.shared.reset(Owner::current());
    }

    /// Whether it is broken, and why. It may have changed when you read the answer.
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> Option<BrokenCause> {
        self.shared.failure().and_then(BrokenCause::of)
    }

    /// How many go on together.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many wait now. It may have changed when you read the answer.
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> usize {
        self.shared.arrived()
    }

    fn wait_until(&self, deadline: Deadline) -> Result<BarrierWaitResult, BrokenBarrier> {
        let me = Owner::current();
        let party = self.shared.arrive(me, self.parties, deadline).map_err(BrokenBarrier::by)?;
        let mut stay = Stay { meeting: &self.shared, party, panicked: meeting::ABORTED };
        if party.last {
            self.shared.look_for_the_dead(me);
            if let Some(action) = &self.action
                && self.shared.fate(party).is_none()
            {
                stay.panicked = meeting::PANICKED | u64::from(me.pid());
                action();
            }
            self.shared.decide_for(party, meeting::PASSED);
        }
        let fate = self.shared.wait(party, &self.spin, deadline);
        std::mem::forget(stay);
        if fate == meeting::PASSED {
            return Ok(BarrierWaitResult { index: party.index });
        }
        Err(BrokenBarrier::by(fate))
    }
}

/// That a party is there. Dropped, which only a panic does, it breaks the barrier and leaves.
struct Stay<'a> {
    meeting: &'a Meeting<SLOTS>,
    party: Party,
    /// What a panic would mean.
    panicked: Fate,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.meeting.decide_for(self.party, self.panicked);
        self.meeting.wait(self.party, &Spin::new(), Deadline::NEVER);
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Barrier");
        text.field("parties", &self.parties).field("waiting", &self.waiting());
        text.field("broken", &self.is_broken()).finish_non_exhaustive()
    }
}

/// What a party knows when all have come: which of them it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
}

impl BarrierWaitResult {
    /// For a managed barrier, where the server numbers them.
    pub(crate) fn new(index: usize) -> BarrierWaitResult {
        BarrierWaitResult { index }
    }

    /// Whether this is the one party of all that may do what one has to do: the one with index 0.
    pub fn is_leader(&self) -> bool {
        self.index == 0
    }

    /// A number from 0 to the number of parties less one; each of them has another.
    pub fn index(&self) -> usize {
        self.index
    }
}

/// Why a barrier is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenCause {
    /// Somebody called [`abort`](Barrier::abort), or left by a panic that was not the action's.
    Aborted,
    /// The time of one that waited was up.
    TimedOut,
    /// A process ended while it waited: killed, crashed or exited.
    OwnerDied {
        /// The process.
        pid: u32,
    },
    /// The action panicked.
    ActionPanicked {
        /// The process in which that happened.
        pid: u32,
    },
    /// Somebody called [`reset`](Barrier::reset) while this one waited. The barrier itself is as new.
    Reset,
}

impl BrokenCause {
    fn of(fate: Fate) -> Option<BrokenCause> {
        let pid = fate as u32;
        match fate - u64::from(pid) {
            meeting::ABORTED => Some(BrokenCause::Aborted),
            meeting::TIMED_OUT => Some(BrokenCause::TimedOut),
            meeting::DIED => Some(BrokenCause::OwnerDied { pid }),
            meeting::PANICKED => Some(BrokenCause::ActionPanicked { pid }),
            meeting::RESET => Some(BrokenCause::Reset),
            _ => None,
        }
    }
}

impl fmt::Display for BrokenCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokenCause::Aborted => f.write_str("it was aborted"),
            BrokenCause::TimedOut => f.write_str("the time of one that waited was up"),
            BrokenCause::OwnerDied { pid } => write!(f, "process {pid} died while it waited"),
            BrokenCause::ActionPanicked { pid } => write!(f, "the action panicked in process {pid}"),
            BrokenCause::Reset => f.write_str("it was reset meanwhile"),
        }
    }
}

/// A wait that did not end with all being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrier {
    cause: BrokenCause,
}

impl BrokenBarrier {
    fn by(fate: Fate) -> BrokenBarrier {
        BrokenBarrier { cause: BrokenCause::of(fate).unwrap_or(BrokenCause::Aborted) }
    }

    /// What happened.
    pub fn cause(&self) -> BrokenCause {
        self.cause
    }
}

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken barrier: {}", self.cause)
    }
}

impl Error for BrokenBarrier {}
