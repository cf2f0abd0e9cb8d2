//! How those who sleep until something has changed are woken by those who change it, and who else need not ring.
//!
//! # The word
//!
//! ```text
//!  63                          1    0
//! ┌─────────────────────────────┬────────┐
//! │  how often it was announced │ ASLEEP │     0 = nobody, ever
//! └─────────────────────────────┴────────┘
//! ```
//!
//! # The transitions
//!
//! ```text
//! announce  any       => next + ASLEEP     CAS, by who is about to sleep; then he looks once more
//! withdraw  my own    => without ASLEEP    CAS, by who has found what he was about to wait for
//! clear     as seen   => without ASLEEP    CAS, by who has rung
//! ```
//!
//! # Why it is right
//!
//! *Nobody sleeps through a change.* One announces and then looks; the other changes and then looks here, and
//! between the two steps of each lies a full fence. So one of the two sees the other: either the one finds the
//! change, or the other finds the mark and rings. A ring reaches all who sleep at that moment or later, each once.
//!
//! *The mark is never taken away from one who needs it.* Who rings clears what he had seen *before* he rang: if
//! somebody has announced himself since, the number is another and the mark stays.
//!
//! *Whoever dies.* Between the change and the ring a wake-up is lost: the sleepers' slices end. Between the ring and
//! the clearing the mark stays, as after the death of a sleeper, and costs a ring that nobody needs.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, SeqCst},
    fence,
};

const ASLEEP: u64 = 1;

/// Whether anybody sleeps, or is about to. All zeroes: nobody.
#[derive(Debug)]
pub(super) struct Asleep {
    word: AtomicU64,
}

impl Asleep {
    #[cfg(test)]
    pub(super) fn new() -> Asleep {
        Asleep { word: AtomicU64::new(0) }
    }

    /// Before a sleep. The caller looks once more for what he waits for, and then sleeps or withdraws.
    #[must_use]
    pub(super) fn announce(&self) -> u64 {
        let mut seen = self.word.load(Relaxed);
        loop {
            // announce
            let mine = (seen | ASLEEP).wrapping_add(2);
            match self.word.compare_exchange(seen, mine, SeqCst, Relaxed) {
                Ok(_) => {
                    fence(SeqCst);
                    return mine;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Instead of a sleep.
    pub(super) fn withdraw(&self, mine: u64) {
        // withdraw
        let _ = self.word.compare_exchange(mine, mine & !ASLEEP, Relaxed, Relaxed);
    }

    /// Whether somebody sleeps, or did.
    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.word.load(Acquire) & ASLEEP != 0
    }

    /// After a change, and a full fence: wakes those who sleep, if any.
    #[inline]
    pub(super) fn wake(&self, ring: impl FnOnce()) {
        let seen = self.word.load(Acquire);
        if seen & ASLEEP != 0 {
            ring();
            // clear
            let _ = self.word.compare_exchange(seen, seen & !ASLEEP, Relaxed, Relaxed);
        }
    }
}
