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
//! *Whoever dies* between a swap and its ring, or having been woken, takes a wake-up along: then the others
//! sleep until their slice ends ([`Slice`]), and look at the slots and at the owners' lives.

use super::bell::Bell;
use super::slice::Slice;
use super::slots::{Line, Slots};
use super::spin;
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::futex::Wait;
use crate::sys::task::Owner;
use std::collections::BTreeMap;

const EMPTY: u64 = 0;
const FREE: u64 = 1 << 31;
const RESERVED: u64 = 1 << 30;

/// A semaphore without its bound. All zeroes has no permit.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Permits<const NEAR: usize, const FAR: usize, const WORDS: usize> {
    pub(super) bell: Line<Bell>,
    pub(super) slots: Slots<NEAR, FAR, WORDS>,
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
        self.slots.at(slot).swap(EMPTY, Release);
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
                self.slots.at(slot).swap(EMPTY, Release);
            }
        }
        there_is_room
    }

    /// How many are free. (They are not counted in one moment.)
    pub(super) fn available(&self) -> usize {
        self.slots.candidates(0).filter(|&slot| self.slots.at(slot).load(Relaxed) == FREE).count()
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
        let mine = |&slot: &usize| self.slots.at(slot).load(SeqCst) == FREE && self.take_at(slot, me);
        let slot = self.slots.candidates(home).find(mine)?;
        self.slots.take_off_map(slot);
        Some(slot)
    }

    #[inline]
    fn take_at(&self, slot: usize, me: Owner) -> bool {
        let (slot, mine) = (self.slots.at(slot), me.to_word());
        #[cfg(feature = "sabotage-semaphore")]
        {
            // The mistake that the killer must find: for some instructions the permit is taken and nobody's.
            let taken = slot.compare_exchange(FREE, RESERVED, Acquire, Relaxed).is_ok();
            if taken {
                slot.swap(mine, Relaxed);
            }
            taken
        }
        // take
        #[cfg(not(feature = "sabotage-semaphore"))]
        slot.compare_exchange(FREE, mine, Acquire, Relaxed).is_ok()
    }

    /// `give` and `make`.
    #[inline]
    fn free(&self, slot: usize) {
        self.slots.put_on_map(slot);
        self.slots.at(slot).swap(FREE, SeqCst);
    }

    /// Gives back what the dead hold.
    #[cold]
    fn recover(&self, me: Owner) {
        let mut ended = BTreeMap::from([(me.to_word(), false)]);
        let mut freed = 0;
        for number in self.slots.all() {
            let slot = self.slots.at(number);
            let seen = slot.load(Relaxed);
            let Some(owner) = Owner::in_word(seen) else { continue };
            // Each is asked about once.
            if !*ended.entry(owner.to_word()).or_insert_with(|| owner.has_ended()) {
                continue;
            }
            let back_to = if seen & RESERVED == 0 { FREE } else { EMPTY };
            if back_to == FREE {
                self.slots.put_on_map(number);
            }
            // recover
            if slot.compare_exchange(seen, back_to, SeqCst, Relaxed).is_ok() && back_to == FREE {
                freed += 1;
            }
        }
        if freed != 0 {
            self.bell.0.ring(freed);
        }
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
            let slot = self.slots.at(number);
            // reserve
            slot.load(Relaxed) == EMPTY && slot.compare_exchange(EMPTY, mine, Acquire, Relaxed).is_ok()
        };
        let mut has_recovered = false;
        loop {
            let all = self.slots.all();
            let in_use = all.end;
            reserved.extend(all.filter(reserves).take(n - reserved.len()));
            let missing = n - reserved.len();
            if missing == 0 {
                return Ok(true);
            }
            let wanted = bound.min(in_use + missing);
            if wanted > in_use {
                prepare(wanted)?;
                self.slots.grow(wanted);
            } else if has_recovered {
                return Ok(false);
            } else {
                self.recover(me);
                has_recovered = true;
            }
        }
    }
}
