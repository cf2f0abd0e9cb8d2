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
//! set       no SLEEPERS          => the same + SET            CAS
//! set       SLEEPERS             => the same + SET            by the kernel, which wakes all in the same step
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
//! mark there: then the kernel sets and wakes all. So a clear may take the mark away, at once and without a thought for those who
//! have not run yet: they compare states, not flags.
//!
//! *Whoever dies.* To a setter that is killed the set and the wake are one step, so no wake-up is lost with him, and
//! who sleeps needs no time limit of his own: that would take a timer, which whoever is woken has to take down. (In a
//! process that answers signals he wakes now and then, for one that comes just before he sleeps.) A waiter leaves at
//! most the mark, which costs one idle wake. No count is kept, so none can be wrong.
//!
//! *Memory order.* `Release` in the set, or the kernel's own order, which is stronger, and `Acquire` wherever a wait ends order what was done before the one
//! and after the other; the clear in between reads and writes in one step, so it passes that order on. It has
//! `Acquire` of its own, for those who clear and then look whether there is work.

use super::slice::Slice;
use super::spin::Spin;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};
use crate::sys::signal;

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

    /// Safe in a signal handler: atomics, and a system call that does not fail, so `errno` stays as it is.
    #[inline]
    pub(super) fn set(&self) {
        let mut seen = self.word.load(Relaxed);
        while seen & SLEEPERS == 0 {
            // set
            match self.word.compare_exchange(seen, seen | SET, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
        // set, and wake
        futex::set_and_wake_all(&self.word, SET as u32);
    }

    #[inline]
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

    #[inline]
    fn sleep(&self, first: u64, deadline: Deadline) -> bool {
        let marked = first | SLEEPERS;
        let mut slice = Slice::first();
        loop {
            // announce
            match self.word.compare_exchange(first, marked, Acquire, Acquire) {
                Err(now) if now != marked => return true,
                _ => {}
            }
            let until = if signal::is_any_caught() { deadline.at_most(slice.next()) } else { deadline };
            let waited = futex::wait(&self.word, marked, until);
            if self.has_left(first) {
                return true;
            }
            if waited == Wait::TimedOut && deadline.has_passed() {
                return false;
            }
        }
    }

    #[inline]
    fn has_left(&self, first: u64) -> bool {
        state(self.word.load(Acquire)) != first
    }
}

/// The word without the mark.
#[inline]
fn state(word: u64) -> u64 {
    word & !SLEEPERS
}

/// The state after this one, which is odd. The carry goes over the mark.
#[inline]
pub(super) fn cleared(word: u64) -> u64 {
    state((word | SLEEPERS).wrapping_add(1))
}
