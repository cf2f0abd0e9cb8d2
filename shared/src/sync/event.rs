//! A flag that processes wait for.

use super::flag::Flag;
use super::spin::Spin;
use crate::memory::segment::Segment;
use crate::sys::clock::Deadline;
use std::fmt;
use std::io;
use std::time::Duration;

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
///   set and all who wait are released, or neither.
///
/// What a process did before it set the event is seen by those whose wait that ended.
///
/// Beneath is the `futex(2)` of Linux, with `FUTEX_WAKE_OP`, which sets and wakes in one step.
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
    flag: Segment<Flag>,
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
        Ok(Event { flag: Segment::new(Flag::new())?, spin: Spin::new() })
    }

    /// Sets the event and releases all who wait for it. If it is set already, it stays so.
    ///
    /// It may be called inside a signal handler: it takes no lock and no memory, never blocks, and leaves
    /// `errno` as it is.
    #[inline]
    pub fn set(&self) {
        self.flag.set();
    }

    /// Makes the event unset. Who had been waiting when it was set is released all the same. If it is not set
    /// nothing changes.
    #[inline]
    pub fn clear(&self) {
        self.flag.clear();
    }

    /// Whether the event is set now. It may have changed when you read the answer.
    pub fn is_set(&self) -> bool {
        self.flag.is_set()
    }

    /// Waits until the event is set, for as long as it takes. Interruptions by signals change nothing.
    #[inline]
    pub fn wait(&self) {
        self.flag.wait(&self.spin, Deadline::NEVER);
    }

    /// Waits until the event is set, at most `timeout`: not less, and on an idle machine no more than
    /// milliseconds longer. Returns whether it was set. Interruptions by signals change nothing.
    #[must_use = "it may not have been set"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.flag.is_set() || self.flag.wait(&self.spin, Deadline::after(timeout))
    }
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
    use crate::sync::flag::cleared;

    #[test]
    fn the_counter_carries_over_the_mark() {
        const SLEEPERS: u64 = 1 << 31;
        const FULL: u64 = SLEEPERS - 1;
        for (set, next) in [(5, 6), (FULL, 1 << 32), (5 << 32 | FULL, 6 << 32), (!SLEEPERS, 0)] {
            assert_eq!(cleared(set), next);
            assert_eq!(cleared(set | SLEEPERS), next);
        }
    }
}
