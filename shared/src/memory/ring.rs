//! The words of a queue's ring: what they say, and how it lies in 64 bits. Arithmetic only.
//!
//! Items have positions 0, 1, 2, … that never come again. Some of them lie together in a chunk; the map says which
//! block of memory holds a chunk at present.
//!
//! ```text
//!                63                 32 31    28 27     22 21          0
//!               ┌─────────────────────┬────────┬───────────────────────┐
//! with a number │     number, high    │  kind  │      number, low      │   60 bits, so it never comes round
//!               ├─────────────────────┼────────┼─────────┬─────────────┤
//! with an owner │     start time      │  kind  │    0    │     pid     │
//!               └─────────────────────┴────────┴─────────┴─────────────┘
//! ```
//!
//! A word with a number is never the same twice, and neither is a dead owner's: so a CAS that expects one
//! cannot take a later state for an earlier one.

use crate::sys::task::Owner;

const KIND: u64 = 15 << 28;
const LOW: u64 = (1 << 28) - 1;

/// What the word of a slot says of the position that lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Nothing yet.
    Free(u64),
    /// An item, to be had by anybody.
    Committed(u64),
    /// Over: the item has been handed over, or there never was one.
    Done(u64),
    /// This process is writing the item.
    Claimed(Owner),
    /// This process has the item, for the reason told.
    Held(Owner, Hold),
}

/// Why an item is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is being copied out.
    Taken,
    /// It was got, and `task_done` is to follow.
    Got,
    /// A lease.
    Leased,
}

impl Hold {
    fn kind(self) -> u64 {
        match self {
            Hold::Taken => 5,
            Hold::Got => 6,
            Hold::Leased => 7,
        }
    }
}

const FREE: u64 = 1;
const COMMITTED: u64 = 2;
const DONE: u64 = 3;
const CLAIMED: u64 = 4;

fn with_number(kind: u64, number: u64) -> u64 {
    number >> 28 << 32 | kind << 28 | number & LOW
}

fn number(word: u64) -> u64 {
    word >> 32 << 28 | word & LOW
}

fn with_owner(kind: u64, owner: Owner) -> u64 {
    owner.to_word() & !KIND | kind << 28
}

fn kind(word: u64) -> u64 {
    (word & KIND) >> 28
}

/// The owner in a word that has one.
fn owner(word: u64) -> Option<Owner> {
    Owner::in_word(word & !KIND)
}

impl Slot {
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Slot::Free(at) => with_number(FREE, at),
            Slot::Committed(at) => with_number(COMMITTED, at),
            Slot::Done(at) => with_number(DONE, at),
            Slot::Claimed(owner) => with_owner(CLAIMED, owner),
            Slot::Held(owner, hold) => with_owner(hold.kind(), owner),
        }
    }

    /// `None`: no slot's word. Somebody wrote where nothing was his.
    #[inline]
    pub(crate) fn in_word(word: u64) -> Option<Slot> {
        Some(match kind(word) {
            FREE => Slot::Free(number(word)),
            COMMITTED => Slot::Committed(number(word)),
            DONE => Slot::Done(number(word)),
            CLAIMED => Slot::Claimed(owner(word)?),
            5 => Slot::Held(owner(word)?, Hold::Taken),
            6 => Slot::Held(owner(word)?, Hold::Got),
            7 => Slot::Held(owner(word)?, Hold::Leased),
            _ => return None,
        })
    }
}

/// What a word of the map says: where the chunks lie that share the entry, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// This chunk is the next to come here.
    Next(u64),
    /// This chunk is here, in this block.
    Here(u64, u32),
}

/// The bits of a block's number; the rest is the chunk's, 44 bits.
const BLOCK_BITS: u32 = 16;
pub(crate) const MOST_BLOCKS: u32 = 1 << BLOCK_BITS;

impl Chunk {
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Chunk::Next(chunk) => with_number(FREE, chunk),
            Chunk::Here(chunk, block) => with_number(COMMITTED, chunk << BLOCK_BITS | u64::from(block)),
        }
    }

    /// `place` is that of the entry: one that was never written holds the chunk of that number next.
    #[inline]
    pub(crate) fn in_word(word: u64, place: u64) -> Option<Chunk> {
        match kind(word) {
            0 if word == 0 => Some(Chunk::Next(place)),
            FREE => Some(Chunk::Next(number(word))),
            COMMITTED => {
                let both = number(word);
                Some(Chunk::Here(both >> BLOCK_BITS, both as u32 & (MOST_BLOCKS - 1)))
            }
            _ => None,
        }
    }
}

/// What the word of a block of memory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Nobody's; so many of its first bytes have memory.
    Free(u64),
    /// This process prepares it, or gives its memory back.
    Owned(Owner),
    /// The item at this position lies in it.
    Item(u64),
    /// It is the chunk of this number.
    Chunk(u64),
}

impl Block {
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Block::Free(0) => 0,
            Block::Free(len) => with_number(FREE, len),
            Block::Item(at) => with_number(COMMITTED, at),
            Block::Chunk(chunk) => with_number(DONE, chunk),
            Block::Owned(owner) => with_owner(CLAIMED, owner),
        }
    }

    pub(crate) fn in_word(word: u64) -> Option<Block> {
        Some(match kind(word) {
            0 if word == 0 => Block::Free(0),
            FREE => Block::Free(number(word)),
            COMMITTED => Block::Item(number(word)),
            DONE => Block::Chunk(number(word)),
            CLAIMED => Block::Owned(owner(word)?),
            _ => return None,
        })
    }
}
