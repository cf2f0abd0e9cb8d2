//! A bare value that several processes use at once, without a lock.

use super::plain::InPlace;
use super::segment::Segment;
use std::fmt;
use std::io;
use std::ops::Deref;

/// Atomics in memory that this process shares with those it forks from now on.
///
/// Python's `RawValue` and `RawArray`, but with operations that are whole: `fetch_add` from a hundred
/// processes loses nothing, where `value.value += 1` without a lock does. What takes more than one
/// operation wants a [`Lock`](crate::sync::Lock).
///
/// Cloning gives another handle to the same value. At a **fork** the child shares it. At **drop** this
/// process unmaps it. At a **death** each atomic holds what was last written: no operation is half done.
/// It has no descriptor and no name, and is freed with the last process that has it.
///
/// ```
/// use shared::memory::Shared;
/// use shared::process;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let visits = Shared::new(AtomicU64::new(0));
/// process::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| visits.fetch_add(1, Ordering::Relaxed));
///     }
/// });
/// assert_eq!(visits.load(Ordering::Relaxed), 4);
/// ```
pub struct Shared<T: InPlace>(Segment<T>);

impl<T: InPlace> Shared<T> {
    /// Puts `value` into shared memory.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new(value: T) -> Shared<T> {
        Shared::try_new(value).unwrap_or_else(|error| panic!("no shared memory: {error}"))
    }

    /// Puts `value` into shared memory.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory (`ENOMEM`) or the process has too many mappings.
    pub fn try_new(value: T) -> io::Result<Shared<T>> {
        Ok(Shared(Segment::new(value)?))
    }
}

impl<T: InPlace> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: InPlace> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared(self.0.clone())
    }
}

impl<T: InPlace + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&**self).finish()
    }
}
