//! One who waits at a condition: the words of its slot, and what a notifier does with them. The transitions, and why they
//! are right, are in `waiters.rs`.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sys::futex;
use crate::sys::task::Owner;

pub(super) const FREE: u64 = 0;
/// It sleeps, or is about to: who notifies it, wakes it.
pub(super) const ASLEEP: u64 = 1 << 30;
/// It has been notified, and has not got its lock back yet.
pub(super) const NOTIFIED: u64 = 1 << 31;

/// A cache line each: who looks at its own slows down nobody. In that of the first is what belongs to all: so who waits
/// alone, and who notifies it, pass one cache line to and fro, and not two.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    pub(super) word: AtomicU64,
    /// Its turn, from 1 on: who has the lowest is notified first. 0: it has none yet, or none any more.
    pub(super) ticket: AtomicU64,
    /// How many tickets had been drawn when it was notified. It only grows: of several who notify at once, each
    /// has it high enough.
    pub(super) given: AtomicU64,
    /// The ticket of the last who was woken here, if nobody was too late to say so; else it costs an idle wake. It is
    /// asked for when one is NOTIFIED and still ASLEEP.
    pub(super) woken: AtomicU64,
    /// Of the first slot only: the line.
    pub(super) line: AtomicU64,
    /// Of the first slot only: when somebody looked for those who died notified.
    pub(super) looked: AtomicU64,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    ToTheLiving,
    /// It was taken back.
    ToTheDead,
    /// The slot had changed: nobody has it.
    NotAsSeen,
}

impl Slot {
    /// The ticket of one who waits here, by this word, and was among the first `drawn`.
    #[inline]
    pub(super) fn waiting(&self, drawn: u64, seen: u64) -> Option<u64> {
        let ticket = self.ticket.load(Relaxed);
        (seen != FREE && seen & NOTIFIED == 0 && (1..=drawn).contains(&ticket)).then_some(ticket)
    }

    /// The word and the ticket of such a one. Whom another notified and, perhaps, did not wake, is woken.
    #[inline]
    pub(super) fn to_be_notified(&self, drawn: u64) -> Option<(u64, u64)> {
        let seen = self.word.load(Acquire);
        if seen & (NOTIFIED | ASLEEP) == NOTIFIED | ASLEEP {
            let ticket = self.ticket.load(Relaxed);
            if self.woken.load(Relaxed) != ticket {
                self.wake(ticket);
            }
        }
        Some((seen, self.waiting(drawn, seen)?))
    }

    #[inline]
    pub(super) fn give(&self, seen: u64, drawn: u64) -> Given {
        // Before the word changes: then its owner may go, come again and draw another.
        let ticket = self.ticket.load(Relaxed);
        self.given.fetch_max(drawn, Relaxed);
        // give
        if self.word.compare_exchange(seen, seen | NOTIFIED, Release, Relaxed).is_err() {
            return Given::NotAsSeen;
        }
        if seen & ASLEEP != 0 && self.wake(ticket) == 0 {
            return self.take_back_from_the_dead(seen | NOTIFIED);
        }
        Given::ToTheLiving
    }

    /// Wakes the one with this ticket, who has been notified. Returns how many it were.
    #[inline]
    fn wake(&self, ticket: u64) -> u32 {
        let woken = futex::wake(&self.word, 1);
        self.woken.store(ticket, Relaxed);
        woken
    }

    /// Takes the slot from a dead owner, whose ticket goes before. `false`: it is not as seen any more.
    pub(super) fn change_of_dead(&self, seen: u64, to: u64) -> bool {
        let ticket = self.ticket.load(Acquire);
        // If it is as seen now, it was when its ticket was read; and no two tickets are alike.
        self.word.load(Relaxed) == seen
            && self.ticket.compare_exchange(ticket, 0, Relaxed, Relaxed).is_ok()
            && self.word.compare_exchange(seen, to, AcqRel, Relaxed).is_ok()
    }

    /// Nobody was woken: its owner is awake, and will see it, or dead.
    #[cold]
    fn take_back_from_the_dead(&self, notified: u64) -> Given {
        let dead = Owner::in_word(notified).is_some_and(Owner::has_ended);
        // take back
        if dead && self.change_of_dead(notified, FREE) {
            return Given::ToTheDead;
        }
        Given::ToTheLiving
    }
}
