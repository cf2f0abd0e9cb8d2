//! The one lock word: who owns it, and whether anybody sleeps on it. All else is built on this.
//!
//! # The word
//!
//! ```text
//!  63           32 31       30 29          0
//! ┌───────────────┬───────────┬─────────────┐
//! │  start time   │ SLEEPERS  │     pid     │     0 = free
//! └───────────────┴───────────┴─────────────┘
//!                  the half on which they sleep
//! ```
//!
//! # The transitions
//!
//! ```text
//! take      FREE            => me                  CAS, by one who has not slept
//! retake    FREE            => me + SLEEPERS       CAS, by one who has: there may be others
//! announce  owner           => owner + SLEEPERS    CAS, before every sleep
//! release   me (+ SLEEPERS) => FREE                swap; if SLEEPERS was set, wakes one
//! inherit   dead (+ …)      => me + SLEEPERS       CAS, once the owner's end is proved
//! ```
//!
//! # Why it is right
//!
//! *One owner.* Every way in is a CAS that writes the owner with the same instruction, so there is no
//! moment at which the lock is taken and nobody's. `inherit` replaces exactly the owner whose end was
//! proved: of two who proved it one wins. Owners are never mistaken for one another ([`Owner`]), so a
//! process that is merely stopped, or that has a dead one's number, is not robbed.
//!
//! *Nobody sleeps on a free lock.* Who sleeps had announced it in the same word, and the kernel lets him
//! sleep only while the word still says so. The release that removes the mark wakes one sleeper, and that
//! one puts the mark back, by `retake` or by `announce`, on behalf of all the others.
//!
//! *Whoever dies.* With an owner, after the proof, comes `inherit`. With a releaser, between the swap and
//! the wake, or with the woken sleeper, before it has put the mark back, a wake-up is lost; then the
//! others sleep on until their slice ends ([`Slice`]), look again and announce again. A dead sleeper
//! leaves at most a mark, which costs one idle wake. No count is kept, so none can be wrong.
//!
//! *Memory order.* All decisions rest on this one word, whose changes have one order. `Acquire` when
//! taking and `Release` when giving back order what the lock guards. What a dead owner wrote is there
//! before its end is proved, for the proof comes from the kernel, through locks of its own.

use super::slice::Slice;
use super::spin;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};
use crate::sys::task::{Owner, Watch};

const FREE: u64 = 0;
/// Somebody sleeps, or is about to: who releases, wakes.
const SLEEPERS: u64 = 1 << 31;

/// A lock without data, in shared memory. All zeroes is a free one.
#[derive(Debug)]
pub(crate) struct RawLock {
    word: AtomicU64,
}

/// How the lock came to its new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was free.
    Clean,
    /// This owner died and had it until then.
    From(Owner),
}

impl RawLock {
    pub(crate) fn new() -> RawLock {
        RawLock { word: AtomicU64::new(FREE) }
    }

    /// Takes the lock, waiting for it at most until the deadline. `None`: not by then.
    #[inline]
    pub(crate) fn lock(&self, me: Owner, deadline: Deadline) -> Option<Taken> {
        if self.take(me.to_word()) { Some(Taken::Clean) } else { self.lock_contended(me, deadline) }
    }

    /// Takes the lock if it is free, or if its owner is dead.
    #[inline]
    pub(crate) fn try_lock(&self, me: Owner) -> Option<Taken> {
        if self.take(me.to_word()) { Some(Taken::Clean) } else { self.inherit(me, Owner::has_ended) }
    }

    /// Gives the lock back. The caller is its owner.
    #[inline]
    pub(crate) fn unlock(&self) {
        // release
        if self.word.swap(FREE, Release) & SLEEPERS != 0 {
            futex::wake(&self.word, 1);
        }
    }

    /// Who has it now, dead or alive.
    #[inline]
    pub(crate) fn owner(&self) -> Option<Owner> {
        Owner::in_word(self.word.load(Relaxed))
    }

    #[cold]
    fn lock_contended(&self, me: Owner, deadline: Deadline) -> Option<Taken> {
        if spin::until(|| self.take_if_free(me.to_word())) {
            return Some(Taken::Clean);
        }
        let (mut slice, mut watch) = (Slice::first(), Watch::default());
        let mut look_round = deadline.at_most(slice.next());
        loop {
            // retake
            if self.take_if_free(me.to_word() | SLEEPERS) {
                return Some(Taken::Clean);
            }
            let Some(seen) = self.announce() else { continue };
            let waited = futex::wait(&self.word, seen, look_round);
            if look_round.has_passed() {
                if let Some(taken) = self.inherit(me, |owner| watch.has_ended(owner)) {
                    return Some(taken);
                }
                // Leaves only who has not been woken just now: nobody goes away with a wake-up.
                if waited == Wait::TimedOut && deadline.has_passed() {
                    return None;
                }
                look_round = deadline.at_most(slice.next());
            }
            if waited == Wait::LookAgain && spin::until(|| self.take_if_free(me.to_word() | SLEEPERS)) {
                return Some(Taken::Clean);
            }
        }
    }

    /// `take` and `retake`.
    #[inline]
    fn take(&self, mine: u64) -> bool {
        #[cfg(feature = "sabotage-lock")]
        {
            // The mistake that the killer must find: for some instructions the lock is another's, who lives on.
            const TAKEN: u64 = 1;
            let taken = self.word.compare_exchange(FREE, TAKEN, Acquire, Relaxed).is_ok();
            if taken {
                self.word.store(mine, Relaxed);
            }
            taken
        }
        #[cfg(not(feature = "sabotage-lock"))]
        self.word.compare_exchange(FREE, mine, Acquire, Relaxed).is_ok()
    }

    /// Looks before it takes: a CAS that fails would still fetch the cache line from the owner.
    fn take_if_free(&self, mine: u64) -> bool {
        self.word.load(Relaxed) == FREE && self.take(mine)
    }

    /// Sees to it that the owner will wake somebody, and returns the word to sleep on. `None`: look again.
    fn announce(&self) -> Option<u64> {
        let seen = self.word.load(Relaxed);
        if seen & SLEEPERS != 0 {
            return Some(seen);
        }
        let marked = seen | SLEEPERS;
        // announce
        (seen != FREE && self.word.compare_exchange(seen, marked, Relaxed, Relaxed).is_ok()).then_some(marked)
    }

    /// Takes the lock from an owner who has died with it.
    #[cold]
    fn inherit(&self, me: Owner, has_ended: impl FnOnce(Owner) -> bool) -> Option<Taken> {
        let mut seen = self.word.load(Relaxed);
        let mine = me.to_word() | SLEEPERS;
        let Some(owner) = Owner::in_word(seen) else {
            // Free; or overwritten, by one who has gone mad, with what is nobody's.
            let taken = seen != FREE && self.word.compare_exchange(seen, mine, Acquire, Relaxed).is_ok();
            return taken.then_some(Taken::Clean);
        };
        if owner == me || !has_ended(owner) {
            return None;
        }
        // Again if somebody has announced himself meanwhile: the owner is dead all the same.
        while Owner::in_word(seen) == Some(owner) {
            // inherit
            match self.word.compare_exchange(seen, mine, Acquire, Relaxed) {
                Ok(_) => return Some(Taken::From(owner)),
                Err(now) => seen = now,
            }
        }
        None
    }
}
