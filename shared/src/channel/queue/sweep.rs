//! What becomes of items whose owners died or changed their minds, and of the memory of what is over.
//!
//! Nothing here is needed as long as everybody lives. Each repair is one CAS from exactly the word that was seen to
//! one that any other would have written: whoever makes it, and however many try, it is made once, and who dies
//! between two of them leaves the rest to the next.

use super::line::{Corrupt, Line, MOST, Mine, View};
use crate::memory::blocks::{BlockId, CHUNK, ENTRIES, Place};
use crate::memory::ring::{Block, Chunk, Hold, Slot};
use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::task::Owner;

impl<'a> Line<'a> {
    #[cold]
    pub(super) fn take_returned(&self, me: Owner, hold: Hold) -> Result<Option<Mine<'a>>, Corrupt> {
        let head = self.hints.head.0.load(SeqCst);
        for at in self.first()?..head {
            if let View::Place(place, word, Slot::Committed(_)) = self.look_back(at)?
                // take
                && place.word.compare_exchange(word, Slot::Held(me, hold).to_word(), SeqCst, Relaxed).is_ok()
            {
                return Ok(Some(Mine { at, place }));
            }
        }
        Ok(None)
    }

    /// The first position that is not over.
    pub(super) fn first(&self) -> Result<u64, Corrupt> {
        let first = self.hints.first.0.load(SeqCst);
        let end = self.hints.head.0.load(SeqCst);
        // Of chunks that share an entry of the map, only the last that was laid out may not be over.
        let mut at = first.max(end.saturating_sub(MOST) / CHUNK * CHUNK);
        while at < end {
            match self.look(at)? {
                View::Place(_, _, Slot::Done(_)) => at += 1,
                View::Past => at = (at / CHUNK + 1) * CHUNK,
                _ => break,
            }
        }
        let at = at.min(end);
        Ok(at.max(self.hints.first.0.fetch_max(at, SeqCst)))
    }

    /// The item goes to the next consumer.
    pub(super) fn put_back(&self, at: u64, place: &Place, held: u64) -> bool {
        // put back
        let done = place.word.compare_exchange(held, Slot::Committed(at).to_word(), SeqCst, Relaxed).is_ok();
        if done {
            self.hints.returned.fetch_add(1, SeqCst);
        }
        done
    }

    /// If this was the last of its chunk to be over: the chunk is.
    #[inline]
    pub(super) fn retire_soon(&self, at: u64) {
        if self.hints.head.0.load(SeqCst) / CHUNK != at / CHUNK {
            self.retire(at / CHUNK);
        }
    }

    /// Gives up the memory of a chunk if all in it are over.
    #[cold]
    pub(super) fn retire(&self, chunk: u64) {
        let entry = self.blocks.entry(chunk);
        let seen = entry.load(SeqCst);
        let Some(Chunk::Here(here, block)) = Chunk::in_word(seen, chunk % ENTRIES) else { return };
        let over = |at| match self.blocks.place(block, at) {
            Some(place) => place.word.load(SeqCst) == Slot::Done(at).to_word(),
            None => false,
        };
        if here != chunk || !(chunk * CHUNK..(chunk + 1) * CHUNK).all(over) {
            return;
        }
        let next = Chunk::Next(chunk + ENTRIES).to_word();
        if entry.compare_exchange(seen, next, SeqCst, Relaxed).is_ok()
            && let Some(block) = BlockId::checked(block)
        {
            self.blocks.release(block, Block::Chunk(chunk), usize::MAX / 2);
        }
    }

    /// Puts right what the dead have left: what they wrote, held and owned.
    #[cold]
    pub(super) fn sweep(&self) -> Result<(), Corrupt> {
        let mut living = None;
        let mut has_ended = |owner: Owner| {
            if living != Some(owner) && owner.has_ended() {
                return true;
            }
            living = Some(owner);
            false
        };
        let mut at = self.first()?;
        let tail = self.hints.tail.0.load(SeqCst).min(at.saturating_add(MOST));
        while at <= tail {
            let head = self.hints.head.0.load(SeqCst);
            match self.look(at)? {
                View::Place(place, word, Slot::Held(owner, _)) if has_ended(owner) => {
                    self.put_back(at, place, word);
                }
                View::Place(place, word, Slot::Claimed(owner)) if has_ended(owner) => {
                    self.hints.hole.fetch_max(at + 1, SeqCst);
                    // skip
                    let done = Slot::Done(at).to_word();
                    if place.word.compare_exchange(word, done, SeqCst, Relaxed).is_ok() {
                        self.retire_soon(at);
                    }
                }
                // Put back, but who did it died before he could say so.
                View::Place(_, _, Slot::Committed(_)) if at < head => {
                    self.hints.returned.fetch_add(1, SeqCst);
                }
                View::Place(_, _, Slot::Done(_)) if (at + 1) % CHUNK == 0 && at < head => {
                    self.retire(at / CHUNK)
                }
                // Nothing is claimed behind what is free.
                View::Place(_, _, Slot::Free(_)) | View::Bare | View::Jammed if at < head => {
                    return Err(Corrupt);
                }
                View::Place(_, _, Slot::Free(_)) | View::Bare | View::Jammed => break,
                View::Past => at = (at / CHUNK + 1) * CHUNK - 1,
                _ => {}
            }
            at += 1;
        }
        self.blocks.reclaim(|what, id| self.is_over(what, id));
        Ok(())
    }

    /// Whether nothing needs what lies in this block.
    pub(super) fn is_over(&self, what: Block, id: BlockId) -> bool {
        match what {
            Block::Item(at) => matches!(self.look(at), Ok(View::Place(_, _, Slot::Done(_)) | View::Past)),
            Block::Chunk(chunk) => {
                match Chunk::in_word(self.blocks.entry(chunk).load(SeqCst), chunk % ENTRIES) {
                    Some(Chunk::Here(here, block)) => here > chunk || here == chunk && block != id.number(),
                    Some(Chunk::Next(next)) => next > chunk,
                    None => false,
                }
            }
            _ => false,
        }
    }
}
