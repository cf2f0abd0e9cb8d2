//! The word of an event: whether it is set, and how often it was. No data, no handles: that is `event.rs`.
//!
//! # The word
//!
//! ```text
//!  63               32 31       30              1  0
//! ┌───────────────────┬───────────┬──────────────┬─────┐
//! │ generation, high  │ SLEEPERS  │ low 30 bits  │ SET │     0 = new
//! └───────────────────┴───────────┴──────────────┴─────┘
//!                      the half on which they sleep
//! ```
//!
//! Without `SLEEPERS` it is a counter of 63 bits, odd while the event is set: its *state*.
//!
//! # The transitions
//!
//! ```text
//! set       any                  => the same + SET            or; if SLEEPERS was set, wakes all
//! clear     SET (+ SLEEPERS)     => next even, no SLEEPERS    CAS
//! announce  even                 => the same + SLEEPERS       CAS, before every sleep
//! ```
//!
//! # Why it is right
//!
//! *A wait ends when the state is no more what it was at first*, and then only or in time. At first it was
//! even, so the next one is odd: the event was set, whatever became of it since. States come once: 2⁶² are
//! not used up.
//!
//! *Nobody sleeps through a set.* Who sleeps had announced it in the same word and the same state, and the
//! kernel lets him sleep only while the word still says so. Only a set changes that word, and it finds the
//! mark there and wakes all. So a clear may take the mark away, at once and without a thought for those who
//! have not run yet: they compare states, not flags.
//!
//! *Whoever dies.* A setter, between the set and the wake: then the sleepers find the new state when their
//! slice ends ([`Slice`]), or are woken by the next who sets what is set already, for the mark is still
//! there. A waiter leaves at most the mark, which costs one idle wake. No count is kept, so none can be wrong.
//!
//! *Memory order.* `Release` in the set and `Acquire` wherever a wait ends order what was done before the one
//! and after the other; the clear in between reads and writes in one step, so it passes that order on. It has
//! `Acquire` of its own, for those who clear and then look whether there is work.

use super::slice::Slice;
use super::spin::Spin;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};

const SET: u64 = 1;
/// Somebody sleeps, or is about to: who sets, wakes.
const SLEEPERS: u64 = 1 << 31;

/// A flag in shared memory that can be waited for. All zeroes is one that is not set.
#[derive(Debug)]
pub(super) struct Flag {
    word: AtomicU64,
}

impl Flag {
    pub(super) fn new() -> Flag {
        Flag { word: AtomicU64::new(0) }
    }

    pub(super) fn is_set(&self) -> bool {
        self.word.load(Acquire) & SET != 0
    }

    /// Safe in a signal handler: an atomic, and a system call that does not fail, so `errno` stays as it is.
    #[inline]
    pub(super) fn set(&self) {
        // set
        if self.word.fetch_or(SET, Release) & SLEEPERS != 0 {
            futex::wake(&self.word, i32::MAX);
        }
    }

    pub(super) fn clear(&self) {
        let seen = self.word.load(Acquire);
        if seen & SET != 0 {
            // clear. Nothing else changes a word that is set: if it fails, another has just done it.
            let _ = self.word.compare_exchange(seen, cleared(seen), Acquire, Acquire);
        }
    }

    /// Waits until it is set, at most until the deadline. `false`: not by then.
    #[inline]
    pub(super) fn wait(&self, spin: &Spin, deadline: Deadline) -> bool {
        let first = state(self.word.load(Acquire));
        first & SET != 0 || spin.until(|| self.has_left(first)) || self.sleep(first, deadline)
    }

    #[cold]
    fn sleep(&self, first: u64, deadline: Deadline) -> bool {
        let marked = first | SLEEPERS;
        let mut slice = Slice::first();
        loop {
            // announce
            match self.word.compare_exchange(first, marked, Acquire, Acquire) {
                Err(now) if now != marked => return true,
                _ => {}
            }
            let waited = futex::wait(&self.word, marked, deadline.at_most(slice.next()));
            if self.has_left(first) {
                return true;
            }
            if waited == Wait::TimedOut && deadline.has_passed() {
                return false;
            }
        }
    }

    fn has_left(&self, first: u64) -> bool {
        state(self.word.load(Acquire)) != first
    }
}

/// The word without the mark.
fn state(word: u64) -> u64 {
    word & !SLEEPERS
}

/// The state after this one, which is odd. The carry goes over the mark.
pub(super) fn cleared(word: u64) -> u64 {
    state((word | SLEEPERS).wrapping_add(1))
}
