//! An item on its way into a queue, while its bytes are being made.
//!
//! A long piece, of a text for instance, is copied once, into a block at once; what is short waits in a buffer until all
//! is there. The block is this process's until the item is put: whoever dies before leaves it to be reclaimed, and a
//! value whose encoding fails or panics gives it back.

use super::road::{NotPut, Patience, Road};
use crate::memory::blocks::{BlockId, Blocks};
use crate::memory::ring::Block;
use crate::sys::task::Owner;
use std::io::{self, Write};

/// The shortest piece for which a block is taken before the length of the whole is known.
const LONG: usize = 1 << 10;

/// What there is of the item.
pub(super) struct Outgoing<'a> {
    road: &'a Road,
    /// The first bytes, in a block.
    begun: Option<Filled>,
    /// All that come after them.
    rest: &'a mut Vec<u8>,
}

/// A block of this process's, with so many bytes in it.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    pub(super) block: BlockId,
    pub(super) len: usize,
}

impl<'a> Outgoing<'a> {
    /// With this buffer, which is empty.
    #[inline]
    pub(super) fn new(road: &'a Road, buffer: &'a mut Vec<u8>) -> Outgoing<'a> {
        Outgoing { road, begun: None, rest: buffer }
    }

    /// If there is no memory for a block, that is told when the item is put.
    #[inline(never)]
    fn write_long(&mut self, bytes: &[u8]) {
        let (blocks, len) = (&self.road.blocks, self.rest.len() + bytes.len());
        match self.begun {
            None if let Ok(block) = blocks.allot(Owner::current(), len) => {
                blocks.write(block, 0, self.rest);
                blocks.write(block, self.rest.len(), bytes);
                self.begun = Some(Filled { block, len });
                self.rest.clear();
            }
            _ => self.rest.extend_from_slice(bytes),
        }
    }

    /// Puts the item.
    #[inline]
    pub(super) fn put(mut self, patience: Patience) -> Result<(), NotPut> {
        let Some(begun) = self.begun else { return self.road.put(self.rest, patience) };
        let me = Owner::current();
        let filled = if self.rest.is_empty() { begun } else { self.fill_up(me, begun)? };
        self.begun = None;
        self.road.hand_over(me, &[], Some(filled), patience)
    }

    /// All of it in one block: in that one, if it has room.
    #[cold]
    fn fill_up(&self, me: Owner, begun: Filled) -> Result<Filled, NotPut> {
        let blocks = &self.road.blocks;
        let len = begun.len + self.rest.len();
        let mut block = begun.block;
        if len > Blocks::room(begun.len) {
            let mut first = Vec::new();
            blocks.read(begun.block, 0..begun.len, &mut first);
            block = blocks.allot(me, len).map_err(NotPut::NoMemory)?;
            blocks.write(block, 0, &first);
            blocks.release(begun.block, Block::Owned(me), begun.len);
        }
        blocks.write(block, begun.len, self.rest);
        Ok(Filled { block, len })
    }
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() < LONG {
            self.rest.extend_from_slice(bytes)
        } else {
            self.write_long(bytes)
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Outgoing<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.road.give_back(Owner::current(), begun);
        }
    }
}
