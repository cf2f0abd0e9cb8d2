//! Who waits at a condition: a slot for each, in shared memory, on which it sleeps and by which it is notified.
//! Relies on the kernel's floor and on nothing else; the lock that is given up meanwhile is the caller's.
//!
//! # A slot's word
//!
//! ```text
//!  63           32 31        30       29          0
//! ┌───────────────┬──────────┬────────┬─────────────┐
//! │  start time   │ NOTIFIED │ ASLEEP │     pid     │     0 = free
//! └───────────────┴──────────┴────────┴─────────────┘
//!                  the half on which its owner sleeps
//! ```
//!
//! # The transitions
//!
//! ```text
//! enter     FREE                       => me               CAS
//! reclaim   dead (+ ASLEEP)            => me               CAS, once the owner's end is proved
//! announce  me                         => me + ASLEEP      CAS, before the first sleep
//! give      owner (+ ASLEEP)           => same + NOTIFIED  CAS, by a notifier, who wakes the owner if it is ASLEEP
//! withdraw  me (+ ASLEEP)              => FREE             CAS, by one who does not want to wait any longer
//! settle    me + NOTIFIED (+ ASLEEP)   => FREE             store, by one who has its lock again
//! take back dead + NOTIFIED (+ ASLEEP) => FREE             CAS, by the notifier who gave it in vain
//! carry     dead + NOTIFIED (+ ASLEEP) => me + NOTIFIED    CAS, by one who gives it to another and settles then
//! ```
//!
//! # The line
//!
//! ```text
//!  63                        17 16           0
//! ┌────────────────────────────┬──────────────┐
//! │   tickets given out        │     mark     │     every slot in use lies below the mark
//! └────────────────────────────┴──────────────┘
//! ```
//!
//! # Why it is right
//!
//! *A notification wakes one waiter.* It is one CAS on the word of one waiter, and who withdraws does so by a
//! CAS on the same word: either it has withdrawn or it is notified.
//!
//! *It is not lost with its receiver.* The slot says NOTIFIED until the receiver has its lock again. Until then
//! a death leaves `dead + NOTIFIED`, which others find ([`Waiters::look_round`]) and carry: that CAS is won by
//! one. It gives before it settles, so its own death leaves something to be found again. (Killed between these
//! two, it has given twice: of the two mistakes that two deaths in one instant may leave, the harmless one.)
//!
//! *It is not kept either.* It goes to those who waited when it was given: their tickets are below `given`. If
//! none of them is left, it is no more.
//!
//! *Nobody is overlooked.* Who enters takes its slot, then raises the mark with the change that draws its
//! ticket, and gives up its lock after that. Who lowers the mark has seen the topmost slot free, by a CAS
//! that fails if a ticket was drawn since: so the slot was not entered, or its ticket will raise the mark again.
//!
//! *Whoever dies.* A waiter leaves a slot with a dead owner: it is reclaimed, or given to and taken back, as the
//! wake-up reaches nobody. A notifier that dies has given, or not. One that has given and not woken is made
//! good by the end of the sleeper's slice ([`Slice`]), or by the next notifier, who finds a sleeper of whom nobody
//! says that it was woken (`Slot::woken`).
//!
//! *Who comes first sleeps without a slice.* A ticket is that of a slot's owner or of a dead one before: it is written
//! once it is drawn, and gone before the slot is free or another's. If the mark was 0 when a ticket was drawn, no slot
//! had one. So it is the lowest as long as its owner waits, whoever notifies anybody has notified that one first, and it is
//! nobody's heir. What it can miss is the wake-up by a notifier that is killed on the way to it, as if that had been
//! killed a moment before. (With a slice's timer such a sleep takes a tenth to a quarter longer.)
//!
//! *Memory order.* What the waiters wait for is ordered by their lock. Here, who sees a ticket drawn sees the
//! slot taken, and who sees NOTIFIED sees `given`: `Release` and `Acquire`.

use super::slice::Slice;
use super::spin::Spin;
use super::waiter::{ASLEEP, FREE, Given, NOTIFIED, Slot};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::signal;
use crate::sys::task::Owner;

/// The part of the line that is the mark.
const MARK: u64 = (1 << 17) - 1;
/// One ticket more.
const TICKET: u64 = MARK + 1;

/// Of so many slots it does not matter whose they are.
const FEW: usize = 64;

/// At most so often, in milliseconds, somebody looks for those who died notified.
const LOOKS: u32 = 100;

/// The waiters, at most so many at once. All zeroes: nobody waits.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Waiters<const SLOTS: usize> {
    pub(super) slots: [Slot; SLOTS],
}

/// A slot that the caller has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    slot: usize,
    me: Owner,
    /// Nobody waited when it came.
    is_first: bool,
}

impl<const SLOTS: usize> Waiters<SLOTS> {
    #[inline]
    fn line(&self) -> &AtomicU64 {
        &self.slots[0].line
    }

    fn looked(&self) -> &AtomicU64 {
        &self.slots[0].looked
    }

    /// From now on the caller can be notified. `None`: there are too many already.
    #[inline]
    pub(super) fn enter(&self, me: Owner) -> Option<Place> {
        let line = self.line().load(Acquire);
        let (drawn, mark) = (line / TICKET, (line & MARK) as usize);
        let in_turn = (mark >= FEW).then(|| drawn as usize % mark);
        let slot = (0..mark)
            .find(|&slot| self.take_free(slot, me))
            // Before they are one more it looks at one of the others: so the dead are outnumbered.
            .or_else(|| in_turn.filter(|&slot| self.take_dead(slot, me)))
            .or_else(|| (mark..SLOTS).find(|&slot| self.take_free(slot, me)))
            .or_else(|| (0..SLOTS).find(|&slot| self.take_dead(slot, me)))?;
        let line = self.draw(slot);
        self.slots[slot].ticket.store(line / TICKET + 1, Release);
        Some(Place { slot, me, is_first: line & MARK == 0 })
    }

    /// `enter`
    fn take_free(&self, slot: usize, me: Owner) -> bool {
        let word = &self.slots[slot].word;
        word.load(Relaxed) == FREE && word.compare_exchange(FREE, me.to_word(), Acquire, Relaxed).is_ok()
    }

    /// `reclaim`
    #[cold]
    fn take_dead(&self, slot: usize, me: Owner) -> bool {
        let slot = &self.slots[slot];
        let seen = slot.word.load(Relaxed);
        let dead = seen & NOTIFIED == 0 && Owner::in_word(seen).is_some_and(|owner| has_died(owner, me));
        dead && slot.change_of_dead(seen, me.to_word())
    }

    /// Draws a ticket, and raises the mark above the slot. Returns the line as it was before.
    #[inline]
    fn draw(&self, slot: usize) -> u64 {
        let mut line = self.line().load(Relaxed);
        loop {
            let mark = (line & MARK).max(slot as u64 + 1);
            let next = (line & !MARK).wrapping_add(TICKET) | mark;
            match self.line().compare_exchange(line, next, AcqRel, Relaxed) {
                Ok(_) => return line,
                Err(now) => line = now,
            }
        }
    }

    /// Waits until notified or until the deadline. `true`: it has been notified, and [`settle`](Self::settle)s when
    /// it has its lock; `false`: it has not, and its place is no longer its own.
    #[inline]
    pub(super) fn wait(&self, place: Place, spin: &Spin, deadline: Deadline) -> bool {
        let word = &self.slots[place.slot].word;
        let asleep = place.me.to_word() | ASLEEP;
        let notified = || word.load(Acquire) & NOTIFIED != 0;
        // announce
        if spin.until(notified)
            || word.compare_exchange(place.me.to_word(), asleep, Relaxed, Acquire).is_err()
        {
            return true;
        }
        let mut slice = Slice::first();
        let mut look_round = deadline.at_most(slice.next());
        loop {
            let needs_no_slice = place.is_first && !signal::is_any_caught();
            futex::wait(word, asleep, if needs_no_slice { deadline } else { look_round });
            if notified() {
                return true;
            }
            if look_round.has_passed() {
                if deadline.has_passed() {
                    return !self.withdraw(place);
                }
                self.look_round(place.me);
                look_round = deadline.at_most(slice.next());
            }
        }
    }

    /// Gives the place up. `false`: it has been notified.
    fn withdraw(&self, place: Place) -> bool {
        let (Slot { word, ticket, .. }, me) = (&self.slots[place.slot], place.me.to_word());
        ticket.store(0, Relaxed);
        // withdraw
        let gone = [me | ASLEEP, me]
            .into_iter()
            .any(|waiting| word.compare_exchange(waiting, FREE, Release, Acquire).is_ok());
        if gone {
            self.lower();
        }
        gone
    }

    /// One who has been notified has its lock again.
    #[inline]
    pub(super) fn settle(&self, place: Place) {
        let Slot { word, ticket, .. } = &self.slots[place.slot];
        ticket.store(0, Relaxed);
        // settle
        word.store(FREE, Release);
        self.lower();
    }

    /// One who was to wait, or to take its lock again, does neither. If it was notified, another is.
    pub(super) fn abandon(&self, place: Place) {
        if !self.withdraw(place) {
            self.notify_one(self.slots[place.slot].given.load(Relaxed));
            self.settle(place);
        }
    }

    /// Lowers the mark to the topmost slot in use.
    #[inline]
    fn lower(&self) {
        loop {
            let line = self.line().load(Acquire);
            let Some(topmost) = ((line & MARK) as usize).checked_sub(1) else { return };
            if self.slots[topmost].word.load(Relaxed) != FREE
                || self.line().compare_exchange(line, line - 1, Relaxed, Relaxed).is_err()
            {
                // In use. Or others have come or gone: who went last will lower it.
                return;
            }
        }
    }

    /// Notifies so many, those who have waited longest.
    #[inline]
    pub(super) fn notify(&self, count: usize) {
        let drawn = self.line().load(Acquire) / TICKET;
        for _ in 0..count {
            if !self.notify_one(drawn) {
                return;
            }
        }
    }

    /// Notifies all who wait now.
    pub(super) fn notify_all(&self) {
        let drawn = self.line().load(Acquire) / TICKET;
        for slot in self.in_use() {
            while let Some((seen, _)) = slot.to_be_notified(drawn) {
                if slot.give(seen, drawn) != Given::NotAsSeen {
                    break;
                }
            }
        }
    }

    /// Notifies the one who has waited longest, of those who were among the first `drawn`. `false`: there is none.
    #[inline]
    fn notify_one(&self, drawn: u64) -> bool {
        loop {
            let waiting = self.in_use().filter_map(|slot| Some((slot, slot.to_be_notified(drawn)?)));
            let Some((slot, (seen, _))) = waiting.min_by_key(|(_, (_, ticket))| *ticket) else {
                return false;
            };
            if slot.give(seen, drawn) == Given::ToTheLiving {
                return true;
            }
        }
    }

    #[inline]
    fn in_use(&self) -> impl Iterator<Item = &Slot> {
        let mark = (self.line().load(Acquire) & MARK) as usize;
        self.slots.iter().take(mark)
    }

    /// How many wait now and are not notified, the dead included.
    pub(super) fn waiting(&self) -> usize {
        self.in_use().filter(|slot| slot.waiting(u64::MAX, slot.word.load(Acquire)).is_some()).count()
    }

    /// Somebody looks for those who died notified, and passes on what they were given.
    fn look_round(&self, me: Owner) {
        let (now, before) = (clock::milliseconds(), self.looked().load(Relaxed));
        // One for all: of ten thousand waiters each would look at ten thousand.
        if now.wrapping_sub(before as u32) < LOOKS
            || self.looked().compare_exchange(before, now.into(), Relaxed, Relaxed).is_err()
        {
            return;
        }
        for slot in self.in_use() {
            let seen = slot.word.load(Acquire);
            let orphan =
                seen & NOTIFIED != 0 && Owner::in_word(seen).is_some_and(|owner| has_died(owner, me));
            let mine = me.to_word() | NOTIFIED;
            // carry
            if orphan && slot.word.compare_exchange(seen, mine, Acquire, Relaxed).is_ok() {
                // The mistake that killer and model must find: the notification is lost with its receiver.
                #[cfg(not(feature = "sabotage-condition"))]
                self.notify_one(slot.given.load(Relaxed));
                slot.ticket.store(0, Relaxed);
                // settle
                slot.word.store(FREE, Release);
            }
        }
        self.lower();
    }
}

/// Whether this owner has certainly died. The caller has not.
fn has_died(owner: Owner, me: Owner) -> bool {
    owner != me && owner.has_ended()
}
