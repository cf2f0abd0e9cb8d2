//! How the mapping of a queue is laid out: hints, map, words, and blocks of several sizes. Arithmetic only.

/// Positions in a chunk.
pub(crate) const CHUNK: u64 = 256;

pub(super) const PAGE: usize = 4096;

/// Blocks of one size.
pub(super) struct Class {
    pub(super) size: usize,
    pub(super) count: u32,
}

/// The largest takes an item of 1 GiB, and what a codec adds to it.
pub(super) const CLASSES: [Class; 7] = [
    Class { size: 32 << 10, count: 1 << 16 }, // chunks, too
    Class { size: 8 << 10, count: 1 << 18 },
    Class { size: 256 << 10, count: 1 << 12 },
    Class { size: 2 << 20, count: 1 << 10 },
    Class { size: 16 << 20, count: 1 << 7 },
    Class { size: 128 << 20, count: 1 << 3 },
    Class { size: (1 << 30) + (1 << 20), count: 3 },
];
/// The classes from the smallest size up.
pub(super) const BY_SIZE: [usize; 7] = [1, 0, 2, 3, 4, 5, 6];

/// Entries of the map of chunks.
pub(crate) const ENTRIES: u64 = 1 << 14;

/// Where the parts of the mapping begin.
pub(super) const HINTS: usize = 0;
pub(super) const MAP: usize = PAGE;
pub(super) const WORDS: usize = MAP + ENTRIES as usize * 8;
pub(super) const BLOCKS: usize = (WORDS + words_before(CLASSES.len()) * 8).next_multiple_of(2 << 20);
pub(super) const END: usize = blocks_before(CLASSES.len());

pub(super) const fn words_before(class: usize) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < class {
        // Each class begins on a page of its own.
        sum += (CLASSES[i].count as usize).next_multiple_of(PAGE / 8);
        i += 1;
    }
    sum
}

pub(super) const fn blocks_before(class: usize) -> usize {
    let (mut sum, mut i) = (BLOCKS, 0);
    while i < class {
        sum += CLASSES[i].count as usize * CLASSES[i].size;
        i += 1;
    }
    sum
}

/// The number of a block: its class in the upper bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId(u32);

impl BlockId {
    pub(super) fn class(self) -> usize {
        (self.0 >> 20) as usize
    }

    pub(super) fn index(self) -> u32 {
        self.0 & 0xf_ffff
    }

    pub(super) fn new(class: usize, index: u32) -> BlockId {
        BlockId((class as u32) << 20 | index)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// A number from shared memory, if there is such a block.
    pub(crate) fn checked(number: u32) -> Option<BlockId> {
        let id = BlockId(number);
        (id.index() < CLASSES.get(id.class())?.count).then_some(id)
    }
}
