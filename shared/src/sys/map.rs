//! Memory that this process and all that it forks from now on see together.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// A shared anonymous mapping, zeroed at first; unmapped here when dropped.
///
/// It has no descriptor and no name. The kernel counts the processes that have it and frees it after
/// the last, however that one ended: there is nothing to clean up after a crash.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: a mapping is memory of the process, not of a thread; what lies in it and who may touch it is
// the business of the types built on top.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out an address only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `mmap(2)`, then `madvise(MADV_POPULATE_WRITE)`: every page is there when this returns, so a lack
    /// of memory is an error here and not a `SIGBUS` later.
    pub(crate) fn populated(len: NonZeroUsize) -> Result<Mapping, Errno> {
        let mapping = Mapping::new(len, MapFlags::MAP_SHARED)?;
        mapping.populate(len.get())?;
        Ok(mapping)
    }

    /// `mmap(2)` with `MAP_NORESERVE`: room that costs memory only where it is used.
    pub(crate) fn sparse(len: NonZeroUsize) -> Result<Mapping, Errno> {
        Mapping::new(len, MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE)
    }

    /// `madvise(MADV_POPULATE_WRITE)`: sees to it that the first `len` bytes have memory. What they hold stays.
    pub(crate) fn populate(&self, len: usize) -> Result<(), Errno> {
        match self.advise(MmapAdvise::MADV_POPULATE_WRITE, len.min(self.len.get())) {
            // A kernel before 5.14 does not know the advice: the pages come when they are touched.
            Err(Errno::EINVAL) => Ok(()),
            done => done,
        }
    }

    fn new(len: NonZeroUsize, flags: MapFlags) -> Result<Mapping, Errno> {
        // SAFETY: the kernel chooses an address where nothing lies yet.
        let start =
            unsafe { mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }?;
        Ok(Mapping { start: start.cast(), len })
    }

    /// `madvise(MADV_REMOVE)`: gives the memory of a part of a mapping back to the system, for every process
    /// that has it; it reads as zeroes then.
    ///
    /// `start` and `len` are those of whole pages inside a mapping, in which only atomics are borrowed.
    pub(crate) fn empty(start: *mut u8, len: usize) {
        if let Some(start) = NonNull::new(start) {
            // SAFETY: nothing is unmapped; what lies there becomes zeroes, as if another process had stored
            // them. If the kernel refuses, it keeps the memory, which is no harm but to the memory.
            let _ = unsafe { madvise(start.cast(), len, MmapAdvise::MADV_REMOVE) };
        }
    }

    /// `madvise(2)` for the first `len` bytes.
    fn advise(&self, advice: MmapAdvise, len: usize) -> Result<(), Errno> {
        // SAFETY: the range is ours. The pieces of advice that this file gives never take away what is
        // mapped and used here.
        unsafe { madvise(self.start.cast(), len, advice) }
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length and not unmapped since. Everything that borrowed
        // from the mapping borrowed from `self`, so nothing points there any more.
        let unmapped = unsafe { munmap(self.start.cast(), self.len.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
