//! Waiting awake for a moment before sleeping, in one place for all primitives.
//!
//! To put a process to sleep and wake it again takes some 25 to 50 µs; what it waits for is often there
//! within one. So it looks for a while first, in one of two ways. Figures for both are in DESIGN.md.
//!
//! * [`until`], for what is contended for, such as a lock. Between the looks it keeps away from the word: each
//!   look takes the cache line from its owner, and a waiter that looks all the time slows down the very
//!   process for which it waits.
//! * [`Spin`], for what is awaited, such as an event: written once, and then by somebody who is done. It looks
//!   all the time, and learns whether that is any use.
//!
//! With a single usable CPU nothing changes while a waiter looks, so nobody does.

use crate::sys::clock::Deadline;
use crate::sys::task;
use std::hint;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// How often [`until`] looks before it gives up.
const LOOKS: u32 = 20;
/// `pause` instructions before the first look, and at most: 0.2 and 0.8 µs where one takes 12 ns.
const FIRST_DISTANCE: u32 = 16;
const LONGEST_DISTANCE: u32 = 64;

/// How long a [`Spin`] looks: as long as it takes two processes to wake one another, for if both sleep, each is
/// awaited for so long.
const PATIENCE: Duration = Duration::from_micros(50);
/// How often it looks before it looks at the clock, which takes as long as a good wait as a whole.
const LOOKS_BETWEEN: u32 = 64;
/// It rests for 2 to the power of this many waits at most: then failing costs nothing to speak of.
const LONGEST_REST: u32 = 10;

/// How many CPUs this process may use, 0 until somebody looked.
static USABLE_CPUS: AtomicUsize = AtomicUsize::new(0);

/// Looks until `there` says yes, for a moment. `false` if it never did: sleep then.
pub(super) fn until(mut there: impl FnMut() -> bool) -> bool {
    if USABLE_CPUS.load(Relaxed) != 1 {
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
    count_cpus();
    there()
}

/// Before a sleep, which is dear anyway: the time to ask again, as the answer may have changed.
fn count_cpus() {
    USABLE_CPUS.store(task::usable_cpus(), Relaxed);
}

/// What a handle has learned about its waits: whether it is worth while to wait for their ends awake.
///
/// If looking was in vain it rests for some waits, for twice as many each time; a success takes one step back. So where
/// waits are short nobody sleeps, and where they are long, or the CPUs are wanted by others, hardly anybody
/// spins; and it takes a thousand waits at most to notice that this has changed.
///
/// It is part of the handle, not of what is shared: each process, and each object, has waits of its own.
#[derive(Debug)]
pub(crate) struct Spin {
    /// For how many waits it rests.
    rest: AtomicU32,
    /// The rest after the next failure will be 2 to the power of it.
    failures: AtomicU32,
}

impl Spin {
    pub(crate) const fn new() -> Spin {
        Spin { rest: AtomicU32::new(0), failures: AtomicU32::new(0) }
    }

    /// Looks until `there` says yes, for a moment, unless that is known to be in vain. `false` if it never did:
    /// sleep then.
    #[inline]
    pub(crate) fn until(&self, mut there: impl FnMut() -> bool) -> bool {
        let rest = self.rest.load(Relaxed);
        if rest != 0 {
            self.rest.store(rest - 1, Relaxed);
            return there();
        }
        let failures = self.failures.load(Relaxed);
        if look(&mut there) {
            // Where waits are short nothing is written.
            if failures != 0 {
                self.failures.store(failures - 1, Relaxed);
            }
            return true;
        }
        count_cpus();
        // With the trial itself it is an odd number: else of waits that are long and short in turn, only the long
        // ones might be tried.
        self.rest.store(1 << failures, Relaxed);
        self.failures.store((failures + 1).min(LONGEST_REST), Relaxed);
        there()
    }
}

fn look(mut there: impl FnMut() -> bool) -> bool {
    if USABLE_CPUS.load(Relaxed) == 1 {
        return false;
    }
    let mut end = None;
    loop {
        for _ in 0..LOOKS_BETWEEN {
            if there() {
                return true;
            }
            hint::spin_loop();
        }
        if end.get_or_insert_with(|| Deadline::after(PATIENCE)).has_passed() {
            return false;
        }
    }
}

impl Clone for Spin {
    /// Another handle to the same object begins with what this one knows.
    fn clone(&self) -> Spin {
        let copy = |number: &AtomicU32| AtomicU32::new(number.load(Relaxed));
        Spin { rest: copy(&self.rest), failures: copy(&self.failures) }
    }
}
