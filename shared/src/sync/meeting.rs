//! Who waits at a barrier, and what became of them. Relies on the lock word and the kernel's floor; the action is
//! the caller's.
//!
//! All is changed under a small lock, the door, and read without it.
//!
//! # The state
//!
//! ```text
//!  63           32 31              2 1      0
//! ┌───────────────┬─────────────────┬────────┐     FILLING  they arrive
//! │    arrived    │   generation    │ phase  │     ACTING   all are there, the last one acts
//! └───────────────┴─────────────────┴────────┘     BROKEN   nobody passes until a reset
//!                  the half on which they sleep
//!
//! arrive  (n, g, FILLING) => (n + 1, g, FILLING)   by the last one => (n + 1, g, ACTING)
//! pass    (n, g, ACTING)  => (0, g + 1, FILLING)   by the last one, after the action
//! fail    (n, g, any)     => (0, g + 1, BROKEN)
//! reset   (n, g, any)     => (0, g + 1, FILLING)
//! ```
//!
//! # A party's slot
//!
//! ```text
//! enter   FREE           => me             FREE may also be `dead + DONE`
//! decide  owner          => owner + DONE   its fate beside it
//! leave   me + DONE      => FREE           by its owner, who has read its fate; without the door
//! ```
//!
//! It has the slot until it leaves, however many generations later: a slow one is told what became of its own.
//!
//! # Why it is right
//!
//! *One fate for all.* Pass, fail and reset write what is decided (`verdict`), then the slots of all that wait, then
//! the state, and then that nothing is left to do. Whoever inherits the door from one who died in there finishes
//! it: nobody arrives meanwhile, so what is done twice changes nothing. Who waits looks for such a verdict now and
//! then. A death before the verdict has decided nothing.
//!
//! *The dead are noticed.* A slot in which a dead one waits, counted or not, makes the generation fail, with the
//! pid. The last one looks for such before it acts. And each that waits looks now and then ([`Slice`]) after its
//! neighbour, the next slot in which somebody waits: of any that died, the first one behind a living one is found.
//! So ten thousand take ten thousand looks a slice, and not a hundred million.
//!
//! *Nobody sleeps through it.* A party reads the state first and its slot second, and sleeps while the state is
//! still the same. Slots are written first and the state second.
//!
//! *Memory order.* The door orders all arrivals and the decision; the decision is stored with `Release` and read
//! with `Acquire`. So what each did before it came is seen by all that pass.

use super::raw::{RawLock, Taken};
use super::slice::Slice;
use super::spin::Spin;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::task::{Owner, Watch};

const PHASE: u64 = 3;
const FILLING: u64 = 0;
const ACTING: u64 = 1;
const BROKEN: u64 = 2;
const GENERATION: u64 = 4;
const PARTY: u64 = 1 << 32;

const FREE: u64 = 0;
const DONE: u64 = 1 << 30;

/// What becomes of a generation: of a pid, if it matters, the low half.
pub(super) type Fate = u64;
pub(super) const PASSED: Fate = 1 << 32;
pub(super) const ABORTED: Fate = 2 << 32;
pub(super) const TIMED_OUT: Fate = 3 << 32;
pub(super) const DIED: Fate = 4 << 32;
pub(super) const PANICKED: Fate = 5 << 32;
pub(super) const RESET: Fate = 6 << 32;

/// In milliseconds, from one look for the dead to the next.
const LOOKS: u32 = 250;

/// The parties that wait, at most so many. All zeroes: nobody does.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Meeting<const SLOTS: usize> {
    pub(super) door: RawLock,
    pub(super) state: AtomicU64,
    /// What is decided and not done everywhere; 0: nothing.
    pub(super) verdict: AtomicU64,
    /// Why it is BROKEN.
    pub(super) failure: AtomicU64,
    /// Every slot in use lies below it.
    pub(super) mark: AtomicU64,
    /// When somebody has looked for the dead.
    pub(super) looked: AtomicU64,
    pub(super) slots: [Slot; SLOTS],
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    pub(super) word: AtomicU64,
    pub(super) fate: AtomicU64,
}

/// One that has arrived and not left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    me: Owner,
    slot: usize,
    /// So many were there before it.
    pub(super) index: usize,
    /// All are there: it acts.
    pub(super) last: bool,
}

impl<const SLOTS: usize> Meeting<SLOTS> {
    /// Arrives. While those of an earlier generation are about to leave it waits, at most until the deadline.
    pub(super) fn arrive(&self, me: Owner, parties: usize, deadline: Deadline) -> Result<Party, Fate> {
        let mut slice = Slice::first();
        loop {
            let seen = match self.inside(me, || self.enter(me, parties)) {
                Ok(party) => return party,
                Err(full) => full,
            };
            if deadline.has_passed() {
                self.fail(me, TIMED_OUT);
                return Err(TIMED_OUT);
            }
            if self.sleep(me, seen, deadline.at_most(slice.next())) {
                self.look_for_the_dead_in_turn(me);
            }
        }
    }

    /// `Err(state)`: there is no room as long as the state is this.
    fn enter(&self, me: Owner, parties: usize) -> Result<Result<Party, Fate>, u64> {
        let state = self.state.load(Relaxed);
        match state & PHASE {
            BROKEN => return Ok(Err(self.failure.load(Relaxed))),
            ACTING => return Err(state),
            _ => {}
        }
        let slot = self.free_slot(state).ok_or(state)?;
        let index = (state / PARTY) as usize;
        let last = index + 1 >= parties;
        // enter
        self.slots[slot].word.store(me.to_word(), Relaxed);
        // arrive
        self.state.store(state + PARTY + if last { ACTING } else { 0 }, Release);
        Ok(Ok(Party { me, slot, index, last }))
    }

    fn free_slot(&self, state: u64) -> Option<usize> {
        let mark = self.mark.load(Relaxed) as usize;
        let is_free = |slot: &usize| self.slots[*slot].word.load(Acquire) == FREE;
        let is_left = |slot: &usize| {
            let seen = self.slots[*slot].word.load(Relaxed);
            seen & DONE != 0 && Owner::in_word(seen).is_some_and(Owner::has_ended)
        };
        // Before it takes one more it looks at one of the others: so the dead are outnumbered.
        let in_turn = ((state as u32 as u64 / GENERATION) as usize).checked_rem(mark);
        let found = (0..mark).find(is_free).or_else(|| in_turn.filter(is_left));
        found.or_else(|| {
            if mark == SLOTS {
                return (0..mark).find(is_left);
            }
            self.mark.store(mark as u64 + 1, Relaxed);
            Some(mark)
        })
    }

    /// Waits for the party's fate, and leaves. If the deadline comes first, that is the fate of all.
    pub(super) fn wait(&self, party: Party, spin: &Spin, deadline: Deadline) -> Fate {
        let mut slice = Slice::first();
        let mut watch = Watch::default();
        let mut fate = None;
        spin.until(|| {
            fate = self.fate(party);
            fate.is_some()
        });
        loop {
            if let Some(fate) = fate {
                // leave
                self.slots[party.slot].word.store(FREE, Release);
                return fate;
            }
            if deadline.has_passed() {
                self.decide_for(party, TIMED_OUT);
            } else {
                let seen = self.state.load(Acquire);
                fate = self.fate(party);
                if fate.is_none() && self.sleep(party.me, seen, deadline.at_most(slice.next())) {
                    self.look_after_neighbour(party, &mut watch);
                }
            }
            fate = self.fate(party);
        }
    }

    /// What became of it, if that is decided.
    pub(super) fn fate(&self, party: Party) -> Option<Fate> {
        let slot = &self.slots[party.slot];
        (slot.word.load(Acquire) & DONE != 0).then(|| slot.fate.load(Relaxed))
    }

    /// One slice of sleep, as long as the state is this. `true`: it is over, time to look after others.
    fn sleep(&self, me: Owner, state: u64, look_round: Deadline) -> bool {
        futex::wait(&self.state, state, look_round);
        let over = look_round.has_passed();
        if over && self.verdict.load(Relaxed) != 0 {
            // Somebody is at it, or has died over it: then this finishes it.
            self.inside(me, || ());
        }
        over
    }

    /// Fails if the next that waits is dead.
    fn look_after_neighbour(&self, party: Party, watch: &mut Watch) {
        let mark = self.mark.load(Relaxed) as usize;
        let waits = |slot: usize| {
            let seen = self.slots[slot].word.load(Acquire);
            let owner = Owner::in_word(seen).filter(|&owner| seen & DONE == 0 && owner != party.me);
            owner.map(|owner| (slot, seen, owner))
        };
        let next = (party.slot + 1..mark).chain(0..party.slot).find_map(waits);
        if let Some((slot, seen, owner)) = next
            && watch.has_ended(owner)
        {
            self.bury(party.me, slot, seen, owner);
        }
    }

    /// Fails if any that waits is dead. For those that have no place among them yet, one for all.
    fn look_for_the_dead_in_turn(&self, me: Owner) {
        let (now, before) = (clock::milliseconds(), self.looked.load(Relaxed));
        if now.wrapping_sub(before as u32) >= LOOKS
            && self.looked.compare_exchange(before, now.into(), Relaxed, Relaxed).is_ok()
        {
            self.look_for_the_dead(me);
            self.looked.store(clock::milliseconds().into(), Relaxed);
        }
    }

    /// Fails if a dead one waits.
    pub(super) fn look_for_the_dead(&self, me: Owner) {
        for slot in 0..self.mark.load(Relaxed) as usize {
            let seen = self.slots[slot].word.load(Acquire);
            let dead =
                Owner::in_word(seen).filter(|&owner| seen & DONE == 0 && owner != me && owner.has_ended());
            if let Some(dead) = dead {
                self.bury(me, slot, seen, dead);
            }
        }
    }

    /// Fails, because this one died while it waited.
    fn bury(&self, me: Owner, slot: usize, seen: u64, dead: Owner) {
        self.inside(me, || {
            if self.slots[slot].word.load(Relaxed) == seen {
                self.decide(DIED | u64::from(dead.pid()));
            }
        });
    }

    fn in_use(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().take(self.mark.load(Relaxed) as usize)
    }

    /// This is the fate of the party's generation, unless that is decided.
    pub(super) fn decide_for(&self, party: Party, fate: Fate) {
        self.inside(party.me, || {
            if self.fate(party).is_none() {
                self.decide(fate);
            }
        });
    }

    /// From now on it is broken. If it was, it stays as it is.
    pub(super) fn fail(&self, me: Owner, fate: Fate) {
        self.inside(me, || {
            if self.state.load(Relaxed) & PHASE != BROKEN {
                self.decide(fate);
            }
        });
    }

    /// From now on it is as new. Those that wait fail.
    pub(super) fn reset(&self, me: Owner) {
        self.inside(me, || self.decide(RESET));
    }

    fn decide(&self, fate: Fate) {
        self.verdict.store(fate, Release);
        self.finish();
    }

    /// Does what is decided, if anything: everywhere, and once more where it was done.
    fn finish(&self) {
        let fate = self.verdict.load(Acquire);
        if fate == 0 {
            return;
        }
        for slot in self.in_use() {
            let seen = slot.word.load(Relaxed);
            if seen != FREE && seen & DONE == 0 {
                slot.fate.store(fate, Relaxed);
                // decide
                slot.word.store(seen | DONE, Release);
            }
        }
        let phase = if fate == PASSED || fate == RESET { FILLING } else { BROKEN };
        if phase == BROKEN {
            self.failure.store(fate, Relaxed);
        }
        // pass, fail, reset
        let low = self.state.load(Relaxed) as u32;
        let generation = low.wrapping_add(GENERATION as u32) & !(PHASE as u32);
        self.state.store(u64::from(generation) | phase, Release);
        self.verdict.store(0, Release);
        futex::wake(&self.state, i32::MAX);
    }

    /// How many wait.
    pub(super) fn arrived(&self) -> usize {
        (self.state.load(Acquire) / PARTY) as usize
    }

    /// Why it is broken, if it is.
    pub(super) fn failure(&self) -> Option<Fate> {
        (self.state.load(Acquire) & PHASE == BROKEN).then(|| self.failure.load(Relaxed))
    }

    /// Behind the door nobody else changes anything, and nothing is half done.
    fn inside<T>(&self, me: Owner, change: impl FnOnce() -> T) -> T {
        if let Some(Taken::From(_)) = self.door.lock(me, Deadline::NEVER) {
            self.finish();
        }
        let result = change();
        self.door.unlock();
        result
    }
}
