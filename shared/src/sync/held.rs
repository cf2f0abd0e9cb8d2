//! How many guards each thread holds: no fork is allowed while it holds one.

use std::cell::Cell;

thread_local! {
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// Counts one more until [`one_less`](Held::one_less). It stays on its thread, and every guard contains one.
#[derive(Debug)]
pub(super) struct Held {
    on_this_thread: std::marker::PhantomData<*const ()>,
}

impl Held {
    #[inline]
    pub(super) fn one_more() -> Held {
        HELD.set(HELD.get() + 1);
        Held { on_this_thread: std::marker::PhantomData }
    }

    /// A guard calls it just before it gives its lock back: a store after that would hold up the next lock
    /// operation of this thread, which must wait for it to reach the cache.
    #[inline]
    pub(super) fn one_less(&self) {
        HELD.set(HELD.get() - 1);
    }
}

/// The guards that the calling thread holds now. One that was forgotten counts for ever: what it
/// guards is held for ever.
pub(crate) fn guards_held() -> u32 {
    HELD.get()
}
