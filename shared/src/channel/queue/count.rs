//! What can be said of a line as a whole: how many wait, whether there is room, whether all is over.
//!
//! An answer is exact if nobody is inside an operation, wherever the dead have left their hints; else it is one that
//! was true while it was asked for.

use super::line::{Corrupt, Line, MOST, Mine, PATIENCE, View};
use crate::memory::blocks::CHUNK;
use crate::memory::ring::Slot;
use crate::sys::atomic::Ordering::SeqCst;

impl<'a> Line<'a> {
    /// How many items may be taken now.
    pub(super) fn len(&self) -> Result<u64, Corrupt> {
        for _ in 0..100 {
            let (head, tail) = (self.true_head()?, self.true_tail()?);
            let len = self.count(head, tail);
            if self.true_head()? == head && self.true_tail()? == tail {
                return len;
            }
        }
        let (head, tail) = (self.true_head()?, self.true_tail()?);
        Ok(tail.saturating_sub(head))
    }

    /// Those from head to tail, less holes and what is being written; and those put back.
    pub(super) fn count(&self, head: u64, tail: u64) -> Result<u64, Corrupt> {
        let mut len = tail.saturating_sub(head);
        if len > MOST {
            return Err(Corrupt);
        }
        if self.hints.hole.load(SeqCst) > head {
            for at in head..tail {
                len -= u64::from(!matches!(self.look_back(at)?, View::Place(_, _, Slot::Committed(_))));
            }
        } else {
            let first = self.hints.settled.load(SeqCst).max(head);
            let (mut settled, mut all) = (first, true);
            for at in first..tail {
                let writing = matches!(self.look_back(at)?, View::Place(_, _, Slot::Claimed(_)));
                len -= u64::from(writing);
                all &= !writing;
                settled += u64::from(all);
            }
            self.hints.settled.fetch_max(settled, SeqCst);
        }
        if self.hints.returned.load(SeqCst) > self.hints.swept.load(SeqCst) {
            for at in self.first()?..head {
                len += u64::from(matches!(self.look_back(at)?, View::Place(_, _, Slot::Committed(_))));
            }
        }
        Ok(len)
    }

    /// Whether a claim would be refused for want of room.
    pub(super) fn is_full(&self) -> Result<bool, Corrupt> {
        let at = self.true_tail()?;
        Ok(!self.has_room(at)?)
    }

    /// Whether all that was put is over.
    pub(super) fn is_all_done(&self) -> Result<bool, Corrupt> {
        let tail = self.true_tail()?;
        self.true_head()?;
        Ok(self.first()? >= tail)
    }

    /// Whether the next item is being written.
    pub(super) fn is_being_written(&self) -> bool {
        let at = self.hints.head.0.load(SeqCst);
        matches!(self.look(at), Ok(View::Place(_, _, Slot::Claimed(_))))
    }

    /// Whether there is more to take: a glance.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        self.hints.head.0.load(SeqCst) < self.hints.tail.0.load(SeqCst)
            || self.hints.returned.load(SeqCst) > self.hints.swept.load(SeqCst)
    }

    /// How many are inside, by the hints.
    #[inline]
    pub(super) fn about(&self) -> u64 {
        self.hints.tail.0.load(SeqCst).saturating_sub(self.hints.head.0.load(SeqCst))
    }

    /// The place at this position, if its word is this one.
    pub(super) fn held(&self, at: u64, word: u64) -> Option<Mine<'a>> {
        match self.look(at) {
            Ok(View::Place(place, now, _)) if now == word => Some(Mine { at, place }),
            _ => None,
        }
    }

    /// The first item with this word, looked for from this position on, or from the first that is not over.
    pub(super) fn find(&self, word: u64, from: u64) -> Result<Option<Mine<'a>>, Corrupt> {
        let head = self.true_head()?;
        let first = self.first()?;
        let again = from.clamp(first, head.max(first));
        match self.find_in(word, again, head)? {
            None => self.find_in(word, first, again),
            found => Ok(found),
        }
    }

    fn find_in(&self, word: u64, from: u64, to: u64) -> Result<Option<Mine<'a>>, Corrupt> {
        let mut at = from;
        while at < to {
            match self.look_back(at)? {
                View::Place(place, now, _) if now == word => return Ok(Some(Mine { at, place })),
                View::Past => at = (at / CHUNK + 1) * CHUNK,
                _ => at += 1,
            }
        }
        Ok(None)
    }

    /// The first position that is not taken.
    pub(super) fn true_head(&self) -> Result<u64, Corrupt> {
        for _ in 0..PATIENCE {
            let at = self.hints.head.0.load(SeqCst);
            match self.look(at)? {
                View::Place(_, _, Slot::Held(..) | Slot::Done(_)) | View::Past => {
                    Self::pass(&self.hints.head.0, at);
                }
                _ => return Ok(at),
            }
        }
        Err(Corrupt)
    }

    /// The first position that is not claimed.
    pub(super) fn true_tail(&self) -> Result<u64, Corrupt> {
        for _ in 0..PATIENCE {
            let at = self.hints.tail.0.load(SeqCst);
            match self.look(at)? {
                View::Place(_, _, Slot::Free(_)) | View::Bare | View::Jammed => return Ok(at),
                _ => Self::pass(&self.hints.tail.0, at),
            }
        }
        Err(Corrupt)
    }

    #[cold]
    pub(super) fn has_room_after_all(&self, at: u64) -> Result<bool, Corrupt> {
        let head = self.true_head()?;
        let most_inside = at.saturating_sub(head);
        if most_inside < self.bound {
            return Ok(true);
        }
        if most_inside > MOST {
            return Err(Corrupt);
        }
        // A hole takes no room. Those before are all claimed, so this cannot grow until the claim.
        if self.hints.hole.load(SeqCst) <= head {
            return Ok(false);
        }
        let mut inside = 0;
        for before in head..at {
            if let View::Place(_, _, Slot::Claimed(_) | Slot::Committed(_)) = self.look_back(before)? {
                inside += 1;
            }
        }
        Ok(inside < self.bound)
    }
}
