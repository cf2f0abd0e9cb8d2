//! A place for one item, in memory that several processes see, and the copying into it and out of it.
#![allow(unsafe_code)]

use super::classes::{CHUNK, CLASSES};
use super::copy::append;
use crate::sys::atomic::AtomicU64;
use std::cell::UnsafeCell;
use std::ptr;

/// A place for one item.
#[repr(C, align(128))]
pub(crate) struct Place {
    pub(crate) word: AtomicU64,
    /// How long the item is.
    pub(crate) len: AtomicU64,
    /// In which block it lies, plus one; 0: right here.
    pub(crate) block: AtomicU64,
    /// How often it has been handed over.
    pub(crate) deliveries: AtomicU64,
    bytes: UnsafeCell<[u8; INLINE]>,
}

/// Longer items lie in a block.
pub(crate) const INLINE: usize = 96;

const _: () = assert!(size_of::<Place>() * CHUNK as usize == CLASSES[0].size);

impl Place {
    /// Asks the processor to bring the place near, for writing, while other work goes on. Nothing comes of it but speed.
    #[inline]
    pub(super) fn fetch(&self) {
        // (The compiler's own prefetch is for reading: then the first write would wait once more.)
        #[cfg(target_arch = "x86_64")]
        // SAFETY: it changes nothing, and cannot fail whatever the address is.
        unsafe {
            std::arch::asm!(
                "prefetchw [{0}]",
                "prefetchw [{0} + 64]",
                in(reg) self,
                options(nostack, preserves_flags, readonly),
            );
        }
    }

    /// Copies a short item here. The caller has claimed the place.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= INLINE);
        // SAFETY: it is so long, and the word says that it is the caller's.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.bytes.get().cast(), bytes.len()) };
    }

    /// Appends the item of this length. `false`: there is none so long.
    #[inline]
    pub(crate) fn read(&self, len: usize, to: &mut Vec<u8>) -> bool {
        if len > INLINE {
            return false;
        }
        // SAFETY: as long as that, and the caller holds it.
        unsafe { append(self.bytes.get().cast(), len, to) };
        true
    }
}
