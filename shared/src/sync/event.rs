//! A flag that processes wait for, and the number of times it was set, in one word.
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
use crate::memory::segment::Segment;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};
use std::fmt;
use std::io;
use std::time::Duration;

const SET: u64 = 1;
/// Somebody sleeps, or is about to: who sets, wakes.
const SLEEPERS: u64 = 1 << 31;

/// A flag that one process sets and others wait for: Python's `Event`.
///
/// * **Sharing.** Every child forked after the event was made has it, and so has every thread. Cloning gives
///   another handle to the same event. It takes one mapping of shared memory (4 KiB), no descriptor and no
///   name.
/// * **Waiting.** [`wait`](Self::wait) returns at once while the event is set. Else it blocks: awake for some
///   microseconds, if that has helped before, then asleep. One [`set`](Self::set) releases all who wait, even
///   if it is followed at once by a [`clear`](Self::clear).
/// * **At drop** of the last handle in a process the memory is unmapped there. Those who wait elsewhere wait on.
/// * **At a fork** nothing happens: nobody holds an event.
/// * **At a death** of a waiter nothing is left behind. If a process dies in the middle of `set`, the event is
///   set or not; if it is, all who wait are released within a quarter of a second.
///
/// What a process did before it set the event is seen by those whose wait that ended.
///
/// Beneath is the `futex(2)` of Linux.
///
/// ```
/// use shared::process;
/// use shared::sync::Event;
///
/// let green = Event::new();
/// process::scope(|s| {
///     s.spawn(|| {
///         green.wait();
///         println!("through");
///     });
///     green.set();
/// });
/// assert!(green.is_set());
/// ```
#[derive(Clone)]
pub struct Event {
    word: Segment<AtomicU64>,
    spin: Spin,
}

impl Event {
    /// An event that is not set.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new() -> Event {
        Event::try_new().unwrap_or_else(|error| panic!("no shared memory for an event: {error}"))
    }

    /// An event that is not set.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`).
    pub fn try_new() -> io::Result<Event> {
        Ok(Event { word: Segment::new(AtomicU64::new(0))?, spin: Spin::new() })
    }

    /// Sets the event and releases all who wait for it. If it is set already, it stays so.
    ///
    /// It may be called inside a signal handler: it takes no lock and no memory, never blocks, and leaves
    /// `errno` as it is.
    #[inline]
    pub fn set(&self) {
        // set
        if self.word.fetch_or(SET, Release) & SLEEPERS != 0 {
            futex::wake(&self.word, i32::MAX);
        }
    }

    /// Makes the event unset. Who had been waiting when it was set is released all the same. If it is not set
    /// nothing changes.
    pub fn clear(&self) {
        let seen = self.word.load(Acquire);
        if seen & SET != 0 {
            // clear. (Nothing else changes a word that is set: if this fails, another has just done it.)
            let _ = self.word.compare_exchange(seen, cleared(seen), AcqRel, Acquire);
        }
    }

    /// Whether the event is set now. It may have changed when you read the answer.
    pub fn is_set(&self) -> bool {
        self.word.load(Acquire) & SET != 0
    }

    /// Waits until the event is set, for as long as it takes. Interruptions by signals change nothing.
    #[inline]
    pub fn wait(&self) {
        self.wait_until(Deadline::NEVER);
    }

    /// Waits until the event is set, at most `timeout`: not less, and on an idle machine no more than
    /// milliseconds longer. Returns whether it was set.
    #[must_use = "it may not have been set"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.is_set() || self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&self, deadline: Deadline) -> bool {
        let first = state(self.word.load(Acquire));
        let moved = || state(self.word.load(Acquire)) != first;
        if first & SET != 0 || self.spin.until(moved) {
            return true;
        }
        let mut slice = Slice::first();
        loop {
            let marked = first | SLEEPERS;
            // announce
            match self.word.compare_exchange(first, marked, Acquire, Acquire) {
                Err(now) if now != marked => return true,
                _ => {}
            }
            let waited = futex::wait(&self.word, marked, deadline.at_most(slice.next()));
            if moved() {
                return true;
            }
            if waited == Wait::TimedOut && deadline.has_passed() {
                return false;
            }
        }
    }
}

/// The word without the mark.
fn state(word: u64) -> u64 {
    word & !SLEEPERS
}

/// The state after this one, which is odd. The carry goes over the mark.
fn cleared(word: u64) -> u64 {
    state((word | SLEEPERS).wrapping_add(1))
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, SLEEPERS, cleared, state};
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn the_counter_carries_over_the_mark() {
        let full = 0x7fff_ffff;
        assert_eq!(cleared(full), 1 << 32);
        assert_eq!(cleared(full | SLEEPERS), 1 << 32);
        assert_eq!(cleared(5), 6);
        assert_eq!(cleared(5 | SLEEPERS), 6);
        assert_eq!(cleared(5 << 32 | full), 6 << 32);
        assert_eq!(cleared(u64::MAX), 0);
    }

    #[test]
    fn no_state_comes_twice() {
        let event = Event::new();
        let mut last = 0;
        for start in [0, 0x7fff_fff0, 7 << 32 | 0x7fff_fff0] {
            event.word.store(start, Relaxed);
            for _ in 0..100 {
                event.set();
                event.clear();
                let now = event.word.load(Relaxed);
                assert!(now > last && now == state(now) && !event.is_set());
                last = now;
            }
        }
    }
}
