//! How many guards there are: no fork is allowed while its thread holds one.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

thread_local! {
    /// Guards of this thread, or [`NEW`].
    static HELD: Cell<u64> = const { Cell::new(NEW) };
    static AT_END: AtEnd = const { AtEnd };
}

/// A thread that has never had a guard.
const NEW: u64 = u64::MAX;

/// Guards that threads had when they ended: leaked, but perhaps in use by others.
static LEAKED: AtomicU64 = AtomicU64::new(0);

struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        LEAKED.fetch_add(held_here(), Relaxed);
    }
}

/// Counts one more until [`one_less`](Held::one_less). It stays on its thread, and every guard contains one; those of a
/// reentrant lock together count as one.
#[derive(Debug)]
pub(crate) struct Held {
    on_this_thread: PhantomData<*const ()>,
}

impl Held {
    #[inline]
    pub(crate) fn one_more() -> Held {
        match HELD.get() {
            NEW => Held::first(),
            held => HELD.set(held + 1),
        }
        Held { on_this_thread: PhantomData }
    }

    /// For one more guard of a lock that is counted.
    #[inline]
    pub(crate) fn counted() -> Held {
        Held { on_this_thread: PhantomData }
    }

    #[cold]
    fn first() {
        HELD.set(1);
        // Now this thread's end will be noticed. (At its end already, it has none to come.)
        let _ = AT_END.try_with(|_| ());
    }

    /// A guard calls it just before it gives its lock back: a store after that would hold up the next lock
    /// operation of this thread, which must wait for it to reach the cache.
    #[inline]
    pub(crate) fn one_less(&self) {
        HELD.set(HELD.get() - 1);
    }
}

fn held_here() -> u64 {
    match HELD.get() {
        NEW => 0,
        held => held,
    }
}

/// The guards that the calling thread holds, and those that ended threads left. One that was forgotten
/// counts for ever: what it guards is held for ever.
pub(crate) fn guards_held() -> u64 {
    held_here() + LEAKED.load(Relaxed)
}
