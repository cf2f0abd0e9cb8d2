//! The permits of a semaphore: each is a slot, and who takes a permit writes himself into its slot.
//!
//! # A slot
//!
//! ```text
//!  63           32   31      30      29          0
//! ┌───────────────┬──────┬──────────┬─────────────┐
//! │  start time   │ FREE │ RESERVED │     pid     │     0 = EMPTY: here is no permit
//! └───────────────┴──────┴──────────┴─────────────┘
//!
//! take      FREE          => me             CAS
//! give      me            => FREE           swap; then rings the bell
//! forget    me            => EMPTY          swap
//! reserve   EMPTY         => me + RESERVED  CAS, by who makes permits, until he has room for all of them
//! make      me + RESERVED => FREE           swap; when all are made, rings the bell
//! undo      me + RESERVED => EMPTY          swap, when there was no room for all of them
//! recover   dead          => FREE           CAS, once the owner's end is proved
//!           dead + RESERVED => EMPTY
//! ```
//!
//! # Why it is right
//!
//! *No permit is lost, none comes twice.* The slot is the permit, and every transition is one instruction on
//! it. So a death leaves in a slot what was there before the step or what is there after it. What carries a
//! dead one's name is given back by a CAS that replaces exactly that name, and owners are never mistaken for
//! one another ([`Owner`]): of many who proved the death one succeeds, once. A maker of permits has room for
//! all before he makes the first. Dead before, he has made none; dead among them, some; more than all, never.
//!
//! *Nobody sleeps beside a free permit.* Who gives one rings the [`Bell`]; who wants to sleep announces himself
//! there and then scans the slots.
//!
//! *"None" is the truth.* A scan that finds nothing proves little, for a permit may be given behind it while
//! another is taken before it. So who is about to say "none" announces himself, scans, and listens whether it
//! has rung since. If not, then no `give` that began after the announcement has ended. Whatever was free at the
//! announcement was taken before the scan passed it, so there is an order of all these in which none was free.
//!
//! *The map is a superset of the free far slots.* A bit is set before its slot becomes FREE and cleared
//! after it was taken, by the taker, while the slot is his alone. A bit that stays set costs a look. (To clear it before
//! the CAS, a death between the two would hide a permit.)
//!
//! *Whoever dies* between a swap and its ring, or having been woken, takes a wake-up along: then the others
//! sleep until their slice ends ([`Slice`]), and look at the slots and at the owners' lives.

use super::bell::Bell;
use super::slice::Slice;
use super::spin;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::Wait;
use crate::sys::task::Owner;
use std::collections::BTreeMap;
use std::iter;

const EMPTY: u64 = 0;
const FREE: u64 = 1 << 31;
const RESERVED: u64 = 1 << 30;

/// What shares its cache line, and the one that is fetched along with it, with nothing else.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Line<T>(pub(super) T);

/// `NEAR` slots on lines of their own and then `FAR` dense ones with a map of `WORDS` words. All zeroes has no
/// permit.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Permits<const NEAR: usize, const FAR: usize, const WORDS: usize> {
    pub(super) bell: Line<Bell>,
    /// So many slots, from the first, have ever been in use: nobody looks further. It grows before they do.
    pub(super) extent: Line<AtomicU64>,
    pub(super) near: [Line<AtomicU64>; NEAR],
    /// A bit for each far slot, set at least while it is free.
    pub(super) map: [AtomicU64; WORDS],
    pub(super) far: [AtomicU64; FAR],
}

impl<const NEAR: usize, const FAR: usize, const WORDS: usize> Permits<NEAR, FAR, WORDS> {
    /// Takes a permit, the one in the slot `home` if it can, waiting at most until the deadline. Returns
    /// the slot. `None`: not by then.
    #[inline]
    pub(super) fn acquire(&self, me: Owner, home: usize, deadline: Deadline) -> Option<usize> {
        // (A bit that it leaves set is no harm.)
        if self.take_at(home, me) { Some(home) } else { self.acquire_contended(me, home, deadline) }
    }

    /// Takes a permit if one is free, or if its holder is dead.
    #[inline]
    pub(super) fn try_acquire(&self, me: Owner, home: usize) -> Option<usize> {
        if self.take_at(home, me) { Some(home) } else { self.take_or_be_sure(me, home) }
    }

    /// Gives back the permit in this slot, which the caller holds.
    #[inline]
    pub(super) fn give(&self, slot: usize) {
        self.free(slot);
        self.bell.0.ring(1);
    }

    /// Does away with the permit in this slot, which the caller holds.
    pub(super) fn forget(&self, slot: usize) {
        // forget
        self.slot(slot).swap(EMPTY, Release);
    }

    /// Makes `n` permits, or none (`false`) if then there were more than `bound`. Before it uses more slots
    /// than ever before it asks `prepare`, with their number; what that says against it is returned.
    pub(super) fn release<E>(
        &self,
        me: Owner,
        n: usize,
        bound: usize,
        prepare: impl Fn(usize) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut reserved = Vec::new();
        let there_is_room = self.reserve(me, n, bound, prepare, &mut reserved);
        if let Ok(true) = there_is_room {
            // make
            reserved.iter().for_each(|&slot| self.free(slot));
            self.bell.0.ring(n);
        } else {
            for slot in reserved {
                // undo
                self.slot(slot).swap(EMPTY, Release);
            }
        }
        there_is_room
    }

    /// How many are free. (They are not counted in one moment.)
    pub(super) fn available(&self) -> usize {
        self.candidates(0).filter(|&slot| self.slot(slot).load(Relaxed) == FREE).count()
    }

    #[cold]
    fn acquire_contended(&self, me: Owner, home: usize, deadline: Deadline) -> Option<usize> {
        if let Some(slot) = self.take_awake(me, home) {
            return Some(slot);
        }
        let mut slice = Slice::first();
        let mut look_round = deadline.at_most(slice.next());
        loop {
            let heard = self.bell.0.announce();
            if let Some(slot) = self.take(me, home) {
                return Some(slot);
            }
            let waited = self.bell.0.sleep(heard, look_round);
            if look_round.has_passed() {
                if deadline.has_passed() {
                    return self.take_or_be_sure(me, home);
                }
                self.recover(me);
                look_round = deadline.at_most(slice.next());
            }
            if waited == Wait::LookAgain
                && let Some(slot) = self.take_awake(me, home)
            {
                return Some(slot);
            }
        }
    }

    /// Takes a permit if one becomes free within the moment for which it is worth staying awake.
    fn take_awake(&self, me: Owner, home: usize) -> Option<usize> {
        let mut taken = None;
        spin::until(|| {
            taken = self.take(me, home);
            taken.is_some()
        });
        taken
    }

    /// `None` is the truth: there was a moment in which no permit was free, and those of who was dead before had
    /// come back.
    #[cold]
    fn take_or_be_sure(&self, me: Owner, home: usize) -> Option<usize> {
        if let Some(slot) = self.take(me, home) {
            return Some(slot);
        }
        loop {
            self.recover(me);
            let heard = self.bell.0.announce();
            if let Some(slot) = self.take(me, home) {
                return Some(slot);
            }
            if !self.bell.0.has_rung_since(heard) {
                return None;
            }
        }
    }

    /// Takes the first that it finds free, from `home` on.
    fn take(&self, me: Owner, home: usize) -> Option<usize> {
        // Looks before it takes: a CAS that fails would still fetch the cache line from the owner.
        let mine = |&slot: &usize| self.slot(slot).load(SeqCst) == FREE && self.take_at(slot, me);
        let slot = self.candidates(home).find(mine)?;
        if let Some((word, bit)) = self.place_in_map(slot) {
            word.fetch_and(!bit, SeqCst);
        }
        Some(slot)
    }

    #[inline]
    fn take_at(&self, slot: usize, me: Owner) -> bool {
        let (slot, mine) = (self.slot(slot), me.to_word());
        #[cfg(feature = "sabotage")]
        {
            // The mistake that the killer must find: for some instructions the permit is taken and nobody's.
            let taken = slot.compare_exchange(FREE, RESERVED, Acquire, Relaxed).is_ok();
            if taken {
                slot.swap(mine, Relaxed);
            }
            taken
        }
        // take
        #[cfg(not(feature = "sabotage"))]
        slot.compare_exchange(FREE, mine, Acquire, Relaxed).is_ok()
    }

    /// `give` and `make`.
    #[inline]
    fn free(&self, slot: usize) {
        self.put_on_map(slot);
        self.slot(slot).swap(FREE, SeqCst);
    }

    /// Gives back what the dead hold. Returns how many slots that changed.
    #[cold]
    fn recover(&self, me: Owner) -> usize {
        let mut ended = BTreeMap::from([(me.to_word(), false)]);
        let (mut free, mut empty) = (0, 0);
        for number in 0..self.extent() {
            let slot = self.slot(number);
            let seen = slot.load(Relaxed);
            let Some(owner) = Owner::in_word(seen) else { continue };
            // Each is asked about once.
            if !*ended.entry(owner.to_word()).or_insert_with(|| owner.has_ended()) {
                continue;
            }
            // recover
            let recovers = |now| slot.compare_exchange(seen, now, SeqCst, Relaxed).is_ok();
            if seen & RESERVED == 0 {
                self.put_on_map(number);
                free += usize::from(recovers(FREE));
            } else {
                empty += usize::from(recovers(EMPTY));
            }
        }
        if free != 0 {
            self.bell.0.ring(free);
        }
        free + empty
    }

    /// Reserves `n` empty slots. `false`: there are not so many. Those that it got are in `reserved`.
    fn reserve<E>(
        &self,
        me: Owner,
        n: usize,
        bound: usize,
        prepare: impl Fn(usize) -> Result<(), E>,
        reserved: &mut Vec<usize>,
    ) -> Result<bool, E> {
        if n > bound {
            return Ok(false);
        }
        let mine = me.to_word() | RESERVED;
        let reserves = |&number: &usize| {
            let slot = self.slot(number);
            // reserve
            slot.load(Relaxed) == EMPTY && slot.compare_exchange(EMPTY, mine, Acquire, Relaxed).is_ok()
        };
        loop {
            let extent = self.extent();
            reserved.extend((0..extent).filter(reserves).take(n - reserved.len()));
            let missing = n - reserved.len();
            if missing == 0 {
                return Ok(true);
            }
            let wanted = bound.min(extent + missing);
            if wanted > extent {
                prepare(wanted)?;
                self.extent.0.fetch_max(wanted as u64, SeqCst);
            } else if self.recover(me) == 0 {
                return Ok(false);
            }
        }
    }

    fn extent(&self) -> usize {
        (self.extent.0.load(SeqCst) as usize).min(NEAR + FAR)
    }

    #[inline]
    fn slot(&self, slot: usize) -> &AtomicU64 {
        match slot.checked_sub(NEAR) {
            None => &self.near[slot].0,
            Some(far) => &self.far[far],
        }
    }

    /// The slots that may be free, from `home` on: all that are near, and of the far ones those on the map.
    fn candidates(&self, home: usize) -> impl Iterator<Item = usize> {
        let extent = self.extent();
        let near = extent.min(NEAR);
        let words = (extent - near).div_ceil(64);
        let on_map = move |word: usize| {
            let first = NEAR + word * 64;
            bits(self.map[word].load(SeqCst)).map(move |bit| first + bit).filter(move |&slot| slot < extent)
        };
        from(home, near).chain(from(home.saturating_sub(NEAR) / 64, words).flat_map(on_map))
    }

    /// Where a far slot is on the map.
    #[inline]
    fn place_in_map(&self, slot: usize) -> Option<(&AtomicU64, u64)> {
        let far = slot.checked_sub(NEAR)?;
        Some((&self.map[far / 64], 1 << (far % 64)))
    }

    #[inline]
    fn put_on_map(&self, slot: usize) {
        if let Some((word, bit)) = self.place_in_map(slot)
            && word.load(Relaxed) & bit == 0
        {
            word.fetch_or(bit, SeqCst);
        }
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
