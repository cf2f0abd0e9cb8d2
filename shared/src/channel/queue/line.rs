//! The line in which items wait: places with owners, and positions that come once. No waiting here: that is
//! `road.rs`. What is put right after a death is in `sweep.rs`, what is counted in `count.rs`.
//!
//! # The transitions of a place
//!
//! ```text
//! claim     Free(at)       => Claimed(me)      CAS, where the tail points
//! commit    Claimed(me)    => Committed(at)    swap: the put has happened
//! take      Committed(at)  => Held(me)         CAS, where the head points
//! finish    Held(me)       => Done(at)         CAS: the get has happened, or the item is done
//! put back  Held(me, dead) => Committed(at)    a lease that was dropped; CAS, once the holder's end is proved
//! skip      Claimed(dead)  => Done(at)         CAS, once the producer's end is proved: the put never happened
//! abandon   Claimed(me)    => Done(at)         swap: the queue was closed meanwhile
//! ```
//!
//! # Why it is right
//!
//! *Order.* A position is claimed only when all before it have been, for the tail moves past a position only once
//! somebody has seen it claimed; and the same for the head and taking. A claim is never undone: it ends in an item
//! or in a hole. So items are taken in the order of the claims, but for those put back, which come before all others from then
//! on. (A lease that is dropped is put back at once; what the dead held, by the next sweep.)
//!
//! *Head and tail are hints.* Each is at most one behind, when who moved on has not said so yet or never will, having
//! died; then the next says it for him. Only the words of the places decide.
//!
//! *Whoever dies* has his name in the one word that matters, from the very instruction that took it. Nobody waits for
//! a dead one longer than until his end is proved, and then exactly one CAS puts right what he left.
//!
//! *Words come once.* A free, committed or done place has its position in the word. An owner is there for one
//! position, that which the map says: it is looked at again after the word was read, and chunks come once, too.
//!
//! *Closing.* A producer looks whether the queue is closed after it has claimed, and a consumer before it looks at the
//! place, all sequentially consistent. So if a consumer finds the queue closed and the place free, whoever
//! claims it later will find it closed and abandon it: after `Closed` no item is ever committed.

use crate::memory::blocks::{BlockId, Blocks, CHUNK, ENTRIES, Place};
use crate::memory::ring::{Block, Chunk, Hold, Slot};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::sys::task::Owner;
use nix::errno::Errno;

/// Turns without progress after which the words cannot be right.
pub(super) const PATIENCE: u32 = 1 << 17;

/// Not so many positions are between the first that is not over and the tail: they have an entry in the map.
pub(super) const MOST: u64 = ENTRIES * CHUNK;

/// So far ahead places are brought near: about as long as that takes.
const AHEAD: u64 = 4;

/// No queue will ever come to this position.
const BEYOND: u64 = 1 << 52;

/// A word on a cache line of its own (they come in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart(pub(super) AtomicU64);

/// The hints, in shared memory. All zeroes is an empty line.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Hints {
    /// The next position to be claimed.
    pub(super) tail: Apart,
    /// The next position to be taken.
    pub(super) head: Apart,
    /// All before it are over.
    pub(super) first: Apart,
    /// None before it is being written.
    pub(super) settled: AtomicU64,
    /// The last hole, plus one.
    pub(super) hole: AtomicU64,
    /// How often an item was put back, and up to which time all those have been taken again.
    pub(super) returned: AtomicU64,
    pub(super) swept: AtomicU64,
    /// [`OPEN`], [`CLOSED`] or [`CLOSED_NOW`].
    pub(super) closed: AtomicU64,
}

impl Hints {
    pub(super) fn new() -> Hints {
        let zero = || AtomicU64::new(0);
        Hints {
            tail: Apart(zero()),
            head: Apart(zero()),
            first: Apart(zero()),
            settled: zero(),
            hole: zero(),
            returned: zero(),
            swept: zero(),
            closed: zero(),
        }
    }
}

const OPEN: u64 = 0;
const CLOSED: u64 = 1;
const CLOSED_NOW: u64 = 2;

/// A line: its hints and its places, in this process.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) hints: &'a Hints,
    pub(super) blocks: &'a Blocks,
    /// How many may be in it.
    pub(super) bound: u64,
    /// The head, when this handle last looked. (Every consumer writes there: who has to look takes the cache line away.)
    pub(super) known_head: &'a AtomicU64,
}

/// Somebody scribbled over the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoClaim {
    Full,
    Closed,
    NoMemory(Errno),
    Corrupt,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoItem {
    Empty,
    /// The next item is being written by this process.
    Writing(Owner),
    /// Empty, and for ever.
    Closed,
    Corrupt,
}

impl From<Corrupt> for NoClaim {
    fn from(_: Corrupt) -> NoClaim {
        NoClaim::Corrupt
    }
}

impl From<Corrupt> for NoItem {
    fn from(_: Corrupt) -> NoItem {
        NoItem::Corrupt
    }
}

/// A place that is the caller's.
#[derive(Clone, Copy)]
pub(super) struct Mine<'a> {
    pub(super) at: u64,
    pub(super) place: &'a Place,
}

/// What is at a position.
pub(super) enum View<'a> {
    /// A place, its word, and what that says.
    Place(&'a Place, u64, Slot),
    /// Over, and its place in use by others.
    Past,
    /// The chunk is still to be laid out.
    Bare,
    /// The map is full: a chunk that is very much older is not over.
    Jammed,
}

impl<'a> Line<'a> {
    /// What is at this position now.
    #[inline]
    pub(super) fn look(&self, at: u64) -> Result<View<'a>, Corrupt> {
        if at >= BEYOND {
            return Err(Corrupt);
        }
        let chunk = at / CHUNK;
        let entry = self.blocks.entry(chunk);
        let mut seen = entry.load(SeqCst);
        loop {
            let block = match Chunk::in_word(seen, chunk % ENTRIES).ok_or(Corrupt)? {
                Chunk::Here(here, block) if here == chunk => block,
                Chunk::Here(here, _) if here < chunk => return Ok(View::Jammed),
                Chunk::Next(next) if next == chunk => return Ok(View::Bare),
                Chunk::Next(next) if next < chunk => return Err(Corrupt),
                _ => return Ok(View::Past),
            };
            let place = self.blocks.place(block, at).ok_or(Corrupt)?;
            let word = place.word.load(SeqCst);
            let slot = Slot::in_word(word);
            match slot {
                Some(Slot::Free(of) | Slot::Committed(of) | Slot::Done(of)) if of == at => {}
                // An owner's position is what the map says, if it still says so.
                _ => {
                    let now = entry.load(SeqCst);
                    if now != seen {
                        seen = now;
                        continue;
                    }
                }
            }
            return match slot {
                Some(slot @ (Slot::Claimed(_) | Slot::Held(..))) => Ok(View::Place(place, word, slot)),
                Some(slot @ (Slot::Free(of) | Slot::Committed(of) | Slot::Done(of))) if of == at => {
                    Ok(View::Place(place, word, slot))
                }
                _ => Err(Corrupt),
            };
        }
    }

    /// What is at a position that somebody has claimed.
    #[inline]
    pub(super) fn look_back(&self, at: u64) -> Result<View<'a>, Corrupt> {
        match self.look(at)? {
            View::Place(_, _, Slot::Free(_)) | View::Bare | View::Jammed => Err(Corrupt),
            view => Ok(view),
        }
    }

    /// Moves a hint past a position, unless it is past it already.
    #[inline]
    pub(super) fn pass(hint: &AtomicU64, at: u64) {
        let _ = hint.compare_exchange(at, at.wrapping_add(1), SeqCst, Relaxed);
    }

    /// Claims the next position.
    #[inline]
    pub(super) fn claim(&self, me: Owner) -> Result<Mine<'a>, NoClaim> {
        for _ in 0..PATIENCE {
            let at = self.hints.tail.0.load(SeqCst);
            match self.look(at)? {
                View::Place(place, word, Slot::Free(_)) => {
                    if !self.has_room(at)? {
                        return Err(if self.is_closed() { NoClaim::Closed } else { NoClaim::Full });
                    }
                    self.blocks.fetch(at.wrapping_add(AHEAD));
                    // claim
                    let mine = Slot::Claimed(me).to_word();
                    if place.word.compare_exchange(word, mine, SeqCst, Relaxed).is_err() {
                        continue;
                    }
                    Self::pass(&self.hints.tail.0, at);
                    if self.is_closed() {
                        self.abandon(Mine { at, place });
                        return Err(NoClaim::Closed);
                    }
                    return Ok(Mine { at, place });
                }
                View::Bare if self.is_closed() => return Err(NoClaim::Closed),
                View::Bare if !self.has_room(at)? => return Err(NoClaim::Full),
                View::Bare => self.lay_out(at / CHUNK, me)?,
                View::Jammed => return Err(if self.is_closed() { NoClaim::Closed } else { NoClaim::Full }),
                View::Place(..) | View::Past => Self::pass(&self.hints.tail.0, at),
            }
        }
        Err(NoClaim::Corrupt)
    }

    /// Whether the line may grow to this position.
    #[inline]
    pub(super) fn has_room(&self, at: u64) -> Result<bool, Corrupt> {
        if at.saturating_sub(self.known_head.load(Relaxed)) < self.bound {
            return Ok(true);
        }
        let head = self.hints.head.0.load(SeqCst);
        self.known_head.store(head, Relaxed);
        Ok(at.saturating_sub(head) < self.bound || self.has_room_after_all(at)?)
    }

    /// Finds memory for a chunk. Of several who do so at the same time, one is heard.
    #[cold]
    fn lay_out(&self, chunk: u64, me: Owner) -> Result<(), NoClaim> {
        // That of the next one is looked at as soon as this one is full.
        self.blocks.prepare_entry(chunk + 1).map_err(NoClaim::NoMemory)?;
        let block = self.blocks.allot_chunk(me).map_err(NoClaim::NoMemory)?;
        for at in chunk * CHUNK..(chunk + 1) * CHUNK {
            if let Some(place) = self.blocks.place(block.number(), at) {
                place.word.store(Slot::Free(at).to_word(), Relaxed);
            }
        }
        self.blocks.link(block, Block::Chunk(chunk));
        let entry = self.blocks.entry(chunk);
        let seen = entry.load(SeqCst);
        let here = Chunk::Here(chunk, block.number()).to_word();
        let is_next = Chunk::in_word(seen, chunk % ENTRIES) == Some(Chunk::Next(chunk));
        if !is_next || entry.compare_exchange(seen, here, SeqCst, Relaxed).is_err() {
            self.blocks.release(block, Block::Chunk(chunk), usize::MAX / 2);
        }
        Ok(())
    }

    /// Writes an item into a place that was claimed, and then it is in: anybody may have it.
    #[inline]
    pub(super) fn write_and_commit(&self, mine: Mine<'_>, write: impl FnOnce(&Place)) {
        let committed = Slot::Committed(mine.at).to_word();
        if cfg!(feature = "sabotage-queue") {
            // The mistake that the tests must find: the item may be taken before it is written.
            mine.place.word.swap(committed, SeqCst);
            write(mine.place);
            return;
        }
        write(mine.place);
        // commit
        mine.place.word.swap(committed, SeqCst);
    }

    fn abandon(&self, mine: Mine<'_>) {
        self.hints.hole.fetch_max(mine.at + 1, SeqCst);
        // abandon
        mine.place.word.swap(Slot::Done(mine.at).to_word(), SeqCst);
        self.retire_soon(mine.at);
    }

    /// Takes the next item: one that was put back, or the one at the head.
    #[inline]
    pub(super) fn take(&self, me: Owner, hold: Hold) -> Result<Mine<'a>, NoItem> {
        for _ in 0..PATIENCE {
            let closed = self.hints.closed.load(SeqCst);
            let returned = self.hints.returned.load(SeqCst);
            if returned > self.hints.swept.load(SeqCst) {
                if let Some(mine) = self.take_returned(me, hold)? {
                    return Ok(mine);
                }
                self.hints.swept.fetch_max(returned, SeqCst);
            }
            let at = self.hints.head.0.load(SeqCst);
            match self.look(at)? {
                View::Place(place, word, Slot::Committed(_)) => {
                    self.blocks.fetch(at.wrapping_add(AHEAD));
                    // take
                    if place
                        .word
                        .compare_exchange(word, Slot::Held(me, hold).to_word(), SeqCst, Relaxed)
                        .is_ok()
                    {
                        Self::pass(&self.hints.head.0, at);
                        return Ok(Mine { at, place });
                    }
                }
                View::Place(_, _, Slot::Held(..) | Slot::Done(_)) | View::Past => {
                    Self::pass(&self.hints.head.0, at);
                }
                View::Place(_, _, Slot::Claimed(owner)) => return Err(NoItem::Writing(owner)),
                View::Place(_, _, Slot::Free(_)) | View::Bare | View::Jammed if closed == OPEN => {
                    return Err(NoItem::Empty);
                }
                _ => return Err(NoItem::Closed),
            }
        }
        Err(NoItem::Corrupt)
    }

    /// The item that is held with this word is over: handed over, or done. `false`: it is held so no more.
    #[inline]
    pub(super) fn finish(&self, mine: Mine<'_>, word: u64, block: Option<BlockId>, len: usize) -> bool {
        let done = Slot::Done(mine.at).to_word();
        // finish
        if mine.place.word.compare_exchange(word, done, SeqCst, Relaxed).is_err() {
            return false;
        }
        if let Some(block) = block {
            self.blocks.release(block, Block::Item(mine.at), len);
        }
        self.retire_soon(mine.at);
        true
    }

    pub(super) fn is_closed(&self) -> bool {
        self.hints.closed.load(SeqCst) != OPEN
    }

    pub(super) fn is_closed_now(&self) -> bool {
        self.hints.closed.load(SeqCst) == CLOSED_NOW
    }

    pub(super) fn close(&self, now: bool) {
        self.hints.closed.fetch_max(if now { CLOSED_NOW } else { CLOSED }, SeqCst);
    }
}
