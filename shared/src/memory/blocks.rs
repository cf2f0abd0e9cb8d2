//! Memory for what a queue holds: blocks of several sizes in one mapping, each with a word that says whose it is.
//!
//! The mapping is sparse: it has room for more than any queue will hold, and memory only where a block is in use, or
//! was a moment ago. What is given back stays for the next, up to [`KEPT`]; the rest goes back to the system.
//!
//! # The transitions of a block's word
//!
//! ```text
//! allot     Free(len)    => Owned(me)               CAS
//! link      Owned(me)    => Item(at) or Chunk(c)    store, by its owner, before anybody can find it there
//! release   Item, Chunk, Owned => Free(len)         CAS, by who proved that it is over
//! ```
//!
//! # Why it is right
//!
//! *Whoever dies.* An `Owned` block is free once its owner's end is proved. An `Item` whose position is over, or a
//! `Chunk` that is not where the map says, is nobody's, whether or not somebody was about to release it: who looks
//! for such ([`Blocks::reclaim`]) asks those who know. So each block is in use, or comes back, and no list of free
//! blocks exists that a death could tear.
//!
//! *Nothing outside is touched.* A block's number is checked against the table below whenever it comes from shared
//! memory, and so is the length of what is said to lie in it.
#![allow(unsafe_code)]

use super::classes::{
    BLOCKS, BY_SIZE, CLASSES, Class, END, HINTS, MAP, PAGE, WORDS, blocks_before, words_before,
};
pub(crate) use super::classes::{BlockId, CHUNK, ENTRIES};
use super::copy::{append, copy};
pub(crate) use super::place::{INLINE, Place};
use super::ring::{Block, Chunk};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::clock;
use crate::sys::map::Mapping;
use crate::sys::task::Owner;
use nix::errno::Errno;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// So many blocks that were in use are looked at before a new one is.
const PROBES: usize = 64;

/// Free blocks keep so much memory together when nothing is in use.
const KEPT: u64 = 640 << 10;

/// What helps to find a free block soon. If it is wrong, that takes longer.
#[repr(C)]
struct Hint {
    /// The one that was given back last.
    freed: AtomicU64,
    /// Where to look for another.
    next: AtomicU64,
    /// All blocks with memory have smaller numbers.
    high: AtomicU64,
    /// So many words have memory.
    ready: AtomicU64,
}

/// Whether giving back is worth while, in microseconds of the clock.
#[repr(C)]
struct Flow {
    /// When memory was last given back.
    trimmed: AtomicU64,
    /// Until then none is.
    until: AtomicU64,
}

/// Memory that is needed again so soon was given back too early; and for so long after that none is.
const SOON: u64 = 1_000;
const FLOW: u64 = 20_000;

/// The memory of one queue, in this process and all that it forks from now on.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// Where the mapping begins: beside it, so that a look takes one step and not two.
    start: NonNull<u8>,
    _mapping: Arc<Mapping>,
}

// SAFETY: it is memory of the process; what is reached through it are atomics, and bytes whose words say whose they are.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    pub(crate) fn new() -> Result<Blocks, Errno> {
        let mapping = Mapping::sparse(NonZeroUsize::new(END).ok_or(Errno::EINVAL)?)?;
        let start = mapping.start();
        // The hints, and the first page of the map.
        Mapping::fill(start.as_ptr(), MAP + PAGE)?;
        Ok(Blocks { start, _mapping: Arc::new(mapping) })
    }

    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset < END);
        self.start.as_ptr().wrapping_add(offset)
    }

    #[inline]
    fn atomic(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, which `self` keeps, aligned, and never anything but an atomic.
        unsafe { &*self.at(offset).cast::<AtomicU64>() }
    }

    fn hint(&self, class: usize) -> &Hint {
        // SAFETY: as in `atomic`; the seven hints fit into the first page.
        unsafe { &*self.at(HINTS + class * size_of::<Hint>()).cast::<Hint>() }
    }

    fn word(&self, id: BlockId) -> &AtomicU64 {
        self.atomic(WORDS + (words_before(id.class()) + id.index() as usize) * 8)
    }

    fn block(&self, id: BlockId) -> *mut u8 {
        self.at(blocks_before(id.class()) + id.index() as usize * CLASSES[id.class()].size)
    }

    /// The entry of the map for a chunk, which it shares with others.
    #[inline]
    pub(crate) fn entry(&self, chunk: u64) -> &AtomicU64 {
        self.atomic(MAP + (chunk % ENTRIES) as usize * 8)
    }

    /// Sees to it that the entry for a chunk has memory.
    pub(crate) fn prepare_entry(&self, chunk: u64) -> Result<(), Errno> {
        let offset = MAP + (chunk % ENTRIES) as usize * 8;
        if offset.is_multiple_of(PAGE) { Mapping::fill(self.at(offset), PAGE) } else { Ok(()) }
    }

    /// A place of the chunk that lies in this block of the first class.
    #[inline]
    pub(crate) fn place(&self, block: u32, at: u64) -> Option<&Place> {
        if block >= CLASSES[0].count {
            return None;
        }
        let offset = block as usize * CLASSES[0].size + (at % CHUNK) as usize * size_of::<Place>();
        // SAFETY: inside the mapping, aligned; a place is atomics, and bytes behind a cell.
        Some(unsafe { &*self.at(BLOCKS + offset).cast::<Place>() })
    }

    /// Brings near what will be wanted soon: the place of this position, as far as the map knows it.
    #[inline]
    pub(crate) fn fetch(&self, at: u64) {
        let chunk = at / CHUNK;
        let seen = self.entry(chunk).load(Relaxed);
        if let Some(Chunk::Here(_, block)) = Chunk::in_word(seen, chunk % ENTRIES)
            && let Some(place) = self.place(block, at)
        {
            place.fetch();
        }
    }

    /// Finds a block for so many bytes, sees to it that it has memory for them, and owns it.
    pub(crate) fn allot(&self, me: Owner, len: usize) -> Result<BlockId, Errno> {
        BY_SIZE
            .into_iter()
            .filter(|class| CLASSES[*class].size >= len)
            .find_map(|class| self.allot_of(class, me, len).transpose())
            .unwrap_or(Err(Errno::ENOMEM))
    }

    /// The same for a chunk.
    pub(crate) fn allot_chunk(&self, me: Owner) -> Result<BlockId, Errno> {
        self.allot_of(0, me, CLASSES[0].size)?.ok_or(Errno::ENOMEM)
    }

    fn allot_of(&self, class: usize, me: Owner, len: usize) -> Result<Option<BlockId>, Errno> {
        let (hint, count) = (self.hint(class), CLASSES[class].count);
        let high = (hint.high.load(Relaxed) as u32).min(count);
        // The one that was used last, then some of those that have memory, in turn; then new ones. Then any.
        let (freed, next) = (hint.freed.load(Relaxed) as u32, hint.next.load(Relaxed) as u32 % (high + 1));
        let used = (next..high).chain(0..next).take(PROBES);
        let first = (freed < high).then_some(freed).into_iter();
        for index in first.chain(used).chain(high..count).chain(0..high) {
            self.prepare_word(class, index)?;
            let id = BlockId::new(class, index);
            let word = self.word(id);
            let seen = word.load(Relaxed);
            let Some(Block::Free(there)) = Block::in_word(seen) else { continue };
            // allot
            let mine = Block::Owned(me).to_word();
            if word.compare_exchange(seen, mine, Acquire, Relaxed).is_err() {
                continue;
            }
            if index != freed {
                hint.next.store(u64::from(index) + 1, Relaxed);
            }
            hint.high.fetch_max(u64::from(index) + 1, Relaxed);
            let (there, len) = (there as usize & !(PAGE - 1), len.next_multiple_of(PAGE));
            if there < len {
                self.note_need();
            }
            if there < len
                && let Err(errno) = Mapping::fill(self.block(id).wrapping_add(there), len - there)
            {
                self.give_back(id);
                word.store(Block::Free(0).to_word(), Release);
                return Err(errno);
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// Memory is taken. If it was given back a moment ago, items flow through the queue: it is needed again and again.
    fn note_need(&self) {
        let (now, flow) = (clock::microseconds(), self.flow());
        if now.saturating_sub(flow.trimmed.load(Relaxed)) < SOON {
            flow.until.store(now + FLOW, Relaxed);
        }
    }

    fn flow(&self) -> &Flow {
        // SAFETY: as in `atomic`; it lies behind the hints, in the same page.
        unsafe { &*self.at(HINTS + CLASSES.len() * size_of::<Hint>()).cast::<Flow>() }
    }

    /// Sees to it that a block's word has memory.
    fn prepare_word(&self, class: usize, index: u32) -> Result<(), Errno> {
        let ready = &self.hint(class).ready;
        if u64::from(index) < ready.load(Relaxed) {
            return Ok(());
        }
        let page = index as usize * 8 / PAGE * PAGE;
        Mapping::fill(self.at(WORDS + words_before(class) * 8 + page), PAGE)?;
        ready.fetch_max(((page + PAGE) / 8) as u64, Relaxed);
        Ok(())
    }

    /// Says what the owned block is for from now on.
    pub(crate) fn link(&self, id: BlockId, what: Block) {
        // link
        self.word(id).store(what.to_word(), Release);
    }

    /// The block is not `what` any more, of which `len` bytes were used. Nothing happens if it had been released before.
    pub(crate) fn release(&self, id: BlockId, what: Block, len: usize) {
        let free = Block::Free(len.min(CLASSES[id.class()].size).next_multiple_of(PAGE) as u64);
        // release
        if self.word(id).compare_exchange(what.to_word(), free.to_word(), Release, Relaxed).is_ok() {
            self.hint(id.class()).freed.store(u64::from(id.index()), Relaxed);
        }
    }

    /// So many bytes may be written into a block that was allotted for `len`: its memory comes in pages.
    pub(crate) fn room(len: usize) -> usize {
        len.next_multiple_of(PAGE)
    }

    /// Copies bytes into an owned block, from the byte `at` on.
    pub(crate) fn write(&self, id: BlockId, at: usize, bytes: &[u8]) {
        debug_assert!(at + bytes.len() <= CLASSES[id.class()].size);
        // SAFETY: the block is as long as was asked for, and the word says that it is this process's.
        unsafe { copy(bytes.as_ptr(), self.block(id).wrapping_add(at), bytes.len()) };
    }

    /// Appends a part of a block. `false`: it is not so long.
    pub(crate) fn read(&self, id: BlockId, part: Range<usize>, to: &mut Vec<u8>) -> bool {
        if part.end > CLASSES[id.class()].size {
            return false;
        }
        // SAFETY: as long as that, and the caller holds the item that lies there.
        unsafe { append(self.block(id).wrapping_add(part.start), part.len(), to) };
        true
    }

    /// Looks for blocks that the dead left behind; `is_over` knows about items and chunks.
    pub(crate) fn reclaim(&self, is_over: impl Fn(Block, BlockId) -> bool) {
        for (class, Class { size, count }) in CLASSES.iter().enumerate() {
            let ready = self.hint(class).ready.load(Relaxed).min(u64::from(*count)) as u32;
            for id in (0..ready).map(|index| BlockId::new(class, index)) {
                let what = Block::in_word(self.word(id).load(SeqCst));
                let over = match what {
                    None | Some(Block::Free(_)) => false,
                    Some(Block::Owned(owner)) => owner.has_ended(),
                    Some(used) => is_over(used, id),
                };
                if let (true, Some(what)) = (over, what) {
                    self.release(id, what, *size);
                }
            }
        }
    }

    /// Whether more chunks may have memory than are kept.
    #[inline]
    pub(crate) fn has_many_chunks(&self) -> bool {
        self.hint(0).high.load(Relaxed) > KEPT / CLASSES[0].size as u64
    }

    /// Nothing is in use at this moment: gives memory back, unless the next items are likely to come at once.
    pub(crate) fn trim_if_idle(&self, me: Owner) {
        if clock::microseconds() >= self.flow().until.load(Relaxed) {
            self.trim(me);
        }
    }

    /// Gives the memory of free blocks back to the system, but for what is kept.
    ///
    /// If somebody prepares a block just now, he will want those that are there: then all stay.
    pub(crate) fn trim(&self, me: Owner) {
        let mut kept = 0;
        for (class, Class { count, .. }) in CLASSES.iter().enumerate() {
            let hint = self.hint(class);
            let high = hint.high.load(Relaxed).min(u64::from(*count));
            if high == 0 {
                continue;
            }
            let mut highest = 0;
            for index in 0..high {
                let id = BlockId::new(class, index as u32);
                let word = self.word(id);
                let seen = word.load(Relaxed);
                match Block::in_word(seen) {
                    Some(Block::Owned(_)) => return,
                    Some(Block::Free(0)) => {}
                    Some(Block::Free(len)) if kept + len <= KEPT => (kept, highest) = (kept + len, index + 1),
                    Some(Block::Free(_)) => {
                        let mine = Block::Owned(me).to_word();
                        if word.compare_exchange(seen, mine, Acquire, Relaxed).is_ok() {
                            self.give_back(id);
                            word.store(Block::Free(0).to_word(), Release);
                            self.flow().trimmed.store(clock::microseconds(), Relaxed);
                        }
                    }
                    _ => highest = index + 1,
                }
            }
            if highest < high && hint.high.compare_exchange(high, highest, Relaxed, Relaxed).is_ok() {}
        }
    }

    fn give_back(&self, id: BlockId) {
        Mapping::empty(self.block(id), CLASSES[id.class()].size);
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::ring::{Block, Chunk, Hold, Slot};
    use crate::sys::task::Owner;

    #[test]
    fn every_word_comes_back() {
        let me = Owner::current();
        for at in [0, 1, (1 << 28) - 1, 1 << 28, (1 << 60) - 1] {
            for slot in [Slot::Free(at), Slot::Committed(at), Slot::Done(at)] {
                assert_eq!(Slot::in_word(slot.to_word()), Some(slot));
            }
            for block in [Block::Free(at), Block::Item(at), Block::Chunk(at)] {
                assert_eq!(Block::in_word(block.to_word()), Some(block));
            }
        }
        for hold in [Hold::Taken, Hold::Got, Hold::Leased] {
            assert_eq!(Slot::in_word(Slot::Held(me, hold).to_word()), Some(Slot::Held(me, hold)));
        }
        assert_eq!(Slot::in_word(Slot::Claimed(me).to_word()), Some(Slot::Claimed(me)));
        assert_eq!(Block::in_word(Block::Owned(me).to_word()), Some(Block::Owned(me)));
        for chunk in [Chunk::Next(7), Chunk::Next(1 << 41), Chunk::Here((1 << 42) - 1, (1 << 16) - 1)] {
            assert_eq!(Chunk::in_word(chunk.to_word(), 3), Some(chunk));
        }
        assert_eq!(Chunk::in_word(0, 3), Some(Chunk::Next(3)));
    }

    #[test]
    fn scribbles_are_no_words() {
        assert_eq!(Slot::in_word(0), None);
        assert_eq!(Slot::in_word(!0), None);
        assert_eq!(Slot::in_word(4 << 28), None, "claimed by nobody");
        assert_eq!(Chunk::in_word(9, 0), None);
        assert_eq!(Block::in_word(15 << 28), None);
    }
}
