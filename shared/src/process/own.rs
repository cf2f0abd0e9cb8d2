//! Tables that belong to one process.
//!
//! A fork copies them, but what they list is the parent's. So each table says whose it is, and a child
//! begins a new one when it first needs it: to empty the copies at birth would copy their pages as well.

use crate::sys::task::Owner;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A table of the calling process, whichever that is.
#[derive(Debug)]
pub(super) struct Own<T> {
    /// The process whose table it is; of nobody at first. Changed under the lock alone.
    owner: AtomicU64,
    table: Mutex<T>,
}

impl<T: Default> Own<T> {
    /// An empty table, of the first process that wants it.
    pub(super) const fn new(empty: T) -> Own<T> {
        Own { owner: AtomicU64::new(0), table: Mutex::new(empty) }
    }

    /// The table of this process, locked.
    pub(super) fn lock(&self) -> Locked<'_, T> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_used() {
            // The parent's is forgotten, not dropped: its contents are not ours to end.
            std::mem::forget(std::mem::take(&mut *table));
            self.owner.store(Owner::current().to_word(), Relaxed);
        }
        Locked(table)
    }

    /// The same, if this process has ever wanted it.
    pub(super) fn lock_if_used(&self) -> Option<Locked<'_, T>> {
        self.is_used().then(|| self.lock())
    }

    /// Whether this process has ever wanted it: to look writes nothing, which in a new child is dear.
    #[inline(always)]
    pub(super) fn is_used(&self) -> bool {
        Owner::in_word(self.owner.load(Relaxed)).is_some_and(Owner::is_me)
    }

    /// In a new child: a look at the table of its parent. `None` if another thread had it locked, which no
    /// thread will ever unlock here.
    pub(super) fn of_parent(&self) -> Option<Locked<'_, T>> {
        self.table.try_lock().ok().map(Locked)
    }
}

/// A table, locked.
pub(super) struct Locked<'a, T>(MutexGuard<'a, T>);

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
