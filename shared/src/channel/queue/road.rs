//! What a queue is beneath its types: bytes in, bytes out, and waiting for room, for items and for the end.

use super::line::{Corrupt, Hints, Line, Mine, NoClaim, NoItem};
use super::outgoing::Filled;
use crate::channel::message::Arrival;
use crate::memory::blocks::{BlockId, Blocks, INLINE};
use crate::memory::ring::{Block, Hold};
use crate::memory::segment::Segment;
use crate::sync::{Awaited, Look, Spin};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::task::Owner;
use nix::errno::Errno;
use std::hint;
use std::thread;
use std::time::Duration;

/// Of a shorter queue, producers are told of each place that becomes free.
const SHORT: u64 = 16;

/// How often one who waits lets others run before he spins, and how many `pause` instructions he rests each time.
const YIELDS: u32 = 4;
const PAUSES: u32 = 80;

/// For so long a call that does not wait waits for an item that is being written.
const WRITING: Duration = Duration::from_millis(2);

/// What the processes share, beside the memory for items. All zeroes is an empty queue.
#[repr(C)]
pub(super) struct Shared {
    pub(super) hints: Hints,
    pub(super) items: Awaited,
    pub(super) room: Awaited,
    pub(super) done: Awaited,
}

/// One handle.
#[derive(Clone)]
pub(super) struct Road {
    pub(super) shared: Segment<Shared>,
    pub(super) blocks: Blocks,
    bound: Option<u64>,
    known_head: Own,
    id: u64,
    getting: Spin,
    putting: Spin,
    pub(super) joining: Spin,
}

/// A number of one handle, on a cache line of its own.
#[repr(align(128))]
struct Own(AtomicU64);

impl Clone for Own {
    fn clone(&self) -> Own {
        Own(AtomicU64::new(self.0.load(Relaxed)))
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// It does not wait.
    None,
    Until(Deadline),
}

impl Patience {
    pub(super) const EVER: Patience = Patience::Until(Deadline::NEVER);

    pub(super) fn of(timeout: Duration) -> Patience {
        Patience::Until(Deadline::after(timeout))
    }
}

/// Why nothing was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPut {
    /// No room, or not in time.
    Full,
    Closed,
    NoMemory(Errno),
    Corrupt,
}

/// Why nothing was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotGot {
    /// No item, or not in time.
    Empty,
    Closed,
    Corrupt,
}

impl From<Corrupt> for NotGot {
    fn from(_: Corrupt) -> NotGot {
        NotGot::Corrupt
    }
}

/// An item that this process holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) at: u64,
    /// With this one.
    pub(super) deliveries: u32,
}

impl Road {
    pub(super) fn new(bound: Option<u64>) -> Result<Road, Errno> {
        let shared = Segment::new(Shared::empty())?;
        let blocks = Blocks::new()?;
        let known_head = Own(AtomicU64::new(0));
        let (getting, putting, joining) = (Spin::new(), Spin::new(), Spin::new());
        Ok(Road {
            shared,
            blocks,
            bound,
            known_head,
            id: crate::channel::number(),
            getting,
            putting,
            joining,
        })
    }

    #[inline]
    pub(super) fn line(&self) -> Line<'_> {
        Line {
            hints: &self.shared.hints,
            blocks: &self.blocks,
            bound: self.bound.unwrap_or(u64::MAX),
            known_head: &self.known_head.0,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn bound(&self) -> Option<u64> {
        self.bound
    }

    /// Puts an item of these bytes.
    #[inline]
    pub(super) fn put(&self, bytes: &[u8], patience: Patience) -> Result<(), NotPut> {
        let me = Owner::current();
        // Memory first: if there is none, nothing has happened.
        let filled = if bytes.len() <= INLINE { None } else { Some(self.fill(me, bytes)?) };
        self.hand_over(me, bytes, filled, patience)
    }

    /// Puts what is in a block of this process's, or else these bytes.
    #[inline]
    pub(super) fn hand_over(
        &self,
        me: Owner,
        bytes: &[u8],
        filled: Option<Filled>,
        patience: Patience,
    ) -> Result<(), NotPut> {
        let claimed = match self.line().claim(me) {
            Ok(mine) => Ok(mine),
            Err(NoClaim::Full) => self.claim_later(me, patience),
            Err(NoClaim::Closed) => Err(NotPut::Closed),
            Err(NoClaim::NoMemory(errno)) => Err(NotPut::NoMemory(errno)),
            Err(NoClaim::Corrupt) => Err(NotPut::Corrupt),
        };
        match claimed {
            Ok(mine) => {
                self.line().write_and_commit(mine, |place| {
                    place.deliveries.store(0, Relaxed);
                    match filled {
                        None => {
                            place.len.store(bytes.len() as u64, Relaxed);
                            place.block.store(0, Relaxed);
                            place.write(bytes);
                        }
                        Some(Filled { block, len }) => {
                            place.len.store(len as u64, Relaxed);
                            self.blocks.link(block, Block::Item(mine.at));
                            place.block.store(u64::from(block.number()) + 1, Relaxed);
                        }
                    }
                });
                self.shared.items.ring();
                Ok(())
            }
            Err(error) => {
                if let Some(filled) = filled {
                    self.give_back(me, filled);
                }
                if error == NotPut::Closed {
                    // Who saw the claim has gone to sleep again, and nothing will come of it.
                    self.shared.items.alarm();
                    self.shared.done.alarm();
                }
                Err(error)
            }
        }
    }

    #[cold]
    fn fill(&self, me: Owner, bytes: &[u8]) -> Result<Filled, NotPut> {
        let block = self.blocks.allot(me, bytes.len()).map_err(NotPut::NoMemory)?;
        self.blocks.write(block, 0, bytes);
        Ok(Filled { block, len: bytes.len() })
    }

    /// Nothing will come of an item that lies in a block already.
    #[cold]
    pub(super) fn give_back(&self, me: Owner, filled: Filled) {
        self.blocks.release(filled.block, Block::Owned(me), filled.len);
        self.blocks.trim(me);
    }

    #[cold]
    fn claim_later(&self, me: Owner, patience: Patience) -> Result<Mine<'_>, NotPut> {
        let line = self.line();
        let look = |how| {
            if how == Look::Round && line.sweep().is_err() {
                return Some(Err(NotPut::Corrupt));
            }
            match line.claim(me) {
                Ok(mine) => Some(Ok(mine)),
                Err(NoClaim::Full) => None,
                Err(NoClaim::Closed) => Some(Err(NotPut::Closed)),
                Err(NoClaim::NoMemory(errno)) => Some(Err(NotPut::NoMemory(errno))),
                Err(NoClaim::Corrupt) => Some(Err(NotPut::Corrupt)),
            }
        };
        match patience {
            // There may be room that the dead take up.
            Patience::None => look(Look::Round),
            Patience::Until(deadline) => {
                if let Some(claimed) = soon(|| look(Look::Glance)) {
                    return claimed;
                }
                let more = || line.about() < line.bound;
                self.shared.room.wait(&self.putting, deadline, look, more)
            }
        }
        .unwrap_or(Err(NotPut::Full))
    }

    /// Takes the next item and appends its bytes to `to`. What is merely taken, and not held for longer, is over then.
    #[inline]
    pub(super) fn get(&self, hold: Hold, patience: Patience, to: &mut Arrival) -> Result<Ticket, NotGot> {
        let me = Owner::current();
        let mine = match self.line().take(me, hold) {
            Ok(mine) => mine,
            Err(_) => self.take_later(me, hold, patience)?,
        };
        let count = mine.place.deliveries.load(Relaxed).wrapping_add(1);
        mine.place.deliveries.store(count, Relaxed);
        let len = mine.place.len.load(Relaxed) as usize;
        let is_read = match mine.place.block.load(Relaxed) {
            0 => mine.place.read(len, to.bytes),
            _ => {
                block_of(mine).is_some_and(|block| to.take(len, |part, to| self.blocks.read(block, part, to)))
            }
        };
        if hold == Hold::Taken || !is_read {
            self.finish(mine, hold);
        }
        // With the taking there is room.
        self.tell_of_room();
        if is_read { Ok(Ticket { at: mine.at, deliveries: count as u32 }) } else { Err(NotGot::Corrupt) }
    }

    #[cold]
    fn take_later(&self, me: Owner, hold: Hold, patience: Patience) -> Result<Mine<'_>, NotGot> {
        let line = self.line();
        let look = |how| {
            if how == Look::Round {
                if line.sweep().is_err() {
                    return Some(Err(NotGot::Corrupt));
                }
                self.blocks.trim_if_idle(me);
            }
            if line.is_closed_now() {
                return Some(self.drain().and(Err(NotGot::Closed)));
            }
            match line.take(me, hold) {
                Ok(mine) => Some(Ok(mine)),
                Err(NoItem::Empty | NoItem::Writing(_)) => None,
                Err(NoItem::Closed) => Some(self.take_last(me, hold)),
                Err(NoItem::Corrupt) => Some(Err(NotGot::Corrupt)),
            }
        };
        match patience {
            Patience::None => self.take_at_once(look),
            Patience::Until(deadline) => {
                if let Some(taken) = soon(|| look(Look::Glance)) {
                    return taken;
                }
                self.shared.items.wait(&self.getting, deadline, look, || line.has_more())
            }
        }
        .unwrap_or(Err(NotGot::Empty))
    }

    /// The queue is closed and empty, unless somebody died with an item.
    fn take_last(&self, me: Owner, hold: Hold) -> Result<Mine<'_>, NotGot> {
        self.line().sweep()?;
        self.line().take(me, hold).map_err(|_| {
            self.blocks.trim(me);
            NotGot::Closed
        })
    }

    /// Also from the dead. An item that is being written at this moment is waited for, awake, unless its producer has
    /// been stopped: those behind it are in, and it comes first.
    fn take_at_once<T>(&self, mut look: impl FnMut(Look) -> Option<T>) -> Option<T> {
        let patience = Deadline::after(WRITING);
        let mut found = look(Look::Round);
        while found.is_none() && self.line().is_being_written() && !patience.has_passed() {
            thread::yield_now();
            found = look(Look::Glance);
        }
        found
    }

    #[inline]
    fn tell_of_room(&self) {
        if self.shared.room.is_awaited() {
            let (bound, inside) = (self.bound.unwrap_or(u64::MAX), self.line().about());
            // Not for each place: whoever wakes should find room for more than one item.
            if bound < SHORT || inside <= bound / 2 {
                self.shared.room.ring();
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.line().is_closed()
    }

    pub(super) fn len(&self) -> u64 {
        if self.line().is_closed_now() { 0 } else { self.line().len().unwrap_or(0) }
    }

    pub(super) fn is_full(&self) -> bool {
        !self.line().is_closed_now() && self.line().is_full().unwrap_or(false)
    }
}

/// Lets others run, some times, and looks. In a stream more than one item or place is there then; and who looks all
/// the time takes the cache line from the very process for which he waits.
#[inline]
fn soon<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    (0..YIELDS).find_map(|_| {
        for _ in 0..PAUSES {
            hint::spin_loop();
        }
        thread::yield_now();
        look()
    })
}

/// The block in which a held item lies, if it does.
#[inline]
pub(super) fn block_of(mine: Mine<'_>) -> Option<BlockId> {
    let number = mine.place.block.load(Relaxed).checked_sub(1)?;
    BlockId::checked(u32::try_from(number).ok()?)
}

impl Shared {
    fn empty() -> Shared {
        Shared { hints: Hints::new(), items: Awaited::new(), room: Awaited::new(), done: Awaited::new() }
    }
}
