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
//! withdraw  my own    => without ASLEEP    CAS, by who has found what he was about to wait for, if his was the
//!                                          only mark
//! clear     as seen   => without ASLEEP    CAS, by who has rung
//! ```
//!
//! # Why it is right
//!
//! *Nobody sleeps through a change.* One announces and then looks; the other changes and then looks here, and
//! between the two steps of each lies a full fence. So one of the two sees the other: either the one finds the
//! change, or the other finds the mark and rings. A ring reaches all who sleep at that moment or later, each once.
//!
//! *The mark is never taken away from one who needs it.* Who withdraws had found no mark before his own, and takes away
//! no other's, for the number would be another. Who rings clears what he had seen *before* he rang: if
//! somebody has announced himself since, the number is another and the mark stays.
//!
//! *Whoever dies.* Between the change and the ring a wake-up is lost: the sleepers' slices end. Between the ring and
//! the clearing the mark stays, as after the death of a sleeper, and costs a ring that nobody needs.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};

const ASLEEP: u64 = 1;

/// That somebody is about to sleep: the number, if nobody else was.
#[derive(Debug)]
pub(super) struct Announced(Option<u64>);

/// Whether anybody sleeps, or is about to. All zeroes: nobody.
#[derive(Debug)]
pub(super) struct Asleep {
    word: AtomicU64,
}

impl Asleep {
    #[allow(dead_code)] // The model makes one; in a road it begins as zeroes.
    pub(super) fn new() -> Asleep {
        Asleep { word: AtomicU64::new(0) }
    }

    /// Sleeps until it is there, or `sleep`, which sleeps once and may be woken for nothing, says that there is no
    /// use. `false`: it is not there even so.
    pub(super) fn until(&self, there: impl Fn() -> bool, mut sleep: impl FnMut() -> bool) -> bool {
        loop {
            let mine = self.announce();
            if there() {
                self.withdraw(mine);
                return true;
            }
            let of_use = sleep();
            if there() || !of_use {
                return there();
            }
        }
    }

    /// Before a sleep. The caller looks once more for what he waits for, and then sleeps or withdraws.
    pub(super) fn announce(&self) -> Announced {
        let mut seen = self.word.load(Relaxed);
        loop {
            let mine = (seen | ASLEEP).wrapping_add(2);
            // announce
            match self.word.compare_exchange(seen, mine, Relaxed, Relaxed) {
                Ok(_) => {
                    fence(SeqCst);
                    return Announced((seen & ASLEEP == 0).then_some(mine));
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Instead of a sleep.
    pub(super) fn withdraw(&self, announced: Announced) {
        if let Announced(Some(mine)) = announced {
            // withdraw
            let _ = self.word.compare_exchange(mine, mine & !ASLEEP, Relaxed, Relaxed);
        }
    }

    /// Whether somebody sleeps, or did.
    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.word.load(Relaxed) & ASLEEP != 0
    }

    /// After a change, and a full fence: wakes those who sleep, if any.
    #[inline]
    pub(super) fn wake(&self, ring: impl FnOnce()) {
        let seen = self.word.load(Relaxed);
        if seen & ASLEEP != 0 {
            ring();
            // clear
            let _ = self.word.compare_exchange(seen, seen & !ASLEEP, Relaxed, Relaxed);
        }
    }
}
