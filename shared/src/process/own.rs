//! Tables that belong to one process.
//!
//! A fork copies them, but what they list is the parent's. So each table says whose it is, and a child
//! begins a new one when it first needs it: to empty the copies at birth would copy their pages as well.

use crate::sys::task::generation;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A table of the calling process, whichever that is.
#[derive(Debug)]
pub(super) struct Own<T>(Mutex<(u32, T)>);

impl<T: Default> Own<T> {
    /// An empty table, the program's at first.
    pub(super) const fn new(empty: T) -> Own<T> {
        Own(Mutex::new((0, empty)))
    }

    /// The table of this process, locked.
    pub(super) fn lock(&self) -> Locked<'_, T> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.0 != generation() {
            // The parent's is forgotten, not dropped: its contents are not ours to end.
            std::mem::forget(std::mem::replace(&mut *table, (generation(), T::default())));
        }
        Locked(table)
    }

    /// In a new child: a look at the table of its parent. `None` if another thread had it locked, which no
    /// thread will ever unlock here.
    pub(super) fn of_parent(&self) -> Option<Locked<'_, T>> {
        self.0.try_lock().ok().map(Locked)
    }
}

/// A table, locked.
pub(super) struct Locked<'a, T>(MutexGuard<'a, (u32, T)>);

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.1
    }
}
