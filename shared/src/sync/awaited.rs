//! Waiting for something that another process makes true, with one wake-up under way at a time.
//!
//! # The words
//!
//! ```text
//! word      odd: a wake-up is under way; even: none. On it they sleep.
//! sleepers  how many sleep, or are about to
//! ```
//!
//! # The transitions of `word`
//!
//! ```text
//! ring      even => odd        CAS, by who made something true and saw sleepers; wakes one
//! heard     odd  => even       CAS, by a sleeper, before it looks
//! alarm     any  => any + 2    wakes all
//! ```
//!
//! # Why it is right
//!
//! *Nobody sleeps through it.* A sleeper counts itself, makes the word even, looks, and sleeps only while the word
//! is as it was before the look. Who makes it true does so first, and looks at the count and the word then, all
//! sequentially consistent: either it sees the sleeper and an even word, and changes that, or an odd one, which
//! somebody will make even before he looks, or the sleeper sees what it made.
//!
//! *One wake-up serves many.* Whoever was woken and finds more than he takes rings in turn. So a crowd of producers
//! wakes one consumer at a time, and that one the next, if there is work for it.
//!
//! *Whoever dies.* With the ringer, between the CAS and the call, or with the sleeper that was woken, the wake-up is
//! lost and the word stays odd. So nobody sleeps longer than a [`Slice`]; then it looks afresh, whatever the word
//! says. A dead sleeper stays counted, which costs an idle wake, and after it the word is odd until somebody sleeps.

use super::slice::Slice;
use super::spin::Spin;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};

/// In shared memory. All zeroes is one that nobody waits for.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Awaited {
    word: AtomicU64,
    sleepers: AtomicU64,
}

/// What one who waits is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A glance: it is made often.
    Glance,
    /// Something may have been lost with a death: look for that, too.
    Round,
}

impl Awaited {
    pub(crate) fn new() -> Awaited {
        Awaited { word: AtomicU64::new(0), sleepers: AtomicU64::new(0) }
    }

    /// To be called after something was made true, by a sequentially consistent write.
    #[inline]
    pub(crate) fn ring(&self) {
        if self.sleepers.load(SeqCst) != 0 {
            self.ring_for_sleepers();
        }
    }

    /// Whether anybody sleeps, or is about to.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        self.sleepers.load(SeqCst) != 0
    }

    #[cold]
    fn ring_for_sleepers(&self) {
        let seen = self.word.load(SeqCst);
        // ring
        if seen & 1 == 0 && self.word.compare_exchange(seen, seen + 1, SeqCst, SeqCst).is_ok() {
            futex::wake(&self.word, 1);
        }
    }

    /// Wakes all who sleep.
    pub(crate) fn alarm(&self) {
        // alarm
        self.word.fetch_add(2, SeqCst);
        futex::wake(&self.word, i32::MAX);
    }

    /// Asks `look` until it answers, at most until the deadline. Who has slept rings for the next if there is `more`.
    pub(crate) fn wait<T>(
        &self,
        spin: &Spin,
        deadline: Deadline,
        mut look: impl FnMut(Look) -> Option<T>,
        more: impl Fn() -> bool,
    ) -> Option<T> {
        let mut found = None;
        if spin.until(|| {
            found = look(Look::Glance);
            found.is_some()
        }) {
            return found;
        }
        self.sleepers.fetch_add(1, SeqCst);
        let found = self.sleep(deadline, look);
        self.sleepers.fetch_sub(1, SeqCst);
        // It may have been rung for this one, which leaves.
        self.hear();
        if more() {
            self.ring();
        }
        found
    }

    #[cold]
    fn sleep<T>(&self, deadline: Deadline, mut look: impl FnMut(Look) -> Option<T>) -> Option<T> {
        let mut slice = Slice::first();
        let mut look_round = deadline.at_most(slice.next());
        let mut how = Look::Glance;
        loop {
            let even = self.hear();
            if let Some(found) = look(how) {
                return Some(found);
            }
            if how == Look::Round && deadline.has_passed() {
                return None;
            }
            let waited = futex::wait(&self.word, even, look_round);
            how = Look::Glance;
            if waited == Wait::TimedOut || look_round.has_passed() {
                look_round = deadline.at_most(slice.next());
                how = Look::Round;
            }
        }
    }

    /// Takes note of a wake-up that is under way. The word then, which is even.
    fn hear(&self) -> u64 {
        let mut seen = self.word.load(SeqCst);
        while seen & 1 == 1 {
            // heard
            match self.word.compare_exchange(seen, seen.wrapping_add(1), SeqCst, Relaxed) {
                Ok(_) => return seen.wrapping_add(1),
                Err(now) => seen = now,
            }
        }
        seen
    }
}
