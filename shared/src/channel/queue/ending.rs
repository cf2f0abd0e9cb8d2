//! How an item ends, and how a queue does: done, put back, joined, closed.

use super::line::{Corrupt, Mine, NoItem};
use super::road::{NotGot, Road, block_of};
use crate::memory::ring::{Hold, Slot};
use crate::sync::Look;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::task::Owner;

impl Road {
    /// The item that this process holds for this reason is over. `false`: it holds none there.
    #[inline]
    pub(super) fn finish(&self, mine: Mine<'_>, hold: Hold) -> bool {
        let me = Owner::current();
        let (block, len) = (block_of(mine), mine.place.len.load(Relaxed) as usize);
        if !self.line().finish(mine, Slot::Held(me, hold).to_word(), block, len) {
            return false;
        }
        if (block.is_some() || self.blocks.has_many_chunks()) && self.line().about() == 0 {
            self.blocks.trim_if_idle(me);
        }
        if self.shared.done.is_awaited() && self.line().is_all_done() != Ok(false) {
            self.shared.done.ring();
        }
        true
    }

    /// The same, of the item at this position.
    pub(super) fn finish_at(&self, at: u64, hold: Hold) {
        if let Some(mine) = self.line().held(at, Slot::Held(Owner::current(), hold).to_word()) {
            self.finish(mine, hold);
        }
    }

    /// The item at this position, which this process leased, goes to the next consumer.
    pub(super) fn put_back(&self, at: u64) {
        let word = Slot::Held(Owner::current(), Hold::Leased).to_word();
        if let Some(mine) = self.line().held(at, word) {
            self.line().put_back(at, mine.place, word);
            if self.line().is_closed_now() {
                let _ = self.drain();
            }
            self.shared.items.ring();
        }
    }

    /// Finishes the oldest item that this process got. `false`: there is none.
    pub(super) fn finish_oldest(&self, from: &AtomicU64) -> Result<bool, Corrupt> {
        let word = Slot::Held(Owner::current(), Hold::Got).to_word();
        // Another thread may be faster: then the next.
        while let Some(mine) = self.line().find(word, from.load(Relaxed))? {
            from.fetch_max(mine.at, Relaxed);
            if self.finish(mine, Hold::Got) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until all that was put is over. `Ok(false)`: not by the deadline.
    pub(super) fn join(&self, deadline: Deadline) -> Result<bool, Corrupt> {
        let line = self.line();
        let look = |how| {
            if how == Look::Round
                && let Err(corrupt) = line.sweep()
            {
                return Some(Err(corrupt));
            }
            if line.is_closed_now() {
                let _ = self.drain();
            }
            match line.is_all_done() {
                Ok(false) => None,
                other => Some(other),
            }
        };
        let more = || line.is_all_done() != Ok(false);
        self.shared.done.wait(&self.joining, deadline, look, more).unwrap_or(Ok(false))
    }

    /// Drops what is inside, of a queue that was closed so.
    pub(super) fn drain(&self) -> Result<(), NotGot> {
        let me = Owner::current();
        loop {
            match self.line().take(me, Hold::Taken) {
                Ok(mine) => self.finish(mine, Hold::Taken),
                Err(NoItem::Corrupt) => return Err(NotGot::Corrupt),
                Err(_) => return Ok(()),
            };
        }
    }

    pub(super) fn close(&self, now: bool) {
        self.line().close(now);
        if now {
            // If not even this can be read, nobody else can.
            let _ = self.drain();
        }
        for bell in [&self.shared.items, &self.shared.room, &self.shared.done] {
            bell.alarm();
        }
    }
}
