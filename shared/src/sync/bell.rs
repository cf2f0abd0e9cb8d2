//! A bell in shared memory: who waits for something sleeps on it, who has brought something rings it.
//!
//! # The word
//!
//! ```text
//!  63              32 31          1      0
//! ┌──────────────────┬─────────────┬──────────┐
//! │  announcements   │    rings    │ SLEEPERS │
//! └──────────────────┴─────────────┴──────────┘
//!                    the half on which they sleep
//!
//! announce  one announcement more, + SLEEPERS   CAS, by who then looks once more, and sleeps if there is nothing
//! ring      one ring more                       fetch_add, by who brought something and saw SLEEPERS; then wakes
//! quiet     - SLEEPERS                          CAS, by who rang and woke fewer than he could, if nothing has
//!                                               changed since
//! ```
//!
//! # Why it is right
//!
//! *Nobody sleeps beside what he waits for.* Who brings something writes that down, then looks at the bell; who
//! wants to sleep announces himself, then looks at what there is. All four are `SeqCst`, so one of the two sees
//! the other. A ring changes the half on which they sleep, so whoever announced himself before it is woken or
//! does not fall asleep. The mark stays for the others. It goes when a ring has woken all who slept, unless
//! somebody has announced himself since, which the announcements tell.
//!
//! *Silence proves something.* If it has not rung since an announcement, no bringer who began after that has done.
//!
//! *Whoever dies* before he rings, or having been woken, takes a wake-up along: whoever sleeps here looks round at
//! the end of his slice.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};

const SLEEPERS: u64 = 1;
/// (When they overflow they change the announcements, which is no harm.)
const RING: u64 = 2;
const ANNOUNCEMENT: u64 = 1 << 32;

/// All zeroes is one on which nobody sleeps.
#[derive(Debug)]
pub(super) struct Bell(pub(super) AtomicU64);

/// The bell as it was after an announcement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard(u64);

impl Bell {
    /// Wakes so many, if somebody may be asleep. Called by who has brought something for so many, with a `SeqCst`
    /// write.
    #[inline]
    pub(super) fn ring(&self, many: usize) {
        if self.0.load(SeqCst) & SLEEPERS != 0 {
            self.wake(many);
        }
    }

    #[cold]
    fn wake(&self, many: usize) {
        // ring
        let rung = self.0.fetch_add(RING, SeqCst).wrapping_add(RING);
        if futex::wake(&self.0, many as i32) < many as u32 {
            // quiet
            let _ = self.0.compare_exchange(rung, rung & !SLEEPERS, SeqCst, Relaxed);
        }
    }

    /// From now on it is rung for the caller, who has to look once more before he sleeps, with `SeqCst` reads.
    pub(super) fn announce(&self) -> Heard {
        let mut seen = self.0.load(Relaxed);
        loop {
            let announced = (seen | SLEEPERS).wrapping_add(ANNOUNCEMENT);
            // announce
            match self.0.compare_exchange(seen, announced, SeqCst, Relaxed) {
                Ok(_) => return Heard(announced),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether it has rung since. (When the mark has gone, it has too.)
    pub(super) fn has_rung_since(&self, heard: Heard) -> bool {
        self.0.load(SeqCst) as u32 != heard.0 as u32
    }

    /// Sleeps until it rings, unless it has rung since, and at most until the deadline.
    pub(super) fn sleep(&self, heard: Heard, deadline: Deadline) -> Wait {
        futex::wait(&self.0, heard.0, deadline)
    }
}
