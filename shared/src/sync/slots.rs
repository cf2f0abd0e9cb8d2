//! Where the permits of a semaphore lie, and how a free one is found among many.
//!
//! The first slots have cache lines of their own, so that those who come and go do not disturb one another. The
//! far ones are dense, with a map: a bit for each, so that 64 are looked at with one load.
//!
//! # Why it is right
//!
//! *The map is a superset of the free far slots.* A bit is set before its slot becomes free, and cleared after
//! it was taken, by the taker, while the slot is his alone. A bit that stays set costs a look. (To clear it before the
//! slot is taken would not do: a death between the two would hide a permit.) What becomes free before a look at the
//! bell, all in `SeqCst`, is found by whoever announced himself and then asks for candidates.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::iter;
use std::ops::Range;

/// What shares its cache line, and the one that is fetched along with it, with nothing else.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Line<T>(pub(super) T);

/// `NEAR` slots on lines of their own and then `FAR` dense ones with a map of `WORDS` words. All zeroes has none
/// in use.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Slots<const NEAR: usize, const FAR: usize, const WORDS: usize> {
    /// So many slots, from the first, have ever been in use: nobody looks further. It grows before they are.
    pub(super) extent: Line<AtomicU64>,
    pub(super) near: [Line<AtomicU64>; NEAR],
    pub(super) map: [AtomicU64; WORDS],
    pub(super) far: [AtomicU64; FAR],
}

impl<const NEAR: usize, const FAR: usize, const WORDS: usize> Slots<NEAR, FAR, WORDS> {
    /// All that are in use.
    pub(super) fn all(&self) -> Range<usize> {
        0..(self.extent.0.load(SeqCst) as usize).min(NEAR + FAR)
    }

    /// From now on so many are in use, or more.
    pub(super) fn grow(&self, to: usize) {
        self.extent.0.fetch_max(to as u64, SeqCst);
    }

    #[inline]
    pub(super) fn at(&self, slot: usize) -> &AtomicU64 {
        match slot.checked_sub(NEAR) {
            None => &self.near[slot].0,
            Some(far) => &self.far[far],
        }
    }

    /// The slots that may be free, from `home` on: all that are near, and of the far ones those on the map.
    pub(super) fn candidates(&self, home: usize) -> impl Iterator<Item = usize> {
        let end = self.all().end;
        let near = end.min(NEAR);
        let words = (end - near).div_ceil(64);
        let on_map = move |word: usize| {
            let first = NEAR + word * 64;
            bits(self.map[word].load(SeqCst)).map(move |bit| first + bit).filter(move |&slot| slot < end)
        };
        from(home, near).chain(from(home.saturating_sub(NEAR) / 64, words).flat_map(on_map))
    }

    /// It is about to become free.
    #[inline]
    pub(super) fn put_on_map(&self, slot: usize) {
        if let Some((word, bit)) = self.place_on_map(slot)
            && word.load(Relaxed) & bit == 0
        {
            word.fetch_or(bit, SeqCst);
        }
    }

    /// It is the caller's.
    pub(super) fn take_off_map(&self, slot: usize) {
        if let Some((word, bit)) = self.place_on_map(slot) {
            word.fetch_and(!bit, SeqCst);
        }
    }

    /// Of a far slot.
    #[inline]
    fn place_on_map(&self, slot: usize) -> Option<(&AtomicU64, u64)> {
        let far = slot.checked_sub(NEAR)?;
        Some((&self.map[far / 64], 1 << (far % 64)))
    }
}

/// All below `end`, from `first` on and round.
fn from(first: usize, end: usize) -> impl Iterator<Item = usize> {
    let first = if first < end { first } else { 0 };
    (first..end).chain(0..first)
}

/// The places of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        let lowest = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(lowest)
    })
}
