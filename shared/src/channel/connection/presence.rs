//! Which processes have an end of a connection: so that the other end hears when the last has gone.
//!
//! The kernel counts them. Each end has a pipe through which nothing is sent: who has the end holds one side of it
//! open, who has the other end watches the other side. However a process ends, the kernel closes what it held.
//!
//! # The trap, and its cure
//!
//! A fork copies descriptors, so a child would hold open *every* end that its parent had, its peer's included: it
//! would wait for an end of file that itself prevents. That is Python's trap. Here a child of
//! [`spawn`](crate::process::spawn) keeps open the ends that were *moved into its closure*, and no other. The parent
//! knows which these are, for it drops the closure after the fork ([`Given`]); it says so to the child, which waits
//! for that word and closes all others ([`keep`]) before its closure runs.
//!
//! What a child merely borrows it can use, but it does not keep it open: that does whoever lent it, in a scope for
//! longer than the child lives.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many ends this process holds open.
static HELD_OPEN: AtomicUsize = AtomicUsize::new(0);

/// The ends that this process, or the one it is a copy of, has had.
static PRESENCES: Mutex<Vec<Weak<Presence>>> = Mutex::new(Vec::new());

thread_local! {
    /// While a closure is dropped that a child got: the ends that go with it, by number.
    static GIVEN: RefCell<Option<Vec<u64>>> = const { RefCell::new(None) };
}

/// That this process has an end.
#[derive(Debug)]
pub(super) struct Presence {
    id: u64,
    /// The handles by which it holds the end open.
    handles: AtomicUsize,
    life: Mutex<Option<OwnedFd>>,
}

impl Presence {
    /// With one handle.
    pub(super) fn new(id: u64, life: OwnedFd) -> Arc<Presence> {
        let presence = Presence { id, handles: AtomicUsize::new(1), life: Mutex::new(Some(life)) };
        let presence = Arc::new(presence);
        let mut all = PRESENCES.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() != 0);
        all.push(Arc::downgrade(&presence));
        HELD_OPEN.fetch_add(1, Relaxed);
        presence
    }

    /// One handle more.
    pub(super) fn one_more(&self) {
        self.handles.fetch_add(1, Relaxed);
    }

    /// One handle less. `true`: the process has let go of the end.
    pub(super) fn one_less(&self) -> bool {
        GIVEN.with_borrow_mut(|given| given.as_mut().map(|given| given.push(self.id)));
        let before = self.handles.fetch_update(Relaxed, Relaxed, |handles| handles.checked_sub(1));
        before == Ok(1) && self.close()
    }

    fn close(&self) -> bool {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner).take();
        if life.is_some() {
            HELD_OPEN.fetch_sub(1, Relaxed);
        }
        life.is_some()
    }
}

/// Whether this process holds any end open: then a child must hear which are its own.
pub(crate) fn holds_ends() -> bool {
    HELD_OPEN.load(Relaxed) != 0
}

/// Notes which ends are dropped on this thread: in a parent that drops what it has given to a child.
#[derive(Debug)]
pub(crate) struct Given {
    /// What was being noted already: a destructor may start a process too.
    outer: Option<Vec<u64>>,
}

impl Given {
    pub(crate) fn begin() -> Given {
        Given { outer: GIVEN.replace(Some(Vec::new())) }
    }

    /// Their numbers, one for each handle.
    pub(crate) fn end(self) -> Vec<u64> {
        GIVEN.replace(self.outer).unwrap_or_default()
    }
}

/// In a new child: it keeps these ends, and holds no other open.
pub(crate) fn keep(given: &[u64]) {
    GIVEN.set(None);
    // Locked by another thread of the parent, of which the child has no copy: `spawn_unchecked` warns of that.
    let Ok(all) = PRESENCES.try_lock() else { return };
    for presence in all.iter().filter_map(Weak::upgrade) {
        let handles = given.iter().filter(|id| **id == presence.id).count();
        presence.handles.store(handles, Relaxed);
        if handles == 0 {
            presence.close();
        }
    }
}
