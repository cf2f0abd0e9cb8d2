//! Waiting awake for a moment before sleeping, in one place for all primitives.
//!
//! To put a process to sleep and wake it again takes some 25 to 50 µs; what it waits for is often there
//! within one. So it looks a few times first. Between the looks it keeps away from the word: each look
//! takes the cache line from its owner, and a waiter that looks all the time slows down the very process
//! for which it waits. That distance is what makes a contended lock fast (figures in DESIGN.md).

use crate::sys::clock::Deadline;
use crate::sys::task;
use std::hint;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// How often it looks before it gives up.
const LOOKS: u32 = 20;
/// `pause` instructions before the first look, and at most: 0.2 and 0.8 µs where one takes 12 ns.
const FIRST_DISTANCE: u32 = 16;
const LONGEST_DISTANCE: u32 = 64;

/// How many CPUs this process may use, 0 until somebody looked. With a single one nothing changes while
/// a waiter looks.
static USABLE_CPUS: AtomicUsize = AtomicUsize::new(0);

static SKIP: AtomicU32 = AtomicU32::new(0);
static K: AtomicU32 = AtomicU32::new(0);

/// Looks until `there` says yes, for a moment, at first all the time: for what is awaited, and not contended for.
/// `false` if it never did: sleep then.
pub(super) fn closely(mut there: impl FnMut() -> bool) -> bool {
    use Ordering::Relaxed;
    let skip = SKIP.load(Relaxed);
    if skip > 0 {
        SKIP.store(skip - 1, Relaxed);
        return there();
    }
    if (0..100).any(|_| { hint::spin_loop(); there() }) {
        let k = K.load(Relaxed);
        if k > 0 { K.store(k / 2, Relaxed); }
        return true;
    }
    if task::usable_cpus() > 1 {
        let end = Deadline::after(Duration::from_micros(50));
        loop {
            if (0..64).any(|_| { hint::spin_loop(); there() }) {
                let k = K.load(Relaxed);
                if k > 0 { K.store(k / 2, Relaxed); }
                return true;
            }
            if end.has_passed() { break }
        }
    }
    let k = (K.load(Relaxed) + 1).min(10);
    K.store(k, Relaxed);
    SKIP.store((1 << k) - 1, Relaxed);
    there()
}

/// Looks until `there` says yes, for a moment. `false` if it never did: sleep then.
pub(super) fn until(mut there: impl FnMut() -> bool) -> bool {
    if USABLE_CPUS.load(Ordering::Relaxed) != 1 {
        let mut distance = FIRST_DISTANCE;
        for _ in 0..LOOKS {
            for _ in 0..distance {
                hint::spin_loop();
            }
            if there() {
                return true;
            }
            distance = (distance * 2).min(LONGEST_DISTANCE);
        }
    }
    // About to sleep, which is dear anyway: the time to ask again, as the answer may have changed.
    USABLE_CPUS.store(task::usable_cpus(), Ordering::Relaxed);
    there()
}
