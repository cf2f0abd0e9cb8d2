//! One value in shared memory: where every primitive lives.
//!
//! Each has an anonymous mapping of its own, made before the forks that are to share it. What must
//! travel later, through a socket or across an exec, will need a sealed memfd instead: the choice is
//! made in this file and nowhere else.
#![allow(unsafe_code)]

use crate::sys::map::Mapping;
use nix::errno::Errno;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// A `T` in memory that this process shares with those it forks from now on.
///
/// Cloning gives another handle to the same value. The last handle *of this process* unmaps; other
/// processes have mappings of their own, so nobody counts across processes, and no count can be wrong
/// after a death. The value is never dropped.
pub(crate) struct Segment<T> {
    /// Where the mapping begins: beside it, so that a look at the value takes one step and not two.
    value: NonNull<T>,
    mapping: Arc<Mapping>,
}

// SAFETY: it gives out `&T` only, so it may go, and be used, wherever `&T` may.
unsafe impl<T: Sync> Send for Segment<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Segment<T> {}

impl<T> Segment<T> {
    /// Checked where a segment is made: pages are aligned enough for it, and nothing is to be dropped.
    const FITS: () = assert!(align_of::<T>() <= 4096 && !std::mem::needs_drop::<T>());

    /// Maps room for the value and moves it there.
    pub(crate) fn new(value: T) -> Result<Segment<T>, Errno> {
        let segment = Segment::map()?;
        // SAFETY: the mapping is large enough (`map`), aligned (`FITS`) and nobody else has it yet.
        unsafe { segment.value.write(value) };
        Ok(segment)
    }

    /// Maps room for a value and leaves it as the kernel gives it, all zeroes.
    ///
    /// # Safety
    ///
    /// All zeroes must be a value of `T`.
    pub(crate) unsafe fn zeroed() -> Result<Segment<T>, Errno> {
        Segment::map()
    }

    /// Maps room for a value of zeroes that has no memory yet, save what [`populate`](Self::populate) gives it.
    ///
    /// # Safety
    ///
    /// All zeroes must be a value of `T`.
    pub(crate) unsafe fn sparse() -> Result<Segment<T>, Errno> {
        Segment::over(Mapping::sparse)
    }

    /// Sees to it that the first `len` bytes have memory: a lack of it is an error here and not a `SIGBUS` later.
    pub(crate) fn populate(&self, len: usize) -> Result<(), Errno> {
        self.mapping.populate(len)
    }

    fn map() -> Result<Segment<T>, Errno> {
        Segment::over(Mapping::populated)
    }

    fn over(map: fn(NonZeroUsize) -> Result<Mapping, Errno>) -> Result<Segment<T>, Errno> {
        const { Self::FITS };
        let len = NonZeroUsize::new(size_of::<T>()).unwrap_or(NonZeroUsize::MIN);
        let mapping = map(len)?;
        Ok(Segment { value: mapping.start().cast(), mapping: Arc::new(mapping) })
    }
}

impl<T> Deref for Segment<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the constructors put a value there, and `mapping` keeps the memory. What other processes may write is behind the
        // interior mutability of `T`: atomics, or cells that a lock guards.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Clone for Segment<T> {
    fn clone(&self) -> Segment<T> {
        Segment { value: self.value, mapping: Arc::clone(&self.mapping) }
    }
}

impl<T> fmt::Debug for Segment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({:p})", self.value)
    }
}
