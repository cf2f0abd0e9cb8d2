//! Time as the library uses it: durations at the surface, one absolute deadline below.
//!
//! `CLOCK_MONOTONIC` only, so a step of the wall clock changes nothing. A deadline is computed once,
//! where the call begins; interrupted waits are taken up again against the same deadline, so
//! interruptions add no drift.

use super::signal;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::time::Duration;

/// The longest that one call sleeps in the kernel before it looks round.
///
/// A signal may arrive in the instant between the look for pending handlers and the sleep; then the
/// handler waits for the end of the slice.
const SLICE: Duration = Duration::from_millis(100);

/// A moment on `CLOCK_MONOTONIC`, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Option<Duration>);

impl Deadline {
    /// The deadline of a call without a time limit.
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// `timeout` from now; one too long to be added up is never.
    pub(crate) fn after(timeout: Duration) -> Deadline {
        // The kernel's seconds are signed and it adds to them itself: stay far from the edge.
        const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);
        Deadline(if timeout > FOR_EVER { None } else { now().checked_add(timeout) })
    }

    /// The earlier of this deadline and `slice` from now.
    pub(crate) fn at_most(self, slice: Duration) -> Deadline {
        let end = now() + slice;
        Deadline(Some(self.0.map_or(end, |own| own.min(end))))
    }

    /// Whether the moment has come.
    pub(crate) fn has_passed(self) -> bool {
        self.0.is_some_and(|moment| now() >= moment)
    }

    /// What is left until then: nothing once it has passed, `None` for never.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|moment| moment.saturating_sub(now()))
    }

    /// The moment as the kernel takes it, `None` for never.
    pub(crate) fn to_timespec(self) -> Option<TimeSpec> {
        self.0.map(TimeSpec::from)
    }
}

/// `clock_gettime(2)`: time since the machine started.
fn now() -> Duration {
    // It fails for an unknown clock or a bad address only, and this is neither.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The same in microseconds.
pub(crate) fn microseconds() -> u64 {
    now().as_micros() as u64
}

/// The same in milliseconds, the low 32 bits.
pub(crate) fn milliseconds() -> u32 {
    now().as_millis() as u32
}

/// `clock_gettime(2)` of a clock that is read in a few nanoseconds and ticks every few milliseconds: a number that
/// differs from the last one if that was some time ago.
#[inline]
pub(crate) fn tick() -> u32 {
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(0, |now| now.tv_nsec() as u32)
}

/// `clock_nanosleep(2)`: sleeps until the deadline, running the handlers of signals as they come.
pub(crate) fn sleep_until(deadline: Deadline) {
    signal::safe_point(); // Also when there is nothing to sleep.
    while !deadline.has_passed() {
        let slice = deadline.at_most(SLICE).to_timespec();
        if let (Some(until), false) = (slice, signal::is_pending()) {
            // An interruption is no more than a reason to look round.
            let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until);
        }
        signal::safe_point();
    }
}
