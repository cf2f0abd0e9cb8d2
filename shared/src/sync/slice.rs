//! How long a waiter sleeps before it looks round: no wait in the kernel is without an end.
//!
//! A wake-up can die with the process that was to give it, or with the one that got it. So every
//! sleeper wakes by itself now and then, looks at the state afresh, and asks whether the owner lives.

use std::time::Duration;

/// Short at first, when a death is most likely to be the reason for waiting; then longer, so that those
/// who wait for long cost nothing to speak of.
#[derive(Debug)]
pub(crate) struct Slice(Duration);

impl Slice {
    const FIRST: Duration = Duration::from_millis(5);
    /// Two of them, and some work, fit into the second within which every death is answered.
    const LONGEST: Duration = Duration::from_millis(400);

    pub(crate) fn first() -> Slice {
        Slice(Slice::FIRST)
    }

    /// The length of this sleep; the next will be twice as long.
    pub(crate) fn next(&mut self) -> Duration {
        let this = self.0;
        self.0 = (this * 2).min(Slice::LONGEST);
        this
    }
}
